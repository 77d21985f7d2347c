"""Two records compared: the numbers are those of the paired statistics, and what is no fair comparison is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compared_records import MAE, pair_of, some_errors, write
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from hpbench.comparison import FaceValues, compare, pairs_of
from hpbench.comparison.subsets import labels_of, subset_members
from hpbench.errors import HpbenchError, InputError
from hpbench.metrics.paired import holm, paired_means
from hpbench.readers import load
from hpbench.records import ModelFacts, read_errors, read_record
from hpbench.report.comparison import comparison_json, comparison_markdown, comparison_text
from hpbench.report.figures.comparison import comparison_figure

HEADS = "heads/pose"


def test_the_difference_is_that_of_the_paired_t_test(tmp_path: Path) -> None:
    new, ref = some_errors(0.3)
    main = compare(pair_of(tmp_path, new, ref)).main
    expected = ttest_rel(new, ref).confidence_interval(0.95)
    assert main.difference is not None and main.difference.difference == pytest.approx((new - ref).mean())
    assert (main.difference.low, main.difference.high) == pytest.approx((expected.low, expected.high))
    assert (main.wins, main.ties, main.losses) == ((new < ref).sum(), 0, (new > ref).sum())
    assert main.p_holm == main.difference.p == paired_means(new, ref).p


def test_clusters_are_drawn_together(tmp_path: Path) -> None:
    new, ref = some_errors(0.5)
    people = np.arange(200) % 8
    found = compare(pair_of(tmp_path, new, ref, clusters=people))
    expected = paired_means(new, ref, people)
    assert found.clusters == 8 and found.main.difference == expected
    assert expected.higher is not None and found.main.losses is not None
    assert found.main.wins + found.main.ties + found.main.losses == 200 != expected.higher + expected.lower  # faces, not people


def test_swapping_the_records_turns_every_sign(tmp_path: Path) -> None:
    new, ref = some_errors(0.3)
    one, other = compare(pair_of(tmp_path / "a", new, ref)), compare(pair_of(tmp_path / "b", ref, new))
    a, b = one.main.difference, other.main.difference
    assert a is not None and b is not None and a.low is not None and b.high is not None
    assert (a.difference, a.low, a.p) == pytest.approx((-b.difference, -b.high, b.p))
    assert (one.main.wins, one.main.losses) == (other.main.losses, other.main.wins)
    assert one.faces is not None and other.faces is not None
    assert [f.sample_id for f in one.faces.changed_most(3)[0]] == [f.sample_id for f in other.faces.changed_most(3)[1]]


def test_p_is_corrected_for_the_metrics_and_subsets_of_a_real_record() -> None:
    (pair,) = pairs_of("frontal", "dlib68", [HEADS]).pairs
    found = compare(pair, subset_members(pair.new, load("heads")))
    for group in (found.metrics, found.subsets):
        assert [m.p_holm for m in group] == pytest.approx(holm([m.difference.p for m in group if m.difference]).tolist())
    assert len(found.subsets) == 12
    for subset in found.subsets:  # the interval is of the difference of the two scores that the records say
        assert subset.difference is not None and subset.new is not None and subset.ref is not None
        assert subset.difference.difference == pytest.approx(subset.new - subset.ref)
        assert subset.difference.clusters == subset.n_faces
    errors = [read_errors(side.path)["geodesic"] for side in (pair.new, pair.ref)]
    assert found.main.new == pytest.approx(errors[0].mean()) and found.main.losses == int((errors[0] > errors[1]).sum())


def test_visibility_is_compared_point_by_point() -> None:
    (pair,) = pairs_of("mnn", "mnn+or", ["heads/visibility-hard"]).pairs
    found = compare(pair)
    by_name = {m.metric: m for m in found.metrics}
    brier = next(m for name, m in by_name.items() if name.startswith("brier"))
    assert found.faces is not None and found.faces.metric == "brier" and brier.wins is None
    assert found.main.difference is not None and found.main.difference.low is not None
    assert found.main.difference.difference == pytest.approx(found.main.new - found.main.ref)  # type: ignore[operator]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=30), st.integers(0, 10), st.booleans())
def test_faces_that_changed_most(values: list[tuple[float, float]], n: int, higher: bool) -> None:
    new, ref = np.array(values).T
    found = FaceValues("m", "deg", higher, np.array([str(i) for i in range(len(new))]), new, ref)
    better, worse = found.changed_most(n)
    assert not {f.sample_id for f in better} & {f.sample_id for f in worse}
    for faces, sign in ((better, -1), (worse, 1)):
        losses = [sign * (f.ref - f.new if higher else f.new - f.ref) for f in faces]
        assert all(x > 0 for x in losses) and losses == sorted(losses, reverse=True)
        assert len(faces) == min(n, int((sign * found.loss > 0).sum()))


def other_labels(new: Path) -> None:
    new.write_text(replace(read_record(new), truth_sha256="b" * 64).to_json())
    rewrite(new, truth_sha256=np.array("b" * 64))


def rewrite(path: Path, **arrays: np.ndarray) -> None:
    file = path.with_suffix(".errors.npz")
    with np.load(file) as old:
        np.savez(file, **{**old, **arrays})


def other_text(new: Path) -> None:
    record = read_record(new)
    new.write_text(replace(record, protocol=replace(record.protocol, sha256="c" * 64)).to_json())


def other_version(new: Path) -> None:
    record = read_record(new)
    new.write_text(replace(record, protocol=replace(record.protocol, version=0)).to_json())


def edited(new: Path) -> None:
    record = read_record(new)
    new.write_text(replace(record, scores=(replace(record.main, value=1.0),)).to_json())


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "labels": (other_labels, "labels that differ"),
    "protocol text": (other_text, "two texts of aflw2000/pose-1969@1"),
    "version": (other_version, "hpbench rescore"),
    "edited": (edited, "edited by hand?"),
    "no errors": (lambda new: new.with_suffix(".errors.npz").unlink(), "is not beside it"),
    "damaged errors": (lambda new: new.with_suffix(".errors.npz").write_bytes(b"PK"), "cannot be read"),
    "other predictions": (lambda new: rewrite(new, predictions_sha256=np.array("f" * 64)), "of other predictions"),
    "a value too few": (lambda new: rewrite(new, **{MAE: np.zeros(199)}), "mae(convention=300w-lp) is not one value a face"),
    "other people": (lambda new: rewrite(new, cluster=np.array(["x"] * 200)), "in other groups"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_fair_comparison_is_refused(case: str, tmp_path: Path) -> None:
    spoil, sentence = CASES[case]
    new, ref = some_errors()
    paths = [write(tmp_path / name, values) for name, values in (("new", new), ("ref", ref))]
    spoil(paths[0])
    with pytest.raises(InputError) as caught:
        pairs_of(*paths)
    assert sentence in str(caught.value) and str(paths[0].parent) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_faces_are_named(tmp_path: Path) -> None:
    new, ref = some_errors()
    paths = write(tmp_path / "new", new), write(tmp_path / "ref", ref[:-2], partial=True)
    with pytest.raises(InputError, match=r"ref.* lacks 2 of the 200 faces of .*new.*\(image00198, image00199\): a partial record\?"):
        pairs_of(*paths)
    with pytest.raises(InputError, match="no face in common"):
        pairs_of(paths[0], write(tmp_path / "ref", ref, ids=[f"x{i}" for i in range(200)]))


def test_places(tmp_path: Path) -> None:
    new, ref = some_errors()
    path = write(tmp_path / "new" / "a", new)
    write(tmp_path / "new" / "archive", new)  # superseded records are not looked at
    write(tmp_path / "ref", ref)
    assert pairs_of(tmp_path / "new", tmp_path / "ref").pairs[0].new.path == path
    with pytest.raises(InputError, match="no protocol in common: the one has aflw2000/pose-1969, the other heads/landmarks"):
        pairs_of(path, "mnn")
    with pytest.raises(InputError, match="no such record, folder or model that comes with records: did you mean 'mnn'"):
        pairs_of(path, "mmn")
    with pytest.raises(InputError, match="comes without records"):
        pairs_of(path, "hopenet")
    with pytest.raises(InputError, match="there is no record below this folder"):
        (tmp_path / "empty").mkdir()
        pairs_of(path, tmp_path / "empty")
    write(tmp_path / "new" / "b", new, "another")
    with pytest.raises(InputError, match="by the same protocol: say which of 2"):
        pairs_of(tmp_path / "new", tmp_path / "ref")
    assert "heads/visibility is in mnn only" in pairs_of("mnn-encoder", "mnn").unpaired


def test_coverage_and_speed(tmp_path: Path) -> None:
    new, ref = some_errors()
    pair = pair_of(tmp_path, new, ref)
    assert compare(pair).speed.hardware and not compare(pair).speed.reason
    gpu = replace(pair.new.record, timing={"images_per_s": 900.0, "device": "cuda"})
    assert "other hardware" in compare(replace(pair, new=replace(pair.new, record=gpu))).speed.reason
    untimed = replace(pair.new.record, timing=None)
    assert "NEW has no timing" in compare(replace(pair, new=replace(pair.new, record=untimed))).speed.reason


def test_subsets_without_labels_have_no_interval_and_say_why() -> None:
    (pair,) = pairs_of("frontal", "dlib68", [HEADS]).pairs
    found = compare(pair)
    assert all(s.difference is None and s.new is not None for s in found.subsets)
    assert "only the labels say" in comparison_text(found, 140)


def test_labels_are_looked_for_where_there_are_subsets(tmp_path: Path) -> None:
    new, ref = some_errors()
    pair = pair_of(tmp_path, new, ref)
    assert labels_of([pair], [tmp_path / "nothing"]) == {}  # a record without subsets needs none
    with_subsets = replace(pair.new.record, subsets={"yaw 0-30": pair.new.record.scores})
    pair = replace(pair, new=replace(pair.new, record=with_subsets))
    assert labels_of([pair]) == {}
    with pytest.raises(HpbenchError, match="nothing"):
        labels_of([pair], [tmp_path / "nothing"])


def test_texts_say_the_same_and_fit(tmp_path: Path) -> None:
    new, ref = some_errors(0.5)
    found = compare(pair_of(tmp_path, new, ref, model=ModelFacts("a|b<c")))
    for width in (140, 100, 70, 50):
        assert max(map(len, comparison_text(found, width, 2).splitlines()[1:])) <= width
    document = json.loads(json.dumps(comparison_json([found]), allow_nan=False))
    assert document["schema"] == 1 and document["comparisons"][0]["metrics"][0]["metric"] == MAE
    assert document["comparisons"][0]["metrics"][0]["difference"] == pytest.approx((new - ref).mean())
    markdown = comparison_markdown(found)
    assert "a\\|b&lt;c" in markdown and f"{(new - ref).mean():+.2f}" in markdown
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1


def test_the_figure_draws_what_the_table_says(tmp_path: Path) -> None:
    new, ref = some_errors(0.5)
    picture = comparison_figure(compare(pair_of(tmp_path, new, ref)))
    first = picture.table[0]
    assert first["worse_percent"] == pytest.approx(100 * (new - ref).mean() / ref.mean(), rel=1e-5)
    assert sum(int(row["faces"] or 0) for row in picture.table if row["kind"] == "faces") == 200
    picture.save(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_text().startswith("<?xml")
    with pytest.raises(InputError, match="a figure ends in"):
        picture.save(tmp_path / "figure.doc")
