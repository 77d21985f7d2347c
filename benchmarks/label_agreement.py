"""How far AFLW2000-3D's two kinds of pose labels are apart: the aggregates of baselines/label_agreement.csv, from the label files.

The files' poses are Pose_Para; the others are perspective-n-point of the re-annotated points on hpbench's mean face
(`hpbench.readers.derived_pose`).  Each protocol's labels are the truth, and the other kind is scored as if it were predicted.

    python benchmarks/label_agreement.py "$HPBENCH_REALDATA" >baselines/label_agreement.csv
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from hpbench.catalog import protocol_named
from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.geometry.mean_face import MEAN_FACE_VERSION
from hpbench.metrics.landmarks import landmark_box_xyxy_px
from hpbench.readers.derived_pose import derived_rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

COLUMNS = ("protocol_id", "subset", "metric", "value", "n", "origin", "what", "source")
DERIVED = f"PnP of the re-annotated points on hpbench's mean face {MEAN_FACE_VERSION} against the poses of the files"


def agreement(root: Path) -> list[dict[str, object]]:
    """Lines of the table; `root` holds aflw2000/annotations."""
    from annotation_truth import opal23_truth

    fitted = opal23_truth(root)
    file = root / "aflw2000" / "annotations" / "AFLW2000-3D-Reannotated.pts68.npy"
    points = np.load(file, allow_pickle=False).astype(float).swapaxes(1, 2)
    box = landmark_box_xyxy_px(fitted)
    rotation = derived_rotation(points, "ibug68-fixed", box, MEAN_FACE_VERSION)
    derived = Faces(fitted.sample_id, rotation=rotation, box_xyxy_px=box, attributes=fitted.attributes)
    lines: list[dict[str, object]] = []
    for name in ("pose-1969", "pose-1969-aligned", "pose-2000", "pose-derived"):
        protocol = protocol_named(f"aflw2000/{name}")
        truth, other = (derived, Faces(fitted.sample_id, rotation=fitted.rotation)) if name == "pose-derived" else (
            fitted, Faces(fitted.sample_id, rotation=rotation))  # fmt: skip
        found = evaluate(protocol, truth, other, resamples=0)
        for subset, scores in {"all": found.scores, **found.subsets}.items():
            for score in scores:
                assert score.value is not None
                facts = (protocol.id, subset, score.metric, f"{score.value:.4f}", score.n_scored, "computed", DERIVED)
                lines.append(dict(zip(COLUMNS, (*facts, "benchmarks/label_agreement.py"), strict=True)))
    return lines


def noted() -> list[dict[str, object]]:
    """The same with the mean face of the MNN paper's code (AFLW's)."""
    what = (
        "POSIT of the re-annotated points on AFLW's mean face, the kind of label that the MNN paper trains on (its published error: 3.83)"
    )
    source = "the protocol's text (differs), with AFLW's mean face; not recomputed by hpbench"
    values = {"mae(convention=300w-lp)": 3.86, "geodesic": 5.74}
    values |= {f"mae(angle={a},convention=300w-lp)": v for a, v in zip(("yaw", "pitch", "roll"), (2.86, 4.98, 3.75), strict=True)}
    facts = [("aflw2000/pose-1969", "all", metric, value, 1969, "noted", what, source) for metric, value in values.items()]
    return [dict(zip(COLUMNS, line, strict=True)) for line in facts]


if __name__ == "__main__":
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows([*agreement(Path(sys.argv[1])), *noted()])
