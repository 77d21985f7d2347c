"""Regression trees in use: the start, evaluation against a plain loop, the gate, and nothing but the outputs."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from chance_trees import chance_cascade, chance_outputs, naive_points, naive_start  # noqa: E402

from hpbench.errors import InputError  # noqa: E402
from hpbench.mnn.network import Outputs  # noqa: E402
from hpbench.mnn.or_trees import Cascade, Eyes, Trees  # noqa: E402


def used_by_hand(cascade: Cascade, outputs: Outputs) -> np.ndarray:
    """(B, L): visible by the network, and not on the far side of a turned head."""
    yaw = outputs.pose_projected[:, :1].numpy()
    hidden = (yaw > cascade.hidden_above.numpy()) | (yaw < -cascade.hidden_below.numpy())
    return np.asarray(~hidden & (outputs.visibility_logits.numpy() >= 0))


@pytest.mark.parametrize("scheme", ["aflw19", "ibug68-fixed"])
@pytest.mark.parametrize("size_px", [16, 64])
def test_the_start_is_the_projected_mean_face(scheme: str, size_px: int) -> None:
    cascade, outputs = chance_cascade(0, scheme), chance_outputs(1, 5, size_px, scheme)
    points = Cascade(cascade.config, scheme, [], "").points(outputs).numpy()
    for face in range(5):
        expected = size_px * naive_start(cascade, outputs, face) + (size_px - 1) / 2
        np.testing.assert_allclose(points[face], expected, atol=2e-4)


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("layout", ["contiguous_format", "channels_last"])
def test_all_at_once_equals_one_at_a_time(gate: bool, layout: str) -> None:
    cascade, outputs = chance_cascade(2, gate=gate), chance_outputs(3, 12)
    logits = outputs.heatmap_logits.to(memory_format=getattr(torch, layout))
    points = cascade.points(outputs._replace(heatmap_logits=logits)).numpy()
    used = used_by_hand(cascade, outputs) if gate else np.ones(outputs.visibility_logits.shape, dtype=bool)
    assert 0.2 < used.mean() and (used.mean() < 0.9) == gate
    for face in range(12):
        np.testing.assert_allclose(points[face], naive_points(cascade, outputs, face, used[face]), atol=1e-3)


def test_maps_that_are_a_view_of_others() -> None:
    cascade, outputs = chance_cascade(2), chance_outputs(3, 4)
    whole = torch.randn(4, 40, 16, 16)
    whole[:, 1:39:2] = outputs.heatmap_logits
    assert torch.equal(cascade.points(outputs._replace(heatmap_logits=whole[:, 1:39:2])), cascade.points(outputs))


def test_faces_do_not_touch_one_another() -> None:
    cascade, outputs = chance_cascade(4), chance_outputs(5, 6)
    together = cascade.points(outputs)
    for face in range(6):
        alone = cascade.points(Outputs(*(t[face : face + 1] for t in outputs)))
        torch.testing.assert_close(alone[0], together[face], atol=1e-4, rtol=0)


def test_several_starts_of_a_face() -> None:
    cascade, outputs = chance_cascade(4), chance_outputs(5, 3)
    rows = [0, 0, 1, 1, 2, 2]
    start = cascade.start(outputs.pose_projected[rows] + torch.arange(6)[:, None], outputs.visibility_logits[rows])
    shared = cascade.refined(outputs.heatmap_logits, start)
    torch.testing.assert_close(shared, cascade.refined(outputs.heatmap_logits[rows], start))


@pytest.mark.parametrize("how", ["by the network", "by the turned head"])
def test_trees_of_an_occluded_landmark_change_nothing(how: str) -> None:
    cascade, outputs = chance_cascade(6, "ibug68-fixed", trees=20), chance_outputs(7, 4, scheme="ibug68-fixed")
    pose, visibility = outputs.pose_projected.clone(), torch.full_like(outputs.visibility_logits, 3.0)
    pose[:, 0] = 0.0 if how == "by the network" else 20.0
    hidden = torch.tensor([0, 1, 2, 3, 4, 5])
    if how == "by the network":
        visibility[:, hidden] = -0.1
    outputs = outputs._replace(pose_projected=pose, visibility_logits=visibility)
    pruned = []
    for trees in cascade.trees:
        leaf = trees.leaf.clone()
        for k in range(20):
            for part, points in enumerate([range(68)] if len(trees.landmark) == 1 else [range(68)] * len(trees.landmark)):
                if trees.landmark[part, k] in hidden:
                    # in a fine stage a part's trees look at the part's landmarks and move those
                    rows = list(points) if len(trees.landmark) == 1 else hidden.tolist()
                    leaf[k][:, rows] = 0.0
        pruned.append(trees._replace(leaf=leaf))
    without = Cascade(cascade.config, cascade.scheme, pruned, "")
    assert torch.equal(cascade.points(outputs), without.points(outputs))
    ungated = chance_cascade(6, "ibug68-fixed", trees=20, gate=False)
    assert (ungated.points(outputs) - cascade.points(outputs)).abs().max() > 0.05
    noise = outputs.heatmap_logits.clone()
    noise[:, hidden] = torch.randn_like(noise[:, hidden])
    assert torch.equal(cascade.points(outputs._replace(heatmap_logits=noise)), cascade.points(outputs))


def test_all_occluded_stay_at_the_start() -> None:
    cascade, outputs = chance_cascade(8), chance_outputs(9, 3)
    hidden = outputs._replace(visibility_logits=torch.full_like(outputs.visibility_logits, -5.0))
    assert torch.equal(cascade.points(hidden), Cascade(cascade.config, cascade.scheme, [], "").points(hidden))


def test_what_counts_as_occluded_is_a_setting() -> None:
    outputs = chance_outputs(9, 3)
    frontal, unsure = torch.full_like(outputs.pose_projected, 3.0), torch.full_like(outputs.visibility_logits, -1.0)
    outputs = outputs._replace(pose_projected=frontal, visibility_logits=unsure)
    bold = chance_cascade(8, occluded_above=0.8)  # sigmoid(1) = 0.73
    assert bold.used(bold.start(*outputs[1::2])).all()
    assert not chance_cascade(8).used(bold.start(*outputs[1::2])).any()


def test_only_what_the_network_says_goes_in() -> None:
    """One start a face, by outputs alone: nothing of the truth, nothing random."""
    assert list(inspect.signature(Cascade.points).parameters) == ["self", "outputs"]
    assert "truth" not in inspect.getsource(inspect.getmodule(Cascade) or Cascade).lower()
    cascade, outputs = chance_cascade(8), chance_outputs(9, 3)
    first = cascade.points(outputs)
    torch.manual_seed(1)
    assert torch.equal(first, cascade.points(outputs))
    assert torch.equal(first, cascade.points(outputs._replace(pose_direct=torch.full_like(outputs.pose_direct, torch.nan))))


def test_similar_shapes_see_the_same() -> None:
    """Turning, scaling and shifting a shape and its maps together changes no sample: here by a quarter turn, which pixels allow."""
    eyes, outputs = Eyes("aflw19", 0.2, 0.5), chance_outputs(11, 2, 32)
    shape = 0.4 * torch.randn(2, 19, 2, generator=torch.Generator().manual_seed(0))
    logits = outputs.heatmap_logits
    top = logits.amax(dim=(2, 3))
    turned = torch.stack([-shape[..., 1], shape[..., 0]], dim=2)  # clockwise to the eye, y being down
    torch.testing.assert_close(eyes(logits.rot90(-1, (2, 3)), top, turned), eyes(logits, top, shape), atol=1e-4, rtol=1e-4)


def test_half_precision_maps() -> None:
    cascade, outputs = chance_cascade(8), chance_outputs(9, 8)
    half = Outputs(*(t.to(torch.bfloat16) for t in outputs))
    found = cascade.points(half)
    assert found.dtype == torch.float32
    assert (found - cascade.points(outputs)).abs().mean() < 0.5


def test_maps_of_another_scheme() -> None:
    with pytest.raises(InputError, match="heat maps of 68 points"):
        chance_cascade(0, "ibug68-fixed").points(chance_outputs(0, 2))
    with pytest.raises(InputError, match="need the heat maps"):
        chance_cascade(0).points(chance_outputs(0, 2)._replace(heatmap_logits=None))


def test_no_faces() -> None:
    cascade = chance_cascade(0)
    assert cascade.points(Outputs(*(t[:0] for t in chance_outputs(0, 2)))).shape == (0, 19, 2)
    assert isinstance(cascade.trees[0], Trees)
