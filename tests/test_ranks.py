"""A run shared by the processes of torchrun: what comes out is what one process makes, whoever is killed on the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from spread_runs import assert_same_run, hpbench, make_run

from hpbench.errors import InputError
from hpbench.parts import FOLDER as PARTS
from hpbench.parts import Shard
from hpbench.ranks import Ranks, ranks_of_environment

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="torchrun's processes are looked for in /proc")


@pytest.fixture
def torchrun(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As torchrun would have started this process."""
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_which_of_the_processes_this_is(torchrun: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    assert ranks_of_environment() == Ranks(Shard(2, 4), local=1)


def test_a_process_alone_shares_nothing(torchrun: pytest.MonkeyPatch) -> None:
    torchrun.setenv("WORLD_SIZE", "1")
    torchrun.setenv("RANK", "0")
    assert ranks_of_environment() is None
    torchrun.delenv("TORCHELASTIC_RUN_ID")
    torchrun.setenv("WORLD_SIZE", "4")
    assert ranks_of_environment() is None, "RANK of another launcher is not ours"


@pytest.mark.parametrize(
    "changes", [{"RANK": "4"}, {"RANK": "-1"}, {"RANK": "x"}, {"RANK": None}, {"WORLD_SIZE": ""}, {"LOCAL_RANK": None}]
)
def test_an_environment_that_makes_no_sense(torchrun: pytest.MonkeyPatch, changes: dict[str, str | None]) -> None:
    for name, value in changes.items():
        torchrun.delenv(name) if value is None else torchrun.setenv(name, value)
    with pytest.raises(InputError, match="make no sense: unset TORCHELASTIC_RUN_ID"):
        ranks_of_environment()


def test_a_left_over_variable_is_told_by_the_command(tmp_path: Path) -> None:
    told = hpbench("run", "-m", "frontal", "-d", "aflw2000", cwd=tmp_path, environment={"TORCHELASTIC_RUN_ID": "nonsense"})
    assert told.returncode == 2 and "unset TORCHELASTIC_RUN_ID" in told.stderr and "Traceback" not in told.stderr


def test_a_gpu_for_each_process_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = pytest.importorskip("torch").cuda
    assert Ranks(Shard(6, 8), local=1).device("cpu") == "cpu"
    assert Ranks(Shard(6, 8), local=1).device("cuda:3") == "cuda:3"
    monkeypatch.setattr(cuda, "is_available", lambda: False)
    assert Ranks(Shard(6, 8), local=1).device("auto") == "auto"
    monkeypatch.setattr(cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda, "device_count", lambda: 4)
    assert [Ranks(Shard(n + 1, 8), local=n).device("auto") for n in range(5)] == [f"cuda:{n}" for n in (0, 1, 2, 3, 0)]


def torch_run(run: list[str], out: Path, processes: int = 2) -> list[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-addr", "127.0.0.1", "--master-port", str(port)]
    return [sys.executable, *launcher, "-m", "hpbench", "run", *run, "-o", str(out)]


def torch_environment() -> dict[str, str]:
    return {**os.environ, "GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else dict(os.environ)


def test_the_run_is_that_of_one_process(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run = make_run(tmp_path)
    assert hpbench("run", *run, "-o", tmp_path / "whole").returncode == 0
    done = subprocess.run(torch_run(run, tmp_path / "out"), text=True, capture_output=True, env=torch_environment(), timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("on aflw2000/pose-1969@1 (partial, not ranked)") == 1, "one process prints"
    assert_same_run(tmp_path / "whole", tmp_path / "out")


@pytest.mark.long
@LINUX
def test_killed_and_given_again_it_is_the_run_of_one_process(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run = make_run(tmp_path)
    assert hpbench("run", *run, "-o", tmp_path / "whole").returncode == 0
    (tmp_path / "calls").unlink()

    (tmp_path / "delay").write_text("1.5")
    with subprocess.Popen(torch_run(run, tmp_path / "out"), text=True, stdout=-1, stderr=-1, env=torch_environment()) as launched:
        second = tmp_path / "out/shards/2-of-2" / PARTS
        deadline = time.monotonic() + 120
        while not list(second.glob("part-*.h5")) and launched.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(rank_below(launched.pid, "1"), signal.SIGKILL)
        out, told = launched.communicate(timeout=120)
    assert launched.returncode != 0, "torchrun ends them all"
    assert "ChildFailedError" in told and out == ""
    assert not (tmp_path / "out/predictions.h5").exists() and 1 <= len(list(second.glob("part-*.h5"))) < 3

    (tmp_path / "delay").unlink()
    again = subprocess.run(torch_run(run, tmp_path / "out"), text=True, capture_output=True, env=torch_environment(), timeout=180)
    assert again.returncode == 0, again.stderr
    assert "continuing the unfinished run" in again.stderr
    assert "when all are: hpbench merge" not in again.stderr, "the first process does that"
    assert again.stdout.count("on aflw2000/pose-1969@1 (partial, not ranked)") == 1, "one process prints"
    assert_same_run(tmp_path / "whole", tmp_path / "out")


def rank_below(parent: int, rank: str) -> int:
    """The process of a rank among the children of torchrun."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            owner = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if owner == parent and f"\0RANK={rank}\0" in (entry / "environ").read_text():
                return int(entry.name)
        except (OSError, UnicodeError):
            continue
    raise AssertionError(f"no rank {rank} below {parent}")


def test_a_folder_that_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process looks for the shares of the others and cannot see them."""
    from hpbench import jobs

    make_run(tmp_path)
    monkeypatch.setattr(Ranks, "wait", lambda self: None)
    with pytest.raises(InputError, match="2-of-2 cannot be seen from here: the output folder .* must be one that all nodes reach"):
        jobs.run("frontal", "aflw2000", data=tmp_path / "faces", out=tmp_path / "out", ranks=Ranks(Shard(1, 2), 0))
