"""TOML files read into frozen dataclasses: unknown keys, missing keys and wrong types are one-sentence errors.

The dataclass *is* the schema: its fields and their annotations say which keys there are and what they hold.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from .errors import InputError, collecting, did_you_mean

__all__ = ["build", "read_toml"]

T = TypeVar("T")

MAX_TOML_BYTES = 1_000_000


def read_toml(path: Path) -> dict[str, Any]:
    """The parsed TOML file; `InputError` naming it where it cannot be read or parsed."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise InputError(f"{path}: cannot be read (it is no file).")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    if len(data) > MAX_TOML_BYTES:
        raise InputError(f"{path}: {len(data)} bytes is no card or protocol.")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8.") from None
    except (ValueError, RecursionError) as error:  # ValueError: also a whole number of too many digits
        raise InputError(f"{path}: not valid TOML: {error}.") from None


def build(cls: type[T], data: object, where: str) -> T:
    """An instance of the dataclass `cls` from parsed TOML; `where` names the file and table in errors."""
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected a table, got {_kind(data)}.")
    known = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    wrong = [f"{where}: unknown key {key!r}: {did_you_mean(key, known)}" for key in data if key not in known]
    hints = _hints(cls)  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, spec in known.items():
        if name in data:
            with collecting(wrong):
                values[name] = _convert(data[name], hints[name], f"{where}: key {name!r}")
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            wrong.append(f"{where}: the key {name!r} is missing.")
    if wrong:
        raise InputError(*wrong)
    return cls(**values)


@functools.cache  # of a class; reading a thousand records asks thousands of times
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _convert(value: Any, hint: Any, where: str) -> Any:
    if hint is Any:
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        errors = []
        for option in (a for a in arguments if a is not type(None)):
            try:
                return _convert(value, option, where)
            except InputError as error:
                errors.append(error)
        raise errors[-1]
    if origin is typing.Literal:
        if value not in arguments:
            raise InputError(f"{where}: {value!r} is none of {', '.join(map(repr, arguments))}.")
        return value
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where}: expected a list, got {_kind(value)}.")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_convert_all([(v, arguments[0], f"{where}, entry {i}") for i, v in enumerate(value)]))
        if len(value) != len(arguments):
            raise InputError(f"{where}: expected {len(arguments)} entries, got {len(value)}.")
        return tuple(_convert(v, a, f"{where}, entry {i}") for i, (v, a) in enumerate(zip(value, arguments, strict=True)))
    if origin is dict:
        if not isinstance(value, dict):
            raise InputError(f"{where}: expected a table, got {_kind(value)}.")
        return dict(zip(value, _convert_all([(v, arguments[1], f"{where}.{k}") for k, v in value.items()]), strict=True))
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            if math.isfinite(value):
                return float(value)
        except OverflowError:
            pass
        raise InputError(f"{where}: {value!r:.60} is no finite number.")
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{where}: expected {_NAMES.get(hint, hint.__name__)}, got {_kind(value)} ({value!r:.60}).")
    return value


def _convert_all(items: list[tuple[Any, Any, str]]) -> list[Any]:
    """The entries of a list or table, or all that is wrong with them."""
    wrong: list[str] = []
    values: list[Any] = []
    for value, hint, where in items:
        with collecting(wrong):
            values.append(_convert(value, hint, where))
    if wrong:
        raise InputError(*wrong)
    return values


_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "a table", list: "a list"}


def _kind(value: object) -> str:
    return _NAMES.get(type(value), type(value).__name__)
