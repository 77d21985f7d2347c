"""What the machine does while something is measured: memory, load, clock, and how a process is held to some processors.

Linux tells it all in /proc; elsewhere what is not known is None.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

__all__ = ["cpu_mhz", "gpu_memory_mib", "gpu_name", "hold_to", "load_average", "memory_mib", "others", "peak_memory_mib", "usable_cpus"]

_PROC = Path("/proc")


def usable_cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hold_to(threads: int) -> bool:
    """Hold this process, and what it starts, to so many processors; False where the system cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    with suppress(OSError):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])  # the last: systems like to put their own work on the first
        return len(os.sched_getaffinity(0)) == threads
    return False


def memory_mib() -> float | None:
    """Memory that this process and its children occupy now."""
    return _status_mib("VmRSS")


def peak_memory_mib() -> float | None:
    """The most that this process has occupied, its living children's most added: a model may work in one."""
    return _status_mib("VmHWM")


def _status_mib(key: str) -> float | None:
    own = _kib(_PROC / "self" / "status", key)
    if own is None:
        return None
    return (own + sum(_kib(_PROC / str(pid) / "status", key) or 0 for pid in _descendants(os.getpid()))) / 1024.0


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for file in (_PROC / str(pid) / "task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, file.read_text().split()):
                found += [child, *_descendants(child)]
    return found


def _kib(path: Path, key: str) -> int | None:
    with suppress(OSError):
        if match := re.search(rf"^{key}:\s*(\d+) kB", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
            return int(match[1])
    return None


def gpu_memory_mib() -> float | None:
    """PyTorch's peak on its GPU; None where it has used none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return float(torch.cuda.max_memory_reserved()) / 2**20


def gpu_name() -> str:
    """The first GPU by its driver; "" where there is none."""
    with suppress(OSError, subprocess.SubprocessError):
        command = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
        return (subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.splitlines() or [""])[0].strip()
    return ""


def load_average() -> float | None:
    """Of the last minute."""
    with suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return None


def cpu_mhz() -> float | None:
    """Mean clock of the processors."""
    with suppress(OSError):
        found = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", (_PROC / "cpuinfo").read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        return sum(map(float, found)) / len(found) if found else None
    return None


def others() -> Callable[[], float | None]:
    """From now until the returned function is called: how many processors others than this process and its children kept busy."""
    started, before, own = time.perf_counter(), _busy_s(), _own_s()

    def found() -> float | None:
        now, elapsed = _busy_s(), time.perf_counter() - started
        if before is None or now is None or elapsed <= 0:
            return None
        return max(0.0, (now - before - (_own_s() - own)) / elapsed)

    return found


def _own_s() -> float:
    """Processor time of this process and of its children, the living ones as well."""
    times = os.times()
    total = times.user + times.system + times.children_user + times.children_system
    for pid in _descendants(os.getpid()):
        with suppress(OSError, IndexError, ValueError):
            fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def _busy_s() -> float | None:
    """Processor time of everybody since the machine was started."""
    with suppress(OSError, ValueError, IndexError):
        fields = [int(n) for n in (_PROC / "stat").read_text(encoding="ascii").splitlines()[0].split()[1:]]
        busy = sum(fields[:3]) + sum(fields[5:8])  # user, nice, system; irq, softirq, steal: all but idle and waiting
        return busy / os.sysconf("SC_CLK_TCK")
    return None
