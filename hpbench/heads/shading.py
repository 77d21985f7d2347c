"""Light on what rays hit: soft shadows of the key light, wrapped diffuse light, highlights, and the picture's tone curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .bust import Part
from .light import Light
from .noise import Noise, dots, smoothstep, units
from .raycast import TriangleSoup
from .surface import COLUMN
from .tracing import Hits, hair_strands

__all__ = ["illuminate", "key_shadow", "tone_map"]

Array = npt.NDArray[Any]
_F32 = np.float32

_PATTERN = 4  # the key light is sampled at _PATTERN^2 places, one for each pixel of a block


def _any_of(*parts: Part) -> Array:
    """A table that says of each part whether it is one of these."""
    return np.isin(np.arange(len(Part)), parts)


_HAIR, _SOFT, _WET = _any_of(Part.SCALP, Part.LOCKS), _any_of(Part.SKIN, Part.TONGUE), _any_of(Part.EYE_LEFT, Part.EYE_RIGHT)
_INSIDE, _OPEN = _any_of(Part.TONGUE, Part.TEETH), _any_of(Part.SCALP, Part.LOCKS, Part.LASHES)


def key_shadow(hits: Hits, pixels: Array, size_px: int, light: Light, soup: TriangleSoup) -> Array:
    """How much of the key light reaches each pixel, (size^2,): one ray a pixel, the mean over blocks, no random noise.

    Parameters
    ----------
    hits : Hits
    pixels : (M,) array of int
        The pixel of each hit, row by row.
    """
    key = light.key.astype(_F32)
    first = np.cross(key, [0.0, 1.0, 0.0] if abs(key[1]) < 0.9 else [1.0, 0.0, 0.0])
    first /= np.linalg.norm(first)
    second = np.cross(key, first)
    spot = np.arange(_PATTERN**2) * 7 % _PATTERN**2  # neighbours in the picture are far apart on the light
    radius, turn = light.softness * np.sqrt((spot + 0.5) / _PATTERN**2), spot * 2.399963
    aims = key + (radius * np.cos(turn))[:, None] * first + (radius * np.sin(turn))[:, None] * second
    rows, columns = np.divmod(pixels, size_px)
    facing = np.flatnonzero(hits.normal @ key > -0.3)
    aim = aims.astype(_F32)[(rows % _PATTERN * _PATTERN + columns % _PATTERN)[facing]]
    start = hits.place_m[facing] + 0.0012 * hits.normal[facing]
    known, lit = np.zeros(size_px**2, _F32), np.zeros(size_px**2, _F32)
    known[pixels[facing]] = 1
    lit[pixels[facing]] = 1 - soup.blocked(start, aim, 2.0)
    known, lit = _block_sum(known.reshape(size_px, size_px)), _block_sum(lit.reshape(size_px, size_px))
    return np.where(known > 0, lit / np.maximum(known, 1), 1).astype(_F32).ravel()


def _block_sum(image: Array) -> Array:
    """Sum over the _PATTERN x _PATTERN pixels around each pixel."""
    before, end = _PATTERN // 2, len(image) + _PATTERN
    total = np.pad(image, ((before + 1, before), (before + 1, before))).cumsum(0, dtype=np.float64).cumsum(1)
    rows = total[_PATTERN:end] - total[: end - _PATTERN]
    return np.asarray((rows[:, _PATTERN:end] - rows[:, : end - _PATTERN])[: len(image), : len(image)])


def illuminate(hits: Hits, colour: Array, gloss: Array, rough: Array, light: Light, shadow: Array, noise: Noise) -> Array:
    """Linear RGB (M, 3) of the hits.

    Parameters
    ----------
    hits : Hits
    colour, gloss, rough : (M, 3), (M,), (M,) arrays
        From `hpbench.heads.skin.albedo`.
    light : Light
    shadow : (M,) array
        Share of the key light that arrives.
    noise : Noise
        Bends the normals of hair.
    """
    hair = np.flatnonzero(_HAIR[hits.part])
    bend = _hair_bend(hits.fields[hair], noise)
    normal, view = _hair_normals(hits, hair, bend), hits.view
    soft = _SOFT[hits.part]
    wrap = np.where(soft[:, None], np.array([0.32, 0.14, 0.09], _F32), _F32(0.03))  # blood lets red light through
    openness = _openness(hits)
    up = 0.5 - 0.5 * normal[:, 1:2]
    bleed = np.where(soft[:, None], np.array([0.8, 1.05, 1.1], _F32), _F32(1.0))
    total = (light.ambient_up * up + light.ambient_down * (1 - up)) * openness**bleed
    specular = np.zeros_like(colour)
    for direction, tone, casts in ((light.key, light.key_colour, True), (light.fill, light.fill_colour, False)):
        cosine = (normal @ direction.astype(_F32))[:, None]
        share = shadow[:, None] * (0.5 + 0.5 * openness**0.5) if casts else openness**0.7
        total += np.clip((cosine + wrap) / (1 + wrap), 0, 1) ** _F32(1.2) * share * tone
        half = units(direction + view)
        specular += (gloss * _lobe(normal, view, half, rough) * np.clip(cosine[:, 0], 0, 1))[:, None] * share * tone
        if len(hair):
            shine = 0.12 * _hair_shine(hits.strand[hair], half[hair], bend) * np.clip(cosine[hair, 0] + 0.25, 0, 1)
            tint = 0.4 + 0.6 * colour[hair] / (colour[hair].max(axis=1, keepdims=True) + 1e-6)
            specular[hair] += shine[:, None] * share[hair] * tone * tint
    rim = np.square(np.square(1 - np.clip(dots(normal, view), 0, 1)))
    specular += (0.05 * gloss * rim)[:, None] * light.ambient_up * openness
    wet = np.flatnonzero(_WET[hits.part])
    specular[wet] += 0.03 * light.ambient_up * np.clip(-normal[wet, 1:2] + 0.2, 0, 1)
    return np.asarray(colour * total + specular)


def _openness(hits: Hits) -> Array:
    """Ambient occlusion (M, 1); hair is open, and the mouth the darker the further back."""
    openness = np.clip(hits.fields[:, COLUMN["openness"]], 0, 1)
    openness = np.where(_OPEN[hits.part], 0.85, openness)
    inside = _INSIDE[hits.part] | (hits.fields[:, COLUMN["cavity"]] > 0.5)
    depth = hits.fields[:, COLUMN["place"]][:, 2]
    return np.where(inside, 0.7 * smoothstep(-0.095, -0.135, depth) + 0.06, openness)[:, None].astype(_F32)


def _hair_bend(fields: Array, noise: Noise) -> Array:
    """How far (H,) strands lean out of the smooth shell, so that it does not shine like a helmet."""
    return 0.55 * hair_strands(fields, noise, 0.004, 23.0) + 0.35 * hair_strands(fields, noise, 0.0015, 27.0)


def _hair_normals(hits: Hits, hair: Array, bend: Array) -> Array:
    """Normals (M, 3) with those of hair bent across the strands."""
    if not len(hair):
        return hits.normal
    normal = hits.normal.copy()
    normal[hair] = units(normal[hair] + bend[:, None] * np.cross(hits.strand[hair], normal[hair]))
    return normal


def _lobe(normal: Array, view: Array, half: Array, rough: Array) -> Array:
    """Highlight (M,) of a rough surface: GGX with Fresnel's reflection of skin, capped."""
    spread = rough**2
    peak = np.clip(dots(normal, half), 0, 1)
    lobe = spread**2 / (np.pi * np.square(peak**2 * (spread**2 - 1) + 1))
    grazing = 1 - np.clip(dots(view, half), 0, 1)
    fresnel = 0.028 + 0.972 * grazing * np.square(np.square(grazing))
    return np.asarray(fresnel * np.minimum(lobe, 60.0) * 0.25)


def _hair_shine(strand: Array, half: Array, bend: Array) -> Array:
    """Highlight (H,) of fibres: brightest where the bisector of light and view is square to the strand."""
    cosine = dots(units(strand), half) + 0.3 * bend
    return np.clip(1 - cosine**2, 0, 1) ** 24


def tone_map(linear: Array) -> Array:
    """Display values in [0, 1]: a soft shoulder, then the sRGB curve."""
    scaled = np.clip(linear, 0, None)
    scaled = np.where(scaled > 0.7, 0.7 + 0.3 * (1 - np.exp(-(scaled - 0.7) / 0.3)), scaled)
    return np.where(scaled <= 0.0031308, 12.92 * scaled, 1.055 * np.power(np.maximum(scaled, 1e-8), 1 / 2.4) - 0.055)
