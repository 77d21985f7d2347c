"""Shards of heads, written here from drawn labels: what is read is what was written, and what is wrong is told."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from truth_as_prediction import perfect

from hpbench.catalog import dataset_card, protocol_named, split_ids
from hpbench.errors import InputError, MissingDataError
from hpbench.evaluate import kept_rows
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.heads.stream import PackedHeads
from hpbench.readers import load
from hpbench.readers.dataset import label_statistics
from hpbench.readers.files.head_shards import COLUMNS, Shard, read_shard, write_shard

IDS = split_ids(dataset_card("heads"), "test")


def a_shard(ids: list[str], seed: int = 0) -> tuple[Shard, list[bytes]]:
    rng = np.random.default_rng(seed)
    n = len(ids)
    columns = {}
    for name, (shape, kind) in COLUMNS.items():
        size = (n, *(5 if s == -1 else s for s in shape))
        columns[name] = rng.integers(0, 3, size).astype(np.uint8) if kind == "u" else rng.uniform(0, 200, size)
    angles = rng.uniform(-60, 60, (n, 3))
    columns["rotation_crop_ray"] = rotation_from_euler(angles, "yxz")
    columns["rotation_camera_from_head"] = rotation_from_euler(angles + 5.0, "yxz")
    low = rng.uniform(0, 50, (n, 2))
    for name in ("box_landmarks_xyxy_px", "box_head_xyxy_px"):
        columns[name] = np.concatenate([low, low + 100.0], axis=1)
    images = [cv2.imencode(".jpg", np.full((16, 16, 3), 10 * i, np.uint8))[1].tobytes() for i in range(n)]
    attributes = {"skin": np.array(["dark", "light"] * n)[:n], "age": np.array(["young"] * n), "distance_mm": np.arange(n) + 500.0}
    return Shard(tuple(ids), columns, attributes), images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards of the test split's first faces, the later one first by name, and one of the hard split's."""
    hard = split_ids(dataset_card("heads"), "hard") or []
    for name, ids in (("heads-b.zip", IDS[:7]), ("heads-a.zip", IDS[7:12]), ("heads-c.zip", hard[:6])):
        shard, images = a_shard(ids, seed=len(ids))
        write_shard(tmp_path / name, shard, images, {"seed": 1})
    return tmp_path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    shard, images = a_shard(IDS[:3])
    for name in ("a.zip", "b.zip"):
        write_shard(tmp_path / name, shard, images, {"seed": 1, "count": 3})
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    found, about = read_shard(tmp_path / "a.zip")
    assert found.sample_id == shard.sample_id and about == {"seed": 1, "count": 3}
    for name in COLUMNS:
        np.testing.assert_array_equal(found.columns[name], shard.columns[name])
    assert list(found.attributes["skin"]) == list(shard.attributes["skin"])


def test_the_reader_joins_shards_in_the_order_of_ids(folder: Path) -> None:
    dataset = load("heads", folder)
    truth = dataset.truth("test")
    assert list(truth.sample_id) == IDS[:12] and truth.scheme == "ibug68-fixed"  # type: ignore[arg-type]
    later, earlier = a_shard(IDS[:7], seed=7)[0], a_shard(IDS[7:12], seed=5)[0]
    for row, (shard, at) in {0: (later, 0), 6: (later, 6), 9: (earlier, 2)}.items():
        np.testing.assert_allclose(truth.rotation[row], shard.columns["rotation_crop_ray"][at], atol=1e-9)
        np.testing.assert_array_equal(truth.landmarks[row], shard.columns["landmarks_fixed_px"][at])
        np.testing.assert_array_equal(truth.occlusion[row], shard.columns["occlusion_fixed"][at])
        assert truth.attributes["occluded_percent"][row] == pytest.approx(100 * (shard.columns["occlusion_fixed"][at] == 1).mean())
    contour, camera = dataset.truth("test", "contour"), dataset.truth("test", "camera")
    np.testing.assert_array_equal(contour.landmarks[0], later.columns["landmarks_contour_px"][0])
    assert contour.scheme == "ibug68-contour"
    np.testing.assert_allclose(camera.rotation[0], later.columns["rotation_camera_from_head"][0], atol=1e-9)
    samples = list(dataset.samples("test"))
    assert samples[3].image.read().mean() == pytest.approx(30, abs=2) and len(samples) == 12
    np.testing.assert_array_equal(next(dataset.samples("test", "head")).box_xyxy_px, later.columns["box_head_xyxy_px"][0])


def test_truth_as_prediction_is_perfect_under_every_protocol(folder: Path, tmp_path: Path) -> None:
    perfect(load("heads", folder), tmp_path / "out")


def test_profiles_are_left_out_where_a_protocol_says_so(folder: Path) -> None:
    truth = load("heads", folder).truth("test")
    turned = replace(truth, attributes={**truth.attributes, "abs_yaw_deg": np.linspace(64, 86, 12)})
    kept = kept_rows(protocol_named("heads/pose-yaw-75"), turned)
    assert kept.tolist() == [True] * 6 + [False] * 6


def test_rotations_given_to_other_faces_are_told(folder: Path) -> None:
    truth = load("heads", folder).truth("test")
    assert truth.rotation is not None
    before, after = label_statistics(truth), label_statistics(replace(truth, rotation=truth.rotation[::-1]))
    assert before["mean_turn_deg"] == pytest.approx(after["mean_turn_deg"])
    assert abs(before["turn_order_deg"] - after["turn_order_deg"]) > 0.1


def test_packed_heads_are_read_by_number_and_an_epoch_goes_on_where_it_stopped(folder: Path) -> None:
    heads = PackedHeads([folder / "heads-b.zip", folder / "heads-a.zip"])
    assert len(heads) == 12 and len(heads[2:5]) == 3
    assert heads[3].image.shape == (16, 16, 3) and heads[3].image.mean() == pytest.approx(30, abs=2)
    np.testing.assert_array_equal(heads[8].labels["landmarks_fixed_px"], a_shard(IDS[7:12], seed=5)[0].columns["landmarks_fixed_px"][1])
    whole = [h.labels["camera_px"].sum() for h in heads.epoch(3, 1)]
    assert sorted(whole) == sorted(heads.labels["camera_px"].sum(axis=(1, 2)))
    assert [h.labels["camera_px"].sum() for h in heads.epoch(3, 1, start=5)] == whole[5:]
    assert [h.labels["camera_px"].sum() for h in heads.epoch(3, 2)] != whole
    shared = [[h.labels["camera_px"].sum() for h in heads.epoch(3, 1, rank=r, world=2)] for r in (0, 1)]
    assert shared == [whole[0::2], whole[1::2]]


def test_training_heads_are_no_test_set(tmp_path: Path) -> None:
    shard, images = a_shard(["train-1-0000000"])
    write_shard(tmp_path / "heads-train.zip", shard, images, {})
    with pytest.raises(MissingDataError, match="train-1-0000000.*in no split of heads: they are for training"):
        load("heads", tmp_path)


def test_the_same_head_twice_is_an_error(folder: Path) -> None:
    shard, images = a_shard(IDS[3:5])
    write_shard(folder / "heads-d.zip", shard, images, {})
    with pytest.raises(InputError, match=f"'{IDS[3]}' is there twice"):
        load("heads", folder)


@pytest.mark.parametrize("damage", ["truncated", "no labels", "no column", "shape", "nan", "pickle", "no zip"])
def test_damaged_shards_are_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "heads-x.zip"
    shard, images = a_shard(IDS[:2])
    write_shard(path, shard, images, {})
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    arrays = dict(np.load(io.BytesIO(members["labels.npz"])))
    if damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "no zip":
        path.write_bytes(b"hello")
    else:
        if damage == "no column":
            del arrays["camera_px"]
        elif damage == "shape":
            arrays["landmarks_fixed_px"] = arrays["landmarks_fixed_px"][:, :66]
        elif damage == "nan":
            arrays["translation_mm"][1] = np.nan
        elif damage == "pickle":
            arrays["attribute_skin"] = np.array([{}, {}], dtype=object)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                if not (damage == "no labels" and name == "labels.npz"):
                    archive.writestr(name, buffer.getvalue() if name == "labels.npz" else content)
    with pytest.raises(InputError, match="heads-x.zip"):
        read_shard(path)
    with pytest.raises((InputError, MissingDataError), match="heads-x.zip|no shard of rendered heads"):
        load("heads", tmp_path).truth("test")


def test_a_shard_of_wrong_shapes_is_not_written(tmp_path: Path) -> None:
    shard, images = a_shard(IDS[:2])
    wrong = Shard(shard.sample_id, {**shard.columns, "camera_px": np.zeros((2, 3))}, shard.attributes)
    with pytest.raises(InputError, match="camera_px has shape"):
        write_shard(tmp_path / "heads-x.zip", wrong, images, {})
    assert not list(tmp_path.iterdir())
