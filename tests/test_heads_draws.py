"""What rendered heads draw without a renderer: poses, stagings, camera rays, damage.  Needs neither anny nor warp."""

from __future__ import annotations

import numpy as np

from hpbench.geometry.camera import project
from hpbench.heads.draws import HARD_REASONS, YAW_BINS_DEG, draw_angles_deg, draw_staging
from hpbench.heads.frame import pixel_rays, rays_through
from hpbench.heads.photograph import Damage, damaged, draw_damage


def test_rays_meet_their_pixels() -> None:
    camera = np.array([[90.0, 0, 20.0], [0, 90, 11], [0, 0, 1]])
    rays = pixel_rays(camera, 32)
    seen = project(rays, np.eye(3), np.zeros(3), camera).reshape(32, 32, 2)
    np.testing.assert_allclose(seen[7, 3], [3.0, 7.0], atol=1e-9)
    np.testing.assert_allclose(rays_through(np.array([[20.0, 11.0]]), camera), [[0, 0, 1]])


def test_pose_bins_are_filled() -> None:
    rng = np.random.default_rng(0)
    angles = np.array([draw_angles_deg(rng) for _ in range(3000)])
    for low, high in YAW_BINS_DEG:
        share = ((np.abs(angles[:, 0]) >= low) & (np.abs(angles[:, 0]) < high)).mean()
        assert 0.30 < share < 0.37
    assert np.abs(angles[:, 0]).max() <= 100 and np.abs(angles[:, 1:]).max() <= 60
    assert 0.45 < (angles[:, 0] > 0).mean() < 0.55
    assert (15 < angles[:, 1:].std(axis=0)).all() and (angles[:, 1:].std(axis=0) < 24).all()
    assert ((np.abs(angles[:, 1:]) > 45).mean(axis=0) > 0.02).all()


def test_staging_of_hard_faces() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_staging(rng, hard=True) for _ in range(300)]
    assert all(staging.hard for staging in drawn)
    assert all(abs(staging.angles_deg[0]) >= 60 for staging in drawn if "profile" in staging.hard)
    assert draw_staging(rng).hard == ()
    counts = [sum(reason in staging.hard for staging in drawn) for reason in HARD_REASONS]
    assert min(counts) > 100


def test_damage() -> None:
    picture = np.tile(np.linspace(0, 1, 64)[None, :, None], (64, 1, 3))
    clean = damaged(picture, Damage(), np.random.default_rng(0))
    assert np.abs(clean - picture * 255).max() <= 0.51
    for index in range(40):
        drawn = draw_damage(np.random.default_rng(index), heavy=index % 2 == 1)
        out = damaged(picture, drawn, np.random.default_rng(0))
        assert out.shape == (64, 64, 3) and out.dtype == np.uint8
        assert np.abs(out.mean() - clean.mean()) < 8
        assert index % 2 == 0 or (drawn.noise_read >= 5 and (drawn.defocus_px or drawn.motion_px or drawn.resolution_share < 1))
