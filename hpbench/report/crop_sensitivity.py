"""How much the crop and the order of colours matter, of one model or of many: rows for a CSV file, tables, the figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from ..atomic import write_atomic
from ..inspection.colour import COLOUR
from ..inspection.responses import Response, least_between
from .cells import NO_VALUE, escape, number_text, signed_text
from .figures.crop_sensitivity import crop_sensitivity_figure, drawn_metrics, number
from .figures.picture import Row, rounded

__all__ = ["colour_markdown", "crop_markdown", "read_responses", "response_rows", "save_crop_sensitivity", "write_responses"]

_TEXTS = ("model", "change", "metric", "unit")
_NAME = "crop_sensitivity"


def response_rows(model: str, responses: Iterable[Response]) -> list[Row]:
    """`hpbench.inspection.Response` by Response, with the name of the model first; six digits."""
    return [{"model": model, **{k: rounded(v) if isinstance(v, float) else v for k, v in asdict(r).items()}} for r in responses]


def write_responses(rows: Sequence[Row], path: Path) -> None:
    """Rows of `response_rows` as CSV; what there is none of is an empty cell."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    write_atomic(path, buffer.getvalue())


def read_responses(path: Path) -> list[Row]:
    """The rows of a file of `write_responses`."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{k: v if k in _TEXTS else float(v) if v else None for k, v in row.items()} for row in csv.DictReader(file)]


def save_crop_sensitivity(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write the figure (PNG, SVG) and the rows (CSV) into a folder; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = crop_sensitivity_figure(rows)
    paths = [folder / f"{_NAME}.{suffix}" for suffix in ("png", "svg", "csv")]
    picture.save(paths[0])
    picture.save(paths[1])
    write_responses(rows, paths[2])
    return paths


def crop_markdown(rows: Sequence[Row]) -> str:
    """A line a model and kind: the error as given, the scale at which it is least, and what wrong boxes cost."""
    headings = ("model", "metric", "as given", "failed", "least at scale", "error there", "scale 0.8", "scale 1.2", "shifts of 0.1 (worst)")
    lines = [_line(headings), _line(["---", "---", *["---:"] * 7])]
    for model in dict.fromkeys(str(r["model"]) for r in rows):
        for metric in drawn_metrics([r for r in rows if r["model"] == model]):
            own = [r for r in rows if r["model"] == model and r["metric"] == metric]
            scales = [r for r in own if r["change"] == "box scale"]
            given = next(r for r in scales if r["amount"] == 1.0)
            unit = str(given["unit"])
            costs = {r["amount"]: signed_text(number(r["difference"]), unit) for r in scales}
            shifts = [r for r in own if str(r["change"]).startswith("box shift") and abs(number(r["amount"])) == 0.1]
            shifted = max(number(r["difference"]) for r in shifts)
            least, there = _least(scales)
            failed = f"{number(given['n_failed']) / number(given['n_faces']):.0%}".replace("%", " %")
            cells = [model, metric, f"{number_text(number(given['value']), unit)} {unit}", failed, least, there]
            lines.append(_line([*map(escape, cells), costs[0.8], costs[1.2], signed_text(shifted, unit)]))
    return "\n".join(lines)


def colour_markdown(rows: Sequence[Row]) -> str:
    """A line a model and kind: the error with the colours as given and with red and blue exchanged."""
    lines = [_line(("model", "metric", "as given", "exchanged", "difference (95 %)")), _line(["---", "---", *["---:"] * 3])]
    for row in rows:
        mine = [r for r in rows if r["model"] == row["model"] and r["change"] == COLOUR]
        if row["change"] != COLOUR or row["amount"] != 1.0 or row["metric"] not in drawn_metrics(mine):
            continue
        unit, value, difference = str(row["unit"]), number(row["value"]), number(row["difference"])
        told = NO_VALUE
        if row["difference_low"] is not None:
            low, high = (signed_text(number(row[f"difference_{end}"]), unit) for end in ("low", "high"))
            told = f"{signed_text(difference, unit)} [{low}, {high}]"
        cells = [str(row["model"]), str(row["metric"]), f"{number_text(value - difference, unit)} {unit}", number_text(value, unit), told]
        lines.append(_line(map(escape, cells)))
    return "\n".join(lines)


def _least(scales: Sequence[Row]) -> tuple[str, str]:
    """The scale of the least error with its interval, and that error; nothing where the box does not matter."""
    if all(not number(r["difference"]) for r in scales):
        return NO_VALUE, NO_VALUE
    best = min(scales, key=lambda r: number(r["value"]))
    low, high = least_between([(number(r["amount"]), number(r["least_share"])) for r in scales])
    return f"{best['amount']:g} [{low:g}, {high:g}]", number_text(number(best["value"]), str(best["unit"]))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
