"""``python -m fuzz`` in ``tests``: see `fuzz`."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from .campaign import campaign, found_inputs, write_results
from .targets import TARGETS

_RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "fuzz.csv"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="fuzz", description="Damaged, odd and hostile inputs for every reader; exit 1 if one is read badly."
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(TARGETS)}")
    parser.add_argument("--count", type=int, default=1_000_000, help="inputs, of all targets together (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.0, help="an end to it, of all workers together (default: none)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="folder for inputs that were read badly")
    parser.add_argument(
        "--results", type=Path, default=None, help=f"table of a whole campaign (default: {_RESULTS.name} of benchmarks/results)"
    )
    parser.add_argument("--add", action="store_true", help="go on counting from the table that is there")
    given = parser.parse_args()
    if unknown := set(given.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    names = [n for n in given.targets or TARGETS if not TARGETS[n].extra or importlib.util.find_spec(TARGETS[n].extra)]
    results = campaign(names, given.count, given.seconds, given.seed, given.workers, given.findings)
    if given.results or not given.targets:
        write_results(given.results or _RESULTS, results, {name: len(paths) for name, paths in found_inputs().items()}, add=given.add)
    found = sum(len(r.findings) for r in results)
    print(f"{sum(r.inputs for r in results)} inputs of {len(results)} targets, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
