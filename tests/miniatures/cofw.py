"""COFW_{train,test}_color.mat as MATLAB writes them: v7.3, that is HDF5 behind a block of 512 bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

__all__ = ["MATLAB_HEADER", "drawn_images", "drawn_labels", "write_cofw"]

MATLAB_HEADER = (
    b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Tue Jul 23 10:00:00 2013 HDF5 schema 1.00 .".ljust(116) + bytes(8) + b"\x00\x02IM"
)


def drawn_labels(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """phis (count, 87) and bboxes (count, 4) as MATLAB has them: points beyond the edges, a quarter of them occluded."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-5.0, 130.0, (count, 58))
    boxes = np.concatenate([rng.integers(-9, 20, (count, 2)), rng.integers(80, 120, (count, 2))], axis=1)
    return np.concatenate([points, rng.random((count, 29)) < 0.25], axis=1), boxes.astype(float)


def drawn_images(count: int, seed: int) -> list[np.ndarray]:
    """Noise, (H, W, 3) and every third (H, W), no two of one size."""
    rng = np.random.default_rng(seed)
    sizes = [(90 + k, 131 - k) if k % 3 == 1 else (90 + k, 131 - k, 3) for k in range(count)]
    return [rng.integers(0, 256, size, np.uint8) for size in sizes]


def write_cofw(path: Path, phis: np.ndarray, bboxes: np.ndarray, images: Sequence[np.ndarray] | None) -> None:
    """Write one of the two files, Tr or T by its name.

    Parameters
    ----------
    path : Path
        Ends with ``COFW_train_color.mat`` or ``COFW_test_color.mat``.
    phis, bboxes : (N, 87), (N, 4) arrays
        As MATLAB has them.
    images : list of (H, W) or (H, W, 3) uint8 arrays, or None to leave the cell out
    """
    suffix = "Tr" if "train" in path.name else "T"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in (("phis", phis), ("bboxes", bboxes)):
            _write(file, name + suffix, np.asarray(value, dtype=np.float64), b"double")
        if images is not None:
            references = file.create_group("#refs#")
            for k, image in enumerate(images):
                _write(references, f"r{k}", image, b"uint8").attrs["H5PATH"] = np.bytes_(f"/Is{suffix}")
            cell = file.create_dataset(f"Is{suffix}", (1, len(images)), h5py.ref_dtype)
            cell.attrs["MATLAB_class"] = np.bytes_(b"cell")
            for k in range(len(images)):
                cell[0, k] = references[f"r{k}"].ref
    with path.open("r+b") as raw:
        raw.write(MATLAB_HEADER)


def _write(group: h5py.Group, name: str, value: np.ndarray, kind: bytes) -> h5py.Dataset:
    data = group.create_dataset(name, data=value.T, chunks=value.T.shape, compression="gzip", compression_opts=3)
    data.attrs["MATLAB_class"] = np.bytes_(kind)
    return data
