"""OpenSeeFace's landmark network: 66 points with a confidence each, and the head pose from them by PnP on our mean face.

Everything is written from what the authors' ``tracker.py`` states (github.com/emilianavt/OpenSeeFace, BSD-2-Clause); its tracking,
its face detector, its gaze model and its own PnP with an adapting face are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import ModelCard
from ..errors import InputError
from ..faces import Faces
from ..geometry.camera import crop_camera, solve_pnp
from ..geometry.mean_face import mean_face
from .crop import Crop, CropSpec, crop_face
from .interface import Model
from .onnx_card import InputSpec
from .onnx_pose import Output
from .onnx_session import OnnxSession
from .weights import card_weights

__all__ = ["SCHEME", "OpenSeeFace", "decode_points"]

Array = npt.NDArray[Any]

SCHEME = "openseeface66"
POINTS = 66
INPUT = InputSpec((224, 224), "NCHW", "RGB", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CROP = CropSpec(margin=(0.1, 0.125, 0.1, 0.125), shape="rectangle", border="clip")
MAP_SIDE = 28
LOGIT_FACTOR = 16.0  # an offset is the logit of its map's value, over this, in units of the input's last pixel
_EPS = 1e-7


class OpenSeeFace(Model):
    """The landmark network at the given boxes, which are taken as rectangles of the landmarks, as the tracker's own are.

    The file is one that onnxruntime has optimised for processors: it runs on the cpu alone.

    Parameters
    ----------
    card : ModelCard
        Names the ONNX file and its sha256; another of the authors' files with a 224-pixel input takes another card.
    weights : Path, optional
        The ONNX file or its folder; see `hpbench.models.weights`.
    device : str
        ``auto`` or ``cpu``.
    threads : int
        0 leaves it to onnxruntime.

    Raises
    ------
    InputError
        A device other than the cpu, or a file that is no such network.
    MissingDataError
        The weights or onnxruntime are missing, or the file has another hash.
    """

    name = "openseeface"
    version = "1"
    device = "cpu"

    def __init__(self, card: ModelCard, weights: Path | None = None, device: str = "auto", threads: int = 0) -> None:
        if device not in ("auto", "cpu"):
            raise InputError(f"model {card.id!r} runs on the cpu only (its file was optimised for it), not on {device!r}.")
        found = card_weights(card, weights)
        self.name, self.version = card.id, card.version
        self.weights_sha256 = found[0].sha256
        self._session = OnnxSession(found[0], INPUT.shape, [Output(kind="maps")], f"model {card.id!r}", "cpu", threads)
        maps = self._session.run(np.zeros((1, *INPUT.shape), np.float32))[0]
        if maps.shape[1:] != (3 * POINTS, MAP_SIDE, MAP_SIDE):
            raise InputError(
                f"{found[0].path}: its output is {maps.shape[1:]} a face, OpenSeeFace's is {(3 * POINTS, MAP_SIDE, MAP_SIDE)}: "
                "another network, or one of the authors' files with a smaller input?"
            )
        self._mean_face = mean_face(SCHEME)

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict`; rotation (crop_ray), landmarks, and as visibility the confidence of each point, 0 to 1."""
        crops = [crop_face(image, box, CROP, INPUT.size_px) for image, box in zip(images, boxes_xyxy_px, strict=True)]
        failure = ["" if isinstance(crop, Crop) else crop for crop in crops]
        rotation = np.full((len(crops), 3, 3), np.nan)
        landmarks = np.full((len(crops), POINTS, 2), np.nan)
        confidence = np.full((len(crops), POINTS), np.nan)
        rows = [row for row, crop in enumerate(crops) if isinstance(crop, Crop)]
        good = [crop for crop in crops if isinstance(crop, Crop)]
        if good:
            maps = self._session.run(INPUT.tensor(np.stack([crop.pixels for crop in good])))[0]
            for row, crop, (points, certain) in zip(rows, good, map(decode_points, maps), strict=True):
                if not np.isfinite(points).all():
                    failure[row] = "the model's output is not finite"
                    continue
                image_points = crop.to_image(points)
                rotation[row] = solve_pnp(self._mean_face, image_points, crop_camera(boxes_xyxy_px[row]))[0]
                if np.isnan(rotation[row]).any():
                    failure[row] = "no head pose fits OpenSeeFace's landmarks"
                    continue
                landmarks[row], confidence[row] = image_points, certain.clip(0.0, 1.0)
        return Faces(rotation=rotation, landmarks=landmarks, scheme=SCHEME, visibility=confidence, failure=failure)

    def network_call(self, batch_size: int) -> Callable[[], object]:
        """See `Model.network_call`."""
        tensor = INPUT.noise(batch_size)
        return lambda: self._session.run(tensor)


def decode_points(maps: Array) -> tuple[Array, Array]:
    """Points and confidences of one face.

    A point lies in the cell with the highest value of its map; cells 0 and 27 are the first and the last pixel of the input.  The
    values of the two offset maps there, each through the logit, move it: the first group of offsets down, the second to the right.

    Parameters
    ----------
    maps : (198, 28, 28) array
        66 heat maps, 66 maps of offsets in y, 66 of offsets in x, all within 0 and 1.

    Returns
    -------
    points : (66, 2) float64 array
        x, y in pixels of the input.
    confidence : (66,) float64 array
        The highest value of each heat map.
    """
    heat, down, right = np.asarray(maps, dtype=np.float64).reshape(3, POINTS, MAP_SIDE * MAP_SIDE)
    best, which = heat.argmax(axis=1), np.arange(POINTS)
    last = INPUT.size_px[0] - 1
    cell = np.stack([best % MAP_SIDE, best // MAP_SIDE], axis=1) * (last / (MAP_SIDE - 1))
    value = np.stack([right[which, best], down[which, best]], axis=1).clip(_EPS, 1 - _EPS)
    return cell + last / LOGIT_FACTOR * np.log(value / (1 - value)), heat[which, best]
