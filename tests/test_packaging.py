"""What is shipped: the wheel and the sdist hold the tree's content, all of it and nothing else."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
CATALOG = ("baselines", "datasets")
CODE = {".py", ".csv", ".toml", ".html", ".css", ".js"}
CONTENT = {".toml", ".md", ".txt", ".json", ".npz", ".csv", ".zip", ".safetensors"}
MADE = {".venv", "build", "demo", "dist", "hpbench-out"}


def tree() -> list[str]:
    """Paths of the project's files, those not yet committed among them; from an unpacked sdist, all that nobody made."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        return sorted(name for name in listed if name and (ROOT / name).is_file())
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file() and path != ROOT / "PKG-INFO"]
    caches = (".egg-info", "_cache", "__pycache__", ".hypothesis", ".benchmarks")
    return sorted(p.as_posix() for p in paths if p.parts[0] not in MADE and not any(part.endswith(caches) for part in p.parts))


def run(*command: str | os.PathLike[str], cwd: Path, **environment: str) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, f"{command} failed with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Built:
    """Names in the tree that was built, and the two files made of it."""

    tree: list[str]
    sdist: Path
    wheel: Path

    def names_in_sdist(self) -> set[str]:
        with tarfile.open(self.sdist) as archive:
            return {PurePosixPath(m.name).relative_to(self.sdist.name.removesuffix(".tar.gz")).as_posix() for m in archive if m.isfile()}

    def names_in_wheel(self) -> set[str]:
        """Without the metadata folder."""
        with zipfile.ZipFile(self.wheel) as archive:
            return {name for name in archive.namelist() if not PurePosixPath(name).parts[0].endswith(".dist-info")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist of a copy of the tree, and the wheel made from that sdist."""
    folder = tmp_path_factory.mktemp("packaging")
    names = tree()
    for name in names:
        target = folder / "tree" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "tree", cwd=folder)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return Built(names, sdist, wheel)


def test_the_wheel_is_the_code_and_the_catalog(built: Built) -> None:
    code = {name for name in built.tree if name.startswith("hpbench/")}
    catalog = {f"hpbench/_catalog/{name}" for name in built.tree if name.startswith(tuple(f"{c}/" for c in CATALOG))}
    assert code
    assert built.names_in_wheel() == code | catalog


def test_the_wheel_holds_only_known_kinds_of_files(built: Built) -> None:
    odd = {n for n in built.names_in_wheel() if PurePosixPath(n).suffix not in (CONTENT if n.startswith("hpbench/_catalog/") else CODE)}
    assert odd == set()


def test_the_sdist_is_the_tree(built: Built) -> None:
    written = {name for name in built.names_in_sdist() if name == "PKG-INFO" or name.startswith("hpbench.egg-info/")}
    assert built.names_in_sdist() - written == set(built.tree)


def test_the_wheel_works_far_from_the_checkout(built: Built, tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", site, built.wheel, cwd=elsewhere)
    where = run(sys.executable, "-c", "import hpbench; print(hpbench.__file__)", cwd=elsewhere, PYTHONPATH=str(site))
    assert Path(where.strip()).is_relative_to(site)
    listed = run(sys.executable, "-m", "hpbench", "datasets", "list", cwd=elsewhere, PYTHONPATH=str(site))
    assert "aflw2000" in listed


def test_setup_cfg_lists_every_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = config["options"]["packages"].split()
    folders = {PurePosixPath(name).parent for name in tree() if name.startswith("hpbench/") and name.endswith(".py")}
    assert listed[0] == "hpbench"
    assert sorted(listed) == sorted([*(".".join(f.parts) for f in folders), *(f"hpbench._catalog.{c}" for c in CATALOG)])


def test_constraints_pin_what_setup_cfg_names() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    wanted = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    named = {line.partition(">=")[0] for block in wanted for line in block.split()}
    pins = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert named == {pin.partition("==")[0] for pin in pins}
