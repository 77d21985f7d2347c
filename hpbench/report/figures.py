"""Figures to look at: a landmark scheme with its indices, a contact sheet of a dataset's labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..faces import Faces
from ..geometry.mean_face import mean_face_68
from ..landmarks import MAPS, map_landmarks, scheme_named
from ..readers import Dataset

__all__ = ["contact_sheet", "draw_labels", "scheme_figure", "scheme_layout"]

Array = npt.NDArray[Any]

# colours (RGB) that the common colour blindnesses keep apart
_BOX, _POINT, _HIDDEN = (255, 255, 255), (86, 180, 233), (213, 94, 0)
_AXES = ((213, 94, 0), (0, 158, 115), (0, 114, 178))  # x to the subject's left, y down, and out of the face


def scheme_layout(scheme: str) -> Array:
    """Where the points of a scheme lie on a frontal mean face, (L, 2), x to the image's right, y down.

    Raises
    ------
    InputError
        For a scheme that is not drawn on a frontal face (menpo39).
    """
    face = mean_face_68()[:, :2]
    n_points = scheme_named(scheme).n_points
    if n_points == 68:
        return face
    if ("ibug68-contour", scheme) in MAPS:
        points = map_landmarks(face, "ibug68-contour", scheme)
        if scheme == "cofw29":  # the lower edges of the brows, which the 68 points lack
            points[[5, 7]] = points[[4, 6]] + [0.0, 5.0]
        if scheme == "aflw21":
            points[[12, 16]] = face[[0, 16]]
        return points
    if scheme == "aflw19":
        return np.delete(scheme_layout("aflw21"), (12, 16), axis=0)
    if scheme == "wflw98":
        return _layout_wflw98(face)
    raise InputError(f"the scheme {scheme} is not one of a frontal face: it is not drawn.")


def _layout_wflw98(face: Array) -> Array:
    points = np.full((98, 2), np.nan)
    for i, (source,) in enumerate(MAPS["wflw98", "ibug68-contour"]):
        points[source] = face[i]
    points[1:32:2] = (points[0:31:2] + points[2:33:2]) / 2
    points[38:42] = points[[37, 36, 35, 34]] + [0.0, 5.0]  # lower edges of the brows
    points[[50, 49, 48, 47]] = points[[42, 43, 44, 45]] + [0.0, 5.0]
    for between, (a, b), lift in ((62, (61, 63), -1.5), (66, (65, 67), 1.5), (70, (69, 71), -1.5), (74, (73, 75), 1.5)):
        points[between] = (points[a] + points[b]) / 2 + [0.0, lift]
    points[96], points[97] = points[60:68].mean(axis=0), points[68:76].mean(axis=0)
    return points


def scheme_figure(schemes: Sequence[str], path: Path) -> None:
    """Draw schemes with their point indices, one panel each, into an image or PDF file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(schemes), figsize=(7 * len(schemes), 8), squeeze=False)
    for axis, name in zip(axes[0], schemes, strict=True):
        scheme, points = scheme_named(name), scheme_layout(name)
        for number, (part, members) in enumerate(scheme.parts.items()):
            xy = points[list(members)]
            axis.scatter(*xy.T, s=14, color=f"C{number % 10}", label=part)
        for index, (x, y) in enumerate(points):
            axis.annotate(str(index), (x, y), xytext=(2, 2), textcoords="offset points", fontsize=7)
        axis.set_title(f"{name}: {scheme.n_points} points (0-based)")
        axis.set_xlabel("the subject's right is on the left, as in a frontal photograph")
        axis.set_aspect("equal")
        axis.invert_yaxis()
        axis.set_xticks([])
        axis.set_yticks([])
        axis.legend(loc="lower center", bbox_to_anchor=(0.5, -0.16), ncols=4, fontsize=7, frameon=False)
    _save(figure, path)


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
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

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
    figure, axes = plt.subplots(rows, columns, figsize=(3 * columns, 3.5 * rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, (axis, sample) in enumerate(zip(axes.flat, dataset.samples_of(chosen, dataset.box_set()), strict=False)):
        axis.imshow(draw_labels(sample.image.read(), sample.box_xyxy_px, truth.take([row]), anonymise=anonymise))
        axis.set_title(_caption(truth, row), fontsize=7)
    key = "arrows: orange x to the subject's left, green y down, blue out of the face; orange points are occluded"
    figure.suptitle(f"{dataset.card.title}: {split} {labels}\n{key}".strip(), fontsize=8, y=1.0, va="bottom")
    _save(figure, path)
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
    centre, side = (box[:2] + box[2:]) / 2, max(1.7 * float((box[2:] - box[:2]).max()), 8.0)
    scale = size_px / side
    affine = np.array([[scale, 0.0, size_px / 2 - scale * centre[0]], [0.0, scale, size_px / 2 - scale * centre[1]]])
    picture = cv2.warpAffine(image, affine, (size_px, size_px), flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    if anonymise:
        picture = cv2.GaussianBlur(cv2.resize(picture, (14, 14), interpolation=cv2.INTER_AREA), (3, 3), 0)
        picture = cv2.resize(picture, (size_px, size_px), interpolation=cv2.INTER_NEAREST)
    to_picture = lambda points: np.asarray(points) @ affine[:, :2].T + affine[:, 2]  # noqa: E731
    low, high = np.rint(to_picture(box.reshape(2, 2))).astype(int)
    cv2.rectangle(picture, tuple(map(int, low)), tuple(map(int, high)), _BOX, 1, cv2.LINE_AA)
    if label.landmarks is not None:
        hidden = label.visibility[0] < 0.5 if label.visibility is not None else np.zeros(label.landmarks.shape[1], dtype=bool)
        for point, occluded in zip(to_picture(label.landmarks[0]), hidden, strict=True):
            if np.isfinite(point).all():
                place = (int(round(point[0])), int(round(point[1])))
                cv2.circle(picture, place, 3, _HIDDEN if occluded else _POINT, -1, cv2.LINE_AA)
    if label.rotation is not None and np.isfinite(label.rotation).all():
        origin = tuple(int(round(v)) for v in to_picture(centre))
        length = 0.35 * scale * float((box[2:] - box[:2]).max())
        for axis, colour in zip(label.rotation[0].T * [[1.0], [1.0], [-1.0]], _AXES, strict=True):
            end = tuple(int(round(o + length * a)) for o, a in zip(origin, axis[:2], strict=True))
            cv2.arrowedLine(picture, origin, end, colour, 2, cv2.LINE_AA, tipLength=0.15)
    return picture


def _caption(truth: Faces, row: int) -> str:
    name = str(truth.sample_id[row])  # type: ignore[index]
    if truth.euler_deg is not None:
        yaw, pitch, roll = truth.euler_deg[row]
        name += f"\nyaw {yaw:.0f} pitch {pitch:.0f} roll {roll:.0f} ({truth.convention})"
    return name


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    from ..atomic import atomic_path

    suffix = path.suffix.lower().lstrip(".")
    if suffix not in ("png", "pdf", "svg", "jpg"):
        raise InputError(f"{path}: a figure ends in .png, .pdf, .svg or .jpg.")
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=suffix, dpi=110, bbox_inches="tight")
    plt.close(figure)
