"""The speed record: what `hpbench bench` measured of one model on one machine.

Three stages are timed, each by itself: ``alone`` (the network on an input that lies ready), ``with_crop`` (the model's predict on decoded
images) and ``end_to_end`` (image files to predictions; one face at a time without, the whole set with writing the prediction file).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import InputError
from ..records import ModelFacts

__all__ = [
    "SCHEMA", "STAGES", "EndToEnd", "Faces", "PrecisionDifference", "Run", "SpeedRecord", "Timed", "hardware_text", "times_faster",
]  # fmt: skip

SCHEMA = 1
STAGES = ("alone", "with_crop", "end_to_end")


@dataclass(frozen=True)
class Timed:
    """Times of one call, repeated.

    Attributes
    ----------
    faces : int
        A call.
    batch_size : int
        In which the model was given them.
    repeats, warm_up : int
        Calls that count, and calls before them.
    stable : bool
        The last two rounds of the warm-up took the same time within `hpbench.speed.timing.STABLE`.
    p5_ms, p50_ms, p95_ms : float
        Of a call.
    """

    faces: int
    batch_size: int
    repeats: int
    warm_up: int
    stable: bool
    p5_ms: float
    p50_ms: float
    p95_ms: float

    @property
    def faces_per_s(self) -> float:
        """At the median."""
        return 1000.0 * self.faces / self.p50_ms

    @property
    def faces_per_s_range(self) -> tuple[float, float]:
        """At the 95th and the 5th percentile of time."""
        return 1000.0 * self.faces / self.p95_ms, 1000.0 * self.faces / self.p5_ms


@dataclass(frozen=True)
class Run:
    """What one fresh process measured with one number of threads.

    Attributes
    ----------
    threads : int
    held : bool
        The system held the process to so many processors; else its libraries were only told.
    alone, with_crop, end_to_end : tuple of Timed
        The first of each is of one face a call; `alone` is empty where the model gives no network; the last of `end_to_end` is of all
        faces, with writing.
    memory_1_mib, memory_mib : float or None
        By how much the process grew at most, from before the model and its libraries were loaded: after one face a call, and after all
        batches.  None where the system does not tell.
    gpu_memory_mib : float or None
        PyTorch's peak; None without one.
    load_average : float or None
        Of the last minute, before the process began.
    others_cpus : float or None
        Processors that other processes kept busy meanwhile.
    cpu_mhz : float or None
        Clock of the processors at the end.
    """

    threads: int
    held: bool
    alone: tuple[Timed, ...]
    with_crop: tuple[Timed, ...]
    end_to_end: tuple[Timed, ...]
    memory_1_mib: float | None = None
    memory_mib: float | None = None
    gpu_memory_mib: float | None = None
    load_average: float | None = None
    others_cpus: float | None = None
    cpu_mhz: float | None = None

    def stages(self) -> Iterator[tuple[str, tuple[Timed, ...]]]:
        """Name and times of every stage that was measured."""
        return ((name, found) for name in STAGES if (found := getattr(self, name)))

    def latency(self, stage: str) -> Timed | None:
        """Of one face a call; None where the stage was not measured."""
        return next((t for t in getattr(self, stage) if t.faces == 1), None)

    def best(self, stage: str) -> Timed | None:
        """The batch of the highest throughput; end to end that of all faces, whose predictions are written."""
        times: tuple[Timed, ...] = getattr(self, stage)
        return max(times[-1:] if stage == "end_to_end" else times, key=lambda t: t.faces_per_s, default=None)


@dataclass(frozen=True)
class EndToEnd:
    """A run of a model against the bare model, in milliseconds a face; see `hpbench.speed.through`.

    Attributes
    ----------
    workers : int
        Threads that read, decode and cut out.
    reduced : bool
        Large JPEGs were decoded smaller.
    batch_size, faces : int
    rounds : int
        Of which the quickest counts, of the run and of the bare model each.
    bare_ms, bare_processor_ms : float
        On the clock, and of all processors together.
    whole_ms, whole_processor_ms : float
    stages_ms : mapping of str to float
        `hpbench.pipeline.StageSeconds` of the quickest run.
    """

    workers: int
    reduced: bool
    batch_size: int
    faces: int
    rounds: int
    bare_ms: float
    bare_processor_ms: float
    whole_ms: float
    whole_processor_ms: float
    stages_ms: dict[str, float]

    @property
    def ratio(self) -> float:
        """Bare model over the run: 1 where the run costs what its model costs."""
        return self.bare_ms / self.whole_ms

    def busy(self, processors: int) -> tuple[float, float]:
        """Share of so many processors that the bare model, and the run, kept at work: at 1, nothing is left that could overlap."""
        return self.bare_processor_ms / (processors * self.bare_ms), self.whole_processor_ms / (processors * self.whole_ms)


@dataclass(frozen=True)
class Faces:
    """The faces that a model was timed on; `n_failed` had no prediction, and cost what finding that out costs."""

    dataset: str
    boxes: str
    n: int
    n_failed: int
    median_width_px: float
    median_height_px: float


@dataclass(frozen=True)
class PrecisionDifference:
    """By how much a model's answers at a precision that was asked for (``precision=bf16``) differ from those at its own.

    Attributes
    ----------
    n : int
        Faces that both have answered.
    n_one : int
        Faces that only one of the two has answered.
    rotation_deg, landmarks_px, visibility : (median, 95th percentile, largest) or None
        Of the angle between the rotations, a face each; of the distance between landmarks and of the difference of visibility, a point
        each.  None where the model does not predict them.
    """

    n: int
    n_one: int
    rotation_deg: tuple[float, float, float] | None
    landmarks_px: tuple[float, float, float] | None
    visibility: tuple[float, float, float] | None


@dataclass(frozen=True)
class SpeedRecord:
    """See the module's text.

    Attributes
    ----------
    device : str
        As the model says; "" where it does not.
    seconds : float
        For which each call was repeated, at least.
    parameters : int or None
        The card's, else the numbers in the ONNX graphs that a prediction runs; None: not known.
    macs : int or None
        Multiplications with addition of the convolutions and matrix products of one face, batch normalisation and activations left out.
    counted : str
        How the two are known, or why not.
    clock : str
    environment : mapping
        `hpbench.provenance.environment` of the measuring process.
    precision : PrecisionDifference or None
        Where the model was given an argument of that name.
    """

    schema: int
    hpbench: str
    model: ModelFacts
    device: str
    faces: Faces
    seconds: float
    parameters: int | None
    macs: int | None
    counted: str
    runs: tuple[Run, ...]
    clock: str
    environment: dict[str, Any] = field(default_factory=dict)
    precision: PrecisionDifference | None = None
    git: dict[str, Any] | None = None
    date: str = ""

    @property
    def hardware(self) -> str:
        """Device and machine: speeds are compared where this is equal."""
        return ", ".join(filter(None, [f"device {self.device or 'not stated'}", hardware_text(self.environment, self.device)]))

    @property
    def busy(self) -> str:
        """A remark where the machine had other work meanwhile, else ""."""
        cpus = self.environment.get("cpus")
        cpus = cpus if isinstance(cpus, int) and cpus > 0 else 1
        most = max((run.others_cpus or 0.0 for run in self.runs), default=0.0)
        return f"the machine was busy: other processes used {most:.1f} of {cpus} CPUs" if most > 0.05 * cpus else ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the times must know."""
        unstable = [
            f"{stage.replace('_', ' ')} at batch {t.batch_size} with {run.threads} thread{'s' * (run.threads > 1)}"
            for run in self.runs for stage, times in run.stages() for t in times if not t.stable
        ]  # fmt: skip
        loose = "threads were not enforced by the system" if not all(run.held for run in self.runs) else ""
        shaky = f"still not stable after warming up: {', '.join(dict.fromkeys(unstable))}" if unstable else ""
        failed = f"{self.faces.n_failed} of {self.faces.n} faces had no prediction" if self.faces.n_failed else ""
        return tuple(filter(None, (self.busy, shaky, failed, loose)))

    def to_json(self) -> str:
        """Strict JSON, keys in the order of this class."""
        return json.dumps(asdict(self), indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def is_of(self, model: ModelFacts) -> bool:
        """Whether it was measured of this very model: name, version, weights, arguments."""
        ours = self.model
        return (ours.name, ours.version, ours.weights_sha256, ours.arguments) == (
            model.name, model.version, model.weights_sha256, model.arguments,
        )  # fmt: skip


def times_faster(new: SpeedRecord, ref: SpeedRecord, stage: str, threads: int) -> float:
    """Throughput of one model over another's, at their best batches.

    Raises
    ------
    InputError
        They were measured on unlike hardware, or one of them not so.
    """
    if new.hardware != ref.hardware:
        raise InputError(
            f"speeds of unlike hardware are not compared: {new.model.label} ran on {new.hardware}, {ref.model.label} on {ref.hardware}."
        )
    best = [next((run.best(stage) for run in record.runs if run.threads == threads), None) for record in (new, ref)]
    for record, found in zip((new, ref), best, strict=True):
        if found is None:
            raise InputError(f"{record.model.label}: {stage.replace('_', ' ')} was not measured with {threads} threads.")
    ours, theirs = (found.faces_per_s for found in best if found is not None)
    return ours / theirs


def hardware_text(environment: Mapping[str, Any], device: str) -> str:
    """The machine in words, as far as an environment names it: the GPU where the device is one, processor, architecture, CPUs."""
    named = [environment.get("gpu") if device.startswith("cuda") else None, environment.get("processor"), environment.get("machine")]
    cpus = environment.get("cpus")
    return ", ".join([*(str(name) for name in named if name), *([f"{cpus} CPUs"] * bool(cpus))])
