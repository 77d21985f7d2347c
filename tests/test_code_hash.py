"""The hash of a user's model code: its own file, and what that imports from beside it."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from hpbench.errors import InputError
from hpbench.models.code_hash import code_sha256
from hpbench.models.resolve import create_model

MODEL = """
import json, numpy as np, hpbench
{imports}

class Net(hpbench.Model):
    def predict(self, images, boxes):
        {late}
        return hpbench.Faces(rotation=np.tile(np.eye(3), (len(images), 1, 1)))
"""


def written(folder: Path, imports: str = "", late: str = "pass", **files: str) -> Path:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "net.py").write_text(MODEL.format(imports=imports, late=late))
    return folder / "net.py"


def test_a_file_alone_is_the_hash_of_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, other="x = 1")  # not imported
    assert code_sha256(file) == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("imports", "late", "helper"),
    [
        ("import helper", "pass", "helper"),
        ("from helper import x as y", "pass", "helper"),
        ("", "import helper", "helper"),
        ("from parts import deep", "pass", "parts__deep"),
        ("import parts.deep", "pass", "parts__deep"),
        ("from parts.deep import x", "pass", "parts__deep"),
        ("import first", "pass", "second"),
        ("from parts.near import x", "pass", "parts__deep"),
    ],
)
def test_an_edited_helper_is_other_code(tmp_path: Path, imports: str, late: str, helper: str) -> None:
    files = {"first": "import second", "second": "", "helper": "x = 1", "parts__near": "from . import deep\nx = 1", "parts__deep": "x = 1"}
    file = written(tmp_path, imports, late, **files)
    before = code_sha256(file)
    assert before != hashlib.sha256(file.read_bytes()).hexdigest()
    (tmp_path / (helper.replace("__", "/") + ".py")).write_text("x = 2")
    assert code_sha256(file) != before
    (tmp_path / "unrelated.py").write_text("x = 3")
    after = code_sha256(file)
    (tmp_path / "unrelated.py").write_text("x = 4")
    assert code_sha256(file) == after


def test_imports_in_a_circle_and_what_is_no_python(tmp_path: Path) -> None:
    file = written(tmp_path, "import first, broken", first="import second, net", second="import first", broken="def (")
    assert len(code_sha256(file)) == 64


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("x = 1")
    home = tmp_path / "home"
    home.mkdir()
    file = written(home, "from .. import secret\nfrom ... import secret\nimport linked")
    os.symlink(tmp_path / "secret.py", home / "linked.py")
    before = code_sha256(file)
    (tmp_path / "secret.py").write_text("x = 2")
    assert code_sha256(file) == before == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_version_of_a_model_is_that_of_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "import code_hash_helper", code_hash_helper="x = 1")
    version = create_model(f"{file}:Net").version
    assert version == f"sha256:{code_sha256(file)[:12]}"
    (tmp_path / "code_hash_helper.py").write_text("x = 2")
    assert create_model(f"{file}:Net").version != version
    package = tmp_path / "code_hash_package"
    written(package, "from . import near", near="x = 1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    first = create_model("code_hash_package.net:Net").version
    (package / "near.py").write_text("x = 2")
    assert first.startswith("sha256:") and create_model("code_hash_package.net:Net").version != first
    with pytest.raises(InputError, match="no such file"):
        create_model(f"{tmp_path / 'absent.py'}:Net")
