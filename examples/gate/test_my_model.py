"""The same gate as a test: ``pip install 'hpbench[mnn]' pytest && pytest``."""

from __future__ import annotations

from my_model import Mirrored

from hpbench.pytest_plugin import assert_not_worse


def test_no_worse_than_mnn(hpbench_run):
    records = hpbench_run(Mirrored(), "heads", protocol="heads/pose")
    assert_not_worse(records, against="mnn-encoder", fail_if=["mae > +0.1", "geodesic > +2%", "coverage < 99%"])
