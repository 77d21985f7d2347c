"""Files of regression trees: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from chance_trees import chance_cascade, chance_outputs  # noqa: E402

from hpbench.errors import InputError  # noqa: E402
from hpbench.mnn.config import NetworkConfig  # noqa: E402
from hpbench.mnn.network import Network  # noqa: E402
from hpbench.mnn.or_file import check_network, load_cascade, load_notes, network_fingerprint, save_cascade  # noqa: E402
from hpbench.mnn.or_trees import Cascade  # noqa: E402

KEY = "hpbench.mnn.or"


def tiny(seed: int = 0, scheme: str = "aflw19") -> Network:
    torch.manual_seed(seed)
    return Network(NetworkConfig(input_px=16, widths=(4,), scheme=scheme)).eval()


def written(path: Path, header: dict[str, Any] | None = None, **tensors: Any) -> Path:
    """A sound file with parts of it replaced; None takes a tensor out."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    save_cascade(path, chance_cascade(0), made="by a test")
    with safe_open(path, framework="pt") as file:
        content, facts = {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()[KEY])
    content |= tensors
    save_file({n: t for n, t in content.items() if t is not None}, path, metadata={KEY: json.dumps(facts | (header or {}))})
    return path


def test_round_trip(tmp_path: Path) -> None:
    cascade, outputs = chance_cascade(1), chance_outputs(2, 5)
    path = tmp_path / "trees.safetensors"
    save_cascade(path, cascade, seen=7, words=["a"])
    for source in (path, path.read_bytes()):
        again = load_cascade(source)
        assert torch.equal(again.points(outputs), cascade.points(outputs))
        assert (again.config, again.scheme, again.network_sha256) == (cascade.config, cascade.scheme, cascade.network_sha256)
        assert load_notes(source) == {"seen": 7, "words": ["a"]}
    save_cascade(tmp_path / "again", load_cascade(path), seen=7, words=["a"])
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_no_stage_is_a_cascade(tmp_path: Path) -> None:
    save_cascade(tmp_path / "t", Cascade(chance_cascade(0).config, "aflw19", [], "0"))
    assert load_cascade(tmp_path / "t").points(chance_outputs(2, 2)).shape == (2, 19, 2)


def test_fingerprint_is_that_of_half_precision() -> None:
    network = tiny()
    first = network_fingerprint(network)
    packed = tiny(1)
    packed.load_state_dict({k: v.half().float() if v.is_floating_point() else v for k, v in network.state_dict().items()})
    assert network_fingerprint(packed) == first != network_fingerprint(tiny(1))
    with torch.no_grad():
        network.heatmaps.bias[0] += 0.01
    assert network_fingerprint(network) != first


def test_another_network_is_refused(tmp_path: Path) -> None:
    network = tiny()
    made = chance_cascade(0)
    save_cascade(tmp_path / "t", Cascade(made.config, made.scheme, made.trees, network_fingerprint(network)))
    check_network(load_cascade(tmp_path / "t", network), network)
    for other in (tiny(1), tiny(0, "ibug49")):
        with pytest.raises(InputError, match="t were trained on another network's heat maps"):
            load_cascade(tmp_path / "t", other)


@pytest.mark.parametrize(
    ("header", "tensors", "said"),
    [
        ({}, {"00.leaf": None}, "not the tensors of 3 stages"),
        ({}, {"03.leaf": torch.zeros(1)}, "not the tensors of 3 stages"),
        ({"stages": 2}, {}, "not the tensors of 2 stages"),
        ({"stages": 10**9}, {}, "header is damaged"),
        ({"stages": -1}, {}, "header is damaged"),
        ({"stages": "3"}, {}, "header is damaged"),
        ({"scheme": 5}, {}, "header is damaged"),
        ({"scheme": "no-such"}, {}, "no-such"),
        ({"scheme": "ibug49"}, {}, "leaf has the shape"),
        ({"mean_face": "interim-1"}, {}, "start from the mean face 'interim-1'"),
        ({"config": {"tree": 1}}, {}, "unknown key 'tree'"),
        ({"config": {"stages": 3, "trees": 4, "depth": 2}}, {}, "stage 0: "),
        ({"config": 3}, {}, "expected a table"),
        ({"notes": 3}, {}, "no regression trees of hpbench"),
        ({"notes": {"trained_on": "heads"}}, {}, "no list of names"),
        ({"notes": {"trained_on": ["heads\n"]}}, {}, "no list of names"),
        ({"notes": {"trained_on": [3]}}, {}, "no list of names"),
        ({}, {"00.landmark": torch.full((1, 4), 19, dtype=torch.uint8)}, "a landmark or sample that there is not"),
        ({}, {"00.pair": torch.full((1, 4, 7, 2), 43, dtype=torch.uint8)}, "a landmark or sample that there is not"),
        ({}, {"00.pair": torch.zeros((1, 4, 7, 2), dtype=torch.int64)}, "pair has the shape"),
        ({}, {"00.threshold": torch.full((1, 4, 7), torch.nan)}, "not all numbers are finite"),
        ({}, {"00.leaf": torch.full((4, 8, 19, 2), torch.inf, dtype=torch.float16)}, "not all numbers are finite"),
        ({}, {"01.landmark": torch.zeros((2, 4), dtype=torch.uint8)}, "parts"),
        ({}, {"01.landmark": torch.zeros((0, 4), dtype=torch.uint8)}, "parts"),
        ({}, {"01.landmark": torch.zeros((), dtype=torch.uint8)}, "landmark has the shape"),
        ({}, {"01.leaf": torch.zeros((4, 8, 18, 2), dtype=torch.float16)}, "leaf has the shape"),
    ],
)
def test_damaged_and_hostile_files(tmp_path: Path, header: dict[str, Any], tensors: dict[str, Any], said: str) -> None:
    path = written(tmp_path / "trees.safetensors", header, **tensors)
    for source in (path, path.read_bytes()):
        with pytest.raises(InputError, match=said) as caught:
            load_cascade(source)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_what_is_no_such_file(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    sound = written(tmp_path / "sound").read_bytes()
    (tmp_path / "short").write_bytes(sound[:2000])
    (tmp_path / "text").write_text("trees")
    (tmp_path / "empty").write_bytes(b"")
    save_file({"a": torch.zeros(1)}, tmp_path / "other")
    save_file({"a": torch.zeros(1)}, tmp_path / "list", metadata={KEY: "[1]"})
    save_file({"a": torch.zeros(1)}, tmp_path / "deep", metadata={KEY: "[" * 100_000})
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(20_000_000)
    for name in ("short", "text", "empty", "other", "list", "deep", "huge", "missing"):
        with pytest.raises(InputError, match=f"{name}: no regression trees of hpbench"):
            load_cascade(tmp_path / name)


def test_too_large_to_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpbench.mnn.or_file.MAX_BYTES", 10_000)
    with pytest.raises(InputError, match="fewer stages or trees"):
        save_cascade(tmp_path / "t", chance_cascade(0))
    assert not (tmp_path / "t").exists()
