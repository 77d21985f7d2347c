"""The catalog: the shipped cards and protocols are whole, private ones are added, hashes know every value."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from pathlib import Path

import pytest

from hpbench.catalog import (
    Protocol,
    catalog_root,
    catalog_roots,
    dataset_card,
    dataset_cards,
    model_card_from,
    model_cards,
    overlaps,
    protocol_named,
    protocols_of,
    roots,
    seen_test_images,
    split_ids,
)
from hpbench.errors import InputError
from hpbench.metrics import parse_metric

CARD = """
id = "mine"
title = "My faces"
reader = "aflw2000"
licence = "mine"
redistribution = ""
homepage = ""
obtain = ""
layout = ""
citation = ""
default_boxes = "landmarks"
[splits]
all = 3
[boxes.landmarks]
source = "landmarks"
"""
PROTOCOL = """id = "mine/pose"
version = 1
title = "Pose"
dataset = "mine"
split = "all"
boxes = "landmarks"
main = "geodesic"
metrics = ["geodesic", "mae(convention=yxz)"]
exclude = { rule = "any-angle-above", deg = 99.0 }
subsets = [
  { name = "small", attribute = "yaw", up_to = 30.0 },
  { name = "large", attribute = "yaw", above = 30.0 },
]
balance = ["small"]
trained_on = "300w-lp"
"""
IDS = "a\nb\nc\n"


def write_dataset(root: Path, card: str = CARD, protocol: str = PROTOCOL, ids: str = IDS, name: str = "mine") -> Path:
    folder = root / "datasets" / name
    for part, text in {"card.toml": card, "protocols/pose.toml": protocol, "splits/all.txt": ids}.items():
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        (folder / part).write_bytes(text.encode())
    return root


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HPBENCH_CATALOG", str(tmp_path / "private"))
    return write_dataset(tmp_path / "private")


def sentence(caught: pytest.ExceptionInfo[InputError]) -> str:
    message = str(caught.value)
    assert "\n" not in message and message.endswith((".", "?"))
    return message


# ---------------------------------------------------------------------------------------------- what is shipped


def all_protocols() -> list[Protocol]:
    return [protocol for card in dataset_cards().values() for protocol in protocols_of(card)]


def test_shipped_datasets_are_whole() -> None:
    cards = dataset_cards()
    assert "aflw2000" in cards and list(cards) == sorted(cards)
    folders = [p for p in (catalog_root() / "datasets").iterdir() if p.is_dir()]
    assert {p.name for p in folders} == set(cards)
    for card in cards.values():
        assert card.splits and protocols_of(card) and card.licence and card.obtain
        listed = {p.stem for p in (card.folder / "splits").glob("*")}
        assert listed == set(card.splits) - set(card.open_splits)
        for split, count in card.splits.items():
            ids = split_ids(card, split)
            if split in card.open_splits:
                assert ids is None and count > 0
                continue
            assert len(ids) == len(set(ids)) == count and ids == sorted(ids)
            assert all(i == i.strip() and i.isprintable() for i in ids)
    assert split_ids(cards["aflw2000"], "all")[0] == "image00002"


def test_shipped_protocols_are_whole() -> None:
    protocols = all_protocols()
    assert len({p.sha256 for p in protocols}) == len({p.id for p in protocols}) == len(protocols) >= 44
    for protocol in protocols:
        card = dataset_card(protocol.dataset)
        assert protocol.main in protocol.metrics and len(set(protocol.metrics)) == len(protocol.metrics)
        for text in (*protocol.metrics, *protocol.failures):
            assert parse_metric(text).text == text
        names = [s.name for s in protocol.subsets]
        assert len(set(names)) == len(names) and set(protocol.balance) <= set(names)
        assert any(parse_metric(m).balanced for m in protocol.metrics) <= bool(protocol.balance)
        assert protocol.boxes in card.boxes and protocol.version >= 1
        assert re.fullmatch("[0-9a-f]{64}", protocol.sha256)
        assert protocol_named(protocol.id) == protocol_named(protocol.reference) == protocol


def test_shipped_models_are_whole() -> None:
    cards = model_cards()
    assert cards and {p.parent.name for p in (catalog_root() / "baselines").glob("*/card.toml")} == set(cards)
    for name, card in cards.items():
        assert card.id == name and card.path.is_file() and card.title


def test_the_cards_of_mnn_count_their_weights() -> None:
    """The numbers in the shipped files: of the network without running statistics, of the encoder's model without the decoder."""
    cards = model_cards()

    def numbers(file: str) -> dict[str, int]:
        data = (cards["mnn"].folder / file).read_bytes()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])  # of safetensors: names, kinds and shapes
        return {name: math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"}

    network = {name: n for name, n in numbers("mnn.safetensors").items() if not re.search(r"\.(running_|num_batches_)", name)}
    decoding = ("decoder.", "heatmaps.", "visibility.")
    assert all(any(name.startswith(part) for name in network) for part in decoding)
    assert cards["mnn"].parameters == sum(network.values())
    assert cards["mnn-encoder"].parameters == sum(n for name, n in network.items() if not name.startswith(decoding))
    assert cards["mnn+or"].parameters == sum(network.values()) + sum(numbers("trees.safetensors").values())


# --------------------------------------------------------------------------------------------------- hash


def sha256_of(root: Path, **changes: str) -> str:
    write_dataset(root, **changes)
    return protocol_named("mine/pose").sha256


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version = 1", "version = 2"),
        ('title = "Pose"', 'title = "Pose "'),
        ("deg = 99.0", "deg = 98.0"),
        ("up_to = 30.0", "up_to = 30.000001"),
        ('main = "geodesic"', 'main = "mae(convention=yxz)"'),
        ('["geodesic", "mae(convention=yxz)"]', '["mae(convention=yxz)", "geodesic"]'),
        ('balance = ["small"]', "balance = []"),
        ('balance = ["small"]', 'balance = ["large"]'),
        ('trained_on = "300w-lp"', 'trained_on = "é"'),
        ("exclude = {", "# exclude = {"),
        ("version = 1\n", 'version = 1\nnorm_box = "landmarks"\n'),
        ("version = 1\n", "version = 1\nfailures = { geodesic = 90.0 }\n"),
        ("version = 1\n", 'version = 1\ncluster_by = "person"\n'),
        ("version = 1\n", "version = 1\neye_norms = true\n"),
    ],
)
def test_the_hash_knows_every_value(private: Path, old: str, new: str) -> None:
    before = sha256_of(private)
    assert PROTOCOL.count(old) == 1
    assert sha256_of(private, protocol=PROTOCOL.replace(old, new)) != before
    assert sha256_of(private) == before


def test_the_hash_knows_the_split(private: Path) -> None:
    hashes = {sha256_of(private, ids=ids) for ids in ("a\nb\nc\n", "a\nb\nd\n", "a\nbc\nd\n", "ab\nc\nd\n")}
    assert len(hashes) == 4


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: "# a comment\n" + text.replace("version = 1", "version=1   # bumped by hand"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n\n",
        lambda text: "\n".join(reversed(text.partition("exclude")[0].splitlines())) + "\nexclude" + text.partition("exclude")[2],
    ],
)
def test_the_hash_does_not_know_how_it_is_written(private: Path, rewrite: object) -> None:
    before = sha256_of(private)
    text = rewrite(PROTOCOL)
    assert text != PROTOCOL
    assert sha256_of(private, protocol=text) == before


@pytest.mark.parametrize("ids", ["a\r\nb\r\nc\r\n", "a\nb\nc", "a\nb\nc\n\n"])
def test_the_hash_does_not_know_the_line_ends_of_a_split(private: Path, ids: str) -> None:
    assert sha256_of(private, ids=ids) == sha256_of(private)


def test_the_hash_of_a_copy_elsewhere_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {p.id: p.sha256 for p in all_protocols()}
    shutil.copytree(catalog_root() / "datasets", tmp_path / "datasets")
    monkeypatch.setattr(roots, "catalog_root", lambda: tmp_path)
    assert {p.id: p.sha256 for p in all_protocols()} == before
    assert dataset_card("aflw2000").folder == tmp_path / "datasets" / "aflw2000"


# ------------------------------------------------------------------------------------------------ private roots


def test_a_private_root_adds_a_dataset(private: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(dataset_cards()) >= {"aflw2000", "mine"}
    card = dataset_card("mine")
    assert card.folder == private / "datasets" / "mine" and split_ids(card, "all") == ["a", "b", "c"]
    assert [p.reference for p in protocols_of(card)] == ["mine/pose@1"]
    second = write_dataset(tmp_path / "second", CARD.replace('"mine"', '"yours"'), PROTOCOL.replace("mine", "yours"), name="yours")
    monkeypatch.setenv("HPBENCH_CATALOG", os.pathsep.join(["", str(private), str(second), ""]))
    assert catalog_roots()[1:] == [private, second]
    assert {"mine", "yours"} <= set(dataset_cards())


def test_a_private_dataset_cannot_take_an_id(private: Path) -> None:
    write_dataset(private, CARD.replace('"mine"', '"aflw2000"'), name="aflw2000")
    with pytest.raises(InputError, match="a dataset 'aflw2000' exists already in") as caught:
        dataset_cards()
    assert str(private) in sentence(caught)


def test_a_private_model_cannot_take_an_id(private: Path) -> None:
    folder = private / "baselines" / "mine"
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text('id = "frontal"\ntitle = "x"\ntarget = "a:B"\n')
    with pytest.raises(InputError, match="a model 'frontal' exists already in") as caught:
        model_cards()
    sentence(caught)


def test_a_private_root_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "absent", tmp_path / "file"):
        monkeypatch.setenv("HPBENCH_CATALOG", str(bad))
        with pytest.raises(InputError, match="HPBENCH_CATALOG names .* which is no folder") as caught:
            catalog_roots()
        assert str(bad) in sentence(caught)


def test_where_the_catalog_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "hpbench"
    package.mkdir()
    monkeypatch.setattr(roots, "__file__", str(package / "catalog" / "roots.py"))
    with pytest.raises(InputError, match="install it again") as caught:
        catalog_root()
    sentence(caught)
    (tmp_path / "datasets").mkdir()
    with pytest.raises(InputError):  # any folder called datasets beside a package is not ours
        catalog_root()
    (tmp_path / "setup.cfg").write_text("")
    assert catalog_root() == tmp_path
    (package / "_catalog" / "datasets").mkdir(parents=True)
    assert catalog_root() == package / "_catalog"


# ---------------------------------------------------------------------------------------------------- bad cards


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "mine"', 'id = "other"', "id 'other' must be the name of its folder ('mine')"),
        ('id = "mine"', 'id = "../mine"', "may hold letters, digits"),
        ('id = "mine"', 'id = ""', "may hold letters, digits"),
        ('id = "mine"', 'id = ".mine"', "may hold letters, digits"),
        ('title = "My faces"', 'titel = "My faces"', "unknown key 'titel': did you mean 'title'?"),
        ('title = "My faces"', "", "the key 'title' is missing"),
        ('default_boxes = "landmarks"', 'default_boxes = "lm"', "default_boxes 'lm' is none of its boxes (landmarks)"),
        ("all = 3", 'all = "3"', "expected a whole number"),
        ('source = "landmarks"', 'sauce = "landmarks"', "did you mean 'source'?"),
        ('title = "My faces"', 'title = "My faces"\npose = "sideways"', "'sideways' is none of"),
    ],
)
def test_bad_cards(private: Path, old: str, new: str, message: str) -> None:
    assert CARD.count(old) == 1
    write_dataset(private, card=CARD.replace(old, new))
    with pytest.raises(InputError) as caught:
        dataset_cards()
    assert message in sentence(caught) and str(private / "datasets" / "mine" / "card.toml") in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "mine/pose"', 'id = "mine/other"', "do not fit the file's place"),
        ('dataset = "mine"', 'dataset = "aflw2000"', "do not fit the file's place"),
        ("version = 1", "version = 1.0", "expected a whole number"),
        ("version = 1", "verison = 1", "did you mean 'version'?"),
        ('main = "geodesic"', 'main = "ap"', "main 'ap' is none of its metrics"),
        ('name = "large"', 'name = "small"', "two subsets have one name"),
        ('name = "large"', 'name = "all"', "a subset cannot be called 'all'"),
        ('balance = ["small"]', 'balance = ["tiny"]', "names a subset that is not there"),
        ('boxes = "landmarks"', 'boxes = "official"', "boxes 'official' is no box set of mine"),
        ("version = 1\n", 'version = 1\nnorm_box = "official"\n', "norm_box 'official' is no box set of mine"),
        ("version = 1\n", 'version = 1\nsha256 = "00"\n', "unknown key 'sha256'"),
        ("any-angle-above", "any-angle", "'any-angle' is none of"),
        ("deg = 99.0", "deg = nan", "finite"),
        ('split = "all"', 'split = "al"', "has no split 'al': did you mean 'all'?"),
        ("version = 1\n", "version = 1\nversion = 2\n", "not valid TOML"),
    ],
)
def test_bad_protocols(private: Path, old: str, new: str, message: str) -> None:
    assert PROTOCOL.count(old) == 1
    write_dataset(private, protocol=PROTOCOL.replace(old, new))
    with pytest.raises(InputError) as caught:
        protocol_named("mine/pose")
    assert message in sentence(caught)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("a\nc\nb\n", "sorted and unique"),
        ("a\nb\nb\n", "sorted and unique"),
        ("a\nb\n", "2 ids, but card.toml says 3"),
        ("", "0 ids, but card.toml says 3"),
    ],
)
def test_bad_splits(private: Path, ids: str, message: str) -> None:
    write_dataset(private, ids=ids)
    with pytest.raises(InputError) as caught:
        split_ids(dataset_card("mine"), "all")
    assert message in sentence(caught) and "all.txt" in str(caught.value)


def test_splits_that_cannot_be_read(private: Path) -> None:
    path = private / "datasets" / "mine" / "splits" / "all.txt"
    path.write_bytes(b"a\n\xff\n")
    with pytest.raises(InputError, match="UTF-8"):
        split_ids(dataset_card("mine"), "all")
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        split_ids(dataset_card("mine"), "all")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("aflw200/pose-1969", "unknown dataset 'aflw200': did you mean 'aflw2000'?"),
        ("aflw2000/pose-1968", "did you mean 'aflw2000/pose-1969'?"),
        ("aflw2000/pose-1969@7", "is at version 1 here, not 7"),
        ("", "unknown protocol ''"),
    ],
)
def test_unknown_names(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        protocol_named(text)
    assert message in sentence(caught)


@pytest.mark.parametrize(
    "text",
    [
        "",
        'target = "a:B"\n[onnx]\nfile = "x"\n',
        'target = "a:B"\n[worker]\ncommand = ["x"]\n',
        '[onnx]\nfile = "x"\n[worker]\ncommand = ["x"]\n',
    ],
)
def test_a_model_card_has_a_target_or_onnx_or_a_worker(tmp_path: Path, text: str) -> None:
    (tmp_path / "card.toml").write_text('id = "m"\ntitle = "t"\n' + text)
    with pytest.raises(InputError, match="either a target"):
        model_card_from(tmp_path / "card.toml")


def test_overlaps_are_known_and_safe(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [o.tested_on for o in seen_test_images(("300w-lp",), "300w")] == ["300w"]
    assert seen_test_images(("cofw",), "cofw68") == []  # looks like an overlap, and is fair
    assert seen_test_images((), "300w") == []
    for overlap in overlaps():
        assert overlap.share in ("all", "most", "some", "none") and overlap.certainty in ("proved", "stated", "likely")
        assert overlap.reason and overlap.source
    (private / "datasets").mkdir(parents=True, exist_ok=True)
    (private / "datasets" / "overlaps.csv").write_text("trained_on,tested_on\na,b\n")
    with pytest.raises(InputError, match="line 2 does not have the columns"):
        overlaps()
