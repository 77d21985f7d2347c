"""A worker gives what the same model gives in this process; how it is named and what its card says."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from miniatures.aflw2000 import draw_aflw2000
from workers import MODEL, answered, faces, worker, written

from hpbench.batches import Watch, predict_batch
from hpbench.catalog import dataset_card, model_card_from, split_ids
from hpbench.errors import InputError, MissingDataError
from hpbench.models import worker_side
from hpbench.models.resolve import create_model
from hpbench.models.worker import WorkerSpec, read_worker_card, read_worker_name


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("models"))


# ---------------------------------------------------------------------------------------------- the same results


def test_a_run_gives_the_same_file_byte_for_byte(toys: Path, tmp_path: Path) -> None:
    draw_aflw2000(tmp_path / "data", count=12, seed=4, ids=split_ids(dataset_card("aflw2000"), "all")[:12])
    first = {}
    for folder, name in (("here", f"{toys}:Toy"), ("there", f"worker:'{sys.executable}' '{toys}:Toy'")):
        command = [sys.executable, "-m", "hpbench", "run", "-m", name, "-d", "aflw2000", "--data", str(tmp_path / "data")]
        done = subprocess.run([*command, "-o", folder, "--model-arg", "gain=0.3"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "a print while it is imported" in done.stderr and "and one past Python" in done.stderr + done.stdout
        if folder == "there":
            assert "print" not in done.stdout and "past Python" not in done.stdout, "stdout is for data"
        records = [json.loads(path.read_text()) for path in sorted((tmp_path / folder).glob("*.json"))]
        assert records
        facts = [(record["model"], record["scores"], record["predictions_sha256"]) for record in records]
        first.setdefault("predictions.h5", (tmp_path / folder / "predictions.h5").read_bytes())
        first.setdefault("facts", facts)
        assert (tmp_path / folder / "predictions.h5").read_bytes() == first["predictions.h5"]
        assert facts == first["facts"]


@pytest.mark.parametrize("firsts", [(9, 9, 9, 9), (9, 1, 9, 8), (1,)])
def test_faces_that_fail_fail_alike(toys: Path, firsts: tuple[int, ...]) -> None:
    here, there = create_model(f"{toys}:Toy"), worker(toys)
    (a, reasons_a), (b, reasons_b) = answered(here, *firsts), answered(there, *firsts)
    assert reasons_a == reasons_b
    assert [bool(reason) for reason in reasons_a] == [first in (1, 8) for first in firsts]
    assert all(reason == "model Toy raised ValueError: it is a one" for reason, first in zip(reasons_b, firsts, strict=True) if first == 1)
    if a.euler_deg is not None:
        np.testing.assert_array_equal(a.euler_deg, b.euler_deg)
    for key in ("name", "version", "trained_on", "weights_sha256", "device", "batch_size"):
        assert getattr(here, key) == getattr(there, key), key


def test_what_is_asked_for_arrives(toys: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.txt").write_text("the weights")
    model = worker(toys, weights=tmp_path / "weights.txt", device="cuda:1", arguments={"gain": 2.0})
    assert (model.weights_sha256, model.device, model.batch_size, model.version) == ("the weights", "cuda:1", 3, "7")
    double, _ = answered(model, 9)
    single, _ = answered(worker(toys), 9)
    np.testing.assert_allclose(double.euler_deg[:, 0], 2 * single.euler_deg[:, 0])  # type: ignore[index]


def test_a_bright_face_fails_for_the_models_own_reason(toys: Path) -> None:
    batch = faces(9, 255)
    batch[1] = (batch[1][0], np.full((8, 8, 3), 255, np.uint8))
    predicted, _ = predict_batch(Watch(worker(toys)), batch)
    assert list(predicted.failure) == ["", "too bright"]  # type: ignore[arg-type]
    assert np.isnan(predicted.euler_deg[1]).all() and not np.isnan(predicted.euler_deg[0]).any()  # type: ignore[index]


def test_a_function_and_every_column(tmp_path: Path) -> None:
    path = written(tmp_path, """
import numpy as np

class Answer:
    pass

def everything(images, boxes_xyxy_px):
    answer, n = Answer(), len(images)
    answer.rotation = np.tile(np.eye(3, dtype=np.float32), (n, 1, 1)).transpose(0, 2, 1)
    answer.landmarks = np.arange(n * 42, dtype=int).reshape(n, 21, 2)[::-1]
    answer.scheme = "aflw21"
    answer.visibility = np.linspace(0, 1, n * 21, dtype=np.float16).reshape(n, 21)
    return answer
""")  # fmt: skip
    model = worker(path, "everything")
    predicted, _ = answered(model, 9, 9)
    assert (model.name, model.version) == ("toys.everything", f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}")
    assert predicted.scheme == "aflw21" and predicted.landmarks is not None and predicted.visibility is not None
    np.testing.assert_array_equal(predicted.landmarks.ravel(), np.arange(84).reshape(2, 42)[::-1].ravel())
    np.testing.assert_array_equal(predicted.visibility.ravel(), np.linspace(0, 1, 42, dtype=np.float16))
    np.testing.assert_array_equal(predicted.rotation, np.tile(np.eye(3), (2, 1, 1)))  # type: ignore[arg-type]


def test_a_model_with_hpbench_and_neighbours(tmp_path: Path) -> None:
    """`weights` and `crop` are modules beside hpbench's worker_side.py: a user's own are found all the same."""
    written(tmp_path, "VALUE = 5.0", "weights.py")
    path = written(tmp_path, """
import numpy as np, hpbench, weights
from hpbench.errors import InputError

class Mine(hpbench.Model):
    def predict(self, images, boxes_xyxy_px):
        if any(image[0, 0, 0] == 1 for image in images):
            raise InputError("this face is refused.")
        return hpbench.Faces(euler_deg=np.full((len(images), 3), weights.VALUE), convention="yxz")
""")  # fmt: skip
    here, there = create_model(f"{path}:Mine"), worker(path, "Mine")
    (a, reasons), (b, also) = answered(here, 9, 1), answered(there, 9, 1)
    assert reasons == also == ["", "model Mine: this face is refused."]
    assert a.content_sha256() == b.content_sha256() and (here.name, here.batch_size) == (there.name, there.batch_size)


# ---------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("worker:python net.py:Net", WorkerSpec(("python", "net.py:Net"))),
        ("worker:timeout_s=0.5 memory_mib=100 node net.js", WorkerSpec(("node", "net.js"), timeout_s=0.5, memory_mib=100)),
        ("worker:'my env/python' -E \"a b.py:Net\"", WorkerSpec(("my env/python", "-E", "a b.py:Net"))),
        (r"worker:C:\env\python.exe net.py:Net", WorkerSpec((r"C:\env\python.exe", "net.py:Net"))),
        ("worker:serve #1", WorkerSpec(("serve", "#1"))),
    ],
)
def test_names_are_words(name: str, spec: WorkerSpec) -> None:
    assert read_worker_name(name) == spec
    side = str(Path(worker_side.__file__).resolve())
    assert (side in spec.words) == spec.command[-1].endswith(":Net")
    assert [word for word in spec.words if word != side] == list(spec.command)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("worker:", "the command is empty"),
        ("worker:net.py:Net", "say which Python runs it, as worker:venv/bin/python net.py:Net"),
        ("worker:'python net.py:Net", "quotation mark is not closed"),
        ("worker:timeout_s=soon python net.py:Net", "timeout_s=soon is no number|timeout_s='soon' is no number"),
        ("worker:timeout_s=0 python net.py:Net", "above 0"),
        ("worker:timeout_s=nan python net.py:Net", "is no finite number"),
        ("worker:memory_mib=-1 python net.py:Net", "no amount of memory"),
        ("worker:not-there/python net.py:Net", "not-there/python: there is no such program"),
        ("worker:{python} not_there.py:Net", "not_there.py: there is no such file"),
        ("worker:{python} {toys}:Nothing", "no class or function 'Nothing'"),
        ("worker:{python} {toys}:Idle", "has no method predict"),
        ("worker:{python} {toys}:Broken", r"cannot be made \(RuntimeError: out of paper\)"),
    ],
)
def test_wrong_names_are_one_sentence(toys: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        create_model(name.format(python=sys.executable, toys=toys))
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = (", "line 1 is no Python"),
        ("\n1 / 0", "line 2 fails on import .ZeroDivisionError: division by zero"),
        ("import not_there_at_all", "No module named 'not_there_at_all'"),
        ("import sys; sys.exit('go away')", "SystemExit: go away"),
        ("import os; os._exit(9)", "ended with exit code 9"),
    ],
)
def test_a_file_that_cannot_be_imported(tmp_path: Path, code: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        worker(written(tmp_path, code))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("Toy", {"arguments": {"gian": 1}}, "takes no --model-arg gian; its arguments are: gain"),
        ("Toy", {"arguments": {"weights": "x"}}, "use --weights"),
        ("Number", {"weights": Path("w")}, "takes no --weights"),
        ("Number", {"device": "cuda"}, "takes no --device"),
        ("toy", {"arguments": {"gain": 1}}, "is a function"),
        ("Toy", {"arguments": {"gain": {1, 2}}}, "cannot be asked"),
    ],
)
def test_arguments_it_does_not_take(toys: Path, name: str, keywords: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        worker(toys, name, **keywords)


def test_the_other_side_needs_an_old_python_and_no_hpbench() -> None:
    tree = ast.parse(Path(worker_side.__file__).read_text(encoding="utf-8"), feature_version=(3, 6))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= {"numpy", *sys.stdlib_module_names} - {"__future__"}


# ---------------------------------------------------------------------------------------------- cards

CARD = """
id = "toy"
title = "A toy"
version = "3"
trained_on = ["aflw"]
{more}
[worker]
command = [{command}]
timeout_s = 5
"""


def card(folder: Path, command: str, more: str = "") -> str:
    return str(written(folder, CARD.format(command=command, more=more), "card.toml"))


def test_a_card_runs_in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    written(tmp_path / "home", MODEL.replace('    version = "7"\n    trained_on = ("300w-lp",)\n', ""))
    monkeypatch.chdir(tmp_path)
    model = create_model(card(tmp_path / "home", f"'{sys.executable}', 'toys.py:Toy'"))
    assert (model.name, model.version, model.trained_on) == ("toy", "3", ("aflw",))
    assert answered(model, 9)[1] == [""]
    if os.name == "posix":  # a relative interpreter is one beside the card
        (tmp_path / "home" / "env").mkdir()
        script = written(tmp_path / "home" / "env", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', "python")
        script.chmod(0o755)
        assert create_model(card(tmp_path / "home", "'env/python', 'toys.py:Toy'")).name == "toy"
        script.chmod(0o644)
        with pytest.raises(InputError, match="is no program that can be run"):
            create_model(card(tmp_path / "home", "'env/python', 'toys.py:Toy'"))


def test_the_weights_of_a_card_are_checked_and_handed_over(tmp_path: Path) -> None:
    written(tmp_path, MODEL.replace("weights.read_text()", "None"))
    sha256 = hashlib.sha256(b"the weights").hexdigest()
    name = card(tmp_path, f"'{sys.executable}', 'toys.py:Toy'", f'files = {{ "w.bin" = "{sha256}" }}')
    with pytest.raises(MissingDataError, match="w.bin"):
        create_model(name)
    (tmp_path / "w.bin").write_bytes(b"other weights")
    with pytest.raises(MissingDataError, match="found " + hashlib.sha256(b"other weights").hexdigest()):
        create_model(name)
    (tmp_path / "w.bin").write_bytes(b"the weights")
    assert create_model(name).weights_sha256 == sha256


@pytest.mark.parametrize(
    ("command", "message"),
    [("", "the command is empty"), ("3", "expected text"), ("'net.py:Net'", "say which Python"), ("'a', 'b\\u0000'", "a NUL character")],
)
def test_wrong_cards(tmp_path: Path, command: str, message: str) -> None:
    path = Path(card(tmp_path, command.replace("'", '"')))
    with pytest.raises(InputError, match=message) as caught:
        read_worker_card(model_card_from(path))
    assert str(path) in str(caught.value)
