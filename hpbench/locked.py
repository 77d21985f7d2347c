"""One writer to a folder at a time."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InputError

__all__ = ["locked"]

_FILE = ".lock"
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP)  # NFS without its lock daemon, and file systems that know none: nothing to hold


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder, which is made if it is not there; the system lets go of it when the process ends, however it ends.

    Parameters
    ----------
    what : str
        Who holds it, for the other's error: ``a run``, ``a training``.

    Raises
    ------
    InputError
        Another process holds it, or the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _FILE)
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"{folder}: {what} is under way there: wait for its end, or choose another folder with -o.") from None
    except (OSError, NotImplementedError) as error:  # NotImplementedError: how older filelocks say ENOSYS
        if isinstance(error, NotImplementedError) or error.errno in _NO_LOCKS:
            yield
            return
        raise InputError(f"{folder}: cannot be used for output ({error.strerror or error}).") from None
    try:
        yield
    finally:
        with suppress(OSError):  # an open file cannot be removed everywhere; it does no harm
            (folder / _FILE).unlink(missing_ok=True)
        lock.release()
