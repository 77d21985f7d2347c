"""The laws of scoring hold, and each of them fails where what it guards is broken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import command_line
import numpy as np
import pytest
from annotation_truth import opal23_truth

import hpbench.charging
import hpbench.metrics.pose
from hpbench.catalog import dataset_card, protocol_named, protocols_of
from hpbench.errors import InputError, MissingDataError
from hpbench.faces import Faces
from hpbench.metrics.pose import angles_deg
from hpbench.readers import Dataset, load
from hpbench.selfcheck import selfcheck
from hpbench.selfcheck.installation import _missing, _weight_checks, installation_checks
from hpbench.selfcheck.laws import FRONTAL, laws_of, mirrored, noisy


@pytest.fixture(scope="module")
def heads() -> Dataset:
    return load("heads")


def results(source: Dataset, protocol: str) -> dict[str, str]:
    return {check.name.partition(": ")[2]: check.result for check in laws_of(source, protocol_named(protocol))}


@pytest.mark.parametrize("protocol", [p.id for p in protocols_of(dataset_card("heads")) if p.id.endswith(("-hard", "pose", "camera"))])
def test_the_shipped_heads_keep_every_law(protocol: str, heads: Dataset) -> None:
    found = results(heads, protocol)
    assert set(found.values()) == {"pass"} and len(found) == (5 if "pose" in protocol else 4)


def test_a_mirror_twice_is_none(heads: Dataset) -> None:
    truth = heads.truth("hard")
    twice = mirrored(mirrored(truth))
    assert np.allclose(twice.rotation, truth.rotation) and np.allclose(twice.landmarks, truth.landmarks)
    np.testing.assert_array_equal(twice.occlusion, truth.occlusion)
    yaw, pitch, roll = angles_deg(truth, "yxz")[0].T
    np.testing.assert_allclose(angles_deg(mirrored(truth), "yxz")[0], np.stack([-yaw, pitch, -roll], axis=1), atol=1e-9)


def test_a_face_in_the_mirror_has_its_points_on_the_same_sides(heads: Dataset) -> None:
    """Of a face that looks into the camera, right points stay on the image's left."""
    truth = heads.truth("test")
    frontal = np.abs(angles_deg(truth, "yxz")[0]).max(axis=1) < 15
    for faces in (truth, mirrored(truth)):
        eyes = faces.landmarks[frontal]
        assert frontal.sum() > 5 and (eyes[:, 36, 0] < eyes[:, 45, 0]).all()


def test_noise_is_fixed_and_moves_everything(heads: Dataset) -> None:
    truth = heads.truth("hard")
    one, two = noisy(truth), noisy(truth)
    assert one.content_sha256() == two.content_sha256() != truth.content_sha256()
    assert (np.linalg.norm(one.landmarks - truth.landmarks, axis=2) > 0).all() and (one.visibility != truth.visibility).mean() > 0.5


# ------------------------------------------------------------------------------------------------- laws that are broken


def test_an_error_of_nothing_is_found(heads: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    geodesic = hpbench.metrics.pose.geodesic_deg
    monkeypatch.setattr(hpbench.metrics.pose, "geodesic_deg", lambda a, b: geodesic(a, b) + 0.01)
    assert results(heads, "heads/pose-hard")["truth scores perfect"] == "fail"


def test_a_forgiven_failure_is_found(heads: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    per_face = hpbench.charging._per_face

    def forgiving(metric: object, protocol: object, pair: object) -> hpbench.charging.Column:
        column = per_face(metric, protocol, pair)  # type: ignore[arg-type]
        return replace(column, values=np.where(column.failed, 90.0, column.values))

    monkeypatch.setattr(hpbench.charging, "_per_face", forgiving)
    assert results(heads, "heads/pose-hard")["a failed face costs what it must"] == "fail"


def test_rows_matched_by_position_are_found(heads: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    by_id = Faces.aligned_to

    def by_position(self: Faces, ids: list[str]) -> Faces:
        return replace(self, sample_id=list(ids)) if len(ids) == len(self) else by_id(self, ids)

    monkeypatch.setattr(Faces, "aligned_to", by_position)
    assert results(heads, "heads/landmarks-hard")["the order of rows means nothing"] == "fail"


def test_a_lopsided_angle_is_found(heads: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two degrees of yaw too many in every prediction: in a mirror they are two too few."""
    angles = hpbench.metrics.pose.angles_deg

    def lopsided(faces: Faces, *rest: object) -> object:
        found, *others = angles(faces, *rest)  # type: ignore[arg-type]
        return (found + (0.0 if faces.box_xyxy_px is not None else np.array([2.0, 0.0, 0.0])), *others)

    monkeypatch.setattr(hpbench.metrics.pose, "angles_deg", lopsided)
    assert results(heads, "heads/pose-hard")["mirrored faces score the same"] == "fail"


def test_another_frontal_score_is_found(heads: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    assert results(heads, "heads/pose-hard")["frontal scores what is known"] == "pass"
    monkeypatch.setitem(FRONTAL, ("heads/pose-hard", "geodesic"), 71.0)
    assert results(heads, "heads/pose-hard")["frontal scores what is known"] == "fail"


def test_the_constants_of_aflw2000(realdata: Path) -> None:
    """Once more with NumPy alone."""
    truth = opal23_truth(realdata)
    kept = np.abs(truth.euler_deg).max(axis=1) <= 99
    means = np.abs((truth.euler_deg[kept] + 180) % 360 - 180).mean(axis=0)
    metrics = [f"mae(angle={a},convention=300w-lp)" for a in ("yaw", "pitch", "roll")]
    assert [FRONTAL["aflw2000/pose-1969", m] for m in metrics] == pytest.approx(list(means), abs=5e-8)
    assert FRONTAL["aflw2000/pose-1969", "mae(convention=300w-lp)"] == pytest.approx(means.mean(), abs=5e-8)


# ------------------------------------------------------------------------------------------------- the installation


def test_this_installation_is_whole() -> None:
    found = {check.name: check for check in installation_checks()}
    assert {check.result for check in found.values()} <= {"pass", "absent"}
    assert found["data heads"].result == found["catalog"].result == found["packages"].result == "pass"
    assert all(found[f"files {suffix}"].result == "pass" for suffix in (".h5", ".npz", ".csv", ".jsonl"))


def test_altered_weights_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "baselines" / "net"
    folder.mkdir(parents=True)
    (folder / "net.bin").write_bytes(b"altered")
    card = f'id = "net"\ntitle = "Net"\ntarget = "a.b:C"\n[files]\n"net.bin" = "{"0" * 64}"\n"other.bin" = "{"1" * 64}"\n'
    (folder / "card.toml").write_text(card)
    monkeypatch.setenv("HPBENCH_CATALOG", str(tmp_path))
    found = [check for check in _weight_checks() if check.name == "weights net"]
    assert [check.result for check in found] == ["fail", "absent"] and "net.bin is not the file of the card" in found[0].said


@pytest.mark.parametrize(
    ("package", "bounds", "words"),
    [
        ("numpy", ">=1.26", ""),
        ("numpy", ">=99", "needed is >=99"),
        ("numpy", ">=1,<1.5", "needed is >=1,<1.5"),
        ("no-such-thing", "", "not installed"),
    ],
)
def test_packages_and_their_versions(package: str, bounds: str, words: str) -> None:
    found = _missing(package, bounds)
    assert words in found and bool(words) == bool(found)


# ------------------------------------------------------------------------------------------------- the command


def test_bad_usage(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'heads'"):
        selfcheck("haeds")
    with pytest.raises(InputError, match="one of biwi's"):
        selfcheck("heads", protocol=["biwi/depth-13219"])
    with pytest.raises(MissingDataError):
        selfcheck("biwi", [tmp_path])


def test_the_command(tmp_path: Path) -> None:
    done = command_line.hpbench_process("selfcheck", "--protocol", "heads/pose-hard", cwd=tmp_path)
    assert done.returncode == 0 and "heads/pose-hard: truth scores perfect" in done.stdout and done.stderr == "5 passed, 0 failed.\n"
    done = command_line.hpbench("selfcheck", "--protocol", "heads/pose-hard", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (found["schema"], found["ok"], len(found["checks"])) == (1, True, 5) and set(found["checks"][0]) == {"name", "result", "said"}
    done = command_line.hpbench("selfcheck", "-d", "biwi", cwd=tmp_path)
    assert done.returncode == 3 and "Traceback" not in done.stderr
