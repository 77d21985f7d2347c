"""What a dataset is to the rest of hpbench: samples for a model, truth for the scoring."""

from __future__ import annotations

import abc
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import DatasetCard, split_ids
from ..errors import InputError, did_you_mean
from ..faces import Faces, Sample
from ..geometry.rotations import geodesic_deg
from .files.sources import DataFile

__all__ = ["Dataset", "label_statistics"]

Array = npt.NDArray[Any]

STATISTICS = (
    "faces", "any_angle_above_99_deg", "mean_abs_yaw_deg", "mean_abs_pitch_deg", "mean_abs_roll_deg", "pose_order_deg",
    "mean_turn_deg", "turn_order_deg", "labelled_points", "mean_x_px", "mean_y_px", "landmark_order_px", "occluded_points",
)  # fmt: skip
STATISTICS_TOLERANCE = 1e-3  # degrees or counts; the facts on a card are printed with four decimals


class Dataset(abc.ABC):
    """A dataset found in data roots.  A reader implements `found_ids`, `image_ids`, `samples_of`, `truth_of`.

    Attributes
    ----------
    card : DatasetCard
    files : list of DataFile
        Everything that lies in the data roots.
    """

    default_labels = ""  # the name of the annotation that "" means, where there are several

    def __init__(self, card: DatasetCard, files: list[DataFile]) -> None:
        self.card = card
        self.files = files

    def __repr__(self) -> str:
        counts = ", ".join(f"{split} {len(self.found_ids(split))}/{n}" for split, n in self.card.splits.items())
        return f"{type(self).__name__}({self.card.id}: {counts})"

    @abc.abstractmethod
    def found_ids(self, split: str = "", labels: str = "") -> list[str]:
        """The ids of a split whose labels are there, sorted."""

    @abc.abstractmethod
    def image_ids(self, split: str = "") -> list[str]:
        """The ids of a split whose image is there, sorted."""

    @abc.abstractmethod
    def boxes_of(self, name: str, ids: list[str]) -> Array:
        """Face boxes of a named box set, (N, 4) pixels: x0, y0, x1, y1."""

    @abc.abstractmethod
    def truth_of(self, ids: list[str], labels: str = "") -> Faces:
        """Labels of these faces, in this order."""

    @abc.abstractmethod
    def samples_of(self, ids: list[str], boxes: str) -> Iterator[Sample]:
        """What a model may see of these faces, in this order; images are read when asked for."""

    def fingerprint(self, leave_out: Path) -> str:
        """Changes when a file of the data roots is added, removed or changed: a run is continued on the same data only.

        Files below `leave_out`, the output folder, do not count: it may lie in a data root; nor does what Python keeps of a model's code.
        """
        digest = hashlib.sha256()
        ours = os.path.join(os.path.abspath(leave_out), "")
        for file in sorted(self.files, key=lambda f: (f.place, f.stamp)):
            if not os.path.abspath(file.name).startswith(ours) and "__pycache__/" not in file.place:
                digest.update(f"{file.place}|{file.size}|{file.stamp}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]

    def foreign_ids(self) -> list[str]:
        """Ids of files that look like the dataset's and are on none of its lists; a run says how many it passes over."""
        return []

    def ids(self, split: str = "") -> list[str]:
        """All ids of a split as published, whether here or not, sorted; of an open split, those that are here."""
        split = split or self.default_split
        listed = split_ids(self.card, split)
        return self.open_ids(split) if listed is None else listed

    def open_ids(self, split: str) -> list[str]:
        """The ids that belong to an open split, as the files themselves say, sorted."""
        raise InputError(f"{self.card.folder / 'splits' / split}.txt: the list of the split is missing.")

    def n_expected(self, split: str = "") -> int:
        """How many faces a split has when it is complete."""
        return self.card.splits[split or self.default_split]

    @property
    def default_split(self) -> str:
        """The split that "" means: the card's first."""
        return next(iter(self.card.splits))

    def all_ids(self) -> list[str]:
        """The ids of all splits together, sorted."""
        if len(self.card.splits) == 1:
            return self.ids()
        return sorted({i for split in self.card.splits for i in self.ids(split)})

    def scheme(self, labels: str = "") -> str:
        """The landmark scheme of an annotation; "" where it has no landmarks."""
        return self.card.scheme

    def samples(self, split: str = "", boxes: str = "", limit: int | None = None) -> Iterator[Sample]:
        """Samples of a split in sorted order, at most `limit`, with the boxes of a named set (default: the card's)."""
        if limit is not None and limit < 0:
            raise InputError(f"limit must be 0 or more, not {limit}.")
        return self.samples_of(self.found_ids(split or self.default_split)[:limit], self.box_set(boxes))

    def truth(self, split: str = "", labels: str = "") -> Faces:
        """Labels of all faces of a split that are here."""
        split = split or self.default_split
        return self.truth_of(self.found_ids(split, labels), labels)

    def box_set(self, name: str = "") -> str:
        """The name of a box set, checked; the card's default for ""."""
        if name and name not in self.card.boxes:
            known = did_you_mean(name, self.card.boxes).rstrip(".")
            raise InputError(f"dataset {self.card.id!r} has no boxes {name!r}: {known}; a detector's are detector:NAME.")
        return name or self.card.default_boxes

    def stated_statistics(self, split: str, labels: str = "") -> dict[str, float]:
        """The card's facts about a complete split with an annotation; empty where it states none.

        An annotation derived from the default one (``derived-pose``) has no facts of its own: its landmarks must be those.
        """
        stated = self.card.statistics.get(split, {})
        default = self.default_labels or "default"
        return stated.get(labels or default) or stated.get(default, {})

    def wrong_statistics(self, split: str, labels: str, truth: Faces) -> list[str]:
        """How the labels of a complete split differ from the facts on the card; empty where they agree or none are stated."""
        stated = self.stated_statistics(split, labels)
        have = label_statistics(truth) if stated else {}
        wrong = []
        for name, expected in stated.items():
            if name not in STATISTICS and not name.startswith("count_"):
                raise InputError(f"{self.card.folder / 'card.toml'}: unknown statistic {name!r}: {did_you_mean(name, STATISTICS)}")
            if name not in have:
                wrong.append(f"{name} cannot be computed: such labels are missing")
            elif not abs(have[name] - expected) <= STATISTICS_TOLERANCE:
                wrong.append(f"{name} is {have[name]:.4f}, not {expected:.4f}")
        return wrong


def label_statistics(truth: Faces) -> dict[str, float]:
    """Facts about labels that tell one set of labels from another.

    ``faces``; of raw Euler angles ``any_angle_above_99_deg`` (count) and, over the other faces,
    ``mean_abs_{yaw,pitch,roll}_deg``; of rotations without angles ``mean_turn_deg`` (from the identity); of landmarks
    ``mean_x_px``, ``mean_y_px`` and ``labelled_points`` (count); ``occluded_points`` (count); ``count_<attribute>`` of 0/1
    attributes.  ``pose_order_deg``, ``turn_order_deg`` and ``landmark_order_px`` weigh the rows by their place in sorted order, so
    that labels given to the wrong faces are told too.
    """
    facts = {"faces": float(len(truth))}
    if not len(truth):
        return facts
    place = (np.arange(len(truth)) + 1.0) / len(truth)
    if truth.euler_deg is not None:
        size = np.abs(truth.euler_deg)
        above = (size > 99.0).any(axis=1)
        facts["any_angle_above_99_deg"] = float(above.sum())
        kept = ~above & np.isfinite(size).all(axis=1)
        if kept.any():
            means = size[kept].mean(axis=0)
            facts |= {f"mean_abs_{name}_deg": float(v) for name, v in zip(("yaw", "pitch", "roll"), means, strict=True)}
            facts["pose_order_deg"] = float((size[kept].mean(axis=1) * place[kept]).mean())
    elif truth.rotation is not None and np.isfinite(truth.rotation).any():
        turn = geodesic_deg(truth.rotation, np.broadcast_to(np.eye(3), truth.rotation.shape))
        facts["mean_turn_deg"], facts["turn_order_deg"] = float(np.nanmean(turn)), float(np.nanmean(turn * place))
    if truth.landmarks is not None and np.isfinite(truth.landmarks).any():
        facts["labelled_points"] = float(np.isfinite(truth.landmarks).all(axis=2).sum())
        facts |= {f"mean_{axis}_px": float(np.nanmean(truth.landmarks[..., i])) for i, axis in enumerate("xy")}
        facts["landmark_order_px"] = float(np.nanmean(truth.landmarks * place[:, None, None]))
    if truth.occlusion is not None:
        facts["occluded_points"] = float(np.isin(truth.occlusion, (1, 2)).sum())
    for name, values in truth.attributes.items():
        if {str(v) for v in np.unique(values)} <= {"0", "1"}:
            facts[f"count_{name}"] = float(sum(np.count_nonzero(values == v) for v in np.unique(values) if str(v) == "1"))
    return facts
