"""Face detectors: boxes in the image's coordinates, overlaps, and what is said where something is missing."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_detector import FixedDetector, know_rfb, save_rfb

import hpbench
from hpbench.detectors.cards import CARDS, create_detector, detector_card, first_ready, stated
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.boxes import iou_xyxy, without_overlaps
from hpbench.models.weights import WeightFile

WEIGHTS = os.environ.get("HPBENCH_WEIGHTS", "")  # as whoever runs the tests has it: a fixture takes it away

corner = st.integers(0, 12)
boxes = st.lists(st.tuples(corner, corner, corner, corner), min_size=1, max_size=8).map(lambda b: np.array(b, dtype=float))


def pixels_of(box):
    grid = np.zeros((13, 13), dtype=bool)
    x0, y0, x1, y1 = map(int, box)
    grid[y0:y1, x0:x1] = True
    return grid


@given(boxes)
def test_iou_counts_pixels(some):
    one = pixels_of(some[0])
    for value, box in zip(iou_xyxy(some, some[0]), some, strict=True):
        other = pixels_of(box)
        union = (one | other).sum()
        assert value == pytest.approx((one & other).sum() / union if union else 0.0)


@given(boxes, st.integers(0, 5), st.floats(0.0, 0.9))
def test_suppression_keeps_the_best_of_what_overlaps(some, seed, threshold):
    scores = np.random.default_rng(seed).permutation(len(some)) / 10.0
    kept = without_overlaps(some, scores, threshold)
    assert list(scores[kept]) == sorted(scores[kept], reverse=True)
    for a in range(len(some)):
        better = [k for k in kept if k != a and scores[k] > scores[a] and iou_xyxy(some[[k]], some[a])[0] > threshold]
        assert (a in kept) != bool(better)


def test_nan_and_empty_boxes_overlap_nothing():
    strange = np.array([[np.nan] * 4, [5, 5, 5, 9], [0, 0, 10, 10.0]])
    assert list(iou_xyxy(strange, [0, 0, 10, 10])) == [0.0, 0.0, 1.0]
    assert list(iou_xyxy(strange, [np.nan] * 4)) == [0.0] * 3
    assert len(iou_xyxy(np.zeros((0, 4)), [0, 0, 1, 1])) == 0 == len(without_overlaps(np.zeros((0, 4)), [], 0.5))


def rfb(folder: Path, *args, **keys):
    pytest.importorskip("onnxruntime")
    from hpbench.detectors.rfb320 import Rfb320

    path = folder / "net.onnx"
    digest = save_rfb(path, *args, **keys)
    return Rfb320(WeightFile(path, path.read_bytes(), digest))


def test_rfb_boxes_are_shares_of_the_picture(tmp_path):
    detector = rfb(
        tmp_path, [[0.0, 0.0, 1.0, 1.0], [0.25, 0.5, 0.5, 0.75], [0.26, 0.5, 0.5, 0.75], [0.6, 0, 0.9, 0.2]], [0.75, 0.9, 0.95, 0.69]
    )
    found, scores = detector.detect(np.full((80, 200, 3), 90, np.uint8))
    # the second overlaps the third by more than a half, the fourth is below 0.7; outer edges lie half a pixel off the outer centres
    assert found == pytest.approx(np.array([[51.5, 39.5, 99.5, 59.5], [-0.5, -0.5, 199.5, 79.5]]))
    assert scores == pytest.approx([0.95, 0.75])
    tight, _ = detector.face_boxes(np.full((80, 200, 3), 90, np.uint8))
    assert tight[0] == pytest.approx([51.5, 44.5, 99.5, 59.5])  # a quarter of its height is cut off the top


def test_rfb_sees_rgb_of_one_over_128(tmp_path):
    detector = rfb(tmp_path, [[0.1, 0.2, 0.9, 0.9]], [0.9], colour_gain=0.1)
    image = np.zeros((100, 100, 3), np.uint8)
    image[...] = (127 + 64, 127, 127 - 64)  # 0.5, 0 and -0.5 for the network
    assert detector.detect(image)[0][0] == pytest.approx([14.5, 19.5, 84.5, 89.5], abs=1e-3)


def test_rfb_that_finds_nobody(tmp_path):
    found, scores = rfb(tmp_path, [[0.1, 0.2, 0.9, 0.9], [np.nan, 0, 1, 1]], [0.1, 0.9]).detect(np.zeros((50, 50, 3), np.uint8))
    assert found.shape == (0, 4) and scores.shape == (0,)


def test_rfb_of_another_signature(tmp_path):
    with pytest.raises(InputError, match="input is"):
        rfb(tmp_path, [[0, 0, 1, 1]], [0.9], shape=(1, 3, 480, 640))


def test_margins_widen_and_cut():
    detector = FixedDetector([[10, 20, 30, 60]])
    detector.margins = (0.5, -0.25, 0.1, 0.0)
    assert detector.face_boxes(np.ones((9, 9, 3), np.uint8))[0] == pytest.approx(np.array([[0.0, 30.0, 32.0, 60.0]]))


# ------------------------------------------------------------------------------------------------------- the table


def test_unknown_detectors_are_told_the_nearest():
    assert detector_card("detector:rfb320") is CARDS["rfb320"] is detector_card("rfb320")
    with pytest.raises(InputError, match="did you mean 'rfb320'"):
        detector_card("detector:rfb-320")


def test_what_a_record_notes():
    assert stated("detector:rfb320") == f"boxes of detector:rfb320 (sha256 {CARDS['rfb320'].files['version-RFB-320.onnx']})"
    assert stated("detector:dlib-hog") == "boxes of detector:dlib-hog"
    assert stated("detector:mine") == "boxes of detector:mine"


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_cards_say_what_a_newcomer_asks(card):
    assert card.title and card.licence and card.trained_on and card.extra and len(card.files) <= 1
    assert bool(card.weights) == bool(card.files)
    assert all(len(digest) == 64 for digest in card.files.values())
    module, _, name = card.target.partition(":")
    source = Path(hpbench.__file__).parent / "detectors" / f"{module}.py"
    assert f"class {name}(Detector)" in source.read_text()


def test_missing_package_and_weights(monkeypatch, tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(MissingDataError) as missing:
        create_detector(CARDS["rfb320"])
    for words in ("version-RFB-320.onnx", "34cd7e60", "MIT", "github.com/Linzaer", "HPBENCH_WEIGHTS", str(Path("weights") / "rfb320")):
        assert words in str(missing.value)
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in ("onnxruntime", "dlib", "mediapipe") else real(name, *a)
    )
    with pytest.raises(MissingDataError, match=r"pip install 'hpbench\[dlib\]'"):
        create_detector(CARDS["dlib-hog"])
    with pytest.raises(MissingDataError, match=r"no face detector is ready.*rfb320.*dlib-hog.*--box"):
        first_ready()


def test_weights_of_another_file(monkeypatch, tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "version-RFB-320.onnx").write_bytes(b"something else")
    monkeypatch.setenv("HPBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingDataError, match="expected sha256 34cd7e60.*found " + hashlib.sha256(b"something else").hexdigest()):
        create_detector(CARDS["rfb320"])


def test_the_first_that_is_ready(monkeypatch, tmp_path):
    pytest.importorskip("onnxruntime")
    save_rfb(tmp_path / "net.onnx", [[0, 0, 1, 1]], [0.9])
    know_rfb(monkeypatch, tmp_path / "net.onnx")
    assert first_ready().id == "rfb320"
    assert len(create_detector(first_ready()).detect(np.zeros((20, 20, 3), np.uint8))[0]) == 1


# ------------------------------------------------------------------------------------------------------- real ones


def heads(count):
    source = hpbench.load("heads")
    return [(s.image.read(), s.box_xyxy_px) for s in source.samples("test", limit=count)]


def test_dlib_finds_the_same_faces_in_a_large_picture(monkeypatch):
    pytest.importorskip("dlib")
    cv2 = pytest.importorskip("cv2")
    monkeypatch.setattr("hpbench.detectors.dlib_hog.MAX_PIXELS", 100_000)
    detector, compared = create_detector(CARDS["dlib-hog"]), 0
    for image, box in heads(8):
        found, scores = detector.detect(image)
        assert list(scores) == sorted(scores, reverse=True) and (scores > 0).all()
        again, _ = detector.detect(cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))  # beyond MAX_PIXELS
        if len(found) == len(again) == 1:
            assert iou_xyxy(again / 2, found[0])[0] > 0.6
            compared += iou_xyxy(found, box)[0] > 0.3
    assert compared >= 1


def real_detector(name, monkeypatch, realdata):
    pytest.importorskip(CARDS[name].package)
    monkeypatch.setenv("HPBENCH_WEIGHTS", str(realdata / "models"))
    return create_detector(CARDS[name])


def test_mediapipe_finds_faces_twice_the_same_and_quietly(monkeypatch, capfd):
    pytest.importorskip("mediapipe")
    if WEIGHTS:
        monkeypatch.setenv("HPBENCH_WEIGHTS", WEIGHTS)
    try:
        detector = create_detector(CARDS["mediapipe"])
    except MissingDataError:
        pytest.skip("face_landmarker.task is in no installed package and not in HPBENCH_WEIGHTS")
    for image, _ in heads(3):
        (one, a), (two, b) = detector.detect(image), detector.detect(image)
        assert np.array_equal(one, two) and np.array_equal(a, b) and list(a) == sorted(a, reverse=True)
    assert capfd.readouterr().err == ""


def test_a_task_file_without_a_detector(tmp_path):
    from hpbench.detectors.mediapipe_face import _member

    with pytest.raises(MissingDataError, match="no face_detector.tflite in it"):
        _member(WeightFile(tmp_path / "x.task", b"PK nothing", ""))


@pytest.mark.parametrize(("name", "least", "iou"), [("rfb320", 16, 0.6), ("dlib-hog", 11, 0.5)])
def test_real_faces_are_found_where_they_are(name, least, iou, monkeypatch, realdata):
    detector = real_detector(name, monkeypatch, realdata)
    overlaps = []
    for sample in hpbench.load("aflw2000", realdata / "aflw2000" / "images").samples():
        found, _ = detector.face_boxes(sample.image.read())
        overlaps.append(iou_xyxy(found, sample.box_xyxy_px).max(initial=0.0))
    assert np.sum(np.array(overlaps) >= 0.4) >= least and np.median(overlaps) >= iou
