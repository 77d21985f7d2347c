"""Growing regression trees: they learn, ignore what has no label or does not count, repeat by seed, and go on where they stopped."""

from __future__ import annotations

import csv
from copy import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from hpbench.errors import InputError
from hpbench.heads.stream import PackedHeads
from hpbench.mnn.config import AugmentConfig, NetworkConfig
from hpbench.mnn.or_config import CascadeConfig

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from chance_trees import chance_cascade  # noqa: E402

from hpbench.cli.train_or import mnn_or  # noqa: E402
from hpbench.mnn.checkpoint import save_weights  # noqa: E402
from hpbench.mnn.data import HeadShards  # noqa: E402
from hpbench.mnn.network import Network  # noqa: E402
from hpbench.mnn.or_boosting import Samples, grow_stage  # noqa: E402
from hpbench.mnn.or_file import load_cascade, load_notes, network_fingerprint, save_cascade  # noqa: E402
from hpbench.mnn.or_seen import Seen, box_error_percent, seen, shapes_after  # noqa: E402
from hpbench.mnn.or_train import STAGES, TREES, grown, train_cascade  # noqa: E402
from hpbench.mnn.or_trees import Cascade, crop_points  # noqa: E402

SHARD = Path(__file__).parents[1] / "datasets/heads/heads-test-1-0000000.zip"
SCHEME = "aflw19"
SMALL = CascadeConfig(stages=4, trees=12, depth=3, candidates=40, starts=2, shrinkage=0.3, min_gain=0.0)


def made_faces(seed: int, faces: int, size_px: int = 32) -> Seen:
    """Heat maps that are Gaussians at the true points; the poses are the true ones, roughly."""
    draws = torch.Generator().manual_seed(seed)
    pose = torch.zeros(faces, 6)
    pose[:, :3] = (2 * torch.rand(faces, 3, generator=draws) - 1) * torch.tensor([40.0, 15.0, 20.0])
    pose[:, 4:] = torch.tensor([-0.4, 3.3])
    truth = Cascade(SMALL, SCHEME, [], "").start(pose, torch.zeros(faces, 19)).shape
    truth = truth + 0.02 * torch.randn(truth.shape, generator=draws)
    points = crop_points(truth, size_px)
    x = torch.arange(size_px)
    far = (x - points[..., :1])[..., None, :] ** 2 + (x - points[..., 1:])[..., :, None] ** 2
    pose[:, :3] += 8 * torch.randn(faces, 3, generator=draws)
    logits = ((far.amin(dim=(2, 3), keepdim=True) - far) / 4.0).clamp(min=-30.0).half().numpy()
    return Seen(logits, pose, torch.full((faces, 19), 4.0), truth, torch.ones(faces, 19))


def grow(config: CascadeConfig, training: Seen, validation: Seen) -> tuple[Cascade, list[dict[str, Any]]]:
    return list(grown(Cascade(config, SCHEME, [], ""), training, validation, []))[-1]


def same(a: Cascade, b: Cascade) -> bool:
    return len(a.trees) == len(b.trees) and all(
        torch.equal(x, y) for s, t in zip(a.trees, b.trees, strict=True) for x, y in zip(s, t, strict=True)
    )


@pytest.fixture(scope="module")
def learnt() -> tuple[Cascade, list[dict[str, Any]]]:
    return grow(SMALL, made_faces(0, 200), made_faces(1, 60))


def test_halves_the_error_of_the_start(learnt: tuple[Cascade, list[dict[str, Any]]]) -> None:
    cascade, history = learnt
    errors = [row["validation_error"] for row in history]
    assert errors[-1] < errors[0] / 2
    assert errors == sorted(errors, reverse=True)
    assert history[0]["kind"] == "start" and history[-1]["kind"] == "fine"
    unseen = made_faces(2, 50)
    start = cascade.start(unseen.pose, unseen.visibility)
    after = box_error_percent(unseen, shapes_after(cascade, unseen, start))
    assert after < box_error_percent(unseen, start.shape) / 2


def test_stages_move_samples_by_what_their_trees_say(learnt: tuple[Cascade, list[dict[str, Any]]]) -> None:
    """The errors of the training, added up tree by tree, are those of the trees in use."""
    cascade, history = learnt
    training = made_faces(0, 200)
    rows = torch.arange(200).repeat_interleave(2)
    noise = torch.zeros(400, 6)
    noise[:, :3] = (2 * torch.rand((400, 3), generator=torch.Generator().manual_seed(0)) - 1) * torch.tensor(SMALL.noise_deg)
    start = cascade.start(training.pose[rows] + noise, training.visibility[rows])
    assert box_error_percent(training, start.shape) == pytest.approx(history[0]["training_error"])
    kept = [row for row in history if row["kept"]][-1]
    assert box_error_percent(training, shapes_after(cascade, training, start)) == pytest.approx(kept["training_error"], rel=1e-3)


def test_stages_that_make_it_worse_are_left_out() -> None:
    training, validation = made_faces(0, 40), made_faces(1, 10)
    at_start = Cascade(SMALL, SCHEME, [], "").start(validation.pose, validation.visibility).shape
    noise = 0.001 * torch.randn(at_start.shape, generator=torch.Generator().manual_seed(0))
    cascade, history = grow(SMALL, training, validation._replace(truth=at_start + noise))
    assert [(row["kind"], row["kept"]) for row in history] == [("start", True), ("coarse", False), ("fine", False)]
    assert cascade.trees == [] and history[2]["stage"] == 1


def test_repeats_by_seed() -> None:
    training, validation, short = made_faces(0, 40), made_faces(1, 10), replace(SMALL, stages=2, trees=3)
    first = grow(short, training, validation)[0]
    assert same(first, grow(short, training, validation)[0])
    assert not same(first, grow(replace(short, seed=1), training, validation)[0])


def test_what_has_no_label_teaches_nothing() -> None:
    training, validation, short = made_faces(0, 60), made_faces(1, 10), replace(SMALL, stages=2, trees=4)
    missing = torch.rand(60, 19, generator=torch.Generator().manual_seed(3)) < 0.3
    weight = training.weight.masked_fill(missing, 0)
    trees = []
    for wrong in (0.0, 1000.0):
        changed = training._replace(weight=weight, truth=torch.where(missing[..., None], wrong, training.truth))
        trees.append(grow(short, changed, validation)[0])
    assert same(*trees)
    assert not same(trees[0], grow(short, training, validation)[0])


def test_a_landmark_without_any_label_stays() -> None:
    training = made_faces(0, 60)
    weight = training.weight.clone()
    weight[:, 7] = 0
    cascade, _ = grow(replace(SMALL, stages=1), training._replace(weight=weight), made_faces(1, 10))
    assert not cascade.trees[0].leaf[:, :, 7].any() and cascade.trees[0].leaf[:, :, 6].any()


def chance_samples(used: Any, seed: int = 0) -> Samples:
    draws = torch.Generator().manual_seed(seed)
    values = torch.rand(19 * 43, 80, generator=draws)
    residual = 0.1 * torch.randn(80, 19, 2, generator=draws) + values.view(19, 43, 80)[:, 42].T[..., None]
    return Samples(values, used, residual, torch.ones(80, 19))


@pytest.mark.parametrize("fine", [False, True])
def test_gated_faces_have_no_part_in_a_tree(fine: bool) -> None:
    used = torch.rand(19, 80, generator=torch.Generator().manual_seed(5)) < 0.6
    samples, config = chance_samples(used), replace(SMALL, trees=3)
    trees, moved = grow_stage(samples, SCHEME, config, stage=0, fine=fine)
    noise = torch.where(used[:, None], samples.values.view(19, 43, 80), torch.rand(19, 43, 80)).view_as(samples.values)
    again, moved_again = grow_stage(samples._replace(values=noise), SCHEME, config, stage=0, fine=fine)
    assert all(torch.equal(a, b) for a, b in zip(trees, again, strict=True))
    assert torch.equal(moved, moved_again)
    hidden = used.clone()
    hidden[:, :10] = False
    trees, moved = grow_stage(samples._replace(used=hidden), SCHEME, config, stage=0, fine=fine)
    counts = hidden[trees.landmark.long().flatten()].any(dim=0)
    assert torch.equal(moved.flatten(1).any(dim=1), counts) and not counts[:10].any() and counts.any()
    wrong = samples.residual.clone()
    wrong[:10] = 100.0
    again, _ = grow_stage(samples._replace(used=hidden, residual=wrong), SCHEME, config, stage=0, fine=fine)
    assert all(torch.equal(a, b) for a, b in zip(trees, again, strict=True))


def test_the_first_tree_is_the_least_squares_one() -> None:
    """Leaves are shrunken mean residuals of the faces in them, of the labelled ones."""
    config = replace(SMALL, trees=1, subsample=1.0)
    samples = chance_samples(torch.ones(19, 80, dtype=torch.bool))
    weight = (torch.rand(80, 19, generator=torch.Generator().manual_seed(6)) < 0.7).float()
    trees, moved = grow_stage(samples._replace(weight=weight), SCHEME, config, stage=0, fine=False)
    own = samples.values.view(19, 43, 80)[int(trees.landmark[0, 0])]
    for face in range(80):
        node = 0
        for _ in range(config.depth):
            a, b = own[trees.pair[0, 0, node].long(), face]
            node = 2 * node + (1 if a - b > trees.threshold[0, 0, node] else 2)
        torch.testing.assert_close(moved[face], trees.leaf[0, node - 7].float())
    leaf = trees.leaf[0]
    for cell in range(8):
        members = (moved == leaf[cell].float()).all(dim=(1, 2))
        w = weight[members][..., None]
        mean = config.shrinkage * (samples.residual[members] * w).sum(0) / w.sum(0).clamp(min=1)
        torch.testing.assert_close(leaf[cell].float(), mean, atol=1e-3, rtol=1e-2)


@pytest.fixture(scope="module")
def heads() -> HeadShards:
    found = HeadShards(PackedHeads(SHARD), "ibug68-fixed")
    found.labels = found.labels.take(range(100))
    return found


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network(NetworkConfig(input_px=16, widths=(4, 8))).eval()


QUICK = CascadeConfig(stages=3, trees=2, depth=2, candidates=10, starts=2, validation_faces=5, min_gain=0.0)


def train(
    network: Network, heads: HeadShards, out: Path, config: CascadeConfig = QUICK, **options: Any
) -> tuple[dict[str, Any], list[str]]:
    lines: list[str] = []
    return train_cascade(network, [heads], config, out, workers=0, say=lines.append, **options), lines


def test_training_writes_trees_and_errors(network: Network, heads: HeadShards, tmp_path: Path) -> None:
    progress, lines = train(network, heads, tmp_path, trained_on=["heads"])
    assert progress["finished"]
    cascade, notes = load_cascade(tmp_path / TREES, network), load_notes(tmp_path / TREES)
    assert notes["history"] == progress["history"] and notes["trained_on"] == ["heads"]
    assert cascade.network_sha256 == network_fingerprint(network)
    assert len(cascade.trees) == sum(row["kept"] for row in progress["history"]) - 1
    rows = list(csv.DictReader((tmp_path / STAGES).open()))
    assert [float(r["validation_error"]) for r in rows] == pytest.approx([r["validation_error"] for r in progress["history"]], rel=1e-5)
    assert "64 crops of 90 faces x 2 starts, 5 faces to validate" in lines[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == [STAGES, TREES]
    assert train(network, heads, tmp_path) == (progress, [])


def test_goes_on_where_it_stopped(network: Network, heads: HeadShards, tmp_path: Path) -> None:
    whole, _ = train(network, heads, tmp_path / "whole")
    stages = len(whole["history"])
    parts = [train(network, heads, tmp_path / "parts", time_limit_min=0.0)[0] for _ in range(stages + 1)]
    assert [len(p["history"]) for p in parts] == [*range(1, stages + 1), stages] and stages > 2
    for a, b in zip(whole["history"], parts[-1]["history"], strict=True):
        assert a["validation_error"] == pytest.approx(b["validation_error"], rel=1e-3)
    assert [p["finished"] for p in parts] == [False] * (stages - 1) + [True, True]


def test_other_settings_or_network_do_not_go_on(network: Network, heads: HeadShards, tmp_path: Path) -> None:
    train(network, heads, tmp_path, time_limit_min=0.0)
    with pytest.raises(InputError, match=r"trees there differ in settings: another --out"):
        train(network, heads, tmp_path, replace(QUICK, depth=3))
    torch.manual_seed(1)
    with pytest.raises(InputError, match="differ in network"):
        train(Network(network.config).eval(), heads, tmp_path)


def test_other_data_of_the_same_count_do_not_go_on(network: Network, heads: HeadShards, tmp_path: Path) -> None:
    first, _ = train(network, heads, tmp_path, time_limit_min=0.0)
    other = copy(heads)
    other.labels = replace(heads.labels, landmarks_px=heads.labels.landmarks_px + 1e-3)
    with pytest.raises(InputError, match="differ in data: another --out"):
        train(network, other, tmp_path)
    cascade, notes = load_cascade(tmp_path / TREES), load_notes(tmp_path / TREES)
    del notes["data"]  # as trees were written before
    save_cascade(tmp_path / TREES, cascade, **notes | {"trained_on": ["heads:test"]})
    assert len(train(network, heads, tmp_path, time_limit_min=0.0)[0]["history"]) == len(first["history"]) + 1
    assert load_notes(tmp_path / TREES)["trained_on"] == ["heads:test"]  # whatever this call was told


def test_where_nothing_can_be_written_is_said_first(network: Network, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file.*cannot be written"):
        train(network, object(), tmp_path / "file" / "out")  # type: ignore[arg-type]


def test_a_network_without_heat_maps(heads: HeadShards, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="need a network with heat maps"):
        train(Network(NetworkConfig(input_px=16, widths=(4,), dense=False)), heads, tmp_path)


def test_a_full_disk_is_said_before(network: Network, heads: HeadShards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**5))
    with pytest.raises(InputError, match=r"heat maps of 64 crops take 0.0 GB .* fewer faces"):
        train(network, heads, tmp_path)


def test_what_is_seen_is_what_the_network_says(network: Network, heads: HeadShards) -> None:
    """On crops as they are, the kept outputs give the points that the outputs themselves give."""
    from hpbench.mnn.config import TrainConfig
    from hpbench.mnn.data import load_batches
    from hpbench.mnn.infer import crops_of, outputs_of

    cascade, small, source = chance_cascade(0, "ibug68-fixed"), network, heads
    faces = np.arange(6)
    kept = seen(small, load_batches([source], faces, TrainConfig(network=small.config, batch_size=4, workers=0)), 6)
    crops, matrices = crops_of([source.image(int(i)) for i in faces], source.labels.box_xyxy_px[:6], 16)
    points = torch.cat([cascade.points(o) for o in outputs_of(small, crops)])
    shape = shapes_after(cascade, kept, cascade.start(kept.pose, kept.visibility))
    torch.testing.assert_close(crop_points(shape, 16), points, atol=0.02, rtol=0)
    from hpbench.mnn.crops import to_crop

    truth = to_crop(source.labels.landmarks_px[:6], matrices)
    there = kept.weight.numpy() > 0
    np.testing.assert_allclose(crop_points(kept.truth, 16).numpy()[there], truth[there], atol=1e-4)


def test_command_line(network: Network, tmp_path: Path) -> None:
    save_weights(tmp_path / "best.safetensors", network)
    (tmp_path / "or.toml").write_text("stages = 1\ntrees = 2\ndepth = 2\ncandidates = 5\nstarts = 1\nfaces = 40\nvalidation_faces = 4\n")
    options = ["--weights", str(tmp_path / "best.safetensors"), "--data", str(SHARD), "-o", str(tmp_path / "out"), "--workers", "0"]
    options += ["--config", str(tmp_path / "or.toml"), "--set", "augment.turn_deg=10.0", "--seed", "3", "--device", "cpu"]
    refused = CliRunner().invoke(mnn_or, options)
    assert isinstance(refused.exception, InputError) and "--allow-test-data" in str(refused.exception)
    done = CliRunner().invoke(mnn_or, [*options, "--allow-test-data"])
    assert done.exit_code == 0, done.output
    assert str(tmp_path / "out" / TREES) in done.output
    config = load_cascade(tmp_path / "out" / TREES, network).config
    assert (config.seed, config.trees, config.augment) == (3, 2, AugmentConfig(turn_deg=10.0))
    assert load_notes(tmp_path / "out" / TREES)["trained_on"] == ["heads:test"]
