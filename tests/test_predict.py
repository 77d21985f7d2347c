"""Running a model: what survives a bad image, a bad model, a kill, and that the bytes are the same in the end."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hpbench.errors import InputError, RunStoppedError
from hpbench.faces import Faces, Sample
from hpbench.images import ImageRef, encode_jpeg
from hpbench.models.interface import Array, Model
from hpbench.parts import FOLDER as PARTS
from hpbench.parts import forget_parts
from hpbench.predict import Setup, predict
from hpbench.predictions import read_predictions


class MeanColour(Model):
    """Angles from the mean colour of the image: any mix-up of images, boxes or rows shows."""

    name = "mean-colour"

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        euler = [
            [float(image.mean()) / 3, float(box[0]) / 10, float(image[..., 0].mean()) / 5]
            for image, box in zip(images, boxes_xyxy_px, strict=True)
        ]
        return Faces(euler_deg=np.array(euler), convention="300w-lp")


def picture(i: int) -> bytes:
    rng = np.random.default_rng(i)
    return encode_jpeg(np.full((24, 24, 3), rng.integers(0, 255, 3), dtype=np.uint8))


def samples_of(n: int, **special: bytes | Exception) -> list[Sample]:
    """n samples; `special` gives an id (f003) other bytes, or an exception to raise when read."""

    def fetch(i: int) -> bytes:
        found = special.get(f"f{i:03d}")
        if isinstance(found, Exception):
            raise found
        return picture(i) if found is None else found

    return [Sample(f"f{i:03d}", ImageRef(f"f{i:03d}.jpg", lambda i=i: fetch(i)), np.array([i, 0, i + 10, 10.0])) for i in range(n)]


def run(model: Model, samples: list[Sample], out: Path, **changes: object) -> Faces:
    setup = Setup(workers=changes.pop("workers", 3), max_failures=changes.pop("max_failures", None))  # type: ignore[arg-type]
    arguments: dict[str, object] = {"boxes": "landmarks", "settings": {"model": model.name}, "batch_size": 4, "setup": setup}
    ids = [s.sample_id for s in samples]
    predictions, _ = predict(model, ids, lambda _: samples, out / "predictions.h5", **{**arguments, **changes})  # type: ignore[arg-type]
    forget_parts(out / "predictions.h5")
    return predictions.faces


def test_every_face_gets_its_own_row(tmp_path: Path) -> None:
    samples = samples_of(30)
    faces = run(MeanColour(), samples, tmp_path)
    alone = [MeanColour().predict([s.image.read()], s.box_xyxy_px[None]).euler_deg[0] for s in samples]
    assert list(faces.sample_id) == [s.sample_id for s in samples]
    np.testing.assert_array_equal(faces.euler_deg, alone)
    written = read_predictions(tmp_path / "predictions.h5")
    assert (written.boxes, written.model) == ("landmarks", "mean-colour")
    assert written.faces.content_sha256() == faces.content_sha256()
    assert not (tmp_path / PARTS).exists()


def test_workers_and_parts_do_not_change_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(MeanColour(), samples_of(30), tmp_path / "a", workers=1)
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 8)
    run(MeanColour(), samples_of(30), tmp_path / "b", workers=8)
    assert (tmp_path / "a/predictions.h5").read_bytes() == (tmp_path / "b/predictions.h5").read_bytes()


@pytest.mark.parametrize(
    "bad", [b"", b"no image", picture(1)[:60], InputError("gone.jpg: the image is missing."), RuntimeError("surprise")]
)
def test_an_unreadable_image_is_a_failed_face(tmp_path: Path, bad: bytes | Exception) -> None:
    faces = run(MeanColour(), samples_of(10, f003=bad), tmp_path)
    assert np.flatnonzero(np.isnan(faces.euler_deg).any(axis=1)).tolist() == [3]
    assert [i for i, reason in enumerate(faces.failure) if reason] == [3]
    assert ".jpg" in faces.failure[3]


def test_a_part_in_which_every_image_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 4)
    bad = {f"f{i:03d}": b"" for i in range(4)}
    faces = run(MeanColour(), samples_of(12, **bad), tmp_path)
    assert np.isnan(faces.euler_deg).any(axis=1).sum() == 4
    assert read_predictions(tmp_path / "predictions.h5").faces.content_sha256() == faces.content_sha256()


def test_nothing_but_unreadable_images(tmp_path: Path) -> None:
    faces = run(MeanColour(), samples_of(3, f000=b"", f001=b"", f002=b""), tmp_path)
    assert all(faces.failure) and faces.rotation is None
    assert len(read_predictions(tmp_path / "predictions.h5").faces) == 3


class RaisesOn(MeanColour):
    def __init__(self, *columns: int) -> None:
        self.columns = columns

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        if any(box[0] in self.columns for box in boxes_xyxy_px):
            raise ZeroDivisionError("a hard face")
        return super().predict(images, boxes_xyxy_px)


def test_a_raising_model_loses_only_the_face(tmp_path: Path) -> None:
    faces = run(RaisesOn(5, 9), samples_of(12), tmp_path)
    assert [i for i, reason in enumerate(faces.failure) if reason] == [5, 9]
    assert faces.failure[5] == "model mean-colour raised ZeroDivisionError: a hard face"


def test_a_model_that_fails_on_every_first_face_stops_the_run(tmp_path: Path) -> None:
    for batch_size in (1, 4, 12):  # it is the model that decides, not how it is called
        with pytest.raises(InputError, match="on every one of the first 8 faces"):
            run(RaisesOn(*range(9)), samples_of(12), tmp_path / str(batch_size), batch_size=batch_size)
    assert sum(map(bool, run(RaisesOn(*range(7)), samples_of(12), tmp_path / "late", batch_size=1).failure)) == 7


class Returns(MeanColour):
    def __init__(self, make: object) -> None:
        self.make = make

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        return self.make(super().predict(images, boxes_xyxy_px), boxes_xyxy_px)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda faces, boxes: faces.euler_deg, "returned ndarray, it must return hpbench.Faces"),
        (lambda faces, boxes: None, "returned NoneType"),
        (lambda faces, boxes: faces.take([0]), "returned 1 rows for 4 faces"),
        (lambda faces, boxes: Faces(box_xyxy_px=boxes), "returned no rotation, euler_deg, landmarks or visibility"),
        (lambda faces, boxes: Faces(rotation=np.zeros((3, 3))), "must have shape"),
        (lambda faces, boxes: Faces(euler_deg=faces.euler_deg), "needs its convention"),
    ],
)
def test_a_model_that_breaks_the_contract_is_told(tmp_path: Path, make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(Returns(make), samples_of(8), tmp_path)


def test_nan_and_no_rotation_are_failed_faces(tmp_path: Path) -> None:
    def sometimes(faces: Faces, boxes: Array) -> Faces:
        rotation = np.array(faces.rotation)
        rotation[boxes[:, 0] == 2] = np.nan
        rotation[boxes[:, 0] == 6] *= 3
        return Faces(rotation=rotation)

    faces = run(Returns(sometimes), samples_of(8), tmp_path)
    assert faces.failure[2] == "mean-colour returned NaN"
    assert "no rotation" in faces.failure[6] and np.isnan(faces.rotation[6]).all()
    assert [i for i, reason in enumerate(faces.failure) if reason] == [2, 6]


def test_a_model_may_say_why(tmp_path: Path) -> None:
    def why(faces: Faces, boxes: Array) -> Faces:
        gone = boxes[:, 0] == 3
        return Faces(rotation=np.where(gone[:, None, None], np.nan, faces.rotation), failure=["no face found" if g else "" for g in gone])

    assert list(run(Returns(why), samples_of(5), tmp_path).failure) == ["", "", "", "no face found", ""]


@pytest.mark.parametrize("batch_size", [3, 8])
def test_a_model_that_changes_its_images_harms_nobody(tmp_path: Path, batch_size: int) -> None:
    class Blackens(RaisesOn):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            if any(box[0] in self.columns for box in boxes_xyxy_px):
                for image in images:
                    image[:] = 0
            return super().predict(images, boxes_xyxy_px)

    faces = run(Blackens(2), samples_of(8), tmp_path / "a", batch_size=batch_size)
    np.testing.assert_array_equal(faces.euler_deg, run(RaisesOn(2), samples_of(8), tmp_path / "b", batch_size=batch_size).euler_deg)


class Exits(MeanColour):
    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        raise SystemExit(0)


def test_a_model_that_exits_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="raised SystemExit"):
        run(Exits(), samples_of(12), tmp_path)


def test_a_models_prints_are_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Talks(MeanColour):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            print("hello")
            return super().predict(images, boxes_xyxy_px)

    run(Talks(), samples_of(4), tmp_path)
    out, err = capsys.readouterr()
    assert out == "" and "hello" in err


def test_other_columns_in_a_later_batch_are_a_bug_of_the_model(tmp_path: Path) -> None:
    def other(faces: Faces, boxes: Array) -> Faces:
        return faces if boxes[0, 0] < 4 else Faces(landmarks=np.zeros((len(faces), 68, 2)))

    with pytest.raises(InputError, match="returned landmarks for one batch and rotation, euler_deg for another"):
        run(Returns(other), samples_of(8), tmp_path)


def test_a_reason_makes_a_failed_face_whatever_numbers_come_with_it(tmp_path: Path) -> None:
    def unsure(faces: Faces, boxes: Array) -> Faces:
        return Faces(rotation=faces.rotation, failure=["unsure" if b[0] == 1 else "" for b in boxes])

    faces = run(Returns(unsure), samples_of(4), tmp_path)
    assert np.isnan(faces.rotation).any(axis=(1, 2)).tolist() == [False, True, False, False]


def test_parts_without_their_settings_are_not_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 4)
    with pytest.raises(RunStoppedError):
        run(MeanColour(), samples_of(16, f008=b""), tmp_path, max_failures=0)
    (tmp_path / PARTS / "run.json").unlink()
    with pytest.raises(InputError, match="run.json is missing"):
        run(MeanColour(), samples_of(16), tmp_path)


def test_too_many_failures_stop_the_run_and_keep_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 4)
    bad = {f"f{i:03d}": b"" for i in (5, 9, 10)}
    with pytest.raises(
        RunStoppedError,
        match=r"3 faces have failed, more than --max-failures 2; the last: f010: unreadable image: f010.jpg: the file is empty",
    ):
        run(MeanColour(), samples_of(16, **bad), tmp_path, max_failures=2)
    assert len(list((tmp_path / PARTS).glob("part-*.h5"))) == 2
    faces = run(MeanColour(), samples_of(16, **bad), tmp_path, max_failures=3)
    assert sum(map(bool, faces.failure)) == 3


def test_parts_of_another_run_are_not_mixed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 4)
    with pytest.raises(RunStoppedError):
        run(MeanColour(), samples_of(16, f008=b""), tmp_path, max_failures=0)
    with pytest.raises(InputError, match=r"unfinished run, of which batch_size is 4 and not 5"):
        run(MeanColour(), samples_of(16), tmp_path, batch_size=5)
    with pytest.raises(InputError, match="of which weights is"):
        run(MeanColour(), samples_of(16), tmp_path, settings={"model": "mean-colour", "weights": "other"})


def test_a_limited_run_does_not_leave_its_batches_in_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part counts only if it holds exactly the part's faces: batches are the same however a run began."""
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 4)
    with pytest.raises(RunStoppedError):
        run(MeanColour(), samples_of(6, f005=b""), tmp_path, max_failures=0)
    sizes = []

    class Counting(MeanColour):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            sizes.append(len(images))
            return super().predict(images, boxes_xyxy_px)

    run(Counting(), samples_of(8), tmp_path)
    assert sizes == [4]


def test_memory_is_bounded_by_a_window(tmp_path: Path) -> None:
    """Never more images decoded ahead than two batches and the workers, though the model is slow."""
    lock, alive, most = threading.Lock(), 0, 0

    def fetch() -> bytes:
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return picture(0)

    class Slow(MeanColour):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            nonlocal alive
            time.sleep(0.01)
            with lock:
                alive -= len(images)
            return super().predict(images, boxes_xyxy_px)

    samples = [Sample(f"f{i:03d}", ImageRef("x.jpg", fetch), np.zeros(4)) for i in range(200)]
    run(Slow(), samples, tmp_path, batch_size=4, workers=2)
    assert most <= 4 + 2 * 4 + 2


def test_a_face_without_a_box_is_not_given_to_the_model(tmp_path: Path) -> None:
    samples = samples_of(6)
    samples[2] = samples[2]._replace(box_xyxy_px=np.full(4, np.nan))

    class Strict(MeanColour):
        def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
            assert np.isfinite(boxes_xyxy_px).all()
            return super().predict(images, boxes_xyxy_px)

    faces = run(Strict(), samples, tmp_path)
    assert [i for i, reason in enumerate(faces.failure) if reason] == [2] and faces.failure[2] == "the data has no box of this face"
    np.testing.assert_array_equal(
        np.delete(faces.euler_deg, 2, axis=0), np.delete(run(MeanColour(), samples_of(6), tmp_path / "b").euler_deg, 2, axis=0)
    )


def test_a_continued_run_must_answer_as_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpbench.parts._FACES_PER_PART", 4)
    with pytest.raises(RunStoppedError):
        run(MeanColour(), samples_of(16, f008=b""), tmp_path, max_failures=0)
    points = Returns(lambda faces, boxes: Faces(landmarks=np.zeros((len(faces), 68, 2))))
    with pytest.raises(InputError, match="returned landmarks for one batch and rotation, euler_deg for another"):
        run(points, samples_of(16), tmp_path)
