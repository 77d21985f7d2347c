"""Models that know the labels of some rendered heads, and are wrong on purpose in one way each: what `hpbench models check` must find."""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np

import hpbench
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.inspection.specimens import Specimens, specimens_of
from hpbench.readers import load

FACES = 16


@lru_cache
def specimens(faces: int) -> Specimens:
    """The heads that a check with this limit is made on."""
    return specimens_of(load("heads"), faces)


class Right(hpbench.Model):
    """Recognises a head by its pixels; its error grows as the box departs from the one it wants, and with the wrong colours."""

    best_scale = 1.0
    best_shift_y = 0.0  # of the box's height, down
    wants = "RGB"

    def __init__(self, faces: int = FACES):
        self.name = type(self).__name__
        known = specimens(faces)
        self._truth = known.source.truth_of([s.sample_id for s in known.samples])
        self._boxes = known.boxes_xyxy_px
        self._rows = {}
        for row, image in enumerate(known.images):
            self._rows[zlib.crc32(np.ascontiguousarray(image[..., ::-1]))] = row, "BGR"
            self._rows[zlib.crc32(image)] = row, "RGB"  # of a grey picture both are the same

    def error_deg(self, row: int, box: np.ndarray, colours: str) -> float:
        wanted = self._boxes[row]
        size = wanted[2:] - wanted[:2]
        scale = (box[2] - box[0]) / size[0]
        shift = (box[:2] + box[2:] - wanted[:2] - wanted[2:]) / 2.0 / size - [0.0, self.best_shift_y]
        off = 3.0 + 30.0 * abs(np.log(scale / self.best_scale)) + 20.0 * np.abs(shift).sum() + 5.0 * (colours != self.wants)
        return off * (1.0 + 0.2 * (row % 5))

    def predict(self, images, boxes_xyxy_px):
        n = len(images)
        rotation, landmarks, visibility = np.full((n, 3, 3), np.nan), np.full((n, 68, 2), np.nan), np.full((n, 68), np.nan)
        failure = ["not one of my faces"] * n
        for i, (image, box) in enumerate(zip(images, boxes_xyxy_px, strict=True)):
            row, colours = self._rows.get(zlib.crc32(np.ascontiguousarray(image)), (-1, ""))
            if row < 0:
                continue
            error = self.error_deg(row, box, colours)
            rotation[i] = self._truth.rotation[row] @ rotation_from_euler(np.array([0.0, error, 0.0]), "yxz")
            landmarks[i] = self._truth.landmarks[row] + [error / 3.0, 0.0]
            visibility[i] = 0.1 + 0.8 * self._truth.visibility[row]
            failure[i] = ""
        return hpbench.Faces(rotation=rotation, landmarks=landmarks, scheme="ibug68-fixed", visibility=visibility, failure=failure)


class WantsBGR(Right):
    wants = "BGR"


class Tight(Right):
    """Wants the box 20 % larger than it is given."""

    best_scale = 1.2


class High(Right):
    """Wants the box a tenth of its height lower."""

    best_shift_y = 0.1


def _turned(faces, degrees):
    """Every head turned to the side by so many degrees (a number, or one a face)."""
    yaw = np.broadcast_to(degrees, len(faces))
    turn = rotation_from_euler(np.stack([yaw, np.zeros(len(faces)), np.zeros(len(faces))], axis=1), "yxz")
    return hpbench.Faces(rotation=faces.rotation @ turn, failure=faces.failure)


class TrainingMode(Right):
    """Statistics of the batch, as batch normalisation takes them in training mode."""

    def predict(self, images, boxes_xyxy_px):
        brightness = np.array([image.mean() for image in images])
        return _turned(super().predict(images, boxes_xyxy_px), 0.5 * (brightness - brightness.mean()))


class Random(Right):
    """Dropout that is left on."""

    def __init__(self, faces: int = FACES):
        super().__init__(faces)
        self._rng = np.random.default_rng(1)

    def predict(self, images, boxes_xyxy_px):
        return _turned(super().predict(images, boxes_xyxy_px), self._rng.normal(0, 1, len(images)))


class Tracker(Right):
    """Smooths over calls, as for a video."""

    _last = 0.0

    def predict(self, images, boxes_xyxy_px):
        self._last = 0.5 * self._last + boxes_xyxy_px[-1, 0]
        return _turned(super().predict(images, boxes_xyxy_px), 0.1 * self._last)


class Sorter(Right):
    """Works from the largest face to the smallest, and forgets to put the answers back."""

    def predict(self, images, boxes_xyxy_px):
        order = np.argsort(-np.prod(boxes_xyxy_px[:, 2:] - boxes_xyxy_px[:, :2], axis=1))
        return super().predict([images[i] for i in order], boxes_xyxy_px[order])


class Backwards(Right):
    """The rows in reverse: which reversing the faces would not show."""

    def predict(self, images, boxes_xyxy_px):
        return super().predict(images[::-1], boxes_xyxy_px[::-1])


class Scribbler(Right):
    """Works in place."""

    def predict(self, images, boxes_xyxy_px):
        faces = super().predict(images, boxes_xyxy_px)
        boxes_xyxy_px += 1.0
        images[0][:5] = 0
        return faces


class Raiser(Right):
    """Does not say that it cannot."""

    def predict(self, images, boxes_xyxy_px):
        if (boxes_xyxy_px[:, 2] - boxes_xyxy_px[:, 0]).min() < 10.0:
            raise ValueError("crop is empty")
        return super().predict(images, boxes_xyxy_px)


class Alone(Right):
    """Written for one face."""

    def predict(self, images, boxes_xyxy_px):
        (image,), (box,) = images, boxes_xyxy_px
        return super().predict([image], box[None])


class Stacker(Right):
    """Takes all pictures to be of one size."""

    def predict(self, images, boxes_xyxy_px):
        return super().predict(list(np.stack(images)), boxes_xyxy_px)


class Silent(Right):
    """NaN, and no reason."""

    def predict(self, images, boxes_xyxy_px):
        faces = super().predict(images, boxes_xyxy_px)
        rotation = faces.rotation.copy()
        rotation[[zlib.crc32(image) % 4 == 0 for image in images]] = np.nan
        return hpbench.Faces(rotation=rotation)


class Blind(Right):
    """Finds nobody."""

    def predict(self, images, boxes_xyxy_px):
        n = len(images)
        return hpbench.Faces(rotation=np.full((n, 3, 3), np.nan), failure=["nobody there"] * n)


class Short(Right):
    """One row too few."""

    def predict(self, images, boxes_xyxy_px):
        return super().predict(images, boxes_xyxy_px).take(np.arange(len(images) - 1))


class Fickle(Right):
    """Other columns for a single face."""

    def predict(self, images, boxes_xyxy_px):
        faces = super().predict(images, boxes_xyxy_px)
        return hpbench.Faces(rotation=faces.rotation) if len(images) == 1 else faces


class OfTheBox(hpbench.Model):
    """Angles that follow from the box alone, and no answer for large ones."""

    name = "of-the-box"

    def predict(self, images, boxes_xyxy_px):
        x0, y0, x1, y1 = boxes_xyxy_px.T
        angles = np.stack([0.3 * (x0 + x1 - 250.0), 0.2 * (y1 - y0 - 100.0), 0.1 * (y0 - 80.0)], axis=1)
        angles[y1 - y0 > 130.0] = np.nan
        failure = ["too large" if np.isnan(a).any() else "" for a in angles]
        return hpbench.Faces(euler_deg=angles, convention="300w-lp", failure=failure)
