"""The demo: faces drawn here and now, two models run on them, a leaderboard.  `make demo` runs this; README shows its output.

The faces are cartoons in the format of AFLW2000-3D, and the data set `miniature` is a private one: a catalog folder
(card, protocols, list of ids) that HPBENCH_CATALOG adds, as you would add your own.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path("demo")

COMMANDS = (
    "hpbench run -m frontal -d miniature --data demo/faces -o demo/out/frontal",
    "hpbench run -m examples/colour_blobs.py:ColourBlobs -d miniature --data demo/faces -o demo/out/colour-blobs",
    "hpbench leaderboard demo/out -d miniature",
)


def main() -> int:
    """Draw, run, rank; the exit code of the first command that fails."""
    os.chdir(ROOT)
    shutil.rmtree(FOLDER, ignore_errors=True)
    draw = [sys.executable, "tests/miniatures/aflw2000.py", str(FOLDER), "--count", "48", "--seed", "1"]
    environment = {**os.environ, "HPBENCH_CATALOG": str(FOLDER / "catalog"), "PYTHONPATH": str(ROOT)}
    if code := subprocess.run(draw, env=environment, stdout=sys.stderr).returncode:
        return code
    print(f"$ export HPBENCH_CATALOG={FOLDER.as_posix()}/catalog    # a private catalog: the data set 'miniature'\n", flush=True)
    for command in COMMANDS:
        print(f"$ {command}", flush=True)
        arguments = shlex.split(command.removeprefix("hpbench "))
        if code := subprocess.run([sys.executable, "-m", "hpbench", *arguments], env=environment).returncode:
            return code
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
