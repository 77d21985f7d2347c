"""Faces with what is labelled and predicted on them: for looking at, never for a report, but for those of heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...drawing import BOX_COLOUR, EDGE_COLOUR, HIDDEN_COLOUR, POINT_COLOUR, draw_axes, pixel
from ...errors import InputError
from ...faces import Faces
from ...readers import Dataset
from .picture import save_figure

__all__ = ["contact_sheet", "draw_comparison", "draw_labels"]

Array = npt.NDArray[Any]

_TRUTH, _PREDICTION = POINT_COLOUR, (230, 159, 0)


def contact_sheet(dataset: Dataset, path: Path, *, split: str = "", labels: str = "", count: int = 12, anonymise: bool = False) -> int:
    """Faces of a dataset with box, landmarks and pose axes: at a glance, whether the conventions are right.

    Parameters
    ----------
    dataset : Dataset
    path : Path
        Image or PDF file.
    split, labels : str
        Default: the first split that has faces with an image, the default annotation.
    count : int
        At most so many faces, evenly spread over those that have an image.
    anonymise : bool
        Blur the faces; the drawing stays sharp.

    Returns
    -------
    int
        The number of faces drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    for name in [split] if split else dataset.card.splits:
        split, with_image = name, set(dataset.image_ids(name))
        ids = [i for i in dataset.found_ids(split, labels) if i in with_image]
        if ids:
            break
    if not ids:
        raise InputError(f"{dataset.card.id}: no face of split {split!r} has both labels and an image here.")
    chosen = [ids[i] for i in np.unique(np.linspace(0, len(ids) - 1, min(count, len(ids))).astype(int))]
    truth = dataset.truth_of(chosen, labels)
    columns = min(4, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(3 * columns, 3.5 * rows + 0.5), layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, (axis, sample) in enumerate(zip(axes.flat, dataset.samples_of(chosen, dataset.box_set()), strict=False)):
        axis.imshow(draw_labels(sample.image.read(), sample.box_xyxy_px, truth.take([row]), anonymise=anonymise))
        axis.set_title(_caption(truth, row), fontsize=7)
    key = "arrows: orange x to the subject's left, green y down, blue out of the face; orange points are occluded"
    figure.suptitle(f"{dataset.card.title}: {split} {labels}\n{key}".strip(), fontsize=8)
    save_figure(figure, path, dpi=110)
    return len(chosen)


def draw_labels(image: Array, box_xyxy_px: Array, label: Faces, *, anonymise: bool = False, size_px: int = 420) -> Array:
    """One face cut out with room around its box, its labels drawn in.

    Parameters
    ----------
    image : (H, W, 3) uint8 array, RGB
    box_xyxy_px : (4,) array
    label : Faces of one row

    Returns
    -------
    (size_px, size_px, 3) uint8 array, RGB
    """
    import cv2

    box = np.asarray(box_xyxy_px, dtype=np.float64)
    cut = _cut_out(image, box, size_px)
    picture = cut.picture
    if anonymise:
        picture = cv2.GaussianBlur(cv2.resize(picture, (14, 14), interpolation=cv2.INTER_AREA), (3, 3), 0)
        picture = cv2.resize(picture, (size_px, size_px), interpolation=cv2.INTER_NEAREST)
    low, high = np.rint(cut.place(box.reshape(2, 2))).astype(int)
    cv2.rectangle(picture, tuple(map(int, low)), tuple(map(int, high)), BOX_COLOUR, 1, cv2.LINE_AA)
    if label.landmarks is not None:
        hidden = label.visibility[0] < 0.5 if label.visibility is not None else np.zeros(label.landmarks.shape[1], dtype=bool)
        for point, occluded in zip(cut.place(label.landmarks[0]), hidden, strict=True):
            if np.isfinite(point).all():
                cv2.circle(picture, pixel(point), 3, HIDDEN_COLOUR if occluded else POINT_COLOUR, -1, cv2.LINE_AA)
    if label.rotation is not None and np.isfinite(label.rotation).all():
        length = 0.35 * cut.scale * float((box[2:] - box[:2]).max())
        draw_axes(picture, cut.place((box[:2] + box[2:]) / 2), label.rotation[0], length)
    return picture


class _Cut(NamedTuple):
    """A face cut out of its image."""

    picture: Array
    scale: float
    affine: Array

    def place(self, points: Array) -> Array:
        """Points of the image in the picture."""
        placed: Array = np.asarray(points) @ self.affine[:, :2].T + self.affine[:, 2]
        return placed


def _cut_out(image: Array, box: Array, size_px: int) -> _Cut:
    """A square with room around a box."""
    import cv2

    centre, side = (box[:2] + box[2:]) / 2, max(1.7 * float((box[2:] - box[:2]).max()), 8.0)
    scale = size_px / side
    affine = np.array([[scale, 0.0, size_px / 2 - scale * centre[0]], [0.0, scale, size_px / 2 - scale * centre[1]]])
    picture = cv2.warpAffine(image, affine, (size_px, size_px), flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return _Cut(picture, scale, affine)


def draw_comparison(image: Array, box_xyxy_px: Array, truth: Faces, prediction: Faces, *, size_px: int = 300) -> Array:
    """One face cut out, labels in blue and predictions in orange: points, joined where they belong together, and the head's axes.

    Points that are occluded (labelled so, or predicted with P(visible) < 0.5) are rings, the others discs.  Of the axes, the arrow
    points out of the face; the short lines are its left and down.

    Parameters
    ----------
    image : (H, W, 3) uint8 array, RGB
    box_xyxy_px : (4,) array
    truth, prediction : Faces of one row

    Returns
    -------
    (size_px, size_px, 3) uint8 array, RGB
    """
    import cv2

    box = np.asarray(box_xyxy_px, dtype=np.float64)
    cut = _cut_out(image, box, size_px)
    picture = cut.picture
    both = (truth, _TRUTH), (prediction, _PREDICTION)
    if truth.landmarks is not None and prediction.landmarks is not None and truth.landmarks.shape == prediction.landmarks.shape:
        for a, b in zip(cut.place(truth.landmarks[0]), cut.place(prediction.landmarks[0]), strict=True):
            if np.isfinite((a, b)).all():
                cv2.line(picture, pixel(a), pixel(b), (255, 255, 255), 1, cv2.LINE_AA)
    for faces, colour in both:
        points, radius = faces.landmarks, 3
        if points is None and faces.visibility is not None:  # around the labels' points, where only visibility is predicted
            points, radius = truth.landmarks, 6
        if points is None:
            continue
        hidden = faces.visibility[0] < 0.5 if faces.visibility is not None else np.zeros(points.shape[1], dtype=bool)
        for point, occluded in zip(cut.place(points[0]), hidden, strict=True):
            if np.isfinite(point).all() and (occluded or radius == 3):
                cv2.circle(picture, pixel(point), radius, colour, 1 if occluded else -1, cv2.LINE_AA)
    centre = cut.place((box[:2] + box[2:]) / 2)
    length = 0.35 * cut.scale * float((box[2:] - box[:2]).max())
    for faces, colour in both:
        if faces.rotation is None or not np.isfinite(faces.rotation).all():
            continue
        left, down, inward = (length * faces.rotation[0].T)[:, :2]
        for line_colour, width in ((EDGE_COLOUR, 4), (colour, 2)):  # an edge, so that it is seen on any face
            cv2.line(picture, pixel(centre), pixel(centre + 0.6 * left), line_colour, width, cv2.LINE_AA)
            cv2.line(picture, pixel(centre), pixel(centre + 0.6 * down), line_colour, width, cv2.LINE_AA)
            cv2.arrowedLine(picture, pixel(centre), pixel(centre - inward), line_colour, width, cv2.LINE_AA, tipLength=0.18)
    return picture


def _caption(truth: Faces, row: int) -> str:
    name = str(truth.sample_id[row])  # type: ignore[index]
    if truth.euler_deg is not None:
        yaw, pitch, roll = truth.euler_deg[row]
        name += f"\nyaw {yaw:.0f} pitch {pitch:.0f} roll {roll:.0f} ({truth.convention})"
    return name
