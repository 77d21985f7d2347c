"""Appearance of a person, drawn at random: pigments, hair, make-up, clothes.  Colours are linear RGB.

A third of the people have light, a third medium and a third dark skin (`TONES`), whatever their shape: pigment is not tied to
the phenotypes, so that a network cannot read one from the other.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["TONES", "Look", "draw_look", "single_precision", "skin_colour", "skin_tone"]

Array = npt.NDArray[Any]
T = TypeVar("T")

TONES: dict[str, tuple[float, float]] = {"light": (0.1, 0.55), "medium": (0.55, 1.7), "dark": (1.7, 4.2)}  # melanin

# Absorption per unit of pigment in R, G, B: melanin's falls with wavelength; oxygenated blood peaks in green
_MELANIN = np.array([0.50, 0.67, 0.95], np.float32)
_BLOOD = np.array([0.10, 0.78, 0.72], np.float32)
_DERMIS = np.array([0.90, 0.80, 0.69], np.float32)  # what a skin without pigment reflects
_IRIS = np.array([[0.10, 0.045, 0.02], [0.16, 0.085, 0.035], [0.10, 0.13, 0.07], [0.10, 0.17, 0.26], [0.19, 0.22, 0.25]])


def skin_colour(melanin: Array | float, blood: Array | float) -> Array:
    """Albedo (..., 3) of skin with pigments (...,) per area."""
    depth = np.asarray(melanin)[..., None] * _MELANIN + np.asarray(blood)[..., None] * _BLOOD
    return np.asarray(_DERMIS * np.exp(-depth))


def skin_tone(melanin: float) -> str:
    """The key of `TONES` that a melanin number belongs to."""
    return next((name for name, (_, high) in TONES.items() if melanin < high), "dark")


def _hair_colour(eumelanin: float, pheomelanin: float, grey: float) -> Array:
    """Black to blond by eumelanin, red by pheomelanin, and grey mixed in."""
    pigment = np.exp(-eumelanin * np.array([0.55, 0.74, 1.10]) * 3 - pheomelanin * np.array([0.19, 0.40, 1.05]) * 3)
    return np.asarray((1 - grey) * 0.75 * pigment + grey * np.array([0.45, 0.44, 0.43]))


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """Everything about a surface that is not shape; numbers are shares, 0 to 1, unless said otherwise.

    Attributes
    ----------
    melanin, blood : pigments of the skin, per area
    blotch, freckles : how uneven the skin is
    roughness, gloss : of its highlights
    wrinkles : depth of lines
    lips, lips_cover, lips_blood : lipstick's colour and how much it covers; extra blood of bare lips
    brow, brow_width_m : density and half width
    hair : colour
    hair_kind : ``bald``, ``stubble``, ``short`` or ``long``
    hair_thickness_m, hairline_m : of the shell; by how much the hairline is lowered
    hair_curl_m : size of the locks' bumps
    beard : density
    shadow, shadow_cover, liner : colours around the eyes
    iris, pupil, sclera : colours of the eye; the pupil's share of the iris
    cloth, neckline_m : colour of the clothes; how far below the neck they begin
    seed : of the noise in all of it
    """

    melanin: float
    blood: float
    blotch: float
    freckles: float
    roughness: float
    gloss: float
    wrinkles: float
    lips: Array
    lips_cover: float
    lips_blood: float
    brow: float
    brow_width_m: float
    hair: Array
    hair_kind: str
    hair_thickness_m: float
    hairline_m: float
    hair_curl_m: float
    beard: float
    shadow: Array
    shadow_cover: float
    liner: float
    iris: Array
    pupil: float
    sclera: Array
    cloth: Array
    neckline_m: float
    seed: int


def single_precision(thing: T) -> T:
    """The same dataclass with its arrays in single precision, which halves the cost of shading."""
    values = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}  # type: ignore[arg-type]
    arrays = {name: value.astype(np.float32) for name, value in values.items() if isinstance(value, np.ndarray)}
    return dataclasses.replace(thing, **arrays)  # type: ignore[type-var]


def draw_look(rng: np.random.Generator, female: float, age: float) -> Look:
    """A random look; `female` (0 to 1) and `age` (anny's, 0 baby to 1 old) steer beard, make-up, wrinkles and grey hair."""
    melanin = float(rng.uniform(*TONES[list(TONES)[rng.integers(len(TONES))]]))
    dark = float(np.clip(melanin / 2.0, 0, 1))
    eumelanin = float(np.clip(rng.normal(0.95 + 1.2 * dark, 0.5), 0.12, 3.0))
    grey = float(np.clip(rng.normal(4.0 * (age - 0.80), 0.25), 0, 0.95)) if age > 0.7 else 0.0
    man = female < 0.5
    made_up = rng.random() < (0.05 if man or age < 0.5 else 0.55)
    kinds = ["bald", "stubble", "short", "long"]
    chances = [0.03, 0.07, 0.4, 0.5] if not man else ([0.02, 0.2, 0.7, 0.08] if age < 0.5 else [0.16, 0.24, 0.52, 0.08])
    iris = _IRIS[rng.choice(len(_IRIS), p=[0.7, 0.25, 0.03, 0.01, 0.01] if dark > 0.6 else [0.25, 0.25, 0.16, 0.22, 0.12])]
    bearded = man and age > 0.6 and rng.random() < 0.6
    look = Look(
        melanin=melanin,
        blood=float(rng.uniform(0.16, 0.42)),
        blotch=float(rng.uniform(0.05, 0.25)),
        freckles=float(rng.random() < 0.25) * float(rng.uniform(0.2, 0.8)) * float(melanin < 0.7),
        roughness=float(rng.uniform(0.32, 0.5)),
        gloss=float(rng.uniform(0.5, 1.5)),
        wrinkles=float(np.clip(4.0 * (age - 0.72), 0, 1)) * float(rng.uniform(0.4, 1.0)),
        lips=np.array([rng.uniform(0.25, 0.6), rng.uniform(0.02, 0.15), rng.uniform(0.04, 0.2)]),
        lips_cover=float(rng.uniform(0.3, 0.85)) if made_up and rng.random() < 0.8 else 0.0,
        lips_blood=float(rng.uniform(0.25, 0.7)),
        brow=float(rng.uniform(0.6, 1.1)),
        brow_width_m=float(rng.uniform(0.0026, 0.0044)) * (1.15 if man else 0.9),
        hair=_hair_colour(eumelanin, float(rng.random() < 0.15) * float(rng.uniform(0.3, 1)), grey),
        hair_kind=str(rng.choice(kinds, p=chances)),
        hair_thickness_m=float(rng.choice([rng.uniform(0.004, 0.012), rng.uniform(0.010, 0.024)])),
        hairline_m=float(rng.normal(0.002, 0.009)),
        hair_curl_m=float(rng.uniform(0.006, 0.03)),
        beard=float(rng.choice([rng.uniform(0.1, 0.35), rng.uniform(0.4, 1.0)])) if bearded else 0.0,
        shadow=rng.uniform(0.02, 0.3, 3),
        shadow_cover=float(rng.uniform(0.2, 0.6)) if made_up and rng.random() < 0.5 else 0.0,
        liner=float(rng.uniform(0.6, 1.0)) if made_up else float(rng.uniform(0.15, 0.45)),
        iris=iris * rng.uniform(0.7, 1.4),
        pupil=float(rng.uniform(0.28, 0.5)),
        sclera=np.array([0.70, 0.66, 0.62]) * rng.uniform(0.8, 1.05),
        cloth=rng.uniform(0.02, 0.7) * rng.uniform(0.4, 1.0, 3),
        neckline_m=float(rng.uniform(0.01, 0.09)),
        seed=int(rng.integers(2**31)),
    )
    return single_precision(look)
