"""From a name to a model: catalog card, entry point, ``package.module:Class``, ``path/file.py:Class``, ``card.toml``, ``worker:...``."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..catalog import ModelCard, model_card_from, model_cards
from ..errors import HpbenchError, InputError, did_you_mean
from ..faces import Faces
from .code_hash import code_sha256
from .interface import Array, Model
from .worker import PREFIX, WorkerModel, WorkerSpec, read_worker_card, read_worker_name

__all__ = ["ENTRY_POINTS", "create_model", "entry_points", "read_model_arguments", "takes_argument"]

ENTRY_POINTS = "hpbench.models"
_MAKING = threading.Lock()  # one at a time: stdout is redirected for the whole process


def create_model(name: str, *, weights: Path | None = None, device: str = "auto", arguments: Mapping[str, Any] | None = None) -> Model:
    """The model of a name, ready to predict.

    Parameters
    ----------
    name : str
        In this order: ``worker:`` and a command (`hpbench.models.worker`); a ``card.toml``; ``path/file.py:Class``; a card
        of the catalog; an entry point of the group ``hpbench.models``; ``package.module:Class``.
        A function (images, boxes) -> Faces may stand for the class, and a dict of its columns for the `Faces`.
    weights, device, arguments
        Passed on to what names them in its signature; what it does not name is an error.

    Raises
    ------
    InputError
        Unknown name (with the nearest), code that cannot be imported, an argument the model does not take.
    MissingDataError
        Weights or an optional package that are not there.
    """
    with _MAKING, contextlib.redirect_stdout(sys.stderr):  # stdout is for data; a model may print
        return _create(name, weights, device, arguments)


def _create(name: str, weights: Path | None, device: str, arguments: Mapping[str, Any] | None) -> Model:
    target, card, digest = _find(name)
    given = dict(arguments or {})
    for key in ("weights", "device", "card"):
        if key in given:
            raise InputError(f"--model-arg {key}: use --{key}." if key != "card" else "--model-arg card: give the card as the model.")
    if isinstance(target, WorkerSpec):
        model: Model = WorkerModel(target, card, weights, device, given)
    else:
        model = _construct(target, name, card, weights, device, given)
    if not isinstance(getattr(model, "name", ""), str) or not str(getattr(model, "name", "")).isprintable():
        raise InputError(f"model {name!r}: its name must be printable text, got {model.name!r:.60}.")
    if not isinstance(model.batch_size, int) or model.batch_size < 1:
        raise InputError(f"model {name!r}: its batch_size must be a whole number of at least 1, got {model.batch_size!r:.60}.")
    if not isinstance(model.weights_sha256, str | None):
        raise InputError(f"model {name!r}: its weights_sha256 must be text or None, got {model.weights_sha256!r:.60}.")
    if not str(getattr(model, "device", "")).isprintable():
        raise InputError(f"model {name!r}: its device must be printable text, got {model.device!r:.60}.")
    if not isinstance(model.trained_on, tuple) or not all(isinstance(t, str) and t.isprintable() for t in model.trained_on):
        raise InputError(f"model {name!r}: its trained_on must be a tuple of dataset names, got {model.trained_on!r:.60}.")
    if not getattr(model, "name", ""):
        model.name = card.id if card else type(model).__name__
    if card is not None and model.version == Model.version:
        model.version = card.version
    if card is not None and not model.trained_on:
        model.trained_on = card.trained_on
    if digest and model.version == Model.version:
        model.version = f"sha256:{digest[:12]}"  # of the code: an edited file is another model
    return model


def read_model_arguments(texts: tuple[str, ...] | list[str]) -> dict[str, Any]:
    """``k=v`` texts as keyword arguments; a value that reads as a JSON number, true, false or null is one."""
    out: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise InputError(f"--model-arg {text!r}: write it as key=value.")
        if key in out:
            raise InputError(f"--model-arg {key} is given twice.")
        try:
            out[key] = json.loads(value)
        except (ValueError, RecursionError):
            out[key] = value
    return out


def entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    """Models that installed packages offer, by name; nothing is imported."""
    return {e.name: e for e in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def takes_argument(name: str, argument: str) -> bool:
    """Whether the constructor that a name stands for has an argument of this name; of a worker's that is not known: False."""
    target = _find(name)[0]
    return inspect.isclass(target) and argument in inspect.signature(target).parameters


def _find(name: str) -> tuple[Callable[..., Any] | WorkerSpec, ModelCard | None, str]:
    """The class, function or worker of a name, its card if it has one, and the hash of a user's file."""
    if name.startswith(PREFIX):
        spec = read_worker_name(name)
        code = Path(spec.target.rpartition(":")[0])
        return spec, None, code_sha256(code) if code.is_file() else ""
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"{name}: there is no such model card.")
        return _of_card(model_card_from(path))
    file, colon, attribute = name.rpartition(":")
    if colon and file.endswith(".py"):
        return _from_file(Path(file), attribute), None, code_sha256(Path(file))
    cards = model_cards()
    if name in cards:
        return _of_card(cards[name])
    plugins = entry_points()
    if name in plugins:
        try:
            return plugins[name].load(), None, ""
        except (Exception, SystemExit) as error:  # a broken plug-in is its own fault, not a traceback of ours
            raise InputError(f"model {name!r}: the entry point {plugins[name].value} cannot be loaded ({_reason(error)}).") from None
    if colon:
        return _from_module(file, attribute), None, _module_sha256(file)
    if name.endswith(".py"):
        raise InputError(f"{name}: say which class, as {name}:ClassName.")
    if name.endswith(".onnx"):
        raise InputError(f"{name}: an ONNX file needs a card.toml that says its crop, colours and convention (see docs/add-a-model.md).")
    raise InputError(f"unknown model {name!r}: {did_you_mean(name, [*cards, *plugins])}")


def _of_card(card: ModelCard) -> tuple[Callable[..., Any] | WorkerSpec, ModelCard, str]:
    if card.worker:
        return read_worker_card(card), card, ""
    if card.onnx:
        from .onnx_card import OnnxCardModel

        return OnnxCardModel, card, ""
    module, _, attribute = card.target.partition(":")
    return _from_module(module, attribute, card.folder), card, ""


def _from_module(module: str, attribute: str, beside: Path | None = None) -> Callable[..., Any]:
    """From what is installed, the working folder (which `python -m` has, the console script has not), or beside a card."""
    for folder in (os.getcwd(), *([str(beside.resolve())] if beside is not None else [])):
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        loaded = importlib.import_module(module)
    except HpbenchError:
        raise
    except ModuleNotFoundError as error:
        raise InputError(f"model {module}:{attribute}: no module {error.name!r} can be imported from here.") from None
    except (Exception, SystemExit) as error:
        raise InputError(f"model {module}:{attribute}: importing it failed ({_reason(error)}).") from None
    return _attribute(loaded, attribute, module)


def _from_file(path: Path, attribute: str) -> Callable[..., Any]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # a model may import its neighbours, as a script may
    name = f"hpbench_user_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except HpbenchError:
        raise
    except SyntaxError as error:
        raise InputError(f"{path}: line {error.lineno} is no Python ({error.msg}).") from None
    except (Exception, SystemExit) as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() == path.resolve()]
        where = f"line {lines[-1]} fails" if lines else "fails"
        raise InputError(f"{path}: {where} on import ({_reason(error)}).") from None
    return _attribute(module, attribute, str(path))


def _attribute(module: Any, attribute: str, where: str) -> Callable[..., Any]:
    target = getattr(module, attribute, None)
    if target is None:
        models = [n for n, v in vars(module).items() if inspect.isclass(v) and issubclass(v, Model) and v is not Model]
        raise InputError(f"{where}: there is no {attribute!r} in it: {did_you_mean(attribute, models)}")
    if not callable(target):
        raise InputError(f"{where}:{attribute} is neither a class nor a function.")
    return target


def _construct(
    target: Callable[..., Any], name: str, card: ModelCard | None, weights: Path | None, device: str, arguments: dict[str, Any]
) -> Model:
    if not inspect.isclass(target):
        if weights is not None or arguments:
            raise InputError(f"model {name!r} is a function: it takes no --weights and no --model-arg.")
        place = name.rpartition(":")[0]
        home = Path(place).stem if place.endswith(".py") else place.rpartition(".")[2]
        return _FunctionModel(target, f"{home}.{target.__name__}")
    accepted = inspect.signature(target).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    for key in arguments:
        if key not in accepted and not open_ended:
            known = [k for k in accepted if k not in ("card", "weights", "device")]
            raise InputError(f"model {name!r} takes no argument {key!r}: {did_you_mean(key, known)}")
    if weights is not None and "weights" not in accepted and not open_ended:
        raise InputError(f"model {name!r} takes no --weights.")
    if device != "auto" and "device" not in accepted and not open_ended:
        raise InputError(f"model {name!r} takes no --device: it runs where it likes.")
    offered = {"card": card, "weights": weights, "device": device}
    keywords = {k: v for k, v in offered.items() if k in accepted} | arguments
    try:
        model = target(**keywords)
    except HpbenchError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"model {name!r} cannot be made ({_reason(error)}).") from None
    if not isinstance(model, Model):
        predict = getattr(model, "predict", None)
        if not callable(predict):
            raise InputError(f"model {name!r}: {target.__name__} has no method predict(images, boxes_xyxy_px).")
        wrapped = _FunctionModel(predict, getattr(model, "name", "") or target.__name__)
        for key in ("version", "weights_sha256", "trained_on", "device", "batch_size"):
            if hasattr(model, key):
                setattr(wrapped, key, getattr(model, key))
        return wrapped
    return model


class _FunctionModel(Model):
    """A function (images, boxes_xyxy_px) -> Faces or a dict of its columns, or any object with such a predict, as a Model."""

    def __init__(self, function: Callable[..., Any], name: str = "") -> None:
        self.name = name or getattr(function, "__name__", "function")
        self._function = function

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        answer = self._function(images, boxes_xyxy_px)
        return Faces(**answer) if isinstance(answer, dict) else answer


def _module_sha256(module: str) -> str:
    """Of a module in the working folder; "" of what is installed, whose version is its own affair."""
    path, here = Path(getattr(sys.modules[module], "__file__", None) or "/").resolve(), Path.cwd().resolve()
    own = path.is_relative_to(here) and not {"site-packages", "hpbench"} & {*path.relative_to(here).parts}
    return code_sha256(path, here) if own else ""


def _reason(error: BaseException) -> str:
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}"[:200] if text else type(error).__name__
