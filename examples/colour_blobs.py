"""A toy model, to be read in a minute: where the coloured parts of a cartoon head are, and so how the head is turned."""

from __future__ import annotations

import cv2
import numpy as np

import hpbench
from hpbench.geometry.camera import weak_perspective
from hpbench.geometry.mean_face import mean_face_68


class ColourBlobs(hpbench.Model):
    """Finds white eyes, pink lips and a red nose tip by thresholds; their four centres give the pose.

    Made for the cartoons of ``python tests/miniatures/aflw2000.py demo``; a photograph has no such colours.
    Run it with ``hpbench run -m examples/colour_blobs.py:ColourBlobs -d miniature --data demo/faces`` (and
    ``HPBENCH_CATALOG=demo/catalog``).
    """

    name = "colour-blobs"
    version = "1"

    def predict(self, images, boxes_xyxy_px):
        """Pose of each face; a row of NaN, with its reason, where a part of the face cannot be seen."""
        rotation = np.full((len(images), 3, 3), np.nan)
        failure = [""] * len(images)
        for n, (image, box) in enumerate(zip(images, boxes_xyxy_px, strict=True)):
            try:
                rotation[n] = weak_perspective(PARTS_MM, find_parts(image, box))[0]
            except LookupError as error:
                failure[n] = str(error)
        return hpbench.Faces(rotation=rotation, failure=failure)


_face = mean_face_68()
# the same four parts on the mean face, millimetres: right eye, left eye (the subject's own), lips, nose tip
PARTS_MM = np.array([_face[36:42].mean(axis=0), _face[42:48].mean(axis=0), _face[48:60].mean(axis=0), _face[30]])


def find_parts(image, box):
    """Centres (4, 2) in pixels of right eye, left eye, lips and nose tip."""
    x0, y0 = np.maximum(box[:2], 0).astype(int)
    x1, y1 = np.maximum(box[2:], 0).astype(int) + 1
    crop = np.ascontiguousarray(image[y0:y1, x0:x1])
    hue, saturation, value = np.moveaxis(cv2.cvtColor(crop, cv2.COLOR_RGB2HSV).astype(int), 2, 0)  # hue 0..179
    lips = blobs((hue > 155) & (hue < 176) & (saturation > 120))
    nose = blobs(((hue < 9) | (hue > 176)) & (saturation > 140) & (value > 110))
    eyes = blobs((saturation < 28) & (value > 205), join=(y1 - y0) // 12)  # the iris parts the white of an eye
    if not lips or not nose:
        raise LookupError("sees no lips or no nose")
    if len(eyes) < 2:
        raise LookupError("cannot see both eyes")
    # from the lips to the eyes is up; across it, the subject's right eye is on the image's left
    up = (eyes[0] + eyes[1]) / 2 - lips[0]
    right, left = sorted(eyes[:2], key=lambda eye: np.dot(eye, [-up[1], up[0]]))
    return np.array([right, left, lips[0], nose[0]]) + [x0, y0]


def blobs(mask, join=0):
    """Centres (x, y) of the connected parts of a mask, the largest first; gaps up to `join` pixels count as filled."""
    mask = mask.astype(np.uint8)
    if join:
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((join, join), np.uint8))
    _, _, statistics, centres = cv2.connectedComponentsWithStats(mask)
    area = statistics[1:, cv2.CC_STAT_AREA]  # without the background
    return [centres[1 + k] for k in np.argsort(-area) if area[k] >= 6]
