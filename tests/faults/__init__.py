"""What a night brings, on purpose: runs killed at every step, and files, disks and models that fail.

`campaign` kills and compares; `zygote` makes processes that can be killed at a given step; ``python -m faults`` in ``tests``
runs the long form (``make faults``), ``tests/test_faults.py`` the short one.
"""
