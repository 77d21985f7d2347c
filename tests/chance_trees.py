"""Random cascades and outputs, and the cascade written anew for one face, one tree, one split at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from hpbench.geometry.rotations import rotation_from_euler
from hpbench.mnn.network import Outputs
from hpbench.mnn.or_config import CascadeConfig
from hpbench.mnn.or_pattern import anchors, mean_shape, parts
from hpbench.mnn.or_trees import Cascade, Trees
from hpbench.mnn.targets import mean_face_units


def chance_trees(rng: np.random.Generator, config: CascadeConfig, scheme: str, fine: bool) -> Trees:
    count, members = len(mean_shape(scheme)), list(parts(scheme).values()) if fine else [tuple(range(len(mean_shape(scheme))))]
    leaves = 2**config.depth
    return Trees(
        torch.tensor(np.stack([rng.choice(points, config.trees) for points in members]), dtype=torch.uint8),
        torch.tensor(rng.integers(0, 43, (len(members), config.trees, leaves - 1, 2)), dtype=torch.uint8),
        torch.tensor(rng.normal(0, 0.1, (len(members), config.trees, leaves - 1)), dtype=torch.float32),
        torch.tensor(rng.normal(0, 0.005, (config.trees, leaves, count, 2)), dtype=torch.float16),
    )


def chance_cascade(seed: int, scheme: str = "aflw19", **settings: Any) -> Cascade:
    """Two coarse stages and a fine one."""
    config = CascadeConfig(**({"stages": 3, "trees": 4, "depth": 3} | settings))
    rng = np.random.default_rng(seed)
    stages = [chance_trees(rng, config, scheme, fine) for fine in (False, False, True)][: config.stages]
    return Cascade(config, scheme, stages, "0" * 64).eval()


def chance_outputs(seed: int, faces: int, size_px: int = 16, scheme: str = "aflw19") -> Outputs:
    """Smooth maps, so that neighbouring samples differ by little, and heads in front of the camera."""
    rng = np.random.default_rng(seed)
    count = len(mean_shape(scheme))
    pose = np.column_stack([rng.uniform(-60, 60, (faces, 3)) * [1, 0.3, 0.5], rng.uniform(-0.2, 0.2, (faces, 2)), rng.uniform(3, 4, faces)])
    centre, x = rng.uniform(0, size_px, (faces, count, 2)), np.arange(size_px)
    far = (x - centre[..., :1])[..., None, :] ** 2 + (x - centre[..., 1:])[..., :, None] ** 2
    logits = -far / 8.0 + rng.normal(0, 0.1, far.shape)
    values = (pose, pose, logits, rng.normal(1, 2, (faces, count)))
    return Outputs(*(torch.tensor(v, dtype=torch.float32) for v in values))


def naive_start(cascade: Cascade, outputs: Outputs, face: int) -> np.ndarray:
    """The projected mean face, (L, 2) in sides of the crop from its centre."""
    pose = outputs.pose_projected[face].double().numpy()
    seen = mean_face_units(cascade.scheme) @ rotation_from_euler(pose[None, :3], "yxz")[0].T + pose[3:]
    return np.asarray(1.5 * seen[:, :2] / seen[:, 2:])


def naive_points(cascade: Cascade, outputs: Outputs, face: int, used: np.ndarray) -> np.ndarray:
    """Crop pixels of one face; `used` (L,) says whose trees count."""
    scheme, size = cascade.scheme, outputs.heatmap_logits.shape[3]
    logits = outputs.heatmap_logits[face].double().numpy()
    shape = naive_start(cascade, outputs, face) * 1.6
    for number, trees in enumerate(cascade.trees):
        where = anchors(scheme, cascade.config.stage_diameter(number))
        mean = mean_shape(scheme)
        # similarity by linear least squares: x = a u - b v + c, y = b u + a v + d
        rows = [[u, -v, 1, 0] for u, v in mean] + [[v, u, 0, 1] for u, v in mean]
        (a, b, _, _), *_ = np.linalg.lstsq(np.array(rows), shape.T.reshape(-1), rcond=None)
        turn = np.array([[a, -b], [b, a]])
        step = np.zeros_like(shape)
        members = list(parts(scheme).values()) if len(trees.landmark) > 1 else [tuple(range(len(shape)))]
        for p, points in enumerate(members):
            for k in range(trees.landmark.shape[1]):
                landmark, node = int(trees.landmark[p, k]), 0
                if not used[landmark]:
                    continue
                for _ in range(cascade.config.depth):
                    seen = []
                    for sample in trees.pair[p, k, node].tolist():
                        place = shape[where.landmark[landmark, sample]] + turn @ where.offset[landmark, sample]
                        seen.append(_share(logits[landmark], place / 1.6 * size + (size - 1) / 2) ** cascade.config.power)
                    node = 2 * node + (1 if seen[0] - seen[1] > float(trees.threshold[p, k, node]) else 2)
                for point in points:
                    step[point] += trees.leaf[k, node - trees.threshold.shape[2], point].double().numpy()
        shape = shape + step
    return shape / 1.6 * size + (size - 1) / 2


def _share(logits: np.ndarray, place: np.ndarray) -> float:
    x, y = np.clip(place, 0, len(logits) - 1)
    column, row = min(int(x), len(logits) - 2), min(int(y), len(logits) - 2)
    x, y = x - column, y - row
    four = logits[row : row + 2, column : column + 2]
    return math.exp(np.array([1 - y, y]) @ four @ np.array([1 - x, x]) - logits.max())
