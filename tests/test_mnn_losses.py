"""The losses, against their definitions written out with dense targets in NumPy and autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpbench.errors import InputError
from hpbench.geometry.camera import project
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.mnn.config import LossConfig
from hpbench.mnn.targets import Targets, mean_face_units

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from hpbench.mnn.losses import TASKS, balanced_weights, losses, project_mean_face, rotation_yxz, total  # noqa: E402
from hpbench.mnn.network import Outputs  # noqa: E402
from hpbench.mnn.validation import heatmap_points, recall_at_precision  # noqa: E402

SIZE, SCHEME, L = 16, "ibug68-fixed", 68


def example(seed: int, n: int = 3) -> tuple[Outputs, Targets]:
    """Random outputs (float64, to be differentiated) and targets, some without labels."""
    rng = np.random.default_rng(seed)
    pose = rng.uniform(-1, 1, (n, 6)) * (60, 30, 30, 0.3, 0.3, 0.3) + (0, 0, 0, 0, 0, 3.3)
    shapes = {"pose": pose, "maps": rng.normal(size=(n, L, SIZE, SIZE)), "visible": rng.normal(size=(n, L))}
    made = {k: torch.tensor(v).requires_grad_() for k, v in shapes.items()}
    projected = torch.tensor(pose + rng.normal(size=pose.shape) * 0.1).requires_grad_()
    points = rng.uniform(0, SIZE - 1, (n, L, 2))
    pixel = np.rint(points[..., 1]).astype(np.int64) * SIZE + np.rint(points[..., 0]).astype(np.int64)
    weight, labelled = rng.random((n, L)) < 0.7, rng.random((n, L)) < 0.5
    weight[-1], labelled[-1] = False, False
    truth = (pose + rng.normal(size=pose.shape), np.arange(n) != 1, points, pixel, weight, rng.random((n, L)) < 0.5, labelled)
    tensors = [torch.tensor(t if t.dtype == np.int64 else t.astype(float)) for t in truth]
    return Outputs(made["pose"], projected, made["maps"], made["visible"]), Targets(*tensors)


def dense(outputs: Outputs, wanted: Targets, scale: float) -> list[Any]:
    """The definitions, with one-hot maps."""
    logits = outputs.heatmap_logits.flatten(2)
    hot = torch.nn.functional.one_hot(wanted.pixel, SIZE * SIZE)
    entropy = -(hot * logits.log_softmax(dim=2)).sum(dim=2)
    p = outputs.visibility_logits.sigmoid()
    coin = -(wanted.visible * p.log() + (1 - wanted.visible) * (1 - p).log())
    face = torch.tensor(mean_face_units(SCHEME))
    places = 256 * (wanted.points_px - (SIZE - 1) / 2) / SIZE
    distance = (256 * project_mean_face(outputs.pose_projected, face) - places).norm(dim=2)
    values = [0.0, 0.0, 0.0, 0.0]
    n = len(wanted.pose)
    for i in range(n):
        gap = outputs.pose_direct[i] - wanted.pose[i]
        values[0] += wanted.pose_weight[i] * (gap[:3].square().sum() + scale**2 * gap[3:].square().sum()).sqrt() / n
        masked = ((distance, wanted.point_weight), (entropy, wanted.point_weight), (coin, wanted.visible_weight))
        for k, (value, weight) in enumerate(masked):
            if weight[i].any():
                values[k + 1] += value[i][weight[i] > 0].mean() / n
    return values


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_values_and_gradients_against_dense_targets(scale: float) -> None:
    config = LossConfig(pose=0.3, projection=0.7, heatmap=1.1, visibility=2.0, translation_scale=scale)
    outputs, wanted = example(0)
    values = losses(outputs, wanted, config, scheme=SCHEME, size_px=SIZE)
    expected = dense(outputs, wanted, scale)
    torch.testing.assert_close(torch.stack([v.double() for v in values]), torch.stack(expected), rtol=2e-5, atol=1e-6)
    got = torch.autograd.grad(total(values, config), list(outputs))
    weighted = sum(getattr(config, task) * v for task, v in zip(TASKS, expected, strict=True))
    for a, b in zip(got, torch.autograd.grad(weighted, list(outputs)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)


def test_gradients_of_maps_with_channels_last() -> None:
    outputs, wanted = example(1)
    grads = []
    for layout in (torch.contiguous_format, torch.channels_last):
        maps = outputs.heatmap_logits.detach().contiguous(memory_format=layout).requires_grad_()
        value = losses(outputs._replace(heatmap_logits=maps), wanted, LossConfig(), scheme=SCHEME, size_px=SIZE).heatmap
        grads.append(torch.autograd.grad(value, maps)[0])
    torch.testing.assert_close(*grads)


def test_labels_that_are_not_there_do_not_count() -> None:
    outputs, wanted = example(2)
    none = wanted._replace(**{name: torch.zeros_like(getattr(wanted, name)) for name in ("pose_weight", "point_weight", "visible_weight")})
    values = losses(outputs, none, LossConfig(), scheme=SCHEME, size_px=SIZE)
    assert [v.item() for v in values] == [0, 0, 0, 0]
    for gradient in torch.autograd.grad(total(values, LossConfig()), list(outputs)):
        assert torch.isfinite(gradient).all() and not gradient.any()


def test_perfect_predictions_have_the_least_loss() -> None:
    outputs, wanted = example(3)
    face = torch.tensor(mean_face_units(SCHEME))
    places = project_mean_face(wanted.pose, face) * SIZE + (SIZE - 1) / 2
    sure = torch.full_like(outputs.heatmap_logits, -40.0).flatten(2).scatter(2, wanted.pixel[..., None], 40.0)
    perfect = Outputs(wanted.pose, wanted.pose, sure.unflatten(2, (SIZE, SIZE)), 80.0 * wanted.visible - 40.0)
    values = losses(perfect, wanted._replace(points_px=places), LossConfig(), scheme=SCHEME, size_px=SIZE)
    assert max(v.item() for v in values) < 1e-3
    assert min(v.item() for v in losses(outputs, wanted, LossConfig(), scheme=SCHEME, size_px=SIZE)) > 0.1


def test_a_scheme_without_all_points_on_the_mean_face() -> None:
    outputs, wanted = example(4)
    fewer = Targets(*(t[:, :21] if t.ndim > 1 and t.shape[1] == L else t for t in wanted))
    values = losses(outputs._replace(heatmap_logits=None, visibility_logits=None), fewer, LossConfig(), scheme="aflw21", size_px=SIZE)
    assert np.isfinite(float(values.projection)) and float(values.heatmap) == float(values.visibility) == 0


@given(st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180)), st.floats(2, 5))
def test_projection_against_the_camera(euler: Any, depth: float) -> None:
    face, pose = mean_face_units(SCHEME), np.array([[*euler, 0.1, -0.3, depth]])
    np.testing.assert_allclose(rotation_yxz(torch.tensor(pose[:, :3])).numpy(), rotation_from_euler(pose[:, :3], "yxz"), atol=1e-12)
    expected = project(face, rotation_from_euler(pose[:, :3], "yxz"), pose[:, 3:], np.diag([1.5, 1.5, 1.0]))
    np.testing.assert_allclose(project_mean_face(torch.tensor(pose), torch.tensor(face)).numpy(), expected, atol=1e-9)


def test_behind_the_camera_there_is_still_a_way_out() -> None:
    pose = torch.tensor([[0.0, 0, 0, 0.2, 0.1, -1.0]], dtype=torch.float64, requires_grad=True)
    seen = project_mean_face(pose, torch.tensor(mean_face_units(SCHEME)))
    assert torch.isfinite(seen).all()
    seen.square().sum().backward()
    assert pose.grad[0, 5] < 0  # less loss farther away


def test_balanced_weights() -> None:
    weights = balanced_weights({"pose": 8.0, "projection": 4.0, "heatmap": 4.0, "visibility": 0.2})
    assert weights == pytest.approx({"pose": 0.5, "projection": 1.0, "heatmap": 1.0, "visibility": 20.0})
    for bad in ({"pose": 8.0}, {"pose": 8.0, "projection": 0.0, "heatmap": 4.0, "visibility": 0.2}):
        with pytest.raises(InputError, match="projection"):
            balanced_weights(bad)
    with pytest.raises(InputError, match="below 0"):
        LossConfig(pose=-1.0)


def test_pretraining_counts_heat_maps_only() -> None:
    outputs, wanted = example(5)
    values = losses(outputs, wanted, LossConfig(heatmap=2.0), scheme=SCHEME, size_px=SIZE)
    for weight in (2.0, 0.0):  # also where the last stage does without heat maps
        assert float(total(values, LossConfig(heatmap=weight), pretraining=True)) == pytest.approx(float(values.heatmap))


def test_points_are_read_out_of_heat_maps() -> None:
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    truth = torch.tensor([[[6.3, 9.6], [0.0, 15.0], [4.0, 4.0]]])
    logits = -((x - truth[..., 0, None, None]) ** 2 + (y - truth[..., 1, None, None]) ** 2) / 2.0
    assert heatmap_points(logits).tolist() == [[[6, 10], [0, 15], [4, 4]]]
    fine = heatmap_points(logits, radius_px=3)
    torch.testing.assert_close(fine[0, 0], truth[0, 0], atol=0.05, rtol=0)
    torch.testing.assert_close(fine[0, 2], truth[0, 2], atol=1e-4, rtol=0)
    assert (fine - truth).abs().max() < 0.8  # at the edge half of a map is missing


def test_recall_at_precision() -> None:
    score, positive = np.array([5.0, 4, 3, 2, 1]), np.array([True, True, False, True, False])
    assert recall_at_precision(score, positive, 100.0) == pytest.approx(200 / 3)
    assert recall_at_precision(score, positive, 75.0) == 100.0
    assert recall_at_precision(np.zeros(5), positive, 75.0) == 0.0  # equal scores are one call
    assert np.isnan(recall_at_precision(score, np.zeros(5, bool), 80.0))
