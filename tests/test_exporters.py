"""Records in the formats of others."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import POINTS, POSE, a_record
from small_study import command

from hpbench.catalog import protocol_named
from hpbench.cli.leaderboard import leaderboard
from hpbench.errors import InputError
from hpbench.metrics import parse_metric
from hpbench.records import DatasetFacts, ModelFacts, ProtocolFacts
from hpbench.report.exporters import RESULTS_SCHEMA, model_index, model_index_yaml, results_json
from hpbench.report.tables import FORMATS

ROOT = Path(__file__).resolve().parents[1]
yaml = pytest.importorskip("yaml")


def block(text: str) -> object:
    assert text.startswith("---\n") and text.endswith("---\n")
    return yaml.safe_load(text.removeprefix("---\n").removesuffix("---\n"))


def test_model_index_has_what_the_format_requires() -> None:
    records = [a_record("net", 4.25), a_record("net", 3.5, POINTS)]
    found = block(model_index_yaml(records))
    assert found == {"model-index": model_index(records)}
    (model,) = found["model-index"]
    assert model["name"] == "net" and len(model["results"]) == 2
    for result, reference in zip(model["results"], (POINTS, POSE), strict=True):
        protocol = protocol_named(reference)
        assert set(result) == {"task", "dataset", "metrics"} and set(result["task"]) == {"type", "name"}
        assert result["dataset"] == {
            "type": "aflw2000", "name": "AFLW2000-3D", "config": protocol.reference, "split": protocol.split, "revision": protocol.sha256,
        }  # fmt: skip
        assert len(result["metrics"]) == len(protocol.metrics)
        for metric in result["metrics"]:
            assert {"type", "value", "name", "args"} == set(metric) and isinstance(metric["value"], float)
            text = metric["name"].rpartition(" [")[0]
            assert parse_metric(text).family.name == metric["type"] and metric["args"].items() >= parse_metric(text).parameters.items()
    assert [r["task"]["type"] for r in model["results"]] == ["keypoint-detection", "head-pose-estimation"]
    first = model["results"][1]["metrics"][0]
    assert first["value"] == 4.25 and (first["args"]["ci95_low"], first["args"]["ci95_high"], first["args"]["n"]) == (3.75, 4.75, 1969)
    assert "verified" not in json.dumps(found)


def test_model_index_is_of_one_model_and_of_what_ranks() -> None:
    partial = a_record("net", 1.0, POINTS, partial=True)
    assert len(model_index([a_record("net", 4.0), partial])[0]["results"]) == 1
    for records, words in (
        ([partial], "no record may be ranked"), ([], "no record may be ranked"),
        ([a_record("net", 4.0), a_record("other", 4.0)], "records of net, other"),
        ([a_record("net", 4.0), a_record("net", 5.0)], "two records of net are of aflw2000/pose-1969"),
        ([a_record("net", None)], "no record may be ranked"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            model_index(records)


names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cn", "Co", "Cf"]), min_size=1, max_size=30)
names = names.map(str.strip).filter(lambda s: s and s.isprintable())


@settings(max_examples=12)
@given(names, st.floats(1e-12, 1e9, allow_nan=False), st.one_of(st.booleans(), st.none(), st.integers(), names))
def test_yaml_is_read_as_it_was_meant(name: str, value: float, argument: object) -> None:
    """Names that look like numbers, dates, comments or anchors; values that YAML 1.1 would take for texts."""
    record = a_record("x", value, model=ModelFacts(name, arguments={"a": argument}))
    found = block(model_index_yaml([record]))
    assert found["model-index"][0]["name"] == record.model.label
    read = found["model-index"][0]["results"][0]["metrics"][0]["value"]
    assert isinstance(read, float) and math.isclose(read, value, rel_tol=1e-4)


def test_the_neutral_file_is_what_the_documentation_says() -> None:
    nowhere = ProtocolFacts("nowhere/pose", 3, "ab" * 32)
    unknown = replace(a_record("old", 5.0), protocol=nowhere, dataset=DatasetFacts(10, 5, False), partial=True)
    records = [a_record("net", 4.25, timing={"images_per_s": 12.5}, subsets={"yaw": a_record("x", 1.0).scores}), unknown]
    text = results_json(records)
    assert text == results_json(records[::-1]) and not re.search(r"\b(NaN|Infinity)\b", text)
    found = json.loads(text)
    assert found["schema"] == RESULTS_SCHEMA and [r["model"]["name"] for r in found["results"]] == ["net", "old"]
    net, old = found["results"]
    assert net["ranked"] and not old["ranked"] and old["partial"] and old["dataset"]["split"] is None
    assert net["images_per_s"] == 12.5 and old["images_per_s"] is None and net["task"] == "pose"
    assert {s["subset"] for s in net["scores"]} == {"all", "yaw"} and net["main_metric"] == "mae(convention=300w-lp)"
    assert {k: v for k, v in net["scores"][0].items() if k != "subset"} == json.loads(json.dumps(asdict(records[0].main)))
    shown = (ROOT / "docs/submit.md").read_text(encoding="utf-8")
    for keys in (found, net, net["dataset"], net["protocol"], net["model"], net["scores"][0]):
        for key in keys:
            assert f"`{key}`" in shown, f"docs/submit.md does not describe {key}"


def test_a_protocol_of_another_text_states_no_split() -> None:
    record = a_record("net", 4.0)
    moved = replace(record, protocol=replace(record.protocol, sha256="0" * 64))
    assert "split" not in model_index([moved])[0]["results"][0]["dataset"]


def test_both_are_formats_of_hpbench_leaderboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [a_record("net", 4.25), a_record("net", 3.5, POINTS)]
    for record in records:
        record.write(tmp_path / "net", {})
    for style, text in (("model-index", model_index_yaml(records)), ("results", results_json(records))):
        assert command(capsys, "leaderboard", tmp_path / "net", "--format", style) == (0, text, "")
    code, out, _ = command(capsys, "leaderboard", tmp_path / "net", "--protocol", POSE, "--format", "results")
    assert code == 0 and json.loads(out) == json.loads(results_json(records[:1]))
    a_record("other", 4.0).write(tmp_path / "other", {})
    (tmp_path / "empty").mkdir()
    for place, words in (("", "these are records of net, other: give those of one"), ("empty", "there is nothing for a model-index")):
        code, out, err = command(capsys, "leaderboard", tmp_path / place, "--format", "model-index")
        assert (code, out) == (2, "") and words in err.splitlines()[-1], err
    code, out, err = command(capsys, "leaderboard", tmp_path / "net", "--overview", "--format", "results")
    assert code == 2 and "--overview has no --format results" in err
    assert json.loads(command(capsys, "leaderboard", tmp_path / "empty", "--format", "results")[1])["results"] == []


def test_the_command_knows_the_formats_of_the_library() -> None:
    (option,) = (p for p in leaderboard.params if p.name == "style")
    assert tuple(option.type.choices) == FORMATS
