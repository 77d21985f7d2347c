"""Worn and held things: sound meshes that hide what they say, on a stand-in head that needs no anny."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest

from hpbench.geometry.mean_face import mean_face_68
from hpbench.heads import accessories
from hpbench.heads.accessories import HEADGEAR_KINDS, HELD_KINDS, Accessory, HeadGeometry, shapes

Array = npt.NDArray[np.float64]

SKIN = np.array([0.5, 0.3, 0.2])
MOUTH, NOSE, CHIN, EYES, BROWS = np.arange(48, 68), np.arange(30, 36), np.arange(6, 11), np.arange(36, 48), np.arange(17, 27)
WITHOUT_HAND = ("glasses", "sunglasses", *HEADGEAR_KINDS, "mask", "scarf")


def stand_in_head(scale: float = 1.0) -> HeadGeometry:
    """An egg drawn to the mean face's points, on a neck and shoulders; it is mirror symmetric."""
    points = mean_face_68() / 1000
    centre, size = np.array([0.0, -0.02, 0.075]), np.array([0.074, 0.115, 0.095])
    polar, turn = np.meshgrid(np.linspace(0.02, np.pi - 0.02, 60), np.arange(120) * 2 * np.pi / 120, indexing="ij")
    way = np.stack([np.sin(polar) * np.sin(turn), -np.cos(polar), -np.sin(polar) * np.cos(turn)], axis=-1).reshape(-1, 3)

    def egg(directions: Array) -> Array:
        return 1 / np.linalg.norm(directions / size, axis=1)

    own = points - centre
    reach = np.linalg.norm(own, axis=1)
    share = reach / egg(own / reach[:, None])
    near = np.exp(-(((way[:, None] - own / reach[:, None]) / 0.12) ** 2).sum(2))
    grown = 1 + (near * (share - 1)).sum(1) / (near.sum(1) + 0.3)
    head, triangles = shapes.sheet((centre + (egg(way) * grown)[:, None] * way).reshape(60, 120, 3), closed=True)
    on_skin = head[np.linalg.norm(head[None] - points[:, None], axis=2).argmin(1)]
    swapped = on_skin * [-1, 1, 1]
    on_skin = np.array([0.5 * (p + swapped[np.linalg.norm(swapped - p, axis=1).argmin()]) for p in on_skin])
    trunk = shapes.lathe([(0.055, 0.04), (0.055, 0.10), (0.075, 0.13), (0.14, 0.16), (0.19, 0.20)], 64)
    vertices, skin = shapes.join((head, triangles), (trunk[0] + [0, 0, 0.08], trunk[1]))
    scalp = np.where(vertices[:, 1] < 0.1, -0.075 + 0.9 * np.clip(vertices[:, 2], -0.05, 0.1) - vertices[:, 1], -0.1)
    return HeadGeometry(scale * vertices, scale * on_skin, skin, scale * scalp, 0.02)


def first_hit(origin: Array, direction: Array, mesh: shapes.Mesh) -> Array:
    """Distance (N,) from each origin along a direction to a mesh, infinite where it is not met."""
    a, b, c = (mesh[0][mesh[1][:, k]] for k in range(3))
    edge1, edge2 = b - a, c - a
    p = np.cross(direction, edge2)
    determinant = (edge1 * p).sum(1)
    inverse = 1 / np.where(abs(determinant) < 1e-15, np.inf, determinant)
    out = np.full(len(origin), np.inf)
    for n, place in enumerate(origin):
        from_a = place - a
        q = np.cross(from_a, edge1)
        u, v, t = (from_a * p).sum(1) * inverse, (q @ direction) * inverse, (edge2 * q).sum(1) * inverse
        met = (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1 + 1e-9) & (t > 1e-9) & (abs(determinant) > 1e-15)
        out[n] = t[met].min(initial=np.inf)
    return out


def hidden(head: HeadGeometry, parts: list[Accessory]) -> npt.NDArray[np.bool_]:
    """Which landmarks (68,) an opaque part hides from a distant camera in front."""
    opaque = [(x.vertices, x.triangles) for x in parts if x.opacity >= 0.3]
    if not opaque:
        return np.zeros(68, bool)
    return np.isfinite(first_hit(head.landmarks, np.array([0.0, 0.0, -1.0]), shapes.join(*opaque)))


def make(kind: str, rng: np.random.Generator, head: HeadGeometry) -> list[Accessory]:
    if kind in ("glasses", "sunglasses"):
        return accessories.glasses(rng, head, sun=kind == "sunglasses")
    if kind in HEADGEAR_KINDS:
        return accessories.headgear(rng, head, kinds=[kind])
    if kind == "mask":
        return accessories.face_mask(rng, head)
    if kind == "scarf":
        return accessories.scarf(rng, head)
    pytest.importorskip("anny")
    return accessories.held(rng, head, SKIN, kind=kind)


@pytest.fixture(scope="module")
def head() -> HeadGeometry:
    return stand_in_head()


@pytest.mark.parametrize("kind", [*WITHOUT_HAND, *HELD_KINDS])
def test_meshes_are_sound_and_repeat(kind: str, head: HeadGeometry) -> None:
    for seed in range(2):
        parts, again = (make(kind, np.random.default_rng(seed), head) for _ in range(2))
        assert {x.kind for x in parts} == {kind}
        for x, y in zip(parts, again, strict=True):
            assert np.isfinite(x.vertices).all() and x.vertices.dtype == np.float64 and x.triangles.dtype == np.int32
            assert x.triangles.min() >= 0 and x.triangles.max() < len(x.vertices) <= 2000
            assert x.colour.shape == (3,) and ((x.colour >= 0) & (x.colour <= 1)).all()
            np.testing.assert_array_equal(x.vertices, y.vertices)
            np.testing.assert_array_equal(x.colour, y.colour)
            assert x.name == y.name
        other = make(kind, np.random.default_rng(99), head)
        assert not any(
            x.vertices.shape == y.vertices.shape and (x.vertices == y.vertices).all() for x, y in zip(parts, other, strict=False)
        )


@pytest.mark.parametrize("kind", WITHOUT_HAND)
def test_fits_a_small_head_as_a_large_one(kind: str) -> None:
    """Things scale with the head but for their thickness."""
    for factor in (0.75, 1.1):
        small = stand_in_head(factor)
        places = np.concatenate([x.vertices for x in make(kind, np.random.default_rng(3), small)])
        assert np.abs(places).max() < 0.33 * factor + 0.02


@pytest.mark.parametrize("shape", accessories.GLASSES_SHAPES)
def test_glasses_lie_before_the_eyes_and_not_in_the_face(shape: str, head: HeadGeometry) -> None:
    back = np.array([0.0, 0.0, 1.0])
    for seed in range(2):
        rim, *_ = accessories.glasses(np.random.default_rng(seed), head, shape=shape)
        front = rim.vertices[::2][rim.vertices[::2, 2] < head.landmarks[EYES, 2].mean()]
        eye = head.landmarks[42:48].mean(0)
        assert front[:, 0].max() > eye[0] + 0.015 and (front[:, 2] < head.landmarks[EYES, 2].max()).all()
        # the skin lies behind every place of rims and bridge, and not far behind the nearest
        gap = first_hit(front - [0, 0, 1.0], back, (head.vertices, head.skin_triangles)) - 1.0
        assert gap.min() > 0 and gap.min() < 0.008


def test_glasses_are_mirror_symmetric_in_front(head: HeadGeometry) -> None:
    rim, *_ = accessories.glasses(np.random.default_rng(1), head, shape="oval")
    front = rim.vertices[rim.vertices[:, 2] < head.landmarks[45, 2]]
    apart = np.linalg.norm(front[:, None] * [-1, 1, 1] - front[None], axis=2).min(1)
    assert apart.max() < 0.0015  # tubes start at another side on the left


def test_dark_lenses_hide_the_eyes_and_clear_ones_nothing(head: HeadGeometry) -> None:
    for seed in range(6):
        dark = accessories.glasses(np.random.default_rng(seed), head, sun=True)
        assert hidden(head, dark)[EYES].mean() > 0.9
        clear = [x for x in accessories.glasses(np.random.default_rng(seed), head) if "lens" in x.name]
        assert all(x.opacity < 0.3 for x in clear)


def test_mask_covers_mouth_and_nose_but_not_the_eyes(head: HeadGeometry) -> None:
    for kind in ("pleated", "cloth", "cup"):
        for seed in range(4):
            covered = hidden(head, accessories.face_mask(np.random.default_rng(seed), head, kind=kind))
            assert covered[MOUTH].all() and covered[NOSE].all() and covered[CHIN[1:-1]].all()
            assert not covered[EYES].any() and not covered[BROWS].any()


def test_mask_is_mirror_symmetric(head: HeadGeometry) -> None:
    cover, *_ = accessories.face_mask(np.random.default_rng(0), head)
    grid = cover.vertices.reshape(26, 33, 3)
    np.testing.assert_allclose(grid, grid[:, ::-1] * [-1, 1, 1], atol=1e-6)


def test_scarf_covers_the_mouth_when_asked(head: HeadGeometry) -> None:
    for seed in range(4):
        assert hidden(head, accessories.scarf(np.random.default_rng(seed), head, over_mouth=True))[MOUTH].all()
        low = hidden(head, accessories.scarf(np.random.default_rng(seed), head, over_mouth=False))
        assert not low[MOUTH].any() and not low[EYES].any()


@pytest.mark.parametrize("kind", HEADGEAR_KINDS)
def test_headgear_encloses_scalp_and_hair_and_leaves_the_face(kind: str, head: HeadGeometry) -> None:
    own = np.unique(head.skin_triangles)
    high = head.scalp[own] > 0.07  # well above every rim
    for seed in range(3):
        parts = accessories.headgear(np.random.default_rng(seed), head, kinds=[kind])
        shell = shapes.join(*((x.vertices, x.triangles) for x in parts))
        for direction in ([0, -1.0, 0], [0, -0.5, 0.866], [0.8, -0.6, 0], [-0.8, -0.6, 0]):
            facing = high & ((head.skin - head.skull) @ np.array(direction) > 0.05)
            assert np.isfinite(first_hit(head.flattened[facing][::7], np.array(direction), shell)).all()
        covered = hidden(head, parts)
        assert not covered[np.concatenate([MOUTH, NOSE])].any()
        if kind != "hat":  # a brim that dips may reach the eyes
            assert not covered[EYES].any()


@pytest.mark.parametrize(
    ("kind", "points"), [("hand-mouth", MOUTH), ("cup", MOUTH[3:9]), ("hand-eye", None), ("microphone", None), ("book", CHIN)]
)
def test_held_things_hide_what_they_are_held_before(kind: str, points: npt.NDArray[np.int64] | None, head: HeadGeometry) -> None:
    pytest.importorskip("anny")
    shares = []
    for seed in range(6):
        left = bool(seed % 2)
        covered = hidden(head, accessories.held(np.random.default_rng(seed), head, SKIN, kind=kind, left=left))
        chosen = (EYES[6:] if left else EYES[:6]) if kind == "hand-eye" else MOUTH if points is None else points
        shares.append(covered[chosen].mean())
    assert np.mean(shares) > (0.3 if kind == "microphone" else 0.75)


def test_phone_at_the_ear_stays_beside_the_face(head: HeadGeometry) -> None:
    pytest.importorskip("anny")
    for left in (False, True):
        body, *_ = accessories.held(np.random.default_rng(5), head, SKIN, kind="phone-ear", left=left)
        outward = body.vertices[:, 0] * (1 if left else -1)
        ear = abs(head.landmarks[16, 0])
        assert ear - 0.02 < outward.mean() < ear + 0.04


def test_a_right_hand_is_a_left_one_mirrored() -> None:
    pytest.importorskip("anny")
    curl = accessories.CURL_DEG["relaxed"]
    (left, triangles), (right, same) = shapes.hand_mesh(curl), shapes.hand_mesh(curl, left=False)
    np.testing.assert_array_equal(left, right * [-1, 1, 1])
    np.testing.assert_array_equal(triangles, same)
    assert 0.17 < np.ptp(left[:, 1]) < 0.24
    fist = shapes.hand_mesh(accessories.CURL_DEG["fist"])[0]
    assert np.ptp(fist[:, 1]) < 0.8 * np.ptp(left[:, 1])


def test_frequencies_of_draw(head: HeadGeometry, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,500 draws with the meshes left out: how often a thing is asked for."""
    seen: Counter[str] = Counter()

    def stub(name: str):  # type: ignore[no-untyped-def]
        def fake(rng: np.random.Generator, head: HeadGeometry, *args: object, **more: object) -> list[Accessory]:
            kind = "sunglasses" if more.get("sun") else name
            return [Accessory(kind, np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32), np.zeros(3))]

        return fake

    for name in ("glasses", "headgear", "face_mask", "scarf", "held"):
        monkeypatch.setattr(accessories, name, stub(name))
    count = 1500
    together = 0
    for seed in range(count):
        kinds = {x.kind for x in accessories.draw_accessories(np.random.default_rng(seed), head, SKIN)}
        seen.update(kinds)
        together += {"face_mask", "scarf"} <= kinds
        assert accessories.draw_accessories(np.random.default_rng(seed), head, SKIN, heavy=True)
    assert together == 0
    wanted = {"glasses": 0.19, "sunglasses": 0.06, "headgear": 0.12, "face_mask": 0.05, "scarf": 0.03, "held": 0.15}
    for name, share in wanted.items():
        assert abs(seen[name] / count - share) < 4 * np.sqrt(share * (1 - share) / count), name


def test_contact_shift_stops_at_the_surface() -> None:
    wall = np.stack([*np.meshgrid(np.linspace(-0.05, 0.05, 60), np.linspace(-0.05, 0.05, 60)), np.zeros((60, 60))], axis=-1).reshape(-1, 3)
    sphere = shapes.surface_points(shapes.ball([0, 0, -0.03], 0.02))
    assert shapes.contact_shift(sphere, wall, [0, 0, -1], gap=0.0) == pytest.approx(-0.01, abs=5e-4)
    assert shapes.contact_shift(sphere + [0, 0, 0.03], wall, [0, 0, -1], gap=0.001) == pytest.approx(0.021, abs=5e-4)
    assert shapes.contact_shift(sphere + [1, 0, 0], wall, [0, 0, -1]) == 0.0


def test_stretched_cloth_encloses_its_points() -> None:
    points = np.random.default_rng(0).normal(0, [0.05, 0.08, 0.06], (500, 3))
    cloth = shapes.Stretched(points, [0.01, 0, 0])
    way, length = shapes.unit(points - [0.01, 0, 0]), np.linalg.norm(points - [0.01, 0, 0], axis=1)
    assert (cloth.radius(way) > length - 1e-6).all()
    sphere = shapes.Stretched(0.1 * way, [0, 0, 0])
    assert sphere.radius(way).max() < 0.1015
