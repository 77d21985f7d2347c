"""`hpbench render heads`: shards that are resumed, that say what made them, and that do not depend on how they were made."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("anny")
pytest.importorskip("warp")

from hpbench.errors import InputError
from hpbench.heads import generate
from hpbench.heads.generate import render_heads
from hpbench.heads.stream import HeadStream, PackedHeads
from hpbench.readers.files.head_shards import read_shard

ROOT = Path(__file__).resolve().parents[1]
EMBEDDED = ROOT / "datasets" / "heads" / "heads-test-1-0000000.zip"


@pytest.fixture(autouse=True)
def kept_model(clean_environment: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is kept in pytest's own cache: read a first time it takes a quarter of a minute."""
    monkeypatch.setenv("HPBENCH_CACHE", str(request.config.cache.mkdir("hpbench")))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> list[Path]:
    """Seven heads of 32 pixels in shards of three."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPBENCH_CACHE", str(request.config.cache.mkdir("hpbench")))
        return render_heads(tmp_path_factory.mktemp("heads"), count=7, seed=3, size_px=32, per_shard=3)


def test_shards_hold_what_their_names_say(shards: list[Path]) -> None:
    assert [p.name for p in shards] == [f"heads-train-3-{i:07d}.zip" for i in (0, 3, 6)]
    for path, first, count in zip(shards, (0, 3, 6), (3, 3, 1), strict=True):
        shard, about = read_shard(path)
        assert shard.sample_id == tuple(f"train-3-{first + i:07d}" for i in range(count))
        assert (about["seed"], about["kind"], about["first"], about["count"], about["size_px"]) == (3, "train", first, count, 32)
        assert {"anny", "warp-lang", "torch", "hpbench"} <= set(about)
    heads = PackedHeads(shards)
    assert len(heads) == 7 and heads[6].image.shape == (32, 32, 3)


def test_what_is_there_is_kept_and_what_is_missing_is_made(shards: list[Path], tmp_path: Path) -> None:
    for path in (shards[0], shards[2]):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = (tmp_path / shards[0].name).stat().st_mtime_ns
    ready: list[int] = []
    again = render_heads(tmp_path, count=7, seed=3, size_px=32, per_shard=3, progress=ready.append)
    assert sum(ready) == 7 and (tmp_path / shards[0].name).stat().st_mtime_ns == before
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in shards]


def test_other_settings_under_the_same_name_are_refused(shards: list[Path]) -> None:
    with pytest.raises(InputError, match="heads-train-3-0000000.zip: made with size_px 32, not 48"):
        render_heads(shards[0].parent, count=3, seed=3, size_px=48, per_shard=3)


def test_more_of_the_same_seed_go_beside(shards: list[Path], tmp_path: Path) -> None:
    """A few heads first, then many, then some before them: every head once, whatever the order."""
    (first,) = render_heads(tmp_path, count=2, first=3, seed=3, size_px=32)
    everything = render_heads(tmp_path, count=7, seed=3, size_px=32)
    assert everything[1] == first and len(everything) == 3
    packed, direct = PackedHeads(tmp_path), PackedHeads(shards)
    assert packed.sample_id == direct.sample_id
    assert all((a.image == b.image).all() for a, b in zip(packed, direct, strict=True))
    assert render_heads(tmp_path, count=3, first=1, seed=3, size_px=32) == everything[:2]


def test_a_folder_that_cannot_be_made_is_told_before_rendering(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file.heads: cannot be made"):
        render_heads(tmp_path / "file" / "heads", count=1, seed=0)


@pytest.mark.long
def test_workers_end_with_the_parent(tmp_path: Path) -> None:
    options = ["-n", "5000", "--seed", "3", "--size", "32", "-j", "2", "-o", "out"]
    command = [sys.executable, "-m", "hpbench", "render", "heads", *options]
    parent = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)})
    children: list[int] = []
    for _ in range(300):
        time.sleep(0.1)
        listed = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        children = [int(pid) for pid in listed if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
        if len(children) == 2:
            break
    assert len(children) == 2
    time.sleep(3.0)  # long enough to have started the watch
    parent.kill()
    parent.wait()
    for _ in range(100):
        time.sleep(0.1)
        if not any(Path(f"/proc/{pid}").exists() for pid in children):
            return
    pytest.fail("workers live on")


def test_a_renamed_shard_is_refused(shards: list[Path], tmp_path: Path) -> None:
    for name in ("heads-train-3-0000004.zip", "heads-train-3-copy.zip"):
        (tmp_path / name).write_bytes(shards[0].read_bytes())
        with pytest.raises(InputError, match=f"{name}: holds other heads than its name says"):
            render_heads(tmp_path, count=3, seed=3, size_px=32)
        (tmp_path / name).unlink()


def test_a_torn_shard_is_named(shards: list[Path], tmp_path: Path) -> None:
    (tmp_path / shards[0].name).write_bytes(shards[0].read_bytes()[:-200])
    with pytest.raises(InputError, match="not a shard of rendered heads"):
        render_heads(tmp_path, count=3, seed=3, size_px=32, per_shard=3)


@pytest.mark.parametrize("processes", ["1", pytest.param("2", marks=pytest.mark.long)])
def test_the_command_makes_the_same_files(shards: list[Path], tmp_path: Path, processes: str) -> None:
    options = ["-n", "3", "--seed", "3", "--size", "32", "--shard", "3", "-j", processes, "-o", "out"]
    command = [sys.executable, "-m", "hpbench", "render", "heads", *options]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["out/heads-train-3-0000000.zip"]
    assert (tmp_path / result.stdout.strip()).read_bytes() == shards[0].read_bytes()


def test_the_stream_gives_the_same_heads(shards: list[Path]) -> None:
    packed = PackedHeads(shards)
    for rank in (0, 1):
        stream = iter(HeadStream(3, start=2, rank=rank, world=2, size_px=32))
        for index in (2 + rank, 4 + rank):
            head = next(stream)
            np.testing.assert_allclose(head.labels["landmarks_fixed_px"], packed[index].labels["landmarks_fixed_px"], atol=1e-4)
            assert np.abs(head.image.astype(int) - packed[index].image).mean() < 12  # JPEG


def test_the_shipped_heads_are_those_of_the_command(tmp_path: Path) -> None:
    """Labels to the last digits printed; pixels nearly, since other machines round otherwise."""
    (path,) = render_heads(tmp_path, count=2, seed=1, kind="test")
    mine, shipped = PackedHeads([path]), PackedHeads([EMBEDDED])
    for index in range(2):
        for name, values in mine[index].labels.items():
            np.testing.assert_allclose(values, shipped[index].labels[name], atol=1e-3, err_msg=name)
        assert np.abs(mine[index].image.astype(int) - shipped[index].image).mean() < 1.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 0}, "--count must be 1 or more"),
        ({"seed": -1}, "--seed"),
        ({"kind": "real"}, "train, test, hard"),
        ({"size_px": 8}, "--size"),
    ],
)
def test_wrong_options(options: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        render_heads(tmp_path, **{"count": 1, "seed": 0, **options})  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> str:
        raise generate.PackageNotFoundError(name)

    monkeypatch.setattr(generate, "version", missing)
    with pytest.raises(InputError, match=r"needs anny: pip install 'hpbench\[heads\]'"):
        render_heads(tmp_path, count=1, seed=0)


def test_the_embedded_files_are_stored_plainly() -> None:
    with zipfile.ZipFile(EMBEDDED) as archive:
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}
        assert len(archive.namelist()) == 502
