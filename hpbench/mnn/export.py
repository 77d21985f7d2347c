"""The network as an ONNX file: crops in; angles, landmarks and visibility out.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..atomic import atomic_path
from ..errors import InputError, MissingDataError
from .infer import fused
from .network import Network
from .validation import heatmap_points

__all__ = ["INPUT", "OPSET", "TOLERANCE", "export_onnx", "output_names"]

OPSET = 18
TOLERANCE = 1e-4  # of an output, absolute below 1 and relative above
INPUT = "crops"

_POSE, _DENSE = "euler_deg", ("landmarks_px", "visibility", "heatmap_logits")
_CHECKED_BATCHES = (1, 3)  # neither is the size that is traced


def output_names(encoder_only: bool) -> tuple[str, ...]:
    """Names of the outputs: ``euler_deg`` (B, 3) yaw, pitch, roll (``yxz``), ``landmarks_px`` (B, L, 2) crop pixels, ``visibility``
    (B, L) probability, ``heatmap_logits`` (B, L, H, W)."""
    return (_POSE,) if encoder_only else (_POSE, *_DENSE)


def export_onnx(network: Network, path: Path, *, encoder_only: bool = False, radius_px: int = 0) -> float:
    """Write a network as one ONNX file and compare the two.

    The input ``crops`` is (B, 3, size, size): RGB divided by 255, B at will.  The outputs are `output_names`.

    Parameters
    ----------
    network : Network
        In full precision, on the processor.
    path : Path
    encoder_only : bool
        Without decoder: pose alone.
    radius_px : int
        See `hpbench.mnn.validation.heatmap_points`.

    Returns
    -------
    float
        The largest difference to PyTorch's outputs, relative where they are above 1.

    Raises
    ------
    InputError
        onnxruntime gives other numbers than PyTorch: no file is written.
    MissingDataError
        onnx, onnxscript or onnxruntime is not installed.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingDataError(f"exporting needs the package {error.name}: pip install 'hpbench[export]'.") from None
    ready = _Deployed(fused(network).to(memory_format=torch.contiguous_format), encoder_only, radius_px).eval()
    size = network.config.input_px
    names = output_names(encoder_only)
    with _quiet():
        program = torch.onnx.export(
            ready, (torch.zeros(2, 3, size, size),),
            input_names=[INPUT], output_names=list(names), opset_version=OPSET,
            dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False,
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:  # where in our sources each node comes from: paths of this machine, and half of the file
        del node.metadata_props[:]
        node.doc_string = ""
    data = model.SerializeToString()
    onnx.checker.check_model(model)
    difference = _difference(data, ready, names, size)
    if not difference <= TOLERANCE:
        raise InputError(f"{path}: not written: onnxruntime's outputs differ from PyTorch's by {difference:.2g}, more than {TOLERANCE:g}.")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return difference


class _Deployed(nn.Module):
    """What the file computes."""

    def __init__(self, network: Network, encoder_only: bool, radius_px: int) -> None:
        super().__init__()
        self.network, self.encoder_only, self.radius_px = network, encoder_only, radius_px

    def forward(self, crops: Any) -> tuple[Any, ...]:
        if self.encoder_only:
            return (self.network.pose(crops)[:, :3],)
        outputs = self.network(crops)
        return outputs.pose_direct[:, :3], *self.read(outputs.heatmap_logits), outputs.visibility_logits.sigmoid(), outputs.heatmap_logits

    def read(self, logits: Any) -> tuple[Any]:
        return (heatmap_points(logits, radius_px=self.radius_px),)


def _difference(data: bytes, ready: _Deployed, names: tuple[str, ...], size: int) -> float:
    """The largest of all outputs, on noise; landmarks are compared with those of the file's own heat maps.

    A maximum that is as good as another may lie elsewhere after the last digit has changed.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for batch in _CHECKED_BATCHES:
        crops = torch.rand((batch, 3, size, size), generator=generator)
        found = dict(zip(names, session.run(list(names), {INPUT: crops.numpy()}), strict=True))
        with torch.inference_mode():
            wanted = dict(zip(names, (o.numpy() for o in ready(crops)), strict=True))
            if "landmarks_px" in wanted:
                wanted["landmarks_px"] = ready.read(torch.from_numpy(found["heatmap_logits"]))[0].numpy()
        for name in names:
            error = np.abs(found[name] - wanted[name]) / np.maximum(np.abs(wanted[name]), 1.0)
            worst = max(worst, float(error.max()) if np.isfinite(error).all() else np.inf)
    return worst


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter reports its progress in prints, warnings and logs."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
