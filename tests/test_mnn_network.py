"""The network: the counts of its published outline, its shapes, and what folding batch normalisation must not change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpbench.errors import InputError
from hpbench.mnn.config import NetworkConfig

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from hpbench.mnn.infer import crops_of, fused, predict_arrays  # noqa: E402
from hpbench.mnn.network import Network  # noqa: E402

TINY = NetworkConfig(input_px=32, widths=(8, 16))


def count(**settings: Any) -> int:
    return sum(p.numel() for p in Network(NetworkConfig(**settings)).parameters())


def lively(config: NetworkConfig) -> Network:
    """A network in use whose batch normalisation has seen something."""
    torch.manual_seed(0)
    network = Network(config).train()
    for _ in range(3):
        network(torch.rand(4, 3, config.input_px, config.input_px))
    return network.eval()


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({}, 6_278_740),
        ({"scheme": "aflw21"}, 6_272_630),
        ({"scheme": "cofw29"}, 6_273_670),
        ({"scheme": "wflw98"}, 6_282_640),
        ({"dense": False}, 3_178_316),
        ({"blocks": 2}, 9_064_532),
    ],
    ids=str,
)
def test_parameters(settings: dict[str, Any], parameters: int) -> None:
    assert count(**settings) == parameters


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        NetworkConfig(input_px=4, widths=(4,), scheme="aflw21"),
        NetworkConfig(input_px=16, widths=(4, 8, 12, 16, 20), blocks=2, bottleneck=4, skip="concat", scheme="cofw29"),
        NetworkConfig(input_px=32, widths=(8,), dense=False),
    ],
    ids=str,
)
def test_shapes_and_that_every_parameter_learns(config: NetworkConfig) -> None:
    torch.manual_seed(0)
    network, size = Network(config), config.input_px
    images = torch.rand(3, 3, size, size).to(memory_format=torch.channels_last)
    outputs = network(images)
    assert outputs.pose_direct.shape == outputs.pose_projected.shape == (3, 6)
    if config.dense:
        assert outputs.heatmap_logits.shape == (3, config.landmarks, size, size)
        assert outputs.visibility_logits.shape == (3, config.landmarks)
    else:
        assert outputs.heatmap_logits is None and outputs.visibility_logits is None
    sum((o**2).sum() for o in outputs if o is not None).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_visibility_is_the_average_of_a_one_pixel_convolution() -> None:
    network = lively(TINY)
    seen: list[Any] = []
    network.heatmaps.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    outputs = network(torch.rand(2, 3, 32, 32))
    weight = network.visibility.weight[:, :, None, None]
    maps = torch.nn.functional.conv2d(seen[0], weight, network.visibility.bias)
    torch.testing.assert_close(outputs.visibility_logits, maps.mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)


def test_the_encoder_alone_says_the_same_pose() -> None:
    network, images = lively(TINY), torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(network.pose(images), network(images).pose_direct)


@pytest.mark.parametrize("skip", ["add", "concat"])
def test_folded_batch_normalisation_says_the_same(skip: Any) -> None:
    network = lively(NetworkConfig(input_px=32, widths=(8, 16), skip=skip))
    folded = fused(network)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    images = torch.rand(2, 3, 32, 32)
    for a, b in zip(network(images), folded(images), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_predictions_in_picture_pixels_whatever_the_batches() -> None:
    network = lively(TINY)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (90 + 40 * i, 120, 3), dtype=np.uint8) for i in range(5)]
    boxes = np.array([[20.0, 10.0, 60.0, 50.0 + 10 * i] for i in range(5)])
    crops, matrices = crops_of(images, boxes, 32)
    whole, pieces = (predict_arrays(network, crops, matrices, batch_size=n) for n in (5, 2))
    assert whole.rotation_crop_ray.shape == (5, 3, 3) and whole.landmarks_px is not None and whole.visibility is not None
    np.testing.assert_allclose(whole.rotation_crop_ray, pieces.rotation_crop_ray, atol=1e-5)
    np.testing.assert_array_equal(whole.landmarks_px, pieces.landmarks_px)
    assert ((whole.visibility > 0) & (whole.visibility < 1)).all()
    side = 1.6 * (boxes[:, 3] - boxes[:, 1])
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert (np.abs(whole.landmarks_px - middle[:, None]) <= side[:, None, None] / 2).all()
    pose = predict_arrays(network, crops, matrices, pose_only=True)
    np.testing.assert_allclose(pose.rotation_crop_ray, whole.rotation_crop_ray, atol=1e-5)
    assert pose.landmarks_px is None and pose.visibility is None
    nothing = predict_arrays(network, crops[:0], matrices[:0])
    assert nothing.rotation_crop_ray.shape == (0, 3, 3) and nothing.landmarks_px is not None and nothing.landmarks_px.shape == (0, 68, 2)


@pytest.mark.parametrize(
    "settings",
    [{"input_px": 96}, {"input_px": 2}, {"widths": ()}, {"widths": (7,)}, {"input_px": 4, "widths": (8, 8, 8, 8)}, {"blocks": 0},
     {"scheme": "ibug67"}, {"bottleneck": 0}],
    ids=str,
)  # fmt: skip
def test_impossible_networks(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        NetworkConfig(**settings)
    assert "\n" not in str(caught.value)


def test_the_package_is_imported_without_pytorch() -> None:
    modules = ["", ".config", ".crops", ".targets", ".augment"]
    code = "import sys" + "".join(f", hpbench.mnn{m}" for m in modules) + "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1]).returncode == 0
