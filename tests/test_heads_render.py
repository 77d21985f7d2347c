"""Rendered heads: labels that agree with each other and with the picture, streams that depend on nothing else.

The model is read once (a quarter of a minute) and kept in the folder named by ``HPBENCH_HEADS_CACHE``, else in pytest's own cache.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("anny")
pytest.importorskip("warp")

from hpbench.errors import InputError
from hpbench.geometry.camera import project, ray_rotation, solve_pnp
from hpbench.geometry.rotations import euler_from_rotation, geodesic_deg, rotation_from_euler
from hpbench.heads import Labels, Studio
from hpbench.heads.annotate import tight_box, visibility
from hpbench.heads.bust import Part
from hpbench.heads.draws import HARD_REASONS
from hpbench.heads.frame import HEAD_FROM_TEMPLATE, pixel_rays
from hpbench.heads.labels import EXTERNAL, SELF, VISIBLE
from hpbench.heads.look import TONES, draw_look
from hpbench.heads.noise import Noise
from hpbench.heads.people import AGE_GROUPS, Person, age_group, draw_actions, draw_person
from hpbench.heads.poser import Poser
from hpbench.heads.raycast import TriangleSoup
from hpbench.heads.solids import Solid, _cube, before_the_head
from hpbench.heads.tracing import Tracer
from hpbench.landmarks import scheme_named

SIZE = 64
PAIRS = np.array(scheme_named("ibug68-fixed").pairs)
MIRRORED = np.arange(68)
MIRRORED[PAIRS[:, 0]], MIRRORED[PAIRS[:, 1]] = PAIRS[:, 1], PAIRS[:, 0]


@pytest.fixture(scope="session")
def studio(request: pytest.FixtureRequest) -> Studio:
    named = os.environ.get("HPBENCH_HEADS_CACHE", "")
    return Studio(Path(named) if named else request.config.cache.mkdir("hpbench") / "heads")


@pytest.fixture(scope="session")
def heads(studio: Studio) -> list[tuple[np.ndarray, Labels]]:
    """Pictures 0 to 15 of seed 3, in this order."""
    return [studio.head(3, index, size_px=SIZE) for index in range(16)]


@pytest.fixture(scope="session")
def hard(studio: Studio) -> list[tuple[np.ndarray, Labels]]:
    return [studio.head(3, index, size_px=SIZE, kind="hard") for index in range(12)]


def same(first: Labels, second: Labels) -> bool:
    arrays = [field.name for field in dataclasses.fields(Labels) if field.name != "attributes"]
    equal = all(np.array_equal(getattr(first, name), getattr(second, name)) for name in arrays)
    return equal and dict(first.attributes) == dict(second.attributes)


def test_shapes_and_units(heads: list[tuple[np.ndarray, Labels]]) -> None:
    for picture, labels in heads:
        assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8
        assert labels.landmarks_3d_mm.shape == (68, 3) and labels.landmarks_fixed_px.shape == labels.landmarks_contour_px.shape == (68, 2)
        corners_mm = np.linalg.norm(labels.landmarks_3d_mm[36] - labels.landmarks_3d_mm[45])
        assert 50 < corners_mm < 120  # children to large adults
        assert labels.translation_mm[2] == pytest.approx(labels.attributes["distance_mm"], rel=0.2)
        for codes in (labels.occlusion_fixed, labels.occlusion_contour):
            assert codes.dtype == np.uint8 and set(codes) <= {0, 1, 2}
    assert (VISIBLE, EXTERNAL, SELF) == (0, 1, 2)  # as hpbench.faces has them


def test_origin_is_between_the_eyes_whatever_the_face_does(studio: Studio) -> None:
    rng = np.random.default_rng(0)
    person, turn = draw_person(studio.model, rng), rotation_from_euler((40.0, -20.0, 10.0), "300w-lp")
    still = Poser(studio.model).pose(person, np.zeros(len(studio.model.actions)), np.eye(3))
    moving = Poser(studio.model).pose(person, draw_actions(studio.model, rng), turn)
    eyes = [still.vertices_m[np.unique(studio.model.topology.of(eye))].mean(axis=0) for eye in (Part.EYE_LEFT, Part.EYE_RIGHT)]
    assert np.abs(np.mean(eyes, axis=0)).max() < 1e-6
    assert eyes[0][0] > 0.02 > -0.02 > eyes[1][0]  # x to the subject's left
    crown = (studio.neutral_m[:, 1] < np.percentile(studio.neutral_m[:, 1], 2)).nonzero()[0]
    assert np.abs(still.vertices_m[crown] - moving.vertices_m[crown]).max() < 5e-4
    assert still.vertices_m[crown, 1].max() < 0 < still.vertices_m[studio.landmarks.pairs[8], 1].min()  # y down
    assert still.vertices_m[studio.landmarks.pairs[30], 2].max() < -0.02  # the nose before the eyes: z into the head


def test_reprojection(heads: list[tuple[np.ndarray, Labels]]) -> None:
    for _, labels in heads:
        seen = project(labels.landmarks_3d_mm, labels.rotation_camera_from_head, labels.translation_mm, labels.camera_px)
        assert np.abs(seen - labels.landmarks_fixed_px).max() < 0.01
        np.testing.assert_allclose(labels.box_landmarks_xyxy_px, tight_box(labels.landmarks_fixed_px))


def test_pnp_on_its_own_points(heads: list[tuple[np.ndarray, Labels]]) -> None:
    for _, labels in heads:
        rotation, translation = solve_pnp(labels.landmarks_3d_mm, labels.landmarks_fixed_px, labels.camera_px)
        assert geodesic_deg(rotation, labels.rotation_camera_from_head) < 0.1
        np.testing.assert_allclose(translation, labels.translation_mm, rtol=1e-3, atol=0.1)


def test_crop_ray(heads: list[tuple[np.ndarray, Labels]]) -> None:
    for _, labels in heads:
        box = labels.box_landmarks_xyxy_px
        turn = ray_rotation((box[:2] + box[2:]) / 2, labels.camera_px)
        np.testing.assert_allclose(labels.rotation_crop_ray, turn.T @ labels.rotation_camera_from_head, atol=1e-12)


def test_whole_face_in_the_picture(heads: list[tuple[np.ndarray, Labels]], hard: list[tuple[np.ndarray, Labels]]) -> None:
    for _, labels in heads + hard:
        assert (labels.box_landmarks_xyxy_px > -0.5).all() and (labels.box_landmarks_xyxy_px < SIZE - 0.5).all()
        face, head = labels.box_landmarks_xyxy_px, labels.box_head_xyxy_px
        assert (head[:2] <= face[:2] + 1).all() and (head[2:] >= face[2:] - 0.04 * SIZE).all()
        assert (head >= -0.5).all() and (head <= SIZE - 0.5).all()


def test_head_box_is_that_of_the_pixels(studio: Studio) -> None:
    rotation, place = rotation_from_euler((20.0, -10.0, 5.0), "300w-lp"), np.array([0.0, 0.0, 0.7])
    vertices = studio.neutral_m @ HEAD_FROM_TEMPLATE.T
    vertices = (vertices - studio.landmarks.fixed(vertices).mean(axis=0)) @ rotation.T + place
    own = studio._fields.head
    skin = studio.model.topology.of(Part.SKIN)
    camera = np.array([[300.0, 0, 128], [0, 300, 128], [0, 0, 1]])
    triangle, _, _ = TriangleSoup(vertices, skin[own[skin].all(axis=1)]).nearest(np.zeros(3), pixel_rays(camera, 256))
    rows, columns = np.divmod(np.flatnonzero(triangle >= 0), 256)
    drawn = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
    box = tight_box(project(vertices[own], np.eye(3), np.zeros(3), camera))
    assert np.abs(drawn - box).max() < 1.5


def test_same_seed_same_picture_in_any_order(studio: Studio, heads: list[tuple[np.ndarray, Labels]]) -> None:
    picture, labels = studio.head(3, 5, size_px=SIZE)
    assert np.array_equal(picture, heads[5][0]) and same(labels, heads[5][1])
    assert not np.array_equal(picture, heads[4][0])
    larger = studio.head(3, 5, size_px=2 * SIZE)[1]
    np.testing.assert_allclose(larger.rotation_camera_from_head, labels.rotation_camera_from_head, atol=1e-12)


def test_kinds_and_seeds_share_nobody(studio: Studio) -> None:
    people = [studio.head(seed, 0, size_px=16, kind=kind)[1].phenotype for seed in (3, 4) for kind in ("train", "test", "hard")]
    assert len({tuple(person) for person in people}) == 6


def test_one_person_many_pictures(studio: Studio) -> None:
    first, second, other = (studio.head(9, index, size_px=16, identities=2)[1] for index in (0, 2, 1))
    assert np.array_equal(first.phenotype, second.phenotype) and first.attributes["melanin"] == second.attributes["melanin"]
    assert not np.array_equal(first.phenotype, other.phenotype) and not np.array_equal(first.actions, second.actions)


def test_wrong_use(studio: Studio) -> None:
    for arguments in ({"kind": "easy"}, {"size_px": 4}, {"identities": 0}):
        with pytest.raises(InputError):
            studio.head(0, 0, **arguments)
    with pytest.raises(InputError):
        studio.head(-1, 0)


def test_hard_faces_are_hard(hard: list[tuple[np.ndarray, Labels]]) -> None:
    reasons = [set(str(labels.attributes["hard"]).split("+")) for _, labels in hard]
    assert all(reason and reason <= set(HARD_REASONS) for reason in reasons)
    for (_, labels), reason in zip(hard, reasons, strict=True):
        if "profile" in reason:
            assert (
                abs(float(euler_from_rotation(labels.rotation_crop_ray, "yxz")[0])) > 50
            )  # 60 about the ray to the head, here about the box's centre
        if "low quality" in reason:
            assert labels.attributes["light_level"] == "low" and float(labels.attributes["noise_read"]) >= 5
        if "occlusion" in reason:
            unhidden = labels.occlusion_fixed[labels.occlusion_fixed != SELF]
            assert (unhidden == EXTERNAL).mean() >= 0.25


def test_attributes_have_the_same_keys(heads: list[tuple[np.ndarray, Labels]], hard: list[tuple[np.ndarray, Labels]]) -> None:
    keys = [tuple(labels.attributes) for _, labels in heads + hard]
    assert len(set(keys)) == 1
    for _, labels in heads:
        assert all(isinstance(value, str | float) for value in labels.attributes.values())
        assert labels.attributes["skin"] in TONES and labels.attributes["age"] in AGE_GROUPS


def mirrored_person(studio: Studio, person: Person) -> Person:
    """Changes of the two sides exchanged; the midline's must be 0, since some of them have a direction."""
    names, changes = studio.model.changes, np.zeros_like(person.changes)
    for index, name in enumerate(names):
        if name.startswith(("l-", "r-")):
            changes[index] = person.changes[names.index({"l-": "r-", "r-": "l-"}[name[:2]] + name[2:])]
    return dataclasses.replace(person, changes=changes)


def test_mirrored_geometry(studio: Studio) -> None:
    """A mirrored person with a mirrored turn of the neck has mirrored points: the mirror table, the left points, the frame."""
    person = draw_person(studio.model, np.random.default_rng(5))
    sided = [name.startswith(("l-", "r-")) for name in studio.model.changes]
    person = dataclasses.replace(person, changes=np.where(sided, person.changes, 0.0))
    names = studio.model.actions
    actions = draw_actions(studio.model, np.random.default_rng(6))
    actions[[names.index(name) for name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight")]] = 0.0
    swapped = actions.copy()
    for index, name in enumerate(names):
        if name.endswith(("Left", "Right")):
            other = name.removesuffix("Left") + "Right" if name.endswith("Left") else name.removesuffix("Right") + "Left"
            swapped[index] = actions[names.index(other)]
    flip = np.array([-1.0, 1.0, 1.0])
    turns = [rotation_from_euler((sign * 35.0, 12.0, sign * 15.0), "300w-lp") for sign in (1, -1)]
    poser = Poser(studio.model)
    one = poser.pose(person, actions, turns[0]).vertices_m
    two = poser.pose(mirrored_person(studio, person), swapped, turns[1]).vertices_m
    skin = np.unique(studio.model.topology.of(Part.SKIN))
    assert np.abs(one[studio.model.topology.mirror][skin] * flip - two[skin]).max() < 5e-4
    fixed = studio.landmarks.fixed(one), studio.landmarks.fixed(two)
    assert np.abs(fixed[0][MIRRORED] * flip - fixed[1]).max() < 2e-4
    rotations = [rotation_from_euler((sign * 40.0, 10.0, sign * -8.0), "300w-lp") for sign in (1, -1)]
    contour = [studio.landmarks.contour(v @ r.T + [0, 0, 0.8], r) for v, r in zip((one, two), rotations, strict=True)]
    assert np.abs(contour[0][MIRRORED] * flip - contour[1]).max() < 2e-3  # a path's samples are 2 mm apart


def scene(studio: Studio, yaw_deg: float, solids: list[Solid]) -> tuple[np.ndarray, np.ndarray]:
    """Fixed points of the mean head at 0.8 m, bald, and their visibility with some solids."""
    rotation = rotation_from_euler((yaw_deg, 0.0, 0.0), "300w-lp")
    vertices = studio.neutral_m @ HEAD_FROM_TEMPLATE.T
    vertices = (vertices - studio.landmarks.fixed(vertices).mean(axis=0)) @ rotation.T + [0, 0, 0.8]
    look = dataclasses.replace(draw_look(np.random.default_rng(0), 0.0, 0.7), hair_kind="bald")
    assembly = studio._assembler.assemble(vertices, look, solids, np.array([0.0, 1.0, 0.0]))
    tracer = Tracer(assembly, look, Noise(np.random.default_rng(0)), rotation)
    points = studio.landmarks.fixed(vertices)
    return points, visibility(points, TriangleSoup(vertices, studio.model.topology.solid), tracer)


def test_frontal_points_are_visible(studio: Studio) -> None:
    _, codes = scene(studio, 0.0, [])
    assert (codes == VISIBLE).all()
    for yaw_deg, far in ((10.0, range(0, 3)), (-10.0, range(14, 17))):
        _, turned = scene(studio, yaw_deg, [])
        hidden = np.flatnonzero(turned != VISIBLE)
        assert set(hidden) <= set(far), yaw_deg  # the last points of the far cheek, if any


@pytest.mark.parametrize(("yaw_deg", "far", "near"), [(90.0, range(36, 42), range(42, 48)), (-90.0, range(42, 48), range(36, 42))])
def test_profile_hides_the_far_eye_by_the_head(studio: Studio, yaw_deg: float, far: range, near: range) -> None:
    """Yaw + turns the nose to the picture's left, so the subject's right eye away."""
    points, codes = scene(studio, yaw_deg, [])
    assert (points[30, 0] - points[8, 0]) * yaw_deg < 0
    assert (codes[list(far)] == SELF).all() and (codes[list(near)] != SELF).sum() >= 4 and not (codes == EXTERNAL).any()


def test_a_card_hides_the_mouth_from_outside(studio: Studio) -> None:
    points, _ = scene(studio, 0.0, [])
    vertices, triangles = _cube()
    mouth = points[48:].mean(axis=0)
    card = Solid("card", vertices * [0.04, 0.02, 0.002] + mouth - [0, 0, 0.08], triangles, np.full(3, 0.5))
    _, codes = scene(studio, 0.0, [card])
    assert (codes[48:] == EXTERNAL).all() and (codes[17:27] == VISIBLE).all() and (codes[36:48] == VISIBLE).all()
    behind = dataclasses.replace(card, vertices_m=card.vertices_m + [0, 0, 0.5])
    assert not (scene(studio, 0.0, [behind])[1] == EXTERNAL).any()


def test_a_sheet_on_the_skin_hides_it(studio: Studio) -> None:
    """A mask lies nearer to the jaw than the slack that a jaw needs against its own cheek."""
    points, _ = scene(studio, 0.0, [])
    vertices, triangles = _cube()
    place = np.append(points[33, :2], points[30, 2] - 0.004)
    sheet = Solid("mask", vertices * [0.09, 0.025, 0.0005] + place, triangles, np.full(3, 0.5))
    _, codes = scene(studio, 0.0, [sheet])
    assert codes[30] == EXTERNAL and codes[33] == EXTERNAL and codes[36] == VISIBLE


def test_nothing_that_floats_reaches_into_the_head(studio: Studio) -> None:
    """A bar through the cheeks comes before the nose, and looks as large as it did."""
    vertices = studio.neutral_m @ HEAD_FROM_TEMPLATE.T
    vertices = vertices - studio.landmarks.fixed(vertices).mean(axis=0) + [0, 0, 0.8]
    head = TriangleSoup(vertices, studio.model.topology.solid)
    corners, triangles = _cube()
    bar = Solid("bar", corners * [0.2, 0.009, 0.009] + studio.landmarks.fixed(vertices)[30] + [0, 0, 0.03], triangles, np.full(3, 0.5))
    moved = before_the_head(bar, head)
    assert moved.vertices_m[:, 2].max() < studio.landmarks.fixed(vertices)[30, 2] - 0.015
    np.testing.assert_allclose(moved.vertices_m[:, :2] / moved.vertices_m[:, 2:], bar.vertices_m[:, :2] / bar.vertices_m[:, 2:])
    assert before_the_head(moved, head) is moved


def test_contour_lies_on_or_outside_the_fixed_jaw(studio: Studio) -> None:
    """Turned away by 40 degrees, the far cheek's points move to the outline and are no longer hidden."""
    rotation = rotation_from_euler((40.0, 0.0, 0.0), "300w-lp")
    vertices = studio.neutral_m @ HEAD_FROM_TEMPLATE.T
    vertices = (vertices - studio.landmarks.fixed(vertices).mean(axis=0)) @ rotation.T + [0, 0, 0.8]
    fixed, contour = studio.landmarks.fixed(vertices), studio.landmarks.contour(vertices, rotation)
    assert np.array_equal(fixed[17:], contour[17:])
    left_px = (contour[1:5, 0] / contour[1:5, 2]) - (fixed[1:5, 0] / fixed[1:5, 2])
    assert (left_px < -0.005).all()


def test_tones_and_ages_are_spread(studio: Studio) -> None:
    rng = np.random.default_rng(0)
    people = [draw_person(studio.model, rng) for _ in range(600)]
    groups = [age_group(person.age) for person in people]
    for name, (_, _, share) in AGE_GROUPS.items():
        assert abs(groups.count(name) / 600 - share) < 0.06
    melanin = np.array([draw_look(rng, person.female, person.age).melanin for person in people])
    for low, high in TONES.values():
        assert 0.26 < ((melanin >= low) & (melanin < high)).mean() < 0.41


def test_dark_skin_stays_dark_in_the_picture(studio: Studio) -> None:
    """Automatic exposure must not lighten everybody to one grey."""
    level: dict[str, list[float]] = {name: [] for name in TONES}
    for index in range(24):
        picture, labels = studio.head(8, index, size_px=32)
        x0, y0, x1, y1 = labels.box_landmarks_xyxy_px.astype(int)
        level[str(labels.attributes["skin"])].append(float(np.median(picture[y0 : y1 + 1, x0 : x1 + 1])))
    means = {name: np.mean(values) for name, values in level.items()}
    assert means["dark"] + 25 < means["medium"] + 10 < means["light"]
