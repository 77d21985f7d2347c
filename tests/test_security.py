"""What docs/security.md promises: attacks that must come to nothing, and words that must not stand in the code."""

from __future__ import annotations

import ast
import hashlib
import importlib
import io
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from made_records import a_record, the_board
from small_study import command

from hpbench.errors import InputError, MissingDataError, did_you_mean
from hpbench.faces import Faces
from hpbench.jobs import run
from hpbench.models.weights import ANY, find_weights
from hpbench.parts import Shard
from hpbench.predictions import read_predictions
from hpbench.readers.files.archives import archive_members
from hpbench.records import Failure, read_record
from hpbench.report.gate import without_commands
from hpbench.report.latex import latex_text
from hpbench.report.tables import boards_text
from hpbench.submissions.unpacking import check_arrays
from hpbench.untrusted import has_sound_heaps, is_bomb, read_npy, read_npz_arrays, survives_hdf5

ROOT = Path(__file__).resolve().parents[1]
CODE = sorted(p for folder in ("hpbench", "baselines", "benchmarks", "docs", "examples") for p in (ROOT / folder).rglob("*.py"))
PAGE = ROOT / "docs" / "security.md"

STEERING = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"
FORMULA = "=HYPERLINK(0)"


# ------------------------------------------------------------------------------------------------------ the code


def calls(path: Path) -> Iterator[tuple[int, str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> object:
    return next((k.value.value for k in call.keywords if k.arg == name and isinstance(k.value, ast.Constant)), None)


def forbidden(path: Path) -> list[str]:
    """Lines of a file that read what must not be read, or run what must not be run."""
    found = []
    for line, name, call in calls(path):
        last = name.rpartition(".")[2]
        if (
            name in ("eval", "exec", "__import__", "compile", "os.system", "os.popen", "yaml.load", "ast.literal_eval", "tempfile.mktemp")
            or last in ("extractall", "unpack_archive", "load_module", "joblib")
            or (name in ("np.load", "numpy.load") and keyword(call, "allow_pickle") is not False)
            or (name == "torch.load" and keyword(call, "weights_only") is not True)
            or (name.startswith("subprocess.") and keyword(call, "shell") not in (None, False))
            or any(k.arg == "allow_pickle" and not (isinstance(k.value, ast.Constant) and k.value.value is False) for k in call.keywords)
        ):
            found.append(f"{path.name}:{line}: {name}")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        found += [
            f"{path.name}:{node.lineno}: {n}"
            for n in names
            if n.split(".")[0] in ("pickle", "cPickle", "dill", "marshal", "shelve", "joblib")
        ]
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_code_unpickles_evaluates_or_unpacks_everything(path: Path) -> None:
    assert forbidden(path) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "np.load(p)",
        "np.load(p, allow_pickle=True)",
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "eval('1')",
        "exec(code)",
        "yaml.load(f)",
        "subprocess.run('ls', shell=True)",
        "archive.extractall()",
        "np.lib.format.read_array(f, allow_pickle=x)",
    ],
)
def test_the_search_finds_what_it_must(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(text)
    assert forbidden(tmp_path / "a.py")


def test_every_test_named_on_the_page_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 20
    for file, name in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not name or re.search(rf"^def {name}\(", text, re.MULTILINE), f"{file}::{name}"


def test_every_limit_on_the_page_is_the_codes() -> None:
    rows = re.findall(r"^\| `([\w.]+)\.(\w+)` \| ([\d_]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 10
    for module, name, value in rows:
        assert getattr(importlib.import_module(f"hpbench.{module}"), name) == int(value), f"{module}.{name}"


# --------------------------------------------------------------------------------------------- bombs and damaged heaps


def refused(read: Callable[[], object], *words: str) -> None:
    with pytest.raises((InputError, MissingDataError)) as error:
        read()
    assert all(word in str(error.value) for word in words), str(error.value)


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def test_what_shrinks_to_a_two_hundredth_is_a_bomb() -> None:
    assert not is_bomb(60 << 20, 10) and not is_bomb(100 << 20, 1 << 20) and is_bomb(100 << 20, 100 << 10)


def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    zeros = bytes(80 << 20)
    packed = zipped(tmp_path / "a.zip", {"a.dat": zeros})
    assert packed.stat().st_size < 100_000
    refused(lambda: [m.fetch() for m in archive_members(packed)], "a.dat", "unpack to")
    refused(lambda: find_weights(["a.dat"], [ANY], model_id="net", weights=packed), "not a weight file")
    bomb = zipped(tmp_path / "p.npz", {"sample_id.npy": npy(np.array(["a"])), "visibility.npy": npy(np.zeros((1, 10 << 20)))})
    refused(lambda: read_predictions(bomb), "claims")


def test_an_h5_that_unpacks_to_far_more_than_it_holds(tmp_path: Path) -> None:
    for k, kind in enumerate(({"compression": "gzip", "data": np.zeros((1, 10 << 20))}, {"shape": (1, 100 << 20), "dtype": "f8"})):
        path = tmp_path / f"{k}.h5"
        with h5py.File(path, "w") as file:
            file["sample_id"] = [b"a"]
            file.create_dataset("visibility", **kind)
        refused(lambda path=path: read_predictions(path), "visibility", "far more than the file holds")


def test_an_h5_loads_no_filter_from_a_plug_in(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["sample_id"] = [b"a"]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, 3))
        plist.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, ())  # blosc
        h5py.h5d.create(file.id, b"visibility", h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create_simple((1, 3)), plist)
    refused(lambda: read_predictions(tmp_path / "a.h5"), "32001", "plug-in")


def test_a_damaged_heap_of_texts_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("sample_id", data=["one", "two", "three"], dtype=h5py.string_dtype())
        file["rotation"] = np.stack([np.eye(3)] * 3)
    assert list(read_predictions(path).faces.sample_id) == ["one", "two", "three"]
    content = bytearray(path.read_bytes())
    heap = content.find(b"GCOL")
    assert has_sound_heaps(bytes(content))
    content[heap + 24] = 0  # the length of the first text: HDF5 2.0 walks from there for ever
    assert not has_sound_heaps(bytes(content))
    path.write_bytes(content)
    refused(lambda: read_predictions(path), "damaged")


def test_a_submission_that_crashes_hdf5_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "sound.h5", "w") as file:
        file["sample_id"] = np.array([b"a"])
    np.savez(tmp_path / "a.errors.npz", a=np.zeros(1))
    crashing = ROOT / "tests" / "fuzz" / "known" / "crash.h5"
    assert survives_hdf5(tmp_path / "sound.h5")
    check_arrays(tmp_path / "a.errors.npz", tmp_path / "sound.h5")
    if survives_hdf5(crashing):
        pytest.skip("this HDF5 is sound")
    refused(lambda: check_arrays(tmp_path / "a.errors.npz", crashing), "ends the process")


@pytest.mark.parametrize("command", [("score", "-d", "heads"), ("doctor", "-d", "heads"), ("validate",), ("convert", "-o", "out.csv")])
def test_a_command_refuses_what_crashes_hdf5(tmp_path: Path, command: tuple[str, ...]) -> None:
    shutil.copy(ROOT / "tests" / "fuzz" / "known" / "crash.h5", tmp_path / "theirs.h5")
    verb, *options = command
    line = [sys.executable, "-m", "hpbench", verb, "theirs.h5", *options]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode in (1, 2) and "theirs.h5" in done.stderr + done.stdout and "Traceback" not in done.stderr, done


@pytest.fixture(scope="module")
def crashing_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``run``, a finished run whose predictions crash HDF5, and ``shares``, with such a part."""
    place = tmp_path_factory.mktemp("crashing")
    crash = (ROOT / "tests" / "fuzz" / "known" / "crash.h5").read_bytes()
    run("frontal", "heads", limit=3, out=place / "run")
    (place / "run" / "predictions.h5").write_bytes(crash)
    run("frontal", "heads", limit=3, out=place / "shares", shard=Shard(1, 1))
    (part,) = (place / "shares").rglob("part-*.h5")
    part.write_bytes(crash + hashlib.sha256(crash).digest())
    return place


@pytest.mark.parametrize(
    "command",
    [
        "gallery run/heads.pose@1.json -o g", "pack run -o p.zip", "explain run/heads.pose@1.json run/heads.pose-hard@1.json",
        "merge shares", "run -m frontal -d heads --limit 2 -o run",
    ],
)  # fmt: skip
def test_a_command_survives_a_run_that_crashes_hdf5(crashing_run: Path, command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hpbench", *command.split()], cwd=crashing_run, capture_output=True, text=True, timeout=120
    )
    assert done.returncode in (0, 2, 3) and "Traceback" not in done.stderr, done


@pytest.mark.parametrize(
    "shape, descr", [("(1000000, 1000000)", "<f8"), ("(3,)", "|O"), ("(-1,)", "<f8"), ("(9,)", "<U0"), ("(4,)", "<U4")]
)
def test_an_npy_claims_no_more_than_it_holds(shape: str, descr: str, tmp_path: Path) -> None:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    content = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + b"\xff" * 64  # as text, that is none
    with pytest.raises(ValueError):
        read_npy(content, len(content))
    zipped(tmp_path / "a.npz", {"a.npy": content})
    with pytest.raises(ValueError):
        read_npz_arrays(tmp_path / "a.npz", 1 << 30)


def test_an_npz_is_read_as_numpy_reads_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given = {
        "a": rng.normal(size=(3, 4)),
        "b": np.asfortranarray(rng.normal(size=(5, 2))),
        "c": np.array(["x", "yé"]),
        "d": np.array(7),
        "e": np.zeros((0, 3)),
    }
    given["f"] = rng.normal(size=(2, 3)).astype(">f4")
    np.savez_compressed(tmp_path / "a.npz", **given)
    for source in (tmp_path / "a.npz", (tmp_path / "a.npz").read_bytes()):
        found = read_npz_arrays(source, 1 << 20)
        assert found.keys() == given.keys()
        for name, value in given.items():
            assert found[name].dtype == value.dtype and found[name].flags.writeable
            np.testing.assert_array_equal(found[name], value)


# ---------------------------------------------------------------------------------------------- what is printed


def test_an_error_can_neither_steer_a_terminal_nor_fill_it() -> None:
    text = str(InputError(f"a.csv: {STEERING} is no\nnumber."))
    assert text == r"a.csv: \x1b[2J\x1b]0;owned\x07\x9b31m\u202e is no" + "\nnumber."
    assert InputError(f"{STEERING}", "b\udc80").sentences[1] == r"b\udc80"
    assert len(str(InputError("a" * 10**6 + " the end."))) < 10_000 and str(InputError("a" * 10**6 + " the end.")).endswith(" the end.")
    assert did_you_mean("x" * 10**6, ["yaw_deg"]).endswith("known are yaw_deg.")


def test_a_hostile_file_name_is_told_harmlessly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = command(capsys, "validate", tmp_path / f"{STEERING}.csv")
    assert code == 2 and "there is no such file" in err and "\x1b" not in out + err and "\x9b" not in out + err


@pytest.mark.parametrize("change", [{"notes": (STEERING,)}, {"failures": (Failure("a", "::error::\nx"),)}, {"hpbench": "0.1\x84"}])
def test_a_record_holds_nothing_that_steers(change: dict[str, object], tmp_path: Path) -> None:
    path = a_record("net", 3.0, **change).write(tmp_path, {})
    refused(lambda: read_record(path), "control characters")


def test_ids_and_names_hold_nothing_that_steers() -> None:
    for bad in ("\x9b31m", "a\u202eb", "a\x1bb"):
        with pytest.raises(InputError):
            Faces([bad], failure=["x"])
    assert Faces(["a"], failure=[f"no{STEERING}face"]).failure[0].isprintable()


def test_a_table_holds_no_formula() -> None:
    board = the_board(replace(a_record(FORMULA, 3.0), model=replace(a_record(FORMULA, 3.0).model, version="+1")))
    for line in boards_text([board], "csv").splitlines()[1:]:
        assert FORMULA not in line or f"'{FORMULA}" in line


def test_latex_shows_what_stands_there() -> None:
    told = latex_text("\\input{/etc/passwd} % & $x^2$ #1 ~ \n\n\x1b")
    assert not re.search(r"\\(?!textbackslash|textasciicircum|textasciitilde|textless|textgreater|textbar|[{}$&#_%])", told), told
    assert not re.search(r"(?<!\\)[%&#$]", told) and "\n" not in told and "\x1b" not in told


def test_no_line_is_a_command_to_githubs_runner() -> None:
    told = without_commands("::error::x\n  ::add-mask::y\nfine: a::b ##[error]z")
    assert not re.search(r"^\s*::|##\[", told, re.MULTILINE) and "fine: a::b" in told


# ------------------------------------------------------------------------------------------------------- cards


@pytest.mark.parametrize("package", ["os.path/x", "a b/x", "../x", "numpy/../../etc", "/etc", ""])
def test_a_card_names_folders_of_packages_alone(package: str) -> None:
    refused(lambda: find_weights(["a.dat"], [ANY], model_id="net", packages=(package,)), "PACKAGE")
