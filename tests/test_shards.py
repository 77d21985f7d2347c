"""A run in shares: joined, they are what one process makes; whatever does not belong together is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from spread_runs import COUNT, MODEL, RECORDS, assert_same_run, hpbench, make_run

from hpbench import jobs
from hpbench.errors import InputError
from hpbench.parts import FOLDER as PARTS
from hpbench.parts import Shard
from hpbench.predictions import read_predictions
from hpbench.records import Record, read_record


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 4)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, model and ``whole``, the run of a single process."""
    folder = tmp_path_factory.mktemp("study")
    make_run(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpbench.parts._FACES_PER_PART", 4)
        run(folder, folder / "whole")
    return folder


def run(study: Path, out: Path, shard: str = "", **options: object) -> list[Record]:
    number, _, count = shard.partition("/")
    share = Shard(int(number), int(count)) if shard else None
    given: dict[str, object] = {"data": study / "faces", "out": out, "shard": share, **options}
    return jobs.run(f"{study / 'model.py'}:Colour", "aflw2000", **given)  # type: ignore[arg-type]


def shares(study: Path, out: Path, count: int = 2, **options: object) -> list[Path]:
    """All shares of a run."""
    for number in range(count):
        assert run(study, out, f"{number + 1}/{count}", **options) == []
    return [out / "shards" / f"{number + 1}-of-{count}" for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 9])  # 9: of seven parts, two shares have nothing to do
def test_the_joined_run_is_that_of_one_process(study: Path, tmp_path: Path, count: int) -> None:
    shares(study, tmp_path / "out", count)
    records = jobs.merge([tmp_path / "out"])
    assert sorted(r.file_name for r in records) == sorted(f"{name}.json" for name in RECORDS)
    assert all(r.timing is None for r in records), "the time of several machines is no speed of one"
    assert_same_run(study / "whole", tmp_path / "out")


def test_each_face_is_predicted_once(study: Path, tmp_path: Path) -> None:
    (study / "calls").unlink()
    shares(study, tmp_path / "out", 3)
    assert sorted(int(line.split()[1]) for line in (study / "calls").read_text().splitlines()) == [2, 4, 4, 4, 4, 4, 4]


def test_through_the_command(study: Path, tmp_path: Path) -> None:
    options = ["-m", f"{study / 'model.py'}:Colour", "-d", "aflw2000", "--data", "faces", "-o", tmp_path / "out"]  # a relative path
    told = [hpbench("run", *options, "--shard", f"{number}/2", cwd=study) for number in (2, 1)]
    assert [t.returncode for t in told] == [0, 0] and all(t.stdout == "" for t in told), told
    assert f"share 2/2 is complete in {tmp_path / 'out/shards/2-of-2'}; when all are: hpbench merge {tmp_path / 'out'}" in told[0].stderr
    assert "of 2000 faces of aflw2000 are here" in told[1].stderr and "faces of aflw2000" not in told[0].stderr, "said once"
    # `merge` makes no model, whose file cuts the parts so small: here it is done for it
    driver = "import sys, hpbench.parts; hpbench.parts._FACES_PER_PART = 4; from hpbench.cli import main; main()"
    joined = hpbench("merge", tmp_path / "out", "--json", launcher=("-c", driver), cwd=tmp_path)
    assert joined.returncode == 0, joined.stderr
    assert [record["partial"] for record in json.loads(joined.stdout)] == [True] * 3
    assert_same_run(study / "whole", tmp_path / "out")


@pytest.mark.parametrize("options", [{"limit": 9}, {"batch_size": 3}, {"protocol": "pose-1969", "metrics": "geodesic"}, {"reduced": True}])
def test_the_options_of_a_run_hold_for_its_shares(study: Path, tmp_path: Path, options: dict[str, object]) -> None:
    whole = run(study, tmp_path / "whole", **options)
    shares(study, tmp_path / "out", **options)
    records = jobs.merge([tmp_path / "out"])
    assert (tmp_path / "whole/predictions.h5").read_bytes() == (tmp_path / "out/predictions.h5").read_bytes()
    assert len(records) == len(whole) and all(a.same_as(b) for a, b in zip(whole, records, strict=True))
    assert len(read_predictions(tmp_path / "out/predictions.h5").faces) == options.get("limit", COUNT)


def test_machines_with_copies_of_their_own(study: Path, tmp_path: Path) -> None:
    """Data, weights and model elsewhere, written at other times; the shares are carried together afterwards."""
    folders = []
    for machine in ("1", "2"):
        shutil.copytree(study / "faces", tmp_path / machine / "faces")
        for path in (tmp_path / machine / "faces").iterdir():
            os.utime(path, (1e9, 1e9 + int(machine)))
        (tmp_path / machine / "model.py").write_text(MODEL)
        run(tmp_path / machine, tmp_path / machine / "out", f"{machine}/2")
        folders.append(shutil.move(tmp_path / machine / f"out/shards/{machine}-of-2", tmp_path / f"share{machine}"))
        shutil.rmtree(tmp_path / machine)
    with pytest.raises(InputError, match="the shares lie in .* say with -o where"):
        jobs.merge(folders, data=[study / "faces"])
    jobs.merge(folders, data=[study / "faces"], out=tmp_path / "out")
    assert_same_run(study / "whole", tmp_path / "out")
    assert all(folder.is_dir() for folder in folders), "what was brought here is not ours to remove"


def test_a_share_that_was_killed_goes_on(study: Path, tmp_path: Path) -> None:
    first, _ = shares(study, tmp_path / "out")
    (first / PARTS / "part-000004.h5").unlink()
    (study / "calls").unlink()
    remarks: list[str] = []
    run(study, tmp_path / "out", "1/2", remark=remarks.append)
    assert len((study / "calls").read_text().splitlines()) == 1
    assert any("continuing the unfinished run" in r and "10 of 14 faces" in r for r in remarks)
    jobs.merge([tmp_path / "out"])
    assert_same_run(study / "whole", tmp_path / "out")


@pytest.mark.parametrize("step", ["_take", "score_protocols", "forget_parts", "_forget"])
def test_a_merge_that_was_killed_is_given_again(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    shares(study, tmp_path / "out", 3)

    class Killed(BaseException):
        pass

    module = "hpbench.shards" if step.startswith("_") else "hpbench.closing"
    real, calls = getattr(__import__(module, fromlist=[step]), step), []

    def killed(*args: object, **keywords: object) -> object:
        calls.append(args)
        if len(calls) == (4 if step == "_take" else 1):
            raise Killed
        return real(*args, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(f"{module}.{step}", killed)
        with pytest.raises(Killed):
            jobs.merge([tmp_path / "out"])
    jobs.merge([tmp_path / "out"])
    assert_same_run(study / "whole", tmp_path / "out")


def test_a_share_is_missing(study: Path, tmp_path: Path) -> None:
    folders = shares(study, tmp_path / "out", 3)
    shutil.rmtree(folders[1])
    with pytest.raises(InputError, match=r"share 2/3 is missing: run it with --shard, or name its folder beside .*1-of-3"):
        jobs.merge([tmp_path / "out"])
    with pytest.raises(InputError, match=r"shares 1/3, 2/3 are missing: run them"):
        jobs.merge([folders[2]])


def test_a_share_is_not_complete(study: Path, tmp_path: Path) -> None:
    folders = shares(study, tmp_path / "out")
    (folders[1] / PARTS / "part-000003.h5").unlink()
    with pytest.raises(InputError, match=r"share 2/2 is not complete \(part-000003.h5 is missing\): run it again"):
        jobs.merge([tmp_path / "out"])
    assert not (tmp_path / "out/predictions.h5").exists() and folders[0].is_dir()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 2}, "batch_size is 2 and not 4"),
        ({"limit": 20}, "limit is 20 and not None"),
        ({"mix_schemes": True}, "mix_schemes is True and not False"),
        ({"metrics": "geodesic"}, "metrics is"),
    ],
)
def test_shares_of_other_runs(study: Path, tmp_path: Path, changes: dict[str, object], words: str) -> None:
    run(study, tmp_path / "a", "1/2")
    run(study, tmp_path / "b", "2/2", **changes)
    with pytest.raises(InputError, match=words):
        jobs.merge([tmp_path / "a", tmp_path / "b"], out=tmp_path / "out")


def test_a_share_of_another_model(study: Path, tmp_path: Path) -> None:
    run(study, tmp_path / "a", "1/2")
    (tmp_path / "model.py").write_text(f"{MODEL}\n")
    run(tmp_path, tmp_path / "b", "2/2", data=study / "faces")
    with pytest.raises(InputError, match="is a share of another run than .*: version is 'sha256:"):
        jobs.merge([tmp_path / "a", tmp_path / "b"], out=tmp_path / "out")


def test_shares_of_other_faces(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "faces", tmp_path / "faces")
    next((tmp_path / "faces").glob("*.mat")).unlink()
    run(study, tmp_path / "a", "1/2")
    run(study, tmp_path / "b", "2/2", data=tmp_path / "faces")
    with pytest.raises(InputError, match="was made of other faces than .*: the data must be the same on all machines"):
        jobs.merge([tmp_path / "a", tmp_path / "b"], out=tmp_path / "out")
    run(study, tmp_path / "a", "2/2")
    with pytest.raises(InputError, match="the run had other faces than the 25 that are in the data given here"):
        jobs.merge([tmp_path / "a"], data=[tmp_path / "faces"])


def test_a_share_that_is_there_twice(study: Path, tmp_path: Path) -> None:
    folders = shares(study, tmp_path / "out")
    with pytest.raises(InputError, match=r"share 2/2 is there twice: .*2-of-2 and .*copy"):
        jobs.merge([tmp_path / "out", shutil.copytree(folders[1], tmp_path / "copy")])
    jobs.merge([tmp_path / "out", folders[1]])  # named twice is there once


def test_shares_of_two_ways_to_cut(study: Path, tmp_path: Path) -> None:
    run(study, tmp_path / "out", "1/3")
    shares(study, tmp_path / "out")
    with pytest.raises(InputError, match="are shares of two runs, .*: name those of one"):
        jobs.merge([tmp_path / "out"])
    jobs.merge([tmp_path / "out/shards/1-of-2", tmp_path / "out/shards/2-of-2"])
    assert (tmp_path / "out/shards/1-of-3").is_dir()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is no JSON"),
        ("[1]", "is no job of this version"),
        ('{"schema": 2}', "is no job of this version"),
        ('{"schema": 1}', "the key 'model' is missing"),
        (None, "its shard is '7/2'"),
        ("[" * 100_000, "is no JSON"),
        ("x" * (2 << 20), "bytes are no job.json"),
    ],
)
def test_a_damaged_job(study: Path, tmp_path: Path, content: str | None, words: str) -> None:
    folders = shares(study, tmp_path / "out")
    path = folders[1] / "job.json"
    path.write_text(path.read_text().replace('"2/2"', '"7/2"') if content is None else content)
    with pytest.raises(InputError, match=words):
        jobs.merge([tmp_path / "out"])


@pytest.mark.parametrize("key", ["facts", "options"])
def test_a_job_with_other_things_in_it(study: Path, tmp_path: Path, key: str) -> None:
    folders = shares(study, tmp_path / "out")
    for folder in folders:
        table = json.loads((folder / "job.json").read_text())
        (folder / "job.json").write_text(json.dumps({**table, key: {"foreign": 1}}))
    with pytest.raises(InputError, match=f"job.json: {key}: unknown key 'foreign'"):
        jobs.merge([tmp_path / "out"])


def test_a_part_with_other_faces(study: Path, tmp_path: Path) -> None:
    folders = shares(study, tmp_path / "out")
    part = folders[1] / PARTS / "part-000003.h5"
    content = part.read_bytes()
    part.write_bytes((folders[0] / PARTS / "part-000002.h5").read_bytes())
    for damage in (None, content[:-1], content[: len(content) // 2]):
        if damage is not None:
            part.write_bytes(damage)
        with pytest.raises(InputError, match="part-000003.h5: is damaged, or holds other faces than it should: run share 2/2 again"):
            jobs.merge([tmp_path / "out"])
    run(study, tmp_path / "out", "2/2")
    jobs.merge([tmp_path / "out"])
    assert_same_run(study / "whole", tmp_path / "out")


def test_a_trial_does_not_replace_a_whole_run(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "whole", tmp_path / "out")
    with pytest.raises(InputError, match="--limit 8 would replace them by 8"):
        run(study, tmp_path / "out", "1/2", limit=8)
    shares(study, tmp_path / "small", limit=8)
    with pytest.raises(InputError, match="--limit 8 would replace them by 8"):
        jobs.merge([tmp_path / "small"], out=tmp_path / "out")


def test_nothing_to_merge(study: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no share of a run in it \(no job.json\): hpbench run --shard"):
        jobs.merge([tmp_path])
    with pytest.raises(InputError, match="the run is finished and its shares are gone"):
        jobs.merge([study / "whole"])


def test_merging_over_a_run_of_ones_own_keeps_its_time(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "whole", tmp_path / "out")
    shares(study, tmp_path / "out")
    jobs.merge([tmp_path / "out"])
    assert_same_run(study / "whole", tmp_path / "out")
    assert read_record(tmp_path / f"out/{RECORDS[0]}.json").model == read_record(study / f"whole/{RECORDS[0]}.json").model


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "1/0", "-1/2", "a/b", "1/2/3"])
def test_a_share_that_makes_no_sense(study: Path, tmp_path: Path, text: str) -> None:
    told = hpbench("run", "-m", "frontal", "-d", "aflw2000", "--data", study / "faces", "--shard", text, cwd=tmp_path)
    assert told.returncode == 2 and "write it as I/N" in told.stderr


def test_one_way_at_a_time(study: Path, tmp_path: Path) -> None:
    told = hpbench("run", "-m", "frontal", "-d", "aflw2000", "--shard", "1/2", "--ray", "auto", cwd=tmp_path)
    assert told.returncode == 2 and "by one of them" in told.stderr
