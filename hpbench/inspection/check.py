"""Everything that is looked at of a model, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..models.interface import Model
from ..readers import Dataset, load
from .colour import colour_check, colour_responses
from .contract import Check, Listener, contract_checks
from .crop_sensitivity import crop_checks, crop_responses
from .responses import Response
from .specimens import predicted, specimens_of, yardsticks_of

__all__ = ["GIVEN_FACES", "SCHEMA", "Inspection", "inspect_model"]

SCHEMA = 1
GIVEN_FACES = 64  # unless asked otherwise


@dataclass(frozen=True)
class Inspection:
    """What was seen of a model.

    Attributes
    ----------
    model, version : str
    dataset, split, boxes : str
        Of the faces it was tried on.
    n_faces : int
    protocols : tuple of str
        By whose labels and charges the responses are scored.
    metrics : tuple of str
        The first of each protocol: the one that findings are of.
    checks : tuple of Check
    responses : tuple of Response
    """

    model: str
    version: str
    dataset: str
    split: str
    boxes: str
    n_faces: int
    protocols: tuple[str, ...]
    metrics: tuple[str, ...]
    checks: tuple[Check, ...]
    responses: tuple[Response, ...]

    @property
    def ok(self) -> bool:
        """No check failed; findings are no failures."""
        return not any(check.result == "failed" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "ok": self.ok, **asdict(self)}


def inspect_model(
    model: Model,
    dataset: str | Dataset = "heads",
    *,
    data: Iterable[Path | str] = (),
    limit: int = GIVEN_FACES,
    remark: Callable[[str], None] = lambda _: None,
) -> Inspection:
    """Try a model on labelled faces: the contract first, then its colours and its crop.

    Parameters
    ----------
    model : Model
    dataset : str or Dataset
        Whose faces; the rendered heads that come with hpbench unless given.
    data : paths
        As for `hpbench.jobs.run`.
    limit : int
        Faces at most: a seeded sample of the split.
    remark : callable
        Where progress goes.

    Raises
    ------
    InputError, MissingDataError
        No faces to try it on.
    """
    if limit < 2:
        raise InputError(f"--limit {limit}: two faces at least, for a batch.")
    source = dataset if isinstance(dataset, Dataset) else load(dataset, list(data))
    specimens = specimens_of(source, limit)
    model.name = model.name or type(model).__name__
    watch = Listener(model)
    remark(f"the contract, on {len(specimens.samples)} faces of {source.card.id} ({specimens.split})")
    checks = contract_checks(watch, specimens.samples, specimens.images)
    responses: list[Response] = []
    protocols: list[str] = []
    metrics: list[str] = []
    if watch.proven and len(checks) > 1:
        size = model.batch_size
        try:
            given = predicted(watch, specimens.samples, specimens.images, size)
            yardsticks, reasons = yardsticks_of(specimens, given)
            protocols = [y.protocol.reference for y in yardsticks]
            metrics = [y.metrics[0].text for y in yardsticks]
            if yardsticks:
                remark("colour order")
                responses += colour_responses(watch, specimens, given, yardsticks, size)
                remark("crop sensitivity")
                responses += crop_responses(watch, specimens, given, yardsticks, size)
            checks += [colour_check(responses, metrics), *crop_checks(responses, metrics)]
            checks += [Check("scores", "untold", reason) for reason in reasons]
        except InputError as error:  # other columns than before, say
            checks.append(Check("scores", "failed", str(error)))
    facts = (model.name, str(model.version), source.card.id, specimens.split, specimens.boxes, len(specimens.samples))
    return Inspection(*facts, tuple(protocols), tuple(metrics), tuple(checks), tuple(responses))
