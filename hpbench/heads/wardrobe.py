"""What stands between a head and the camera in one picture: worn and held things, shapes that float, hair under headgear."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from .accessories import HAIR_UNDER_HEADGEAR_M, HEADGEAR_KINDS, Accessory, HeadGeometry, draw_accessories
from .draws import Staging
from .look import Look, skin_colour
from .points import LandmarkPoints
from .raycast import TriangleSoup
from .solids import Solid, before_the_head, draw_covering, draw_floating

__all__ = ["Outfit", "Wardrobe"]

Array = npt.NDArray[Any]

_SEE_THROUGH = 0.3  # opacity below which a mesh is left out: clear lenses hide nothing
_HEAVY_SHARE = 0.3  # of the points that the head itself does not hide, hidden on purpose
_FLOATING = 0.08  # chance of another floating shape
_BUMPS = 1.4  # hair's bumps stand out by this


@dataclasses.dataclass(frozen=True, eq=False)
class Outfit:
    """Things of one picture.

    Attributes
    ----------
    solids : list of Solid
        Camera frame.
    look : Look
        With flatter hair under headgear.
    attributes : dict of str to str
        ``glasses`` (none, clear, sun), ``headgear``, ``occluder``: kinds or ``none``.
    """

    solids: list[Solid]
    look: Look
    attributes: dict[str, str | float]


class Wardrobe:
    """Dresses heads.

    Parameters
    ----------
    landmarks : LandmarkPoints
    skin : (T, 3) array of int
        Triangles of the bust's skin.
    scalp_m : (V,) array
        Height above the hairline.
    """

    def __init__(self, landmarks: LandmarkPoints, skin: Array, scalp_m: Array) -> None:
        self._landmarks, self._skin, self._scalp_m = landmarks, skin, scalp_m

    def dress(
        self,
        rng: np.random.Generator,
        head_m: Array,
        look: Look,
        rotation: Array,
        translation_m: Array,
        alone: TriangleSoup,
        staging: Staging,
    ) -> Outfit:
        """Things for a head.

        Parameters
        ----------
        rng : Generator
        head_m : (V, 3) array
            The bust in the head frame.
        look : Look
        rotation, translation_m : (3, 3) and (3,) arrays
            Camera from head.
        alone : TriangleSoup
            The bust in the camera frame.
        staging : Staging
            Hard by occlusion or not.
        """
        heavy = "occlusion" in staging.hard
        thickness = _BUMPS * look.hair_thickness_m if look.hair_kind in ("short", "long") else 0.0
        geometry = HeadGeometry(head_m, self._landmarks.fixed(head_m), self._skin, self._scalp_m, thickness)
        worn = draw_accessories(rng, geometry, skin_colour(look.melanin, look.blood), heavy=heavy)
        kinds = {thing.name.split()[0] for thing in worn}
        if kinds & {"hood", "headscarf"} and look.hair_kind == "long":
            look = dataclasses.replace(look, hair_kind="short")  # tucked in
        if kinds & set(HEADGEAR_KINDS):
            look = dataclasses.replace(look, hair_thickness_m=min(look.hair_thickness_m, HAIR_UNDER_HEADGEAR_M / _BUMPS))
        solids = [_placed(thing, rotation, translation_m) for thing in worn if thing.opacity >= _SEE_THROUGH]
        points = self._landmarks.fixed(head_m) @ rotation.T + translation_m
        floating = [before_the_head(solid, alone) for solid in draw_floating(rng, points, _FLOATING)]
        if heavy:
            open_points = points[~_hidden(alone, points, 0.005)]
            while len(floating) < 5 and _hidden_by(solids + floating, open_points).mean() < _HEAVY_SHARE:
                floating.append(before_the_head(draw_covering(rng, open_points), alone))
        others = sorted(kinds - set(HEADGEAR_KINDS) - {"glasses", "sunglasses"} | {solid.name for solid in floating})
        attributes: dict[str, str | float] = {
            "glasses": "sun" if _dark_lenses(worn) else "clear" if kinds & {"glasses", "sunglasses"} else "none",
            "headgear": next((kind for kind in HEADGEAR_KINDS if kind in kinds), "none"),
            "occluder": "+".join(others) or "none",
        }
        return Outfit(solids + floating, look, attributes)


def _placed(thing: Accessory, rotation: Array, translation_m: Array) -> Solid:
    return Solid(thing.name, thing.vertices @ rotation.T + translation_m, thing.triangles, thing.colour, thing.gloss)


def _dark_lenses(worn: list[Accessory]) -> bool:
    return any("lens" in thing.name and thing.opacity >= _SEE_THROUGH for thing in worn)


def _hidden(soup: TriangleSoup, points_camera_m: Array, slack_m: float) -> Array:
    distance = np.linalg.norm(points_camera_m, axis=1)
    return soup.blocked(np.zeros(3), points_camera_m / distance[:, None], distance - slack_m)


def _hidden_by(solids: list[Solid], points_camera_m: Array) -> Array:
    """Which points (N,) any of the solids hides."""
    if not solids:
        return np.zeros(len(points_camera_m), bool)
    offsets = np.cumsum([0, *(len(solid.vertices_m) for solid in solids[:-1])])
    triangles = np.concatenate([solid.triangles + offset for solid, offset in zip(solids, offsets, strict=True)])
    return _hidden(TriangleSoup(np.concatenate([solid.vertices_m for solid in solids]), triangles), points_camera_m, 0.0)
