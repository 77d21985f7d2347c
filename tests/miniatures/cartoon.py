"""Cartoon heads: the mean face on a head-shaped surface, turned, shaded and painted from back to front.

Millimetres in the head frame of `hpbench.geometry.mean_face` (x to the subject's left, y down, z into the head), pixels
(0, 0) = centre of the top-left pixel.  The 68 points lie on the drawn surface, so the drawing and its labels agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from hpbench.geometry.mean_face import mean_face_68

SIZE_PX = 450
OVERSAMPLING = 2
FRACTION_BITS = 4  # of polygon corners
EYE_LIFT = 14.0  # mm: an eye bulges, so the far one is seen beyond the bridge of the nose for long
CENTRE = np.array([0.0, 0.0, 75.0])  # of the skull
RADII = np.array([73.0, 112.0, 93.0])

# RGB
SKIN = ((247, 212, 180), (238, 192, 152), (226, 174, 132), (205, 150, 104), (172, 118, 78), (140, 94, 62))
HAIR = ((46, 34, 28), (84, 56, 36), (128, 86, 46), (206, 168, 96), (120, 116, 116), (150, 70, 34))
IRIS = ((70, 110, 160), (84, 124, 84), (92, 62, 38), (60, 70, 84))
CLOTHES = ((58, 84, 128), (64, 112, 108), (86, 88, 98), (70, 96, 70), (98, 84, 132))
BACKGROUND = ((150, 176, 200), (160, 190, 178), (172, 176, 188), (128, 158, 176), (184, 186, 214), (140, 166, 150))
LIPS, NOSE, WHITE, DARK = (196, 40, 92), (226, 86, 62), (250, 250, 250), (40, 26, 28)


@dataclass(frozen=True)
class Look:
    """What makes one cartoon differ from another, colours as RGB."""

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    iris: tuple[int, int, int]
    clothes: tuple[int, int, int]
    background: tuple[tuple[int, int, int], tuple[int, int, int]]
    hairline_mm: float  # height of the hairline on the forehead (y)
    nape_mm: float  # how far the hair reaches down behind the ears (y)
    light: tuple[float, float, float]  # towards the lamp, camera frame

    @staticmethod
    def drawn_from(rng: np.random.Generator) -> Look:
        def pick(colours: tuple[tuple[int, int, int], ...]) -> tuple[int, int, int]:
            return colours[rng.integers(len(colours))]

        light = np.array([rng.uniform(-0.6, 0.6), rng.uniform(-0.7, -0.2), -0.8])
        return Look(
            pick(SKIN), pick(HAIR), pick(IRIS), pick(CLOTHES), (pick(BACKGROUND), pick(BACKGROUND)),
            float(rng.uniform(-72, -58)), float(rng.choice([48.0, 60.0, 125.0])), tuple(light / np.linalg.norm(light)),
        )  # fmt: skip


def draw_head(rotation: np.ndarray, scale: float, shift_px: np.ndarray, look: Look, rng: np.random.Generator) -> np.ndarray:
    """A head under scaled orthographic projection, as 3DMM fits have it.

    Parameters
    ----------
    rotation : (3, 3) array, head -> camera
    scale : float
        Pixels per millimetre.
    shift_px : (2,) array
        Pixel of the head origin.
    look : Look
    rng : Generator
        For the noise.

    Returns
    -------
    (450, 450, 3) uint8 array, RGB.
    """
    image = _background(look)
    _draw_body(image, rotation, scale, shift_px, look)
    painted = []  # (depth, polygon in pixels, colour): everything, sorted far to near
    for outline, colour, lift in _surface(look) + _features(look):
        turned = outline @ rotation.T
        xy = scale * turned[..., :2] + shift_px
        keep = _faces_camera(xy)
        colours = np.broadcast_to(np.asarray(colour, float), (len(outline), 3))
        if lift == 0.0:
            colours = colours * _shade(turned, look)[:, None]
        depth = turned[..., 2].mean(axis=1) - lift
        # the patches of a surface without anti-aliasing, which would let what is behind shine through their seams
        edge = cv2.LINE_8 if lift == 0.0 else cv2.LINE_AA
        tones = np.clip(colours[keep], 0, 255).tolist()
        painted += [(d, p, c, edge) for d, p, c in zip(depth[keep], _fixed_point(xy[keep]), tones, strict=True)]
    for _, polygon, tone, edge in sorted(painted, key=lambda item: -item[0]):
        cv2.fillPoly(image, [polygon], tone, edge, FRACTION_BITS)
    image = cv2.GaussianBlur(image, (0, 0), 1.0)
    image = cv2.resize(image, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA).astype(float)
    return np.clip(np.rint(image + rng.normal(0.0, 3.0, image.shape)), 0, 255).astype(np.uint8)


def _background(look: Look) -> np.ndarray:
    down, across = np.mgrid[0 : 1 : SIZE_PX * 1j, 0 : 1 : SIZE_PX * 1j].astype(np.float32)
    mix = (0.7 * down + 0.3 * across)[..., None]
    gradient = (1 - mix) * np.array(look.background[0], np.float32) + mix * np.array(look.background[1], np.float32)
    return cv2.resize(gradient.astype(np.uint8), None, fx=OVERSAMPLING, fy=OVERSAMPLING)


def _draw_body(image: np.ndarray, rotation: np.ndarray, scale: float, shift_px: np.ndarray, look: Look) -> None:
    """Shoulders that do not turn with the head, and a neck between them and it."""
    nape = scale * (rotation @ np.array([0.0, 55.0, 85.0]))[:2] + shift_px
    foot = np.array([0.6 * nape[0] + 0.4 * SIZE_PX / 2, SIZE_PX + 30.0])
    half = np.array([48.0 * scale, 0.0])
    _fill(image, np.array([nape - half, nape + half, foot + 1.25 * half, foot - 1.25 * half]), 0.72 * np.array(look.skin))
    top = nape[1] + 72.0 * scale
    around = np.linspace(0, 2 * np.pi, 60)
    body = np.stack([foot[0] + 190 * scale * np.cos(around), top + 130 * scale + 100 * scale * np.sin(around)], axis=1)
    _fill(image, np.concatenate([body[30:], body[30:][::-1] * [1, 0] + [0, 2.0 * SIZE_PX]]), np.array(look.clothes))


def _fill(image: np.ndarray, polygon_px: np.ndarray, colour: np.ndarray) -> None:
    cv2.fillPoly(image, [_fixed_point(polygon_px)], np.clip(colour, 0, 255).tolist(), cv2.LINE_AA, FRACTION_BITS)


def _fixed_point(xy: np.ndarray) -> np.ndarray:
    """Pixels of the finished image as OpenCV's fixed-point numbers in the oversampled one."""
    return np.rint(((xy + 0.5) * OVERSAMPLING - 0.5) * 2**FRACTION_BITS).astype(np.int32)


def _faces_camera(xy: np.ndarray) -> np.ndarray:
    """Which outlines (K, P, 2) run clockwise in the image: those of outward surfaces seen from outside."""
    following = np.roll(xy, -1, axis=1)
    return (xy[..., 0] * following[..., 1] - xy[..., 1] * following[..., 0]).sum(axis=1) > 0


def _shade(turned: np.ndarray, look: Look) -> np.ndarray:
    normal = np.cross(turned[:, 2] - turned[:, 0], turned[:, 3] - turned[:, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    return 0.52 + 0.46 * np.clip(-normal @ np.array(look.light), 0, None)  # x cross y is z, into the head


@cache
def _skull() -> tuple[np.ndarray, np.ndarray]:
    """Corners (K, 4, 3) of the head's patches, clockwise seen from outside, and their centres (K, 3)."""
    # fine around the nose, coarse behind
    azimuth = _steps((-16, 16, 1.6), (16, 76, 4.0), (76, 284, 11.0), (284, 344, 4.0))
    ray = _rays(azimuth, _steps((-89.9, -42, 6.0), (-42, 5, 3.3), (5, 36, 1.7), (36, 64, 3.0), (64, 89.9, 6.0)))
    points = CENTRE + ray * (_reach(ray) * _bulge()(ray.reshape(-1, 3)).reshape(ray.shape[:2]))[..., None]
    corners = _patches(points)
    return corners, corners.mean(axis=1)


@cache
def _ball() -> np.ndarray:
    """Corners (K, 4, 3) of the patches of a coarse unit sphere."""
    return _patches(_rays(_steps((0, 360, 24.0)), _steps((-89.9, 89.9, 15.0))))


def _rays(azimuth_deg: np.ndarray, height_deg: np.ndarray) -> np.ndarray:
    """Unit vectors (H, A, 3) of a grid of directions; azimuth 0 is the face's, height > 0 is down."""
    up, around = np.meshgrid(np.deg2rad(height_deg), np.deg2rad(azimuth_deg), indexing="ij")
    return np.stack([np.cos(up) * np.sin(around), np.sin(up), -np.cos(up) * np.cos(around)], axis=-1)


def _patches(points: np.ndarray) -> np.ndarray:
    return np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], axis=2).reshape(-1, 4, 3)


def _steps(*spans: tuple[float, float, float]) -> np.ndarray:
    """Grid lines from span to span (from, to, about this step)."""
    lines = [np.linspace(a, b, 1 + max(1, round((b - a) / step))) for a, b, step in spans]
    return np.concatenate([lines[0], *(line[1:] for line in lines[1:])])


def _reach(ray: np.ndarray) -> np.ndarray:
    """Distance (mm) from the centre to the plain ellipsoid along unit rays."""
    return 1.0 / np.linalg.norm(ray / RADII, axis=-1)


@cache
def _bulge() -> RBFInterpolator:
    """Factor on the ellipsoid's radius by direction, so that the surface goes through the landmarks."""
    arms = mean_face_68() - CENTRE
    rays = arms / np.linalg.norm(arms, axis=1, keepdims=True)
    factor = np.linalg.norm(arms, axis=1) / _reach(rays)
    rest = np.array([[0, -1, 0], [0, -0.8, -0.6], [0.5, -0.7, -0.5], [-0.5, -0.7, -0.5], [1, -0.3, 0.2], [-1, -0.3, 0.2], [0, 0, 1],
                     [0.7, 0, 0.7], [-0.7, 0, 0.7], [0.3, -0.55, -0.85], [-0.3, -0.55, -0.85], [0, 0.7, 0.7]], float)  # fmt: skip
    throat = np.array([[0, 1, -0.25], [0.4, 0.9, 0], [-0.4, 0.9, 0]], float)
    more = np.concatenate([rest, throat])
    more /= np.linalg.norm(more, axis=1, keepdims=True)
    factors = np.concatenate([factor, np.full(len(rest), 1.0), np.full(len(throat), 0.88)])
    return RBFInterpolator(np.concatenate([rays, more]), factors, smoothing=1e-5)


def _surface(look: Look) -> list[tuple[np.ndarray, np.ndarray, float]]:
    corners, centre = _skull()
    x, y, z = centre.T
    skin = np.tile(np.array(look.skin, float), (len(centre), 1))
    for sign in (-1, 1):  # rosy cheeks
        rosy = 0.16 * np.exp(-((x - sign * 40) ** 2 + (y - 36) ** 2) / 2 / 13**2) * (z < 30)
        skin += rosy[:, None] * (np.array([255, 120, 110]) - skin)
    tip = np.hypot(x, y - mean_face_68()[30, 1] - 1.0)
    skin += (np.clip((11.0 - tip) / 3, 0, 1) * (z < -18))[:, None] * (np.array(NOSE) - skin)
    hairy = (y < look.hairline_mm + 0.35 * np.clip(z - 10, 0, 50)) | ((z > 58 + 0.2 * np.abs(y)) & (y < look.nape_mm))
    shell = CENTRE + (corners - CENTRE) * 1.06
    hair = np.array(look.hair) * (1.0 + 0.10 * np.sin(0.35 * x + 0.12 * z))[:, None]  # strands
    ears = []
    for sign in (-1, 1):
        ears.append((_ball() * [7.0, 29.0, 17.0] + [sign * 74.0, 20.0, 70.0], 0.93 * np.array(look.skin), 0.0))
    return [(corners, skin, 0.0), *ears, (shell[hairy], hair[hairy], 0.0)]


def _features(look: Look) -> list[tuple[np.ndarray, tuple[int, int, int], float]]:
    """Flat outlines (1, P, 3) with colour and how far (mm) they are lifted towards the viewer in the painting order."""
    face = mean_face_68()
    found = []

    def add(outline: np.ndarray, colour: tuple[int, int, int], lift: float) -> None:
        outline = np.asarray(outline, float)
        if not _faces_camera(outline[None, :, :2])[0]:  # clockwise in the frontal view, on both sides of the face
            outline = outline[::-1]
        found.append((outline[None], colour, lift))

    for start in (36, 42):
        eye = face[start : start + 6]
        add(_rounded(eye), WHITE, EYE_LIFT)
        middle = eye.mean(axis=0) + [0, 0, -2.5]
        tilt = 0.22 * np.sign(middle[0])  # the iris looks a little outwards, as the lids do
        for radius, colour, lift in ((4.9, look.iris, EYE_LIFT + 1), (2.2, DARK, EYE_LIFT + 2)):
            add(middle + _circle(radius) * [1, 1, 0] + _circle(radius)[:, :1] * [0, 0, tilt], colour, lift)
        lid = _rounded(eye)[:19]
        add(np.concatenate([lid, lid[::-1] - [0, 1.8, 0]]), DARK, EYE_LIFT + 3)
    brow_colour = tuple(int(0.75 * c) for c in look.hair)
    for start in (17, 22):
        brow = face[start : start + 5]
        add(np.concatenate([brow - [0, 2.6, 0], brow[::-1] + [0, 2.6, 0]]), brow_colour, 12.0)  # type: ignore[arg-type]
    outer, inner = np.r_[48:60], np.array([60, 60, 61, 62, 63, 64, 64, 64, 65, 66, 67, 60])
    for k in range(12):
        add(face[[outer[k], outer[(k + 1) % 12], inner[(k + 1) % 12], inner[k]]], LIPS, 6.0)
    add(face[60:68], DARK, 6.5)
    for sign in (-1, 1):
        add(np.array([sign * 7.5, 44.0, -21.0]) + _circle(3.0) * [1, 0.6, 0], (90, 40, 36), 5.0)
    return found


def _circle(radius: float) -> np.ndarray:
    around = np.linspace(0, 2 * np.pi, 25)[:-1]
    return np.stack([radius * np.cos(around), radius * np.sin(around), 0 * around], axis=1)


def _rounded(points: np.ndarray) -> np.ndarray:
    """A closed smooth curve (36, 3) through 6 points, beginning at the first (Catmull-Rom)."""
    t = np.linspace(0, 1, 7)[:-1, None]
    pieces = []
    for k in range(6):
        a, b, c, d = (points[(k + j) % 6] for j in (-1, 0, 1, 2))
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate(pieces)
