"""SPIGA: landmarks by stacked hourglasses and graph attention, with the head pose that starts them.

The network is the package's own class, `spiga.models.spiga.SPIGA`, which needs PyTorch alone; crop, camera and loading are here,
because the package's own inference needs a GPU, setuptools' removed ``pkg_resources``, and unpickles the weights.

The angles, by the package's ``euler_to_rotation_matrix``: with its yaw y, pitch p, roll r the points of its 3D model (x from the face
to the camera, y to the image's left, z down) are turned by Ry(90 - y) Rz(-p) Rx(-r - 90) and projected as OpenCV does.  With the
model's axes brought to ours that is Ry(-y) Rx(-p) Rz(r): the convention ``yxz`` with yaw's sign turned (tests/test_spiga_model.py).
"""

from __future__ import annotations

import importlib.util
import io
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import ModelCard, model_cards
from ..errors import InputError, MissingDataError, did_you_mean
from ..faces import Faces
from .interface import Model
from .torch_device import torch_device
from .weights import ANY, WeightFile, find_weights

__all__ = ["VARIANTS", "Spiga", "cut_face"]

Array = npt.NDArray[Any]

SIZE_PX = 256  # of the crop
MAP_PX = 64  # of the feature maps, in whose pixels the 3D model is projected
ENLARGE = 1.6  # side of the crop over the longer side of the box
FOCAL = 1.5  # focal length over the width of the picture
SIGNS = (-1.0, 1.0, 1.0)  # of its yaw, pitch, roll, to `yxz`
CONVENTION = "yxz"


@dataclass(frozen=True)
class Variant:
    """One of the authors' sets of weights: the points it finds, its edge maps, and what it was trained on."""

    scheme: str
    n_points: int
    n_edges: int
    trained_on: tuple[str, ...]


VARIANTS = {
    "300wpublic": Variant("ibug68-contour", 68, 13, ("300w:train-public",)),
    # the private test's training set holds the public test sets
    "300wprivate": Variant("ibug68-contour", 68, 13, ("300w:train-private", "300w:full")),
    "merlrav": Variant("ibug68-contour", 68, 13, ("merl-rav:train",)),
    "wflw": Variant("wflw98", 98, 15, ("wflw:train",)),
}


class Spiga(Model):
    """SPIGA at the given boxes: pose, relative to the ray through the box's centre, and landmarks.

    Parameters
    ----------
    card : ModelCard, optional
        By default that of the catalog.
    weights : Path, optional
        ``spiga_<variant>.pt``, or the folder that holds it; see `hpbench.models.weights`.  Read as tensors only.
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, or ``auto``: cuda where PyTorch sees a GPU.
    variant : str
        A key of `VARIANTS`: which of the authors' weights.

    Raises
    ------
    InputError
        An unknown variant or device, or weights that do not fit.
    MissingDataError
        A package or the weights are missing.
    """

    version = "1"

    def __init__(
        self, card: ModelCard | None = None, weights: Path | None = None, device: str = "auto", variant: str = "300wpublic"
    ) -> None:
        card = card or model_cards()["spiga"]
        if variant not in VARIANTS:
            raise InputError(f"model {card.id!r}: unknown variant {variant!r}: {did_you_mean(str(variant), VARIANTS)}")
        how = VARIANTS[variant]
        network, home = _network(card, how)
        name = f"spiga_{variant}.pt"
        (found,) = find_weights(
            [name], [card.files.get(name, ANY)], model_id=card.id, weights=weights, card_folder=card.folder,
            packages=card.packages, obtain=card.weights, licence=card.licence,
        )  # fmt: skip
        _fill(network, found, variant)
        self.name = card.id
        self.weights_sha256 = found.sha256
        self.trained_on = how.trained_on
        self._scheme = how.scheme
        self._place = torch_device(device)
        self.device = str(self._place)
        self._network = network.to(self._place).eval()
        self._model3d = _model3d(home, variant, how.n_points)

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        """See `Model.predict`; a face whose box is empty or outside the picture fails."""
        boxes = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4)
        cuts = [cut_face(image, box) for image, box in zip(images, boxes, strict=True)]
        failure = [cut if isinstance(cut, str) else "" for cut in cuts]
        rows = [n for n, cut in enumerate(cuts) if not isinstance(cut, str)]
        euler = np.full((len(images), 3), np.nan)
        landmarks = np.full((len(images), len(self._model3d), 2), np.nan)
        if rows:
            pose, points = self._run(np.stack([cuts[n] for n in rows]))
            for k, n in enumerate(rows):
                if not (np.isfinite(pose[k]).all() and np.isfinite(points[k]).all()):
                    failure[n] = "the model's output is not finite"
                    continue
                euler[n] = pose[k] * SIGNS
                centre, side = _square(boxes[n])
                landmarks[n] = (points[k] - 0.5) * side + centre
        return Faces(euler_deg=euler, convention=CONVENTION, landmarks=landmarks, scheme=self._scheme, failure=failure)

    def _run(self, crops: Array) -> tuple[Array, Array]:
        """Yaw, pitch, roll (B, 3) and landmarks (B, L, 2) as parts of the crop, of (B, 256, 256, 3) uint8 RGB crops."""
        import torch

        faces = np.ascontiguousarray(crops[..., ::-1].transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255.0)  # BGR
        focal, centre = FOCAL * MAP_PX, MAP_PX / 2.0
        camera = np.array([[focal, 0.0, centre], [0.0, focal, centre], [0.0, 0.0, 1.0]])
        given = [faces, *(np.repeat(array[None], len(faces), axis=0) for array in (self._model3d, camera))]
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # align_corners, which it leaves at PyTorch's default
            out = self._network([torch.from_numpy(array.astype(np.float32)).to(self._place) for array in given])
        pose, points = (array.detach().double().cpu().numpy() for array in (out["Pose"][:, :3], out["Landmarks"][-1]))
        return pose, points


def cut_face(image: Array, box_xyxy_px: Array) -> Array | str:
    """The (256, 256, 3) crop that the package cuts (nearest pixel, black outside), or why there is none.

    Parameters
    ----------
    image : (H, W, 3) uint8 array, RGB
    box_xyxy_px : (4,) float64 array
    """
    if not np.isfinite(box_xyxy_px).all() or (box_xyxy_px[2:] <= box_xyxy_px[:2]).any():
        return "the given box is empty"
    centre, side = _square(box_xyxy_px)
    step = side / SIZE_PX
    # Pillow's affine transform: a pixel's centre is at one half, and the pixel it falls into is taken
    places = np.floor((np.arange(SIZE_PX) + 0.5 - SIZE_PX / 2.0)[:, None] * step + centre)
    inside = (places >= 0) & (places < [image.shape[1], image.shape[0]])
    if not inside.any(axis=0).all():
        return "the given box lies outside the image"
    columns, rows = (np.where(inside, places, 0).astype(int)).T
    crop: Array = image[np.ix_(rows, columns)]
    return np.where((inside[:, None, 1] & inside[None, :, 0])[..., None], crop, np.uint8(0))


def _square(box: Array) -> tuple[Array, float]:
    return (box[:2] + box[2:]) / 2.0, ENLARGE * float((box[2:] - box[:2]).max())


def _network(card: ModelCard, how: Variant) -> tuple[Any, Path]:
    """The package's network with random weights, and the package's folder."""
    spec = importlib.util.find_spec("spiga")
    if spec is None or not spec.submodule_search_locations:
        command = " ".join(repr(requirement) for requirement in card.no_deps)
        raise MissingDataError(f"the model {card.id} needs the package spiga: pip install --no-deps {command or 'spiga'}.")
    try:
        from spiga.models.spiga import SPIGA
    except ImportError as error:
        if error.name == "torch":
            raise MissingDataError(f"the model {card.id} needs PyTorch: pip install 'hpbench[{card.extra or 'mnn'}]'.") from None
        raise MissingDataError(f"the model {card.id}: the package spiga that is installed has no network of ours ({error}).") from None
    return SPIGA(num_landmarks=how.n_points, num_edges=how.n_edges), Path(spec.submodule_search_locations[0])


def _fill(network: Any, weights: WeightFile, variant: str) -> None:
    import torch

    try:
        state = torch.load(io.BytesIO(weights.data), map_location="cpu", weights_only=True)
    except Exception as error:  # of pickle, zip and PyTorch, without a common base
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:150]
        raise InputError(f"{weights.path}: these are no tensors saved by PyTorch ({reason}).") from None
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError):  # another network's, or no mapping of names to tensors at all
        others = ", ".join(name for name in VARIANTS if name != variant)
        raise InputError(f"{weights.path}: these are not SPIGA's weights of {variant}: --model-arg variant= another ({others})?") from None


def _model3d(home: Path, variant: str, n_points: int) -> Array:
    """The package's mean face (L, 3), its axes as the network wants them, in the order of the variant's landmarks."""
    ids_file = home / "data" / "annotations" / variant / "db_info.json"
    face_file = home / "data" / "models3D" / f"mean_face_3D_{n_points}.txt"
    try:
        order = [int(n) for n in json.loads(ids_file.read_text(encoding="utf-8"))["ldm_ids"]]
        rows = [line.split("|") for line in face_file.read_text(encoding="utf-8").split()]
        face = {int(number): (float(z), -float(x), -float(y)) for number, x, y, z in rows}
        return np.array([face[number] for number in order], dtype=np.float64).reshape(n_points, 3)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingDataError(f"{face_file}: the package spiga has no such mean face ({type(error).__name__}): reinstall it.") from None
