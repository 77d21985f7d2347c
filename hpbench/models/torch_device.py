"""The device that a user names, for models in PyTorch."""

from __future__ import annotations

from typing import Any

from ..errors import InputError

__all__ = ["torch_device"]


def torch_device(device: str) -> Any:
    """The `torch.device` of ``cpu``, ``cuda``, ``cuda:1``, or ``auto``: cuda where PyTorch sees a GPU.

    Raises
    ------
    InputError
        Another name, or a GPU that is not there.
    """
    import torch

    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and not (kind == "cuda" and number.isdigit())):
        raise InputError(f"unknown device {device!r}: known are auto, cpu, cuda, cuda:0, cuda:1, ...")
    count = torch.cuda.device_count()
    if kind == "cuda" and int(number or 0) >= count:
        raise InputError(f"device {device!r}: PyTorch sees {count or 'no'} GPU{'s' * (count > 1)} here.")
    return torch.device(("cuda" if count else "cpu") if kind == "auto" else device)
