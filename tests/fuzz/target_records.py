"""Records, cards, protocols, published values and submissions."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hpbench import catalog
from hpbench.catalog import dataset_card, dataset_card_from, model_card_from, protocol_from, split_ids
from hpbench.catalog.label_agreement import label_agreement
from hpbench.checked import build, read_toml
from hpbench.leaderboard import boards
from hpbench.mnn.recipes import Recipe, merged, recipe_names
from hpbench.models.onnx_card import read_onnx_spec
from hpbench.records import read_errors, read_record
from hpbench.submissions.manifest import LEVEL, MANIFEST, read_card, read_level, read_manifest
from hpbench.submissions.unpacking import opened
from hpbench.validation import validate

from .prepared import Prepared, from_path

__all__ = [
    "agreement", "dataset_card", "level", "manifest", "model_card", "overlaps", "protocol", "published", "published_curves",
    "published_works", "recipe", "record", "record_errors", "shown_record", "split_list", "submission", "submission_card", "validated",
]  # fmt: skip

_ROOT = catalog.catalog_root()


def _written(folder: Path) -> Path:
    """A record with its per-face errors."""
    from compared_records import write

    return write(folder, np.linspace(1.0, 9.0, 12), name="net")


def record(folder: Path) -> Prepared:
    path = _written(folder)
    return Prepared([path.read_bytes()], from_path(path, read_record))


def record_errors(folder: Path) -> Prepared:
    path = _written(folder)
    beside = path.with_suffix(".errors.npz")
    return Prepared([beside.read_bytes()], from_path(beside, lambda _: read_errors(path)))


def shown_record(folder: Path) -> Prepared:
    """A record that is read is shown in every format."""
    from hpbench.report.tables import FORMATS, boards_text, records_text
    from hpbench.site.write import site_files

    path = _written(folder)

    def read(path: Path) -> None:
        found = read_record(path)
        records_text([found])
        built, _ = boards([found])
        for style in FORMATS:
            boards_text(built, style)
        site_files(built)

    return Prepared([path.read_bytes()], from_path(path, read))


def _card(name: str) -> Callable[[Path], Path]:
    return lambda folder: Path(shutil.copytree(_ROOT / "datasets" / name, folder / name, ignore=shutil.ignore_patterns("*.zip")))


def dataset_card(folder: Path) -> Prepared:  # noqa: F811
    home = _card("wflw")(folder)
    return Prepared([(home / "card.toml").read_bytes()], from_path(home / "card.toml", dataset_card_from))


def protocol(folder: Path) -> Prepared:
    home = _card("aflw2000")(folder)
    card = dataset_card_from(home / "card.toml")
    path = home / "protocols" / "pose-1969.toml"
    return Prepared([path.read_bytes()], from_path(path, lambda path: protocol_from(path, card)))


def split_list(folder: Path) -> Prepared:
    home = _card("wflw")(folder)
    text = (home / "card.toml").read_text()
    card = dataset_card_from(home / "card.toml")
    name = next(s for s in card.splits if s not in card.open_splits)
    few = split_ids(card, name)[:5]
    (home / "card.toml").write_text(text.replace(f"{name} = {card.splits[name]}\n", f"{name} = 5\n"))
    card = dataset_card_from(home / "card.toml")
    return Prepared(["".join(f"{i}\n" for i in few).encode()], from_path(card.split_path(name), lambda _: split_ids(card, name)))


def model_card(folder: Path) -> Prepared:
    def read(path: Path) -> None:
        card = model_card_from(path)
        if card.onnx:
            read_onnx_spec(card)

    return Prepared([p.read_bytes() for p in sorted(_ROOT.glob("baselines/*/card.toml"))[:4]], from_path(folder / "card.toml", read))


def submission_card(folder: Path) -> Prepared:
    seed = 'id = "net"\ntitle = "Net"\ncontact = "a@b"\nlicence = "MIT"\ntrained_on = ["300w-lp"]\ntarget = "a:B"\n'
    return Prepared([seed.encode()], from_path(folder / "card.toml", read_card))


def recipe(folder: Path) -> Prepared:
    import hpbench.mnn.recipes as module

    texts = [(Path(module.__file__).with_name("recipes") / f"{name}.toml").read_bytes() for name in recipe_names()[:3]]

    def read(path: Path) -> None:
        merged([build(Recipe, read_toml(path), str(path)).training], str(path))

    return Prepared(texts, from_path(folder / "recipe.toml", read))


# --------------------------------------------------------------------------------------------------------------- tables


def _table(name: str, rows: int, read: Callable[[list[Path]], object]) -> Callable[[Path], Prepared]:
    """A table of the catalog, its first lines, in a root of its own."""

    def prepare(folder: Path) -> Prepared:
        home = folder / "baselines"
        home.mkdir()
        for path in (_ROOT / "baselines").glob("*.csv"):
            shutil.copyfile(path, home / path.name)
        seed = b"\n".join((home / name).read_bytes().split(b"\n")[: rows + 1]) + b"\n"
        return Prepared([seed], from_path(home / name, lambda _: read([folder])))

    return prepare


published = _table("published.csv", 4, lambda roots: catalog.check_published(catalog.published_rows(roots)))
published_works = _table("published_works.csv", 8, catalog.published_works)
published_curves = _table("published_ced.csv", 3, catalog.published_curves)


def _private(folder: Path, kind: str, name: str, read: Callable[[], object]) -> Prepared:
    """A table of a private catalog, which HPBENCH_CATALOG names while it is read."""
    import os

    home = folder / kind
    home.mkdir()
    shutil.copyfile(_ROOT / kind / name, home / name)
    seed = b"\n".join((home / name).read_bytes().split(b"\n")[:5]) + b"\n"

    def of_root(_: Path) -> None:
        before = os.environ.get("HPBENCH_CATALOG")
        os.environ["HPBENCH_CATALOG"] = str(folder)
        try:
            read()
        finally:
            os.environ.pop("HPBENCH_CATALOG")
            if before is not None:
                os.environ["HPBENCH_CATALOG"] = before

    return Prepared([seed], from_path(home / name, of_root))


def overlaps(folder: Path) -> Prepared:
    return _private(folder, "datasets", "overlaps.csv", catalog.overlaps)


def agreement(folder: Path) -> Prepared:
    return _private(folder, "baselines", "label_agreement.csv", label_agreement)


# ---------------------------------------------------------------------------------------------------------- submissions


def _packed(folder: Path) -> Path:
    from compared_records import MAIN_SHA256

    from hpbench.catalog import protocol_named
    from hpbench.predictions import Predictions, write_predictions
    from hpbench.submissions import pack

    from .target_formats import few_predictions

    assert MAIN_SHA256 == protocol_named("aflw2000/pose-1969").sha256
    out = folder / "out"
    out.mkdir()
    faces = few_predictions().faces
    write_predictions(out / "predictions.h5", Predictions(faces, model="net"))
    from compared_records import write

    write(out, np.linspace(1.0, 9.0, 12), name="net", predictions_sha256=faces.content_sha256())
    pack([out], folder / "net.zip")
    return folder / "net.zip"


def submission(folder: Path) -> Prepared:
    seed = _packed(folder).read_bytes()
    return Prepared([seed], from_path(folder / "given.zip", lambda path: validate([path])))


def manifest(folder: Path) -> Prepared:
    with opened(_packed(folder)) as (place, _):
        seed = (place / MANIFEST).read_bytes()
    return Prepared([seed], from_path(folder / MANIFEST, read_manifest))


def level(folder: Path) -> Prepared:
    seed = b'{"schema": 1, "manifest_sha256": "%b", "records": {"records/a.b@1.json": "re-scored"}}' % (b"0" * 64)
    return Prepared([seed], from_path(folder / LEVEL, read_level))


def validated(folder: Path) -> Prepared:
    """Cards and protocols as `hpbench validate` meets them: it must find out what they are."""
    seeds = [p.read_bytes() for p in (_ROOT / "baselines/dlib68/card.toml", _ROOT / "datasets/wflw/card.toml",
                                      _ROOT / "datasets/wflw/protocols/pose.toml") if p.is_file()]  # fmt: skip
    return Prepared(seeds, from_path(folder / "some.toml", lambda path: validate([path])))
