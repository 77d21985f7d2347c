"""A run on a Ray cluster: every part is a task; what a lost worker or node was at is done again by another.

Only names, settings and predictions travel: the nodes read the data themselves, from the paths that the run names.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import re
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .atomic import write_atomic
from .detectors.chosen import DetectedBoxes
from .errors import HpbenchError, InputError, MissingDataError, RunStoppedError
from .faces import Faces, Sample
from .models.interface import Model
from .models.resolve import create_model
from .parts import Parts
from .planning import ids_sha256
from .predict import Progress, RunTiming, predict_parts
from .readers import load
from .request import Request, request_of
from .shards import Job

__all__ = ["RayCluster"]

_CONNECTING = threading.Lock()
_RETRIES = 5  # of a task whose worker or node was lost
_ANSWER_S = 5.0  # Ray itself tries an address for minutes, with a line of log every few seconds
_LISTEN_S = 1.0
_PLACES = ("HPBENCH_CATALOG", "HPBENCH_DATA", "HPBENCH_WEIGHTS")  # variables that hold for the nodes as well


@dataclass(frozen=True)
class RayCluster:
    """Where a run's parts are computed.

    Attributes
    ----------
    address : str
        ``auto`` or ``host:port`` of a cluster, ``local`` for one that is made on this machine and ends with the process.
    cpus, gpus : float
        What a task takes for itself; 0.5 GPUs let two share one.
    stopped : threading.Event
        Set by another thread, runs that are under way end as soon as they can.

    Raises
    ------
    InputError
        None of these.
    """

    address: str
    cpus: float = 1.0
    gpus: float = 0.0
    stopped: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.address not in ("auto", "local") and not re.fullmatch(r"[\w.-]+:\d{1,5}", self.address):
            raise InputError(
                f"--ray {self.address!r:.60}: write auto, local, or host:port of the cluster's head, as `ray start --head` tells it."
            )
        for option, value in (("cpus", self.cpus), ("gpus", self.gpus)):
            if not 0 <= value < float("inf") or (value > 1 and value != int(value)):
                raise InputError(f"--ray-{option} must be a whole number, or a share of 1, got {value}.")

    def predict(
        self, job: Job, parts: Parts, *, progress: Progress | None = None, remark: Callable[[str], None] | None = None
    ) -> RunTiming | None:
        """Compute the parts that are not there yet; always None: the time of several machines is no speed of one.

        The first is computed alone, until the model has answered for a face: a model that is broken then fails once, and what
        the later ones must look like is known.

        Raises
        ------
        InputError
            No cluster can be reached, or a task fails by its own fault.
        MissingDataError
            Ray is not installed, or a node lacks data, weights or a package.
        RunStoppedError
            More faces fail than `job` allows, nodes are lost again and again, or `stopped` is set; finished parts are kept.
        """
        ray = self._connected(remark)
        progress = progress or Progress()
        present = {part: faces for part in range(len(parts)) if (faces := parts.read(part)) is not None}
        todo = deque(part for part in range(len(parts)) if part not in present)
        done = sum(map(len, present.values()))
        if remark is not None and done:
            remark(f"continuing the unfinished run in {parts.folder}: {done} of {len(parts.ids)} faces are done")
        failures = sum(map(_failures, present.values()))
        most = job.run_options("job").setup.max_failures
        proof = next((ray.put(_kept(parts, part)) for part, faces in present.items() if _failures(faces) < len(faces)), None)
        del present
        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=_RETRIES)(_compute)
        asked = ray.put((job.as_text(), _places()))
        waiting: dict[Any, int] = {}
        progress.start(done, len(parts.ids))
        try:
            while todo or waiting:
                while todo and (proof is not None or not waiting):
                    part = todo.popleft()
                    waiting[task.remote(asked, part, proof)] = part
                ready, _ = ray.wait(list(waiting), num_returns=1, timeout=_LISTEN_S)
                if self.stopped.is_set():
                    raise RunStoppedError(f"stopped; finished parts are kept in {parts.folder}.")
                if not ready:
                    continue
                part = waiting.pop(ready[0])
                write_atomic(parts.path(part), self._result(ray, ready[0]))
                faces = parts.read(part)
                if faces is None:
                    raise InputError(f"part {part} came back with other faces: do all nodes see the same data?")
                failures += _failures(faces)
                if most is not None and failures > most:
                    raise RunStoppedError(
                        f"{failures} faces have failed, more than --max-failures {most}; finished parts are kept in {parts.folder}."
                    )
                if proof is None and _failures(faces) < len(faces):
                    proof = ray.put(_kept(parts, part))
                progress.advance(len(faces))
        finally:
            for reference in waiting:
                ray.cancel(reference, force=True)
            progress.finish()
        return None

    def _connected(self, remark: Callable[[str], None] | None) -> Any:
        try:
            import ray
        except ImportError:
            raise MissingDataError("a run on a Ray cluster needs Ray: pip install 'hpbench[ray]'.") from None
        with _CONNECTING:
            if not ray.is_initialized():
                self._connect(ray)
        if not any(
            node["Alive"] and node["Resources"].get("CPU", 0) >= self.cpus and node["Resources"].get("GPU", 0) >= self.gpus
            for node in ray.nodes()
        ):
            lacking = f"no node of the cluster has the {self.cpus:g} CPUs and {self.gpus:g} GPUs that a task takes"
            if self.address == "local":
                raise InputError(f"--ray local: {lacking} (--ray-cpus, --ray-gpus).")
            if remark is not None:  # a cluster may grow
                remark(f"{lacking} (--ray-cpus, --ray-gpus): waiting for one")
        return ray

    def _connect(self, ray: Any) -> None:
        host, _, port = (_address_of_auto() if self.address == "auto" else self.address).rpartition(":")
        try:
            if host:  # Ray itself would try for ever
                with socket.create_connection((host, int(port)), timeout=_ANSWER_S):
                    pass
            options = {"include_dashboard": False} if self.address == "local" else {}
            ray.init(address=self.address, logging_level=logging.ERROR, log_to_driver=False, **options)
        except (OSError, OverflowError, RuntimeError, ValueError) as error:
            why = f"no cluster can be reached there ({_first_line(error)}): `ray start --head` begins one"
            if "AuthenticationError" in f"{error.__cause__} {error.__context__}":
                why = "the cluster asks for a token, and this command has not its own: RAY_AUTH_MODE=token, and Ray's manual on tokens"
            raise InputError(f"--ray {self.address}: {why}.") from None

    @staticmethod
    def _result(ray: Any, reference: Any) -> bytes:
        try:
            return bytes(ray.get(reference))
        except ray.exceptions.RayTaskError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, HpbenchError):
                raise type(cause)(*cause.args) from None
            raise InputError(f"a task of the run failed ({_first_line(cause if isinstance(cause, Exception) else error)}).") from None
        except ray.exceptions.RayError as error:
            raise RunStoppedError(
                f"a task was lost {_RETRIES + 1} times with its worker or node ({_first_line(error)}); finished parts are kept."
            ) from None


def _address_of_auto() -> str:
    """Where Ray will look for a cluster by itself: the environment's, or the last that was begun on this machine; "" if nowhere."""
    try:
        begun = (Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "ray_current_cluster").read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        begun = ""
    address = (os.environ.get("RAY_ADDRESS") or begun).strip()
    return address if re.fullmatch(r"[\w.-]+:\d{1,5}", address) else ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


def _failures(faces: Faces) -> int:
    return sum(map(bool, faces.failure)) if faces.failure is not None else 0


def _kept(parts: Parts, part: int) -> tuple[int, bytes]:
    return part, parts.path(part).read_bytes()


def _places() -> tuple[tuple[str, str], ...]:
    """Where this process looks for things, in whole paths: relative ones mean another place elsewhere."""
    values = {name: os.environ[name] for name in _PLACES if os.environ.get(name)}
    return tuple((name, os.pathsep.join(map(os.path.abspath, value.split(os.pathsep)))) for name, value in values.items())


def _compute(asked: tuple[str, tuple[tuple[str, str], ...]], part: int, proof: tuple[int, bytes] | None) -> bytes:
    """The bytes of one part: a task.

    Parameters
    ----------
    asked : tuple
        `Job.as_text`, and variables of the environment.
    part : int
    proof : (int, bytes) or None
        Another part, in which the model has answered for a face.
    """
    job, request, model, detected = _ready(*asked)
    setup = replace(job.run_options("job").setup, max_failures=None)  # of the whole run: whoever gathers the parts counts
    with tempfile.TemporaryDirectory() as folder:
        parts = Parts(Path(folder) / "predictions.h5", request.ids, job.batch_size)
        if proof is not None:
            write_atomic(parts.path(proof[0]), proof[1])

        def samples_of(_: Sequence[str]) -> Iterator[Sample]:
            # `predict_parts` passes over the faces of other parts: a placeholder each is enough
            yield from itertools.repeat(_NOBODY, part * parts.size)
            yield from request.samples_of(parts.ids_of(part))

        here = {part} if proof is None else {part, proof[0]}
        predict_parts(model, parts, samples_of, boxes=request.boxes, only=here.__contains__, setup=setup, detected=detected)
        return parts.path(part).read_bytes()


_NOBODY: Any = None


@functools.lru_cache(maxsize=1)  # a worker process loads data and model once, and keeps those of its last job
def _ready(job_text: str, places: tuple[tuple[str, str], ...]) -> tuple[Job, Request, Model, DetectedBoxes | None]:
    os.environ.update(places)
    job = Job.read(job_text, "job")
    options = job.run_options("job")
    request = request_of(load(job.dataset, list(job.data) or None), options)
    if ids_sha256(request.ids) != job.ids_sha256:
        raise InputError(f"{job.dataset}: a node sees other faces than the run: the same data must lie in the same place on all nodes.")
    model = create_model(job.model, weights=options.weights, device=job.device, arguments=options.model_args)
    model.name = model.name or type(model).__name__
    return job, request, model, request.detected()
