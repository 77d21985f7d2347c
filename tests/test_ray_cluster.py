"""A run as tasks of a real Ray cluster of two nodes on this machine: whatever is lost, the record is that of one process."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spread_runs import COUNT, MODEL, assert_same_run, hpbench, make_run

from hpbench import jobs, load
from hpbench.errors import InputError, MissingDataError, RunStoppedError
from hpbench.images import encode_jpeg
from hpbench.parts import FOLDER as PARTS
from hpbench.predict import Progress
from hpbench.ray_cluster import RayCluster
from hpbench.records import Record


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
        jobs.run(f"{folder / 'model.py'}:Colour", "aflw2000", data=folder / "faces", out=folder / "whole")
    return folder


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Any]:
    """A cluster of two nodes of one processor each."""
    if sys.platform != "linux":
        pytest.skip("Ray makes clusters of several nodes on Linux only")
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(Path(jobs.__file__).parents[1]), os.environ.get("PYTHONPATH")])))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        try:
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture
def slow(study: Path) -> Iterator[None]:
    """The model sleeps: beside its file, so that a slow run is no other run."""
    (study / "calls").unlink(missing_ok=True)
    (study / "delay").write_text("0.7")
    yield
    (study / "delay").unlink()


def run(study: Path, out: Path, cluster: Any, **options: Any) -> list[Record]:
    given = {"data": study / "faces", "out": out, "cluster": RayCluster(cluster.address, gpus=options.pop("gpus", 0)), **options}
    return jobs.run(f"{study / 'model.py'}:Colour", "aflw2000", **given)


class Told(Progress):
    def __init__(self) -> None:
        self.begun: list[tuple[int, int]] = []
        self.faces: list[int] = []

    def start(self, done: int, total: int) -> None:
        self.begun.append((done, total))

    def advance(self, faces: int) -> None:
        self.faces.append(faces)


@pytest.mark.long
def test_the_run_is_that_of_one_process(study: Path, tmp_path: Path, two_nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told, remarks = Told(), []
    monkeypatch.chdir(study)  # relative paths mean the same on the nodes
    monkeypatch.setenv("HPBENCH_DATA", "data")
    if not (study / "data").exists():
        (study / "data").mkdir()
        (study / "data/aflw2000").symlink_to(study / "faces")
    records = jobs.run(
        "model.py:Colour", "aflw2000", out=tmp_path / "out", cluster=RayCluster(two_nodes.address), progress=told, remark=remarks.append
    )
    assert_same_run(study / "whole", tmp_path / "out")
    assert all(r.timing is None for r in records), "the time of several machines is no speed of one"
    assert told.begun == [(0, COUNT)] and sorted(told.faces) == [2, 4, 4, 4, 4, 4, 4]


@pytest.mark.long
def test_a_worker_is_killed(study: Path, tmp_path: Path, two_nodes: Any, slow: None) -> None:
    def kill() -> None:
        before = calls(study, least=2)
        with contextlib.suppress(ProcessLookupError):
            os.kill(before[-1], signal.SIGKILL)

    lost(kill, study, tmp_path, two_nodes)
    assert len(set(calls(study, least=1))) >= 2, "another process went on"


@pytest.mark.long
def test_a_broken_model_is_one_sentence(study: Path, tmp_path: Path, two_nodes: Any) -> None:
    (study / "die").touch()
    (study / "calls").unlink(missing_ok=True)
    try:
        with pytest.raises(InputError, match="raised ZeroDivisionError: a broken model"):
            run(study, tmp_path / "out", two_nodes, batch_size=8)  # as many faces as it takes to call a model broken
    finally:
        (study / "die").unlink()
    assert len(set(calls(study, least=1))) == 1, "it failed once, not on every node"


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="a worker is told by /proc")
def test_a_task_that_cannot_be_done(study: Path, tmp_path: Path, two_nodes: Any) -> None:
    in_a_worker = "'raylet' in pathlib.Path(f'/proc/{os.getppid()}/cmdline').read_text()"
    only_here = MODEL.replace("class Colour", f"if {in_a_worker}: exit(3)\nclass Colour")
    (tmp_path / "model.py").write_text(only_here)
    with pytest.raises(InputError, match=r"model.py: line \d+ fails on import \(SystemExit: 3\)"):
        run(tmp_path, tmp_path / "out", two_nodes, data=study / "faces")


@pytest.mark.long
def test_a_node_that_sees_other_data(study: Path, tmp_path: Path, two_nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(study / "faces", tmp_path / "faces")
    source = load("aflw2000", tmp_path / "faces")
    next((tmp_path / "faces").glob("*.mat")).unlink()  # seen by the nodes only
    monkeypatch.setattr(jobs, "load", lambda *_: source)
    with pytest.raises(InputError, match="a node sees other faces than the run: the same data must lie in the same place on all nodes"):
        run(study, tmp_path / "out", two_nodes, data=tmp_path / "faces")


@pytest.mark.long
def test_too_many_failures_and_going_on(study: Path, tmp_path: Path, two_nodes: Any) -> None:
    shutil.copytree(study / "faces", tmp_path / "faces")
    pictures = sorted((tmp_path / "faces").glob("*.jpg"))
    for i in (9, 14, 21):
        pictures[i].write_bytes(b"")
    with pytest.raises(RunStoppedError, match=r"3 faces have failed, more than --max-failures 2; finished parts are kept in"):
        run(study, tmp_path / "out", two_nodes, data=tmp_path / "faces", max_failures=2)
    assert (kept := len(list((tmp_path / "out" / PARTS).glob("part-*.h5"))))
    told, remarks = Told(), []
    run(study, tmp_path / "out", two_nodes, data=tmp_path / "faces", progress=told, remark=remarks.append)
    assert len(told.faces) == 7 - kept and told.begun[0][0] > 0
    assert any("continuing the unfinished run" in r for r in remarks)
    jobs.run(f"{study / 'model.py'}:Colour", "aflw2000", data=tmp_path / "faces", out=tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "out")


@pytest.mark.long
def test_faces_that_the_model_fails_on_together(study: Path, tmp_path: Path, two_nodes: Any) -> None:
    """A part in which nothing succeeds is no broken model, if it has answered for others."""
    text = MODEL.replace("        euler =", "        if not any(map(np.any, images)): raise ValueError('too dark')\n        euler =")
    (tmp_path / "model.py").write_text(text.replace("batch_size = 4", "batch_size = 8"))
    shutil.copytree(study / "faces", tmp_path / "faces")
    for picture in sorted((tmp_path / "faces").glob("*.jpg"))[8:16]:  # the second part
        picture.write_bytes(encode_jpeg(np.zeros((450, 450, 3), np.uint8)))
    run(tmp_path, tmp_path / "out", two_nodes)
    whole = jobs.run(f"{tmp_path / 'model.py'}:Colour", "aflw2000", data=tmp_path / "faces", out=tmp_path / "whole")
    assert len(whole[0].failures) == 8
    assert_same_run(tmp_path / "whole", tmp_path / "out")


@pytest.mark.long
def test_a_cluster_that_lacks_what_a_task_takes(study: Path, tmp_path: Path, two_nodes: Any) -> None:
    remarks: list[str] = []

    class Waited(Exception):
        pass

    def remark(text: str) -> None:
        remarks.append(text)
        if "waiting" in text:
            raise Waited

    with pytest.raises(Waited):
        run(study, tmp_path / "out", two_nodes, gpus=2, remark=remark)
    assert "no node of the cluster has the 1 CPUs and 2 GPUs that a task takes (--ray-cpus, --ray-gpus): waiting for one" in remarks


def test_a_node_is_lost(study: Path, tmp_path: Path, two_nodes: Any, slow: None) -> None:
    """The last test of the cluster: one node is all that is left of it."""
    other = two_nodes.list_all_nodes()[1]

    def kill() -> None:
        calls(study, least=3)
        two_nodes.remove_node(other, allow_graceful=False)

    lost(kill, study, tmp_path, two_nodes)


def lost(kill: Any, study: Path, tmp_path: Path, cluster: Any) -> None:
    """What is lost in mid-run makes no difference to what comes out."""
    thread = threading.Thread(target=kill)
    thread.start()
    run(study, tmp_path / "out", cluster)
    thread.join()
    assert_same_run(study / "whole", tmp_path / "out")


def calls(study: Path, least: int) -> list[int]:
    """The processes that have called the model, call by call, as soon as there were so many calls."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = (study / "calls").read_text().splitlines() if (study / "calls").exists() else []
        if len(lines) >= least:
            break
        time.sleep(0.05)
    return [int(line.split()[0]) for line in lines]


@pytest.mark.parametrize("address", ["", "ray://head:10001", "head", "head:port", "head:6379/x", "a b:1"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(InputError, match=r"--ray .*: write auto, local, or host:port"):
        RayCluster(address)


@pytest.mark.parametrize(("cpus", "gpus"), [(-1, 0), (1.5, 0), (1, -0.5), (1, 1.5), (float("nan"), 0), (1, float("inf"))])
def test_what_a_task_cannot_take(cpus: float, gpus: float) -> None:
    with pytest.raises(InputError, match="must be a whole number, or a share of 1"):
        RayCluster("auto", cpus, gpus)


@pytest.mark.parametrize("way", ["address", "environment", "begun here"])
def test_nobody_answers_there(tmp_path: Path, study: Path, way: str) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(place if way == "begun here" else "")  # of a cluster that ended
    address = place if way == "address" else "auto"
    environment = {"RAY_TMPDIR": str(tmp_path), "RAY_ADDRESS": place if way == "environment" else ""}
    options = ["-m", "frontal", "-d", "aflw2000", "--data", study / "faces", "-o", tmp_path / "out"]
    told = hpbench("run", *options, "--ray", address, environment=environment)
    assert told.returncode == 2 and told.stdout == ""
    assert f"--ray {address}: no cluster can be reached there" in told.stderr and "Traceback" not in told.stderr


def test_model_and_dataset_go_by_their_names(study: Path) -> None:
    with pytest.raises(InputError, match="takes model and dataset by their names"):
        jobs.run("frontal", load("aflw2000", study / "faces"), cluster=RayCluster("auto"))


def test_without_ray(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDataError, match=r"pip install 'hpbench\[ray\]'"):
        jobs.run("frontal", "aflw2000", data=study / "faces", out=tmp_path / "out", cluster=RayCluster("auto"))
