"""One stage of the cascade grown by gradient boosting: each tree takes a share of what the trees before it left over.

A tree is fitted by least squares to the residuals of its part's landmarks; those without a label have weight 0.  The best of the random
candidates at the root says which landmark's heat map the whole tree looks at.  With the gate, faces on which that landmark is occluded
neither choose its splits nor fill its leaves, nor are they moved by it, just as in use.

Splits are scored by matrix products: which faces go left, times their residuals.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from .or_config import CascadeConfig
from .or_trees import SAMPLES, Trees, part_lists

__all__ = ["Samples", "grow_stage"]

_BLOCKS = 20  # of faces, from which each tree draws its share: slices, not scattered rows
_THRESHOLD = 0.3  # of the least difference plus a random share of their range: the rule of the authors' public trainer

_NEVER = 2.0  # a threshold above all differences of samples, which lie from 0 to 1


class Samples(NamedTuple):
    """What a stage is fitted to, N starts of faces in random order, those of a face in a row.

    Attributes
    ----------
    values : (L 43, N) float32 tensor
        What the stage's eyes see.
    used : (L, N) bool tensor
        Whose heat maps count.
    residual : (N, L, 2) float32 tensor
        From the current shape to the labelled one, heights of the face box.
    weight : (N, L) float32 tensor
        0 without a label, or outside the crop.
    """

    values: Any
    used: Any
    residual: Any
    weight: Any


def grow_stage(samples: Samples, scheme: str, config: CascadeConfig, *, stage: int, fine: bool) -> tuple[Trees, Any]:
    """The trees of a stage, and by how much they move each sample, (N, L, 2).

    Everything random follows from the seed and the number of the stage.
    """
    draws = torch.Generator().manual_seed(config.seed * 1000 + stage)
    device, count = samples.values.device, samples.residual.shape[1]
    members = part_lists(scheme, fine)
    leaves = 2**config.depth
    landmark = torch.zeros(len(members), config.trees, dtype=torch.uint8)
    pair = torch.zeros(len(members), config.trees, leaves - 1, 2, dtype=torch.uint8)
    threshold = torch.full((len(members), config.trees, leaves - 1), _NEVER)
    leaf = torch.zeros(config.trees, leaves, count, 2, dtype=torch.float16)
    moved = torch.zeros_like(samples.residual)
    for p, points in enumerate(members):
        chosen = torch.tensor(points, device=device)
        weight = samples.weight[:, chosen].contiguous()
        residual = (samples.residual[:, chosen] * weight[..., None]).flatten(1)
        steps = torch.zeros_like(residual)
        for k in range(config.trees):
            tree = _grow(samples, points, residual, weight, config, draws)
            landmark[p, k], pair[p, k], threshold[p, k] = tree.landmark, tree.pair.cpu(), tree.threshold.cpu()
            leaf[k, :, list(points)] = tree.leaf.view(leaves, len(points), 2).cpu()
            step = tree.leaf.float().index_select(0, _leaves(samples.values, tree)).mul_(samples.used[tree.landmark][:, None])
            steps += step
            residual -= (step.view(len(step), -1, 2) * weight[..., None]).flatten(1)
        moved[:, chosen] = steps.view(len(steps), -1, 2)  # also where there is no label
    return Trees(landmark, pair, threshold, leaf), moved


class _Tree(NamedTuple):
    landmark: int
    pair: Any
    threshold: Any
    leaf: Any  # (leaves, 2 points) float16


def _grow(samples: Samples, points: Sequence[int], residual: Any, weight: Any, config: CascadeConfig, draws: Any) -> _Tree:
    rows = _drawn_rows(len(residual), config, draws)
    r, w, used = _taken(residual, rows), _taken(weight, rows), _taken(samples.used.T, rows).T
    values = samples.values
    device, splits = values.device, 2**config.depth - 1
    pair = torch.zeros(splits, 2, dtype=torch.int64, device=device)
    threshold = torch.full((splits,), _NEVER, device=device)

    whose = torch.tensor(points)[torch.randint(len(points), (config.candidates,), generator=draws)].to(device)
    pairs, shares = _candidates(config, draws, device)
    gate = used.float()
    first = _columns(values, whose * SAMPLES + pairs[:, 0], rows).sub_(_columns(values, whose * SAMPLES + pairs[:, 1], rows))
    first *= gate[whose]  # where the map does not count, it has no part in the threshold
    cut = _thresholds(first, shares)
    everything = _Sums(gate @ r, gate @ w)
    left = (first > cut[:, None]) & used[whose]
    best = int(_score(left.float(), r, w, everything.of(whose)).argmax())
    landmark = int(whose[best])
    pair[0], threshold[0] = pairs[best], cut[best]

    # from here on only faces that show the landmark, kept in the order of their nodes
    there = used[landmark]
    own = _columns(values, torch.arange(landmark * SAMPLES, (landmark + 1) * SAMPLES, device=device), rows)[:, there]
    r, w, goes_left = r[there], w[there], left[best][there]
    bounds = [0, len(r)]
    for level in range(config.depth):
        if level:
            goes_left = torch.zeros(len(r), dtype=torch.bool, device=device)
            for n, (a, b) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
                pairs, shares = _candidates(config, draws, device)
                if b - a < 2:
                    continue  # everything goes right
                node = 2**level - 1 + n
                seen = own[:, a:b]
                differences = seen.index_select(0, pairs[:, 0]).sub_(seen.index_select(0, pairs[:, 1]))
                cut = _thresholds(differences, shares)
                left = differences > cut[:, None]
                whole = _Sums(r[a:b].sum(0, keepdim=True), w[a:b].sum(0, keepdim=True))
                best = int(_score(left.float(), r[a:b], w[a:b], whole).argmax())
                pair[node], threshold[node], goes_left[a:b] = pairs[best], cut[best], left[best]
        order, bounds = _parted(goes_left, bounds)
        own, r, w = own.index_select(1, order), r.index_select(0, order), w.index_select(0, order)
    leaf = torch.stack([_mean(r[a:b], w[a:b]) for a, b in zip(bounds[:-1], bounds[1:], strict=True)])
    return _Tree(landmark, pair, threshold, (config.shrinkage * leaf).half())


class _Sums(NamedTuple):
    """Of weighted residuals (C, 2 points), and of weights (C, points)."""

    residual: Any
    weight: Any

    def of(self, rows: Any) -> _Sums:
        return _Sums(self.residual[rows], self.weight[rows])


def _score(left: Any, residual: Any, weight: Any, whole: _Sums) -> Any:
    """By how much the squared error falls if each side moves by its mean, (C,)."""
    part = _Sums(left @ residual, left @ weight)
    return _fall(part) + _fall(_Sums(whole.residual - part.residual, whole.weight - part.weight))


def _fall(sums: _Sums) -> Any:
    squared = (sums.residual**2).view(len(sums.residual), -1, 2).sum(dim=2)
    return (squared / sums.weight.clamp(min=0.5)).sum(dim=1)  # weights are whole numbers but for rounding


def _mean(residual: Any, weight: Any) -> Any:
    return (residual.sum(dim=0).view(-1, 2) / weight.sum(dim=0).clamp(min=1.0)[:, None]).flatten()


def _candidates(config: CascadeConfig, draws: Any, device: Any) -> tuple[Any, Any]:
    """Pairs of different samples (C, 2), and shares of the range (C,)."""
    first = torch.randint(SAMPLES, (config.candidates,), generator=draws)
    second = (first + torch.randint(1, SAMPLES, (config.candidates,), generator=draws)) % SAMPLES
    shares = torch.rand(config.candidates, generator=draws)
    return torch.stack([first, second], dim=1).to(device), shares.to(device)


def _thresholds(differences: Any, shares: Any) -> Any:
    low, high = differences.aminmax(dim=1)
    return _THRESHOLD * (low + shares * (high - low))


def _drawn_rows(count: int, config: CascadeConfig, draws: Any) -> list[slice]:
    """The blocks that a tree is fitted to."""
    blocks = min(_BLOCKS, count)
    edges = [count * i // blocks for i in range(blocks + 1)]
    chosen = torch.randperm(blocks, generator=draws)[: max(1, round(config.subsample * blocks))].sort().values
    return [slice(edges[i], edges[i + 1]) for i in chosen.tolist()]


def _taken(tensor: Any, rows: list[slice]) -> Any:
    return torch.cat([tensor[s] for s in rows])


def _columns(values: Any, which: Any, rows: list[slice]) -> Any:
    """(C, n) of the values (L 43, N)."""
    return torch.cat([values[:, s].index_select(0, which) for s in rows], dim=1)


def _parted(goes_left: Any, bounds: list[int]) -> tuple[Any, list[int]]:
    """An order in which each node's left comes before its right, and the new bounds."""
    node = torch.repeat_interleave(torch.arange(len(bounds) - 1), torch.tensor(bounds).diff()).to(goes_left.device)
    child = 2 * node + (~goes_left).long()
    counts = torch.bincount(child, minlength=2 * len(bounds) - 2)
    return child.argsort(stable=True), [0, *counts.cumsum(0).tolist()]


def _leaves(values: Any, tree: _Tree) -> Any:
    """The leaf of every sample, (N,)."""
    own = values[tree.landmark * SAMPLES : (tree.landmark + 1) * SAMPLES]
    node = torch.zeros(own.shape[1], dtype=torch.int64, device=own.device)
    depth = (len(tree.threshold) + 1).bit_length() - 1
    for _ in range(depth):
        seen = own.gather(0, tree.pair[node].T)
        node = 2 * node + 2 - (seen[0] - seen[1] > tree.threshold[node]).long()
    return node - len(tree.threshold)
