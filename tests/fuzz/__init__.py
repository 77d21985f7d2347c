"""Fuzzing: damaged, odd and hostile inputs for everything that reads a file of somebody else.

`targets` says what is read and what a valid input is, `mutations` and `mutate_containers` spoil it, `oracle` says what may come out
of it, `worker` reads in a process of its own (with `coverage guiding <https://github.com/google/atheris>`_ where that is installed),
`campaign` runs the workers.  ``make fuzz`` is ``python -m fuzz`` in ``tests``.  What was ever found lies in ``found/<target>/``, a
file a finding, and is read again by tests/test_fuzz_findings.py.
"""
