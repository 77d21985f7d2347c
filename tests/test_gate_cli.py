"""`hpbench compare` and `hpbench gate`, once each through the real entry point, and what they write for CI systems."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import Done, hpbench, hpbench_process
from compared_records import pair_of, some_errors, write
from hypothesis import given
from hypothesis import strategies as st

from hpbench.comparison import GateResult, Pairs, gate, parse_rule
from hpbench.records import read_record
from hpbench.report.gate import gate_annotations, gate_json, gate_junit, gate_markdown, gate_text
from hpbench.report.gate_power import gate_errors_markdown, gate_power_figure, read_gate_power

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def not_on_github(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GITHUB_")]:
        monkeypatch.delenv(name)


def refused(done: Done, *words: str) -> None:
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    new, ref = some_errors(0.5)
    write(tmp_path / "new", new)
    write(tmp_path / "ref", ref)
    return tmp_path


def test_compare_prints_tables_and_one_document(folders: Path) -> None:
    done = hpbench_process("compare", "new", "ref", "--figure", "change.png", cwd=folders)
    assert done.returncode == 0 and done.stdout.startswith("aflw2000/pose-1969@1: NEW net, REF net; 200 faces")
    assert (folders / "change.png").read_bytes().startswith(b"\x89PNG")
    document = json.loads(hpbench("compare", "new", "ref", "--json", cwd=folders).stdout)
    assert document["schema"] == 1 and document["comparisons"][0]["metrics"][0]["p_holm"] < 0.05


def test_compare_refuses_in_one_sentence(folders: Path) -> None:
    refused(hpbench("compare", "new", "elsewhere", cwd=folders), "elsewhere: there is no such record, folder or model")
    refused(hpbench("compare", "mnn-encoder", "mnn", "--figure", "a.png", cwd=folders), "choose one with --protocol")
    refused(hpbench("compare", "new", "ref", "--faces", "-1", cwd=folders), "--faces must be 0 or more")
    record = next((folders / "new").glob("*.json"))
    record.write_text(replace(read_record(record), truth_sha256="").to_json().replace('"value"', '"velue"'))
    refused(hpbench("compare", record, "ref", cwd=folders), str(record))


def test_gate_exit_codes(folders: Path) -> None:
    passed = hpbench("gate", "new", "--against", "ref", "--fail-if", "mae > +10%", cwd=folders)
    assert passed.returncode == 0 and "gate passed" in passed.stdout
    failed = hpbench_process("gate", "new", "--against", "ref", cwd=folders)
    assert failed.returncode == 1 and "FAILED" in failed.stdout and failed.stderr == ""
    assert hpbench("gate", "new", "--against", "ref", "--tolerance", "2", cwd=folders).returncode == 0
    # no change is not what was asked for
    assert hpbench("gate", "ref", "--against", "ref", "--fail-if", "mae > -0.5", cwd=folders).returncode == 1
    refused(hpbench("gate", "new", "--against", "ref", "--tolerance", "a bit", cwd=folders), "--tolerance 'a bit' cannot be read")
    refused(hpbench("gate", "new", "--against", "ref", "--fail-if", "mae < +1", cwd=folders), "is worse when it grows")
    refused(hpbench("gate", "new", "--against", "mnn", cwd=folders), "no protocol in common")
    record = next((folders / "ref").glob("*.json"))
    record.write_text(replace(read_record(record), partial=True).to_json())
    refused(hpbench("gate", "new", "--against", "ref", cwd=folders), "is a partial record")


def test_gate_for_ci(folders: Path) -> None:
    arguments = ("gate", "new", "--against", "ref", "--junit", "out/gate.xml")
    on_github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(folders / "summary.md")}
    done = hpbench(*arguments, cwd=folders, **on_github)
    assert done.returncode == 1 and done.stdout.count("::error title=hpbench gate") == 1
    assert (folders / "summary.md").read_text().startswith("**gate FAILED")
    assert ElementTree.parse(folders / "out" / "gate.xml").getroot().get("failures") == "1"
    done = hpbench(*arguments, "--json", cwd=folders, **on_github)
    assert json.loads(done.stdout)["passed"] is False and "::error" in done.stderr  # standard output is one document
    assert "::error" not in hpbench(*arguments, "--no-github", cwd=folders, **on_github).stdout
    assert "::error" in hpbench(*arguments, "--github", cwd=folders).stdout


def a_result(tmp_path: Path, name: str = "net") -> GateResult:
    pair = pair_of(tmp_path, *some_errors(0.5))
    model = replace(pair.new.record.model, name=name)
    elsewhere = replace(pair.new.record, model=model, timing={"images_per_s": 1.0, "device": "x"})
    rules = [parse_rule(text) for text in ("mae > +0.1", "mae > +3", "throughput < -10%", "coverage < 99%")]
    return gate(Pairs((replace(pair, new=replace(pair.new, record=elsewhere)),), ("a/b is in x only",)), rules, against="ref")


def test_the_outputs_count_the_same(tmp_path: Path) -> None:
    for strict in (False, True):
        found = replace(a_result(tmp_path), strict=strict)
        suite = ElementTree.fromstring(gate_junit(found))
        failures = 1 + 2 * strict  # the rule; speeds elsewhere and a protocol that one side lacks
        assert int(suite.get("failures", "")) == len(list(suite.iter("failure"))) == len(gate_annotations(found)) == failures
        assert int(suite.get("tests", "")) == len(list(suite.iter("testcase"))) == 4 + strict
        assert int(suite.get("skipped", "")) == len(list(suite.iter("skipped"))) == 1 - strict
        document = json.loads(json.dumps(gate_json(found), allow_nan=False))
        assert document["schema"] == 1 and len(document["checks"]) == 4 and document["passed"] is False
        assert f"{failures} of {4 + strict} checks failed" in gate_text(found, 140) + gate_markdown(found)
        assert max(map(len, gate_text(found, 60).splitlines())) <= 60


def test_hostile_names_end_neither_xml_nor_annotations_nor_tables(tmp_path: Path) -> None:
    found = a_result(tmp_path, "a|b<c>&\n::error::x\x1b]]>")
    bad = replace(found.checks[0], rule="mae > +1\n::error::x", protocol="a,b:c%\r\n", reason="x\x00\n")
    found = replace(found, checks=(bad,))
    (line,) = gate_annotations(found)
    assert "\n" not in line and "\r" not in line and line.startswith("::error title=hpbench gate%2C a%2Cb%3Ac%25%0D%0A::")
    assert len(list(ElementTree.fromstring(gate_junit(found)).iter("failure"))) == 1
    table = [row for row in gate_markdown(found).splitlines() if row.startswith("|")]
    assert len(table) == 3 and "<c>" not in gate_markdown(found)


@given(st.text(max_size=40))
def test_annotations_are_read_back_as_they_were(text: str) -> None:
    from hpbench.report.gate import _annotation

    line = _annotation("error", text, text)
    assert "\n" not in line and "\r" not in line
    properties, message = line.removeprefix("::error title=").split("::", 1)
    assert ":" not in properties and "," not in properties
    for escaped, plain in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        properties = properties.replace(escaped, plain)
    for escaped, plain in (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        message = message.replace(escaped, plain)
    assert properties == message == text


def test_the_published_error_rates_keep_the_promise() -> None:
    rows = read_gate_power(ROOT / "benchmarks" / "results" / "gate_power.csv")
    fair = [row for row in rows if "drawn as" not in str(row["data"])]
    for row in fair:
        failed, at = float(row["failed_percent"] or 0), row["loss_deg"] == row["tolerance_deg"]
        if at:
            wrong = failed if row["policy"] == "regression" else 100 - failed
            assert wrong <= 2.5 + 4 * 0.35, row
    table = gate_errors_markdown(rows)
    assert len(table.splitlines()) == 2 + sum(row["loss_deg"] == row["tolerance_deg"] for row in rows)
    assert {"curve", "loss_deg", "failed_percent"} == set(gate_power_figure(rows).table[0])
