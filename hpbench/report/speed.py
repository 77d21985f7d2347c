"""Speed records as a table for a terminal, and as a page of a report: machines apart from one another."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from ..catalog import model_cards
from ..pipeline import StageSeconds
from ..speed import STAGES, EndToEnd, Pipeline, Run, SpeedRecord, Timed, times_faster
from .cells import NO_VALUE, count_text, escape, first_that_fits, percent_text

__all__ = ["STAGE_TITLES", "by_hardware", "pipeline_text", "speed_markdown", "speed_record_text", "title_of"]

STAGE_TITLES: Mapping[str, str] = {"alone": "alone", "with_crop": "with crop", "end_to_end": "end to end"}


def speed_record_text(record: SpeedRecord, width: int) -> str:
    """One record: a line a number of threads and stage."""
    import tabulate

    headings = ["threads", "stage", "ms a face [5, 95 %]", "best faces/s [5, 95 %]", "batch", "repeats"]
    rows = [_line(run, stage) for run in record.runs for stage, _ in run.stages()]
    align = ("right", "left", *["right"] * 4)
    table = first_that_fits(
        (
            lambda: "\n" + tabulate.tabulate(rows, headings, tablefmt="simple", disable_numparse=True, colalign=align),
            lambda: "\n" + "\n".join(f"{r[0]} threads, {r[1]}: {r[2]} ms a face; {r[3]} faces/s, batch {r[4]}" for r in rows),
        ),
        width,
    ).lstrip("\n")
    head = [f"{record.model.label} on {record.hardware}", _facts(record)]
    memory = [f"peak memory with {_threads(run)}: {_memory(run)}" for run in record.runs]
    return _wrapped([*head, "", table, "", *memory, *_precision(record), *_load(record), *record.remarks], table, width)


def pipeline_text(found: Pipeline, width: int) -> str:
    """Runs against the bare model: a line each, and where their time went."""
    import tabulate

    runs = [(threads, run) for threads, of in found.runs.items() for run in of]
    headings = ["threads", "workers", "batch", "decoding", "bare ms", "run ms", "ratio", "busy", *StageSeconds().as_dict()]
    rows = [
        [
            str(threads), str(run.workers), str(run.batch_size), "reduced" if run.reduced else "full", _short(run.bare_ms),
            _short(run.whole_ms), f"{run.ratio:.3f}", _busy(run, threads), *_shares(run),
        ]
        for threads, run in runs
    ]  # fmt: skip
    table = first_that_fits(
        (
            lambda: "\n" + tabulate.tabulate(rows, headings, tablefmt="simple", disable_numparse=True, colalign=["right"] * len(headings)),
            lambda: "\n" + "\n".join("; ".join(f"{h} {x}" for h, x in zip(headings, row, strict=True)) for row in rows),
        ),
        width,
    ).lstrip("\n")
    rounds = min(run.rounds for _, run in runs)
    below = [
        "bare: the model's predict on decoded images, cutting out included; run: image files to the last part on the disk; both a face, "
        f"the best of {rounds} rounds in turns. busy: the processors at work during either; only what the bare model leaves "
        "idle is there to read, decode and write with.",
        "read, decode, prepare (cutting out): work of the threads ahead of the model, all together; wait (no face was ready), model, write "
        "(standing still for the disk): the time of the run itself. All as shares of the run's time.",
    ]
    return _wrapped([f"{found.model} on {found.hardware}; {found.faces}", "", table, "", *found.remarks, *below], table, width)


def _busy(run: EndToEnd, threads: int) -> str:
    return " / ".join(f"{100 * share:.0f} %" for share in run.busy(threads))


def _shares(run: EndToEnd) -> list[str]:
    return [percent_text(ms / run.whole_ms) for ms in run.stages_ms.values()]


def _wrapped(lines: Sequence[str], table: str, width: int) -> str:
    return "\n".join(textwrap.fill(x, max(40, width), subsequent_indent="  ", break_on_hyphens=False) if x != table else x for x in lines)


def speed_markdown(records: Sequence[SpeedRecord], pictures: Mapping[str, str], more: Mapping[str, Sequence[str]]) -> str:
    """The page of a report.

    Parameters
    ----------
    records : sequence of SpeedRecord
    pictures : mapping of str to str
        By hardware: markdown of its figure.
    more : mapping of str to sequence of str
        By hardware: markdown of links to figures of accuracy against speed.
    """
    parts = [
        "# Speed",
        "[All reports](README.md)",
        "Measured by `hpbench bench`, each number of threads in a process of its own that is held to so many processors, after warming up. "
        "**Alone** is the network on an input that lies ready, **with crop** the model's predict on decoded images, **end to end** from "
        "the image files to predictions, at one face a call; with many, to the file of predictions as well. Times are medians with "
        "their 5th and 95th percentile; faces a second are those of the best batch. MACs are multiplications with addition, of one "
        "face. Peak memory is growth of the process by the model and its libraries: at one face a call, and at all batches. Machines "
        "do not compare: each has its own table.",
    ]
    for hardware, of in by_hardware(records).items():
        parts += [f"## {escape(hardware)}", *([pictures[hardware]] if hardware in pictures else []), _table(of)]
        parts += ["\n".join(f"- {escape(line)}" for record in of for line in _below(record))]
        if more.get(hardware):
            parts.append("Accuracy against speed here: " + ", ".join(more[hardware]) + ".")
    return "\n\n".join(part for part in parts if part) + "\n"


def by_hardware(records: Sequence[SpeedRecord]) -> dict[str, list[SpeedRecord]]:
    """Records of each machine, by its name; the fastest end to end first."""
    found: dict[str, list[SpeedRecord]] = {}
    for record in sorted(records, key=_slowness):
        found.setdefault(record.hardware, []).append(record)
    return dict(sorted(found.items()))


def title_of(record: SpeedRecord) -> str:
    """The model as its card calls it."""
    cards, name = model_cards(), record.model.name
    return record.model.called(cards[name].title if name in cards else name)


def _slowness(record: SpeedRecord) -> tuple[float, str]:
    best = [found.faces_per_s for run in record.runs if (found := run.best("end_to_end")) is not None]
    return -max(best, default=0.0), record.model.label


def _table(records: Sequence[SpeedRecord]) -> str:
    from tabulate import tabulate

    stages = [f"{unit} {STAGE_TITLES[stage]}" for unit in ("ms", "faces/s") for stage in STAGES]
    headings = ["model", "threads", "parameters", "MACs", *stages, "of the fastest", "MiB"]
    rows = []
    for threads in sorted({run.threads for record in records for run in record.runs}):
        of = [(record, run) for record in records for run in record.runs if run.threads == threads]
        of.sort(key=lambda pair: _slowness_of(pair[1]))
        fastest = next((record for record, run in of if run.best("end_to_end")), None)
        for record, run in of:
            share = times_faster(record, fastest, "end_to_end", threads) if fastest is not None and run.best("end_to_end") else None
            cells = [_latency(run.latency(stage)) for stage in STAGES] + [_rate(run.best(stage), batch=True) for stage in STAGES]
            sizes = [count_text(record.parameters) or NO_VALUE, count_text(record.macs) or NO_VALUE]
            rows.append([escape(title_of(record)), str(threads), *sizes, *cells, percent_text(share), _memory(run, short=True)])
    align = ("left", *["right"] * (len(headings) - 1))
    return tabulate(rows, headings, tablefmt="github", disable_numparse=True, colalign=align)


def _slowness_of(run: Run) -> float:
    best = run.best("end_to_end")
    return -best.faces_per_s if best is not None else 0.0


def _below(record: SpeedRecord) -> list[str]:
    """What was measured, when, with what, and what to know."""
    libraries = record.environment.get("libraries")
    named = [f"{k} {v}" for k, v in sorted(libraries.items())] if isinstance(libraries, dict) else []
    versions = ", ".join([f"Python {record.environment.get('python', '?')}", *named])
    more = [*_precision(record), *_load(record), *record.remarks]
    return [f"{title_of(record)}: {'; '.join([_facts(record), f'{versions}; {record.date[:10]}', *more])}."]


def _precision(record: SpeedRecord) -> list[str]:
    """What the precision that was asked for changes."""
    if (found := record.precision) is None:
        return []
    spreads = {"rotation {} deg": found.rotation_deg, "landmarks {} px": found.landmarks_px, "visibility {}": found.visibility}
    told = [text.format(" / ".join(f"{v:.2g}" for v in spread)) for text, spread in spreads.items() if spread is not None]
    one = f", {found.n_one} more have only one of the two answers" if found.n_one else ""
    return [f"against its own precision, median / 95 % / largest over {found.n} faces{one}: {', '.join(told) or 'nothing to compare'}"]


def _facts(record: SpeedRecord) -> str:
    f = record.faces
    size = [f"{count_text(record.parameters)} parameters"] * (record.parameters is not None)
    macs = [f"{count_text(record.macs)} MACs a face"] * (record.macs is not None)
    faces = f"{f.n} faces of {f.dataset}, median {f.median_width_px:.0f} x {f.median_height_px:.0f} px"
    return "; ".join([*size, *macs, record.counted, faces])


def _load(record: SpeedRecord) -> list[str]:
    """What else the machine did."""
    before = [f"{run.load_average:.2f}" for run in record.runs if run.load_average is not None]
    clock = [run.cpu_mhz for run in record.runs if run.cpu_mhz is not None]
    return [
        *([f"load average before: {', '.join(before)}"] * bool(before)),
        *([f"processors at {max(clock):.0f} MHz"] if clock else []),
    ]


def _latency(timed: Timed | None) -> str:
    return NO_VALUE if timed is None else f"{_short(timed.p50_ms)} [{_short(timed.p5_ms)}, {_short(timed.p95_ms)}]"


def _rate(timed: Timed | None, *, batch: bool = False) -> str:
    if timed is None:
        return NO_VALUE
    low, high = timed.faces_per_s_range
    return f"{_short(timed.faces_per_s)}" + (f" ({timed.batch_size})" if batch else f" [{_short(low)}, {_short(high)}]")


def _line(run: Run, stage: str) -> list[str]:
    best = run.best(stage)
    batch = str(best.batch_size) if best is not None else NO_VALUE
    return [str(run.threads), STAGE_TITLES[stage], _latency(run.latency(stage)), _rate(best), batch, _repeats(run, stage)]


def _repeats(run: Run, stage: str) -> str:
    one, best = run.latency(stage), run.best(stage)
    return " and ".join(str(t.repeats) for t in dict.fromkeys((one, best)) if t is not None)


def _memory(run: Run, *, short: bool = False) -> str:
    numbers = [f"{m:.0f}" if m is not None else "not known" for m in (run.memory_1_mib, run.memory_mib)]
    gpu = [f"GPU {run.gpu_memory_mib:.0f}"] if run.gpu_memory_mib is not None else []
    if short:
        return ", ".join([" / ".join(numbers) if "not known" not in numbers else NO_VALUE, *gpu])
    return ", ".join([f"{numbers[0]} MiB at one face a call, {numbers[1]} at all batches", *(f"{g} MiB" for g in gpu)])


def _threads(run: Run) -> str:
    return f"{run.threads} thread{'s' * (run.threads > 1)}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.3g}"
