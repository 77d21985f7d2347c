"""Everything the MNN paper trains and tests on, a few faces each, in the original formats, in one folder.

Written by what the tests of the readers write theirs with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import scipy.io
import test_reader_300w as ibug
import test_reader_300wlp as lp
import test_reader_aflw as aflw
import test_reader_aflw2000 as aflw2000
import test_reader_wflw as wflw

from .cofw import drawn_images, write_cofw

__all__ = ["write_paper_sets"]


def write_paper_sets(root: Path) -> None:
    """``root/<dataset id>``: cofw, wflw, 300w, aflw, 300w-lp, aflw2000."""
    _write_cofw(root / "cofw")
    wflw.write_lists(root / "wflw", wflw.ROWS, wflw.ROWS[:6])
    for path in wflw.PATHS:
        _grey(root / "wflw" / "WFLW_images" / path, (48, 64))
    for row, (sample_id, suffix) in enumerate(ibug.FILES.items()):
        path = root / "300w" / f"{sample_id}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        ibug.write_face(path, ibug.POINTS[row], 10 * row, variant=row)
    aflw.write_database(root / "aflw" / "data" / "aflw.sqlite")
    aflw.write_images(root / "aflw" / "data")
    for row, sample_id in enumerate(lp.NOFLIP):
        path = root / "300w-lp" / f"{sample_id}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        lp.write_mat(path, lp.ANGLES[row], lp.POINTS[row])
        _grey(path.with_suffix(".jpg"), (450, 450))
        later = root / "300w-lp" / "landmarks" / f"{sample_id}_pts.mat"
        later.parent.mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(later, {"pts_2d": lp.LATER[row, 0].astype(np.float32), "pts_3d": lp.LATER[row, 1].astype(np.float32)})
    for row, name in enumerate(aflw2000.IDS):
        (root / "aflw2000").mkdir(exist_ok=True)
        aflw2000.write_mat(root / "aflw2000" / f"{name}.mat", aflw2000.ANGLES[row], aflw2000.POINTS[row])
        _grey(root / "aflw2000" / f"{name}.jpg", (450, 450))
    np.save(root / "aflw2000" / aflw2000.REANNOTATED, np.random.default_rng(4).uniform(0, 450, (2000, 2, 68)).astype(np.float32))


def _write_cofw(folder: Path) -> None:
    from .cofw import drawn_labels

    folder.mkdir(parents=True)
    for half, count in (("train", 9), ("test", 4)):
        write_cofw(folder / f"COFW_{half}_color.mat", *drawn_labels(count, count), drawn_images(count, count))


def _grey(path: Path, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), 99, np.uint8))
