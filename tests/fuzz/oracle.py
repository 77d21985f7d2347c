"""What may come out of reading an input: a result, or an `HpbenchError` whose text may be printed; nothing else, and soon."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import hpbench
from hpbench.errors import HpbenchError

__all__ = ["MAX_SECONDS", "Finding", "Hang", "Touched", "judge"]

MAX_SECONDS = 1.0  # of the processor, for one input
MAX_SENTENCE = 8000  # characters of an error: paths are long, and so is how to obtain a dataset

_PACKAGE = Path(hpbench.__file__).parent


class Hang(BaseException):
    """Raised by the watchdog; no `except Exception` of a reader takes it for a damaged file."""


class Touched(BaseException):
    """Raised by the worker's audit hook: a reader did something that no reader does."""


@dataclass(frozen=True)
class Finding:
    """What went wrong.

    Attributes
    ----------
    kind : str
        ``exception``, ``hang``, ``memory``, ``text``, ``touched`` or ``crash``.
    what : str
        The exception and its message, or what was done.
    where : str
        The last line of hpbench that ran: findings of one kind at one place are one.
    """

    kind: str
    what: str
    where: str

    @property
    def key(self) -> str:
        return f"{self.kind}|{self.what.partition(':')[0] if self.kind == 'exception' else ''}|{self.where}"


def judge(read: Callable[[bytes], object], data: bytes, seconds: float = MAX_SECONDS) -> Finding | None:
    """Read an input; what is wrong with how that went, or None."""
    before = time.process_time()
    try:
        with _watchdog(seconds):
            read(data)
    except Hang as error:
        return Finding("hang", f"more than {seconds:g} s", _place(error))
    except Touched as error:
        return Finding("touched", str(error), _place(error))
    except HpbenchError as error:
        if found := _of_error(error):
            return found
    except MemoryError as error:
        return Finding("memory", "MemoryError", _place(error))
    except Exception as error:
        return Finding("exception", f"{type(error).__name__}: {str(error)[:200]!r}", _place(error))
    if seconds and (took := time.process_time() - before) > 1.5 * seconds:  # in native code, which no signal interrupts
        return Finding("hang", f"{took:.1f} s", "native code")
    return None


def _of_error(error: HpbenchError) -> Finding | None:
    seen: BaseException | None = error
    while seen is not None:  # `from None` hides a context and keeps it
        if isinstance(seen, MemoryError):
            return Finding("memory", "MemoryError behind a sentence", _place(seen))
        seen = seen.__context__
    for text in error.sentences:
        if bad := next((c for c in text if not c.isprintable() and c != "\n"), ""):
            return Finding("text", f"prints {bad!r}: {text!r:.200}", _place(error))
        if len(text) > MAX_SENTENCE:
            return Finding("text", f"{len(text)} characters: {text!r:.100}", _place(error))
    return None


@contextmanager
def _watchdog(seconds: float) -> Iterator[None]:
    """Processor time, so that a busy machine finds no hangs; 0 = none (where another uses the timer)."""
    if not seconds:
        yield
        return

    def bark(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGPROF, bark)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def _place(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(_PACKAGE)]
    return f"{Path(frames[-1].filename).relative_to(_PACKAGE)}:{frames[-1].lineno}" if frames else "outside hpbench"
