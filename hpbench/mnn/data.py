"""Batches for training: any faces with pictures, varied and labelled, by place in one endless order.

A batch follows from the seed and its number alone, whatever the number of workers, so training goes on exactly where it stopped.

Imports PyTorch: import this module inside functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from ..errors import InputError
from ..geometry.mean_face import MEAN_FACE_VERSION
from ..heads.stream import PackedHeads
from ..readers import Dataset
from ..readers.derived_pose import derived_rotation
from .augment import draw_crops, hide, occlude, recolour
from .config import TrainConfig
from .crops import box_crops, cut, to_crop
from .targets import FaceLabels, Targets, labels_of_faces, labels_of_heads, targets

__all__ = ["Batch", "HeadShards", "ReaderFaces", "Source", "Split", "data_sha256", "load_batches", "split_faces"]

Array = npt.NDArray[Any]


class Source(Protocol):
    """Faces to learn from: labels of all, pictures by number."""

    labels: FaceLabels

    def image(self, index: int) -> Array:
        """(H, W, 3) uint8 RGB."""


class HeadShards:
    """Rendered heads; see `hpbench.heads.stream.PackedHeads`."""

    def __init__(self, heads: PackedHeads, scheme: str) -> None:
        self._heads, self.labels = heads, labels_of_heads(heads.labels, scheme, heads.sample_id)

    def image(self, index: int) -> Array:
        """See `Source.image`."""
        return np.asarray(self._heads[index].image)


class ReaderFaces:
    """Faces of a dataset's split that have picture, box and landmarks.

    Parameters
    ----------
    dataset : Dataset
    scheme : str
        The landmark scheme wanted; the dataset's, or one that maps from it.
    split, labels, boxes : str
        As `hpbench.readers.Dataset` has them.
    pose : str
        ``derived``: by perspective-n-point of the landmarks on the mean face, as in the paper; ``labels``: the dataset's own.
    without : collection of str
        Ids that are left out.

    Raises
    ------
    InputError
        No such faces, no map between the schemes, or own poses that are not relative to the ray through the box centre.
    """

    def __init__(
        self,
        dataset: Dataset,
        scheme: str,
        *,
        split: str = "",
        labels: str = "",
        boxes: str = "",
        pose: Literal["derived", "labels"] = "derived",
        without: Collection[str] = (),
    ) -> None:
        there = set(dataset.image_ids(split)) - set(without)
        ids = [i for i in dataset.found_ids(split, labels) if i in there]
        if not ids:
            raise InputError(f"{dataset.card.id}: no face of the split {split or dataset.default_split} has labels and picture here.")
        samples = list(dataset.samples_of(ids, dataset.box_set(boxes)))
        truth = dataset.truth_of(ids, labels)
        if truth.landmarks is None:
            raise InputError(f"{dataset.card.id} has no landmarks to train on.")
        box = np.array([s.box_xyxy_px for s in samples], dtype=np.float64).reshape(-1, 4)
        height = box[:, 3] - box[:, 1]
        labelled = np.isfinite(truth.landmarks).all(axis=2).sum(axis=1) > 0
        good = np.flatnonzero((height > 0) & np.isfinite(box).all(axis=1) & labelled)
        if not len(good):
            raise InputError(f"{dataset.card.id}: no face of the split {split or dataset.default_split} has picture, box and landmarks.")
        faces = replace(truth.take(good), box_xyxy_px=box[good])
        if faces.person is None:  # pictures of one photograph or film show one person
            faces = replace(faces, person=faces.sequence)
        rotation: Array | None
        if pose == "derived":
            rotation = derived_rotation(faces.landmarks, faces.scheme or "", faces.box_xyxy_px, MEAN_FACE_VERSION)  # type: ignore[arg-type]
        elif dataset.card.pose == "crop_ray":
            rotation = faces.rotation
            if rotation is None:
                raise InputError(f"{dataset.card.id} has no poses of its own with these labels: train on derived ones.")
        else:
            raise InputError(f"{dataset.card.id}: its poses are not relative to the ray through the box centre: train on derived ones.")
        self.labels = labels_of_faces(faces, scheme, rotation)
        self.labels = replace(self.labels, person=np.char.add(f"{dataset.card.id} ", self.labels.person))
        self._images = [samples[i].image for i in good]

    def image(self, index: int) -> Array:
        """See `Source.image`."""
        return self._images[index].read()


class Batch(NamedTuple):
    """Pictures and their targets.

    Attributes
    ----------
    images : (B, H, W, 3) uint8 tensor, RGB
    targets : Targets of tensors
    """

    images: Any
    targets: Targets

    def to(self, device: Any) -> tuple[Any, Targets]:
        """Network input (B, 3, H, W) in [0, 1], channels last in memory, and targets, on a device."""
        images = self.images.to(device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255.0)
        return images, Targets(*(t.to(device, non_blocking=True) for t in self.targets))


class Split(NamedTuple):
    """Numbers of faces over all sources, for training and validation."""

    training: Array
    validation: Array


def split_faces(sources: Sequence[Source], config: TrainConfig) -> Split:
    """Persons dealt out by the seed, so that nobody is in both parts; all faces numbered through the sources."""
    person = np.concatenate([source.labels.person.astype(str) for source in sources])
    _, first, member = np.unique(person, return_index=True, return_inverse=True)
    # in the order of the names that persons once had, by source and heads by number: older trainings go on with the split they began with
    once = [np.arange(len(s.labels)) if isinstance(s, HeadShards) else s.labels.person for s in sources]
    order = np.concatenate([np.char.add(f"{i} ", names.astype(str)) for i, names in enumerate(once)])
    shuffled = np.argsort(order[first], kind="stable")[np.random.default_rng([config.seed, 0]).permutation(len(first))]
    held_out = np.zeros(len(first), dtype=bool)
    held_out[shuffled[: max(1, round(config.validation_share * len(first)))]] = True
    training, validation = np.flatnonzero(~held_out[member]), np.flatnonzero(held_out[member])
    if len(training) < config.batch_size:
        raise InputError(f"{len(person)} faces leave {len(training)} to train on, less than a batch of {config.batch_size}.")
    if config.validation_faces:
        validation = np.random.default_rng([config.seed, 1]).permutation(validation)[: config.validation_faces]
    return Split(training, np.sort(validation))


def data_sha256(sources: Sequence[Source]) -> str:
    """SHA-256 of all persons, boxes and landmarks, in their order: whether a training goes on with the data it began with."""
    digest = hashlib.sha256()
    for labels in (source.labels for source in sources):
        digest.update("\n".join(labels.person.astype(str)).encode("utf-8", "surrogatepass"))
        for array in (labels.box_xyxy_px, labels.landmarks_px):
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()


class _Faces(torch.utils.data.Dataset):
    """Faces by place: in training, place p is face order[p % N] of the p // N-th shuffle, varied by a generator of its own."""

    def __init__(self, sources: Sequence[Source], faces: Array, config: TrainConfig, varied: bool) -> None:
        self._sources, self._faces, self._config, self._varied = sources, faces, config, varied
        self._starts = np.cumsum([0, *(len(source.labels) for source in sources)])
        self._shuffle: tuple[int, Array] = (-1, faces)

    def __getitems__(self, places: list[int]) -> Batch:
        config = self._config
        numbers = [self._number(p) for p in places]
        which = [int(np.searchsorted(self._starts, n, side="right")) - 1 for n in numbers]
        rows = [n - int(self._starts[s]) for n, s in zip(numbers, which, strict=True)]
        labels = _joined([self._sources[s].labels.take([r]) for s, r in zip(which, rows, strict=True)])
        rngs = [np.random.default_rng([config.seed, 2, p]) for p in places]
        crops = draw_crops(labels, config.augment, rngs) if self._varied else box_crops(labels.box_xyxy_px)
        size_px = config.network.input_px
        matrices = crops.crop_from_image(size_px)
        points = to_crop(labels.landmarks_px, matrices)
        images = np.empty((len(places), size_px, size_px, 3), np.uint8)
        hidden = np.zeros(points.shape[:2], dtype=bool)
        for i, (source, row, rng) in enumerate(zip(which, rows, rngs, strict=True)):
            picture = cut(self._sources[source].image(row), matrices[i], size_px)
            if self._varied:
                picture = recolour(picture, config.augment, rng)
                if rng.random() < config.augment.occluder:
                    picture, hidden[i] = occlude(picture, points[i], config.augment, rng)
            images[i] = picture
        # a mirrored crop's points are named anew by `targets`; before that each hidden point is still the one it was
        made = targets(hide(labels, hidden), crops, size_px, config.occluded)
        return Batch(torch.from_numpy(images), Targets(*map(torch.from_numpy, made)))

    def _number(self, place: int) -> int:
        if not self._varied:
            return int(self._faces[place])
        turn, position = divmod(place, len(self._faces))
        if self._shuffle[0] != turn:
            self._shuffle = turn, np.random.default_rng([self._config.seed, 3, turn]).permutation(self._faces)
        return int(self._shuffle[1][position])


class _Places:
    """Sampler: the places of each batch of this process, from batch `start` on."""

    def __init__(self, total: int, size: int, start: int, rank: int, world: int) -> None:
        self._total, self._size, self._start, self._rank, self._world = total, size, start, rank, world

    def __iter__(self) -> Iterator[list[int]]:
        for number in range(self._start, -(-self._total // self._size)):
            if own := [*range(number * self._size, min((number + 1) * self._size, self._total))][self._rank :: self._world]:
                yield own


def load_batches(
    sources: Sequence[Source],
    faces: Array,
    config: TrainConfig,
    *,
    batches: int | None = None,
    start: int = 0,
    rank: int = 0,
    world: int = 1,
    pinned: bool = False,
) -> Any:
    """A loader: of training batches `start` to `batches`, varied; without `batches`, of each face once as it is.

    Parameters
    ----------
    sources : sequence of Source
    faces : (N,) int array
        Which faces, numbered through the sources.
    config : TrainConfig
    batches, start : int
        In forward passes over all processes.
    rank, world : int
        This process and how many there are; a batch is dealt out among them.
    pinned : bool
        Batches in memory that a GPU copies from at once.
    """
    total = len(faces) if batches is None else batches * config.batch_size
    dataset = _Faces(sources, faces, config, batches is not None)
    sampler: Any = _Places(total, config.batch_size, start, rank, world)
    return torch.utils.data.DataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=_as_it_is,
        num_workers=config.workers,
        worker_init_fn=_start_worker,
        prefetch_factor=4 if config.workers else None,
        pin_memory=pinned,
    )


def _start_worker(_: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _joined(parts: Sequence[FaceLabels]) -> FaceLabels:
    names = ("box_xyxy_px", "rotation_crop_ray", "landmarks_px", "occlusion", "camera_px", "person")
    return FaceLabels(parts[0].scheme, *(np.concatenate([getattr(p, name) for p in parts]) for name in names))
