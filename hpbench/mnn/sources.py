"""Training data by name: faces of the readers and shards of rendered heads, mixed, and never what a protocol tests on.

Test faces
----------
What a dataset's protocols test on is not for training: the ids of their splits.  One kind of split does not count: an open one called
``all``, where nobody has set faces apart to test on (AFLW, 300W-LP).  Models trained on such a set, or with `allow_test_data`, say so in
their weights (``trained_on``: ``cofw:train``, ``aflw:all``), and records of them are marked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog import DatasetCard, dataset_card, protocols_of, split_ids
from ..errors import HpbenchError, InputError
from ..heads.stream import PackedHeads
from ..landmark_maps import MAPS
from ..readers import Dataset, load
from .config import TrainConfig
from .recipes import FacesWanted, merged

if TYPE_CHECKING:
    from .data import Source

__all__ = ["FoundFaces", "common_scheme", "find_faces", "held_out_ids", "open_source", "settled", "splits_for_tests"]

_HEADS = "heads"


@dataclass(frozen=True)
class FoundFaces:
    """Training data that is here.

    Attributes
    ----------
    wanted : FacesWanted
        With its split filled in.
    faces : Dataset or PackedHeads
    scheme : str
        Landmark scheme of the labels.
    count, expected : int
        Faces with labels and picture; of the split when complete (0: no such number).
    left_out : frozenset of str
        Ids that are held out.
    trained_on : tuple of str
        What the weights say that they were trained on.
    """

    wanted: FacesWanted
    faces: Dataset | PackedHeads
    scheme: str
    count: int
    expected: int
    left_out: frozenset[str]
    trained_on: tuple[str, ...]

    @property
    def line(self) -> str:
        """What is here, in words."""
        of = f" of {self.expected}" if self.expected else ""
        out = f", {len(self.left_out)} more held out" if self.left_out else ""
        pose = "their own" if self.wanted.pose == "labels" or not self.expected else "derived from the points"
        return f"{self.wanted.name}: {self.count} faces{of}{out}; points {self.scheme}, poses {pose}"


def splits_for_tests(card: DatasetCard) -> dict[str, str]:
    """The splits that are kept for tests, each with a protocol that tests on it."""
    return {p.split: p.id for p in reversed(protocols_of(card)) if not (p.split == "all" and p.split in card.open_splits)}


def find_faces(wanted: FacesWanted, data: Sequence[Path], *, allow_test_data: bool = False) -> FoundFaces:
    """The faces of one line of training data.

    Parameters
    ----------
    wanted : FacesWanted
    data : sequence of Path
        Folders, archives, shards; a folder that has one called like the dataset stands for that one.  None: as `hpbench.load`.
    allow_test_data : bool

    Raises
    ------
    MissingDataError
        Nothing of the dataset is in the data.
    InputError
        Test data, unknown names, or no split to choose.
    """
    card = dataset_card(wanted.dataset)
    paths = [path / card.id if (path / card.id).is_dir() else path for path in data]
    if card.id == _HEADS and not wanted.split:
        return _shards(wanted, card, paths, allow_test_data)
    split = wanted.split or _only_split(card)
    card.split_path(split)  # a split that there is not
    dataset = load(card.id, paths)
    shared = _shared_with_tests(dataset, split)
    if shared and not allow_test_data:
        face, protocol = shared
        raise InputError(
            f"training data {card.id}:{split}: {face} is tested on by {protocol}: {_other_splits(card)}"
            "--allow-test-data takes it all the same."
        )
    full = FacesWanted(card.id, split, wanted.labels, wanted.pose, wanted.held_out)
    here = set(dataset.found_ids(split, wanted.labels)) & set(dataset.image_ids(split))
    left_out = held_out_ids(here, wanted.held_out)
    named = card.id if left_out else f"{card.id}:{split}"
    scheme = dataset.scheme(wanted.labels)
    return FoundFaces(full, dataset, scheme, len(here - left_out), dataset.n_expected(split), left_out, (named,))


def open_source(found: FoundFaces, scheme: str) -> Source:
    """Labels in a landmark scheme, and pictures.  Imports PyTorch."""
    from .data import HeadShards, ReaderFaces

    if isinstance(found.faces, PackedHeads):
        return HeadShards(found.faces, scheme)
    wanted = found.wanted
    try:
        return ReaderFaces(found.faces, scheme, split=wanted.split, labels=wanted.labels, pose=wanted.pose, without=found.left_out)
    except HpbenchError as error:
        raise type(error)(f"training data {wanted.name}: {error}") from None


def common_scheme(schemes: Sequence[str]) -> str:
    """The landmark scheme among these that all the others map to; `InputError` if there is none."""
    for scheme in dict.fromkeys(schemes):
        if all(other == scheme or (other, scheme) in MAPS for other in schemes):
            return scheme
    named = ", ".join(dict.fromkeys(schemes))
    raise InputError(f"the landmark schemes of the training data ({named}) map to none of them: say network.scheme in the settings.")


def settled(tables: Sequence[Mapping[str, Any]], schemes: Sequence[str], where: str) -> TrainConfig:
    """Settings of several tables; the landmark scheme is that of the data where no table says one."""
    said = any("scheme" in table.get("network", {}) for table in tables if isinstance(table.get("network", {}), Mapping))
    first: list[Mapping[str, Any]] = [] if said else [{"network": {"scheme": common_scheme(schemes)}}]
    return merged([*first, *tables], where)


def held_out_ids(ids: Collection[str], share: float) -> frozenset[str]:
    """The same faces whatever else is there: those whose id's hash, taken as a number from 0 to 1, is below the share."""
    return frozenset(i for i in ids if int(hashlib.sha256(i.encode()).hexdigest()[:8], 16) < share * 2**32)


def _shards(wanted: FacesWanted, card: DatasetCard, paths: list[Path], allow_test_data: bool) -> FoundFaces:
    if not paths:
        raise InputError("training data heads: give shards of rendered heads with --data; hpbench render heads makes them.")
    contour = wanted.labels == "contour"
    if wanted.labels not in ("", "fixed", "contour"):
        raise InputError(f"training data heads: labels {wanted.labels!r} of shards are fixed or contour.")
    packed = PackedHeads(paths)
    tests = {i: split for split in splits_for_tests(card) for i in split_ids(card, split) or ()}
    tested = sorted({tests[i] for i in packed.sample_id if i in tests})
    if tested and not allow_test_data:
        face = next(i for i in packed.sample_id if i in tests)
        raise InputError(
            f"training data heads: {face} is tested on by {splits_for_tests(card)[tests[face]]}: hpbench render heads makes others; "
            "--allow-test-data takes it all the same."
        )
    scheme = "ibug68-contour" if contour else "ibug68-fixed"
    trained_on = (*([card.id] if set(packed.sample_id) - set(tests) else []), *(f"{card.id}:{split}" for split in tested))
    return FoundFaces(wanted, packed, scheme, len(packed), 0, frozenset(), trained_on)


def _shared_with_tests(dataset: Dataset, split: str) -> tuple[str, str] | None:
    """A face of the split that a protocol tests on, and the protocol."""
    ids = set(dataset.ids(split))
    for tested, protocol in splits_for_tests(dataset.card).items():
        if common := ids.intersection(dataset.ids(tested)):
            return min(common), protocol
    return None


def _only_split(card: DatasetCard) -> str:
    free = [split for split in card.splits if split not in splits_for_tests(card)]
    if len(free) == 1:
        return free[0]
    if not free:
        raise InputError(
            f"training data {card.id}: protocols test on all of its splits ({', '.join(card.splits)}): "
            "name one, and give --allow-test-data."
        )
    raise InputError(f"training data {card.id}: which split? {', '.join(f'{card.id}:{split}' for split in free)}.")


def _other_splits(card: DatasetCard) -> str:
    free = [f"{card.id}:{split}" for split in card.splits if split not in splits_for_tests(card)]
    return f"there is {', '.join(free)}; " if free else ""
