"""Valid archives and databases spoilt within: members renamed, shapes and types changed, links laid, sizes lied about.

What cannot be opened any more (a mutated input may be mutated again) is spoilt as bytes.
"""

from __future__ import annotations

import io
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from random import Random
from typing import Any

import numpy as np

from .mutate_arrays import mutate_mat, mutate_npy, or_bytes, spoilt_array
from .mutations import TEXTS, mutate_bytes, mutate_json, mutate_text, mutate_toml

__all__ = ["mutate_hdf5", "mutate_sqlite", "mutate_tar", "mutate_zip"]

NAMES = (
    "../x",
    "/tmp/x",
    "C:\\x",
    "a/../../x",
    "..",
    "",
    "labels.npz",
    "manifest.json",
    "\x1b[2J",
    "x" * 70_000,
    "a\x00b",
    ".hidden/x",
    "con",
    "\ud83d",
    "sample_id.npy",
    "images.npy",
    "records/../x",
)


# ------------------------------------------------------------------------------------------------------------ archives


def mutate_zip(rng: Random, data: bytes) -> bytes:
    """A zip, also an .npz: a member spoilt by its kind, renamed, doubled, made a link or a bomb, or the directory spoilt."""
    return or_bytes(_spoilt_zip, rng, data)


def _spoilt_zip(rng: Random, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    out = io.BytesIO()
    at = rng.randrange(len(members))
    what = rng.randrange(12)
    with zipfile.ZipFile(out, "w") as archive:
        for i, (info, content) in enumerate(members):
            entry = zipfile.ZipInfo(info.filename, info.date_time)
            entry.external_attr, entry.compress_type = info.external_attr, info.compress_type
            if i == at:
                match what:
                    case 0:
                        entry.filename = rng.choice(NAMES)[:60_000]
                    case 1:
                        entry.external_attr = rng.choice((0o120777, 0o040755, 0o020666, 0o010644)) << 16
                    case 2:
                        entry.compress_type = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
                    case 3:
                        entry.compress_type, content = zipfile.ZIP_DEFLATED, content + bytes(rng.choice((*[1 << 16] * 30, 70 << 20)))
                    case 4:
                        continue
                    case 5:
                        archive.writestr(entry, content)
                    case _:
                        content = _spoilt_member(rng, info.filename, content)
            archive.writestr(entry, content)
        if what == 6:
            archive.writestr(rng.choice(NAMES)[:60_000], b"x")
    written = out.getvalue()
    if what == 7:  # sizes and methods in the directory are not those of the members
        place = written.rfind(b"PK\x01\x02")
        field, size = rng.choice(((8, 2), (10, 2), (20, 4), (24, 4), (28, 2), (42, 4)))
        value = rng.choice((0, 1, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, rng.getrandbits(16))) & (256**size - 1)
        written = written[: place + field] + value.to_bytes(size, "little") + written[place + field + size :]
    return written


def _spoilt_member(rng: Random, name: str, content: bytes) -> bytes:
    mutators: dict[str, Callable[[Random, bytes], bytes]] = {
        "npy": mutate_npy,
        "npz": mutate_zip,
        "json": mutate_json,
        "toml": mutate_toml,
        "h5": mutate_hdf5,
        "txt": mutate_text,
        "pts": mutate_text,
        "mat": mutate_mat,
    }
    return mutators.get(name.rpartition(".")[2], mutate_bytes)(rng, content)


def mutate_tar(rng: Random, data: bytes) -> bytes:
    """A tar, packed or not: names, kinds, links and sizes of members."""
    return or_bytes(_spoilt_tar, rng, data)


def _spoilt_tar(rng: Random, data: bytes) -> bytes:
    out = io.BytesIO()
    packed = rng.choice(("", "gz", "bz2", "xz"))
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode=f"w:{packed}", format=rng.choice((0, 1, 2))) as new:
        members = old.getmembers()
        at = rng.randrange(len(members))
        for i, member in enumerate(members):
            file = old.extractfile(member)
            content = file.read() if file else b""
            if i == at:
                match rng.randrange(6):
                    case 0:
                        member.name = rng.choice(NAMES)[:200]
                    case 1:
                        member.type, member.linkname = rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE)), "../../etc/passwd"
                    case 2:
                        content += bytes(rng.choice((*[1 << 16] * 30, 70 << 20)))
                    case 3:
                        new.addfile(member, io.BytesIO(content))
                    case 4:
                        content = _spoilt_member(rng, member.name, content)
                    case _:
                        member.mtime, member.uname = -1, "\u00e9" * 40
            member.size = len(content) if member.isreg() else 0
            new.addfile(member, io.BytesIO(content))
    written = out.getvalue()
    return mutate_bytes(rng, written) if rng.random() < 0.2 else written


# ------------------------------------------------------------------------------------------------- HDF5 and databases


def mutate_hdf5(rng: Random, data: bytes) -> bytes:
    """An HDF5 file with an array, attribute or link of another kind."""
    return or_bytes(_spoilt_hdf5, rng, data, 0.4)


def _spoilt_hdf5(rng: Random, data: bytes) -> bytes:
    import h5py

    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        name = rng.choice([*file]) if len(file) else "x"
        old = file.get(name)
        value = old[()] if isinstance(old, h5py.Dataset) else np.zeros(3)
        if name in file:
            del file[name]
        text = rng.choice(TEXTS[:24]).replace("\x00", "").replace("\ud800", "x")
        match rng.randrange(16):
            case 0:
                file[name] = (
                    rng.choice((value[:1], value.T, value[None], value.astype("S"), np.float64(1), h5py.Empty("f8")))
                    if np.ndim(value)
                    else 1
                )
            case 1:
                file[name] = spoilt_array(rng, value)
            case 2:
                file[name] = h5py.ExternalLink("/etc/passwd", "/x")
            case 3:
                file[name] = h5py.SoftLink(rng.choice(("/", f"/{name}", "/nothing")))
            case 4:
                file[name] = file["/"]  # a circle
            case 5:
                file.create_dataset(name, data=[text] * 3, dtype=h5py.string_dtype())
            case 6:
                file.create_dataset(
                    name, shape=rng.choice(((2**40,), (3, 2**40), (2**20, 2**20), (0, 3), (10**7, 9))), dtype=rng.choice("fdBq")
                )
            case 7:
                file.create_dataset(name, shape=(2**30,), chunks=rng.choice(((2**20,), (2**24,))), dtype="f8", compression="gzip")
            case 8:
                kind = rng.choice(({"compression": "lzf"}, {"scaleoffset": 3}, {"fletcher32": True}, {"shuffle": True, "compression": 9}))
                file.create_dataset(name, data=np.asarray(value), **kind)
            case 9:
                file.create_dataset(name, shape=(10,), dtype="f8", external=[("/etc/passwd", 0, 80)])
            case 10:
                layout = h5py.VirtualLayout((4,), "f8")
                layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
                file.create_virtual_dataset(name, layout)
            case 11:
                file[name] = np.zeros(3, dtype=rng.choice(([("a", "f8"), ("b", "S4")], "f2", ">f8", "c16", "V7", "?")))
            case 12:
                file.create_dataset(
                    name, (3,), dtype=rng.choice((h5py.ref_dtype, h5py.regionref_dtype, h5py.vlen_dtype("f8"), h5py.enum_dtype({"A": 1})))
                )
            case 13:
                file.create_group(name).create_dataset("x", data=value)
            case 14:
                file[name] = value
                file.attrs[rng.choice((*file.attrs, "x", "convention"))] = rng.choice(
                    (text, 1, [1.5], np.nan, h5py.Empty("f8"), [text], np.bytes_(b"\xff"))
                )
            case _:
                file[rng.choice(("x", "rotation", "visibility", "failure", text or "y"))] = value
    out = buffer.getvalue()
    return mutate_bytes(rng, out) if rng.random() < 0.1 else out


def mutate_sqlite(rng: Random, data: bytes) -> bytes:
    """A database changed by its own language."""
    return or_bytes(_spoilt_sqlite, rng, data, 0.5)


def _spoilt_sqlite(rng: Random, data: bytes) -> bytes:
    with closing(sqlite3.connect(":memory:")) as db:
        db.deserialize(data)
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = rng.choice(tables)
        columns = [row[1] for row in db.execute(f"PRAGMA table_info([{table}])")]
        value: Any = rng.choice((None, -1, 2**62, 1e308, float("inf"), "x", b"\xff\xfe", "", TEXTS[-1], "../x", "\x1b[2J", 0.5, "12"))
        column = rng.choice(columns)
        match rng.randrange(7):
            case 0:
                db.execute(f"DROP TABLE [{table}]")
            case 1:
                db.execute(f"ALTER TABLE [{table}] RENAME COLUMN [{column}] TO other")
            case 2:
                db.execute(f"DELETE FROM [{table}] WHERE rowid % 2 = 0")
            case 3:
                db.execute(f"DROP TABLE [{table}]")
                endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
                db.execute(f"CREATE VIEW [{table}] AS {endless} SELECT x AS [{column}] FROM c")
            case 4:
                db.execute(f"INSERT INTO [{table}] ([{column}]) VALUES (?)", (value,))
            case _:
                db.execute(
                    f"UPDATE [{table}] SET [{column}] = ? WHERE rowid = (SELECT rowid FROM [{table}] LIMIT 1 OFFSET ?)",
                    (value, rng.randrange(4)),
                )
        db.commit()
        return db.serialize()
