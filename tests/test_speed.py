"""Speed: times by a clock that the tests wind, records in files, one machine never beside another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_models import samples_of
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import a_record
from made_speeds import MACHINE, a_run, a_speed, a_time, kept

from hpbench.beside import FoundRecord
from hpbench.errors import InputError
from hpbench.faces import Faces
from hpbench.leaderboard import boards
from hpbench.models.interface import Array, Model
from hpbench.records import ModelFacts
from hpbench.report.figures.speeds import speed_figure
from hpbench.report.folder import report_of
from hpbench.report.speed import pipeline_text, speed_markdown, speed_record_text
from hpbench.report.tables import boards_text
from hpbench.speed import (
    Bench,
    EndToEnd,
    Pipeline,
    PrecisionDifference,
    collect_speeds,
    read_speed,
    speeds_beside,
    times_faster,
    write_speed,
)
from hpbench.speed.bench import _doubts
from hpbench.speed.precision import precision_difference
from hpbench.speed.stages import Pictures
from hpbench.speed.timing import STABLE, timed

# ------------------------------------------------------------------------------------------------- the clock


class Clock:
    """Time passes only in calls."""

    def __init__(self, seconds: Iterator[float]) -> None:
        self.now, self.seconds, self.calls = 0.0, seconds, []

    def __call__(self) -> float:
        return self.now

    def work(self) -> None:
        self.calls.append(next(self.seconds))
        self.now += self.calls[-1]


def always(seconds: float) -> Iterator[float]:
    while True:
        yield seconds


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(1e-4, 0.5), min_size=1, max_size=7), st.integers(1, 64), st.floats(0.1, 2.0))
def test_percentiles_and_throughput_are_those_of_the_clock(cycle: list[float], faces: int, seconds: float) -> None:
    clock = Clock(cycle[i % len(cycle)] for i in range(10**9))
    found = timed(clock.work, faces=faces, seconds=seconds, clock=clock)
    counted = clock.calls[found.warm_up :]
    assert len(counted) == found.repeats >= 3 and found.faces == found.batch_size == faces
    assert found.p5_ms <= found.p50_ms <= found.p95_ms
    assert found.p50_ms == pytest.approx(1000 * np.median(counted), rel=1e-6)
    slow, fast = found.faces_per_s_range
    assert slow <= found.faces_per_s <= fast and found.faces_per_s == pytest.approx(faces / np.median(counted), rel=1e-6)
    assert sum(counted) >= seconds or found.repeats >= 20 or sum(counted) >= 3 * seconds


def test_the_first_slow_calls_do_not_count() -> None:
    def start() -> Iterator[float]:
        yield from (5.0, 1.0, 0.5)
        yield from always(0.01)

    clock = Clock(start())
    found = timed(clock.work, faces=1, seconds=1.0, clock=clock)
    assert found.stable and found.warm_up > 3 and found.p95_ms == pytest.approx(10.0)


@pytest.mark.parametrize(("factor", "stable"), [(1 + 0.5 * STABLE, True), (1.5, False)])
def test_what_does_not_settle_is_said(factor: float, stable: bool) -> None:
    """Each call takes so much longer than the one before."""
    clock = Clock(0.1 * (factor ** (i // 3)) for i in range(10**6))
    assert timed(clock.work, faces=1, seconds=0.5, clock=clock).stable is stable


def test_a_call_of_minutes_is_not_repeated_for_hours() -> None:
    clock = Clock(always(60.0))
    found = timed(clock.work, faces=8, batch_size=4, seconds=1.0, clock=clock)
    assert len(clock.calls) == found.warm_up + found.repeats <= 6 and found.batch_size == 4


# ------------------------------------------------------------------------------------------------- records in files


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = a_speed()
    write_speed(record, tmp_path / "model" / "speed.json")
    assert read_speed(tmp_path / "model" / "speed.json") == record
    write_speed(replace(record, date="later"), tmp_path / "model" / "speed.json")  # the same model, the same machine: measured again
    kept(a_speed("b"), tmp_path / "b" / "speed-gpu.json")
    (tmp_path / "b" / "speed.json").write_text("{}")
    found, remarks = collect_speeds([tmp_path])
    assert [r.model.name for r in found] == ["b", "a"] and len(remarks) == 1 and "no speed record" in remarks[0]


SPOILT: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda d: d.update(speed=3), "unknown key 'speed'"),
    (lambda d: d["runs"][0].update(thread=3), "unknown key 'thread': did you mean 'threads'?"),
    (lambda d: d.update(schema=2), "newer hpbench"),
    (lambda d: d.update(schema=True), "no speed record"),
    (lambda d: d.pop("clock"), "the key 'clock' is missing"),
    (lambda d: d.update(runs=[]), "no runs"),
    (lambda d: d["runs"].append(d["runs"][0]), "same number of threads"),
    (lambda d: d["runs"][0]["with_crop"][0].update(p50_ms=1e6), "in this order"),
    (lambda d: d["runs"][0]["alone"][0].update(p5_ms=0.0), "above 0"),
    (lambda d: d["runs"][0]["alone"][0].update(faces=0), "at least 1"),
    (lambda d: d["runs"][0].update(with_crop=[]), "with_crop holds no times"),
    (lambda d: d["runs"][0].update(threads=0), "threads = 0"),
    (lambda d: d["runs"][0].update(memory_mib=-1.0), "memory_mib"),
    (lambda d: d.update(parameters=-1), "parameters = -1"),
    (lambda d: d.update(macs=10**30), "cannot be"),
    (lambda d: d["environment"].update(processor="a\nb"), "named in printable"),
    (lambda d: d["environment"]["libraries"].update(numpy="\x1b[2J"), "libraries must be named"),
    (lambda d: d.update(date="\x1b[2J"), "date and libraries"),
    (lambda d: d["faces"].update(n=-3), "n = -3"),
    (lambda d: d["faces"].update(n_failed=129), "of which 129 failed"),
    (lambda d: d["model"].update(name=""), "name"),
]


@pytest.mark.parametrize(("spoil", "said"), SPOILT, ids=[said[:30] for _, said in SPOILT])
def test_a_record_that_cannot_be_is_refused(tmp_path: Path, spoil: Callable[[dict[str, Any]], object], said: str) -> None:
    data = json.loads(a_speed().to_json())
    spoil(data)
    path = tmp_path / "speed.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError) as caught:
        read_speed(path)
    assert said in " ".join(caught.value.sentences) and str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "NaN", '{"schema": 1, "runs": NaN}', "[" * 10**5, '{"schema": 1, "runs": [1e999]}'])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "speed.json").write_text(text)
    with pytest.raises(InputError, match=r"speed\.json"):
        read_speed(tmp_path / "speed.json")


def test_another_machines_record_is_not_overwritten(tmp_path: Path) -> None:
    path = kept(a_speed(), tmp_path / "speed.json")
    elsewhere = a_speed(environment={**MACHINE, "processor": "Another CPU"})
    for other in (elsewhere, a_speed("b"), a_speed(device="cuda")):
        with pytest.raises(InputError, match="choose another file"):
            write_speed(other, path)
    assert read_speed(path) == a_speed()
    with pytest.raises(InputError, match=r"\.json file"):
        write_speed(a_speed(), tmp_path / "speed.txt")


def test_best_batch_and_remarks() -> None:
    record = a_speed(runs=(a_run(1, 10.0, others_cpus=0.5, alone=(a_time(10.0), a_time(100.0, 8, stable=False))),))
    run = record.runs[0]
    assert run.best("alone") == run.alone[0] and run.best("with_crop") == run.with_crop[1]
    assert run.best("end_to_end") == run.end_to_end[-1]  # the one that writes, whichever is faster
    text = " ".join(record.remarks)
    assert "busy" in text and "0.5 of 2 CPUs" in text and "alone at batch 8 with 1 thread" in text
    assert a_speed().remarks == ()


# ------------------------------------------------------------------------------------------------- one machine only


def test_ratios_only_on_one_machine() -> None:
    fast, slow = a_speed("fast", 5.0), a_speed("slow", 10.0)
    assert times_faster(fast, slow, "alone", 2) == pytest.approx(2.0) == 1 / times_faster(slow, fast, "alone", 2)
    for change in ({"environment": {**MACHINE, "cpus": 8}}, {"device": "cuda"}, {"environment": {**MACHINE, "processor": "B"}}):
        with pytest.raises(InputError, match="unlike hardware"):
            times_faster(fast, replace(slow, **change), "alone", 2)
    with pytest.raises(InputError, match="4 threads"):
        times_faster(fast, slow, "alone", 4)
    with pytest.raises(InputError, match="a figure each"):
        speed_figure([fast, replace(slow, device="cuda")])


def test_a_page_keeps_machines_apart() -> None:
    here, there = a_speed("a"), a_speed("b", environment={**MACHINE, "processor": "Another | CPU"})
    text = speed_markdown([here, there, a_speed("c", 5.0)], {}, {})
    first, second = text.split("## ")[1:]
    assert first.startswith("device cpu, Another \\| CPU") and "| b " in first and "| a " not in first
    rows = [line.split("|") for line in second.splitlines() if line.startswith(("| a ", "| c "))]
    assert [row[1].strip() for row in rows] == ["c", "a", "c", "a"]
    assert [row[-3].strip() for row in rows] == ["100.0 %", "50.0 %"] * 2
    picture = speed_figure([here, a_speed("c", 5.0)])
    assert [row["model"] for row in picture.table] == ["c", "a"] and {row["threads"] for row in picture.table} == {2}
    assert picture.figure() is not None


def test_the_table_of_one_record() -> None:
    wide, narrow = speed_record_text(a_speed(), 140), speed_record_text(a_speed(), 50)
    assert "end to end" in wide and "1 k parameters" in wide and max(map(len, narrow.splitlines())) < max(map(len, wide.splitlines()))


# ------------------------------------------------------------------------------------------------- boards


def board_rows(tmp_path: Path, *named: tuple[str, float | None, tuple[Any, ...]]) -> tuple[list[Any], list[str]]:
    """Rows of models by name, images/s of their own timing, and speed records beside them."""
    found = []
    for i, (name, images_per_s, speeds) in enumerate(named):
        timing = {"images_per_s": images_per_s, "device": "cpu"} if images_per_s else None
        record = a_record(name, 2.0 + i, timing=timing, environment=MACHINE)
        record = replace(record, model=ModelFacts(name, "1", "f" * 64))
        path = tmp_path / name / "results" / record.file_name
        path.parent.mkdir(parents=True)
        path.write_text(record.to_json())
        for number, speed in enumerate(speeds):
            kept(speed, tmp_path / name / f"speed{number}.json")
        found.append(FoundRecord(record, path))
    (board,), remarks = boards(found)
    return sorted(board.rows, key=lambda row: row.record.model.name), remarks


def test_boards_show_the_speed_record_and_else_the_timing(tmp_path: Path) -> None:
    rows, remarks = board_rows(tmp_path, ("a", 50.0, (a_speed("a"),)), ("b", 60.0, ()), ("c", None, ()))
    assert not remarks
    a, b, c = rows
    assert a.speed.images_per_s == pytest.approx(1000 * 128 / (96 * 5.0)) and a.speed.threads == 2 and a.parameters == 1000
    assert a.speed.latency_ms == pytest.approx(5.5)
    assert (b.speed.images_per_s, b.speed.threads, b.parameters) == (60.0, None, None) and c.speed is None
    assert a.speed.place == b.speed.place and a.speed.machine != b.speed.machine  # one machine, two ways of measuring


def test_a_board_shows_the_machine_that_most_were_measured_on(tmp_path: Path) -> None:
    """A model measured here and elsewhere stands with the others' speeds, and the board says so once."""
    gpu = {"device": "cuda", "environment": {**MACHINE, "gpu": "Some GPU"}}
    both = (a_speed("a", 0.1, **gpu), a_speed("a"))
    rows, _ = board_rows(tmp_path, ("a", None, both), ("b", None, (a_speed("b"),)), ("c", None, (a_speed("c", **gpu), a_speed("c"))))
    assert {row.speed.machine for row in rows} == {"device cpu, Some CPU, x86_64, 2 CPUs, hpbench bench with 2 threads"}


def test_the_speed_of_another_model_is_not_shown(tmp_path: Path) -> None:
    others = [ModelFacts("a", "2", "f" * 64), ModelFacts("a", "1", "0" * 64), ModelFacts("a", "1", "f" * 64, {"precision": "bf16"})]
    rows, _ = board_rows(tmp_path, ("a", 50.0, tuple(a_speed(model=facts) for facts in others)))
    assert rows[0].speed.images_per_s == 50.0


def test_a_broken_speed_record_is_told_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "speed.json").write_text("{")
    rows, remarks = board_rows(tmp_path, ("a", 50.0, ()))
    assert rows[0].speed.images_per_s == 50.0 and len(remarks) == 1 and "truncated" in remarks[0]
    assert speeds_beside(rows[0].path) == ([], remarks)


def test_a_report_has_a_page_of_speeds(tmp_path: Path) -> None:
    found = [FoundRecord(a_record("a", 2.0))]
    assert "speed.md" not in report_of(found).pages
    built = report_of(found, speeds=[a_speed("a"), a_speed("b", device="cuda")])
    assert "speed.md" in built.pages["README.md"] and [p.name for p in built.pictures if p.name.startswith("speed.")] == [
        "speed.1",
        "speed.2",
    ]
    assert built.pages["speed.md"].count("figures/speed.1.svg") == 1
    built.write(tmp_path / "out")
    assert built.differences(tmp_path / "out") == [] and (tmp_path / "out" / "figures" / "speed.2.svg").is_file()
    assert "images/s" in boards_text(boards(found)[0], "markdown")


class Moved(Model):
    """Points a little to the right of another's; blind on images whose number it was told."""

    def __init__(self, by_px: float, blind: tuple[int, ...] = ()) -> None:
        self.by_px, self.blind = by_px, blind

    def predict(self, images: list[Array], boxes_xyxy_px: Array) -> Faces:
        number = boxes_xyxy_px[:, 0]
        points = np.zeros((len(images), 19, 2)) + [self.by_px, 0.0] * number[:, None, None]
        points[np.isin(number, self.blind)] = np.nan
        return Faces(landmarks=points, scheme="aflw19")


def test_a_precision_is_compared_on_faces_that_both_answer() -> None:
    samples = samples_of(21)
    pictures = Pictures("made", "b", samples, [])
    found = precision_difference(Moved(0.5, blind=(1, 2)), Moved(0.0, blind=(2, 20)), pictures)
    assert (found.n, found.n_one) == (18, 2) and found.rotation_deg is None and found.visibility is None
    answered = np.array([i for i in range(21) if i not in (1, 2, 20)])
    assert found.landmarks_px == pytest.approx(tuple(np.percentile(np.repeat(0.5 * answered, 19), (50, 95, 100))))
    nothing = precision_difference(Moved(0.5, blind=(0,)), Moved(0.0), Pictures("made", "b", samples[:1], []))
    assert nothing == PrecisionDifference(0, 1, None, None, None)


def test_a_precision_stands_in_the_record_and_must_be_possible(tmp_path: Path) -> None:
    found = PrecisionDifference(18, 2, None, (0.5, 1.0, 2.0), None)
    path = kept(a_speed(precision=found), tmp_path / "speed.json")
    assert read_speed(path).precision == found
    assert "landmarks 0.5 / 1 / 2 px" in speed_record_text(read_speed(path), 200)
    assert "landmarks 0.5 / 1 / 2 px" in speed_markdown([read_speed(path)], {}, {})
    for wrong in (replace(found, n=-1), replace(found, landmarks_px=(2.0, 1.0, 3.0)), replace(found, visibility=(-1.0, 0.0, 0.0))):
        with pytest.raises(InputError, match="precision: counts and differences"):
            read_speed(kept(a_speed(precision=wrong), path))


def test_a_run_against_the_bare_model() -> None:
    def run(**changes: object) -> EndToEnd:
        stages = {"read": 0.1, "decode": 2.0, "prepare": 0.5, "wait": 1.0, "model": 8.0, "write": 0.5}
        return EndToEnd(**{  # type: ignore[arg-type]
            "workers": 1, "reduced": False, "batch_size": 16, "faces": 99, "rounds": 3, "bare_ms": 8.0, "bare_processor_ms": 12.0,
            "whole_ms": 10.0, "whole_processor_ms": 15.0, "stages_ms": stages, **changes,
        })  # fmt: skip

    assert run().ratio == 0.8 and run().busy(2) == (0.75, 0.75)
    found = Pipeline("net", "some machine", "99 faces of made", {2: [run(), run(reduced=True, bare_ms=9.0)]})
    wide = pipeline_text(found, 200).splitlines()
    assert wide[0] == "net on some machine; 99 faces of made"
    full, reduced = (line.split() for line in wide if line.strip().startswith("2 "))
    assert full == "2 1 16 full 8 10 0.800 75 % / 75 % 1.0 % 20.0 % 5.0 % 10.0 % 80.0 % 5.0 %".split()
    assert reduced[3] == "reduced" and reduced[6] == "0.900"
    narrow = pipeline_text(found, 60)
    assert "threads 2; workers 1; batch 16; decoding full" in " ".join(narrow.split()) and "decode 20.0 %" in " ".join(narrow.split())


def test_what_makes_a_ratio_doubtful_is_said() -> None:
    stages = {"read": 0.1, "decode": 2.0, "prepare": 0.5, "wait": 1.0, "model": 8.0, "write": 0.5}
    run = EndToEnd(1, False, 16, 100, 3, 9.0, 12.0, 10.0, 15.0, stages)
    assert list(_doubts(Bench("net", faces=100), [run, replace(run, batch_size=8)], 1000, 0.0)) == []
    found = list(_doubts(Bench("net", faces=480), [run, replace(run, bare_ms=11.0)], 100, 1.5))
    assert [line.partition(" ")[0] for line in found] == ["480", "100", "the", "a"] and "fewer than 8 batches of 16" in found[1]
    found = Pipeline("net", "some machine", "99 faces of made", {2: [run]}, ("what to know",))
    assert "\nwhat to know\n" in pipeline_text(found, 200)
