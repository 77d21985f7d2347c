"""One measurement in a process of its own: ``python -m hpbench.speed.child REQUEST ANSWER``, two JSON files.

`hpbench.speed.bench` starts it, threads told to every library by the environment before anything is imported, so that nothing of one
measurement is left in the next: neither loaded libraries nor their pools of threads nor memory.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import HpbenchError, MissingDataError
from . import machine
from .record import Run

__all__ = ["main"]

_COUNTED_FACES = 4  # in one call: files that prescribe a batch size fill their batches


def main(request_path: str, answer_path: str) -> None:
    """Do what the request says; the answer is a run, a count, runs against the bare model, or the error."""
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    try:
        with redirect_stdout(sys.stderr):  # a model may print
            answer = {"count": _counts, "times": _times, "pipeline": _pipeline}[request["what"]](request)
    except HpbenchError as error:
        answer = {"error": str(error), "missing": isinstance(error, MissingDataError)}
    Path(answer_path).write_text(json.dumps(answer, allow_nan=False), encoding="utf-8")


def _counts(request: Mapping[str, Any]) -> dict[str, Any]:
    """Who the model is, whether it works at all, and what it multiplies; times do not matter here."""
    from .counting import counted, watched_sessions
    from .precision import precision_difference
    from .stages import as_sentence, first_answers

    pictures = _pictures(request)
    with watched_sessions() as runs:
        model = _model(request, 1)
        faces = first_answers(model, pictures)
        card = _card(request["model"])
        images, boxes = pictures.take(1)
        try:
            count = counted(
                lambda: model.predict(images * _COUNTED_FACES, boxes.repeat(_COUNTED_FACES, axis=0)),
                _COUNTED_FACES, card.parameters if card and card.id == model.name else None, runs,
            )  # fmt: skip
        except Exception as error:
            raise as_sentence(model.name, error) from None
    facts = {"name": model.name, "version": str(model.version), "weights_sha256": model.weights_sha256}
    facts["trained_on"] = list(model.trained_on)
    found = precision_difference(model, reference, pictures) if (reference := _in_full_precision(request)) is not None else None
    return {
        "model": facts, "batch_size": model.batch_size, "faces": asdict(faces), **count._asdict(),
        "precision": asdict(found) if found is not None else None,
    }  # fmt: skip


def _times(request: Mapping[str, Any]) -> dict[str, Any]:
    """A run, and on what."""
    from .stages import alone, as_sentence, end_to_end, with_crop

    threads, seconds, batches = request["threads"], request["seconds"], request["batches"]
    load, held = machine.load_average(), machine.hold_to(threads)
    _tell_opencv(threads)
    pictures = _pictures(request)
    before = machine.memory_mib()
    others = machine.others()
    model = _model(request, threads)
    try:
        singles = [alone(model, [1], seconds), with_crop(model, pictures, [1], seconds)]
        memory_1 = machine.peak_memory_mib()
        more = [b for b in batches if b > 1]
        found = {
            "alone": singles[0] + (alone(model, more, seconds) if singles[0] else ()),
            "with_crop": singles[1] + with_crop(model, pictures, more, seconds),
        }
        best = max(found["with_crop"], key=lambda t: t.faces_per_s).batch_size
        found["end_to_end"] = end_to_end(model, pictures, best, min(4, threads), seconds)
    except Exception as error:  # anything that a model may raise
        raise as_sentence(model.name, error) from None
    run = Run(
        threads, held, **found,
        memory_1_mib=_growth(before, memory_1), memory_mib=_growth(before, machine.peak_memory_mib()),
        gpu_memory_mib=machine.gpu_memory_mib(), load_average=load, others_cpus=others(), cpu_mhz=machine.cpu_mhz(),
    )  # fmt: skip
    return {"run": asdict(run), **_where(model)}


def _pipeline(request: Mapping[str, Any]) -> dict[str, Any]:
    """Runs against the bare model, and on what."""
    from .stages import as_sentence, first_answers
    from .through import end_to_end_against_bare, ways_of

    threads = request["threads"]
    machine.hold_to(threads)
    _tell_opencv(threads)
    pictures = _pictures(request)
    model = _model(request, threads)
    first_answers(model, pictures)
    others = machine.others()
    try:
        runs = [
            run
            for batch in request["batches"] or [model.batch_size]
            for run in end_to_end_against_bare(
                model, pictures.samples, ways_of(model), boxes=pictures.boxes, batch_size=batch, seconds=request["seconds"]
            )
        ]
    except Exception as error:  # anything that a model may raise
        raise as_sentence(model.name, error) from None
    return {"runs": [asdict(run) for run in runs], "others_cpus": others(), **_where(model)}


def _where(model: Any) -> dict[str, Any]:
    """The device that a model says it runs on, and the machine."""
    from ..provenance import environment

    about = environment()
    device = str(model.device or "")
    if device.startswith("cuda") and "gpu" not in about and (name := machine.gpu_name()):
        about = {**about, "gpu": name}
    return {"device": device, "environment": about}


def _pictures(request: Mapping[str, Any]) -> Any:
    from ..readers import load
    from .stages import pictures_of

    decoded = max([1, *request["batches"]])
    return pictures_of(load(request["dataset"], request["data"]), request["faces"], request["boxes"], decoded)


def _in_full_precision(request: Mapping[str, Any]) -> Any:
    """The model without the argument ``precision``; None where it was not given one."""
    arguments = {name: value for name, value in request["arguments"].items() if name != "precision"}
    return _model({**request, "arguments": arguments}, 1) if arguments != request["arguments"] else None


def _model(request: Mapping[str, Any], threads: int) -> Any:
    """The model, its own argument for threads set where it has one and the user has not."""
    from ..models.resolve import create_model, takes_argument

    name, arguments = request["model"], dict(request["arguments"])
    if "threads" not in arguments and takes_argument(name, "threads"):
        arguments["threads"] = threads
    weights = Path(request["weights"]) if request["weights"] is not None else None
    return create_model(name, weights=weights, device=request["device"], arguments=arguments)


def _card(name: str) -> Any:
    """The card of a name, None where it is not a card's."""
    from ..catalog import model_card_from, model_cards

    return model_card_from(Path(name)) if name.endswith(".toml") else model_cards().get(name)


def _tell_opencv(threads: int) -> None:
    import cv2

    cv2.setNumThreads(threads)  # it reads no variable


def _growth(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    main(*sys.argv[1:])
