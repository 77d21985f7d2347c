"""The demo: models run on the heads that come with hpbench, then a board, the reference model's record on it.

``make demo`` runs this; README shows its output.
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
    "hpbench run -m frontal -d heads --protocol heads/pose -o demo/frontal",
    "hpbench run -m dlib68 -d heads --protocol heads/pose --protocol heads/landmarks-contour -o demo/dlib68",
    "hpbench run -m dlib68 --model-arg boxes=given -d heads --protocol heads/pose --protocol heads/landmarks-contour -o demo/dlib68-given",
    "hpbench leaderboard demo baselines/mnn --protocol heads/pose",
)


def main() -> int:
    """Run, run, run, rank; the exit code of the first command that fails."""
    os.chdir(ROOT)
    shutil.rmtree(FOLDER, ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for command in COMMANDS:
        print(f"$ {command}", flush=True)
        arguments = shlex.split(command.removeprefix("hpbench "))
        if code := subprocess.run([sys.executable, "-m", "hpbench", *arguments], env=environment).returncode:
            return code
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
