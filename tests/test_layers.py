"""The architecture: a module may import the modules above it in `LAYERS`, itself, and nothing else of hpbench.

Imports inside functions count as well; those under ``if TYPE_CHECKING:`` do not, nor do names loaded late by
`importlib` (the way to the readers and models that a catalog card names).
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hpbench"

# THE architecture document. A name is a module or a package of hpbench; a package may import within itself.
LAYERS = [
    "errors",  # what may go wrong for a user
    "checked",  # TOML read into dataclasses
    "untrusted",  # sizes that files claim; .npz of anybody
    "atomic",  # files written whole or not at all
    "locked",  # one writer to a folder at a time
    "cache",  # where things are kept
    "landmarks",  # schemes
    "landmark_maps",  # from one to another
    "geometry",  # rotations, conventions, cameras, the mean face
    "images",  # decoding, cropping
    "drawing",  # boxes, points and head axes on pictures
    "columns",  # the columns of faces and their checks
    "faces",  # the table that serves truth and prediction; Sample
    "metrics",  # arrays in, numbers out
    "predictions",  # public boundary 1
    "records",  # public boundary 2
    "provenance",  # what a new record says of its origin
    "catalog",  # cards and protocols
    "beside",  # records in files, and the errors that lie beside them
    "citations",  # BibTeX of cards and works
    "readers",  # raw files -> samples and truth
    "heads",  # faces rendered with exact labels; files that a reader reads
    "mnn",  # the reference network: targets, training, inference
    "models",  # samples -> predictions
    "detectors",  # pictures -> face boxes
    "deadline",  # a call that must come back in time
    "batches",  # one batch through a model
    "batch_size",  # how many faces that is
    "pipeline",  # images on their way to a model
    "parts",  # predictions on disk while a run is under way
    "predict",  # a model over a dataset
    "look",  # a model on one's own pictures
    "look_video",  # and videos
    "mapped",  # predictions in the landmark scheme of the labels
    "obstacles",  # why predictions do not fit a protocol
    "diagnostics",  # what kind of error it is
    "charging",  # what failed faces cost
    "evaluate",  # truth x predictions x protocol -> record
    "scoring",  # predictions of a dataset by its protocols
    "kept",  # predictions that lie beside records
    "submissions",  # results packed, unpacked, checked
    "request",  # what is asked of a dataset, checked
    "planning",  # what a run is before it runs
    "closing",  # the end of a run: joined, scored
    "shards",  # a run in shares, and their merge
    "ranks",  # one of several processes of a launcher
    "ray_cluster",  # parts as tasks of a cluster
    "jobs",  # the verbs: run, score
    "speed",  # how fast models are on this machine
    "sweep",  # several models over several datasets
    "reproduce",  # train, run and score as the paper did
    "comparison",  # two records, face by face; gates
    "doctor",  # which mistake explains bad predictions
    "conversion",  # other people's result files as predictions
    "validation",  # every problem of a file at once
    "selfcheck",  # laws that every installation keeps
    "explain",  # why two numbers differ
    "sensitivity",  # how far the choice of protocol moves a score
    "inspection",  # whether a model keeps its contract; its colours and its crop
    "leaderboard",  # records -> ranked tables
    "report",  # records -> documents and figures
    "site",  # boards -> static pages
    "rescore",  # kept predictions by the present protocols
    "pytest_plugin",  # a model that got worse is a test that fails
    "cli",  # commands parse, call one function, print
    "__main__",
]

# Extras, imported where they are used: every module can be imported without them.
OPTIONAL = {
    "anny",
    "dlib",
    "face_recognition_models",
    "mediapipe",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "openvino",
    "ray",
    "safetensors",
    "spiga",
    "torch",
    "warp",
    "yaml",
}

# Written in PyTorch throughout: imported inside functions, or by one another; hpbench.mnn's other modules do without.
IN_TORCH = {
    f"mnn/{name}.py"
    for name in (
        *("checkpoint", "data", "export", "infer", "losses", "network", "packing", "train", "validation"),
        *("or_boosting", "or_file", "or_seen", "or_train", "or_trees"),
    )
}

# What `hpbench --help` does without.
HEAVY = OPTIONAL | {"cv2", "h5py", "matplotlib", "pandas", "scipy"}

FILES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    """``errors`` for hpbench/errors.py, ``metrics`` for hpbench/metrics/pose.py, "" for hpbench/__init__.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports(tree: ast.AST, top_level: bool = False) -> Iterator[ast.Import | ast.ImportFrom]:
    """All import statements outside ``if TYPE_CHECKING:``; with `top_level`, only those that run at import."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in node.orelse:
                yield from imports(ast.Module([other], []), top_level)
        elif not (top_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            yield from imports(node, top_level)


def imported(path: Path, top_level: bool = False) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything that a file imports; ``from . import a`` gives ``hpbench.a``."""
    package = ("hpbench", *path.relative_to(PACKAGE).parent.parts)
    for node in imports(ast.parse(path.read_text(encoding="utf-8"), str(path)), top_level):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
            continue
        base = package[: len(package) - node.level + 1] if node.level else ()
        module = ".".join((*base, *filter(None, [node.module])))
        yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def violations(path: Path) -> list[str]:
    """One sentence for each import that is not allowed."""
    layer = layer_of(path)
    found = []
    for line, name in imported(path):
        root, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if root != "hpbench" or target in (layer, "__version__"):
            continue
        if target not in LAYERS:
            found.append(f"{path.name}:{line} imports {name}: {target or name!r} is no module in LAYERS")
        elif not layer:
            found.append(f"{path.name}:{line} imports {name}: `import hpbench` must import nothing")
        elif LAYERS.index(target) > LAYERS.index(layer):
            found.append(f"{path.name}:{line} imports {name}: {target} stands below {layer}")
    return found


def test_every_module_has_a_layer() -> None:
    assert FILES
    assert {layer_of(path) for path in FILES} - {"", *LAYERS} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_only_modules_above(path: Path) -> None:
    assert violations(path) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_optional_packages_are_imported_late(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    late = OPTIONAL - {"torch"} if place in IN_TORCH else OPTIONAL | {f"hpbench/{other}".removesuffix(".py") for other in IN_TORCH}
    early = [
        f"{path.name}:{line} imports {name}"
        for line, name in imported(path, top_level=True)
        if name.split(".")[0] in late or "/".join(name.split(".")[:3]) in late
    ]
    assert early == []


def test_the_command_line_starts_light() -> None:
    code = "import sys, hpbench.cli; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert HEAVY & set(done.stdout.split()) == set()


def test_this_test_sees_what_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    (tmp_path / "metrics").mkdir()
    file = tmp_path / "metrics" / "pose.py"
    for line in ("from ..catalog import x", "from .. import catalog", "import hpbench.catalog", "from hpbench import catalog",
                 "def f():\n    from ..catalog import x", "try:\n    from ..typo import x\nexcept E:\n    pass",
                 "if TYPE_CHECKING:\n    pass\nelse:\n    from .. import catalog"):  # fmt: skip
        file.write_text(line)
        assert len(violations(file)) == 1, line
    for line in ("from .table import x", "from . import table", "from ..geometry.rotations import x", "from .. import __version__",
                 "import numpy", "if TYPE_CHECKING:\n    from ..catalog import x"):  # fmt: skip
        file.write_text(line)
        assert violations(file) == [], line
    file.write_text("def f():\n    import torch\nclass A:\n    import torch")
    assert list(imported(file, top_level=True)) == [(4, "torch")]
