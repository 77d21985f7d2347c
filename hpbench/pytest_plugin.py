"""The pytest plug-in: a model that got worse is a test that fails.

``hpbench_run`` runs a model within a test, `assert_not_worse` compares what came of it with a reference, as `hpbench gate` does::

    from hpbench.pytest_plugin import assert_not_worse

    def test_no_worse_than_mnn(hpbench_run):
        assert_not_worse(hpbench_run(MyModel(), "heads"), against="mnn", fail_if=["mae > +0.1"])

Everything of hpbench is imported when a test asks for it: a suite that does not use the plug-in pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .comparison import Policy
    from .models.interface import Model
    from .records import Record

__all__ = ["RunRecords", "assert_not_worse", "hpbench_run"]

_WIDTH = 120  # of what pytest prints


class RunRecords(list["Record"]):
    """The records of a run, and the `folder` that they lie in with the predictions and per-face errors."""

    def __init__(self, records: Iterable[Record], folder: Path) -> None:
        super().__init__(records)
        self.folder = folder


@pytest.fixture
def hpbench_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunRecords]:
    """A function that runs a model over a dataset: ``hpbench_run(model, dataset="heads", **options)``.

    Options are those of `hpbench.run`; the records go to a temporary folder.
    """

    def run(model: str | Model, dataset: str = "heads", **options: Any) -> RunRecords:
        from .jobs import run as run_model

        folder = Path(options.pop("out", None) or tmp_path_factory.mktemp("hpbench"))
        return RunRecords(run_model(model, dataset, out=folder, **options), folder)

    return run


def assert_not_worse(
    records: RunRecords | str | Path,
    against: str | Path = "mnn",
    *,
    fail_if: str | Sequence[str] = (),
    policy: Policy = "regression",
    tolerance: str | None = None,
    protocol: str | Iterable[str] = (),
    strict: bool = False,
) -> None:
    """Fail the test if records are worse than a reference; the message is what `hpbench gate` prints.

    Parameters
    ----------
    records : RunRecords or path
        What ``hpbench_run`` returned, a record, or a folder of records.
    against : str or path
        A model that comes with records (``mnn``), a record, or a folder of records.
    fail_if, policy, tolerance, protocol, strict
        As of `hpbench gate`.

    Raises
    ------
    AssertionError
    InputError
        Nothing to compare, or a rule that cannot be read.
    """
    __tracebackhide__ = True
    from .comparison import gate, pairs_of, parse_amount, parse_rule
    from .report.gate import gate_text

    new = records.folder if isinstance(records, RunRecords) else records
    rules = [parse_rule(text) for text in ([fail_if] if isinstance(fail_if, str) else fail_if)]
    amount = None if tolerance is None else parse_amount(tolerance, "tolerance")
    pairs = pairs_of(new, against, [protocol] if isinstance(protocol, str) else protocol)
    found = gate(pairs, rules, policy=policy, tolerance=amount, strict=strict, against=str(against))
    if not found.passed:
        raise AssertionError(f"worse than {against}\n{gate_text(found, _WIDTH)}")
