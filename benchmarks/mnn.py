"""MNN's speed: ours beside the naive call, what it computes and moves, and how near that is to what the machine can do.

    python benchmarks/mnn.py [--weights FILE] [--seconds 1.5] [--threads 2] [--compile]

Ways of computing the same; how fast the model is with its cropping and from file to prediction is what `hpbench bench mnn` measures.

The naive call is the network as it was trained, eager, fp32, a face a call.  FLOPs and bytes are counted from the modules: two a
multiplication and addition; each convolution reads its input and its weights and writes its output once, in the precision it runs in.
The ceiling of a path is min(measured matrix products, FLOPs a byte x measured copies).  Ways are measured in turns, the best of
them counts.  On a GPU the same table is of the GPU, in bf16.  The paper: 12.8 faces/s in full, 62.5 the encoder (GTX 1080 Ti,
TensorFlow 1.8; 256 px).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import tabulate
import torch
from torch import nn

from hpbench.mnn.checkpoint import load_network
from hpbench.mnn.infer import compiled, fused, in_precision
from hpbench.mnn.network import Network, NetworkConfig, Outputs
from hpbench.models.mnn_files import NETWORK, TREES

PAPER = {"full": 12.8, "encoder": 62.5}
ROUNDS = 3
Work = Callable[[], object]


class Count(NamedTuple):
    """Of one face."""

    flop: float
    numbers: float  # of activations, read and written
    weights: int


class Ceiling(NamedTuple):
    """What the machine does: FLOP/s of a matrix product, bytes/s of a copy (read and written)."""

    flops: float
    bytes: float

    def faces(self, count: Count, size: int, batch: int) -> float:
        """Faces a second at most."""
        moved = size * (count.numbers + count.weights / batch)
        return min(self.flops / count.flop, self.bytes / moved)


@click.command()
@click.option("--weights", type=click.Path(exists=True, path_type=Path), help="Instead of those that come with hpbench.")
@click.option("--seconds", default=1.5, show_default=True, help="For each way and round.")
@click.option("--threads", default=min(2, os.cpu_count() or 1), show_default=True)
@click.option("--compile", "compile_too", is_flag=True, help="torch.compile as well: minutes.")
def main(weights: Path | None, seconds: float, threads: int, compile_too: bool) -> None:
    """Both networks, then the regression trees."""
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = torch.bfloat16 if device.type == "cuda" else torch.float32
    path = weights or Path(__file__).resolve().parents[1] / "baselines" / "mnn" / NETWORK
    shipped = load_network(path) if path.is_file() else Network(NetworkConfig(input_px=64, widths=(32, 64, 128, 256))).eval()
    ceiling = {dtype: measured_ceiling(device, dtype) for dtype in {precision, torch.float32, torch.bfloat16}}
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{threads} CPU threads"
    rates = ", ".join(f"{c.flops / 1e9:,.0f} GFLOP/s in {str(dtype)[6:]}" for dtype, c in ceiling.items())
    print(f"{where}: {rates}; copies {ceiling[precision].bytes / 1e9:,.1f} GB/s\n")
    note = "" if path.is_file() else " (no weights here: of the size that is trained on two cores)"
    for title, network in ((f"as shipped{note}", shipped), ("the paper's", Network(NetworkConfig()).eval())):
        ways(title, network, device, precision, ceiling, seconds, compile_too)
    trees(shipped, path.parent / TREES, device, seconds)


def ways(title: str, network: Network, device: Any, precision: Any, ceiling: dict[Any, Ceiling], seconds: float, compile_too: bool) -> None:
    """The table of one network."""
    config = network.config
    rows = []
    for part in ("encoder", "full"):
        count = counted(network, part)
        print(f"{title}, {config.input_px} px, {part}: {count.flop / 1e9:.2f} GFLOP, {4 * count.numbers / 1e6:.1f} MB in fp32, "
              f"{count.weights / 1e6:.2f} M weights")  # fmt: skip
        all_ways = {"naive": (Way(network.to(device), torch.float32, device, part), 1)}
        folded = fused(network)
        batches = (64, 256) if device.type == "cuda" else sorted({1, max(1, 16 * 64**2 // config.input_px**2)})
        for batch in batches:
            all_ways[f"folded, channels last, batch {batch}"] = (Way(folded.to(device), torch.float32, device, part), batch)
        half = in_precision(folded, torch.bfloat16).to(device)
        batch = batches[-1]
        all_ways[f"the same in bf16, batch {batch}"] = (Way(half, torch.bfloat16, device, part), batch)
        if compile_too:
            chosen = compiled(half if precision == torch.bfloat16 else folded.to(device))
            all_ways[f"compiled, {str(precision)[6:]}, batch {batch}"] = (Way(chosen, precision, device, part), batch)
        if device.type == "cpu" and (session := onnx_way(folded, part)) is not None:
            all_ways["ONNX Runtime, batch 4"] = (session, 4)
        rates = faces_per_second(all_ways, seconds, device)
        for name, (way, size) in all_ways.items():
            dtype = getattr(way, "dtype", torch.float32)
            most = ceiling[dtype].faces(count, 2 if dtype == torch.bfloat16 else 4, size)
            # the paper's speeds are of its own size
            paper = f"{rates[name] / PAPER[part]:.2f}" if config.input_px == NetworkConfig().input_px else ""
            rows.append([part, name, f"{rates[name]:.1f}", f"{rates[name] / rates['naive']:.2f}", f"{100 * rates[name] / most:.0f}", paper])
    headings = ["part", "way", "faces/s", "times the naive", "% of the ceiling", "times the paper's"]
    print(f"\n{tabulate.tabulate(rows, headings, tablefmt='github', disable_numparse=True)}\n", flush=True)


class Way:
    """A network called with a batch of crops."""

    def __init__(self, network: Network, dtype: Any, device: Any, part: str) -> None:
        self.network, self.dtype, self.device, self.part = network, dtype, device, part

    def prepared(self, batch: int) -> Work:
        """The call, its input made once."""
        size = self.network.config.input_px
        crops = torch.rand(batch, 3, size, size, device=self.device).to(self.dtype)
        crops = crops if batch == 1 else crops.contiguous(memory_format=torch.channels_last)
        return (lambda: self.network.pose(crops)) if self.part == "encoder" else (lambda: self.network(crops))


class OnnxWay:
    """A file in onnxruntime."""

    def __init__(self, session: Any, size: int) -> None:
        self.session, self.size = session, size

    def prepared(self, batch: int) -> Work:
        """The call, its input made once."""
        crops = np.random.default_rng(0).random((batch, 3, self.size, self.size), dtype=np.float32)
        return lambda: self.session.run(None, {"crops": crops})


def onnx_way(network: Network, part: str) -> OnnxWay | None:
    """The exported network; None where the packages are missing."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError:
        return None
    from hpbench.mnn.export import export_onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        export_onnx(network, path, encoder_only=part == "encoder")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        return OnnxWay(
            onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"]), network.config.input_px
        )


def faces_per_second(all_ways: dict[str, tuple[Any, int]], seconds: float, device: Any) -> dict[str, float]:
    """The best round of each, in turns: what else the machine does then hits all alike."""
    best = dict.fromkeys(all_ways, 0.0)
    with torch.inference_mode():
        calls = {name: (way.prepared(batch), batch) for name, (way, batch) in all_ways.items()}
        for call, _ in calls.values():
            call()
        for _ in range(ROUNDS):
            for name, (call, batch) in calls.items():
                synchronise(device)
                started, done = time.perf_counter(), 0
                while time.perf_counter() - started < seconds / ROUNDS:
                    call()
                    done += batch
                    if device.type == "cuda" and done % (16 * batch) == 0:
                        synchronise(device)
                synchronise(device)
                best[name] = max(best[name], done / (time.perf_counter() - started))
    return best


def counted(network: Network, part: str) -> Count:
    """FLOPs, numbers moved and weights, from the shapes that each layer sees."""
    flop, numbers, weights = 0.0, 0.0, 0

    def look(layer: nn.Module, given: tuple[Any, ...], result: Any) -> None:
        nonlocal flop, numbers, weights
        kernel: Any = layer.weight
        # each weight meets each place: of the result, or of the input where the convolution is transposed
        places = given[0] if isinstance(layer, nn.ConvTranspose2d) else result
        flop += 2.0 * kernel.numel() * (places.numel() / places.shape[1])
        numbers += given[0].numel() + result.numel()
        weights += kernel.numel()

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    first = next(network.parameters())
    crop = torch.zeros(1, 3, network.config.input_px, network.config.input_px, device=first.device, dtype=first.dtype)
    with torch.inference_mode():
        network.pose(crop) if part == "encoder" else network(crop)
    for hook in hooks:
        hook.remove()
    return Count(flop, numbers, weights)


def measured_ceiling(device: Any, dtype: Any) -> Ceiling:
    """Of a large square product and of a copy that no cache holds."""
    n = 8192 if device.type == "cuda" else 1024
    a, b = (torch.rand(n, n, device=device).to(dtype) for _ in range(2))
    source = torch.zeros(2**28 if device.type == "cuda" else 2**25, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    products = best_seconds(lambda: a @ b, device)
    return Ceiling(2 * n**3 / products, 2 * source.numel() / best_seconds(lambda: target.copy_(source), device))


def best_seconds(work: Work, device: Any, rounds: int = 8) -> float:
    """Of some calls."""
    times = []
    for _ in range(rounds):
        synchronise(device)
        started = time.perf_counter()
        work()
        synchronise(device)
        times.append(time.perf_counter() - started)
    return min(times)


def synchronise(device: Any) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def trees(network: Network, path: Path, device: Any, seconds: float) -> None:
    """What the regression trees add to the network's time."""
    if not path.is_file():
        print("regression trees: none here\n")
        return
    from hpbench.mnn.or_file import load_cascade

    cascade = load_cascade(path).to(device)
    ready = fused(network).to(device)
    crops = torch.rand(16, 3, network.config.input_px, network.config.input_px, device=device)
    with torch.inference_mode():
        outputs: Outputs = ready(crops)
        forward, read = (best_seconds(work, device, 12) for work in (lambda: ready(crops), lambda: cascade.points(outputs)))
    face = f"{1000 * read / 16:.2f} ms a face"
    print(f"regression trees, batch 16: {face}, {100 * read / forward:.0f} % of the network's {1000 * forward / 16:.2f}\n")


if __name__ == "__main__":
    main()
