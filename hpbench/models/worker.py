"""A worker: a model that runs as a process of its own, in an environment of its own.

For a model that needs other versions than hpbench's, or that crashes: what it does wrong costs a face, not the run.  The
protocol is stated in docs/add-a-model.md; `hpbench.models.worker_side` speaks it for models in Python.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import errors
from ..catalog import ModelCard
from ..checked import build
from ..errors import HpbenchError, InputError, RunStoppedError
from ..faces import Faces
from . import worker_side
from .interface import Array, Model
from .weights import card_weights, combined_sha256
from .worker_pipe import WorkerFaultError, WorkerProcess

__all__ = ["PREFIX", "WorkerModel", "WorkerSpec", "read_worker_card", "read_worker_name"]

PREFIX = "worker:"
_STARTS = 3  # tries in a row to bring a worker back
_PAUSE_S = 1.0  # between them
_PYTHON_TARGET = re.compile(r".+\.py:[^\W\d]\w*")
_COLUMNS = ("rotation", "euler_deg", "landmarks", "visibility")
_OPTION = re.compile(r"(timeout_s|start_timeout_s|memory_mib)=(.*)")


@dataclass(frozen=True)
class WorkerSpec:
    """How a worker is started: the ``[worker]`` table of a card.

    Attributes
    ----------
    command : tuple of str
        Program and arguments, no shell.  Where the last is ``FILE.py:NAME``, the rest is a Python interpreter, which is
        given `hpbench.models.worker_side` to run.
    timeout_s : float
        For one call, whatever its number of faces.
    start_timeout_s : float
        From the start to the first word.
    memory_mib : int or None
        Limit of its address space, where the system has one.
    """

    command: tuple[str, ...]
    timeout_s: float = 60.0
    start_timeout_s: float = 300.0
    memory_mib: int | None = None

    @property
    def target(self) -> str:
        """``FILE.py:NAME``, or "" where the command speaks the protocol itself."""
        return self.command[-1] if _PYTHON_TARGET.fullmatch(self.command[-1]) else ""

    @property
    def words(self) -> list[str]:
        """What is run."""
        words = [os.path.expanduser(word) if word.startswith("~/") else word for word in self.command]
        return [*words[:-1], str(Path(worker_side.__file__).resolve()), words[-1]] if self.target else words

    def validate(self, where: str) -> None:
        """`InputError` for values that make no sense."""
        if not self.command or not all(self.command):
            raise InputError(f"{where}: the command is empty: write {PREFIX}PYTHON FILE.py:NAME, or a program that speaks the protocol.")
        if any("\0" in word for word in self.command):
            raise InputError(f"{where}: the command holds a NUL character.")
        if self.target and len(self.command) == 1:
            raise InputError(f"{where}: say which Python runs it, as {PREFIX}venv/bin/python {self.target}.")
        if not 0 < self.timeout_s <= 86400 or not 0 < self.start_timeout_s <= 86400:
            raise InputError(f"{where}: timeout_s and start_timeout_s are seconds, above 0 and at most a day (86400).")
        if self.memory_mib is not None and not 0 < self.memory_mib < 1 << 40:
            raise InputError(f"{where}: memory_mib = {self.memory_mib} is no amount of memory.")


def read_worker_name(name: str) -> WorkerSpec:
    """What ``worker:[OPTION=VALUE ...] COMMAND`` names; quotes group words, a backslash is a character like any other."""
    lexer = shlex.shlex(name.removeprefix(PREFIX), posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.escape, lexer.commenters = True, "", ""
    try:
        words = list(lexer)
    except ValueError:
        raise InputError(f"model {name!r:.200}: a quotation mark is not closed.") from None
    table: dict[str, Any] = {}
    while words and (option := _OPTION.fullmatch(words[0])):
        key, value = option.groups()
        try:
            table[key] = int(value) if key == "memory_mib" else float(value)
        except ValueError:
            raise InputError(f"model {name!r:.200}: {key}={value!r:.40} is no number.") from None
        words = words[1:]
    spec = build(WorkerSpec, {**table, "command": words}, f"model {name!r:.200}")
    spec.validate(f"model {name!r:.200}")
    return spec


def read_worker_card(card: ModelCard) -> WorkerSpec:
    """The checked ``[worker]`` table of a card; `InputError` naming the card and the key."""
    where = f"{card.path}: [worker]"
    spec = build(WorkerSpec, card.worker, where)
    spec.validate(where)
    return spec


class WorkerModel(Model):
    """The model in a worker.

    Parameters
    ----------
    spec : WorkerSpec
    card : ModelCard, optional
        Its command runs in the card's folder; its `files` are looked for here, checked, and handed over as the weights.
    weights, device, arguments
        Passed on.

    Raises
    ------
    InputError
        The worker cannot be started, or says why it cannot serve.
    MissingDataError
        A weight file of the card is missing, or has another hash.
    """

    def __init__(
        self, spec: WorkerSpec, card: ModelCard | None = None, weights: Path | None = None, device: str = "auto",
        arguments: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._spec = spec
        self._folder = card.folder.absolute() if card is not None else None
        weights, digest = _weights(card, weights) if card is not None and card.files else (weights, None)
        self._request = {
            "call": "hello",
            "protocol": worker_side.PROTOCOL,
            "weights": None if weights is None else str(weights.expanduser().absolute()),
            "device": device,
            "arguments": dict(arguments or {}),
        }
        self._gone = ""  # why it cannot be brought back
        self._hello = self._start()
        told = {"version": Model.version, "trained_on": [], "device": "", "batch_size": Model.batch_size, **self._hello}
        self.name = told.get("name") or (card.id if card is not None else spec.target.rpartition(":")[2])
        if not self.name:
            self._end()
            raise InputError(f"worker {spec.command[0]}: its hello gives no name.")
        self.version = str(told["version"])
        self.weights_sha256 = digest or told.get("weights_sha256")
        self.trained_on = tuple(told["trained_on"]) if isinstance(told["trained_on"], list) else told["trained_on"]
        self.device = told["device"]
        self.batch_size = told["batch_size"]  # type: ignore[misc]

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict`; `InputError` where the worker fails, `RunStoppedError` where it cannot be brought back."""
        boxes = np.ascontiguousarray(boxes_xyxy_px, dtype="<f8")
        arrays = [("boxes_xyxy_px", boxes), *(("image", np.ascontiguousarray(image, dtype=np.uint8)) for image in images)]
        if not self._finalizer.alive:
            self._bring_back()
        try:
            header, columns = self._process.call({"call": "predict"}, arrays, self._spec.timeout_s)
        except (WorkerFaultError, KeyboardInterrupt) as error:  # nobody waits for its answer any more
            self._end()
            if isinstance(error, WorkerFaultError):
                print(f"model {self.name}: {error} It will be started afresh.", file=sys.stderr, flush=True)
            raise
        if "error" in header:
            raise _model_error(header)
        texts = {key: header.get(key) for key in ("convention", "scheme")}
        wrong = [key for key, value in texts.items() if not isinstance(value, str | None)]
        failure = header.get("failure")
        if wrong or not (failure is None or (isinstance(failure, list) and all(isinstance(reason, str) for reason in failure))):
            raise InputError(f"the worker's answer has a {[*wrong, 'failure'][0]} that is no text.")
        if unknown := [name for name in columns if name not in _COLUMNS]:
            raise InputError(f"the worker's answer has an array {unknown[0]!r:.40}, which is none of {', '.join(_COLUMNS)}.")
        given: dict[str, Any] = {**columns, **texts, "failure": failure}
        return Faces(**given) if columns else Faces(sample_id=[])

    def _start(self) -> dict[str, Any]:
        """A new process; its hello."""
        self._process = WorkerProcess(self._spec.words, self._folder, self._spec.memory_mib)
        self._finalizer = weakref.finalize(self, self._process.close)  # at the end of hpbench, too
        try:
            hello, _ = self._process.call(self._request, [], self._spec.start_timeout_s)
            if "error" in hello:
                kind = f"{hello['type']!s:.100}: " if "type" in hello else ""
                raise InputError(kind + _first_line(hello["error"]))
            if hello.get("protocol") != worker_side.PROTOCOL:
                spoken = f"protocol {hello.get('protocol')!r:.20}, this hpbench protocol {worker_side.PROTOCOL}"
                raise InputError(f"the worker speaks {spoken}.")
        except BaseException:
            self._end()
            raise
        return {key: value for key, value in hello.items() if key != "id" and value is not None}

    def _bring_back(self) -> None:
        for attempt in range(0 if self._gone else _STARTS):
            time.sleep(_PAUSE_S * bool(attempt))  # what the last one held (memory of a GPU) may take a while to come free
            try:
                hello = self._start()
            except InputError as error:
                self._gone = f"the worker cannot be started again: {error}"
            else:
                self._gone = "" if hello == self._hello else "the worker says another thing of itself than at first: was it edited?"
                break
        if self._gone:
            self._end()
            raise RunStoppedError(f"model {self.name}: {self._gone}")

    def _end(self) -> None:
        if self._finalizer.detach() is not None:
            self._process.close(farewell_s=0)


def _model_error(header: Mapping[str, Any]) -> Exception:
    """What the model raised over there, under the same name."""
    text, kind = _first_line(header["error"]), header.get("type")
    if not isinstance(kind, str) or not kind.isidentifier():
        return InputError(text)
    ours = getattr(errors, kind, None)  # where the worker has hpbench, too
    if isinstance(ours, type) and issubclass(ours, HpbenchError):
        return ours(text)
    return type(kind, (Exception,), {})(text)


def _first_line(text: object) -> str:
    return (str(text).strip().splitlines() or [""])[0][:1000]


def _weights(card: ModelCard, weights: Path | None) -> tuple[Path, str]:
    """The weight files of a card as one path, a file or the folder of several, and their hash."""
    found = card_weights(card, weights)
    places = {file.path.parent for file in found}
    if len(places) > 1 or not all(file.path.is_file() for file in found):
        raise InputError(f"model {card.id!r}: a worker needs its weights as files in one folder: unpack them, and name it with --weights.")
    return (found[0].path if len(found) == 1 else places.pop()), combined_sha256([file.sha256 for file in found])
