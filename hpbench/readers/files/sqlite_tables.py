"""Tables of an SQLite file, read without trusting it.

The file's bytes are opened as a database in memory: nothing can be written, no journal is looked for, and no other file can
be reached.  Only plain tables are read, by statements that select columns and nothing else: a view, a virtual table or a
trigger of the file never runs.  Rows, text and time are bounded, since a damaged tree of pages can lead in a circle.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from ...errors import InputError

__all__ = ["read_tables"]

MAX_DATABASE_BYTES = 512 << 20
MAX_ROWS = 4_000_000  # of one table
MAX_TEXT = 64 << 20  # characters of one table, together
MAX_VALUE_BYTES = 1 << 20
MAX_SECONDS = 120.0

_MAGIC = b"SQLite format 3\0"
_CHUNK = 10_000

Rows = list[tuple[Any, ...]]


def read_tables(data: bytes, name: str, wanted: Mapping[str, tuple[str, ...]], optional: tuple[str, ...] = ()) -> dict[str, Rows]:
    """The rows of some tables, in the order in which they lie in the file.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        What an error calls it.
    wanted : mapping
        Table -> the columns wanted.
    optional : tuple of str
        Tables that may be missing; they are then left out of the result.

    Raises
    ------
    InputError
        Not an SQLite file, damaged, a table or column missing, or a view in a table's place.
    """
    if not data.startswith(_MAGIC):
        guess = "still packed, or a page that was downloaded in its place?" if data else "the file is empty."
        raise InputError(f"{name}: not an SQLite database: {guess}")
    if len(data) > MAX_DATABASE_BYTES:
        raise InputError(f"{name}: {len(data) >> 20} MiB is more than a database of labels takes ({MAX_DATABASE_BYTES >> 20} MiB).")
    connection = sqlite3.connect(":memory:")
    try:
        return _read(connection, data, name, wanted, optional)
    except InputError:
        raise
    except (sqlite3.Error, UnicodeError, OverflowError, MemoryError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise InputError(f"{name}: cannot be read as an SQLite database: truncated or damaged? ({reason})") from None
    finally:
        connection.close()


def _read(
    connection: sqlite3.Connection, data: bytes, name: str, wanted: Mapping[str, tuple[str, ...]], optional: tuple[str, ...]
) -> dict[str, Rows]:
    # a file left in write-ahead mode asks for a second file; these two bytes say which mode it is in (1 = none)
    connection.deserialize(data[:18] + b"\1\1" + data[20:])
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA query_only = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    deadline = time.monotonic() + MAX_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    readable = {"sqlite_master", "sqlite_schema", *(t.lower() for t in wanted)}

    def authorise(action: int, first: str | None, *_: object) -> int:
        allowed = (
            action == sqlite3.SQLITE_SELECT
            or (action == sqlite3.SQLITE_READ and (first or "").lower() in readable)
            or (action == sqlite3.SQLITE_PRAGMA and first == "table_xinfo")
        )
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    connection.set_authorizer(authorise)
    kinds = {str(table).lower(): (str(kind), str(sql or "")) for table, kind, sql in connection.execute(
        "SELECT name, type, sql FROM sqlite_master LIMIT 10000"
    ) if kind in ("table", "view")}  # fmt: skip
    found: dict[str, Rows] = {}
    for table, columns in wanted.items():
        kind, sql = kinds.get(table.lower(), ("", ""))
        if not kind and table in optional:
            continue
        if not kind:
            seen = ", ".join(sorted(t if t.isprintable() else ascii(t) for t in kinds)[:12])[:200] or "none"
            raise InputError(f"{name}: there is no table {table} in it (it has {seen}): another database?")
        plain = kind == "table" and not sql.upper().lstrip().startswith("CREATE VIRTUAL")
        # the last value is not 0 for a generated column, which would be computed by the file's own expression
        if not plain or any(row[-1] for row in connection.execute(f"PRAGMA table_xinfo([{table}])")):
            raise InputError(f"{name}: {table} is no plain table: this file is not to be trusted.")
        found[table] = _rows(connection, name, table, columns)
    return found


def _rows(connection: sqlite3.Connection, name: str, table: str, columns: tuple[str, ...]) -> Rows:
    # in brackets: a quoted name that is no column would be taken for a text
    try:
        cursor = connection.execute(f"SELECT {', '.join(f'[{c}]' for c in columns)} FROM [{table}] LIMIT {MAX_ROWS + 1}")
    except sqlite3.OperationalError as error:
        if "no such column" not in str(error):
            raise
        missing = str(error).rpartition(" ")[2].strip("[]")
        raise InputError(f"{name}: table {table} has no column {missing}: another database?") from None
    rows: Rows = []
    letters = 0
    while chunk := cursor.fetchmany(_CHUNK):
        rows += chunk
        letters += sum(len(v) for row in chunk for v in row if isinstance(v, (str, bytes)))
        if len(rows) > MAX_ROWS or letters > MAX_TEXT:
            raise InputError(f"{name}: table {table} is larger than a table of labels: damaged?")
    return rows
