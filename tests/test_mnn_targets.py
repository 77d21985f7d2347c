"""Crops, targets and augmentation: labels that move with the picture, checked against poses derived anew from moved points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.geometry.camera import crop_camera, project, ray_rotation, solve_pnp
from hpbench.geometry.mean_face import mean_face
from hpbench.geometry.rotations import geodesic_deg, rotation_from_euler
from hpbench.heads.stream import PackedHeads
from hpbench.mnn.augment import draw_crops, hide, occlude, recolour
from hpbench.mnn.config import AugmentConfig
from hpbench.mnn.crops import Crops, box_crops, cut, from_crop, to_crop
from hpbench.mnn.targets import FaceLabels, labels_of_faces, labels_of_heads, mean_face_units, mirror_order, targets

SHARD = Path(__file__).parents[1] / "datasets/heads/heads-test-1-0000000.zip"
SIZE = 64


def rigid_heads(euler_deg: Any, camera: Any = None) -> FaceLabels:
    """Mean faces seen by the crop's camera, or by `camera`, with their exact labels."""
    rotation = rotation_from_euler(np.atleast_2d(euler_deg), "yxz")
    n = len(rotation)
    box = np.tile([100.0, 80.0, 220.0, 200.0], (n, 1))
    seen_by = crop_camera(box) if camera is None else np.tile(camera, (n, 1, 1))
    translation = (8.0, -42.0, 330.0) if camera is None else (30.0, 10.0, 1030.0)
    points = project(mean_face("ibug68-fixed"), rotation, np.tile(translation, (n, 1)), seen_by)
    centre = (box[:, :2] + box[:, 2:]) / 2
    crop_ray = np.swapaxes(ray_rotation(centre, seen_by), -1, -2) @ rotation
    occlusion = np.zeros(points.shape[:2], np.uint8)
    return FaceLabels("ibug68-fixed", box, crop_ray, points, occlusion, seen_by, np.array([str(i) for i in range(n)]))


def derived(labels: FaceLabels, crops: Crops) -> Any:
    """Rotation and translation by perspective-n-point of the points in the crop, named anew where it is mirrored."""
    points = to_crop(labels.landmarks_px, crops.crop_from_image(SIZE))
    order = mirror_order(labels.scheme)
    points = np.where(crops.mirrored[:, None, None], points[:, order], points)
    camera = np.array([[1.5 * SIZE, 0, (SIZE - 1) / 2], [0, 1.5 * SIZE, (SIZE - 1) / 2], [0, 0, 1]])
    return solve_pnp(mean_face_units(labels.scheme), points, camera)


ANGLES = st.tuples(st.floats(-80, 80), st.floats(-35, 35), st.floats(-40, 40))


@settings(max_examples=30)
@given(ANGLES, st.floats(-45, 45), st.booleans())
def test_turned_and_mirrored_labels_are_exact(euler: Any, turn: float, mirrored: bool) -> None:
    labels = rigid_heads(euler)
    crops = box_crops(labels.box_xyxy_px)._replace(turn_deg=np.array([turn]), mirrored=np.array([mirrored]))
    rotation, translation = derived(labels, crops)
    pose = targets(labels, crops, SIZE).pose.astype(np.float64)
    assert geodesic_deg(rotation, rotation_from_euler(pose[:, :3], "yxz"))[0] < 1e-3
    np.testing.assert_allclose(pose[:, 3:], translation, atol=1e-4)


@settings(max_examples=30)
@given(ANGLES, st.floats(-0.05, 0.05), st.floats(-0.05, 0.05), st.floats(-0.15, 0.15), st.floats(-45, 45), st.booleans())
def test_augmented_labels_against_poses_derived_anew(euler: Any, dx: float, dy: float, scale: float, turn: float, mirrored: bool) -> None:
    """Nearly exact: a shift is a homography, of which the crop shows the affine part; scaling changes the camera that is assumed."""
    labels = rigid_heads(euler)
    plain = box_crops(labels.box_xyxy_px)
    size = labels.box_xyxy_px[:, 2:] - labels.box_xyxy_px[:, :2]
    shifted = Crops(plain.centre_px + size * (dx, dy), plain.side_px, np.array([turn]), np.array([mirrored]))
    for crops, tolerance in ((shifted, 0.3), (shifted._replace(side_px=plain.side_px * (1 + scale)), 2.0)):
        pose = targets(labels, crops, SIZE).pose.astype(np.float64)
        assert geodesic_deg(derived(labels, crops)[0], rotation_from_euler(pose[:, :3], "yxz"))[0] < tolerance


def test_a_shifted_crop_has_the_ray_of_the_picture_s_camera() -> None:
    camera = np.array([[900.0, 0, 128], [0, 900.0, 128], [0, 0, 1]])
    labels = rigid_heads([20.0, 10.0, -5.0], camera)
    plain = box_crops(labels.box_xyxy_px)
    moved = plain._replace(centre_px=plain.centre_px + (9.0, -4.0))
    exact = np.swapaxes(ray_rotation(moved.centre_px, camera), -1, -2) @ rotation_from_euler([[20.0, 10.0, -5.0]], "yxz")
    found = rotation_from_euler(targets(labels, moved, SIZE).pose[:, :3], "yxz")
    assert geodesic_deg(found, exact)[0] < 1e-4


def test_what_is_not_labelled_or_outside_has_no_weight() -> None:
    labels = rigid_heads([[0.0, 0, 0], [30.0, 0, 0], [0.0, 0, 0]])
    points, occlusion = labels.landmarks_px.copy(), labels.occlusion.copy()
    points[0, 3], points[0, 4] = np.nan, (50, 140)
    points[2] = np.nan
    occlusion[0, 5:9] = 0, 1, 2, 3
    rotation = labels.rotation_crop_ray.copy()
    rotation[1] = np.nan
    labels = replace(labels, landmarks_px=points, occlusion=occlusion, rotation_crop_ray=rotation)
    made = targets(labels, box_crops(labels.box_xyxy_px), SIZE)
    assert made.point_weight[0].sum() == 66 and made.point_weight[0, [3, 4]].sum() == 0
    assert made.visible_weight[0, [3, 4, 8]].sum() == 0 and made.visible_weight[0].sum() == 65
    assert made.visible[0, 5:8].tolist() == [1, 0, 0]
    assert made.pose_weight.tolist() == [1, 0, 0] and made.point_weight[1].all() and not made.point_weight[2].any()
    for array in made:
        assert np.isfinite(array).all()
    external = targets(labels, box_crops(labels.box_xyxy_px), SIZE, "external")
    assert external.visible_weight[0, 5:8].tolist() == [1, 1, 0] and external.visible[0, 6] == 0


def test_pixels_are_those_of_the_points() -> None:
    labels = rigid_heads([[10.0, 5, 5]])
    made = targets(labels, box_crops(labels.box_xyxy_px), SIZE)
    np.testing.assert_array_equal(made.pixel // SIZE, np.rint(made.points_px[..., 1]))
    np.testing.assert_array_equal(made.pixel % SIZE, np.rint(made.points_px[..., 0]))


@pytest.mark.parametrize("scheme", ["ibug68-fixed", "wflw98", "cofw29", "aflw21"])
def test_mirrored_points_are_those_of_the_mirrored_mean_face(scheme: str) -> None:
    order, face = mirror_order(scheme), mean_face(scheme)
    assert order is not None and np.array_equal(order[order], np.arange(len(order)))
    mirrored = face[order] * (-1, 1, 1)
    np.testing.assert_allclose(mirrored[np.isfinite(face)], face[np.isfinite(face)], atol=12)  # nostrils and brows of 21 points: coarse


def test_labels_of_shards_and_of_readers_agree() -> None:
    heads = PackedHeads([SHARD])
    labels = labels_of_heads({k: v[:20] for k, v in heads.labels.items()}, "ibug68-fixed", heads.sample_id[:20])
    faces = Faces(landmarks=labels.landmarks_px, scheme="ibug68-fixed", occlusion=labels.occlusion, box_xyxy_px=labels.box_xyxy_px)
    crops = box_crops(labels.box_xyxy_px)
    one, other = targets(labels, crops, SIZE), targets(labels_of_faces(faces, "ibug68-fixed", labels.rotation_crop_ray), crops, SIZE)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert one.point_weight.all() and one.pose_weight.all()
    assert targets(labels_of_faces(faces, "ibug68-fixed"), crops, SIZE).pose_weight.sum() == 0


def test_other_schemes_by_their_maps() -> None:
    heads = PackedHeads([SHARD])
    columns = {k: v[:5] for k, v in heads.labels.items()}
    labels = labels_of_heads(columns, "aflw21", heads.sample_id[:5])
    made = targets(labels, box_crops(labels.box_xyxy_px), SIZE)
    assert made.point_weight[:, [12, 16]].sum() == 0 and made.visible_weight[:, [12, 16]].sum() == 0  # no ears among the 68
    assert made.point_weight[:, :12].all() and made.pose_weight.all()
    eye = columns["occlusion_fixed"][:, 36:42].max(axis=1)
    np.testing.assert_array_equal(labels.occlusion[:, 7], eye)
    with pytest.raises(InputError, match="no landmark map"):
        labels_of_heads(columns, "wflw98", heads.sample_id[:5])


def test_visibility_without_kinds_and_without_labels() -> None:
    box, points = np.array([[0.0, 0, 90, 100]]), np.full((1, 21, 2), 50.0)
    visibility = np.full((1, 21), np.nan)
    visibility[0, :2] = 1, 0
    made = labels_of_faces(Faces(landmarks=points, scheme="aflw21", visibility=visibility, box_xyxy_px=box), "aflw21")
    assert made.occlusion[0, :3].tolist() == [0, 1, 3]
    assert (labels_of_faces(Faces(landmarks=points, scheme="aflw21", box_xyxy_px=box), "aflw21").occlusion == 3).all()
    with pytest.raises(InputError, match="boxes and landmarks"):
        labels_of_faces(Faces(box_xyxy_px=box), "aflw21")


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(20, 300), st.floats(-45, 45), st.booleans())
def test_the_cut_shows_points_where_the_map_says(seed: int, resolution: int, turn: float, mirrored: bool) -> None:
    """A bright dot of the picture lies in the crop where its coordinates go, at any resolution."""
    rng = np.random.default_rng(seed)
    spot = rng.uniform(0.42, 0.58, 2) * resolution * 2
    y, x = np.mgrid[: 2 * resolution, : 2 * resolution]
    picture = np.repeat(np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * (resolution / 14) ** 2))[..., None] * 255, 3, axis=2)
    crops = Crops(np.full((1, 2), float(resolution)), np.array([float(resolution)]), np.array([turn]), np.array([mirrored]))
    matrix = crops.crop_from_image(SIZE)
    crop = cut(picture.astype(np.uint8), matrix[0], SIZE)[..., 0].astype(float)
    v, u = np.mgrid[:SIZE, :SIZE]
    centroid = np.array([(u * crop).sum(), (v * crop).sum()]) / crop.sum()
    np.testing.assert_allclose(centroid, to_crop(spot[None, None], matrix)[0, 0], atol=0.35)
    np.testing.assert_allclose(from_crop(to_crop(spot[None, None], matrix), matrix)[0, 0], spot)


def test_a_crop_outside_the_picture_is_black() -> None:
    picture = np.full((2000, 2000, 3), 255, np.uint8)
    for box in ([5000.0, 5000, 6000, 6000], [-900.0, 0, -500, 400], [2100.0, 0, 2120, 20]):
        assert not cut(picture, box_crops([box]).crop_from_image(SIZE)[0], SIZE).any()


def test_occluders_hide_what_they_cover_and_nothing_else() -> None:
    config, covered = AugmentConfig(), 0
    points = np.random.default_rng(0).uniform(0, SIZE - 1, (400, 2))
    for seed in range(30):
        crop, hidden = occlude(np.full((SIZE, SIZE, 3), 7, np.uint8), points, config, np.random.default_rng(seed))
        changed = (crop != 7).any(axis=2)
        columns, rows = np.flatnonzero(changed.any(axis=0)), np.flatnonzero(changed.any(axis=1))
        nearest = np.rint(points).astype(int)
        inside = (nearest[:, 0] >= columns[0]) & (nearest[:, 0] <= columns[-1]) & (nearest[:, 1] >= rows[0]) & (nearest[:, 1] <= rows[-1])
        np.testing.assert_array_equal(hidden, inside)
        covered += hidden.sum()
    assert covered > 0
    labels = replace(rigid_heads([0.0, 0, 0]), occlusion=np.tile(np.arange(4, dtype=np.uint8), 17)[None])
    assert hide(labels, np.ones((1, 68), bool)).occlusion[0, :4].tolist() == [1, 1, 2, 3]


def test_colours_vary_and_stay_without_variation() -> None:
    crop = np.random.default_rng(0).integers(40, 200, (SIZE, SIZE, 3), dtype=np.uint8)
    assert np.abs(recolour(crop, AugmentConfig(colour=0.0), np.random.default_rng(0)).astype(int) - crop).max() <= 6  # of HSV bytes
    before = crop.copy()
    assert np.abs(recolour(crop, AugmentConfig(), np.random.default_rng(0)).astype(int) - crop).mean() > 5
    np.testing.assert_array_equal(crop, before)


def test_draws_keep_to_their_limits_and_their_seed() -> None:
    labels = rigid_heads(np.zeros((200, 3)))
    config = AugmentConfig()

    def draw(first: int) -> Crops:
        return draw_crops(labels, config, [np.random.default_rng([first, i]) for i in range(len(labels))])

    one, again, other, plain = draw(0), draw(0), draw(1), box_crops(labels.box_xyxy_px)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True)) and not np.array_equal(one.turn_deg, other.turn_deg)
    assert np.abs(one.turn_deg).max() <= 45 and np.abs(one.turn_deg).max() > 40
    assert np.abs(one.side_px / plain.side_px - 1).max() <= 0.15
    size = labels.box_xyxy_px[:, 2:] - labels.box_xyxy_px[:, :2]
    assert (np.abs((one.centre_px - plain.centre_px) / size) <= 0.05 + 1e-12).all()
    assert 60 < one.mirrored.sum() < 140
    off = AugmentConfig(turn_deg=0, scale=0, shift=0, mirror=0)
    still = draw_crops(labels, off, [np.random.default_rng(i) for i in range(len(labels))])
    assert all(np.array_equal(a, b) for a, b in zip(still, plain, strict=True))


def test_impossible_boxes_and_settings() -> None:
    for box in ([[0.0, 0, 5, 0]], [[0.0, np.nan, 5, np.nan]], [0.0, 0, 1, 1]):
        with pytest.raises(InputError):
            box_crops(box)
    for wrong in ({"turn_deg": -1.0}, {"mirror": 1.5}, {"occluder_share": (0.5, 0.2)}, {"scale": 1.0}):
        with pytest.raises(InputError, match="^augment: "):
            AugmentConfig(**wrong)  # type: ignore[arg-type]
