"""A run on a Ray cluster: every part is a task; what a lost worker or node was at is done again by another.

Only names, settings and predictions travel: the nodes read the data themselves, from the paths that the run names.
"""

from __future__ import annotations

import functools
import logging
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .atomic import write_atomic
from .detectors.chosen import DetectedBoxes
from .errors import InputError, MissingDataError, RunStoppedError
from .models.interface import Model
from .models.resolve import create_model
from .parts import Parts
from .planning import Request, ids_sha256, request_of
from .predict import Progress, RunTiming, predict_parts
from .readers import load
from .shards import Job

__all__ = ["RayCluster"]

_CONNECTING = threading.Lock()
_RETRIES = 5  # of a task whose worker or node was lost


@dataclass(frozen=True)
class RayCluster:
    """Where a run's parts are computed.

    Attributes
    ----------
    address : str
        ``auto`` or ``host:port`` of a cluster, ``local`` for one that is made on this machine and ends with the run.
    cpus, gpus : float
        What a task takes for itself; 0.5 GPUs let two share one.
    """

    address: str
    cpus: float = 1.0
    gpus: float = 0.0

    def predict(
        self, job: Job, parts: Parts, *, progress: Progress | None = None, remark: Callable[[str], None] | None = None
    ) -> RunTiming | None:
        """Compute the parts that are not there yet; always None: the time of several machines is no speed of one.

        Raises
        ------
        InputError
            The model or dataset is not given by name, or a task fails by its own fault.
        MissingDataError
            Ray is not installed.
        RunStoppedError
            More faces fail than `job` allows, or nodes are lost again and again; finished parts are kept.
        """
        if not job.model:
            raise InputError("a run on a Ray cluster takes the model by its name.")
        ray = self._connected()
        progress = progress or Progress()
        present = [parts.read(part) for part in range(len(parts))]
        todo = [part for part, faces in enumerate(present) if faces is None]
        done = sum(len(faces) for faces in present if faces is not None)
        if remark is not None and done:
            remark(f"continuing the unfinished run in {parts.folder}: {done} of {len(parts.ids)} faces are done")
        progress.start(done, len(parts.ids))
        setup = job.run_options("job").setup
        failures = sum(_failures(faces) for faces in present if faces is not None)
        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=_RETRIES)(_compute)
        text = job.as_text()
        waiting = {task.remote(text, part): part for part in todo}
        try:
            while waiting:
                (ready, *_), _ = ray.wait(list(waiting), num_returns=1)
                part = waiting.pop(ready)
                write_atomic(parts.path(part), self._result(ray, ready))
                faces = parts.read(part)
                if faces is None:
                    raise InputError(f"part {part} came back with other faces: do all nodes see the same data?")
                failures += _failures(faces)
                if setup.max_failures is not None and failures > setup.max_failures:
                    raise RunStoppedError(
                        f"{failures} faces have failed, more than --max-failures {setup.max_failures}; "
                        f"finished parts are kept in {parts.folder}."
                    )
                progress.advance(len(faces))
        finally:
            for reference in waiting:
                ray.cancel(reference, force=True)
            progress.finish()
        return None

    def _connected(self) -> Any:
        try:
            import ray
        except ImportError:
            raise MissingDataError("a run on a Ray cluster needs Ray: pip install 'hpbench[ray]'.") from None
        try:
            with _CONNECTING:
                if ray.is_initialized():
                    return ray
                where = {} if self.address == "local" else {"address": self.address}
                ray.init(**where, logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False if not where else None)
        except (ConnectionError, RuntimeError, ValueError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"--ray {self.address}: no cluster can be reached there ({first[:200].rstrip('.')}).") from None
        return ray

    @staticmethod
    def _result(ray: Any, reference: Any) -> bytes:
        try:
            return bytes(ray.get(reference))
        except ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(getattr(error, "cause", None), Exception) else error
            if isinstance(cause, (InputError, RunStoppedError, MissingDataError)):
                raise type(cause)(str(cause)) from None
            raise InputError(f"a task of the run failed ({(str(cause).strip().splitlines() or ['?'])[-1][:200]}).") from None
        except ray.exceptions.RayError as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise RunStoppedError(
                f"the cluster lost a task {_RETRIES} times ({first[:200].rstrip('.')}); finished parts are kept."
            ) from None


def _failures(faces: Any) -> int:
    return sum(map(bool, faces.failure)) if faces.failure is not None else 0


def _compute(job_text: str, part: int) -> bytes:
    """The bytes of one part: a task."""
    job, request, model, detected = _ready(job_text)
    with tempfile.TemporaryDirectory() as folder:
        parts = Parts(Path(folder) / "predictions.h5", request.ids, job.batch_size)
        predict_parts(
            model,
            parts,
            request.samples_of,
            boxes=request.boxes,
            only=lambda n: n == part,
            setup=job.run_options("job").setup,
            detected=detected,
        )
        return parts.path(part).read_bytes()


@functools.lru_cache(maxsize=1)  # a worker process loads data and model once, and keeps those of its last job
def _ready(job_text: str) -> tuple[Job, Request, Model, DetectedBoxes | None]:
    job = Job.read(job_text, "job")
    options = job.run_options("job")
    request = request_of(load(job.dataset, list(job.data) or None), options)
    if ids_sha256(request.ids) != job.ids_sha256:
        raise InputError(
            f"{job.dataset}: a node sees other faces than the {len(request.ids)} of the run: the data must lie on all of them."
        )
    model = create_model(job.model, weights=options.weights, device=job.device, arguments=options.model_args)
    model.name = model.name or type(model).__name__
    return job, request, model, request.detected()
