"""MNN as an ONNX file with a model card beside it: what `hpbench run -m card.toml` takes, and any ONNX runtime."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..atomic import write_atomic
from ..catalog import model_cards
from ..errors import InputError
from ..mnn.config import READ_RADIUS_PX
from .mnn import Mnn, MnnEncoder, MnnOr
from .mnn_files import find_mnn_files, load_mnn, trained_on_of

__all__ = ["EXPORTABLE", "export_mnn"]

EXPORTABLE = (Mnn.card_id, MnnEncoder.card_id)

_CARD = """\
id = {id}
title = {title}
licence = {licence}
trained_on = {trained_on}

# crop -> network -> numbers: yaw, pitch, roll in degrees; {points}
[onnx]
file = {file}
sha256 = "{sha256}"
input = {{ size_px = [{size}, {size}], layout = "NCHW", colour = "RGB", scale = {scale!r} }}
crop = {{ margin = {margin}, shape = "square-by-height", border = "constant", window = "exact" }}
outputs = [
    {outputs},
]
"""


def export_mnn(model: str, path: Path, *, weights: Path | None = None, radius_px: int | None = None) -> tuple[Path, float]:
    """Write the ONNX file of a model and, beside it, ``card.toml``.

    Parameters
    ----------
    model : {"mnn", "mnn-encoder"}
    path : Path
        Ends with ``.onnx``; its folder is made if it is not there.
    weights : Path, optional
        As for the model.
    radius_px : int
        How landmarks are read out, as for the model.

    Returns
    -------
    card : Path
    difference : float
        From PyTorch's outputs (`hpbench.mnn.export.export_onnx`).

    Raises
    ------
    InputError
        A model that is not exported, a card that would be overwritten, or outputs that differ from PyTorch's.
    MissingDataError
        Weights or packages are missing.
    """
    if model not in EXPORTABLE:
        why = ": regression trees are no graph of ONNX" if model == MnnOr.card_id else ""
        raise InputError(f"{model!r} cannot be exported{why}; {' and '.join(EXPORTABLE)} can.")
    card = path.parent / "card.toml"
    if path.suffix != ".onnx":
        raise InputError(f"{path}: the name of an ONNX file ends with .onnx.")
    if card.exists() and f'file = "{path.name}"' not in card.read_text(encoding="utf-8", errors="replace"):
        raise InputError(f"{card}: the card of another model is there: choose another folder.")
    Mnn.check_packages(model)
    from ..mnn.crops import ENLARGE
    from ..mnn.export import export_onnx
    from ..mnn.targets import CONVENTION

    encoder_only = model == MnnEncoder.card_id
    files = find_mnn_files(model, weights)
    network = load_mnn(files, encoder_only=encoder_only)
    path.parent.mkdir(parents=True, exist_ok=True)
    difference = export_onnx(network, path, encoder_only=encoder_only, radius_px=READ_RADIUS_PX if radius_px is None else radius_px)
    config, about = network.config, model_cards()[model]
    tables = [f'{{ kind = "euler", tensor = "euler_deg", order = ["yaw", "pitch", "roll"], convention = "{CONVENTION}" }}']
    if not encoder_only:
        tables.append(f'{{ kind = "landmarks", tensor = "landmarks_px", scheme = "{config.scheme}", units = "crop_px" }}')
        tables.append('{ kind = "visibility", tensor = "visibility", positive = "visible" }')
    own = "" if files.shipped else f"@{files.network.sha256[:8]}"
    text = _CARD.format(
        id=_text(f"{model}-onnx{own.replace('@', '-')}"),
        title=_text(f"{about.title if files.shipped else f'MNN of own weights {own[1:]}'}, ONNX"),
        licence=_text(about.licence if files.shipped else ""),
        trained_on=json.dumps(list(about.trained_on if files.shipped else trained_on_of(files))),
        points="no landmarks" if encoder_only else "landmarks in crop pixels, probabilities of being visible",
        file=_text(path.name),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=config.input_px,
        scale=1.0 / 255.0,
        margin=ENLARGE,
        outputs=",\n    ".join(tables),
    )
    write_atomic(card, text)
    return card, difference


def _text(value: str) -> str:
    return json.dumps(value)  # a basic string of TOML
