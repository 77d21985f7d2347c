"""The readers of datasets, over the miniatures that their tests draw: one file is spoilt, the others stay as they are."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hpbench.catalog import DatasetCard, dataset_card, dataset_card_from, split_ids
from hpbench.errors import MissingDataError
from hpbench.readers import READERS, Dataset
from hpbench.readers.biwi_files import decode_depth
from hpbench.readers.files.archives import archive_members
from hpbench.readers.files.datafile import DataFile
from hpbench.readers.files.head_shards import read_shard
from hpbench.readers.files.matlab import read_mat_strings

from .prepared import Prepared, from_path

__all__ = [
    "aflw", "aflw2000", "aflw2000_points", "archive_tar", "archive_zip", "biwi_boxes_npz", "biwi_boxes_text", "biwi_calibration",
    "biwi_depth", "biwi_pose", "cofw", "cofw68", "heads", "heads_shard", "ibug300w", "mat_strings", "menpo", "merl_rav", "panoptic",
    "table_coco", "table_csv", "table_jsonl", "w300lp", "wflw",
]  # fmt: skip

TINY_IMAGE = b"BM"  # images are a target of their own


def opened(card: DatasetCard, files: Mapping[str, bytes]) -> Dataset:
    """A dataset of files in memory; without stamps, so that nothing is cached."""
    from importlib import import_module

    module, _, name = READERS[card.reader].partition(":")
    reader: type[Dataset] = getattr(import_module(f"hpbench.readers.{module}"), name)
    return reader(card, [DataFile(place, place, len(data), lambda data=data: data) for place, data in files.items()])


def walked(dataset: Dataset) -> None:
    """Everything that a run asks a dataset for."""
    from hpbench.readers.dataset import label_statistics

    dataset.foreign_ids()
    for split in dataset.card.splits:
        for labels in dict.fromkeys((dataset.default_labels, *getattr(dataset, "label_names", ()))):
            with suppress(MissingDataError):  # an annotation whose files are not in the miniature
                ids = dataset.found_ids(split, labels)
                if ids:
                    label_statistics(dataset.truth_of(ids, labels))
        ids = dataset.found_ids(split)
        if not ids:
            continue
        dataset.image_ids(split)
        for boxes in dataset.card.boxes:
            with suppress(MissingDataError):
                dataset.boxes_of(boxes, ids[:5])


def small_card(dataset: str, folder: Path, here: Callable[[str], bool], fewest: int = 3) -> DatasetCard:
    """The card of a dataset whose lists hold the faces of the miniature, and a few more: reading the real ones takes the most time."""
    card = dataset_card(dataset)
    home = folder / "card" / dataset
    (home / "splits").mkdir(parents=True)
    sizes = {}
    for split in card.splits:
        ids = split_ids(card, split)
        if ids is not None:
            kept = sorted({*filter(here, ids), *ids[:fewest]})
            (home / "splits" / f"{split}.txt").write_text("".join(f"{i}\n" for i in kept), encoding="utf-8", newline="\n")
            sizes[split] = len(kept)
    small = replace(card, splits={**card.splits, **sizes})
    object.__setattr__(small, "folder", home)
    return small


def _one_of(dataset: str | DatasetCard, files: Mapping[str, bytes], place: str) -> Prepared:
    card = dataset_card(dataset) if isinstance(dataset, str) else dataset
    return Prepared([files[place]], lambda data: walked(opened(card, {**files, place: data})))


def _below(folder: Path, *suffixes: str) -> dict[str, bytes]:
    files = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: path.read_bytes() if path.suffix in suffixes else TINY_IMAGE for name, path in files.items()}


def aflw(folder: Path) -> Prepared:
    from test_reader_aflw import write_database

    return _one_of("aflw", {"aflw.sqlite": write_database(folder / "aflw.sqlite").read_bytes()}, "aflw.sqlite")


def _aflw2000(folder: Path) -> dict[str, bytes]:
    from test_reader_aflw2000 import ANGLES, IDS, POINTS, REANNOTATED, write_mat

    for row in (0, 1):
        write_mat(folder / f"{IDS[row]}.mat", ANGLES[row], POINTS[row])
    np.save(folder / REANNOTATED, np.random.default_rng(4).uniform(0, 450, (2000, 2, 68)).astype(np.float32))
    return _below(folder, ".mat", ".npy")


def aflw2000(folder: Path) -> Prepared:
    files = _aflw2000(folder)
    return _one_of("aflw2000", files, min(f for f in files if f.endswith(".mat")))


def aflw2000_points(folder: Path) -> Prepared:
    files = _aflw2000(folder)
    return _one_of("aflw2000", files, next(f for f in files if f.endswith(".npy")))


def _biwi(lists: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    from miniatures.biwi import CENTRES, DEPTH_K, EULER, IDS, RGB_K, camera_text, colour_camera, pose_text

    from hpbench.geometry.rotations import rotation_from_euler

    files = dict(lists or {})
    for row, sample_id in enumerate(IDS[:4]):
        sequence = sample_id.partition("/")[0]
        files[f"hpdb/{sample_id}_pose.txt"] = pose_text(rotation_from_euler(EULER[row], "300w-lp"), CENTRES[row]).encode()
        files[f"hpdb/{sample_id}_rgb.png"] = TINY_IMAGE
        files[f"hpdb/{sequence}/rgb.cal"] = camera_text(RGB_K, *colour_camera(sequence)).encode()
        files[f"hpdb/{sequence}/depth.cal"] = camera_text(DEPTH_K, np.eye(3), np.zeros(3)).encode()
    return files


def _small_biwi(folder: Path) -> DatasetCard:
    from miniatures.biwi import IDS

    return small_card("biwi", folder, IDS[:4].__contains__)


def biwi_pose(folder: Path) -> Prepared:
    return _one_of(_small_biwi(folder), _biwi(), "hpdb/01/frame_00003_pose.txt")


def biwi_calibration(folder: Path) -> Prepared:
    return _one_of(_small_biwi(folder), _biwi(), "hpdb/01/rgb.cal")


def biwi_boxes_text(folder: Path) -> Prepared:
    from miniatures.biwi import IDS, LISTS, opal_text

    rows = opal_text(IDS[:4], [[100, 90, 220, 230]] * 4).encode()
    return _one_of(_small_biwi(folder), _biwi({LISTS[0]: rows}), LISTS[0])


def biwi_boxes_npz(folder: Path) -> Prepared:
    from miniatures.biwi import IDS, LISTS

    out = io.BytesIO()
    np.savez(out, images=np.array([f"{i}_rgb.png" for i in IDS[:4]]), bbox=np.array([[100, 90, 120, 130]] * 4))
    return _one_of(_small_biwi(folder), _biwi({LISTS[1]: out.getvalue()}), LISTS[1])


def biwi_depth(folder: Path) -> Prepared:
    from miniatures.biwi import encode_depth

    image = np.zeros((12, 16), np.int16)
    image[3:9, 4:12] = 880
    return Prepared([encode_depth(image)], lambda data: decode_depth(data, "depth.bin"))


def cofw(folder: Path) -> Prepared:
    from miniatures.cofw import drawn_images, drawn_labels, write_cofw

    name = "COFW_test_color.mat"
    phis, boxes = drawn_labels(2, seed=3)
    write_cofw(folder / name, phis, boxes, [image[:6, :6] for image in drawn_images(2, seed=3)])
    card = dataset_card("cofw")

    def read(data: bytes) -> None:
        dataset = opened(card, {name: data})
        walked(dataset)
        for sample in dataset.samples("test"):
            sample.image.read()

    return Prepared([(folder / name).read_bytes()], read)


def cofw68(folder: Path) -> Prepared:
    import scipy.io
    from test_reader_cofw68 import BOXES, NUMBERS, OCCLUDED, POINTS, write_points

    for number in NUMBERS[:2]:
        write_points(folder, number, POINTS[number], OCCLUDED[number])
    scipy.io.savemat(folder / "cofw68_test_bboxes.mat", {"bboxes": BOXES})
    return _one_of("cofw68", _below(folder, ".mat"), f"{NUMBERS[0]}_points.mat")


def ibug300w(folder: Path) -> Prepared:
    from miniatures.pts_faces import pts_bytes
    from test_reader_300w import FILES, POINTS

    files = {f"{i}.pts": pts_bytes(POINTS[row], row) for row, i in enumerate(FILES) if i.startswith(("ibug", "helen"))}
    return _one_of("300w", files, "ibug/image_99.pts")


def menpo(folder: Path) -> Prepared:
    from miniatures.pts_faces import draw_faces, pts_bytes

    files = {f"Menpo testset/semifrontal/{k}.pts": pts_bytes(draw_faces(1, k)[0], k) for k in range(3)}
    files["Menpo testset/profile/left/9.pts"] = pts_bytes(draw_faces(1, 9, 39)[0], 1)
    return _one_of("menpo", files, "Menpo testset/semifrontal/1.pts")


def w300lp(folder: Path) -> Prepared:
    from test_reader_300wlp import ALL, ANGLES, POINTS, write_mat

    for row in (0, 1):
        path = folder / f"{ALL[row]}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mat(path, ANGLES[row], POINTS[row])
    return _one_of(small_card("300w-lp", folder / "lists", ALL[:2].__contains__), _below(folder, ".mat"), f"{ALL[0]}.mat")


def merl_rav(folder: Path) -> Prepared:
    from test_reader_merl_rav import STATE, TEST, XY, pts

    files = {f"frontal/testset/labels/{name}.pts": pts(XY[row], STATE[row]).encode() for row, name in enumerate(TEST[:2])}
    return _one_of(small_card("merl-rav", folder, set(TEST[:2]).__contains__), files, min(files))


def panoptic(folder: Path) -> Prepared:
    from test_reader_panoptic import ROWS, text_of

    name = "panoptic_ann_test.txt"
    return _one_of("panoptic", {name: text_of(ROWS["test"][:6]).encode()}, name)


def wflw(folder: Path) -> Prepared:
    from test_reader_wflw import ROWS, TEST

    return _one_of("wflw", {TEST: "\n".join(ROWS[:3]).encode()}, TEST)


def heads(folder: Path) -> Prepared:
    labels = _small_labels()
    return _one_of("heads", {"labels.npz": labels}, "labels.npz")


def heads_shard(folder: Path) -> Prepared:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("labels.npz", _small_labels())
        archive.writestr("about.json", "{}")
    return Prepared([out.getvalue()], from_path(folder / "heads.zip", read_shard))


def _small_labels() -> bytes:
    """Three heads of the shard that comes with hpbench."""
    shipped = next(dataset_card("heads").folder.glob("heads-test-*.zip"))
    with zipfile.ZipFile(shipped) as archive, np.load(io.BytesIO(archive.read("labels.npz")), allow_pickle=False) as labels:
        few = {name: labels[name][:3] for name in labels.files}
    out = io.BytesIO()
    np.savez(out, **few)
    return out.getvalue()


def _table(name: str, text: Callable[[], str]) -> Callable[[Path], Prepared]:
    def prepare(folder: Path) -> Prepared:
        from test_reader_generic import CARD

        home = folder / "own"
        home.mkdir()
        card = CARD.format(options=f'labels = "{name}"', top='convention = "300w-lp"', boxes="points", count=3, splits='["all"]', test="")
        (home / "card.toml").write_text(card)
        return _one_of(dataset_card_from(home / "card.toml"), {name: text().encode()}, name)

    return prepare


def table_csv(folder: Path) -> Prepared:
    from test_reader_generic import csv_text

    return _table("labels.csv", csv_text)(folder)


def table_jsonl(folder: Path) -> Prepared:
    from test_reader_generic import jsonl_text

    return _table("labels.jsonl", jsonl_text)(folder)


def table_coco(folder: Path) -> Prepared:
    import json

    from test_reader_generic import coco

    return _table("labels.json", lambda: json.dumps(coco()))(folder)


def mat_strings(folder: Path) -> Prepared:
    import scipy.io

    out = io.BytesIO()
    scipy.io.savemat(out, {"nameList": np.array(["3/image00035.jpg", "b", "c"], dtype=object)[:, None]})
    return Prepared([out.getvalue()], lambda data: read_mat_strings(data, "f.mat", "nameList", (3, 1)))


def _members(path: Path) -> list[Any]:
    return [(m.relative, m.fetch()) for m in archive_members(path)]


def archive_zip(folder: Path) -> Prepared:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", "one" * 50)
        archive.writestr("c.pts", "two")
    return Prepared([out.getvalue()], from_path(folder / "a.zip", _members))


def archive_tar(folder: Path) -> Prepared:
    seeds = []
    for mode in ("w", "w:gz"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode) as archive:
            for name in ("a/b.txt", "c.pts"):
                entry = tarfile.TarInfo(name)
                entry.size = 9
                archive.addfile(entry, io.BytesIO(b"nine byte"))
        seeds.append(out.getvalue())
    return Prepared(seeds, from_path(folder / "a.tar", _members))
