"""Rotations, named Euler conventions, cameras and perspective-n-point.

Canonical everywhere inside hpbench: ``rotation`` is 3x3, head -> camera, in the camera frame of OpenCV (x right,
y down, z forward).  A head that looks straight into the camera has the identity.
"""
