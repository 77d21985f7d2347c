"""What a model check finds: faults put into models on purpose, and nothing in models that are right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import inspected_models
import numpy as np
import pytest

import hpbench
from hpbench.errors import InputError
from hpbench.inspection import Inspection, inspect_model
from hpbench.inspection.contract import MOST_FACES, TOLERATED, Check, Listener, contract_checks
from hpbench.inspection.crop_sensitivity import SCALES, SHIFTS, changed_boxes, curves_of
from hpbench.inspection.responses import Response, least_between
from hpbench.inspection.specimens import specimens_of
from hpbench.jobs import run
from hpbench.models.frontal import Frontal
from hpbench.readers import load

FACES = inspected_models.FACES
CONTRACT = (
    *("answers", "inputs unchanged", "determinism", "batching", "order"),
    *("pictures of several sizes", "a box partly outside", "a box of 5 px", "a grey picture"),
)

FAILS_TOO = {
    "Sorter": {"batching"},
    "Backwards": {"batching"},
    "Alone": {"pictures of several sizes"},
    "Fickle": {"a box partly outside", "a box of 5 px", "a grey picture"},
}


@lru_cache
def inspected(name: str) -> Inspection:
    """The inspection of one of `inspected_models`."""
    return inspect_model(getattr(inspected_models, name)(), limit=FACES)


def contract_of(name: str) -> list[Check]:
    """The contract alone, tried with one of `inspected_models`."""
    known = inspected_models.specimens(FACES)
    return contract_checks(Listener(getattr(inspected_models, name)()), known.samples, known.images)


def results(checks: Sequence[Check], *kinds: str) -> dict[str, str]:
    """What was said, by name of the check, of checks with one of these results."""
    return {c.name: c.said for c in checks if c.result in kinds}


def test_nothing_is_found_in_a_model_that_is_right() -> None:
    found = inspected("Right")
    assert found.ok and results(found.checks, "failed", "note", "untold") == {}
    assert tuple(c.name for c in found.checks)[: len(CONTRACT)] == CONTRACT
    assert found.protocols == ("heads/pose@1", "heads/landmarks@1") and found.metrics == ("geodesic", "nme(norm=sqrt_wh)")
    assert results(found.checks, "ok")["colour order"].startswith("RGB fits")
    assert found.n_faces == FACES and len({c.name for c in found.checks}) == len(CONTRACT) + 4


@pytest.mark.parametrize(
    ("model", "check", "said"),
    [
        ("TrainingMode", "batching", "training mode"),
        ("Random", "determinism", "a random part"),
        ("Tracker", "determinism", "a state between calls"),
        ("Sorter", "order", "in the order of the images"),
        ("Backwards", "order", "in the order of the images"),
        ("Scribbler", "inputs unchanged", "changes the images and the boxes"),
        ("Raiser", "a box of 5 px", "raised ValueError (crop is empty) on one face"),
        ("Alone", "answers", "on 16 faces at once, and answers each alone"),
        ("Stacker", "pictures of several sizes", "raised ValueError (all input arrays must have the same shape) on 3 faces at once"),
        ("Short", "answers", "15 rows for 16 faces"),
        ("Fickle", "determinism", "rotation for one batch and rotation, landmarks, visibility for another"),
    ],
)
def test_a_broken_contract_is_found(model: str, check: str, said: str) -> None:
    failed = results(contract_of(model), "failed")
    assert check in failed and said in failed[check]
    assert set(failed) <= {check} | FAILS_TOO.get(model, set())


def test_what_a_failure_hides_is_not_told() -> None:
    assert set(results(contract_of("Random"), "untold")) == {"batching", "order"}
    short = inspected("Short")
    assert not short.ok and len(short.checks) == 1 and short.responses == ()


def test_of_a_model_that_answers_nothing_nothing_else_is_said() -> None:
    found = inspected("Blind")
    assert not found.ok and [(c.name, c.result) for c in found.checks] == [("answers", "failed")] and "nobody there" in found.checks[0].said


def test_rows_of_nan_want_a_reason() -> None:
    found = contract_of("Silent")
    assert results(found, "failed") == {} and "give no reason" in results(found, "note")["answers"]


def test_colours_and_crops_that_a_model_wants_are_named() -> None:
    colours = inspected("WantsBGR")
    assert set(results(colours.checks, "note")) == {"colour order"} and colours.ok
    assert "seems to want BGR" in results(colours.checks, "note")["colour order"]
    tight = results(inspected("Tight").checks, "note")
    assert set(tight) == {"box scale"} and tight["box scale"].startswith("the given boxes seem 1.2 times too small for this model")
    high = results(inspected("High").checks, "note")
    assert set(high) == {"box shift y"} and high["box shift y"].startswith("the given boxes seem 0.1 heights too high for this model")


def test_a_model_that_does_not_look_is_sensitive_to_nothing() -> None:
    found = inspect_model(Frontal(), limit=8)
    assert found.ok and results(found.checks, "note") == {}
    said = results(found.checks, "ok")
    assert said["box scale"] == "geodesic does not depend on it" and said["colour order"].startswith("RGB does no harm")
    assert all(r.difference == 0.0 for r in found.responses)


def test_points_of_a_curve_are_what_a_run_on_such_boxes_scores(tmp_path: Path) -> None:
    limit = 40
    found = inspect_model(inspected_models.OfTheBox(), limit=limit)
    ids = {s.sample_id for s in inspected_models.specimens(limit).samples}

    class Moved(inspected_models.OfTheBox):
        def predict(self, images: list[np.ndarray], boxes_xyxy_px: np.ndarray) -> hpbench.Faces:
            size = boxes_xyxy_px[:, 2:] - boxes_xyxy_px[:, :2]
            return super().predict(images, boxes_xyxy_px + np.array([0.0, -0.15, 0.0, -0.15]) * np.tile(size, 2))

    run(Moved(), "heads", protocol="heads/pose", out=tmp_path)
    errors = np.load(tmp_path / "heads.pose@1.errors.npz")
    mine = np.isin(errors["sample_id"], sorted(ids))
    for metric in ("geodesic", "mae(convention=yxz)"):
        point = next(r for r in found.responses if (r.change, r.amount, r.metric) == ("box shift y", -0.15, metric))
        assert point.value == pytest.approx(errors[metric][mine].mean(), abs=1e-9) and point.n_faces == limit
    assert point.n_failed == (errors["geodesic"][mine] == 180.0).sum()
    assert 0 < point.n_failed < limit and point.value_detected is not None and point.value_detected < point.value


def test_where_the_error_is_least_by_a_bootstrap_of_our_own() -> None:
    given = inspected_models.specimens(FACES).boxes_xyxy_px
    model = inspected_models.High()
    boxes = {amount: changed_boxes(given, "box shift x", amount) for amount in SHIFTS}
    errors = np.array([[model.error_deg(row, box, "RGB") for row, box in enumerate(boxes[amount])] for amount in SHIFTS])
    curve = curves_of(inspected("High").responses)["geodesic", "box shift x"]
    assert [r.amount for r in curve] == list(SHIFTS)
    assert np.allclose([r.value for r in curve], errors.mean(axis=1), atol=1e-9)
    assert [r.difference for r in curve] == pytest.approx(errors.mean(axis=1) - errors[4].mean(), abs=1e-9)
    picks = np.random.default_rng(5).integers(0, FACES, (500, FACES))
    least = errors[:, picks].mean(axis=2).argmin(axis=0)
    assert [r.least_share for r in curve] == pytest.approx([(least == i).mean() for i in range(len(SHIFTS))], abs=0.05)


def test_the_interval_of_the_least_error_leaves_out_rare_resamples() -> None:
    assert least_between([(0.9, 0.01), (1.0, 0.5), (1.1, 0.48), (1.2, 0.01)]) == (1.0, 1.1)
    assert least_between([(0.9, 0.1), (1.0, 0.8), (1.1, 0.1)]) == (0.9, 1.1)
    assert least_between([(a, 1 / 3) for a in (1.0, 2.0, 3.0)]) == (1.0, 3.0)


def test_a_gain_counts_beyond_its_interval_and_beyond_a_trifle() -> None:
    def response(difference: float, high: float | None) -> Response:
        value = 10.0 + difference
        return Response("colour", 1.0, "geodesic", "deg", value, value, value, value, 9, 0, difference, difference, high, 0.5)

    assert response(-1.0, -0.5).better
    assert not response(-1.0, 0.1).better and not response(-0.1, -0.05).better and not response(-1.0, None).better


def test_changed_boxes() -> None:
    box = np.array([[10.0, 20.0, 30.0, 60.0]])
    assert changed_boxes(box, "box scale", 1.5).tolist() == [[5.0, 10.0, 35.0, 70.0]]
    assert changed_boxes(box, "box shift x", 0.1).tolist() == [[12.0, 20.0, 32.0, 60.0]]
    assert changed_boxes(box, "box shift y", -0.25).tolist() == [[10.0, 10.0, 30.0, 50.0]]
    assert 1.0 in SCALES and 0.0 in SHIFTS and MOST_FACES >= FACES and TOLERATED["rotation"] < 1.0


def test_the_same_faces_for_every_model_and_too_few_are_refused() -> None:
    one, other = (specimens_of(load("heads"), 9) for _ in range(2))
    assert [s.sample_id for s in one.samples] == [s.sample_id for s in other.samples] == sorted(s.sample_id for s in one.samples)
    assert one.split == "test" and one.boxes == "landmarks" and len(one.samples) == 9
    with pytest.raises(InputError, match="two faces at least"):
        inspect_model(Frontal(), limit=1)


def test_real_faces_by_the_protocol_that_most_is_published_of(realdata: Path) -> None:
    found = inspect_model(Frontal(), "aflw2000", data=[realdata / "aflw2000" / "images"], limit=4)
    assert found.ok and found.protocols == ("aflw2000/pose-1969@1",) and found.n_faces == 4
