"""Simulated samples: densities within bounds, the same for the same seed."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.simulation import samples
from napari_deep3d.core.simulation.samples.canvas import Canvas
from napari_deep3d.core.simulation.samples.nuclei import chromatin, draw_nuclei
from napari_deep3d.core.types import FloatArray, Shape, Spacing

SHAPE, SPACING_UM = (12, 40, 44), (0.4, 0.15, 0.15)
KINDS = get_args(samples.DrawnKind)
BOUNDS = samples.SampleBounds()
EXTREMES = {
    "fine": ((24, 48, 44), (0.15, 0.06, 0.06)),
    "middle": ((24, 60, 64), (0.4, 0.15, 0.15)),
    "coarse": ((24, 60, 64), (2.0, 0.8, 0.8)),
    "even": ((24, 40, 40), (0.1, 0.1, 0.1)),
    "thin": ((8, 90, 90), (0.5, 0.2, 0.2)),
}


def check(sample: FloatArray, shape: Shape) -> None:
    assert sample.shape == shape
    assert sample.dtype == np.float32
    assert np.isfinite(sample).all()
    assert sample.min() >= 0
    assert sample.any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", EXTREMES)
def test_sample_is_a_density_whose_bright_parts_are_about_one(kind: samples.DrawnKind, case: str) -> None:
    shape, spacing_um = EXTREMES[case]
    for seed in range(3):
        sample = samples.draw(np.random.default_rng(seed), kind, shape, spacing_um, BOUNDS)
        check(sample, shape)
        assert 0.3 < np.percentile(sample[sample > 0], 99.9) < 3


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(KINDS),
    st.tuples(st.integers(1, 20), st.integers(1, 40), st.integers(1, 40)),
    st.floats(0.06, 0.8),
    st.floats(1, 4),
    st.integers(0, 2**32),
)
def test_sample_of_any_field(kind: samples.DrawnKind, shape: Shape, lateral: float, ratio: float, seed: int) -> None:
    check(samples.draw(np.random.default_rng(seed), kind, shape, (lateral * ratio, lateral, lateral), BOUNDS), shape)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_sample_other_seed_another(kind: samples.DrawnKind) -> None:
    first, again, other = (samples.draw(np.random.default_rng(s), kind, SHAPE, SPACING_UM, BOUNDS) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("spacing_um", [(0.15, 0.06, 0.06), SPACING_UM, (2.0, 0.8, 0.8)], ids=str)
def test_autofluorescence_has_mean_one(spacing_um: Spacing) -> None:
    for seed in range(4):
        glow = samples.draw_autofluorescence(np.random.default_rng(seed), SHAPE, spacing_um, BOUNDS.autofluorescence)
        check(glow, SHAPE)
        assert glow.mean() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("grain_um", [0.05, 0.5, 1.5])
def test_noise_has_its_deviation_and_its_grain(grain_um: float) -> None:
    step = 0.1
    noise = Canvas.blank(np.random.default_rng(0), (120, 120, 120), (step, step, step)).noise(grain_um)
    sigma = np.sqrt(grain_um**2 + step**2 / 12)
    assert noise.std() == pytest.approx((grain_um / sigma) ** 1.5, rel=0.2)
    alike = np.mean(noise[:, :, 3:] * noise[:, :, :-3]) / noise.var()
    assert alike == pytest.approx(np.exp(-((3 * step / sigma) ** 2) / 4), abs=0.1)


def nuclei(seed: int, shape: Shape, step_um: float) -> FloatArray:
    canvas = Canvas.blank(np.random.default_rng(seed), shape, (step_um, step_um, step_um))
    draw_nuclei(canvas, BOUNDS.nuclei)
    return canvas.density


def test_structures_have_their_size_in_um_whatever_the_voxels() -> None:
    shares = []
    for step, shape in ((0.4, (15, 30, 30)), (0.2, (30, 60, 60))):
        drawn = [nuclei(s, shape, step) for s in range(12)]
        shares.append(np.mean([(one > 0.1).mean() for one in drawn]))
    assert shares[0] == pytest.approx(shares[1], rel=0.25)


def test_chromatin_is_positive_with_mean_one() -> None:
    texture = chromatin(Canvas.blank(np.random.default_rng(0), SHAPE, SPACING_UM), BOUNDS.nuclei)
    assert texture.min() > 0
    assert texture.mean() == pytest.approx(1, rel=1e-3)
    assert texture.std() > 0.1
