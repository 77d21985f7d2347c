"""Random labels and predictions of all three kinds, and protocols of any metrics over them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from hpbench.catalog import Protocol, Subset
from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.metrics import METRICS, Family, parse_metric
from hpbench.metrics.landmarks import landmark_box_xyxy_px

NUMBERS = {"below": "8", "above": "8", "precision": "80", "threshold": "0.5", "bins": "10"}


def texts_of(family: Family) -> list[str]:
    """Every metric of a family: all choices and pairs of choices (more than two at once are not tried), one value a number."""
    keys, values = [], []
    for key, parameter in family.parameters.items():
        options: list[str | None] = list(parameter.choices) or [NUMBERS[key]]
        if not parameter.choices and not parameter.required:
            options.append(None)
        keys.append(key)
        values.append(options)
    texts = []
    for chosen in itertools.product(*values):
        given = {k: v for k, v in zip(keys, chosen, strict=True) if v is not None}
        unusual = [k for k, v in given.items() if family.parameters[k].choices and v != family.parameters[k].default]
        if len(unusual) > 2:
            continue
        if not family.one_of or len(given.keys() & set(family.one_of)) == 1:
            texts.append(parse_metric(f"{family.name}({','.join(f'{k}={v}' for k, v in given.items())})").text)
    return list(dict.fromkeys(texts))


EVERY_METRIC = [text for family in METRICS.values() for text in texts_of(family)]


def truth_of(n: int = 30, seed: int = 0) -> Faces:
    """Labels of all three tasks; every face has visible, externally occluded and self-occluded points."""
    rng = np.random.default_rng(seed)
    euler = rng.uniform(-60, 60, (n, 3))
    centre = rng.uniform(100, 300, (n, 1, 2))
    points = centre + rng.normal(0, 40, (n, 68, 2))
    occlusion = rng.choice(3, (n, 68), p=[0.7, 0.2, 0.1])
    occlusion[:, :3] = [0, 1, 2]
    faces = Faces(
        sample_id=[f"f{i:03d}" for i in range(n)],
        euler_deg=euler,
        convention="300w-lp",
        landmarks=points,
        scheme="ibug68-fixed",
        visibility=(occlusion == 0).astype(float),
        occlusion=occlusion,
        person=[f"p{i % 7}" for i in range(n)],
        attributes={"abs_yaw_deg": np.abs(euler[:, 0])},
    )
    return replace(faces, box_xyxy_px=landmark_box_xyxy_px(faces))


def noisy(truth: Faces, seed: int, degrees: float = 5.0, pixels: float = 4.0, doubt: float = 0.5) -> Faces:
    """Predictions with errors; `doubt` is how far the visibility leaves the label, at most 1."""
    rng = np.random.default_rng(seed)
    assert truth.euler_deg is not None and truth.landmarks is not None and truth.visibility is not None
    euler = truth.euler_deg + rng.normal(0, degrees, truth.euler_deg.shape)
    points = truth.landmarks + rng.normal(0, pixels, truth.landmarks.shape)
    away = doubt * rng.random(truth.visibility.shape)
    visible = np.where(truth.visibility > 0.5, 1.0 - away, away)
    return Faces(truth.sample_id, euler_deg=euler, convention="300w-lp", landmarks=points, scheme=truth.scheme, visibility=visible)


def protocol_of(*metrics: str, **changes: object) -> Protocol:
    """A protocol of these metrics with two bins by yaw."""
    arguments: dict[str, object] = {
        "id": "toy/p", "version": 1, "title": "", "dataset": "toy", "split": "all", "boxes": "landmarks", "norm_box": "landmarks",
        "metrics": metrics, "main": metrics[0],
        "subsets": (Subset("low", "abs_yaw_deg", up_to=30.0), Subset("high", "abs_yaw_deg", above=30.0)), "balance": ("low", "high"),
    }  # fmt: skip
    return Protocol(**{**arguments, **changes})  # type: ignore[arg-type]


def bins(truth: Faces) -> list[np.ndarray]:
    """The two bins of `protocol_of`."""
    yaw = truth.attributes["abs_yaw_deg"]
    return [yaw <= 30, yaw > 30]


def value(metric: str, truth: Faces, prediction: Faces, **changes: object) -> float:
    """The score of a metric over all faces."""
    found = evaluate(protocol_of(metric, **changes), truth, prediction, resamples=0).scores[0].value
    assert found is not None
    return found
