"""How much box and colour order matter to every model that runs here: benchmarks/results/crop_sensitivity.csv and .svg.

    python benchmarks/proofs/crop_sensitivity.py [--faces N] [NAME ...]

Each model (of `MODELS`; those named, or all) sees the same 200 of the rendered heads of the test set 28 times: as given, with red and blue
exchanged, with boxes scaled and moved (`hpbench.inspection`).  Rows of other models stay as they are in the file; a model that needs an
extra or weights that are not there (they are looked for in $HPBENCH_WEIGHTS) is passed over, and said so.  Some minutes a model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from hpbench.errors import HpbenchError
from hpbench.inspection import inspect_model
from hpbench.models.resolve import create_model
from hpbench.report.crop_sensitivity import read_responses, response_rows, write_responses
from hpbench.report.figures.crop_sensitivity import crop_sensitivity_figure

RESULTS = Path(__file__).resolve().parents[1] / "results" / "crop_sensitivity.csv"
MODELS: dict[str, tuple[str, dict[str, Any]]] = {  # what the figure calls it -> the model and its arguments
    "mnn": ("mnn", {}),
    "mnn-encoder": ("mnn-encoder", {}),
    "fsanet": ("fsanet", {}),
    "whenet": ("whenet", {}),
    "mediapipe": ("mediapipe", {}),
    "openseeface": ("openseeface", {}),
    "dlib68, own detector": ("dlib68", {"boxes": "hog"}),
    "dlib68, given boxes": ("dlib68", {"boxes": "given"}),
    "frontal": ("frontal", {}),
}


def main() -> None:
    """All models, or those named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(MODELS)}; all unless given")
    parser.add_argument("--faces", type=int, default=200)
    asked = parser.parse_args()
    for name in asked.names or MODELS:
        if name not in MODELS:
            parser.error(f"{name!r} is none of {', '.join(MODELS)}.")
        model, arguments = MODELS[name]
        try:
            found = inspect_model(create_model(model, arguments=arguments), "heads", limit=asked.faces)
        except HpbenchError as error:
            print(f"{name} is passed over: {error}", file=sys.stderr)
            continue
        print(*(f"{name}: {check.name}: {check.result}: {check.said}" for check in found.checks), sep="\n", flush=True)
        kept = [row for row in (read_responses(RESULTS) if RESULTS.exists() else []) if row["model"] != name]
        rows = kept + [row for row in response_rows(name, found.responses) if row["metric"] in found.metrics]
        rows.sort(key=lambda row: list(MODELS).index(str(row["model"])))  # stable: the rows of a model stay in their order
        write_responses(rows, RESULTS)
        crop_sensitivity_figure(rows).save(RESULTS.with_suffix(".svg"))


if __name__ == "__main__":
    main()
