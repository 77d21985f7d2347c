"""One of several processes that a launcher has started to share a run: ``torchrun --nnodes ... -m hpbench run ...``.

The launcher says in the environment which process this is.  Every process computes its share into the output folder, which
all of them reach; the first waits for the others, joins and scores.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from .errors import InputError, MissingDataError
from .parts import Shard

__all__ = ["Ranks", "ranks_of_environment"]

_LONGEST_HOURS = 24 * 7  # that the first process waits for the last


@dataclass(frozen=True)
class Ranks:
    """Which process this is.

    Attributes
    ----------
    shard : Shard
        Its share: rank + 1 of the world size.
    local : int
        Its number on this machine: the GPU it takes.
    """

    shard: Shard
    local: int

    def device(self, asked: str) -> str:
        """The device for this process where ``--device`` leaves the number open."""
        if asked not in ("auto", "cuda"):
            return asked
        import torch

        return f"cuda:{self.local % torch.cuda.device_count()}" if torch.cuda.is_available() else asked

    def wait(self) -> None:
        """Until every process is here."""
        from datetime import timedelta

        import torch.distributed as distributed

        if not distributed.is_initialized():
            distributed.init_process_group("gloo", timeout=timedelta(hours=_LONGEST_HOURS))
        distributed.barrier()


def ranks_of_environment() -> Ranks | None:
    """What torchrun says in the environment; None where it has not started this process, or started it alone.

    Raises
    ------
    InputError
        Half of it is set, or it makes no sense.
    MissingDataError
        PyTorch, by which the processes wait for each other, is not installed.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:  # RANK alone is set by many a scheduler for its own ends
        return None
    try:
        rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        if not 0 <= rank < world:
            raise ValueError
    except (KeyError, ValueError):
        raise InputError(
            "torchrun's RANK, WORLD_SIZE and LOCAL_RANK in the environment make no sense: unset TORCHELASTIC_RUN_ID."
        ) from None
    if world == 1:
        return None
    try:
        import torch.distributed  # noqa: F401
    except ImportError:
        raise MissingDataError("several processes wait for each other by PyTorch: pip install 'hpbench[mnn]'.") from None
    return Ranks(Shard(rank + 1, world), local)
