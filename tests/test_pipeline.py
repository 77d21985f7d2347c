"""Images on their way to a model: order, a bounded window, reduced decoding, and who does what."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from engine_models import Centroid, MeanColour, picture, png, samples_of, spot, with_orientation
from hypothesis import given, settings
from hypothesis import strategies as st

import hpbench.pipeline
from hpbench.batches import NoBox
from hpbench.errors import InputError
from hpbench.faces import Faces, Sample
from hpbench.images import ImageRef, decode_image, encode_jpeg
from hpbench.models.interface import Array, Model
from hpbench.pipeline import StageSeconds, default_workers, ready_faces, usable_cores
from hpbench.predict import RunTiming, Setup, predict
from hpbench.predictions import Predictions

WIDE, HIGH = 640, 480


def run(model: Model, samples: list[Sample], out: Path, **setup: object) -> tuple[Predictions, RunTiming]:
    ids = [s.sample_id for s in samples]
    return predict(
        model, ids, lambda _: samples, out / "predictions.h5", boxes="b", settings={}, batch_size=4,
        setup=Setup(**{"workers": 3, **setup}),  # type: ignore[arg-type]
    )  # fmt: skip


def slowly(i: int) -> bytes:
    """As a disk far away: some images take much longer than others."""
    time.sleep(float(np.random.default_rng(i).choice([0.0, 0.001, 0.02])))
    return picture(i)


@pytest.mark.parametrize("workers", [1, 8])
def test_in_order_though_some_files_are_slow(tmp_path: Path, workers: int) -> None:
    quick, _ = run(MeanColour(), samples_of(40), tmp_path / "quick")
    slow, _ = run(MeanColour(), samples_of(40, slowly), tmp_path / "slow", workers=workers)
    assert list(slow.faces.sample_id) == [f"f{i:03d}" for i in range(40)]
    assert (tmp_path / "slow/predictions.h5").read_bytes() == (tmp_path / "quick/predictions.h5").read_bytes()


def test_a_slow_disk_holds_up_nobody_who_decodes(tmp_path: Path) -> None:
    together = threading.Barrier(4, timeout=20)  # nobody has read before four are reading

    def fetch(i: int) -> bytes:
        assert threading.current_thread().name.startswith("read")
        together.wait()
        return picture(i)

    _, timing = run(MeanColour(), samples_of(40, fetch), tmp_path / "slow", workers=1)
    assert timing.faces == 40


@pytest.mark.parametrize("window", [1, 5])
def test_no_more_than_the_window_is_asked_for_ahead(window: int) -> None:
    asked = 0

    def source() -> Iterator[Sample]:
        nonlocal asked
        for sample in samples_of(30):
            asked += 1
            yield sample

    with ThreadPoolExecutor(4) as pool:
        for given_out, _ in enumerate(ready_faces(pool, MeanColour(), source(), window=window)):
            assert asked <= given_out + window
    assert asked == 30


def test_only_what_prepare_returns_is_kept() -> None:
    class Small(MeanColour):
        def prepare(self, image: Array, box_xyxy_px: Array) -> float:
            assert threading.current_thread().name.startswith("decode")
            return float(image.mean())

    with ThreadPoolExecutor(2, thread_name_prefix="decode") as pool:
        items = [item for _, item in ready_faces(pool, Small(), samples_of(6), window=4)]
    assert [item.face for item in items] == [decode_image(picture(i), "").mean() for i in range(6)]  # type: ignore[union-attr]


def test_an_exception_in_prepare_costs_its_face_only(tmp_path: Path) -> None:
    class Fussy(MeanColour):
        def prepare(self, image: Array, box_xyxy_px: Array) -> Array:
            if box_xyxy_px[0] in (3, 9):
                raise ValueError("no such crop")
            return image

        def predict_prepared(self, prepared: list[Array], boxes_xyxy_px: Array) -> Faces:
            return self.predict(prepared, boxes_xyxy_px)

    faces = run(Fussy(), samples_of(12), tmp_path)[0].faces
    assert {i: r for i, r in enumerate(faces.failure) if r} == dict.fromkeys((3, 9), "model mean-colour raised ValueError: no such crop")


def test_an_exception_in_a_thread_that_reads_costs_its_face_only(tmp_path: Path) -> None:
    def fetch(i: int) -> bytes:
        if i == 5:
            raise OSError(5, "Input/output error")
        return picture(i)

    faces = run(MeanColour(), samples_of(12, fetch), tmp_path)[0].faces
    assert [i for i, r in enumerate(faces.failure) if r] == [5]
    assert faces.failure[5].startswith("unreadable image: f005.jpg") and "Input/output error" in faces.failure[5]


def one(data: bytes, box: list[float], out: Path, model: Centroid, *, reduced: bool = True) -> Array:
    """The landmark that the model finds, in pixels of the image as it is."""
    sample = Sample("a", ImageRef("a.jpg", lambda: data), np.array(box, dtype=float))
    return run(model, [sample], out, reduced=reduced)[0].faces.landmarks[0, 0]


@pytest.mark.parametrize(("side", "by"), [(100, 1), (127.9, 1), (128, 2), (255, 2), (256, 4), (480, 4)])
def test_a_face_is_never_decoded_smaller_than_the_network_sees_it(tmp_path: Path, side: float, by: int) -> None:
    model = Centroid(64)
    one(encode_jpeg(spot(WIDE, HIGH, (320, 240))), [0, 0, side, side + 50], tmp_path, model)
    assert model.seen == [(HIGH // by, WIDE // by)]
    np.testing.assert_allclose(model.boxes[0], (np.array([0, 0, side, side + 50]) + 0.5) / by - 0.5)


@settings(max_examples=15)
@given(x=st.floats(80, WIDE - 80), y=st.floats(80, HIGH - 80), input_px=st.sampled_from([16, 32, 64, 120]), odd=st.booleans())
def test_landmarks_come_back_to_where_they_are(
    tmp_path_factory: pytest.TempPathFactory, x: float, y: float, input_px: int, odd: bool
) -> None:
    """Reduced by 8 as by 1: a spot lies where it was drawn, to a part of a pixel; sizes that do not divide, too."""
    model = Centroid(input_px)
    data = encode_jpeg(spot(WIDE - 3 * odd, HIGH - 5 * odd, (x, y)))
    found = one(data, [100, 100, 340, 340], tmp_path_factory.mktemp("run"), model)
    by = {16: 8, 32: 4, 64: 2, 120: 2}[input_px]
    assert model.seen[0] == (-(-(HIGH - 5 * odd) // by), -(-(WIDE - 3 * odd) // by))
    np.testing.assert_allclose(found, (x, y), atol=0.1)


def test_an_orientation_in_the_exif_is_passed_over(tmp_path: Path) -> None:
    """Labels are in pixels as stored."""
    data = with_orientation(encode_jpeg(spot(WIDE, HIGH, (500, 100))), 6)
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (WIDE, HIGH), "the EXIF is not understood"
    np.testing.assert_allclose(one(data, [0, 0, 400, 400], tmp_path, Centroid(32)), (500, 100), atol=0.1)


@pytest.mark.parametrize(("what", "input_px"), [("png", 32), ("jpeg", 0)])
def test_decoded_in_full_where_it_cannot_be_reduced(tmp_path: Path, what: str, input_px: int) -> None:
    image = spot(WIDE, HIGH, (200.25, 300.75))
    data = png(image) if what == "png" else encode_jpeg(image)
    models = Centroid(input_px), Centroid(input_px)
    found = [one(data, [0, 0, 400, 400], tmp_path / str(r), m, reduced=r) for m, r in zip(models, (True, False), strict=True)]
    assert models[0].seen == models[1].seen == [(HIGH, WIDE)]
    np.testing.assert_array_equal(*found)


def test_the_seconds_of_the_stages(tmp_path: Path) -> None:
    """What was slept shows in its stage; what one thread did one after another is not more than the whole."""

    class Sleepy(MeanColour):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            time.sleep(0.01)
            return super().predict(images, boxes_xyxy_px)

    def fetch(i: int) -> bytes:
        time.sleep(0.002)
        return picture(i)

    timing = run(Sleepy(), samples_of(20, fetch), tmp_path)[1]
    stages = timing.stages.as_dict()
    assert timing.faces == 20
    assert stages["read"] >= 20 * 0.002 and stages["model"] >= 5 * 0.01 and stages["decode"] > 0
    assert stages["wait"] + stages["model"] + stages["write"] <= timing.seconds
    assert timing.model_seconds == stages["model"]


def test_stages_add_up_from_many_threads() -> None:
    spent = StageSeconds()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: spent.add(read=1.0, decode=2.0), range(2000)))
    assert (spent.read, spent.decode, spent.prepare) == (2000.0, 4000.0, 0.0)


def test_an_input_error_of_the_samples_ends_it() -> None:
    def source() -> Iterator[Sample]:
        yield from samples_of(3)
        raise InputError("faces.zip: is gone.")

    with ThreadPoolExecutor(1) as pool, pytest.raises(InputError, match="is gone"):
        list(ready_faces(pool, MeanColour(), source(), window=2))


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 1), (4, 2), (16, 8), (96, 16)])
def test_workers_by_cores(cores: int, workers: int) -> None:
    assert default_workers(cores) == workers


@pytest.mark.parametrize(
    ("text", "cores"),
    [("200000 100000\n", 2), ("150000 100000", 2), ("1000 100000", 1), ("max 100000", 64), ("9900000 100000", 64), ("?", 64)],
)
def test_a_container_may_use_what_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, cores: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(hpbench.pipeline, "_QUOTA", tmp_path / "cpu.max")
    assert usable_cores() == 64
    (tmp_path / "cpu.max").write_text(text)
    assert usable_cores() == cores


def test_a_face_without_a_box_is_not_prepared() -> None:
    class Never(MeanColour):
        def prepare(self, image: Array, box_xyxy_px: Array) -> Array:
            raise AssertionError

    sample = samples_of(1)[0]._replace(box_xyxy_px=np.full(4, np.nan))
    with ThreadPoolExecutor(1) as pool:
        ((_, item),) = ready_faces(pool, Never(), [sample], window=1, reduced=True)
    assert isinstance(item, NoBox)
