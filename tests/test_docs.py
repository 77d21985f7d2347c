"""What the documentation shows is what happens."""

from __future__ import annotations

import doctest
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from miniatures.aflw2000 import draw_aflw2000

import hpbench
from hpbench.catalog import dataset_card, split_ids
from hpbench.records import read_record

ROOT = Path(__file__).resolve().parents[1]


def blocks(name: str, language: str) -> list[str]:
    """Code blocks of a language ("" = none stated) of a markdown file."""
    parts = re.split(r"^```(\w*)\n", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [body for fence, body in zip(parts[0::4], parts[1::4], strict=False) if fence == language]


def test_api_examples_run(tmp_path: Path) -> None:
    draw_aflw2000(tmp_path / "data", count=12, seed=4, ids=split_ids(dataset_card("aflw2000"), "all")[:12])
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8").replace("```python\n", "").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {"data": tmp_path / "data", "out": tmp_path / "out"}, "api.md", "docs/api.md", 0)
    runner = doctest.DocTestRunner()
    told: list[str] = []
    runner.run(test, out=told.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(told)
    assert len(test.examples) > 15


def test_the_model_shown_works() -> None:
    space: dict[str, object] = {"__name__": "shown"}
    exec(blocks("README.md", "python")[0], space)
    model = next(v for v in space.values() if isinstance(v, type) and issubclass(v, hpbench.Model))()
    faces = model.predict([np.zeros((8, 8, 3), np.uint8)] * 3, np.zeros((3, 4)))
    assert len(faces) == 3 and faces.rotation is not None


def test_links_lead_somewhere() -> None:
    for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text(encoding="utf-8")):
            assert target.startswith("http") or (file.parent / target).exists(), f"{file.name}: {target}"


@pytest.mark.skipif(sys.platform != "linux", reason="pixels of a JPEG may differ by one elsewhere, and with them the demo's last digits")
@pytest.mark.parametrize("options", [("--but", "demo"), pytest.param((), marks=pytest.mark.long)])
def test_generated_blocks_are_up_to_date(options: tuple[str, ...]) -> None:
    result = subprocess.run([sys.executable, "docs/generate.py", "--check", *options], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_demo_shows_what_the_shipped_records_say() -> None:
    (shown,) = re.findall(r"<!-- generated: demo -->\n(.*?)<!-- end -->", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    for model, options in (("frontal", "-d"), ("dlib68", "--model-arg boxes=given")):
        (run,) = (run for run in shown.split("$ hpbench run ") if run.startswith(f"-m {model} {options} "))
        assert f" {read_record(ROOT / f'baselines/{model}/results/heads.pose@1.json').main.value:.2f} [" in run


def test_check_sees_a_change() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None and spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    text = "<!-- generated: schemes -->\nold\n<!-- end -->\n"
    assert "ibug68-fixed" in generate.regenerated(text) and "old" not in generate.regenerated(text)
    assert generate.regenerated(text, but=["schemes"]) == text
    row = "  1  colour-blobs   14.38 [3.38, 28.87]   48      93.8 %         207"
    assert generate.comparable(row) == generate.comparable(row.replace("207", " 98"))
    assert generate.comparable(row) != generate.comparable(row.replace("14.38", "14.37"))
    assert generate.comparable(row) != generate.comparable(row.replace("93.8", "93.7"))
