"""Who is in the picture and what the face does: shape parameters of a person, facial actions of one moment.

Identity and expression are drawn apart, so that one person can be shown many times.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from .bust import UNUSED_PHENOTYPES, BustModel

__all__ = ["AGE_GROUPS", "Person", "age_group", "draw_actions", "draw_person"]

Array = npt.NDArray[Any]

# anny's age: 0 is a baby, 1/3 a child, 2/3 a young adult, 1 old.
AGE_GROUPS: dict[str, tuple[float, float, float]] = {  # lowest, highest, share of people
    "child": (0.12, 0.42, 0.18),
    "young": (0.42, 0.74, 0.36),
    "middle": (0.74, 0.88, 0.26),
    "old": (0.88, 1.0, 0.20),
}
_GAZE = ("eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp")


@dataclasses.dataclass(frozen=True, eq=False)
class Person:
    """Shape of a person.

    Attributes
    ----------
    phenotype : (P,) float64 array
        In the order of `BustModel.phenotypes`, 0 to 1.
    changes : (C,) float64 array
        In the order of `BustModel.changes`, -1 to 1.
    age, female : float
        Two of the phenotypes: 0 (baby) to 1 (old), 0 (male) to 1 (female).
    """

    phenotype: Array
    changes: Array
    age: float
    female: float


def age_group(age: float) -> str:
    """The key of `AGE_GROUPS` that an age belongs to."""
    return next((name for name, (_, high, _) in AGE_GROUPS.items() if age < high), "old")


def draw_person(model: BustModel, rng: np.random.Generator) -> Person:
    """A random person: any mixture of anny's phenotypes, and small local changes that both sides of the face share nearly."""
    names = model.phenotypes
    phenotype = rng.random(len(names))
    phenotype[[names.index(name) for name in UNUSED_PHENOTYPES]] = 0.5
    group = list(AGE_GROUPS)[rng.choice(len(AGE_GROUPS), p=[share for _, _, share in AGE_GROUPS.values()])]
    age = float(rng.uniform(*AGE_GROUPS[group][:2]))
    drawn = 2 * rng.random() - 1  # pushed to the ends: few adults have a face between the two
    female = float(0.5 + 0.5 * np.sign(drawn) * abs(drawn) ** 0.4)
    phenotype[names.index("age")], phenotype[names.index("gender")] = age, female  # anny's gender: 0 male, 1 female
    phenotype[[names.index(name) for name in ("african", "asian", "caucasian")]] = rng.dirichlet([0.6, 0.6, 0.6])
    changes = np.clip(rng.normal(0, 0.16, len(model.changes)), -0.5, 0.5)
    for index, name in enumerate(model.changes):
        other = "r-" + name[2:]
        if name.startswith("l-") and other in model.changes:
            changes[model.changes.index(other)] = np.clip(changes[index] + rng.normal(0, 0.04), -0.5, 0.5)
    return Person(phenotype, changes, age, female)


def draw_actions(model: BustModel, rng: np.random.Generator) -> Array:
    """Facial actions (A,), 0 to 1, of one moment: mostly weak, with smiles, open mouths, blinks and a common gaze."""
    index = {name: place for place, name in enumerate(model.actions)}
    actions = rng.random(len(model.actions)) ** 6
    mood = rng.choice(["neutral", "smile", "talk", "any"], p=[0.2, 0.3, 0.2, 0.3])
    if mood == "neutral":
        actions *= 0.35
    actions[[place for name, place in index.items() if name.startswith((*_GAZE, "eyeBlink"))]] = 0.0
    if mood == "smile":
        actions[index["mouthSmileLeft"]] = rng.uniform(0.25, 1.0)
        actions[index["cheekSquintLeft"]] = rng.uniform(0.1, 0.8)
        for name in ("mouthFrownLeft", "mouthPucker", "mouthFunnel", "mouthShrugLower"):
            actions[index[name]] = 0.0
        if rng.random() < 0.5:  # teeth
            actions[index["mouthUpperUpLeft"]] = rng.uniform(0.2, 0.7)
            actions[index["mouthLowerDownLeft"]] = rng.uniform(0.1, 0.5)
    if mood == "talk":
        actions[index["jawOpen"]] = rng.uniform(0.1, 0.7)
        actions[index["mouthClose"]] = 0.0
    for name, place in index.items():  # the two sides of a face move together, nearly
        if name.endswith("Left") and name[:-4] + "Right" in index:
            actions[index[name[:-4] + "Right"]] = np.clip(actions[place] + rng.normal(0, 0.05), 0, 1)
    actions[index["tongueOut"]] *= rng.random() < 0.1
    blink = rng.choice([0.0, rng.uniform(0, 0.5), 1.0], p=[0.6, 0.32, 0.08])
    across, up = np.clip(rng.normal(0, 0.35, 2), -1, 1)  # gaze: across + to the subject's left
    for side, sign in (("Left", 1), ("Right", -1)):
        actions[index["eyeBlink" + side]] = blink
        actions[index["eyeLookOut" + side]], actions[index["eyeLookIn" + side]] = max(sign * across, 0), max(-sign * across, 0)
        actions[index["eyeLookUp" + side]], actions[index["eyeLookDown" + side]] = max(up, 0), max(-up, 0)
    return actions
