"""The curve of a training as a picture, and for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..atomic import atomic_path
from ..errors import InputError

__all__ = ["PICTURE", "draw_curve", "tensorboard"]

PICTURE = "curve.png"

# colours that the common colour blindnesses keep apart; names and units as people read them
_LOSSES = {
    "pose": ("pose (degrees and units)", "#0072B2"),
    "projection": ("projection (px of 256)", "#E69F00"),
    "heatmap": ("heat maps (nats)", "#009E73"),
    "visibility": ("visibility (nats)", "#CC79A7"),
}
_ERRORS = {
    "geodesic_deg": ("geodesic (degrees)", "#0072B2"),
    "nme_percent": ("NME, sqrt(w h) (%)", "#009E73"),
    "occluded_recall_percent": ("recall of occluded at 80 % precision (%)", "#CC79A7"),
}


def draw_curve(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw losses, validation errors and learning rate of each epoch, on logarithmic axes; of pretraining, what it learns.

    Parameters
    ----------
    history : sequence of mapping
        The epochs of `hpbench.mnn.train.train`, or rows of its ``curve.csv``; not empty.
    path : Path
        A .png.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot: nothing global is touched
    from matplotlib.ticker import LogFormatter

    epochs = [int(row["epoch"]) for row in history]
    marker = "o" if len(epochs) < 20 else ""

    def column(name: str) -> list[float]:
        """NaN for what a logarithmic axis cannot show, and for what is not learnt yet."""
        learnt = [row["stage"] != "heatmap" or "heatmap" in name or "nme" in name or name == "learning_rate" for row in history]
        values = [float(row.get(name, "nan")) for row in history]
        return [value if value > 0 and there else float("nan") for value, there in zip(values, learnt, strict=True)]

    figure = Figure(figsize=(11, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, height_ratios=(4, 1))
    losses, errors = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    rate = figure.add_subplot(grid[1, :])
    for name, (label, colour) in _LOSSES.items():
        losses.plot(epochs, column(f"validation_{name}"), color=colour, marker=marker, markersize=3, label=label)
        losses.plot(epochs, column(f"train_{name}"), color=colour, linestyle=":", linewidth=1.2)
    losses.plot([], [], color="black", label="validation")
    losses.plot([], [], color="black", linestyle=":", label="training")
    for name, (label, colour) in _ERRORS.items():
        errors.plot(epochs, column(f"validation_{name}"), color=colour, marker=marker, markersize=3, label=label)
    rate.step(epochs, column("learning_rate"), where="mid", color="black")
    ahead = [row["stage"] for row in history].count("heatmap")
    for axis, title in ((losses, "losses"), (errors, "validation errors"), (rate, "")):
        axis.set_yscale("log")
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlim(0.5, epochs[-1] + 0.5)
        axis.grid(which="both", linewidth=0.3, alpha=0.5)
        if ahead:
            axis.axvspan(0.5, ahead + 0.5, color="0.92", zorder=0)
        if axis is not rate:
            axis.yaxis.set_major_formatter(LogFormatter())  # 20 and 0.5 instead of powers
            axis.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(1.5, 0.5)))
            axis.tick_params(which="both", labelsize=9)
            axis.legend(fontsize=8, frameon=False)
    rate.set_ylabel("learning rate", fontsize=9)
    rate.set_xlabel("epoch (grey: heat maps only)" if ahead else "epoch")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def tensorboard(folder: Path) -> Callable[[Mapping[str, Any]], None]:
    """What takes each epoch's row and writes it for TensorBoard into a folder.

    Raises
    ------
    InputError
        The package tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("--tensorboard needs the package tensorboard: pip install tensorboard.") from None
    writer = SummaryWriter(folder)

    def write(row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if isinstance(value, float):
                kind, _, rest = name.partition("_")
                writer.add_scalar(f"{rest}/{kind}" if kind in ("train", "validation") else name, value, row["step"])
        writer.flush()

    return write
