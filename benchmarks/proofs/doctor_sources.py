"""Predictions for the proof of `hpbench doctor`: good ones to be spoilt in known ways, and merely bad ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from hpbench.catalog import Protocol, dataset_card, protocol_named
from hpbench.faces import Faces
from hpbench.geometry.rotations import CONVENTIONS, euler_from_rotation
from hpbench.landmarks import SCHEMES
from hpbench.metrics.landmarks import landmark_box_xyxy_px
from hpbench.metrics.pose import ANGLES
from hpbench.readers import load

Array = npt.NDArray[np.float64]
Spoil = Callable[["Source", Faces], Faces]
_AXIS = {"yaw": "Y", "pitch": "X", "roll": "Z"}
FLIP = {axis: np.diag([1.0 if a == axis else -1.0 for a in "xyz"]) for axis in "xyz"}


@dataclass(frozen=True, eq=False)
class Source:
    """Labels, good predictions and the protocol that scores them; the image sizes where they are one for all."""

    name: str
    kind: str
    protocol: Protocol
    truth: Faces
    good: Faces
    boxes: Array | None = None
    image_px: Array | None = None


# ------------------------------------------------------------------------------------------------- sources


def sources(mnn: Path | None, fsanet: Path | None, realdata: Path | None) -> Iterator[Source]:
    """Everything that can be had: trained models on rendered heads, published predictions, and noisy labels."""
    from hpbench.predictions import read_predictions

    heads = load("heads")
    pose, points, seen = (protocol_named(f"heads/{name}") for name in ("pose", "landmarks", "visibility"))
    truth = heads.truth("test")
    ids = [str(i) for i in truth.sample_id]
    boxes = heads.boxes_of("landmarks", ids)
    truth = replace(truth, box_xyxy_px=boxes)
    sizes = np.array([s.image.read().shape[1::-1] for s in heads.samples_of(ids, "landmarks")], dtype=np.float64)
    for name, path in (("MNN", mnn), ("FSA-Net", fsanet)):
        if path is None:
            continue
        faces = read_predictions(path).faces.aligned_to(ids)
        yield Source(f"{name} on heads", "pose", pose, truth, faces)
        if faces.landmarks is not None:
            yield Source(f"{name} on heads", "landmarks", points, truth, faces, boxes, sizes)
        if faces.visibility is not None:
            yield Source(f"{name} on heads", "visibility", seen, truth, faces)
    yield from _noisy("heads labels", "pose", pose, truth, (2.0, 10.0))
    yield from _noisy("heads labels", "landmarks", points, truth, (0.01, 0.06), boxes, sizes)
    yield from _noisy("heads labels", "visibility", seen, truth, (0.8, 2.0))
    if realdata is not None:
        yield from _real(realdata)


def _real(realdata: Path) -> Iterator[Source]:
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    from annotation_truth import opal23_truth

    everyone = opal23_truth(realdata)
    everyone = everyone.take(np.arange(0, len(everyone), 3))
    boxes = everyone.box_xyxy_px
    yield from _noisy("AFLW2000-3D labels", "pose", protocol_named("aflw2000/pose-1969"), everyone, (3.0, 8.0))
    sizes = np.full((len(everyone), 2), 450.0)
    points = protocol_named("aflw2000/landmarks-original")
    yield from _noisy("AFLW2000-3D labels", "landmarks", points, everyone, (0.01, 0.04), boxes, sizes)
    yield from _noisy("BIWI labels", "pose", protocol_named("biwi/depth-15678"), biwi(realdata), (3.0, 8.0))
    yield spiga(realdata)
    cofw68 = load("cofw68", realdata / "cofw68" / "COFW68_Data")
    truth = cofw68.truth("test")
    lines = (realdata / "cofw68" / "Results" / "HPM_HelenLfpw_COFW68test.txt").read_text().splitlines()
    x, y, occluded = (np.array([line.split() for line in lines[k::4]], dtype=float) for k in (1, 2, 3))
    faces = Faces([str(int(line)) for line in lines[0::4]], landmarks=np.stack([x, y], axis=2), visibility=1.0 - occluded)
    faces = faces.aligned_to([str(i) for i in truth.sample_id])
    names = {p.id: p for p in (protocol_named(f"cofw68/{f.stem}") for f in sorted(Path("datasets/cofw68/protocols").glob("*.toml")))}
    visible = next(p for p in names.values() if "visibility" in p.id or "occlusion" in p.id)
    yield Source("HPM on COFW68", "visibility", visible, truth, faces)


def biwi(realdata: Path) -> Faces:
    """BIWI's poses, people as clusters, from the list of a third party."""
    with np.load(realdata / "biwi" / "lists" / "Biwi_plus_non_cal.npz", allow_pickle=False) as file:
        names, ypr = [str(n) for n in file["images"]], np.asarray(file["ypr"], dtype=float)
    ids = [f"f{k:05d}" for k in range(len(names))]
    people = dataset_card("biwi").options["people"]
    person = [str(people[n.split("/")[0]]) for n in names]
    every = np.arange(0, len(ids), 20)
    return Faces(ids, euler_deg=ypr, convention="300w-lp", person=person, sequence=person).take(every)


def spiga(realdata: Path) -> Source:
    """SPIGA's published predictions of the 689 public test faces of 300W."""
    folder = realdata / "300w" / "spiga_300wpublic"
    test = json.loads((folder / "test.json").read_text())
    found = json.loads((folder / "results_300wpublic_test.json").read_text())
    labels = np.array([row["ldm" if "ldm" in row else "landmarks"] for row in test], dtype=float).reshape(len(test), 68, 2)
    points = np.array([row["landmarks"] for row in found], dtype=float).reshape(len(found), 68, 2)
    boxes = np.array([row["bbox"] for row in test], dtype=float)
    boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    ids = [f"face_{k}" for k in range(len(test))]
    truth = Faces(ids, landmarks=labels, scheme="ibug68-contour")
    truth = replace(truth, box_xyxy_px=landmark_box_xyxy_px(truth))
    return Source("SPIGA on 300W", "landmarks", protocol_named("300w/full"), truth, Faces(ids, landmarks=points), boxes)


def _noisy(
    name: str,
    kind: str,
    protocol: Protocol,
    truth: Faces,
    levels: tuple[float, ...],
    boxes: Array | None = None,
    sizes: Array | None = None,
) -> Iterator[Source]:
    """Labels with noise of several sizes: degrees of a turn, shares of the face, or doubt of the visibility."""
    for level in levels:
        rng = np.random.default_rng(round(1000 * level))
        if kind == "pose":
            turn = Rotation.from_rotvec(np.deg2rad(rng.normal(0, level / np.sqrt(3), (len(truth), 3)))).as_matrix()
            euler = euler_from_rotation(truth.rotation @ turn, truth.convention or "300w-lp")
            good = Faces(truth.sample_id, euler_deg=euler, convention=truth.convention or "300w-lp")
            text = f"{name}, {level:g} deg noise"
        elif kind == "landmarks":
            size = np.sqrt(np.prod(np.nanmax(truth.landmarks, axis=1) - np.nanmin(truth.landmarks, axis=1), axis=1))[:, None, None]
            # half of it moves a face as a whole, half the points apart
            noise = rng.normal(0, level / 2, (len(truth), 1, 2)) + rng.normal(0, level / 2, truth.landmarks.shape)
            good = Faces(truth.sample_id, landmarks=truth.landmarks + size * noise, scheme=truth.scheme)
            text = f"{name}, {100 * level:g} % noise"
        else:
            logit = np.where(truth.visibility > 0.5, 1.0, -1.0) + rng.normal(0, level, truth.visibility.shape)
            good = Faces(truth.sample_id, visibility=1.0 / (1.0 + np.exp(-2.0 * logit)))
            text = f"{name}, doubt {level:g}"
        yield Source(text, kind, protocol, truth, good, boxes, sizes)


# ------------------------------------------------------------------------------------------------- ways to spoil


def spoils(source: Source) -> dict[str, Spoil]:
    """Ways to spoil predictions of a source's kind, by the name of the cause that the doctor should tell."""
    if source.kind == "pose":
        return _pose_spoils(source)
    return _points_spoils(source) if source.kind == "landmarks" else _visibility_spoils()


def _angles(faces: Faces) -> tuple[Array, str]:
    if faces.euler_deg is not None:
        return np.array(faces.euler_deg), str(faces.convention)
    return np.array(euler_from_rotation(faces.rotation, "300w-lp")), "300w-lp"


def _pose_spoils(source: Source) -> dict[str, Spoil]:
    raw = source.good.euler_deg is not None
    found: dict[str, Spoil] = {}

    def on_angles(change: Callable[[Array], Array]) -> Spoil:
        def spoil(s: Source, faces: Faces) -> Faces:
            if faces.euler_deg is not None:
                return replace(faces, euler_deg=change(np.array(faces.euler_deg)), rotation=None)
            convention = "yxz" if s.protocol.dataset == "heads" else "300w-lp"
            angles = change(euler_from_rotation(faces.rotation, convention))
            return replace(faces, rotation=Faces(faces.sample_id, euler_deg=angles, convention=convention).rotation)

        return spoil

    def on_matrices(change: Callable[[Array], Array]) -> Spoil:
        def spoil(s: Source, faces: Faces) -> Faces:
            rotation = change(np.array(faces.rotation))
            if faces.euler_deg is None:
                return replace(faces, rotation=rotation)
            return replace(faces, euler_deg=euler_from_rotation(rotation, str(faces.convention)), rotation=None)

        return spoil

    for names in (["yaw"], ["pitch"], ["roll"], ["yaw", "pitch"], ["yaw", "roll"], ["pitch", "roll"], list(ANGLES)):
        joined = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        signs = np.array([-1.0 if a in names else 1.0 for a in ANGLES])
        found[f"{joined} negated"] = on_angles(lambda e, signs=signs: e * signs)
    found["radians"] = on_angles(np.deg2rad)
    found["transposed"] = on_matrices(lambda r: r.swapaxes(1, 2))
    for axis, flip in FLIP.items():
        found[f"camera frame turned about {axis}"] = on_matrices(lambda r, flip=flip: flip @ r)
        found[f"head frame turned about {axis}"] = on_matrices(lambda r, flip=flip: r @ flip)
    turn = Rotation.from_rotvec(np.deg2rad([-15.0, 30.0, 10.0])).as_matrix()
    found["constant turn of the head frame"] = on_matrices(lambda r: r @ turn)
    found["constant turn of the camera frame"] = on_matrices(lambda r: turn @ r)
    found |= _row_spoils()
    if not raw:
        given = "yxz" if source.protocol.dataset == "heads" else "300w-lp"
        for other in CONVENTIONS.values():
            if other.order != CONVENTIONS[given].order and other.name != "opal23":
                found[f"made in convention {other.name}"] = on_matrices(
                    lambda r, other=other.name, given=given: np.array(
                        Faces(euler_deg=euler_from_rotation(r, given), convention=other).rotation)
                )  # fmt: skip
        return found
    found["degrees converted twice"] = on_angles(np.rad2deg)
    for perm, name in (((1, 0, 2), "yaw and pitch swapped"), ((2, 1, 0), "yaw and roll swapped"), ((0, 2, 1), "pitch and roll swapped"),
                       ((1, 2, 0), "columns pitch, roll, yaw"), ((2, 0, 1), "columns roll, yaw, pitch")):  # fmt: skip
        found[name] = on_angles(lambda e, perm=perm: e[:, list(perm)])
    declared = str(source.good.convention)
    for other in CONVENTIONS.values():
        if other.name != declared:
            found[f"convention {other.name}"] = lambda s, f, other=other.name: replace(
                f, euler_deg=euler_from_rotation(f.rotation, other), rotation=None
            )
    for order in (("pitch", "roll", "yaw"), ("yaw", "roll", "pitch"), ("roll", "pitch", "yaw")):

        def in_order(s: Source, f: Faces, order: tuple[str, ...] = order) -> Faces:
            angles = Rotation.from_matrix(f.rotation).as_euler("".join(_AXIS[a] for a in order), degrees=True)
            columns = angles[:, [order.index(a) for a in ANGLES]] * [1.0, -1.0, 1.0]
            return replace(f, euler_deg=columns, rotation=None)

        found[f"order {', '.join(order)}"] = in_order
    return found


def _row_spoils(*, shuffled: bool = False) -> dict[str, Spoil]:
    def moved(order: Callable[[int], Array]) -> Spoil:
        def spoil(s: Source, faces: Faces) -> Faces:
            ids = np.array([str(i) for i in faces.sample_id])
            by_id = np.argsort(ids, kind="stable")
            new = np.empty_like(by_id)
            new[by_id] = by_id[order(len(ids))]
            return replace(faces.take(new), sample_id=list(ids))

        return spoil

    found = {
        "rows shifted by 1": moved(lambda n: np.roll(np.arange(n), -1)),
        "rows shifted by -1": moved(lambda n: np.roll(np.arange(n), 1)),
        "rows reversed": moved(lambda n: np.arange(n)[::-1]),
    }
    return found | ({"rows shuffled": moved(lambda n: np.random.default_rng(5).permutation(n))} if shuffled else {})


def _points_spoils(source: Source) -> dict[str, Spoil]:
    low, high = source.boxes[:, None, :2], source.boxes[:, None, 2:]
    middle, side = (low + high) / 2, high - low
    square = side.max(axis=2, keepdims=True) * 1.4
    order = np.arange(68)
    for right, left in SCHEMES[str(source.truth.scheme)].pairs:
        order[[right, left]] = left, right

    def on(change: Callable[[Array], Array]) -> Spoil:
        return lambda s, faces: replace(faces, landmarks=change(np.array(faces.landmarks)))

    found = {
        "x and y swapped": on(lambda p: p[..., ::-1]),
        "left and right points swapped": on(lambda p: p[:, order]),
        "constant shift": on(lambda p: p - [60.0, 45.0]),
        "constant scale": on(lambda p: 0.5 * p),
        "coordinates relative to the box": on(lambda p: p - low),
        "coordinates of the crop (box)": on(lambda p: (p - low) / side * 112.0),
        "normalised to the box": on(lambda p: (p - low) / side),
        "coordinates of the crop (square)": on(lambda p: ((p - middle) / square + 0.5) * 256.0),
        "pixels off by +1": on(lambda p: p + 1.0),
        "pixels off by -1": on(lambda p: p - 1.0),
        "pixels off by +0.5": on(lambda p: p + 0.5),
        **_row_spoils(shuffled=True),
    }
    if source.image_px is not None:
        size = source.image_px[:, None]
        found["image mirrored"] = on(lambda p: np.stack([size[..., 0] - 1 - p[..., 0], p[..., 1]], axis=2))
        found["y upwards"] = on(lambda p: np.stack([p[..., 0], size[..., 1] - 1 - p[..., 1]], axis=2))
        found["normalised to the image"] = on(lambda p: p / size)
        found["normalised to -1..1 of the image"] = on(lambda p: 2.0 * p / size - 1.0)
    return found


def _visibility_spoils() -> dict[str, Spoil]:
    order = np.arange(68)
    for right, left in SCHEMES["ibug68-fixed"].pairs:
        order[[right, left]] = left, right
    return {
        "visibility inverted": lambda s, f: replace(f, visibility=1.0 - f.visibility),
        "left and right points swapped": lambda s, f: replace(f, visibility=f.visibility[:, order], landmarks=None),
        **_row_spoils(),
    }


# ------------------------------------------------------------------------------------------------- merely bad


def bad(source: Source, seed: int) -> Iterator[tuple[str, Faces]]:
    """Predictions with no mistake in them, that are nevertheless bad."""
    rng = np.random.default_rng(seed)
    truth, n = source.truth, len(source.truth)
    ids = truth.sample_id
    if source.kind == "pose":
        mean = Rotation.from_matrix(truth.rotation).mean().as_matrix()
        for name, rotation in (
            ("always frontal", np.tile(np.eye(3), (n, 1, 1))),
            ("always the mean", np.tile(mean, (n, 1, 1))),
            ("random poses", Rotation.random(n, random_state=seed).as_matrix()),
            ("random near frontal", Rotation.from_rotvec(rng.normal(0, 0.3, (n, 3))).as_matrix()),
        ):
            yield name, Faces(ids, rotation=rotation)
        angles, convention = _angles(truth)
        for name, gain, bias, noise in (
            ("noise 20 deg", 1.0, 0.0, 20.0),
            ("noise 45 deg", 1.0, 0.0, 45.0),
            ("gain 0.5, noise 10 deg", 0.5, 0.0, 10.0),
            ("gain 0.1, noise 2 deg", 0.1, 0.0, 2.0),
            ("bias 10, noise 10 deg", 1.0, 10.0, 10.0),
        ):
            shift = rng.choice([-1.0, 1.0], 3) * bias / np.sqrt(3)
            yield name, Faces(ids, euler_deg=gain * angles + shift + rng.normal(0, noise, (n, 3)), convention=convention)
        for name in CONVENTIONS:
            missing = euler_from_rotation(truth.rotation, name) + rng.normal(0, 5.0, (n, 3))
            for i, angle in enumerate(("yaw", "pitch", "roll")):
                yield f"no {angle} in {name}", Faces(ids, euler_deg=np.where(np.arange(3) == i, 0.0, missing), convention=name)
        anything = Rotation.random(n, random_state=seed).as_matrix()
        yield "a good one in ten", Faces(ids, rotation=np.where(rng.random((n, 1, 1)) < 0.1, truth.rotation, anything))
        blind = angles * rng.choice([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
        yield "blind to one angle", Faces(ids, euler_deg=blind + rng.normal(0, 8.0, (n, 3)), convention=convention)
        unsure = np.where(rng.random((n, 1)) < 0.3, [-1.0, 1.0, 1.0], 1.0) * angles
        yield "yaw of the wrong side in 30 %", Faces(ids, euler_deg=unsure + rng.normal(0, 5.0, (n, 3)), convention=convention)
    elif source.kind == "landmarks":
        low, high = source.boxes[:, None, :2], source.boxes[:, None, 2:]
        side, points = high - low, truth.landmarks
        size = np.sqrt(side.prod(axis=2, keepdims=True))
        mean = np.nanmean((points - low) / side, axis=0)
        centre = np.nanmean(points, axis=1, keepdims=True)
        yield "mean face in the box", Faces(ids, landmarks=mean * side + low)
        yield "mean face, 20 % too large", Faces(ids, landmarks=(mean * 1.2 - 0.1) * side + low)
        yield "mean face near the box", Faces(ids, landmarks=mean * side + low + rng.normal(0, 0.3, (n, 1, 2)) * side)
        for share in (0.1, 0.3, 1.0):
            yield f"noise {100 * share:g} %", Faces(ids, landmarks=points + rng.normal(0, share, points.shape) * size)
        yield "moved by 20 % each", Faces(ids, landmarks=points + rng.normal(0, 0.2, (n, 1, 2)) * size)
        yield "shrunk to 60 %", Faces(ids, landmarks=centre + 0.6 * (points - centre) + rng.normal(0, 0.05, points.shape) * size)
        yield "bias of 5 %", Faces(ids, landmarks=points + 0.05 * size + rng.normal(0, 0.03, points.shape) * size)
        yield "anywhere in the box", Faces(ids, landmarks=low + side * rng.random(points.shape))
    else:
        visible = truth.visibility if truth.visibility is not None else (truth.occlusion == 0).astype(float)
        prior = np.nanmean(visible, axis=0)
        yield "random", Faces(ids, visibility=rng.random(visible.shape))
        yield "the prior of each point", Faces(ids, visibility=np.clip(prior + rng.normal(0, 0.02, visible.shape), 0, 1))
        yield "almost random", Faces(ids, visibility=np.clip(0.5 + 0.03 * (visible - 0.5) + rng.normal(0, 0.1, visible.shape), 0, 1))
        yield "all visible but a few", Faces(ids, visibility=(rng.random(visible.shape) > 0.01).astype(float))
