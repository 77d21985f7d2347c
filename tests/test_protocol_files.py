"""Every shipped protocol: its prose, its hash, what is refused, what is shown of it, and that it can be scored."""

from __future__ import annotations

import importlib
import inspect
import json
import random
import re
import shutil
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from hpbench.catalog import Protocol, catalog_root, dataset_cards, eye_norm_refusal, protocol_named, protocols_of, roots
from hpbench.cli import cli
from hpbench.errors import InputError
from hpbench.evaluate import evaluate
from hpbench.faces import Faces
from hpbench.geometry.rotations import rotation_from_euler
from hpbench.landmarks import SCHEMES
from hpbench.metrics import METRICS, parse_metric
from hpbench.readers import READERS
from hpbench.report.protocols import cited, dataset_markdown, failure_charge, family_charge, references

CARDS = dataset_cards()
PROTOCOLS = {p.id: p for card in CARDS.values() for p in protocols_of(card)}
HISTOGRAM = "auc(below=8,formula=histogram,norm=corners)"

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda p: p.id)


# ------------------------------------------------------------------------------------------------- the files


@every_protocol
def test_the_metrics_are_canonical_and_the_prose_is_whole(protocol: Protocol) -> None:
    assert [parse_metric(m).text for m in protocol.metrics] == list(protocol.metrics)
    assert protocol.title and not protocol.title.endswith(".")
    for text in (protocol.trained_on, protocol.differs):
        assert text.strip() and all(line.endswith(".") and "  " not in line for line in text.splitlines() if line)
    if "mae(" in "".join(protocol.metrics):
        assert "geodesic" in protocol.metrics


@every_protocol
def test_the_citation_resolves(protocol: Protocol) -> None:
    """Each part is a key of the card's BibTeX or a source in full, and one at least is a key."""
    known = references(CARDS[protocol.dataset].citation)
    parts = protocol.citation.split("; ")
    assert parts[0] in known
    assert all(part in known or re.search(r"\b(19|20)\d\d\b", part) for part in parts), parts
    assert not set(known) & set(cited(protocol.citation, CARDS[protocol.dataset]).split("; "))


@every_protocol
def test_protocols_named_in_prose_are_there(protocol: Protocol) -> None:
    datasets = "|".join(map(re.escape, sorted(CARDS, key=len, reverse=True)))
    for name in re.findall(rf"\b(?<![\w/-])((?:{datasets})/[\w-]+)", protocol.differs + protocol.trained_on):
        assert name in PROTOCOLS, name


@every_protocol
def test_the_reader_gives_every_attribute_of_the_subsets(protocol: Protocol) -> None:
    module, _, name = READERS[CARDS[protocol.dataset].reader].partition(":")
    classes = inspect.getmro(getattr(importlib.import_module(f"hpbench.readers.{module}"), name))
    code = "".join(inspect.getsource(inspect.getmodule(c)) for c in classes if c.__module__.startswith("hpbench"))  # type: ignore[arg-type]
    for subset in protocol.subsets:
        assert f'"{subset.attribute}"' in code, subset


def test_cross_dataset_protocols_say_so() -> None:
    for protocol in PROTOCOLS.values():
        trains_there = any(word in split for split in CARDS[protocol.dataset].splits for word in ("train", "valid"))
        if not trains_there and protocol.dataset not in ("aflw", "300w-lp", "heads"):
            assert protocol.trained_on.startswith("Cross-dataset: "), protocol.id
    assert PROTOCOLS["biwi/depth-15678"].trained_on.startswith("Cross-dataset: nothing of BIWI")


def test_aligned_protocols_are_their_siblings_with_a_fit() -> None:
    aligned = [p for p in PROTOCOLS.values() if p.align_by]
    assert len(aligned) == 3
    for protocol in aligned:
        sibling = PROTOCOLS[protocol.id.removesuffix("-aligned")]
        for field in ("dataset", "split", "labels", "boxes", "exclude", "subsets", "cluster_by", "main", "trained_on"):
            assert getattr(protocol, field) == getattr(sibling, field), field
        assert not sibling.align_by and protocol.id in sibling.differs


# ------------------------------------------------------------------------------------------------- hash and refusals


def toml(value: Any) -> str:
    """A value as TOML, whatever its place."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


class Rewriter:
    """A catalog of one dataset, one of whose protocol files is written anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, protocol_id: str, values: dict[str, Any]) -> Protocol:
        dataset, _, name = protocol_id.partition("/")
        shutil.copytree(catalog_root() / "datasets" / dataset, self.folder / "datasets" / dataset, dirs_exist_ok=True)
        text = "".join(f"{key} = {toml(value)}\n" for key, value in values.items())
        (self.folder / "datasets" / dataset / "protocols" / f"{name}.toml").write_text(text, encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(roots, "catalog_root", lambda: self.folder)
            return protocol_named(protocol_id)


@pytest.fixture
def rewritten(tmp_path: Path) -> Rewriter:
    return Rewriter(tmp_path)


def file_of(protocol: Protocol) -> dict[str, Any]:
    path = CARDS[protocol.dataset].folder / "protocols" / f"{protocol.id.partition('/')[2]}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def shuffled(value: Any, rng: random.Random) -> Any:
    """The same tables with their keys in another order."""
    if isinstance(value, dict):
        return {k: shuffled(value[k], rng) for k in rng.sample(list(value), len(value))}
    return [shuffled(v, rng) for v in value] if isinstance(value, list) else value


def changed(value: Any) -> list[Any]:
    """The same value with one thing in it changed, in every way there is."""
    if isinstance(value, dict):
        return [value | {k: other} for k, v in value.items() for other in changed(v)]
    if isinstance(value, list):
        return [[*value[:i], other, *value[i + 1 :]] for i, v in enumerate(value) for other in changed(v)] + [value[:-1]]
    return [value + " changed"] if isinstance(value, str) else [value + 1]


@every_protocol
def test_the_hash_does_not_know_the_order_of_keys(protocol: Protocol, rewritten: Rewriter) -> None:
    values = shuffled(file_of(protocol), random.Random(protocol.id))
    again = rewritten(protocol.id, values)
    assert again == protocol and again.sha256 == protocol.sha256


@pytest.mark.parametrize("name", ["aflw2000/pose-1969-aligned", "aflw2000/landmarks-original", "merl-rav/visibility-test"])
def test_the_hash_knows_every_value_of_the_file(name: str, rewritten: Rewriter) -> None:
    values = file_of(PROTOCOLS[name])
    hashes = {PROTOCOLS[name].sha256}
    tried = 0
    for key, value in values.items():
        for other in changed(value):
            try:
                hashes.add(rewritten(name, values | {key: other}).sha256)
            except InputError:
                continue  # another metric, split, ... that does not exist
            tried += 1
    assert len(hashes) == tried + 1 and tried >= 15


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("cofw/visibility", {"failures": {"ap": 50.0}}, "failures names ap, for which failed faces are ranked last"),
        ("cofw/visibility", {"align_by": "all"}, "none of the metrics is of pose"),
        ("300w/full", {"main": HISTOGRAM, "metrics": [HISTOGRAM]}, f"main {HISTOGRAM} is a legacy formula of all errors together"),
        ("300w/full", {"failures": {"nme(norm=corners)": -1.0}}, "the charge of nme(norm=corners) is -1: a failed face is not rewarded"),
        ("300w/full", {"failures": {"nme(norm=height)": 1.0}}, "failures names 'nme(norm=height)': did you mean"),
        ("300w/full", {"metrics": ["nme(norm=corners)"] * 2}, "a metric stands twice"),
        ("300w/full", {"metrics": ["nme(norm=corners)", "nme(mean=image,norm=pupils)"]}, "as 'nme(norm=pupils)'"),
        ("300w/full", {"norm_box": ""}, "nme(norm=sqrt_wh) needs a norm_box"),
        ("aflw2000/landmarks-original", {"balance": []}, "nme(mean=balanced,norm=height) needs balance"),
        (
            "aflw2000/landmarks-reannotated",
            {"metrics": ["nme(norm=height)", "auc(below=8,norm=corners)"]},
            "auc(below=8,norm=corners): norm=corners is a distance of the eyes, which shrinks to nothing on the profile faces of aflw2000",
        ),
        ("aflw/landmarks-all", {"metrics": ["nme(norm=height)", "nme(norm=pupils)"]}, "take a norm of the box, or write eye_norms = true"),
    ],
)
def test_combinations_that_make_no_sense(name: str, changes: dict[str, Any], message: str, rewritten: Rewriter) -> None:
    with pytest.raises(InputError) as caught:
        rewritten(name, file_of(PROTOCOLS[name]) | changes)
    text = str(caught.value)
    assert message in text and "\n" not in text and text.endswith((".", "?")) and f"{name.partition('/')[2]}.toml" in text


def test_eye_norms_where_they_are_meant(rewritten: Rewriter) -> None:
    name = "aflw2000/landmarks-reannotated"
    changes = {"eye_norms": True, "metrics": ["nme(norm=height)", "nme(norm=corners)"]}
    assert rewritten(name, file_of(PROTOCOLS[name]) | changes).eye_norms
    assert {c for c in CARDS if CARDS[c].profile_faces} == {"300w-lp", "aflw", "aflw-release", "aflw2000", "heads", "merl-rav"}
    for metric in ("geodesic", "ap", "nme(norm=height)"):
        assert not eye_norm_refusal(CARDS["aflw2000"], metric)
    assert "merl-rav" in eye_norm_refusal(CARDS["merl-rav"], "fr(above=8,norm=pupils)")
    assert not eye_norm_refusal(CARDS["menpo"], "nme(norm=corners)")  # semi-frontal: both eyes are there


# ------------------------------------------------------------------------------------------------- what is shown


def show(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["protocols", "show", *arguments])


@every_protocol
def test_show_says_everything(protocol: Protocol) -> None:
    shown = show(protocol.reference)
    assert shown.exit_code == 0
    flat = " ".join(shown.output.split())
    card = CARDS[protocol.dataset]
    for text in (protocol.reference, protocol.title, card.title, protocol.boxes, protocol.sha256, protocol.trained_on, *protocol.metrics,
                 f"{card.splits[protocol.split]:,} faces", *(s.name for s in protocol.subsets), *protocol.balance):  # fmt: skip
        assert text in flat, text
    assert all(line in flat for line in protocol.differs.splitlines() if line)
    assert flat.index(f" {protocol.main} ") < min(flat.index(f" {m} ") for m in protocol.metrics if m != protocol.main)
    assert max(map(len, shown.output.splitlines())) <= 140
    assert json.loads(show(protocol.id, "--json").output) == json.loads(json.dumps(asdict(protocol)))


def test_a_wrong_id_gets_the_nearest() -> None:
    for wrong, near in (("cofw/visibilty", "cofw/visibility"), ("biwi/depth-13219-aligne", "biwi/depth-13219-aligned")):
        shown = show(wrong)
        assert isinstance(shown.exception, InputError) and f"did you mean {near!r}?" in str(shown.exception)


def test_the_page_has_every_point_once() -> None:
    for card in CARDS.values():
        protocols = protocols_of(card)
        page = dataset_markdown(card, protocols)
        points = {line for p in protocols for line in (*p.differs.splitlines(), *p.trained_on.splitlines()) if line}
        assert all(page.count(point) == 1 for point in points), card.id
        assert all(p.reference in page and f"`{m}`" in page for p in protocols for m in p.metrics)


def test_bibtex_is_read_as_people_write_it() -> None:
    bibtex = r"""
@article{a2020b, author = {K{\"o}stinger, M. and Doll\'{a}r, P.}, title = {{LUVLi} Faces}, year = {2020}}
@inproceedings{c2021d,
  author = {Ann Ace and Bob Bay and Cy Cox},
  title  = {Two
            lines}, year = {2021}
}"""
    found = references(bibtex)
    assert found["c2021d"] == "Ace et al.: Two lines, 2021" and found["a2020b"].endswith(": LUVLi Faces, 2020")
    assert references(CARDS["aflw"].citation)["koestinger2011annotated"].startswith("Köstinger et al.: ")


def test_charges_in_words() -> None:
    wanted = {
        "geodesic": "180 deg",
        "auc(below=8,norm=height)": "0 %",
        "distance_px": "diagonal of its norm box, or where there is none, diagonal of its labelled points",
        HISTOGRAM: "an error of 100 %",
        "ap": "each point called wrong",
    }
    assert {m: failure_charge(parse_metric(m)) for m in wanted} == wanted
    assert family_charge(METRICS["auc"]) == "0 %; formula=histogram: an error of 100 %"
    assert [family_charge(METRICS[name]) for name in ("mae", "fr", "distance_px")] == ["180 deg", "100 %", wanted["distance_px"]]


@pytest.mark.parametrize(("name", "box"), [("cofw/test", "labelled points"), ("wflw/test", "labelled points"), ("300w/full", "norm box")])
def test_what_a_failed_face_is_charged_in_pixels_is_what_show_says(name: str, box: str) -> None:
    protocol = replace(PROTOCOLS[name], metrics=("distance_px",), main="distance_px", subsets=())
    truth = labelled_faces(PROTOCOLS[name])
    nothing = Faces(truth.sample_id, failure=["lost"] * len(truth))
    (score,) = evaluate(protocol, truth, nothing, resamples=0).scores
    points = truth.landmarks
    assert points is not None and truth.box_xyxy_px is not None
    sizes = np.ptp(points, axis=1) if box == "labelled points" else truth.box_xyxy_px[:, 2:] - truth.box_xyxy_px[:, :2]
    assert score.value == pytest.approx(np.hypot(*sizes.T).mean())
    assert f"diagonal of its {box}" in " ".join(show(name).output.split()) or "distance_px" not in PROTOCOLS[name].metrics
    assert failure_charge(parse_metric("distance_px"), protocol) == f"diagonal of its {box}"


def test_a_dataset_instead_of_a_protocol_gets_its_protocols() -> None:
    shown = show("aflw2000")
    assert isinstance(shown.exception, InputError)
    assert (
        str(shown.exception)
        == f"'aflw2000' is a dataset, its protocols are {', '.join(p for p in PROTOCOLS if p.startswith('aflw2000/'))}."
    )


# ------------------------------------------------------------------------------------------------- what can be scored


def labelled_faces(protocol: Protocol, n: int = 24) -> Faces:
    """Faces with every kind of label that a protocol may ask for, some in each of its subsets."""
    rng = np.random.default_rng(0)
    euler_deg = rng.uniform(-60, 60, (n, 3))
    scheme = CARDS[protocol.dataset].scheme or "ibug68-fixed"
    if protocol.labels == "profile":
        scheme = "menpo39"
    points = rng.uniform(0, 100, (n, SCHEMES[scheme].n_points, 2))
    occlusion = rng.integers(0, 3, points.shape[:2]).astype(np.uint8)
    attributes: dict[str, Any] = {}
    for subset in protocol.subsets:
        values = attributes.setdefault(subset.attribute, np.array(["-"] * n, dtype=object) if subset.one_of else np.zeros(n))
        rows = slice(len(attributes) + protocol.subsets.index(subset) % 8, None, 8)
        values[rows] = subset.one_of[0] if subset.one_of else np.nanmin([subset.up_to or np.nan, (subset.above or 0.0) + 10.0])
    return Faces(
        sample_id=[f"f{i:02d}" for i in range(n)], euler_deg=euler_deg, convention="300w-lp", landmarks=points, scheme=scheme,
        visibility=np.where(occlusion == 0, 1.0, 0.0), occlusion=occlusion, box_xyxy_px=np.tile([0.0, 0.0, 90.0, 120.0], (n, 1)),
        person=[f"p{i % 6}" for i in range(n)], sequence=[f"s{i % 8}" for i in range(n)],
        attributes={k: v.astype(str) if v.dtype == object else v for k, v in attributes.items()},
    )  # fmt: skip


@every_protocol
def test_the_truth_as_prediction_is_perfect(protocol: Protocol) -> None:
    truth = labelled_faces(protocol)
    prediction = Faces(
        truth.sample_id, rotation=truth.rotation, landmarks=truth.landmarks, scheme=truth.scheme, visibility=truth.visibility
    )
    found = evaluate(protocol, truth, prediction, resamples=20)
    assert (
        not found.failures
        and not [note for note in found.notes if "subset" in note]
        and set(found.subsets) == {s.name for s in protocol.subsets}
    )
    assert [s.metric for s in found.scores] == list(dict.fromkeys((protocol.main, *protocol.metrics)))
    for scores in (found.scores, *found.subsets.values()):
        for score in scores:
            assert score.value == pytest.approx(100.0 if score.higher_is_better else 0.0, abs=1e-6), score


def test_aligned_protocols_forgive_a_constant_rotation_and_nothing_else() -> None:
    offset = rotation_from_euler([12.0, -7.0, 4.0], "300w-lp")
    for protocol in (p for p in PROTOCOLS.values() if p.align_by):
        truth = labelled_faces(protocol)
        assert truth.rotation is not None
        turned = {s.metric: s.value for s in evaluate(protocol, truth, Faces(truth.sample_id, rotation=offset @ truth.rotation)).scores}
        assert max(turned.values()) < 1e-6  # type: ignore[type-var]
        sibling = PROTOCOLS[protocol.id.removesuffix("-aligned")]
        plain = evaluate(sibling, truth, Faces(truth.sample_id, rotation=offset @ truth.rotation), resamples=20)
        assert plain.scores[0].value > 4.0  # type: ignore[operator]
        noise = rotation_from_euler(np.random.default_rng(1).normal(0, 5, (len(truth), 3)), "300w-lp")
        scores = {s.metric: s.value for s in evaluate(protocol, truth, Faces(truth.sample_id, rotation=noise @ truth.rotation)).scores}
        assert scores["geodesic"] > 4.0  # type: ignore[operator]
        # aligned predictions are rotations: the authors' formula and ours are one number
        assert scores["mae(convention=300w-lp)"] == scores["mae(convention=300w-lp,formula=best-triple)"]
