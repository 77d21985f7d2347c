"""Recipes and training data: the paper's settings and numbers, faces found in the original formats, test faces refused."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import test_reader_300wlp as lp
import test_reader_aflw as aflw
from hypothesis import given
from hypothesis import strategies as st
from miniatures.paper_sets import write_paper_sets

from hpbench.catalog import dataset_card, dataset_cards, protocol_named, protocols_of, split_ids
from hpbench.checked import build
from hpbench.errors import InputError, MissingDataError
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.landmarks import scheme_named
from hpbench.metrics import parse_metric
from hpbench.mnn.config import AugmentConfig, NetworkConfig, TrainConfig
from hpbench.mnn.recipes import (
    FacesWanted,
    merged,
    parse_faces,
    parse_setting,
    recipe_named,
    recipe_names,
    settings_text,
)
from hpbench.mnn.sources import common_scheme, find_faces, held_out_ids, open_source, settled, splits_for_tests
from hpbench.readers import load
from hpbench.readers.derived_pose import derived_rotation
from hpbench.reproduce import paper_numbers

HEADS = Path(__file__).parents[1] / "datasets/heads"
POINTS = {"300w": 68, "300w-lp": 68, "300w-private": 68, "aflw": 21, "cofw": 29, "wflw": 98}
COUNTS = {"300w": 5, "300w-lp": 10, "300w-private": 12, "aflw": 16, "cofw": 9, "wflw": 6}  # with a box or without
NUMBERS = [  # as printed in the paper: recipe, protocol, subset, metric, value
    ("cofw", "cofw/pose", "all", "mae(convention=yxz)", 2.36),
    ("cofw", "cofw/test", "all", "nme(norm=pupils)", 5.65),
    ("cofw", "cofw/visibility", "all", "recall(precision=80)", 72.12),
    ("300w", "300w/pose-full", "all", "mae(convention=yxz)", 1.59),
    ("300w-private", "300w/pose-private", "all", "mae(convention=yxz)", 1.96),
    ("wflw", "wflw/pose", "all", "mae(convention=yxz)", 2.08),
    ("aflw", "aflw/pose-derived", "all", "mae(convention=yxz)", 3.22),
    ("aflw", "aflw/landmarks-all", "yaw above 60", "nme(norm=height)", 1.89),
    ("300w-lp", "aflw2000/pose-1969", "all", "mae(convention=300w-lp)", 3.83),
    ("300w-lp", "aflw2000/pose-1969", "all", "mae(angle=pitch,convention=300w-lp)", 4.69),
    ("300w-lp", "aflw2000/pose-derived", "all", "mae(convention=300w-lp)", 1.71),
    ("300w-lp", "aflw2000/landmarks-reannotated", "all", "nme(norm=height)", 2.77),
    ("300w-lp", "biwi/depth-15678-depthbox", "all", "mae(convention=300w-lp)", 3.66),
]  # fmt: skip


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets")
    write_paper_sets(root)
    return root


# ------------------------------------------------------------------------------------------------- recipes


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_the_papers(name: str) -> None:
    recipe = recipe_named(name)
    config = merged([recipe.training], name)
    assert config.network == NetworkConfig(scheme=config.network.scheme)
    assert (config.network.input_px, config.network.stages, config.network.landmarks) == (256, 9, POINTS[name])
    assert (config.learning_rate, config.patience_epochs, config.validation_share, config.epochs) == (1e-3, 15, 0.1, 400)
    assert 0 < config.pretrain_epochs < config.epochs
    assert config.augment == AugmentConfig(turn_deg=45, scale=0.15, shift=0.05, mirror=0.5, colour=0.5)
    assert (config.loss.visibility > 0) == (name == "cofw")  # the only set with labels of occlusion
    assert all(faces.pose == "derived" for faces in recipe.data)
    assert tomllib.loads(settings_text(config))["network"]["scheme"] == config.network.scheme


def test_no_recipe_is_forgotten() -> None:
    assert set(recipe_names()) == set(POINTS) == set(COUNTS)
    with pytest.raises(InputError, match="did you mean 'cofw'"):
        recipe_named("cowf")


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_tested_where_the_paper_has_numbers(name: str) -> None:
    recipe = recipe_named(name)
    assert len({protocol_named(p).boxes for p in recipe.tests}) == len({p.partition("/")[0] for p in recipe.tests})  # one run a dataset
    for protocol in recipe.tests:
        numbers = paper_numbers(protocol)
        assert numbers and len({n.claim for n in numbers}) == len(numbers)
        for number in numbers:
            assert parse_metric(number.metric).text == number.metric
            assert number.subset in ("all", *(s.name for s in protocol_named(protocol).subsets))


@pytest.mark.parametrize(("recipe", "protocol", "subset", "metric", "value"), NUMBERS)
def test_published_numbers_are_those_printed(recipe: str, protocol: str, subset: str, metric: str, value: float) -> None:
    assert protocol in recipe_named(recipe).tests
    (number,) = (n for n in paper_numbers(protocol) if (n.subset, n.metric, n.variant) == (subset, metric, "MNN"))
    assert number.value == value


# ------------------------------------------------------------------------------------------------- settings


def test_later_settings_count_over_earlier_ones() -> None:
    recipe = recipe_named("cofw")
    single = map(parse_setting, ("network.widths=[8]", "loss.pose=2"))
    tables = [recipe.training, {"batch_size": 8, "network": {"input_px": 32}}, *single]
    config = merged(tables, "test")
    assert (config.batch_size, config.network, config.loss.pose) == (8, NetworkConfig(input_px=32, widths=(8,), scheme="cofw29"), 2.0)
    assert config.loss.visibility == 10.0 and config.epochs == 400 and recipe == recipe_named("cofw")
    assert parse_setting("precision=bf16") == parse_setting('precision = "bf16"') == {"precision": "bf16"}


@pytest.mark.parametrize("text", ["epochs", "=3", "a b=3", "epochs=3\nseed=4", ""])
def test_a_setting_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InputError, match="key=value"):
        parse_setting(text)


@pytest.mark.parametrize(
    ("table", "word"), [({"epoch": 3}, "'epochs'"), ({"network": {"width": [3]}}, "'widths'"), ({"network": 3}, "a table")]
)
def test_unknown_settings_are_refused(table: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        merged([recipe_named("cofw").training, table], "recipe cofw, mine.toml")
    assert str(caught.value).startswith("recipe cofw, mine.toml") and "\n" not in str(caught.value)


@given(
    st.builds(
        TrainConfig,
        epochs=st.integers(1, 10**6),
        learning_rate=st.floats(1e-300, 1e300),
        occluded=st.sampled_from(["both", "external"]),
        network=st.builds(NetworkConfig, widths=st.lists(st.integers(1, 50).map(lambda n: 2 * n), min_size=1, max_size=9).map(tuple)),
        augment=st.builds(AugmentConfig, turn_deg=st.floats(0, 180), mirror=st.floats(0, 1)),
    )
)
def test_settings_as_text_are_the_settings(config: TrainConfig) -> None:
    assert build(TrainConfig, tomllib.loads(settings_text(config)), "text") == config


def test_the_scheme_is_the_datas_unless_settings_say_one() -> None:
    assert settled([{}, {"epochs": 3}], ["cofw29"], "x").network.scheme == "cofw29"
    assert settled([{"network": {"scheme": "wflw98"}}], ["cofw29"], "x").network.scheme == "wflw98"
    assert common_scheme(["wflw98", "ibug68-contour"]) == "ibug68-contour"
    assert common_scheme(["ibug68-fixed", "wflw98", "cofw29", "ibug68-contour"]) == "cofw29"
    with pytest.raises(InputError, match=r"ibug68-fixed, ibug68-contour.*network\.scheme"):
        common_scheme(["ibug68-fixed", "ibug68-contour"])


# ------------------------------------------------------------------------------------------------- data


@pytest.mark.parametrize("name", recipe_names())
def test_faces_of_a_recipe_are_found_and_labelled(name: str, sets: Path) -> None:
    recipe = recipe_named(name)
    (wanted,) = recipe.data
    found = find_faces(wanted, [sets], allow_test_data=recipe.allow_test_data)
    scheme = merged([recipe.training], name).network.scheme
    assert found.count == COUNTS[name] and found.expected == dataset_card(wanted.dataset).splits[wanted.split] and found.scheme == scheme
    pytest.importorskip("torch")
    source = open_source(found, scheme)
    labels = source.labels
    assert len(labels) <= found.count and labels.landmarks_px.shape[1] == scheme_named(scheme).n_points
    dataset = load(wanted.dataset, sets / wanted.dataset)
    ids = [i for i in dataset.found_ids(wanted.split, wanted.labels) if i not in found.left_out]
    truth = dataset.truth_of(ids, wanted.labels)
    boxes = dataset.boxes_of("", ids)
    keep = np.isfinite(boxes).all(axis=1) & np.isfinite(truth.landmarks).any(axis=(1, 2))  # type: ignore[arg-type]
    np.testing.assert_array_equal(labels.landmarks_px, truth.landmarks[keep])  # type: ignore[index]
    rotation = derived_rotation(truth.landmarks[keep], scheme, boxes[keep], "anny-1")  # type: ignore[index]
    np.testing.assert_array_equal(labels.rotation_crop_ray, rotation)
    assert source.image(0).dtype == np.uint8
    if name == "cofw":  # labels of occlusion; nothing but visible points in AFLW; none elsewhere
        np.testing.assert_array_equal(labels.occlusion, truth.occlusion)
    elif name == "aflw":
        assert set(np.unique(labels.occlusion)) == {0, 3} and (np.isnan(labels.landmarks_px[..., 0]) == (labels.occlusion == 3)).all()
    else:
        assert (labels.occlusion == 3).all()


def test_300w_lp_is_trained_on_its_corrected_points_by_photographs(sets: Path) -> None:
    pytest.importorskip("torch")
    labels = open_source(find_faces(recipe_named("300w-lp").data[0], [sets]), "ibug68-fixed").labels
    np.testing.assert_array_equal(labels.landmarks_px, lp.LATER[: len(lp.NOFLIP), 1].astype(np.float32))
    assert len(np.unique(labels.person)) == 7 < 10  # AFW 134212_1 was rendered three times
    own = open_source(find_faces(parse_faces("300w-lp:noflip:pts-3d:labels"), [sets]), "ibug68-fixed").labels
    np.testing.assert_allclose(own.rotation_crop_ray, rotation_from_euler(truth_angles(), "300w-lp"), atol=1e-5)


def truth_angles() -> np.ndarray:
    """Yaw, pitch, roll in degrees of the files' pitch, yaw, roll in radians."""
    return np.rad2deg(lp.ANGLES[: len(lp.NOFLIP), [1, 0, 2]].astype(float))


def test_held_out_faces_are_the_same_whoever_asks(sets: Path) -> None:
    ids = [str(i) for i in range(4000)]
    out = held_out_ids(ids, 0.2)
    assert out == {i for i in ids if int.from_bytes(hashlib.sha256(i.encode()).digest()[:4], "big") / 2**32 < 0.2}
    assert out & held_out_ids(ids[::3], 0.2) == held_out_ids(ids[::3], 0.2) and 700 < len(out) < 900
    assert not held_out_ids(ids, 0.0) and held_out_ids(ids, 0.1) < out
    found = find_faces(recipe_named("aflw").data[0], [sets])
    assert found.left_out == held_out_ids([str(i) for i in aflw.IDS], 0.2) and found.trained_on == ("aflw",)
    with pytest.raises(InputError, match="held_out"):
        FacesWanted("aflw", held_out=1.0)


@pytest.mark.parametrize("text", ["", ":train", "cofw:train::derived:x", "cofw:train::own"])
def test_data_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InputError, match="--dataset"):
        parse_faces(text)


def test_data_by_name() -> None:
    assert parse_faces("300w-lp:noflip:pts-3d:labels") == FacesWanted("300w-lp", "noflip", "pts-3d", "labels")
    assert parse_faces("cofw") == FacesWanted("cofw") and parse_faces("cofw").name == "cofw"
    assert parse_faces("cofw:train::labels").name == "cofw:train::labels"


# ------------------------------------------------------------------------------------------------- test faces


def listed_and_tested() -> Iterator[tuple[str, str]]:
    for card in dataset_cards().values():
        for split in {p.split for p in protocols_of(card)}:
            if split not in card.open_splits:
                yield card.id, split


def test_every_list_that_a_protocol_tests_on_is_kept_for_tests() -> None:
    pairs = sorted(listed_and_tested())
    assert {("heads", "test"), ("heads", "hard"), ("aflw2000", "all"), ("cofw", "test"), ("300w", "private")} <= set(pairs)
    for dataset, split in pairs:
        assert split in splits_for_tests(dataset_card(dataset))
    open_and_kept = {(c.id, s) for c in dataset_cards().values() for s in splits_for_tests(c) if s in c.open_splits}
    assert open_and_kept == {
        ("aflw-release", "full"), ("aflw-release", "frontal"), ("menpo", "frontal-test"), ("menpo", "profile-test"),
        ("menpo", "frontal-train"), ("panoptic", "test"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cofw:test", "cofw/.*there is cofw:train;.*--allow-test-data"),
        ("wflw:test", "test/1 is tested on by wflw/"),
        ("300w:full", "300w/full"),
        ("300w:private-indoor", "indoor_001 is tested on by 300w/"),  # a part of a list
        ("300w:train-private", "300w/"),  # holds the public test set
        ("aflw2000", "all of its splits"),
        ("aflw2000:all", "aflw2000/"),
        ("300w", "which split"),
        ("cofw:tset", "did you mean 'test'"),
        ("cowf", "did you mean 'cofw'"),
        ("heads:test", "heads/"),
    ],
)
def test_test_faces_are_refused(text: str, words: str, sets: Path) -> None:
    data = [HEADS] if text.startswith("heads") else [sets]
    with pytest.raises(InputError, match=words) as caught:
        find_faces(parse_faces(text), data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [("cofw", "cofw:train"), ("wflw", "wflw:train"), ("aflw", "aflw:all"), *((t, t) for t in ("300w-lp:all", "300w:train-public"))],
)
def test_others_are_not(text: str, says: str, sets: Path) -> None:
    assert find_faces(parse_faces(text), [sets]).trained_on == (says,)


def test_shards_are_known_by_their_heads(tmp_path: Path) -> None:
    shard = tmp_path / "heads-train-5-0000000.zip"  # a name that says otherwise
    shard.write_bytes((HEADS / "heads-hard-1-0000000.zip").read_bytes())
    with pytest.raises(InputError, match="hard-1-0000000 is tested on by heads/.*hpbench render heads"):
        find_faces(FacesWanted("heads"), [tmp_path])
    found = find_faces(FacesWanted("heads"), [tmp_path], allow_test_data=True)
    assert found.trained_on == ("heads:hard",) and found.count == 200
    both = find_faces(FacesWanted("heads", labels="contour"), [HEADS], allow_test_data=True)
    assert both.trained_on == ("heads:hard", "heads:test") and both.scheme == "ibug68-contour"
    for given_, words in (([tmp_path / "none"], "no shards"), ([], "--data")):
        with pytest.raises(InputError, match=words):
            find_faces(FacesWanted("heads"), given_)


def test_allowed_test_data_is_told(sets: Path) -> None:
    assert find_faces(parse_faces("cofw:test"), [sets], allow_test_data=True).trained_on == ("cofw:test",)
    assert find_faces(parse_faces("aflw2000:all"), [sets], allow_test_data=True).count == 20
    with pytest.raises(MissingDataError, match="COFW_color.zip"):
        find_faces(parse_faces("cofw"), [sets / "wflw"])
    assert split_ids(dataset_card("cofw"), "test") is not None


def test_no_map_between_schemes(sets: Path) -> None:
    pytest.importorskip("torch")
    with pytest.raises(InputError, match=r"training data cofw:train: there is no landmark map from cofw29 to wflw98"):
        open_source(find_faces(parse_faces("cofw"), [sets]), "wflw98")
    labels = open_source(find_faces(parse_faces("wflw"), [sets]), "cofw29").labels
    assert labels.landmarks_px.shape == (6, 29, 2) and labels.scheme == "cofw29"
