"""The one entry: picture number i of a seed, with its labels.

Each picture depends on (seed, kind, index, size) alone, so that work can be split and resumed: every part of it (the person,
the moment, the staging, the light, ...) has a random stream of its own, named by these numbers.  Streams of ``test`` and
``hard`` differ from those of ``train`` whatever the seed, so nobody in a test set has been seen in training.  All sizes of a
picture show the same scene.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..geometry.camera import ray_rotation
from ..geometry.rotations import rotation_from_euler
from .annotate import clipped_box, points_px, tight_box, visibility
from .assembly import Assembler
from .backgrounds import draw_background
from .bust import BustModel, Part
from .clock import Clock
from .draws import Staging, draw_staging
from .frame import HEAD_FROM_TEMPLATE, TEMPLATE_FROM_ANNY
from .labels import EXTERNAL, SELF, VISIBLE, Labels
from .light import draw_light
from .look import draw_look, skin_tone
from .noise import Noise
from .people import age_group, draw_actions, draw_person
from .photograph import damaged, draw_damage
from .picture import Painter
from .points import LandmarkPoints
from .poser import Poser
from .raycast import TriangleSoup
from .skin import Features
from .surface import build_fields
from .tracing import Tracer
from .wardrobe import Wardrobe

__all__ = ["KINDS", "Studio"]

Array = npt.NDArray[Any]

KINDS = ("train", "test", "hard")  # the place in this list is part of every random stream
_STREAMS = ("identity", "moment", "staging", "light", "things", "background", "photograph")
_MARGIN = 0.03  # of the picture's side that stays free around the landmark box


class Studio:
    """Renders heads.  Opening one takes seconds, or a quarter of a minute when the model was never read before.

    Parameters
    ----------
    cache : Path or None
        Folder of the model's file; hpbench's cache where it is None.

    Attributes
    ----------
    model : BustModel
    neutral_m : (V, 3)
        The mean head, template frame (`hpbench.heads.frame`).
    landmarks : LandmarkPoints
    clock : Clock
        Seconds of each stage since the studio was opened.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self.model = BustModel(cache)
        self.clock = Clock()
        topology = self.model.topology
        mean, _ = self.model(np.full((1, len(self.model.phenotypes)), 0.5))
        self.neutral_m: Array = mean[0].astype(np.float64) @ TEMPLATE_FROM_ANNY.T
        self.landmarks = LandmarkPoints(topology, self.neutral_m)
        self._fields = build_fields(topology, self.neutral_m, self.landmarks)
        self._assembler = Assembler(topology, self._fields)
        self._poser = Poser(self.model)
        self._wardrobe = Wardrobe(self.landmarks, topology.of(Part.SKIN), self._fields.scalp)
        points = self.landmarks.fixed(self.neutral_m)
        left, right = (self.neutral_m[np.unique(topology.of(eye))].mean(axis=0) for eye in (Part.EYE_LEFT, Part.EYE_RIGHT))
        brows = (points[[21, 20, 19, 18, 17]], points[22:27])
        self._features = Features(brows, (left, right), (points[36:42], points[42:48]))

    def head(
        self, seed: int, index: int, *, size_px: int = 256, kind: str = "train", identities: int | None = None
    ) -> tuple[Array, Labels]:
        """One picture and its labels.

        Parameters
        ----------
        seed, index : int, 0 or more
        size_px : int
            Side of the picture.
        kind : str
            ``train`` and ``test`` have the general distribution and different people; ``hard`` has on purpose a heavy
            occlusion (30 % of the points or more), a profile (60 degrees or more), low light with noise and blur, or several.
        identities : int or None
            How many people there are; picture `index` shows number ``index % identities``.  None: somebody new each time.

        Returns
        -------
        picture : (size_px, size_px, 3) uint8 array, RGB
        labels : Labels
        """
        person, look, staging, light, rng = self._draw(seed, index, kind, identities, size_px)
        with self.clock("shape"):
            actions = draw_actions(self.model, rng["moment"])
            turn = rotation_from_euler(np.clip(staging.angles_deg, -60, 60) * staging.neck_share * [1.0, 0.7, 0.7], "300w-lp")
            posed = self._poser.pose(person, actions, turn)
            ray_px = np.append(staging.ray[:2] / staging.ray[2], 1.0)[:2]
            rotation = ray_rotation(ray_px, np.eye(3)) @ rotation_from_euler(staging.angles_deg, "300w-lp")
            translation_m = staging.ray * staging.distance_m
            vertices_m = posed.vertices_m @ rotation.T + translation_m
            fixed_m = self.landmarks.fixed(vertices_m)
            camera_px = _framed(fixed_m, staging, size_px)
            head = TriangleSoup(vertices_m, self.model.topology.solid)
        with self.clock("things"):
            outfit = self._wardrobe.dress(rng["things"], posed.vertices_m, look, rotation, translation_m, head, staging)
        with self.clock("build"):
            noise = Noise(np.random.default_rng(look.seed))
            body_down = rotation @ posed.body_from_head.T @ [0.0, 1.0, 0.0]
            assembly = self._assembler.assemble(vertices_m, outfit.look, outfit.solids, body_down)
            tracer = Tracer(assembly, outfit.look, noise, rotation @ HEAD_FROM_TEMPLATE)
        with self.clock("labels"):
            contour_m = self.landmarks.contour(vertices_m, rotation)
            fixed_px = points_px(fixed_m, camera_px)
            box_px = tight_box(fixed_px)
            crown_m = np.concatenate([vertices_m[self._fields.head], assembly.hair_m])
            crop_ray = ray_rotation((box_px[:2] + box_px[2:]) / 2, camera_px).T @ rotation
            occlusion = visibility(fixed_m, head, tracer)
        with self.clock("background"):
            background = draw_background(rng["background"], size_px)
        painter = Painter(tracer, outfit.look, light, self._features, noise, self.clock)
        picture = painter.paint(camera_px, size_px, background, box_px)
        with self.clock("photograph"):
            damage = draw_damage(rng["photograph"], heavy="low quality" in staging.hard)
            filed = damaged(picture, damage, rng["photograph"])
        attributes: dict[str, str | float] = {
            "skin": skin_tone(look.melanin),
            "melanin": look.melanin,
            "age": age_group(person.age),
            "age_parameter": person.age,
            "female": person.female,
            "hair": outfit.look.hair_kind,
            "beard": look.beard,
            **outfit.attributes,
            "hard": "+".join(staging.hard) or "none",
            "light_level": "low" if "low quality" in staging.hard else "normal",
            "exposure": float(light.exposure),
            "distance_mm": 1000 * staging.distance_m,
            "focal_px": float(camera_px[0, 0]),
            "share_visible": float((occlusion == VISIBLE).mean()),
            "share_external": float((occlusion == EXTERNAL).mean()),
            "share_self": float((occlusion == SELF).mean()),
            **{name: float(value) for name, value in dataclasses.asdict(damage).items()},
        }
        labels = Labels(
            rotation_camera_from_head=rotation,
            rotation_crop_ray=crop_ray,
            translation_mm=1000 * translation_m,
            camera_px=camera_px,
            landmarks_3d_mm=1000 * self.landmarks.fixed(posed.vertices_m),
            landmarks_fixed_px=fixed_px,
            landmarks_contour_px=points_px(contour_m, camera_px),
            occlusion_fixed=occlusion,
            occlusion_contour=visibility(contour_m, head, tracer),
            box_landmarks_xyxy_px=box_px,
            box_head_xyxy_px=clipped_box(tight_box(points_px(crown_m, camera_px)), size_px),
            attributes=attributes,
            phenotype=person.phenotype,
            changes=person.changes,
            actions=actions,
        )
        return filed, labels

    def _draw(self, seed: int, index: int, kind: str, identities: int | None, size_px: int) -> Any:
        """Checked arguments, drawn: person, look, staging, light and the streams by name."""
        if kind not in KINDS:
            raise InputError(f"unknown kind of heads {kind!r}: one of {', '.join(KINDS)}.")
        if min(seed, index) < 0 or (identities is not None and identities < 1) or size_px < 16:
            raise InputError("seed and index are 0 or more, identities 1 or more, and size_px 16 or more.")
        who = index if identities is None else index % identities
        rng = {name: _stream(seed, kind, name, who if name == "identity" else index) for name in _STREAMS}
        person = draw_person(self.model, rng["identity"])
        look = draw_look(rng["identity"], person.female, person.age)
        staging = draw_staging(rng["staging"], hard=kind == "hard")
        return person, look, staging, draw_light(rng["light"], low="low quality" in staging.hard), rng


def _stream(seed: int, kind: str, name: str, index: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(KINDS.index(kind), _STREAMS.index(name), index)))


def _framed(points_camera_m: Array, staging: Staging, size_px: int) -> Array:
    """The camera matrix (3, 3) of a crop that shows the landmark box as large and where the staging says, wholly inside."""
    box = tight_box(points_camera_m[:, :2] / points_camera_m[:, 2:])
    extent = box[2:] - box[:2]
    focal_px = staging.face_share * size_px / extent.max()
    room = (0.5 - _MARGIN) * size_px - focal_px * extent / 2
    centre_px = (size_px - 1) / 2 + np.clip(staging.shift * size_px, -room, room)
    camera_px = np.diag([focal_px, focal_px, 1.0])
    camera_px[:2, 2] = centre_px - focal_px * (box[:2] + box[2:]) / 2
    return camera_px
