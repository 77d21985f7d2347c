"""The command line: what goes to stdout, what to stderr, and the exit code; each command once through its real entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from command_line import Done, hpbench, hpbench_process
from miniatures.aflw2000 import draw_aflw2000, draw_catalog

from hpbench.catalog import dataset_card, protocol_named, split_ids
from hpbench.predictions import read_predictions

IDS = split_ids(dataset_card("aflw2000"), "all")[:20]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aflw2000") / "AFLW2000"
    draw_aflw2000(folder, count=20, seed=1, ids=IDS)
    return folder


@pytest.fixture
def zeros(tmp_path: Path) -> Path:
    path = tmp_path / "zeros.csv"
    rows = "".join(f"{i},0,0,0\n" for i in IDS)
    path.write_text(f"# convention=300w-lp\n# boxes=landmarks\n# model=zeros\nsample_id,yaw_deg,pitch_deg,roll_deg\n{rows}")
    return path


def refused(result: Done, code: int, *words: str) -> None:
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""
    for word in words:
        assert word in result.stderr


def test_run_writes_records_and_prints_tables(faces: Path, tmp_path: Path) -> None:
    result = hpbench_process("run", "-m", "frontal", "-d", "aflw2000", "--data", faces, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "frontal on aflw2000/pose-1969@1 (partial, not ranked)" in result.stdout
    assert "20 of 2000 faces of aflw2000 are here" in result.stderr
    assert "landmarks-original@1 is not scored: the predictions hold no landmarks" in result.stderr
    folder = tmp_path / "hpbench-out" / "frontal" / "aflw2000"
    assert sorted(p.name for p in folder.iterdir()) == [
        "aflw2000.pose-1969-aligned@1.errors.npz", "aflw2000.pose-1969-aligned@1.json",
        "aflw2000.pose-1969@1.errors.npz", "aflw2000.pose-1969@1.json",
        "aflw2000.pose-2000@1.errors.npz", "aflw2000.pose-2000@1.json", "predictions.h5",
    ]  # fmt: skip
    record = json.loads((folder / "aflw2000.pose-2000@1.json").read_text())
    assert record["partial"] and not record["dataset"]["verified"]
    assert record["dataset"] == {"n_expected": 2000, "n_found": 20, "verified": False}
    errors = np.load(folder / "aflw2000.pose-2000@1.errors.npz", allow_pickle=False)
    assert errors["mae(convention=300w-lp)"].mean() == pytest.approx(record["scores"][0]["value"])
    assert list(errors["sample_id"]) == IDS


def test_score_of_a_file_equals_the_run(faces: Path, zeros: Path, tmp_path: Path) -> None:
    run = hpbench("run", "-m", "frontal", "-d", "aflw2000", "--data", faces, "-o", "out", "--json", cwd=tmp_path)
    score = hpbench_process("score", zeros, "-d", "aflw2000", "--data", faces, "-o", "scored", "--json", cwd=tmp_path)
    assert score.returncode == 0, score.stderr
    ran, scored = json.loads(run.stdout), json.loads(score.stdout)
    assert [r["scores"] for r in ran] == [r["scores"] for r in scored]
    assert [r["predictions_sha256"] for r in ran] == [r["predictions_sha256"] for r in scored]
    assert scored[0]["timing"] is None and ran[0]["timing"]["faces"] == 20


def test_scoring_a_runs_predictions_again_gives_the_same_records(faces: Path, tmp_path: Path) -> None:
    hpbench("run", "-m", "frontal", "-d", "aflw2000", "--data", faces, "-o", "out", cwd=tmp_path)
    before = json.loads((tmp_path / "out/aflw2000.pose-1969@1.json").read_text())
    hpbench("score", "out/predictions.h5", "-d", "aflw2000", "--data", faces, "-o", "out", cwd=tmp_path)
    after = json.loads((tmp_path / "out/aflw2000.pose-1969@1.json").read_text())
    for record in (before, after):
        for volatile in ("environment", "git", "date"):
            record.pop(volatile)
    assert before == after, "timing and weights of the run are kept"


def test_score_needs_no_images(faces: Path, zeros: Path, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    for mat in faces.glob("*.mat"):
        (tmp_path / "labels" / mat.name).write_bytes(mat.read_bytes())
    result = hpbench("score", zeros, "--protocol", "aflw2000/pose-2000", "--data", "labels", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "zeros on aflw2000/pose-2000@1" in result.stdout


def test_a_zip_is_as_good_as_a_folder(faces: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "AFLW2000-3D.zip", "w") as archive:
        for file in sorted(faces.iterdir()):
            archive.write(file, f"AFLW2000/{file.name}")
    for name, data in (("folder", faces), ("zip", tmp_path / "AFLW2000-3D.zip"), ("around", tmp_path)):
        result = hpbench("run", "-m", "frontal", "-d", "aflw2000", "--data", data, "-o", name, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "folder/predictions.h5").read_bytes() == (tmp_path / "zip/predictions.h5").read_bytes()
    records = [json.loads((tmp_path / n / "aflw2000.pose-1969@1.json").read_text())["truth_sha256"] for n in ("folder", "zip", "around")]
    assert len(set(records)) == 1


def test_limit_is_partial_and_does_not_replace_a_whole_run(faces: Path, tmp_path: Path) -> None:
    common = ["run", "-m", "frontal", "-d", "aflw2000", "--data", faces, "-o", "out"]
    assert hpbench(*common, "--limit", 5, cwd=tmp_path).returncode == 0
    record = json.loads((tmp_path / "out/aflw2000.pose-2000@1.json").read_text())
    assert record["partial"] and record["scores"][0]["n_scored"] == 5 and "limited to 5 faces" in record["notes"]
    assert hpbench(*common, cwd=tmp_path).returncode == 0
    refused(hpbench(*common, "--limit", 5, cwd=tmp_path), 2, "holds 20 faces", "choose another -o")


def test_failures_are_charged_and_told(faces: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for file in faces.iterdir():
        (data / file.name).write_bytes(file.read_bytes())
    (data / f"{IDS[3]}.jpg").write_bytes(b"")
    (data / f"{IDS[7]}.jpg").unlink()
    result = hpbench("run", "-m", "frontal", "-d", "aflw2000", "--data", data, "-o", "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "1 faces have labels but no image" in result.stderr and "2 of 20 faces failed (coverage 90.0 %)" in result.stdout
    record = json.loads((tmp_path / "out/aflw2000.pose-2000@1.json").read_text())
    assert [f["sample_id"] for f in record["failures"]] == [IDS[3], IDS[7]]
    assert "the file is empty" in record["failures"][0]["reason"] and "the image is missing" in record["failures"][1]["reason"]
    score = record["scores"][0]
    assert record["partial"] and "2 images could not be read: the faces are charged, but it is the data's fault" in record["notes"]
    assert (score["n_failed"], score["n_scored"], record["coverage"]) == (2, 20, 0.9)
    assert score["value"] == pytest.approx(0.9 * score["value_detected"] + 0.1 * 180.0)
    refused(
        hpbench("run", "-m", "frontal", "-d", "aflw2000", "--data", data, "-o", "b", "--max-failures", 1, cwd=tmp_path),
        2,
        "more than --max-failures 1",
    )


def test_leaderboard_in_four_formats(faces: Path, zeros: Path, tmp_path: Path) -> None:
    hpbench("run", "-m", "frontal", "-d", "aflw2000", "--data", faces, cwd=tmp_path)
    hpbench("score", zeros, "-d", "aflw2000", "--data", faces, cwd=tmp_path)
    table = hpbench_process("leaderboard", "hpbench-out", "-d", "aflw2000", cwd=tmp_path)
    assert table.returncode == 0 and table.stdout.count("partial") == 6 and "zeros" in table.stdout
    markdown = hpbench("leaderboard", "hpbench-out", "--protocol", "aflw2000/pose-1969", "--format", "markdown", cwd=tmp_path).stdout
    assert markdown.startswith("### aflw2000/pose-1969@1") and "|" in markdown
    boards = json.loads(hpbench("leaderboard", "hpbench-out", "--format", "json", cwd=tmp_path).stdout)
    assert [b["protocol"] for b in boards] == ["aflw2000/pose-1969@1", "aflw2000/pose-1969-aligned@1", "aflw2000/pose-2000@1"]
    assert all(row["rank"] is None and "partial" in row["marks"] for b in boards for row in b["rows"])
    csv = hpbench("leaderboard", "hpbench-out", "--no-published", "--format", "csv", cwd=tmp_path).stdout
    csv = "\n".join(line for line in csv.splitlines() if not line.startswith("label agreement"))
    assert len(csv.strip().splitlines()) == 1 + 2 * sum(len(protocol_named(b["protocol"]).metrics) for b in boards)


def test_a_complete_private_dataset_is_ranked(tmp_path: Path) -> None:
    ids = [f"image{i:05d}" for i in range(12)]
    draw_aflw2000(tmp_path / "faces", count=12, seed=2, ids=ids)
    draw_catalog(tmp_path / "catalog", ids)
    common = {"cwd": tmp_path, "HPBENCH_CATALOG": str(tmp_path / "catalog")}
    result = hpbench("run", "-m", "frontal", "-d", "miniature", "--data", "faces", **common)  # type: ignore[arg-type]
    assert result.returncode == 0 and "not ranked" not in result.stdout
    board = json.loads(hpbench("leaderboard", "hpbench-out", "-d", "miniature", "--format", "json", **common).stdout)  # type: ignore[arg-type]
    assert board[0]["rows"][0]["rank"] == 1 and board[0]["rows"][0]["marks"] == ["labels not compared"]


def test_prediction_files_and_data_by_environment(faces: Path, zeros: Path, tmp_path: Path) -> None:
    result = hpbench("score", zeros, "-d", "aflw2000", cwd=tmp_path, HPBENCH_DATA=str(faces.parent))
    refused(result, 3, "there is no such folder")  # it must lie in <HPBENCH_DATA>/aflw2000
    os.rename(faces, faces.parent / "aflw2000")
    try:
        assert hpbench("score", zeros, "-d", "aflw2000", cwd=tmp_path, HPBENCH_DATA=str(faces.parent)).returncode == 0
    finally:
        os.rename(faces.parent / "aflw2000", faces)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "-m", "frontal", "-d", "aflw2000"], 3, ["HPBENCH_DATA", "Licence:", "Layout:", "AFLW2000-3D.zip"]),
        (["run", "-m", "frontal", "-d", "aflw2000", "--data", "nowhere"], 3, ["nowhere", "there is no such folder"]),
        (["run", "-m", "frontal", "-d", "aflw2000", "--data", "else"], 3, ["notes.txt", "Licence:"]),
        (["run", "-m", "frontal", "-d", "aflw200", "--data", "{faces}"], 2, ["did you mean 'aflw2000'?"]),
        (["run", "-m", "fontal", "-d", "aflw2000", "--data", "{faces}"], 2, ["did you mean 'frontal'?"]),
        (
            ["run", "-m", "frontal", "-d", "aflw2000", "--data", "{faces}", "--protocol", "aflw2000/pose1969"],
            2,
            ["did you mean 'aflw2000/pose-1969'?"],
        ),
        (
            ["run", "-m", "frontal", "-d", "aflw2000", "--data", "{faces}", "--protocol", "aflw2000/pose-1969@7"],
            2,
            ["is at version 1 here"],
        ),
        (["run", "-m", "frontal", "-d", "aflw2000", "--data", "{faces}", "--protocol", "landmarks-original"], 2, ["hold no landmarks"]),
        (["run", "-m", "frontal", "-d", "aflw2000", "--data", "{faces}", "--boxes", "landmark"], 2, ["did you mean 'landmarks'?"]),
        (["run", "-m", "frontal", "-d", "aflw2000", "--data", "{faces}", "--limit", "0"], 2, ["--limit must be at least 1"]),
        (["run", "-m", "frontal", "-d", "aflw2000", "--data", "{faces}", "--model-arg", "x=1"], 2, ["takes no argument 'x'"]),
        (["run", "-m", "frontal", "-d", "aflw2000", "--data", "evil.zip"], 2, ["evil.zip", "climbs out"]),
        (["run", "-m", "frontal", "-d", "aflw2000", "--data", "broken"], 2, [f"{IDS[0]}.mat", "truncated"]),
        (["run", "-m", "frontal", "-d", "aflw2000", "--data", "poseless"], 2, [f"{IDS[0]}.mat", "there is no Pose_Para"]),
        (
            ["run", "-m", "card.toml", "-d", "aflw2000", "--data", "{faces}"],
            2,
            ["card.toml", "unknown key 'licens'", "did you mean 'licence'?"],
        ),
        (["score", "nothing.csv", "-d", "aflw2000", "--data", "{faces}"], 2, ["there is no such file"]),
        (["score", "{zeros}", "--data", "{faces}"], 2, ["say which dataset"]),
        (["leaderboard", "nothing"], 2, ["there is no such record or folder"]),
        (["leaderboard", "-d", "biwy"], 2, ["unknown dataset"]),
        (["models", "show", "frontl"], 2, ["did you mean 'frontal'?"]),
        (["protocols", "show", "aflw2000/pose"], 2, ["unknown protocol"]),
        (["datasets", "show", "aflw200"], 2, ["did you mean 'aflw2000'?"]),
        (["rum"], 2, ["did you mean 'run'?"]),
        (["run", "--modle", "x"], 2, ["--model"]),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    arguments: list[str], code: int, words: list[str], faces: Path, zeros: Path, tmp_path: Path
) -> None:
    from scipy.io import savemat

    (tmp_path / "else").mkdir()
    (tmp_path / "else/notes.txt").write_text("x")
    for name, data in (("broken", (faces / f"{IDS[0]}.mat").read_bytes()[:700]), ("poseless", None)):
        (tmp_path / name).mkdir()
        if data is None:
            savemat(tmp_path / name / f"{IDS[0]}.mat", {"pt3d_68": np.zeros((3, 68))})
        else:
            (tmp_path / name / f"{IDS[0]}.mat").write_bytes(data)
        (tmp_path / name / f"{IDS[0]}.jpg").write_bytes((faces / f"{IDS[0]}.jpg").read_bytes())
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../image00002.mat", "x")
    (tmp_path / "card.toml").write_text('id = "x"\ntitle = "x"\nlicens = "x"\n')
    result = hpbench(*[a.format(faces=faces, zeros=zeros) for a in arguments], cwd=tmp_path)
    refused(result, code, *words)


def test_lists_and_shows(tmp_path: Path) -> None:
    datasets = json.loads(hpbench("datasets", "list", "--json", cwd=tmp_path).stdout)
    assert "aflw2000/pose-1969@1" in next(d for d in datasets if d["id"] == "aflw2000")["protocols"]
    assert {m["id"] for m in json.loads(hpbench("models", "list", "--json", cwd=tmp_path).stdout)} >= {"frontal", "dlib68", "fsanet"}
    assert "Licence: Research only" in hpbench("datasets", "show", "aflw2000", cwd=tmp_path).stdout
    shown = hpbench("protocols", "show", "aflw2000/pose-1969", cwd=tmp_path).stdout
    assert "99" in shown and "sha256" in shown
    for command in ("datasets", "models", "protocols"):
        assert hpbench_process(command, "list", cwd=tmp_path).returncode == 0
    assert json.loads(hpbench("protocols", "show", "aflw2000/pose-1969", "--json", cwd=tmp_path).stdout)["version"] == 1
    assert "vision" in hpbench("models", "show", "fsanet", cwd=tmp_path).stdout.lower()


def test_a_reader_that_goes_away_is_no_error(faces: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hpbench", "datasets", "show", "aflw2000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    told = process.stderr.read().decode()
    process.wait(timeout=60)
    assert "Traceback" not in told


def test_the_model_file_is_written_with_what_was_given(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        "import numpy as np, hpbench\n"
        "class M(hpbench.Model):\n"
        "    name = 'my model | x'\n"
        "    def predict(self, images, boxes_xyxy_px):\n"
        "        return hpbench.Faces(landmarks=np.repeat(boxes_xyxy_px[:, None, :2], 68, axis=1), scheme='ibug68-contour')\n"
    )
    common = ["run", "-m", "m.py:M", "-d", "aflw2000", "--data", faces]
    refused(hpbench(*common, cwd=tmp_path), 2, "the predictions are ibug68-contour, the labels ibug68-fixed", "--mix-schemes")
    mixed = hpbench(*common, "--mix-schemes", cwd=tmp_path)
    assert mixed.returncode == 0 and "schemes mixed" in mixed.stdout
    written = read_predictions(tmp_path / "hpbench-out/my-model-x/aflw2000/predictions.h5")
    assert (written.model, written.boxes, written.faces.scheme) == ("my model | x", "landmarks", "ibug68-contour")
    board = hpbench("leaderboard", "hpbench-out", "--format", "markdown", cwd=tmp_path).stdout
    assert "my model \\| x" in board and "schemes mixed" in board


def test_arguments_make_another_model(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "left.py").write_text(
        "import numpy as np, hpbench\n"
        "class Left(hpbench.Model):\n"
        "    def __init__(self, yaw_deg: float = 0.0):\n"
        "        self.yaw_deg = yaw_deg\n"
        "    def predict(self, images, boxes_xyxy_px):\n"
        "        return hpbench.Faces(euler_deg=np.tile([self.yaw_deg, 0, 0], (len(images), 1)), convention='300w-lp')\n"
    )
    for yaw in (10, 45):
        assert (
            hpbench(
                "run", "-m", "left.py:Left", "-d", "aflw2000", "--data", faces, "--model-arg", f"yaw_deg={yaw}", cwd=tmp_path
            ).returncode
            == 0
        )
    board = hpbench("leaderboard", "hpbench-out", "--protocol", "pose-1969", "-d", "aflw2000", cwd=tmp_path).stdout
    assert "Left (yaw_deg=10)" in board and "Left (yaw_deg=45)" in board
    records = sorted((tmp_path / "hpbench-out").rglob("*pose-1969@*.json"))
    assert [json.loads(r.read_text())["model"]["arguments"] for r in records] == [{"yaw_deg": 10}, {"yaw_deg": 45}]


def test_score_does_not_replace_the_records_of_other_predictions(faces: Path, zeros: Path, tmp_path: Path) -> None:
    hpbench("score", zeros, "-d", "aflw2000", "--data", faces, cwd=tmp_path)
    assert hpbench("score", zeros, "-d", "aflw2000", "--data", faces, cwd=tmp_path).returncode == 0, "the same predictions again"
    other = tmp_path / "other.csv"
    other.write_text(zeros.read_text().replace(",0,0,0", ",1,0,0"))
    refused(hpbench("score", other, "-d", "aflw2000", "--data", faces, cwd=tmp_path), 2, "is the record of other predictions", "-o")
    assert hpbench("score", other, "-d", "aflw2000", "--data", faces, "-o", "elsewhere", cwd=tmp_path).returncode == 0


def test_predictions_of_no_face_that_is_here(faces: Path, tmp_path: Path) -> None:
    far = (split_ids(dataset_card("aflw2000"), "all") or [])[-2:]
    (tmp_path / "far.csv").write_text("# convention=300w-lp\nsample_id,yaw_deg,pitch_deg,roll_deg\n" + "".join(f"{i},0,0,0\n" for i in far))
    result = hpbench("score", "far.csv", "-d", "aflw2000", "--data", faces, cwd=tmp_path)
    assert result.returncode == 2 and "none of its 2 rows is a face whose labels are here" in result.stderr and "far.csv" in result.stderr


def test_a_run_is_continued_on_the_same_weights_and_data_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 2)
    draw_aflw2000(tmp_path / "faces", count=20, seed=1, ids=IDS)
    (tmp_path / "w.py").write_text(
        "import os, numpy as np, hpbench\n"
        "class W(hpbench.Model):\n"
        "    batch_size = 2\n"
        "    def __init__(self, weights):\n"
        "        self.yaw, self.calls = float(weights.read_text()), 0\n"
        "    def predict(self, images, boxes_xyxy_px):\n"
        "        self.calls += 1\n"
        "        if os.environ.get('STOP') and self.calls > 3:\n"
        "            return hpbench.Faces(euler_deg=np.full((len(images), 3), np.nan), convention='300w-lp')\n"
        "        return hpbench.Faces(euler_deg=np.tile([self.yaw, 0, 0], (len(images), 1)), convention='300w-lp')\n"
    )
    for name, yaw in (("one", 1), ("two", 2)):
        (tmp_path / name).write_text(str(yaw))

    def run(weights: str, *options: object, **environment: str) -> Done:
        common = ["-m", "w.py:W", "-d", "aflw2000", "--data", "faces", "-o", "out", "--weights", weights]
        return hpbench("run", *common, *options, cwd=tmp_path, **environment)

    assert run("one", "--max-failures", 0, STOP="1").returncode == 2
    assert len(list((tmp_path / "out/predictions.parts").glob("part-*.h5"))) == 3
    refused(run("two"), 2, "an unfinished run, of which weights is")
    (tmp_path / "faces" / f"{IDS[5]}.jpg").write_bytes(b"changed")
    refused(run("one"), 2, "an unfinished run, of which data is")


def test_landmarks_of_another_length_do_not_stop_the_pose(faces: Path, tmp_path: Path) -> None:
    rotation, landmarks = np.tile(np.eye(3), (20, 1, 1)), np.zeros((20, 51, 2))
    np.savez(tmp_path / "p51.npz", sample_id=np.array(IDS), rotation=rotation, landmarks=landmarks)
    result = hpbench("score", "p51.npz", "-d", "aflw2000", "--data", faces, cwd=tmp_path)
    assert result.returncode == 0 and "pose-1969@1" in result.stdout
    assert "51 landmarks a face" in result.stderr


def test_labels_that_are_not_here_are_told_before_the_model_runs(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "never.py").write_text(
        "import hpbench\n"
        "class Never(hpbench.Model):\n"
        "    def predict(self, images, boxes_xyxy_px):\n"
        "        open('was-called', 'w').close()\n"
    )
    never = ["run", "-m", "never.py:Never", "-d", "aflw2000", "--data", faces, "--protocol", "landmarks-reannotated"]
    refused(hpbench_process(*never, cwd=tmp_path), 3, "there are no reannotated labels")
    assert not (tmp_path / "was-called").exists()


def test_radians_are_noticed(faces: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "rad.npz", sample_id=np.array(IDS), euler_deg=rng.uniform(-1.5, 1.5, (20, 3)), convention=np.array("300w-lp"))
    assert "radians?" in hpbench("score", "rad.npz", "-d", "aflw2000", "--data", faces, cwd=tmp_path).stdout


def test_other_labels_under_the_same_names_are_not_verified(tmp_path: Path) -> None:
    ids = [f"image{i:05d}" for i in range(12)]
    draw_aflw2000(tmp_path / "faces", count=12, seed=2, ids=ids)
    draw_catalog(tmp_path / "catalog", ids)
    card = tmp_path / "catalog/datasets/miniature/card.toml"
    card.write_text(card.read_text() + "\n[statistics.all.original]\nfaces = 12\nmean_abs_yaw_deg = 1.0\n")
    common = {"cwd": tmp_path, "HPBENCH_CATALOG": str(tmp_path / "catalog")}
    result = hpbench("run", "-m", "frontal", "-d", "miniature", "--data", "faces", **common)  # type: ignore[arg-type]
    assert (
        "(unverified, not ranked)" in result.stdout and "the labels are not those the card describes: mean_abs_yaw_deg is" in result.stdout
    )
    board = json.loads(hpbench("leaderboard", "hpbench-out", "-d", "miniature", "--format", "json", **common).stdout)  # type: ignore[arg-type]
    assert board[0]["rows"][0]["rank"] is None and board[0]["rows"][0]["marks"] == ["unverified"]


def test_names_that_are_too_long_are_no_traceback(faces: Path, tmp_path: Path) -> None:
    refused(hpbench("run", "-m", "frontal", "-d", "aflw2000", "--data", faces, "-o", "x" * 300, cwd=tmp_path), 2, "x" * 20)
    refused(hpbench("run", "-m", "x" * 300 + ".py:M", "-d", "aflw2000", "--data", faces, cwd=tmp_path), 2, "x" * 20)


def test_the_boxes_are_those_of_the_protocol_asked_for(tmp_path: Path) -> None:
    """A protocol with other boxes than the card's default is run with its own; a mixture is refused before the model runs."""
    ids = [f"image{i:05d}" for i in range(12)]
    draw_aflw2000(tmp_path / "faces", count=12, seed=2, ids=ids)
    draw_catalog(tmp_path / "catalog", ids)
    folder = tmp_path / "catalog/datasets/miniature"
    card = folder / "card.toml"
    card.write_text(card.read_text() + '\n[boxes.other]\nsource = "landmarks"\n')
    protocol = (folder / "protocols/pose.toml").read_text()
    (folder / "protocols/other.toml").write_text(
        protocol.replace("miniature/pose", "miniature/other").replace('boxes = "landmarks"', 'boxes = "other"')
    )
    common = {"cwd": tmp_path, "HPBENCH_CATALOG": str(tmp_path / "catalog")}
    run = ["run", "-m", "frontal", "-d", "miniature", "--data", "faces"]
    assert hpbench(*run, "--protocol", "other", "-o", "a", **common).returncode == 0  # type: ignore[arg-type]
    assert read_predictions(tmp_path / "a/predictions.h5").boxes == "other"
    default = hpbench(*run, "-o", "b", **common)  # type: ignore[arg-type]
    assert default.returncode == 0 and "miniature/other@1 is not scored: the model was given the boxes 'landmarks'" in default.stderr
    refused(hpbench(*run, "--protocol", "other", "--protocol", "pose", "-o", "c", **common), 2, "run it by itself")  # type: ignore[arg-type]


def test_no_image_at_all_is_told_before_running(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    for mat in faces.glob("*.mat"):
        (tmp_path / "labels" / mat.name).write_bytes(mat.read_bytes())
    refused(
        hpbench("run", "-m", "frontal", "-d", "aflw2000", "--data", "labels", "-o", "out", cwd=tmp_path),
        3,
        "none of the 20 faces",
        "hpbench score",
    )
    assert not (tmp_path / "out").exists()


def test_an_output_folder_inside_the_data_does_not_change_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 2)
    draw_aflw2000(tmp_path, count=12, seed=1, ids=IDS[:12])
    (tmp_path / "m.py").write_text(
        "import os, numpy as np, hpbench\n"
        "class M(hpbench.Model):\n"
        "    batch_size = 2\n"
        "    def predict(self, images, boxes_xyxy_px):\n"
        "        gone = bool(os.environ.get('STOP')) and boxes_xyxy_px[0, 0] != FIRST\n"
        "        return hpbench.Faces(euler_deg=np.full((len(images), 3), np.nan if gone else 1.0), convention='300w-lp')\n".replace(
            "FIRST", repr(float(_first_box(tmp_path)))
        )
    )
    run = ["run", "-m", "m.py:M", "-d", "aflw2000", "--data", "."]
    stopped = hpbench(*run, "--max-failures", 0, cwd=tmp_path, STOP="1")
    assert stopped.returncode == 2 and "--max-failures 0" in stopped.stderr
    again = hpbench(*run, cwd=tmp_path)
    assert again.returncode == 0 and "continuing the unfinished run" in again.stderr, again.stderr


def _first_box(folder: Path) -> float:
    import hpbench as package

    return next(package.load("aflw2000", folder).samples()).box_xyxy_px[0]
