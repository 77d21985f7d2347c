"""The other side of a worker: a user's model in its own environment, answering through its stdin and stdout.

hpbench starts this file by its path, ``PYTHON worker_side.py FILE.py:NAME``.  It needs Python 3.6 and numpy and nothing
of hpbench, which is not installed there; hpbench takes the frames of the protocol from here.  docs/add-a-model.md states
the protocol.
"""

import importlib.util
import inspect
import json
import os
import pathlib
import queue
import struct
import sys
import threading
import time
import traceback
from typing import Any, BinaryIO

__all__ = ["MAX_ANSWER_BYTES", "MAX_REQUEST_BYTES", "PROTOCOL", "frame", "main", "read_frame"]

PROTOCOL = 1
MAGIC = b"\x93HPB"  # begins every frame; no text begins so: what a program prints by mistake is told from an answer
PREFIX = struct.Struct("<4sIQ")  # magic, bytes of the header, bytes of the arrays
MAX_HEADER_BYTES = 16 << 20
MAX_REQUEST_BYTES = 4 << 30  # of the arrays
MAX_ANSWER_BYTES = 256 << 20
ITEM_BYTES = {"|u1": 1, "<f4": 4, "<f8": 8}
COLUMNS = ("rotation", "euler_deg", "landmarks", "visibility")
_TEXTS = ("convention", "scheme")
_GRACE_S = 5.0  # for a model at work when hpbench has gone


class _RefusalError(Exception):
    """Why there is no model: one sentence for the user."""


def frame(header: "dict[str, Any]", arrays: "list[tuple[str, Any]]", max_bytes: int) -> "list[Any]":
    """A frame as buffers to write one after the other; ValueError or TypeError where it cannot be one."""
    described = [{"name": name, "dtype": array.dtype.str, "shape": list(array.shape)} for name, array in arrays]
    text = json.dumps(dict(header, arrays=described)).encode()
    size = sum(array.nbytes for _, array in arrays)
    if len(text) > MAX_HEADER_BYTES or size > max_bytes:
        raise ValueError(f"a header of {len(text)} and arrays of {size} bytes are too much for one frame")
    return [PREFIX.pack(MAGIC, len(text), size) + text] + [memoryview(array.reshape(-1).view("|u1")) for _, array in arrays]


def read_frame(stream: BinaryIO, max_bytes: int) -> "tuple[dict[str, Any], list[tuple[str, Any]]] | None":
    """The next frame, its arrays writable; None at the end of the stream.  ValueError or EOFError where it is none."""
    first = stream.read(1)
    if not first:
        return None
    if first != MAGIC[:1]:
        printed = (first + stream.peek(1)[:200]).decode("utf-8", "replace").strip()  # type: ignore[attr-defined]
        line = (printed.splitlines() or [""])[0][:80]
        raise ValueError(f"{line!r} where a frame begins: print to stderr instead?")
    magic, header_bytes, array_bytes = PREFIX.unpack(first + bytes(_filled(stream, bytearray(PREFIX.size - 1))))
    if magic != MAGIC:
        raise ValueError(f"a frame that begins with {magic!r}")
    if header_bytes > MAX_HEADER_BYTES or array_bytes > max_bytes:
        raise ValueError(f"a frame with a header of {header_bytes} and arrays of {array_bytes} bytes")
    try:
        header = json.loads(bytes(_filled(stream, bytearray(header_bytes))).decode("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError("a header that is no JSON in UTF-8") from None
    if not isinstance(header, dict):
        raise ValueError("a header that is no JSON object")
    return header, _read_arrays(stream, header.pop("arrays", []), array_bytes)


def _read_arrays(stream: BinaryIO, described: Any, array_bytes: int) -> "list[tuple[str, Any]]":
    if not isinstance(described, list) or not all(_is_description(entry) for entry in described):
        raise ValueError(f"arrays that are no list of name, dtype (one of {', '.join(ITEM_BYTES)}) and shape")
    total = 0
    for entry in described:
        size = ITEM_BYTES[entry["dtype"]]
        for length in entry["shape"]:
            size *= length
        total += size
    if total != array_bytes:
        raise ValueError(f"arrays of {total} bytes by their shapes and {array_bytes} by the frame")
    out = []
    for entry in described:
        import numpy as np  # here: a first frame without arrays can be answered without it

        array = np.empty(entry["shape"], entry["dtype"])
        _filled(stream, array.reshape(-1).view("|u1"))
        out.append((entry["name"], array))
    return out


def _is_description(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not isinstance(entry.get("shape"), list):
        return False
    in_range = all(type(length) is int and 0 <= length < 1 << 31 for length in entry["shape"])
    return isinstance(entry.get("dtype"), str) and entry["dtype"] in ITEM_BYTES and len(entry["shape"]) <= 4 and in_range


def _filled(stream: BinaryIO, buffer: Any) -> Any:
    view, done = memoryview(buffer), 0
    while done < len(view):
        count = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError("the stream ends within a frame")
        done += count
    return buffer


def main(target: str) -> int:
    """Answer requests until stdin ends."""
    requests, answers = _own_pipes()
    frames: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_read_requests, args=(requests, frames), daemon=True).start()
    predict = None
    while True:
        request = frames.get()
        if request is None:
            return 0
        if isinstance(request, Exception):
            print("hpbench sent " + str(request), file=sys.stderr)
            return 1
        header, arrays = request
        try:
            if header.get("call") == "hello":
                predict, reply = _hello(target, header)
                columns: list[tuple[str, Any]] = []
            else:
                reply, columns = _predict(predict, arrays)
            buffers = frame(dict(reply, id=header.get("id")), columns, MAX_ANSWER_BYTES)
        except (Exception, SystemExit) as error:
            buffers = frame(dict(_described(error), id=header.get("id")), [], MAX_ANSWER_BYTES)
        for buffer in buffers:
            answers.write(buffer)
        answers.flush()


def _own_pipes() -> "tuple[BinaryIO, BinaryIO]":
    """Our ends of the pipes; the model's own stdin is empty, and what it or its libraries print goes to stderr."""
    ends = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        for end in ends:
            msvcrt.setmode(end, os.O_BINARY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(1, "w", 1, errors="replace", closefd=False)  # by lines, so that it mixes with stderr in order
    return os.fdopen(ends[0], "rb"), os.fdopen(ends[1], "wb")


def _read_requests(stream: BinaryIO, frames: "queue.Queue[Any]") -> None:
    """In a thread, so that the end of hpbench is seen even while the model hangs."""
    request: Any = True
    while request is not None:
        try:
            request = read_frame(stream, MAX_REQUEST_BYTES)
        except Exception as error:
            frames.put(error)
            break
        frames.put(request)
    time.sleep(_GRACE_S)
    os._exit(1)


def _hello(target: str, request: "dict[str, Any]") -> "tuple[Any, dict[str, Any]]":
    if request.get("protocol") != PROTOCOL:
        raise _RefusalError(f"hpbench speaks protocol {request.get('protocol')!r}, worker_side.py {PROTOCOL}.")
    try:
        import numpy  # noqa: F401
    except ImportError as error:
        raise _RefusalError(f"numpy cannot be imported by {sys.executable} ({_first_line(error)}): install it there.") from None
    path, _, name = target.rpartition(":")
    found = _imported(path, name)
    if not inspect.isclass(found):
        if request.get("weights") is not None or request.get("arguments"):
            raise _RefusalError(f"{target} is a function: it takes no --weights and no --model-arg.")
        return found, {"protocol": PROTOCOL, "name": f"{pathlib.Path(path).stem}.{name}"}
    model = _constructed(found, target, request)
    if not callable(getattr(model, "predict", None)):
        raise _RefusalError(f"{target} has no method predict(images, boxes_xyxy_px).")
    told = {key: getattr(model, key) for key in ("name", "version", "weights_sha256", "device", "batch_size") if hasattr(model, key)}
    return model.predict, dict(told, protocol=PROTOCOL, trained_on=list(getattr(model, "trained_on", ())))


def _imported(path: str, name: str) -> Any:
    """What the file calls `name`, the file's folder last on the path: its neighbours can be imported, and shadow nothing."""
    file = pathlib.Path(path)
    if not file.is_file():
        raise _RefusalError(f"{path}: there is no such file.")
    sys.path.append(str(file.resolve().parent))
    module_name = "hpbench_user_" + file.stem
    spec = importlib.util.spec_from_file_location(module_name, str(file))
    if spec is None or spec.loader is None:
        raise _RefusalError(f"{path}: not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise _RefusalError(f"{error.filename or path}: line {error.lineno} is no Python ({error.msg}).") from None
    except (Exception, SystemExit) as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if pathlib.Path(f.filename).resolve() == file.resolve()]
        where = f"line {lines[-1]} fails" if lines else "fails"
        raise _RefusalError(f"{path}: {where} on import ({_named(error)}).") from None
    found = getattr(module, name, None)
    if not callable(found):
        raise _RefusalError(f"{path}: there is no class or function {name!r} in it.")
    return found


def _constructed(found: Any, target: str, request: "dict[str, Any]") -> Any:
    """The object, with those of weights, device and the user's arguments that its constructor names."""
    parameters = inspect.signature(found).parameters
    weights, device = request.get("weights"), request.get("device", "auto")
    keywords = {} if weights is None else {"weights": pathlib.Path(weights)}
    keywords.update({"device": device} if device != "auto" or "device" in parameters else {})
    keywords.update(request.get("arguments") or {})
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for key in keywords:
            if key not in parameters:
                option = "--" + key if key in ("weights", "device") else "--model-arg " + key
                takes = ", ".join(p for p in parameters if p not in ("weights", "device")) or "none"
                raise _RefusalError(f"{target} takes no {option}; its arguments are: {takes}.")
    try:
        return found(**keywords)
    except (Exception, SystemExit) as error:
        raise _RefusalError(f"{target} cannot be made ({_named(error)}).") from None


def _predict(predict: Any, arrays: "list[tuple[str, Any]]") -> "tuple[dict[str, Any], list[tuple[str, Any]]]":
    """The model's answer as header and arrays; a dict or any object with the columns as attributes."""
    import numpy as np

    boxes, images = arrays[0][1], [array for _, array in arrays[1:]]
    answer = predict(images, boxes)
    if isinstance(answer, dict):
        unknown = set(answer) - {*COLUMNS, *_TEXTS, "failure"}
        if unknown:
            raise TypeError(f"predict returned {min(map(str, unknown))!r}, which is none of {', '.join((*COLUMNS, *_TEXTS, 'failure'))}")
        given = answer
    else:
        given = {key: getattr(answer, key, None) for key in (*COLUMNS, *_TEXTS, "failure")}
    columns = [(key, np.asarray(given[key], dtype="<f8", order="C")) for key in COLUMNS if given.get(key) is not None]
    if not columns:
        raise TypeError(f"predict returned {type(answer).__name__} without {', '.join(COLUMNS)}")
    header = {key: given[key] for key in _TEXTS if given.get(key) is not None}
    if given.get("failure") is not None:
        header["failure"] = [str(reason) for reason in given["failure"]]
    return header, columns


def _described(error: BaseException) -> "dict[str, Any]":
    if isinstance(error, _RefusalError):
        return {"error": str(error)}
    return {"error": _first_line(error), "type": type(error).__name__}


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:1000]


if __name__ == "__main__":
    if sys.path and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(__file__)):
        del sys.path[0]  # or `import weights` of a user would find hpbench's
    sys.exit(main(sys.argv[1]))
