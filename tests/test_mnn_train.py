"""Training: it learns, goes on exactly where it stopped, mixes sources, and refuses what cannot be."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from hpbench.checked import build, read_toml
from hpbench.errors import InputError
from hpbench.heads.stream import PackedHeads
from hpbench.mnn.config import AugmentConfig, LossConfig, NetworkConfig, TrainConfig
from hpbench.readers import load

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from hpbench.mnn.checkpoint import BEST, check_writable, load_network, network_of, training_facts  # noqa: E402
from hpbench.mnn.data import HeadShards, ReaderFaces, load_batches, split_faces  # noqa: E402
from hpbench.mnn.infer import crops_of, predict_arrays  # noqa: E402
from hpbench.mnn.train import CURVE, train, try_one_step  # noqa: E402

SHARD = Path(__file__).parents[1] / "datasets/heads/heads-test-1-0000000.zip"
SCHEME = "ibug68-fixed"
STILL = AugmentConfig(turn_deg=0, scale=0, shift=0, mirror=0, colour=0, occluder=0)
TINY = TrainConfig(
    network=NetworkConfig(input_px=16, widths=(4, 8)),
    epochs=2,
    pretrain_epochs=1,
    steps_per_epoch=2,
    batch_size=4,
    validation_faces=6,
    workers=0,
)


@pytest.fixture(scope="module")
def heads() -> HeadShards:
    return HeadShards(PackedHeads(SHARD), SCHEME)


class Few:
    """The first heads, many times over: whoever is held out is known."""

    def __init__(self, heads: HeadShards, n: int, copies: int) -> None:
        labels = heads.labels.take(np.tile(np.arange(n), copies))
        self.labels = replace(labels, person=np.arange(n * copies).astype(str))
        self.images = [heads.image(i) for i in range(n)]

    def image(self, index: int) -> Any:
        return self.images[index % len(self.images)]


def run(config: TrainConfig, sources: Any, out: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    lines: list[str] = []
    return train(config, sources, out, device="cpu", say=lines.append, **options), lines


def state(out: Path) -> Any:
    saved = torch.load(out / "training.pt", weights_only=True)
    return saved, (out / saved["weights"]).read_bytes()


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a if k != "faces_per_s")
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.mark.long
def test_overfits_eight_heads(heads: HeadShards, tmp_path: Path) -> None:
    config = TrainConfig(
        network=NetworkConfig(input_px=32, widths=(16, 32)), augment=STILL, epochs=5, pretrain_epochs=2, steps_per_epoch=50, batch_size=8,
        learning_rate=3e-3, validation_faces=8, workers=0,
    )  # fmt: skip
    done, _ = run(config, [Few(heads, 8, 20)], tmp_path)
    first, last = done["history"][0], done["history"][-1]
    assert last["validation_heatmap"] < first["validation_heatmap"] / 3
    assert last["validation_projection"] < first["validation_projection"] / 2
    assert last["validation_geodesic_deg"] < 20
    network = load_network(tmp_path / BEST)
    boxes = heads.labels.box_xyxy_px[:8]
    prediction = predict_arrays(network, *crops_of([heads.image(i) for i in range(8)], boxes, 32), radius_px=2)
    side = 1.6 * (boxes[:, 3] - boxes[:, 1])
    error = np.linalg.norm(prediction.landmarks_px - heads.labels.landmarks_px[:8], axis=2) / side[:, None] * 32
    assert error.mean() < 2  # pixels of the crop


def test_goes_on_exactly(heads: HeadShards, tmp_path: Path) -> None:
    run(TINY, [heads], tmp_path / "straight")
    run(replace(TINY, epochs=1), [heads], tmp_path / "halves")
    done, lines = run(TINY, [heads], tmp_path / "halves")
    assert done["finished"] and done["step"] == 4 and "going on at step 2" in lines[0]
    straight, halves = state(tmp_path / "straight"), state(tmp_path / "halves")
    assert straight[1] == halves[1] and same(straight[0], halves[0])


def test_goes_on_within_an_epoch(heads: HeadShards, tmp_path: Path) -> None:
    run(TINY, [heads], tmp_path / "straight")
    for step in (1, 2, 3, 4):  # no time at all: one step a call
        done, lines = run(TINY, [heads], tmp_path / "steps", time_limit_min=0.0)
        assert done["step"] == step and "time is up" in lines[-1]
    assert state(tmp_path / "straight")[1] == state(tmp_path / "steps")[1]
    assert same(state(tmp_path / "straight")[0], state(tmp_path / "steps")[0])
    assert len(list((tmp_path / "steps").glob("last-*"))) == 1


def test_the_curve_has_a_row_an_epoch(heads: HeadShards, tmp_path: Path) -> None:
    run(replace(TINY, accumulate=2), [heads], tmp_path)
    with open(tmp_path / CURVE, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["epoch"], r["step"], r["stage"]) for r in rows] == [("1", "2", "heatmap"), ("2", "4", "all")]
    assert all(float(value) >= 0 for row in rows for name, value in row.items() if name != "stage")


def test_the_learning_rate_is_halved_when_nothing_gets_better(heads: HeadShards, tmp_path: Path) -> None:
    config = replace(TINY, loss=LossConfig(0, 0, 0, 0), epochs=7, pretrain_epochs=0, steps_per_epoch=1, patience_epochs=2)
    done, _ = run(config, [heads], tmp_path)  # a loss that is always 0
    assert [row["learning_rate"] for row in done["history"]] == [1e-3] * 3 + [5e-4] * 2 + [2.5e-4] * 2


def test_pretraining_learns_heat_maps_only(heads: HeadShards, tmp_path: Path) -> None:
    torch.manual_seed(TINY.seed)
    run(replace(TINY, epochs=1), [heads], tmp_path)
    network = load_network(tmp_path / BEST)
    torch.manual_seed(TINY.seed)
    fresh = type(network)(TINY.network)
    assert torch.equal(network.pose_direct.weight, fresh.pose_direct.weight)
    assert torch.equal(network.visibility.weight, fresh.visibility.weight)
    assert not torch.equal(network.heatmaps.weight, fresh.heatmaps.weight)


def test_batches_follow_from_their_number(heads: HeadShards) -> None:
    split = split_faces([heads], TINY)
    assert not set(split.training) & set(split.validation) and len(split.validation) == 6 and len(split.training) == 450
    whole = [b.images for b in load_batches([heads], split.training, TINY, batches=4)]
    later = [b.images for b in load_batches([heads], split.training, TINY, batches=4, start=2)]
    assert all(map(torch.equal, whole[2:], later)) and not torch.equal(whole[0], whole[1])
    parts = [[b.images for b in load_batches([heads], split.training, TINY, batches=4, rank=r, world=2)] for r in (0, 1)]
    for i, batch in enumerate(whole):
        assert torch.equal(batch[0::2], parts[0][i]) and torch.equal(batch[1::2], parts[1][i])
    worker = [b.images for b in load_batches([heads], split.training, replace(TINY, workers=1), batches=2)]
    assert all(map(torch.equal, whole, worker))
    seen = np.concatenate([b.targets.pose[:, 0] for b in load_batches([heads], split.training, replace(TINY, augment=STILL), batches=113)])
    assert len(np.unique(seen[:450])) == 450  # every face once before any comes again


def test_sources_mix(heads: HeadShards, tmp_path: Path) -> None:
    reader = ReaderFaces(load("heads"), SCHEME, split="test", pose="labels")
    np.testing.assert_allclose(reader.labels.rotation_crop_ray, heads.labels.rotation_crop_ray)
    posed = ReaderFaces(load("heads"), SCHEME, split="hard")
    assert len(posed.labels) == 200 and np.isfinite(posed.labels.rotation_crop_ray).all()
    plain = Few(heads, 20, 1)
    plain.labels = replace(
        plain.labels, rotation_crop_ray=np.full((20, 3, 3), np.nan), occlusion=np.full((20, 68), 3, np.uint8), person=np.array(["one"] * 20)
    )
    for seed in range(12):  # one person's faces stay together
        split = split_faces([plain, posed], replace(TINY, validation_faces=0, seed=seed))
        assert {*range(20)} & {*split.validation} in (set(), {*range(20)}) and len(split.training) + len(split.validation) == 220
    done, _ = run(TINY, [plain, posed], tmp_path)
    assert done["finished"] and all(np.isfinite(v) for row in done["history"] for v in row.values() if isinstance(v, float))


def test_one_person_in_two_sources_is_on_one_side(heads: HeadShards) -> None:
    contour = ReaderFaces(load("heads"), "ibug68-contour", split="test", labels="contour", pose="labels")
    backwards = HeadShards(PackedHeads(SHARD), "ibug68-contour")
    backwards.labels = backwards.labels.take(np.arange(500)[::-1])
    who = sorted(load("heads").found_ids("test"))
    for other, names in ((contour, who), (backwards, who[::-1])):
        split = split_faces([heads, other], replace(TINY, validation_faces=0))
        sides = [{[*who, *names][face] for face in part} for part in split]
        assert len(sides[1]) == 50 and len(split.validation) == 100 and not sides[0] & sides[1]


def test_splits_are_those_that_trainings_began_with(heads: HeadShards) -> None:
    """Recomputed as they once were: by names with the number of the source, heads by their number."""
    reader = ReaderFaces(load("heads"), SCHEME, split="hard", pose="labels")
    own = Few(heads, 30, 1)
    for seed, sources, names in (
        (0, [heads], [f"0 head {i}" for i in range(500)]),
        (5, [own, reader], [f"0 {i}" for i in range(30)] + [f"1 {i}" for i in sorted(load("heads").found_ids("hard"))]),
    ):
        shuffled = np.random.default_rng([seed, 0]).permutation(len(names))
        held_out = {sorted(names)[k] for k in shuffled[: len(names) // 10]}
        split = split_faces(sources, replace(TINY, validation_faces=0, seed=seed))
        assert {names[face] for face in split.validation} == held_out and len(split.training) == len(names) - len(held_out)


def test_an_encoder_of_its_own(heads: HeadShards, tmp_path: Path) -> None:
    config = replace(TINY, network=replace(TINY.network, dense=False), pretrain_epochs=0, precision="bf16")
    done, _ = run(config, [heads], tmp_path)
    assert done["finished"] and np.isnan(done["history"][0]["validation_nme_percent"])
    assert load_network(tmp_path / BEST).config == config.network


def test_starts_from_other_weights(heads: HeadShards, tmp_path: Path) -> None:
    run(TINY, [heads], tmp_path / "first", trained_on=["cofw:train"])
    first = (tmp_path / "first" / BEST).read_bytes()
    still = replace(TINY, pretrain_epochs=0, epochs=1, learning_rate=1e-12)
    begun, _ = run(still, [heads], tmp_path / "then", trained_on=["heads:train"], start_from=tmp_path / "first" / BEST)
    then = (tmp_path / "then" / BEST).read_bytes()
    a, b = network_of(first, "first").state_dict(), network_of(then, "then").state_dict()
    kernels = [name for name in a if name.endswith("weight")]
    assert kernels and all(torch.allclose(a[name], b[name], atol=1e-9) for name in kernels)  # the rate is next to nothing
    facts = training_facts(then, "then")
    assert facts["trained_on"] == ["cofw:train", "heads:train"] and [f["epoch"] for f in facts["before"]] == [2]
    assert begun["finished"]

    third, _ = run(still, [heads], tmp_path / "third", start_from=tmp_path / "then" / BEST)
    facts = training_facts((tmp_path / "third" / BEST).read_bytes(), "third")
    assert third["trained_on"] == ["cofw:train", "heads:train"] and [f["epoch"] for f in facts["before"]] == [2, 1]
    with pytest.raises(InputError, match="other settings .start_from"):
        run(still, [heads], tmp_path / "third", start_from=tmp_path / "first" / BEST)
    with pytest.raises(InputError, match=r"another network: give its settings .widths = "):
        run(replace(TINY, network=NetworkConfig(input_px=16, widths=(4, 4))), [heads], tmp_path / "x", start_from=tmp_path / "first" / BEST)
    with pytest.raises(InputError, match=r"none\.safetensors: cannot be read"):
        run(TINY, [heads], tmp_path / "x", start_from=tmp_path / "none.safetensors")


def test_other_settings_or_damage_are_refused(heads: HeadShards, tmp_path: Path) -> None:
    run(replace(TINY, epochs=1), [heads], tmp_path)
    for config, sources, key in (
        (replace(TINY, learning_rate=0.1), [heads], "learning_rate"),
        (replace(TINY, network=NetworkConfig(input_px=16, widths=(8,))), [heads], "network"),
        (TINY, [heads, heads], "faces"),
    ):
        with pytest.raises(InputError, match=key):
            run(config, sources, tmp_path)
    (tmp_path / "training.pt").write_bytes((tmp_path / "training.pt").read_bytes()[:500])
    with pytest.raises(InputError, match="damaged"):
        run(TINY, [heads], tmp_path)
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    for name in ("x.safetensors", "none.safetensors"):
        with pytest.raises(InputError, match=name):
            load_network(tmp_path / name)


def test_other_data_of_the_same_count_do_not_go_on(heads: HeadShards, tmp_path: Path) -> None:
    few = Few(heads, 20, 1)
    run(replace(TINY, epochs=1), [few], tmp_path)
    moved = Few(heads, 20, 1)
    for name in ("landmarks_px", "box_xyxy_px"):
        moved.labels = replace(few.labels, **{name: getattr(few.labels, name) + 1e-3})
        with pytest.raises(InputError, match="other settings .data.*same settings and data"):
            run(TINY, [moved], tmp_path)
    moved.labels = replace(few.labels, person=few.labels.person[::-1])
    with pytest.raises(InputError, match="other settings .data"):
        run(TINY, [moved], tmp_path)
    saved = torch.load(tmp_path / "training.pt", weights_only=True)
    del saved["settings"]["data"]  # as trainings were written before
    torch.save(saved, tmp_path / "training.pt")
    assert run(TINY, [few], tmp_path)[0]["finished"]


@pytest.mark.parametrize(
    "changed",
    [None, [], {}, {"step": "x"}, {"step": -1}, {"best": "x"}, {"learning_rate": None}, {"sums": [0.0]}, {"sums": ["0"] * 4},
     {"history": [3]}, {"history": [{}]}, {"trained_on": [3]}],
)  # fmt: skip
def test_damaged_progress_is_one_sentence(heads: HeadShards, tmp_path: Path, changed: Any) -> None:
    few = Few(heads, 20, 1)
    run(TINY, [few], tmp_path, time_limit_min=0.0)
    saved = torch.load(tmp_path / "training.pt", weights_only=True)
    saved["progress"] = saved["progress"] | changed if isinstance(changed, dict) and changed else changed
    torch.save(saved, tmp_path / "training.pt")
    with pytest.raises(InputError, match=r"training\.pt: the training there cannot be read: damaged"):
        run(TINY, [few], tmp_path)


def test_a_training_that_diverges_says_so_and_writes_nothing(heads: HeadShards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = Few(heads, 20, 1)
    for steps in (1, 2):  # seen in validation, or in the next step
        with pytest.raises(InputError, match="epoch 1: the loss is not finite: a lower learning rate"):
            run(replace(TINY, learning_rate=1e30, steps_per_epoch=steps), [few], tmp_path / "none")
    assert not list(tmp_path.iterdir())
    run(TINY, [few], tmp_path / "good")
    before = {path.name: path.read_bytes() for path in (tmp_path / "good").iterdir()}
    monkeypatch.setattr("hpbench.mnn.train.validate", lambda *_, **__: {"loss": float("nan")})
    with pytest.raises(InputError, match="epoch 3: the loss is not finite"):
        run(replace(TINY, epochs=3), [few], tmp_path / "good")
    assert {path.name: path.read_bytes() for path in (tmp_path / "good").iterdir()} == before


def test_where_nothing_can_be_written_is_said_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(InputError, match="file.*cannot be written"):
            run(TINY, [object()], folder)  # no source is looked at
    check_writable(tmp_path / "new" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_one_step_is_one_pass_whatever_is_accumulated(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[TrainConfig] = []

    def listen(config: TrainConfig, *_: Any, **__: Any) -> dict[str, Any]:
        tried.append(config)
        return {"history": [{"step": 1}]}

    monkeypatch.setattr("hpbench.mnn.train.train", listen)
    assert try_one_step(replace(TINY, accumulate=10_000), []) == {"step": 1} and tried[0].accumulate == 1


def test_settings_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text('epochs = 3\nprecision = "bf16"\n[network]\ninput_px = 128\nwidths = [32, 64, 128]\n[loss]\npose = 0.25\n')
    config = build(TrainConfig, read_toml(path), str(path))
    assert config.network.widths == (32, 64, 128) and config.loss.pose == 0.25 and config.augment == AugmentConfig()


@pytest.mark.parametrize(
    "text",
    ["epoch = 3", "[network]\nwidth = [3]", "batch_size = 1", 'precision = "fp16"', "validation_share = 1.0", "[augment]\nmirror = 2",
     "epochs = 0", "workers = -1", "pretrain_epochs = 1\n[network]\ndense = false", "threads = 257", "workers = 257",
     "seed = 9223372036854775808", "accumulate = 10001", "[network]\nblocks = 17", "[network]\ninput_px = 2048",
     "[network]\nwidths = [8192]"],
)  # fmt: skip
def test_settings_that_cannot_be(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        build(TrainConfig, read_toml(path), str(path))
    assert "\n" not in str(caught.value) and str(caught.value).endswith((".", "?"))


def test_the_command(tmp_path: Path) -> None:
    from hpbench.cli.train import train as command

    settings = tmp_path / "tiny.toml"
    text = "pretrain_epochs = 0\nsteps_per_epoch = 1\nbatch_size = 4\nworkers = 0\n[network]\ninput_px = 16\nwidths = [4]\n"
    settings.write_text(text)
    out = tmp_path / "out"
    given = ["mnn", "--data", str(SHARD.parent), "-o", str(out), "--config", str(settings), "--epochs", "1", "--seed", "3"]
    given += ["--allow-test-data"]
    done = CliRunner().invoke(command, [*given, "--device", "cpu"], catch_exceptions=False)
    assert done.exit_code == 0 and done.stdout == f"{out / BEST}\n" and "epoch 1 (all)" in done.stderr
    with pytest.raises(InputError, match="no shards"):
        CliRunner().invoke(command, ["mnn", "--data", str(tmp_path / "none"), "-o", str(out)], catch_exceptions=False)
