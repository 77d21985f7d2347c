"""Albedo of everything rays hit: skin with its pigments, brows, beard and make-up, eyes, mouth, hair, clothes, things."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from .bust import Part
from .look import Look, skin_colour
from .noise import Noise, smoothstep
from .surface import COLUMN, polyline_distance
from .tracing import Hits, hair_strands

__all__ = ["Features", "albedo"]

Array = npt.NDArray[Any]
_F32 = np.float32

_IRIS_RAD = 0.44  # half-angle of the iris on the eyeball
_TEETH, _TONGUE = np.array([0.66, 0.60, 0.48], _F32), np.array([0.42, 0.13, 0.12], _F32)
_LASH = np.full(3, 0.02, _F32)
_MOUTH, _EYE_PINK = np.array([0.26, 0.07, 0.06], _F32), np.array([0.42, 0.20, 0.17], _F32)


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """Lines and centres on the neutral head, template frame (metres), that colour is measured from.

    Attributes
    ----------
    brows : two (5, 3), right and left, from the nose outward
    eyes : two (3,), left and right: centre of the ball
    lids : two (6, 3), right and left
    """

    brows: tuple[Array, Array]
    eyes: tuple[Array, Array]
    lids: tuple[Array, Array]


def albedo(hits: Hits, look: Look, features: Features, noise: Noise) -> tuple[Array, Array, Array]:
    """Albedo (M, 3), gloss (M,) and roughness (M,) of every hit, float32."""
    colour = hits.tint.copy()
    gloss, rough = hits.gloss.copy(), np.full(len(colour), 0.4, _F32)
    skin = np.flatnonzero(hits.part == Part.SKIN)
    if len(skin):
        colour[skin], gloss[skin], rough[skin] = _skin(hits.fields[skin], look, features, noise)
    for part, centre in ((Part.EYE_LEFT, features.eyes[0]), (Part.EYE_RIGHT, features.eyes[1])):
        eye = np.flatnonzero(hits.part == part)
        if len(eye):
            colour[eye] = _eye(hits.fields[eye][:, COLUMN["place"]] - centre, look, noise)
            gloss[eye], rough[eye] = 3.0, 0.08
    for part, paint, shine, matt in ((Part.TEETH, _TEETH, 1.0, 0.25), (Part.TONGUE, _TONGUE, 1.0, 0.3), (Part.LASHES, _LASH, 0.1, 0.6)):
        chosen = hits.part == part
        colour[chosen], gloss[chosen], rough[chosen] = paint, shine, matt
    hair = np.flatnonzero((hits.part == Part.SCALP) | (hits.part == Part.LOCKS))
    if len(hair):
        colour[hair] = _hair(hits.fields[hair], look, noise)
        gloss[hair], rough[hair] = 0.0, 0.45
    things = np.flatnonzero(hits.part == Part.THING)
    if len(things):
        place = hits.fields[things][:, COLUMN["place"]]
        colour[things] *= (1 + 0.10 * noise(place, 0.02, 61.0) + 0.06 * noise(place, 0.004, 67.0))[:, None]
    return colour, gloss, rough


def _hair(fields: Array, look: Look, noise: Noise) -> Array:
    streak = 0.6 * hair_strands(fields, noise, 0.0013, 3.0) + 0.4 * hair_strands(fields, noise, 0.005, 9.0)
    lock = noise(fields[:, COLUMN["place"]], look.hair_curl_m, 5.0)
    return look.hair * np.clip(1 + 0.75 * streak + 0.4 * lock, 0.12, 2.2)[:, None]


def _skin(fields: Array, look: Look, features: Features, noise: Noise) -> tuple[Array, Array, Array]:
    place = np.ascontiguousarray(fields[:, COLUMN["place"]])
    coarse, middle, fine = noise(place, 0.03), noise(place, 0.009, 7.0), noise(place, 0.0022, 13.0)
    flush = fields[:, COLUMN["flush"]]
    lips = smoothstep(0.25, 0.75, fields[:, COLUMN["lips"]] + 0.06 * fine)
    melanin = look.melanin * (1 + look.blotch * (0.5 * coarse + 0.4 * middle) + 0.10 * fine)
    if look.freckles:
        melanin = melanin + look.freckles * smoothstep(0.35, 0.6, noise(place, 0.0028, 21.0)) * np.clip(flush + 0.3, 0, 1)
    blood = look.blood * (1 + 0.9 * flush + look.blotch * (middle + 0.5 * coarse) + 0.12 * fine) + look.lips_blood * lips
    out: Array = skin_colour(melanin * (1 - 0.25 * lips), np.clip(blood, 0, None)).astype(_F32)
    grain = (1 + 0.05 * fine + 0.04 * noise(place, 0.0011, 29.0))[:, None]
    out *= grain
    out *= (1 - 0.12 * smoothstep(0.2, 0.9, fields[:, COLUMN["lid"]]))[:, None]
    if look.wrinkles:
        lines = smoothstep(0.25, 0.8, 1 - 2.2 * np.abs(noise(place * np.array([0.55, 1.0, 1.0], _F32), 0.006, 71.0)))
        out *= (1 - look.wrinkles * fields[:, COLUMN["crease"]] * (0.10 + 0.22 * lines))[:, None]
    if look.lips_cover:
        cover = (look.lips_cover * lips)[:, None]
        out = out * (1 - cover) + cover * look.lips * (0.6 + 0.4 * grain)
    gloss = look.gloss * (0.45 + 0.55 * fields[:, COLUMN["oil"]] + 0.8 * lips)
    rough = np.clip(look.roughness - 0.12 * lips + 0.05 * fine, 0.15, 1)
    front = np.flatnonzero((place[:, 2] < -0.085) & (place[:, 1] < -0.115) & (place[:, 1] > -0.19))
    if len(front):
        out[front] = _around_eyes(out[front], place[front], fields[front], look, features, noise)
    cover = _hair_on_skin(place, fields, look, noise, middle)
    out += cover * (0.9 * look.hair - out)
    gloss = gloss * (1 - 0.75 * cover[:, 0])
    inside = fields[:, COLUMN["cavity"]][:, None]
    out = out * (1 - inside) + inside * _MOUTH
    pink = fields[:, COLUMN["eye_cavity"]][:, None]
    out = out * (1 - pink) + pink * _EYE_PINK
    cloth, colour = _cloth(place, look, noise, fine)
    return out + cloth * (colour - out), gloss * (1 - 0.8 * cloth[:, 0]), rough


def _hair_on_skin(place: Array, fields: Array, look: Look, noise: Noise, middle: Array) -> Array:
    """How much (M, 1) stubble, scalp hair and beard cover the skin."""
    bare: Array = np.ones(len(place), _F32)
    if look.hair_kind != "bald":
        cover = smoothstep(-0.006, 0.012, fields[:, COLUMN["scalp"]] + look.hairline_m + 0.006 * noise(place, 0.01, 2.0))
        bare = bare * (1 - 0.92 * cover * (0.75 + 0.25 * hair_strands(fields, noise, 0.0012, 17.0)))
    if look.beard:
        strands = 0.5 + 0.5 * noise(place * np.array([1.0, 0.35, 1.0], _F32), 0.0011, 31.0)
        cover = smoothstep(0.15, 0.7, fields[:, COLUMN["beard"]] + 0.12 * middle)
        bare = bare * (1 - cover * np.clip(look.beard * (0.55 + 0.75 * strands), 0, 0.95))
    return (1 - bare)[:, None]


def _cloth(place: Array, look: Look, noise: Noise, fine: Array) -> tuple[Array, Array]:
    """How much (M, 1) clothes cover the skin, and their colour (M, 3): a soft hem, darker along the collar."""
    below = place[:, 1] - look.neckline_m + 0.35 * np.sqrt(place[:, 0] ** 2 + 0.012**2) + 0.0015 * noise(place, 0.03, 55.0)
    weave = 1 + 0.06 * fine + 0.12 * noise(place, 0.05, 51.0)
    seam = 1 - 0.35 * np.exp(-(((below - 0.011) / 0.0012) ** 2))
    return smoothstep(-0.0013, 0.0013, below)[:, None], look.cloth * (weave * seam)[:, None]


def _around_eyes(out: Array, place: Array, fields: Array, look: Look, features: Features, noise: Noise) -> Array:
    """Brows, the lashes' dark line and eye shadow."""
    for line in features.brows:
        distance, where = polyline_distance(place[:, :2], line[:, :2])
        width = look.brow_width_m * np.interp(where, [0, 0.15, 0.6, 1], [0.95, 1.1, 0.95, 0.45])
        hairs = noise(place * np.array([1.0, 0.45, 1.0], _F32) + np.array([0, 0.3, 0], _F32) * place[:, :1], 0.0011, 41.0)
        cover = smoothstep(1.35, 0.45, distance / width + 0.35 * hairs) * look.brow * (0.8 + 0.3 * hairs)
        out = out + np.clip(cover, 0, 0.95)[:, None] * (0.6 * look.hair - out)
    for outline in features.lids:
        distance, _ = polyline_distance(place[:, :2], outline[:4, :2])
        above = place[:, 1] < outline[[0, 3], 1].mean() + 0.001
        lash = np.exp(-((distance / 0.0016) ** 2)) * above * look.liner
        out = out * (1 - 0.85 * np.clip(lash, 0, 1))[:, None]
        if look.shadow_cover:
            veil = np.exp(-((distance / 0.006) ** 2)) * above * look.shadow_cover
            out = out + veil[:, None] * (look.shadow - out)
    return np.asarray(out * (1 - 0.25 * look.liner * fields[:, COLUMN["lid"]])[:, None])


def _eye(offset: Array, look: Look, noise: Noise) -> Array:
    """The eyeball (M, 3) at `offset` (M, 3) from its centre: pupil, iris with its rays and dark rim, veined white."""
    angle = np.arccos(np.clip(-offset[:, 2] / (np.linalg.norm(offset, axis=1) + 1e-9), -1, 1))
    turn = np.arctan2(offset[:, 1], offset[:, 0])
    rays = noise(np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1), 0.08, 3.0)
    share = angle / _IRIS_RAD
    veins = smoothstep(0.5, 0.9, noise(offset, 0.002, 11.0)) * smoothstep(1.2, 2.0, share)
    white = look.sclera * (1 - 0.25 * veins[:, None] * np.array([0.2, 1, 1], _F32)) * (1 - 0.25 * smoothstep(1.4, 2.6, share))[:, None]
    iris = look.iris * (1 + 0.35 * rays + 0.5 * smoothstep(0.75, 0.45, share))[:, None]
    iris = iris * (1 - 0.7 * smoothstep(0.82, 1.0, share))[:, None]
    iris = iris * smoothstep(look.pupil * 0.9, look.pupil * 1.1, share)[:, None] + 0.004
    edge = smoothstep(0.95, 1.06, share)[:, None]
    return np.asarray(iris * (1 - edge) + white * edge)
