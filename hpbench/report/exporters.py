"""Records in the formats of others: the ``model-index`` of a model's card on Hugging Face, and a neutral file of results.

``model-index`` follows huggingface/hub-docs, modelcard.md: a list of models, each with results of task, dataset and metrics.  Its
``verified`` is for Hugging Face to set and is never written.  docs/submit.md describes the neutral file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..catalog import DatasetCard, Protocol, dataset_cards, protocol_named
from ..errors import InputError
from ..metrics import parse_metric
from ..records import Record, Score

__all__ = ["RESULTS_SCHEMA", "model_index", "model_index_yaml", "results_json"]

RESULTS_SCHEMA = "hpbench-results/1"

# what a metric needs -> type and name of the task; of pose and visibility Hugging Face has none
_TASKS = {
    "pose": ("head-pose-estimation", "Head pose estimation"),
    "landmarks": ("keypoint-detection", "Facial landmark detection"),
    "visibility": ("keypoint-visibility", "Facial landmark visibility"),
}


# ------------------------------------------------------------------------------------------------- model-index


def model_index(records: Sequence[Record]) -> list[dict[str, Any]]:
    """What stands under ``model-index``: one model, a result a protocol.

    Only records that a board may rank: a card has no place for "partial" or "unverified".

    Raises
    ------
    InputError
        Records of several models, two of one protocol, or none that may be ranked.
    """
    labels = sorted({record.model.label for record in records})
    if len(labels) > 1:
        raise InputError(f"a model-index is of one model, these are records of {', '.join(labels)}: give those of one.")
    ranked = sorted((record for record in records if record.ranked), key=lambda record: record.protocol.reference)
    if not ranked:
        raise InputError("no record may be ranked (none, or partial or unverified ones): there is nothing for a model-index.")
    for one, other in zip(ranked, ranked[1:], strict=False):
        if one.protocol.id == other.protocol.id:
            raise InputError(f"two records of {labels[0]} are of {one.protocol.id}: give one.")
    cards = dataset_cards()
    return [{"name": labels[0], "results": [_result(record, cards) for record in ranked]}]


def model_index_yaml(records: Sequence[Record]) -> str:
    """The metadata block for the top of a model card's README.md, between its lines of ``---``."""
    return "---\n" + _yaml({"model-index": model_index(records)}) + "---\n"


def _result(record: Record, cards: Mapping[str, DatasetCard]) -> dict[str, Any]:
    facts, protocol = _facts(record, cards)
    kind, name = _TASKS[parse_metric(record.main.metric).family.needs]
    dataset: dict[str, Any] = {"type": facts["id"], "name": facts["title"], "config": record.protocol.reference}
    if protocol is not None:
        dataset["split"] = protocol.split
    dataset["revision"] = record.protocol.sha256
    return {
        "task": {"type": kind, "name": name},
        "dataset": dataset,
        "metrics": [_metric(score) for score in record.scores if score.value is not None],
    }


def _metric(score: Score) -> dict[str, Any]:
    metric = parse_metric(score.metric)
    interval = {"ci95_low": score.ci95[0], "ci95_high": score.ci95[1]} if score.ci95 else {}
    found: dict[str, Any] = {"type": metric.family.name, "value": score.value, "name": f"{score.metric} [{score.unit}]"}
    return found | {"args": {**metric.parameters, "n": score.n_scored, "n_failed": score.n_failed, **interval}}


def _yaml(value: Mapping[str, Any] | Sequence[Any], indent: int = 0) -> str:
    """Block style; texts are quoted as in JSON, which YAML reads alike."""
    pad, out = "  " * indent, []
    pairs = [(f"{key}:", v) for key, v in value.items()] if isinstance(value, Mapping) else [("-", v) for v in value]
    for head, item in pairs:
        if isinstance(item, (Mapping, list, tuple)) and item:
            body = _yaml(item, indent + 1)
            out.append(f"{pad}- {body.lstrip()}" if head == "-" else f"{pad}{head}\n{body}")
        else:
            out.append(f"{pad}{head} {_scalar(item)}\n")
    return "".join(out)


def _scalar(value: Any) -> str:
    if isinstance(value, float) and (not math.isfinite(value) or "e" in repr(value)):
        # YAML 1.1 takes 1e-07 for a text
        return f"{value:.17f}".rstrip("0") + "0" if math.isfinite(value) else json.dumps(None)
    return json.dumps(value, ensure_ascii=False)


# ------------------------------------------------------------------------------------------------- the neutral file


def results_json(records: Sequence[Record]) -> str:
    """Every record, ranked or not, in one JSON object that needs no knowledge of hpbench to read; keys as docs/submit.md says."""
    cards = dataset_cards()
    order = sorted(records, key=lambda r: (r.protocol.reference, r.model.label, r.date, r.predictions_sha256))
    return json.dumps({"schema": RESULTS_SCHEMA, "results": [_neutral(r, cards) for r in order]}, indent=1, ensure_ascii=False) + "\n"


def _neutral(record: Record, cards: Mapping[str, DatasetCard]) -> dict[str, Any]:
    facts, protocol = _facts(record, cards)
    subsets = {"all": record.scores, **record.subsets}
    return {
        "task": parse_metric(record.main.metric).family.needs,
        "dataset": {**facts, "split": protocol.split if protocol is not None else None, **asdict(record.dataset)},
        "protocol": asdict(record.protocol),
        "model": asdict(record.model),
        "main_metric": record.main.metric,
        "scores": [{"subset": name, **asdict(score)} for name, scores in subsets.items() for score in scores],
        "coverage": record.coverage,
        "images_per_s": (record.timing or {}).get("images_per_s"),
        "ranked": record.ranked,
        "partial": record.partial,
        "notes": list(record.notes),
        "predictions_sha256": record.predictions_sha256,
        "truth_sha256": record.truth_sha256,
        "hpbench": record.hpbench,
        "date": record.date,
    }


def _facts(record: Record, cards: Mapping[str, DatasetCard]) -> tuple[dict[str, str], Protocol | None]:
    """Id and title of the data set, and the protocol where it is known here in this very text."""
    name = record.protocol.id.partition("/")[0]
    try:
        protocol = protocol_named(record.protocol.reference)
    except InputError:
        protocol = None
    known = protocol is not None and protocol.sha256 == record.protocol.sha256
    return {"id": name, "title": cards[name].title if name in cards else name}, protocol if known else None
