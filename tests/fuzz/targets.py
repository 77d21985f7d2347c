"""Everything that reads a file of somebody else: what a valid input is, how it is read, how it is spoilt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

from . import target_datasets as datasets
from . import target_formats as formats
from . import target_models as models
from . import target_records as records
from .mutate_arrays import mutate_mat, mutate_npy, mutate_safetensors
from .mutate_containers import mutate_hdf5, mutate_sqlite, mutate_tar, mutate_zip
from .mutations import mutate_bytes, mutate_json, mutate_jsonl, mutate_text, mutate_toml
from .prepared import Prepared

__all__ = ["TARGETS", "Target"]


class Target(NamedTuple):
    """A reader.

    Attributes
    ----------
    mutate : callable
        Spoils an input.
    prepare : callable
        Given an empty folder that it may use, gives valid inputs and the function that reads one.
    share : float
        Of the inputs of a campaign, in proportion to others: fast readers have more.
    extra : str
        A package it needs that is optional.
    """

    mutate: Callable[[Random, bytes], bytes]
    prepare: Callable[[Path], Prepared]
    share: float
    extra: str = ""


_DATASETS = {
    "aflw.sqlite": (mutate_sqlite, 2, datasets.aflw),
    "aflw2000.mat": (mutate_mat, 6, datasets.aflw2000),
    "aflw2000.pts68.npy": (mutate_npy, 3, datasets.aflw2000_points),
    "biwi.pose.txt": (mutate_text, 6, datasets.biwi_pose),
    "biwi.cal": (mutate_text, 6, datasets.biwi_calibration),
    "biwi.boxes.txt": (mutate_text, 3, datasets.biwi_boxes_text),
    "biwi.boxes.npz": (mutate_zip, 3, datasets.biwi_boxes_npz),
    "biwi.depth": (mutate_bytes, 60, datasets.biwi_depth),
    "cofw.mat": (mutate_hdf5, 1, datasets.cofw),
    "cofw68.mat": (mutate_mat, 6, datasets.cofw68),
    "300w.pts": (mutate_text, 10, datasets.ibug300w),
    "300w-lp.mat": (mutate_mat, 6, datasets.w300lp),
    "menpo.pts": (mutate_text, 30, datasets.menpo),
    "merl-rav.pts": (mutate_text, 20, datasets.merl_rav),
    "panoptic.txt": (mutate_text, 40, datasets.panoptic),
    "wflw.txt": (mutate_text, 10, datasets.wflw),
    "heads.npz": (mutate_zip, 2, datasets.heads),
    "heads.shard": (mutate_zip, 2, datasets.heads_shard),
    "table.csv": (mutate_text, 20, datasets.table_csv),
    "table.jsonl": (mutate_jsonl, 20, datasets.table_jsonl),
    "table.coco": (mutate_json, 20, datasets.table_coco),
    "mat.strings": (mutate_mat, 10, datasets.mat_strings),
    "archive.zip": (mutate_zip, 4, datasets.archive_zip),
    "archive.tar": (mutate_tar, 3, datasets.archive_tar),
}
_VALIDATED = (("csv", mutate_text, 8), ("jsonl", mutate_jsonl, 8), ("npz", mutate_zip, 2), ("h5", mutate_hdf5, 2))
_FORMATS = {
    "predictions.csv": (mutate_text, 60, formats.predictions("csv")),
    "predictions.jsonl": (mutate_jsonl, 60, formats.predictions("jsonl")),
    "predictions.npz": (mutate_zip, 4, formats.predictions("npz")),
    "predictions.h5": (mutate_hdf5, 3, formats.predictions("h5")),
    **{f"validate.{suffix}": (mutate, share, formats.validated(suffix)) for suffix, mutate, share in _VALIDATED},
    "score.csv": (mutate_text, 2, formats.scored),
    "convert.framework": (mutate_text, 30, formats.framework),
    "convert.openface": (mutate_text, 10, formats.openface),
    "convert.3ddfa": (mutate_text, 30, formats.tddfa),
    "convert.spiga": (mutate_json, 15, formats.spiga),
    "convert.coco": (mutate_json, 15, formats.coco),
    "convert.csv": (mutate_text, 20, formats.bare_table),
    "convert.guessed": (mutate_text, 20, formats.guessed),
    "image": (mutate_bytes, 250, formats.image),
    "metric": (mutate_text, 150, formats.metric),
    "rule": (mutate_text, 150, formats.rule),
    "setting": (mutate_text, 100, formats.setting),
    "bibtex": (mutate_text, 60, formats.bibtex),
}
_RECORDS = {
    "record.json": (mutate_json, 40, records.record),
    "record.errors.npz": (mutate_zip, 3, records.record_errors),
    "record.shown": (mutate_json, 1, records.shown_record),
    "card.dataset": (mutate_toml, 30, records.dataset_card),
    "card.model": (mutate_toml, 30, records.model_card),
    "card.submission": (mutate_toml, 30, records.submission_card),
    "protocol": (mutate_toml, 20, records.protocol),
    "split.txt": (mutate_text, 20, records.split_list),
    "published.csv": (mutate_text, 10, records.published),
    "published.works": (mutate_text, 10, records.published_works),
    "published.curves": (mutate_text, 10, records.published_curves),
    "overlaps.csv": (mutate_text, 10, records.overlaps),
    "agreement.csv": (mutate_text, 10, records.agreement),
    "recipe": (mutate_toml, 20, records.recipe),
    "submission.zip": (mutate_zip, 1, records.submission),
    "submission.manifest": (mutate_json, 30, records.manifest),
    "submission.level": (mutate_json, 30, records.level),
    "validate": (mutate_toml, 10, records.validated),
}
_MODELS = {
    "onnx.card": (mutate_toml, 20, models.onnx_card, "onnxruntime"),
    "onnx": (mutate_bytes, 2, models.onnx_file, "onnxruntime"),
    "mnn.safetensors": (mutate_safetensors, 1, models.network, "safetensors"),
    "trees.safetensors": (mutate_safetensors, 2, models.trees, "safetensors"),
    "training.pt": (mutate_zip, 1, models.training, "safetensors"),
    "weights.zip": (mutate_zip, 3, models.weights_archive, ""),
}

TARGETS: Mapping[str, Target] = {
    **{name: Target(mutate, prepare, share) for name, (mutate, share, prepare) in {**_DATASETS, **_FORMATS, **_RECORDS}.items()},
    **{name: Target(mutate, prepare, share, extra) for name, (mutate, share, prepare, extra) in _MODELS.items()},
}
