"""From rays to a picture: one ray a pixel, three more where another part or a jump in depth lies next to it, exposure."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from .bust import Part
from .clock import Clock
from .frame import pixel_rays, rays_through
from .light import Light
from .look import Look, skin_colour
from .noise import Noise
from .shading import illuminate, key_shadow, tone_map
from .skin import Features, albedo
from .tracing import Tracer

__all__ = ["Painter"]

Array = npt.NDArray[Any]

_JUMP_M = 0.004  # in depth, between neighbours
_FINE_PX = 0.36 * np.array([[0.0, -1.0], [-0.866, 0.5], [0.866, 0.5]])  # around the first
_MIDDLE_GREY = 0.33  # linear level that a camera gives a face
_USUAL_ALBEDO = 0.36  # of a face, as the camera expects it


@dataclasses.dataclass(frozen=True, eq=False)
class Painter:
    """Shades the rays of one picture.

    Attributes
    ----------
    tracer : Tracer
    look : Look
    light : Light
    features : Features
    noise : Noise
    clock : Clock
    """

    tracer: Tracer
    look: Look
    light: Light
    features: Features
    noise: Noise
    clock: Clock

    def paint(self, camera_px: Array, size_px: int, background: Array, face_xyxy_px: Array) -> Array:
        """The picture (size, size, 3), display values in [0, 1].

        Parameters
        ----------
        camera_px : (3, 3) array
        size_px : int
        background : (size, size, 3) array, linear RGB
        face_xyxy_px : (4,) array
            Where the camera meters.
        """
        linear, triangle, distance, shadow = self._colours(pixel_rays(camera_px, size_px), size_px)
        part = np.where(triangle >= 0, self.tracer.assembly.parts[triangle], -1).reshape(size_px, size_px)
        image = linear.reshape(size_px, size_px, 3)
        cover = (part >= 0).astype(np.float32)
        rows, columns = np.nonzero(_edges(part, distance.reshape(size_px, size_px)))
        fine_px = (np.stack([columns, rows], axis=1)[:, None] + _FINE_PX).reshape(-1, 2)
        owner = np.repeat(rows * size_px + columns, len(_FINE_PX))
        fine, hit, _, _ = self._colours(rays_through(fine_px, camera_px), size_px, shadow[owner])
        count = len(_FINE_PX)
        image[rows, columns] = (image[rows, columns] + fine.reshape(-1, count, 3).sum(axis=1)) / (count + 1)
        cover[rows, columns] = (cover[rows, columns] + (hit >= 0).reshape(-1, count).sum(axis=1)) / (count + 1)
        with self.clock("compose"):
            exposure = self._exposure(image, part, face_xyxy_px)
            behind = background * min(float(self.light.exposure), 1.0)
            return tone_map(image * exposure + (1 - cover)[..., None] * behind).astype(np.float32)

    def _colours(self, rays: Array, size_px: int, shadow: Array | None = None) -> tuple[Array, Array, Array, Array]:
        """Linear RGB, triangle and distance of each ray, and the key light's share; `shadow` is reckoned if not given."""
        with self.clock("rays"):
            trace = self.tracer.trace(rays)
        with self.clock("albedo"):
            colour, gloss, rough = albedo(trace.hits, self.look, self.features, self.noise)
        if shadow is None:
            with self.clock("shadow"):
                shadow = key_shadow(trace.hits, trace.rows, size_px, self.light, self.tracer.soup)
        with self.clock("light"):
            out = np.zeros((len(rays), 3), np.float32)
            out[trace.rows] = illuminate(trace.hits, colour, gloss, rough, self.light, shadow[trace.rows], self.noise)
        return out, trace.triangle, trace.distance_m, shadow

    def _exposure(self, image: Array, part: Array, face_xyxy_px: Array) -> float:
        """What automatic exposure makes of the face: nearly all of the light's strength, but little of the skin's tone.

        A camera that took all of the tone away would lighten dark skin and darken light skin to one grey.
        """
        size = len(part)
        x0, y0, x1, y1 = np.clip(face_xyxy_px, 0, size - 1).astype(int)
        inside = np.s_[y0 : y1 + 1, x0 : x1 + 1]
        skin = image[inside][part[inside] == Part.SKIN]
        own = float(skin_colour(self.look.melanin, self.look.blood).mean())
        level = float(np.percentile(skin.mean(axis=1), 70)) if len(skin) else own
        light = max(level / own, 1e-3)
        tone = own / _USUAL_ALBEDO
        return float(self.light.exposure) * _MIDDLE_GREY / _USUAL_ALBEDO * light**-0.85 * tone**-0.2


def _edges(part: Array, distance: Array) -> Array:
    """Pixels (H, W) next to another part or to a jump in depth: the ones worth three more rays."""
    out = np.zeros(part.shape, bool)
    for axis in (0, 1):
        jump = (np.diff(part, axis=axis) != 0) | (np.abs(np.diff(distance, axis=axis)) > _JUMP_M)
        low, high = [slice(None), slice(None)], [slice(None), slice(None)]
        low[axis], high[axis] = slice(0, -1), slice(1, None)
        out[tuple(low)] |= jump
        out[tuple(high)] |= jump
    return out
