"""Face detectors: whole pictures in, face boxes out.

`hpbench.detectors.cards` is the table of those known by name; `hpbench.detectors.chosen` gives the face of a sample its box.
"""
