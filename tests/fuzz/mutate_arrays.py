"""Valid arrays and weights spoilt within: .npy, MATLAB, safetensors; shapes, types and sizes are lied about.

What cannot be opened any more (a mutated input may be mutated again) is spoilt as bytes.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from hpbench.readers.files.matlab import _variables_v5

from .mutations import NUMBERS, TEXTS, mutate_bytes, mutate_json

__all__ = ["mutate_mat", "mutate_npy", "mutate_safetensors", "or_bytes", "spoilt_array"]

DESCRIPTIONS = (
    "|O",
    "|O8",
    "|V8",
    "<U4",
    "<U0",
    "|S0",
    "<f8",
    ">f8",
    "<c16",
    "|b1",
    "<M8[s]",
    "<u8",
    "<f2",
    "[('a', '<f8'), ('b', '|O')]",
    "<f999",
    "",
)
SHAPES: tuple[tuple[int, ...], ...] = (
    (), (0,), (-1,), (1,), (3,), (2**31,), (2**62, 2**62), (10**6, 10**6), (3, 3), (3, 68, 2), (0, 3, 3), (1,) * 33, (1,) * 65,
)  # fmt: skip


def or_bytes(change: Callable[[Random, bytes], bytes], rng: Random, data: bytes, share: float = 0.3) -> bytes:
    if rng.random() < share:
        return mutate_bytes(rng, data)
    try:
        return change(rng, data)
    except Exception:  # spoilt before, or by a change that the library refuses to write
        return mutate_bytes(rng, data)


# -------------------------------------------------------------------------------------------------------------- arrays


def mutate_npy(rng: Random, data: bytes) -> bytes:
    """An .npy whose header says something else."""
    return or_bytes(_spoilt_npy, rng, data)


def _spoilt_npy(rng: Random, data: bytes) -> bytes:
    array = np.load(io.BytesIO(data), allow_pickle=False)
    descr, shape = array.dtype.str, array.shape
    match rng.randrange(5):
        case 0:
            descr = rng.choice(DESCRIPTIONS)
        case 1:
            shape = rng.choice((*SHAPES, tuple(reversed(shape)), (*shape, 1), shape[:-1], tuple(2 * n for n in shape)))
        case 2:
            return _npy(spoilt_array(rng, array))
        case 3:
            return _npy(
                rng.choice((array[:0], array[:1], np.concatenate([array, array]), array.astype("U"), array.astype("S"), array[..., None]))
            )
        case _:
            pass
    header = f"{{'descr': {descr if descr.startswith('[') else repr(descr)}, 'fortran_order': {rng.random() < 0.2}, 'shape': {shape}, }}"
    if rng.random() < 0.1:
        header = rng.choice(("{" * 500, "[" * 9000, "()", header[:-3], header + "#" * 60_000, "{'shape': (1,)}", "-" * 9000 + "1"))
    version = rng.choice((1, 1, 1, 2, 3))
    text = header.encode() + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text) & 0xFFFF if version == 1 else len(text))
    return b"\x93NUMPY" + bytes((version, 0)) + size + text + array.tobytes()


def _npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def spoilt_array(rng: Random, array: Any) -> Any:
    """One value of an array replaced."""
    out = array.copy()
    if out.size:
        flat = out.reshape(-1)
        at = rng.randrange(flat.size)
        with np.errstate(all="ignore"):
            flat[at] = rng.choice(TEXTS[:24]).replace("\ud800", "x") if out.dtype.kind in "US" else _number(rng)
    return out


def _number(rng: Random) -> float:
    text = rng.choice(NUMBERS)
    try:
        return float(text)
    except ValueError:
        return rng.choice((np.nan, np.inf, -1.0, 255.0))


def mutate_mat(rng: Random, data: bytes) -> bytes:
    """A MATLAB v5 file: other variables, shapes, types; packed or not."""
    return or_bytes(_spoilt_mat, rng, data)


def _spoilt_mat(rng: Random, data: bytes) -> bytes:
    import scipy.io

    if rng.random() < 0.4:  # unpack one element and spoil its inside
        kind, size = struct.unpack_from("<II", data, 128)
        inside = zlib.decompress(data[136 : 136 + size]) if kind == 15 else data[128 : 136 + size]
        inside = mutate_bytes(rng, inside)
        packed = zlib.compress(inside)
        return data[:128] + rng.choice((struct.pack("<II", 15, len(packed)) + packed, inside)) + data[136 + size :]
    # by hpbench's own reader: SciPy's ends the process on some of what was spoilt before
    variables = {v.name: v.load().reshape(v.shape, order="F") for v in _variables_v5(data) if v.shape}
    name = rng.choice(sorted(variables))
    value = variables[name]
    match rng.randrange(7):
        case 0:
            del variables[name]
        case 1:
            variables[name] = spoilt_array(rng, value)
        case 2:
            variables[name] = value.T
        case 3:
            variables[name] = rng.choice((value[:0], value[..., :1], np.array("text"), value > 0 if value.dtype.kind in "fiu" else 1))
        case 4:
            variables[name] = rng.choice((value * 1j if value.dtype.kind == "f" else 0, {"a": value}, np.array([value, "x"], dtype=object)))
        case 5:
            variables[name] = value.astype(rng.choice(("f4", "i2", "u1", "f8"))) if value.dtype.kind in "fiu" else value
        case _:
            variables["x" * rng.choice((1, 31))] = value
    out = io.BytesIO()
    with np.errstate(all="ignore"):
        scipy.io.savemat(out, variables, do_compression=rng.random() < 0.5, format=rng.choice(("5", "5", "5", "4")))
    return out.getvalue()


def mutate_safetensors(rng: Random, data: bytes) -> bytes:
    """The header spoilt as JSON, the texts within it too, or the numbers."""
    return or_bytes(_spoilt_safetensors, rng, data)


def _spoilt_safetensors(rng: Random, data: bytes) -> bytes:
    length = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + length], data[8 + length :]
    tree = json.loads(header)
    match rng.randrange(4):
        case 0:
            header = mutate_json(rng, header)
        case 1 if tree.get("__metadata__"):
            key = rng.choice(sorted(tree["__metadata__"]))
            tree["__metadata__"][key] = mutate_json(rng, tree["__metadata__"][key].encode()).decode("utf-8", "replace")
            header = json.dumps(tree).encode()
        case 2:
            name = rng.choice([k for k in tree if k != "__metadata__"])
            tree[name]["dtype"] = rng.choice(("F64", "F32", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3"))
            tree[name]["shape"] = rng.choice((tree[name]["shape"][::-1], [2**40], [0], [], [-1], [1, *tree[name]["shape"]]))
            header = json.dumps(tree).encode()
        case _:
            values = bytearray(body)
            at = 4 * rng.randrange(max(1, len(values) // 4))
            values[at : at + 4] = struct.pack("<f", rng.choice((np.nan, np.inf, -1.0, 1e38)))
            body = bytes(values)
    size = len(header) if rng.random() < 0.95 else rng.choice((0, 2**63, 2**31, len(header) + 1))
    return size.to_bytes(8, "little") + header + body
