"""Pieces of real confocal stacks as samples: background removed, true size."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep3d.core.simulation import samples
from napari_deep3d.core.simulation.samples.real import ConfocalBounds

SHAPE, SPACING_UM = (12, 40, 44), (0.4, 0.15, 0.15)
BOUNDS = ConfocalBounds()


@pytest.mark.parametrize("have", [(30, 60, 70), (5, 20, 90)], ids=["larger", "smaller"])
def test_sample_from_a_confocal_stack(have: tuple[int, int, int]) -> None:
    stack = np.random.default_rng(5).gamma(1.0, 500.0, have).astype(np.uint16)
    for seed in range(4):
        sample = samples.from_confocal(np.random.default_rng(seed), SHAPE, SPACING_UM, stack, None, BOUNDS)
        assert sample.shape == SHAPE
        assert sample.dtype == np.float32
        assert sample.min() >= 0
        assert sample.max() <= 1.5**1.6 + 1e-3
        assert (sample == 0).mean() > 0.1  # its background is removed
        assert sample.std() > 0.05


def test_constant_confocal_stack_gives_no_nan() -> None:
    sample = samples.from_confocal(
        np.random.default_rng(0), SHAPE, SPACING_UM, np.full((20, 50, 50), 7, np.uint8), SPACING_UM, BOUNDS
    )
    assert np.isfinite(sample).all()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spacing_um", [(0.6, 0.1, 0.1), (0.6, 0.4, 0.4)], ids=["finer", "coarser"])
def test_structures_keep_their_size_in_um(seed: int, spacing_um: tuple[float, float, float]) -> None:
    period_um, own_um = 3.0, (0.5, 0.2, 0.2)
    wave = 1 + np.sin(2 * np.pi * np.arange(400) * 0.2 / period_um)
    stack = np.broadcast_to((100 * wave[:, None] * wave).astype(np.float32), (20, 400, 400))
    sample = samples.from_confocal(np.random.default_rng(seed), (10, 128, 128), spacing_um, stack, own_um, BOUNDS)
    profile = sample[5].mean(axis=0)
    power = np.abs(np.fft.rfft((profile - profile.mean()) * np.hanning(128), 4096))
    found_um = 4096 * spacing_um[2] / power.argmax()
    low, high = BOUNDS.magnification
    assert low * 0.96 < found_um / period_um < high * 1.04


def test_coarser_voxels_do_not_alias() -> None:
    noise = np.random.default_rng(0).uniform(0, 1000, (20, 300, 300)).astype(np.float32)
    spread = []
    for step in (0.1, 0.8):
        rng, own_um = np.random.default_rng(1), (0.5, 0.1, 0.1)
        drawn = samples.from_confocal(rng, (4, 30, 30), (0.5, step, step), noise, own_um, BOUNDS)
        spread.append(drawn.std())
    assert spread[1] < 0.4 * spread[0]


def test_small_stack_is_mirrored_on() -> None:
    ramp = np.broadcast_to(np.arange(1.0, 21.0, dtype=np.float32), (3, 20, 20))
    sample = samples.from_confocal(np.random.default_rng(3), (9, 70, 70), SPACING_UM, ramp, SPACING_UM, BOUNDS)
    assert sample.shape == (9, 70, 70)
    assert np.abs(np.diff(sample, axis=1)).max() < 0.3
    assert np.abs(np.diff(sample, axis=2)).max() < 0.3
