# demo: a first run of hpbench, on the heads that come with it.   test, lint: what CI runs.   test-long: the tests that `test` leaves out.
# reports: regenerate reports/, and what README.md and docs/ show.   bench: speed, side by side with peers.
# fuzz: every reader on damaged, odd and hostile inputs (docs/security.md).   faults: runs killed before every step (a quarter of an hour).
# Everything happens in .venv, which is made when first needed and brought up to date when the dependencies change.

PYTHON ?= python3
# of `make install`: onnx, dlib, heads (rendering; 0.6 GB), mnn (PyTorch: 5 GB where pip takes the build for GPUs), ray
EXTRAS ?= onnx,dlib
# of `make fuzz`: inputs, seconds of all workers together (0: until all are read), workers at a time
COUNT ?= 1000000
TIME ?= 0
WORKERS ?= 2
PYTEST_ARGS ?= -q -n 2 --dist loadfile
BIN := .venv/bin
# compat: an ordinary path entry, so that a folder called hpbench (the clone itself, seen from its parent) does not hide the package
INSTALL := $(BIN)/python -m pip install --config-settings editable_mode=compat --quiet --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo install test test-long lint reports fuzz faults bench clean

demo: .venv/demo.stamp
	@$(BIN)/python examples/demo.py

test: .venv/test.stamp
	$(BIN)/python -m pytest -m "not long" $(PYTEST_ARGS)

test-long: .venv/test.stamp
	$(BIN)/python -m pytest -m long $(PYTEST_ARGS)

install: .venv/core.stamp
	@$(INSTALL) --editable '.[$(EXTRAS)]'

lint: .venv/test.stamp
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

reports: .venv/test.stamp
	$(BIN)/python -m hpbench report
	$(BIN)/python docs/generate.py

fuzz: .venv/test.stamp
	@$(INSTALL) --editable '.[fuzz]' || echo 'no atheris for this Python: no input is guided by coverage'
	cd tests && ../$(BIN)/python -m fuzz --count $(COUNT) --seconds $(TIME) --workers $(WORKERS) --findings ../fuzz-findings

faults: .venv/test.stamp
	cd tests && ../$(BIN)/python -m faults

bench: .venv/test.stamp
	@set -e; for file in benchmarks/*.py; do echo "$$file"; $(BIN)/python "$$file"; done

clean:
	rm -rf .venv build demo dist hpbench-out fuzz-findings *.egg-info .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The demo runs dlib68 (its models are 100 MB); the extras for the tests come on top into the same .venv.
.venv/core.stamp: setup.cfg pyproject.toml constraints.txt
	@echo "installing hpbench into .venv ..."
	@$(PYTHON) -m venv .venv
	@$(INSTALL) --editable .
	@touch $@

.venv/demo.stamp: .venv/core.stamp
	@$(INSTALL) --editable '.[dlib]'
	@touch $@

.venv/test.stamp: .venv/core.stamp
	@echo "installing what the tests need into .venv (torch among it, some minutes) ..."
	@$(INSTALL) --editable '.[test]'
	@touch $@
