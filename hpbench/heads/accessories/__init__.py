"""Things that people wear or hold before their faces, as triangle meshes that fit a given head.

Aim
---
External occlusion with exact labels needs things that hide parts of a face where such things do in photographs, and
that look enough like them for a network not to learn oddities: glasses, headgear, masks, scarves, phones, cups, hands.

Conventions
-----------
Metres in the head frame (x to the subject's left, y down, z into the head), so that everything moves with the head.
Colours are linear RGB.  Cloth is stretched over the head's own points and set off outward, so it cuts neither skin nor hair
of the thickness that the caller names; rigid things are slid onto the face until they touch it.  A thing may consist of
several meshes; the first word of a mesh's name is the thing's kind.  All randomness comes from the Generator.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .covers import face_mask, scarf
from .glasses import GLASSES_SHAPES, glasses
from .headgear import HEADGEAR_KINDS, headgear
from .held import CURL_DEG, HELD_KINDS, held
from .things import HAIR_UNDER_HEADGEAR_M, Accessory, HeadGeometry

__all__ = [
    "CURL_DEG", "GLASSES_SHAPES", "HAIR_UNDER_HEADGEAR_M", "HEADGEAR_KINDS", "HELD_KINDS", "Accessory", "HeadGeometry", "draw_accessories",
    "face_mask", "glasses", "headgear", "held", "scarf",
]  # fmt: skip


def draw_accessories(rng: np.random.Generator, head: HeadGeometry, skin_colour: npt.ArrayLike, *, heavy: bool = False) -> list[Accessory]:
    """Accessories of one head, drawn at random.

    Glasses 25 % (6 % sunglasses), headgear 12 %, mask 5 %, scarf 3 %, held things 15 %, independently, but never mask and
    scarf at once.  `heavy` puts one to three things over the face on purpose and adds glasses and headgear more often.

    Parameters
    ----------
    rng : Generator
    head : HeadGeometry
    skin_colour : (3,) array, linear RGB
        For hands.
    heavy : bool, default False
    """
    eyes, top, cover, hands = rng.random(4)
    over = {"mask": 0.05, "scarf": 0.08} if not heavy else {"mask": 0.30, "scarf": 0.48}
    sun, wears, head_covered, holds = (0.06, 0.25, 0.12, 0.15) if not heavy else (0.25, 0.45, 0.30, 0.60)
    worn: list[Accessory] = []
    if cover < over["mask"]:
        worn += face_mask(rng, head)
    elif cover < over["scarf"]:
        worn += scarf(rng, head, over_mouth=True if heavy else None)
    if eyes < wears:
        worn += glasses(rng, head, sun=bool(eyes < sun), worn=[x for x in worn if x.kind == "mask"])
    if top < head_covered:
        worn += headgear(rng, head, kinds=("beanie", "cap", "hat") if any(x.kind == "scarf" for x in worn) else HEADGEAR_KINDS)
    if hands < holds or (heavy and cover >= over["scarf"] and eyes >= sun):
        kinds = HELD_KINDS if not heavy else ("phone-mouth", "cup", "book", "hand-mouth", "hand-eye", "hand-mouth", "hand-cheek")
        worn += held(rng, head, skin_colour, kind=str(rng.choice(kinds)), worn=worn)
    return worn
