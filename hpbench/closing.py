"""The end of a run: parts joined, scored, forgotten."""

from __future__ import annotations

from typing import Any

from .errors import InputError
from .parts import Parts, forget_parts
from .planning import RunPlan
from .predict import RunTiming
from .records import Record
from .scoring import Remark, score_protocols

__all__ = ["finish"]


def finish(plan: RunPlan, parts: Parts, timing: RunTiming | None, *, device: str, remark: Remark) -> list[Record]:
    """Join the parts of a run, score what they hold and remove them.

    Parameters
    ----------
    plan : RunPlan
    parts : Parts
        All there.
    timing : RunTiming or None
        None where several machines shared the work: their time is no speed of one.
    device : str
        Where the model ran.
    remark : callable

    Returns
    -------
    list of Record
    """
    request, options = plan.request, plan.request.options
    predictions = parts.join(request.boxes, plan.facts.name)
    reasons = predictions.faces.failure
    if request.detector and reasons is not None and len(set(reasons)) == 1 and reasons[0]:
        raise InputError(f"none of the {len(reasons)} faces has a prediction ({reasons[0]}): nothing to score.")
    records = score_protocols(
        predictions, request.source, request.protocols, plan.facts, plan.folder,
        limit_ids=request.ids if options.limit is not None else None, with_images=True,
        timing=_timing(timing, plan.batch_size, device),
        mix_schemes=options.mix_schemes, metrics=request.metrics, named=any(options.protocol), remark=remark,
    )  # fmt: skip
    forget_parts(plan.file)
    return records


def _timing(timing: RunTiming | None, batch_size: int, device: str) -> dict[str, Any] | None:
    if timing is None or not timing.faces:
        return None
    return {
        "faces": timing.faces,
        "seconds": timing.seconds,
        "model_seconds": timing.model_seconds,
        "images_per_s": timing.faces / timing.seconds if timing.seconds > 0 else None,
        "model_ms": 1000.0 * timing.model_seconds / timing.faces,
        "batch_size": batch_size,
        "device": device,
    }
