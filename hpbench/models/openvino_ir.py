"""OpenVINO's head-pose-estimation-adas-0001: an IR file pair (.xml, .bin) in OpenVINO's runtime.

The angles: the network's page in the Open Model Zoo states the rotation Rz(yaw) Ry(pitch) Rx(-roll) for axes that point from the face to
the camera (x), to the image's right (y) and up (z); yaw and pitch counterclockwise, roll clockwise.  In our axes that is
Ry(-yaw) Rx(pitch) Rz(roll): the convention ``yxz`` with the signs of yaw and pitch turned.  What of it is proved: the card's README.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import ModelCard, model_cards
from ..errors import InputError, MissingDataError
from ..faces import Faces
from .crop import Crop, CropSpec, crop_face
from .interface import Model
from .onnx_card import InputSpec
from .weights import WeightFile, card_weights, combined_sha256

__all__ = ["OpenVinoHeadPose"]

Array = npt.NDArray[Any]

INPUT = InputSpec(size_px=(60, 60), layout="NCHW", colour="BGR")
# about what a face detector's box has more than one around the landmarks, forehead above all; ours, unmeasured
CROP = CropSpec(margin=(0.1, 0.3, 0.1, 0.05), shape="rectangle", border="clip")
# yaw, pitch, roll: as the IR of 2022 and as its prototxt and later page call them
OUTPUTS = (("angle_y_fc", "fc_y"), ("angle_p_fc", "fc_p"), ("angle_r_fc", "fc_r"))
SIGNS = (-1.0, -1.0, 1.0)  # to `yxz`
CONVENTION = "yxz"


class OpenVinoHeadPose(Model):
    """Head pose by head-pose-estimation-adas-0001, one face a call, in full precision on the processor.

    Parameters
    ----------
    card : ModelCard, optional
        Names the two files; by default that of the catalog.
    weights : Path, optional
        The folder, or zip, that holds both files; see `hpbench.models.weights`.
    device : str
        ``auto`` and ``cpu`` are the same.
    threads : int
        0 leaves it to OpenVINO.

    Raises
    ------
    InputError
        Another device, or files of a network with other inputs or outputs.
    MissingDataError
        openvino or a file is missing.
    """

    version = "1"

    def __init__(self, card: ModelCard | None = None, weights: Path | None = None, device: str = "auto", threads: int = 0) -> None:
        card = card or model_cards()["openvino-headpose"]
        if device not in ("auto", "cpu"):
            raise InputError(f"model {card.id!r} runs on the processor only, not on device {device!r}.")
        if not isinstance(threads, int) or threads < 0:
            raise InputError(f"threads must be 0 (OpenVINO's choice) or more, got {threads!r}.")
        try:
            import openvino
        except ImportError:
            raise MissingDataError(f"the model {card.id} needs the package openvino: pip install 'hpbench[openvino]'.") from None
        found = card_weights(card, weights)
        by_ending = {file.path.suffix: file for file in found}
        self.name = card.id
        self.device = "cpu"
        self.weights_sha256 = combined_sha256([file.sha256 for file in found])
        self._network = _compile(openvino, by_ending[".xml"], by_ending[".bin"], threads)
        self._outputs = [_output(self._network, names, by_ending[".xml"].path) for names in OUTPUTS]

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict`; angles only."""
        euler = np.full((len(images), 3), np.nan)
        failure = [""] * len(images)
        request = self._network.create_infer_request()
        for n, (image, box) in enumerate(zip(images, boxes_xyxy_px, strict=True)):
            crop = crop_face(image, box, CROP, INPUT.size_px)
            if not isinstance(crop, Crop):
                failure[n] = crop
                continue
            results = request.infer([INPUT.tensor(crop.pixels[None])])
            angles = np.array([np.asarray(results[output], dtype=np.float64).item() for output in self._outputs])
            if np.isfinite(angles).all():
                euler[n] = angles * SIGNS
            else:
                failure[n] = "the model's output is not finite"
        return Faces(euler_deg=euler, convention=CONVENTION, failure=failure)

    def network_call(self, batch_size: int) -> Callable[[], object]:
        """See `Model.network_call`; it takes one face a time."""
        request, tensors = self._network.create_infer_request(), np.split(INPUT.noise(batch_size), batch_size)
        return lambda: [request.infer([tensor]) for tensor in tensors]


def _compile(openvino: Any, xml: WeightFile, weights: WeightFile, threads: int) -> Any:
    # OpenVINO tries the readers of all formats it knows; ours is one of them
    if not xml.data.lstrip().startswith((b"<?xml", b"<net")):
        raise InputError(f"{xml.path}: this is no OpenVINO IR (an XML file).")
    core = openvino.Core()
    # full precision also where the processor has a faster half: a record must not depend on that
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"} | ({"INFERENCE_NUM_THREADS": threads} if threads else {})
    try:
        network = core.compile_model(core.read_model(xml.data, weights.data), "CPU", settings)
    except Exception as error:  # openvino raises bare RuntimeErrors
        raise InputError(f"{xml.path}: OpenVINO cannot load it with {weights.path.name}: not a pair? ({_last_line(error)})") from None
    shapes = [shape.partial_shape for shape in network.inputs]
    if len(shapes) != 1 or not shapes[0].compatible(openvino.PartialShape([1, *INPUT.shape])):
        found = ", ".join(map(str, shapes))
        raise InputError(f"{xml.path}: takes {found}, not one BGR face (1, {', '.join(map(str, INPUT.shape))}): another network?")
    return network


def _output(network: Any, names: tuple[str, ...], path: Path) -> Any:
    for output in network.outputs:
        if output.get_names() & set(names):
            if output.partial_shape.is_static and int(np.prod(output.shape)) == 1:
                return output
            raise InputError(f"{path}: its output {names[0]} has shape {output.partial_shape}, expected one angle: another network?")
    there = ", ".join(sorted(name for output in network.outputs for name in output.get_names()))
    raise InputError(f"{path}: has no output {' or '.join(names)} (it has {there or 'none with a name'}): another network?")


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200].rstrip(". ")
