"""Regenerates what README.md and docs/ show of hpbench's own output, between ``<!-- generated: NAME -->`` and ``<!-- end -->``.

``python docs/generate.py`` writes; ``--check`` fails when a file would change, ``--check --but demo`` looks at all but the demo,
which runs models for half a minute.  Speeds differ from run to run: they are left out of the comparison.
"""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import click
import tabulate

from hpbench.catalog import dataset_cards, model_cards, protocols_of
from hpbench.cli import cli
from hpbench.geometry.rotations import CONVENTIONS
from hpbench.landmarks import SCHEMES
from hpbench.leaderboard import boards, collect_found, collect_records, find_score
from hpbench.metrics import METRICS, Parameter
from hpbench.mnn.losses import TASKS, balanced_weights
from hpbench.mnn.packing import weights_story
from hpbench.models.status import model_gives, weight_files
from hpbench.report.cells import escape, score_text
from hpbench.report.crop_sensitivity import colour_markdown, crop_markdown, read_responses
from hpbench.report.doctor import confusion_markdown
from hpbench.report.engine import engine_markdown
from hpbench.report.folder import leads_markdown
from hpbench.report.gate_power import gate_errors_markdown, read_gate_power
from hpbench.report.parity import parity_table
from hpbench.report.protocols import dataset_markdown, family_charge

ROOT = Path(__file__).resolve().parent.parent
FILES = (
    *("README.md", "docs/conventions.md", "docs/cli.md", "docs/protocols.md", "reports/parity.md", "reports/mnn.md"),
    *("baselines/mnn/README.md", "docs/trust.md", "reports/doctor.md", "reports/gate.md", "reports/robustness.md", "reports/engine.md"),
)
MEASURED = ROOT / "benchmarks" / "results"  # by scripts that take hours, or whose figures are this machine's
_BLOCK = re.compile(r"(<!-- generated: ([a-z]+|\$ hpbench [^\n]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def demo() -> str:
    """Standard output of the demo."""
    result = subprocess.run([sys.executable, "examples/demo.py"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    if result.returncode:
        sys.exit(f"examples/demo.py failed:\n{result.stderr}")
    return f"```\n{result.stdout.strip()}\n```"


def board() -> str:
    """Who leads on heads, as `hpbench report` says it of the shipped records."""
    return leads_markdown(boards(collect_found()[0], "heads", "")[0], "reports/")


def datasets() -> str:
    """Table of all datasets."""
    rows = []
    for card in dataset_cards().values():
        labels = [card.scheme and f"`{card.scheme}`", card.pose and "pose"]
        faces = ", ".join(f"{split} {count:,}" for split, count in card.splits.items())
        rows.append([f"`{card.id}`", card.title, faces, ", ".join(filter(None, labels)), len(protocols_of(card))])
    return tabulate.tabulate(rows, ["id", "dataset", "faces", "labels", "protocols"], tablefmt="github")


def models() -> str:
    """Table of all models, and what each needs beyond hpbench itself, whether it is on this machine or not."""
    rows = []
    for card in model_cards().values():
        needs = [card.extra and f"`hpbench[{card.extra}]`", *(f"`{requirement}` (`--no-deps`)" for requirement in card.no_deps)]
        files = list(weight_files(card))
        if files and "with hpbench" not in card.weights and f"hpbench[{card.extra}]" not in card.weights:  # else they come with it
            needs.append(f"`{files[0]}`{f' and {len(files) - 1} more' if files[1:] else ''}")
        gives = ", ".join(model_gives(card))
        rows.append([f"[`{card.id}`](baselines/{card.id})", escape(card.title), gives, ", ".join(filter(None, needs))])
    return tabulate.tabulate(rows, ["id", "model", "gives", "needs"], tablefmt="github")


def protocols() -> str:
    """Table of all protocols."""
    rows = [[f"`{p.reference}`", p.title, f"`{p.main}`"] for card in dataset_cards().values() for p in protocols_of(card)]
    return tabulate.tabulate(rows, ["protocol", "what", "main metric"], tablefmt="github")


def pages() -> str:
    """All protocols, dataset by dataset: what `hpbench protocols show` says of each."""
    return "\n\n".join(dataset_markdown(card, protocols_of(card)) for card in dataset_cards().values())


def metrics() -> str:
    """Table of the metric families and their parameters, from the code that computes them."""

    def values(parameter: Parameter) -> str:
        if parameter.choices:
            return ", ".join(parameter.choices)
        return "a number" if parameter.default is None else f"a number, {parameter.show(parameter.default)} unless given"

    rows = []
    for family in METRICS.values():
        parameters = [f"`{k}`{' needed' * p.required} ({values(p)})" for k, p in family.parameters.items()]
        better = "higher" if family.higher_is_better else "lower"
        charge = family_charge(family)
        rows.append([f"`{family.example}`", family.title, family.unit, better, charge, "; ".join(parameters)])
    return tabulate.tabulate(rows, ["metric", "what", "unit", "better", "a failed face", "parameters"], tablefmt="github")


def conventions() -> str:
    """Table of the Euler conventions, from the code that applies them."""
    axis = {"yaw": "Ry", "pitch": "Rx", "roll": "Rz"}
    rows = []
    for c in CONVENTIONS.values():
        sign = dict(zip(("yaw", "pitch", "roll"), c.signs, strict=True))
        product = " ".join(f"{axis[angle]}({'-' if sign[angle] < 0 else ''}{angle})" for angle in c.order)
        rows.append([f"`{c.name}`", product, c.note])
    return tabulate.tabulate(rows, ["convention", "rotation", "used by"], tablefmt="github")


def schemes() -> str:
    """Table of the landmark schemes."""
    return tabulate.tabulate(
        [[f"`{s.name}`", s.n_points, s.description] for s in SCHEMES.values()], ["scheme", "points", "what"], tablefmt="github"
    )


def commands() -> str:
    """Help of every command."""
    pages: list[str] = []

    def visit(command: click.Command, name: str, parent: click.Context | None) -> None:
        context = click.Context(
            command, info_name=name, parent=parent, **{**cli.context_settings, "terminal_width": 100, "max_content_width": 100}
        )
        pages.append(f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```")
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                assert found is not None
                visit(found, child, context)

    visit(cli, "hpbench", None)
    return "\n\n".join(pages)


def mnn_scores() -> str:
    """What the shipped MNN models reach on heads, from the records that come with them."""
    columns = {
        "geodesic, deg": ("heads/pose", "geodesic"),
        "MAE for yaw below 75, deg": ("heads/pose-yaw-75", "mae(convention=300w-lp)"),
        "NME by sqrt(w h), %": ("heads/landmarks", "nme(norm=sqrt_wh)"),
        "recall, %": ("heads/visibility", "recall(precision=80,view=external)"),
        "average precision, %": ("heads/visibility", "ap(view=external)"),
    }
    cells: dict[str, dict[str, str]] = {}
    for record in collect_records()[0]:
        for name, (protocol, metric) in columns.items():
            if record.protocol.id == protocol and (score := find_score(record, metric)):
                cells.setdefault(record.model.name, {})[name] = score_text(score, interval=True)
    rows = [[f"`{model}`", *(cells[model].get(name, "") for name in columns)] for model in cells if model.startswith("mnn")]
    return tabulate.tabulate(rows, ["model", *columns], tablefmt="github")


def mnn_ablation() -> str:
    """Scores by strategy, and the weights that the tasks alone would give by the paper's procedure."""
    with (MEASURED / "mnn_ablation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.endswith(("_deg", "_percent"))]
    headings = ["strategy", "faces seen", *(name.replace("_", " ") for name in names)]
    cells = [[r["strategy"], f"{int(r['faces']):,}", *(f"{float(r[n]):.2f}" if r[n] else "" for n in names)] for r in rows]
    strategies = {"pose": "pose only", "projection": "projection only", "heatmap": "landmarks only", "visibility": "visibility only"}
    alone = {task: float(r[f"validation_{task}"]) for task in TASKS for r in rows if r["strategy"] == strategies[task]}
    table = tabulate.tabulate(cells, headings, tablefmt="github")
    if len(alone) < len(TASKS):
        return table
    weights = ", ".join(f"{task} {weight:.3g}" for task, weight in balanced_weights(alone).items())
    converged = ", ".join(f"{task} {value:.3g}" for task, value in alone.items())
    said = f"Each task alone ends at a loss of {converged}. The paper's procedure, 1 / that, gives the weights {weights}."
    return f"{table}\n\n{said}"


def mnn_speed() -> str:
    """As benchmarks/mnn.py printed it."""
    return (MEASURED / "mnn_speed.md").read_text(encoding="utf-8").strip()


def mnn_weights() -> str:
    """What the shipped weights say of themselves."""
    card = model_cards()["mnn"]
    files = [f"| `{name}` | {(card.folder / name).stat().st_size:,} | `{digest}` |" for name, digest in card.files.items()]
    table = "\n".join(["| file | bytes | sha256 |", "| --- | --- | --- |", *files])
    return f"{table}\n\n{weights_story((card.folder / 'mnn.safetensors').read_bytes())}"


BLOCKS: dict[str, Callable[[], str]] = {
    "demo": demo,
    "board": board,
    "parity": parity_table,
    "datasets": datasets,
    "models": models,
    "protocols": protocols,
    "pages": pages,
    "metrics": metrics,
    "conventions": conventions,
    "schemes": schemes,
    "commands": commands,
    "mnnscores": mnn_scores,
    "mnnablation": mnn_ablation,
    "mnnspeed": mnn_speed,
    "mnnweights": mnn_weights,
    "gateerrors": lambda: gate_errors_markdown(read_gate_power(MEASURED / "gate_power.csv")),
    "cropsensitivity": lambda: crop_markdown(read_responses(MEASURED / "crop_sensitivity.csv")),
    "colourorder": lambda: colour_markdown(read_responses(MEASURED / "crop_sensitivity.csv")),
    "doctorconfusion": lambda: confusion_markdown(MEASURED / "doctor_confusion.csv"),
    "engine": lambda: engine_markdown(MEASURED),
}


def shown(command: str) -> str:
    """What a command (``$ hpbench ...``) prints, whatever its exit code."""
    arguments = shlex.split(command.removeprefix("$ hpbench "))
    result = subprocess.run([sys.executable, "-m", "hpbench", *arguments], cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    if not result.stdout:
        sys.exit(f"{command} printed nothing:\n{result.stderr}")
    return f"```\n{command}\n{result.stdout.strip()}\n```"


def regenerated(text: str, but: Collection[str] = ()) -> str:
    """A file's text with every block made anew, but those named."""

    def anew(block: re.Match[str]) -> str:
        name = block[2]
        return block[0] if name in but else f"{block[1]}{BLOCKS[name]() if name in BLOCKS else shown(name)}\n{block[3]}"

    return _BLOCK.sub(anew, text)


def comparable(text: str) -> str:
    """The text without the speeds on a board, and without the machines that they are of."""
    text = re.sub(r"\nimages/s.*?\n(?=[^\n]* leads )", "\n", text, flags=re.DOTALL)
    text = re.sub(r"[\d.]+ images/s", "images/s", text)
    return re.sub(r"(?<=\d %)( {2,}| +\| +)[\d.]+", lambda m: " " * len(m[0]), text)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when a file would change.")
@click.option("--but", multiple=True, type=click.Choice(list(BLOCKS)), help="Leave these blocks as they are.")
def main(check: bool, but: tuple[str, ...]) -> None:
    """Write the files, or compare them."""
    changed = []
    for name in FILES:
        path = ROOT / name
        old = path.read_text(encoding="utf-8")
        new = regenerated(old, but)
        if comparable(new) != comparable(old):
            changed.append(name)
        if not check and name in changed:  # new speeds alone are no change
            path.write_text(new, encoding="utf-8", newline="\n")
    if check and changed:
        sys.exit(f"not up to date: {', '.join(changed)}; run `make reports`.")


if __name__ == "__main__":
    main()
