"""Simulated samples: densities within bounds, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep3d.core import samples

SHAPE, SPACING_UM = (12, 40, 44), (0.4, 0.15, 0.15)
DRAWN = {"nuclei": samples.nuclei, "neurons": samples.neurons}


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("seed", range(8))
def test_sample_is_a_finite_density_of_about_one(kind: str, seed: int) -> None:
    sample = DRAWN[kind](np.random.default_rng(seed), SHAPE, SPACING_UM)
    assert sample.shape == SHAPE
    assert sample.dtype == np.float32
    assert np.isfinite(sample).all()
    assert sample.min() >= 0
    assert sample.max() < 30


@pytest.mark.parametrize("kind", DRAWN)
def test_same_seed_same_sample_other_seed_another(kind: str) -> None:
    first, again, other = (DRAWN[kind](np.random.default_rng(seed), SHAPE, SPACING_UM) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_structures_have_their_size_in_um_whatever_the_voxels() -> None:
    shares = []
    for step, shape in ((0.4, (15, 30, 30)), (0.2, (30, 60, 60))):
        drawn = [samples.nuclei(np.random.default_rng(s), shape, (step, step, step)) for s in range(6)]
        shares.append(np.mean([(one > 0.1).mean() for one in drawn]))
    assert shares[0] == pytest.approx(shares[1], rel=0.25)


def test_chromatin_is_positive_with_mean_one() -> None:
    texture = samples.chromatin(np.random.default_rng(0), SHAPE, SPACING_UM)
    assert texture.min() > 0
    assert texture.mean() == pytest.approx(1, rel=1e-3)
    assert texture.std() > 0.1


def test_tube_follows_its_path_and_has_its_radius() -> None:
    density = np.zeros((21, 41, 81), np.float32)
    path = np.stack([np.full(300, 2.0), np.full(300, 2.0), np.linspace(1, 7, 300)], axis=1)  # along x, in um
    samples.stamp_tube(density, (0.2, 0.1, 0.1), path, np.full(300, 0.5), 0.8)
    assert density.max() == pytest.approx(0.8)
    bright = density > 0.4
    area_um2 = bright[:, :, 40].sum() * 0.2 * 0.1
    assert area_um2 == pytest.approx(np.pi * 0.5**2, rel=0.15)
    centre = np.argwhere(bright[:, :, 40]).mean(axis=0) * (0.2, 0.1)
    np.testing.assert_allclose(centre, (2.0, 2.0), atol=0.05)
    assert not density[:, :, :4].any()
    assert not density[:, :, 77:].any()


def test_crossing_tubes_do_not_add_up() -> None:
    once, twice = np.zeros((9, 20, 20), np.float32), np.zeros((9, 20, 20), np.float32)
    path = np.stack([np.full(50, 1.0), np.full(50, 2.0), np.linspace(0, 4, 50)], axis=1)
    samples.stamp_tube(once, (0.2, 0.2, 0.2), path, np.full(50, 0.3), 1.0)
    for _ in range(2):
        samples.stamp_tube(twice, (0.2, 0.2, 0.2), path, np.full(50, 0.3), 1.0)
    np.testing.assert_array_equal(once, twice)


def test_thin_tube_is_dim_in_proportion_to_its_radius() -> None:
    peaks = []
    for radius in (0.025, 0.05, 0.1):
        density = np.zeros((9, 20, 20), np.float32)
        path = np.stack([np.full(50, 1.0), np.full(50, 2.0), np.linspace(0, 4, 50)], axis=1)
        samples.stamp_tube(density, (0.2, 0.2, 0.2), path, np.full(50, radius), 1.0)
        peaks.append(density.max())
    assert peaks[0] < peaks[1] < peaks[2] < 1.01


def test_tube_may_leave_the_stack() -> None:
    density = np.zeros((5, 10, 10), np.float32)
    path = np.stack([np.linspace(-5, 5, 100)] * 3, axis=1)
    samples.stamp_tube(density, (0.2, 0.2, 0.2), path, np.full(100, 0.4), 1.0)
    assert density[2, 2, 2] == pytest.approx(1)


@pytest.mark.parametrize("have", [(30, 60, 70), (5, 20, 90)], ids=["larger", "smaller"])
def test_sample_from_a_confocal_stack(have: tuple[int, int, int]) -> None:
    stack = np.random.default_rng(5).gamma(1.0, 500.0, have).astype(np.uint16)
    for seed in range(4):
        sample = samples.from_confocal(np.random.default_rng(seed), SHAPE, stack)
        assert sample.shape == SHAPE
        assert sample.dtype == np.float32
        assert sample.min() >= 0
        assert sample.max() <= 1.5**1.6 + 1e-3
        assert (sample == 0).mean() > 0.1  # its background is removed
        assert sample.std() > 0.05


def test_constant_confocal_stack_gives_no_nan() -> None:
    sample = samples.from_confocal(np.random.default_rng(0), SHAPE, np.full((20, 50, 50), 7, np.uint8))
    assert np.isfinite(sample).all()
