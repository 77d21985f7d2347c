"""Several models over several datasets by a plan: what is skipped, what fails alone, what is refused."""

from __future__ import annotations

import functools
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_study import COUNT, command, draw_study
from spread_runs import MODEL, hpbench

from hpbench.parts import FOLDER as PARTS
from hpbench.predictions import read_predictions
from hpbench.records import read_record
from hpbench.sweep import read_plan, sweep

PLAN = """
out = "results"
[[model]]
model = "frontal"
[[model]]
model = "model.py:Colour"
name = "colour"
[[dataset]]
dataset = "miniature"
data = ["faces"]
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    draw_study(folder)
    return folder


@pytest.fixture
def study(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a plan, its data and a model."""
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "plan.toml").write_text(PLAN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HPBENCH_CATALOG", str(tmp_path / "catalog"))
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 4)
    return tmp_path


def swept(plan: str = PLAN) -> list[tuple[str, str]]:
    """Model and state of every run of a plan."""
    Path("plan.toml").write_text(plan)
    return [(cell.model, cell.state) for cell in sweep(read_plan(Path("plan.toml")))]


def test_a_plan_is_run_and_run_again_skipped(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = command(capsys, "sweep", "plan.toml")
    assert code == 0, err
    lines = [line.split() for line in out.splitlines()]
    assert [line[:4] for line in lines[2:]] == [["frontal", "miniature", "done", "pose"], ["colour", "miniature", "done", "pose"]]
    assert "colour on miniature: done pose" in err
    record = study / "results/colour/miniature/miniature.pose@1.json"
    assert f"pose {read_record(record).main.value:.4g} deg" in out
    stamps = {path: path.stat().st_mtime_ns for path in (study / "results").rglob("*") if path.is_file()}
    calls = (study / "calls").read_text()

    code, out, err = command(capsys, "sweep", "plan.toml", "--json")
    runs = json.loads(out)["runs"]
    assert code == 0 and [run["state"] for run in runs] == ["exists", "exists"]
    assert runs[1]["folder"] == "results/colour/miniature" and "deg" in runs[1]["detail"]
    assert (study / "calls").read_text() == calls, "no model was asked again"
    assert {path: path.stat().st_mtime_ns for path in (study / "results").rglob("*") if path.is_file()} == stamps


def test_batches_may_be_left_to_the_machine(study: Path) -> None:
    assert swept(PLAN.replace('name = "colour"', 'batch_size = "auto"'))[1][1] == "done"


def test_a_run_that_fails_does_not_end_the_others(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = PLAN.replace("[[model]]", '[[model]]\nmodel = "nonsense"\n[[model]]\nmodel = "fsanet"\nweights = "nowhere"\n[[model]]', 1)
    (study / "plan.toml").write_text(plan)
    code, out, err = command(capsys, "sweep", "plan.toml", "--json")
    assert code == 1
    found = {run["model"]: run for run in json.loads(out)["runs"]}
    assert {model: run["state"] for model, run in found.items()} == {
        "nonsense": "failed", "fsanet": "failed", "frontal": "done", "colour": "done"
    }  # fmt: skip
    assert "unknown model 'nonsense'" in found["nonsense"]["detail"] and "nowhere" in found["fsanet"]["detail"]


def test_a_disk_that_is_full_fails_one_run(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hpbench.sweep as module

    real = module.run

    def run(model: str, *arguments: object, **options: object) -> object:
        if model == "frontal":
            raise OSError(28, "No space left on device")
        return real(model, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "run", run)
    assert swept() == [("frontal", "failed"), ("colour", "done")]


def test_records_of_other_options_are_neither_taken_nor_overwritten(study: Path) -> None:
    limited = PLAN.replace('data = ["faces"]', 'data = ["faces"]\nlimit = 5')
    assert swept(limited) == [("frontal", "done"), ("colour", "done")]
    cells = sweep(read_plan(_written(PLAN)))
    assert [cell.state for cell in cells] == ["failed", "failed"]
    assert "results/colour/miniature holds records of another run, of which limit is 5 and not None" in cells[1].detail
    assert "give the model another name or the plan another out" in cells[1].detail
    assert swept(PLAN.replace('"results"', '"others"')) == [("frontal", "done"), ("colour", "done")]
    assert len(read_predictions(study / "others/colour/miniature/predictions.h5").faces) == COUNT


def test_records_of_code_that_was_edited_since_are_not_taken(study: Path) -> None:
    assert swept() == [("frontal", "done"), ("colour", "done")]
    (study / "model.py").write_text(MODEL + "\n# edited\n")
    cells = sweep(read_plan(_written(PLAN)))
    assert [cell.state for cell in cells] == ["exists", "failed"] and "of which code is" in cells[1].detail


def test_a_part_of_the_faces_is_called_one(study: Path) -> None:
    whole = sweep(read_plan(_written(PLAN)))
    assert not any("partial" in cell.detail for cell in whole)
    limited = PLAN.replace('data = ["faces"]', 'data = ["faces"]\nlimit = 5').replace('"results"', '"others"')
    assert all("(partial: 5 faces)" in cell.detail for cell in sweep(read_plan(_written(limited))))


def test_records_of_a_run_by_hand_are_taken(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(capsys, "run", "-m", "frontal", "-d", "miniature", "--data", "faces", "-o", "results/frontal/miniature")
    assert swept() == [("frontal", "exists"), ("colour", "done")]


def test_damaged_notes_of_what_was_asked(study: Path) -> None:
    swept()
    for content in ("{", "\udcff", "[]"):
        (study / "results/colour/miniature/sweep.json").write_bytes(content.encode("utf-8", "surrogateescape"))
        assert swept() == [("frontal", "exists"), ("colour", "failed")]


def test_killed_and_given_again(study: Path) -> None:
    (study / "delay").write_text("0.5")
    process = subprocess.Popen([sys.executable, "-m", "hpbench", "sweep", "plan.toml"], stdout=-3, stderr=-3)
    parts = study / "results/colour/miniature" / PARTS
    deadline = time.monotonic() + 60
    while not list(parts.glob("part-*.h5")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    (study / "delay").unlink()
    remarks: list[str] = []
    cells = sweep(read_plan(study / "plan.toml"), remark=remarks.append)
    assert [cell.state for cell in cells] == ["exists", "done"]
    assert any("colour on miniature: continuing the unfinished run" in remark for remark in remarks)
    assert [int(line.split()[1]) for line in (study / "calls").read_text().splitlines()].count(4) in (3, 4)  # one may be lost in mid-call


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("", "the key 'model' is missing"),
        ("model = []\ndataset = []", "at least one"),
        (PLAN.replace("out =", "output ="), "unknown key 'output': did you mean 'out'"),
        (PLAN.replace("name =", "nam ="), "unknown key 'nam'"),
        (PLAN.replace('data = ["faces"]', 'data = "faces"'), "expected a list"),
        (PLAN.replace('"miniature"', '"miniatur"'), "did you mean 'miniature'"),
        (PLAN.replace('name = "colour"', 'name = "frontal"'), "two models would write to 'frontal': give them a name each"),
        (PLAN.replace('name = "colour"', 'name = "FRONTAL."'), "two models would write to 'frontal'"),
        (PLAN.replace("[[dataset]]", '[[dataset]]\ndataset = "miniature"\n[[dataset]]'), "'miniature' stands there twice"),
        (PLAN.replace('name = "colour"', "batch_size = true"), "expected a whole number"),
        (PLAN.replace('name = "colour"', 'batch_size = "some"'), "expected a whole number"),
        ("[[", "not valid TOML"),
    ],
)
def test_plans_that_are_none(study: Path, capsys: pytest.CaptureFixture[str], plan: str, words: str) -> None:
    (study / "plan.toml").write_text(plan)
    code, out, err = command(capsys, "sweep", "plan.toml")
    assert code == 2 and out == "" and words in err and "plan.toml" in err
    assert not (study / "results").exists()


def test_no_plan_there(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(capsys, "sweep", "nowhere.toml")[0] == 2


def test_names_make_safe_folders(study: Path) -> None:
    plan = read_plan(_written(PLAN.replace('name = "colour"', 'name = "../a b/ü"')))
    assert plan.model[1].folder == "a-b-ü"


def test_one_model_twice_with_other_arguments(study: Path) -> None:
    both = '[[model]]\nmodel = "mnn"\n[[model]]\nmodel = "mnn"\narguments = {a = 1}\n[[dataset]]\ndataset = "miniature"'
    assert [model.folder for model in read_plan(_written(both)).model] == ["mnn", "mnn-a-1"]


def _written(plan: str) -> Path:
    Path("plan.toml").write_text(plan)
    return Path("plan.toml")


@pytest.mark.long
def test_on_a_cluster_of_this_machine_it_comes_out_the_same(study: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    assert swept() == [("frontal", "done"), ("colour", "done")]
    plan = PLAN.replace('"results"', '"by-ray"').replace("[[dataset]]", '[[model]]\nmodel = "nonsense"\n[[dataset]]')
    told = hpbench("sweep", _written(plan), "--ray", "local", "--json")  # in a process of its own, with which the cluster ends
    assert told.returncode == 1, told.stderr
    assert [run["state"] for run in json.loads(told.stdout)["runs"]] == ["done", "done", "failed"]
    for name in ("frontal", "colour"):
        one, other = (study / out / name / "miniature" for out in ("results", "by-ray"))
        assert (
            read_predictions(one / "predictions.h5").faces.content_sha256()
            == read_predictions(other / "predictions.h5").faces.content_sha256()
        )
        assert read_record(one / "miniature.pose@1.json").same_as(read_record(other / "miniature.pose@1.json"))


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to a child is POSIX")
def test_interrupted_on_a_cluster_it_ends(study: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    (study / "delay").write_text("60")
    heeding = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what a shell starts in the background does not
    command = [sys.executable, "-m", "hpbench", "sweep", "plan.toml", "--ray", "local"]
    process = subprocess.Popen(command, stdout=-1, stderr=-1, text=True, preexec_fn=heeding)
    deadline = time.monotonic() + 90
    while not (study / "results/colour/miniature" / PARTS / "run.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=50)
    assert process.returncode == 130 and "interrupted" in told and "Traceback" not in told, told
    assert out == ""


def test_what_is_missing_is_told_before_the_first_run(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "plan.toml").write_text(
        PLAN.replace('name = "colour"', 'name = "colour"\n[[model]]\nmodel = "frontl"\n[[model]]\nmodel = "fsanet"')
        + '[[dataset]]\ndataset = "aflw2000"\ndata = ["absent"]\n'
    )
    code, out, err = command(capsys, "sweep", "plan.toml")
    assert code == 1
    told = [line.partition(":")[0] for line in err.splitlines()]
    first = err.index("frontal on miniature")
    for said in ("will fail: frontl: unknown model 'frontl'", "will fail: fsanet: ", "will fail: aflw2000: "):
        assert said in err[:first], (said, told)
    assert "will fail: colour" not in err
    states = {tuple(line.split()[:3]) for line in out.splitlines()[2:]}
    assert {("frontal", "miniature", "done"), ("frontl", "miniature", "failed"), ("frontal", "aflw2000", "failed")} <= states
    assert max(map(len, out.splitlines())) < 150, "a failure is a line"
    code, out, err = command(capsys, "sweep", "plan.toml")
    assert "will fail: frontl" in err and "exists" in out
