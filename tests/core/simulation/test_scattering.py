"""Scattering and absorption: limits of the theory, energy, depth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deep3d.core.simulation.scattering import Tissue, confocal_loss, depths_um, modulation, scatter

TISSUE = Tissue(50.0, 0.9, 1.0, np.inf, 0.0, True)
SPACING = (0.5, 0.2, 0.2)
lengths = st.floats(5.0, 500.0)
anisotropies = st.floats(0.7, 0.99)


@given(lengths, anisotropies, st.floats(0.1, 100.0), st.floats(0.0, 1.0))
def test_modulation_falls_from_all_light_to_the_unscattered(path: float, g: float, depth: float, kept: float) -> None:
    tissue = Tissue(path, g, kept, np.inf, 0.0, True)
    k = np.geomspace(1e-9, 1e4, 60)
    m = modulation(k, depth, tissue)
    ballistic = np.exp(-depth / path)
    assert (np.diff(m) <= 1e-12).all()
    assert m[0] == pytest.approx(ballistic + kept * (1 - ballistic), rel=1e-4)
    assert m[-1] >= ballistic * (1 - 1e-9)


def test_one_scattering_has_the_transform_of_henyey_and_greenstein() -> None:
    """To first order in d / l the lost modulation is the mean of 1 - exp(-a k s) over the path."""
    thin = replace(TISSUE, mean_free_path_um=1e6)
    k, depth, a = np.array([0.5, 2.0, 10.0]), 20.0, 0.1 / np.sqrt(0.9)
    s = (np.arange(20_000) + 0.5) / 20_000 * depth
    lost = (1 - np.exp(-a * k[:, None] * s)).mean(axis=1) * depth / 1e6
    np.testing.assert_allclose(1 - modulation(k, depth, thin), lost, rtol=1e-3)


def test_forward_scattering_blurs_less() -> None:
    k = np.geomspace(0.1, 10, 20)
    assert (modulation(k, 30.0, replace(TISSUE, anisotropy=0.97)) > modulation(k, 30.0, TISSUE)).all()


def test_light_is_kept_where_all_of_it_is_collected() -> None:
    sample = np.random.default_rng(0).random((8, 40, 40), dtype=np.float32)
    depths = depths_um(8, 5.0, True)
    out = scatter(sample, TISSUE, SPACING, depths)
    assert out.min() >= 0
    np.testing.assert_allclose(out.sum(axis=(1, 2)), sample.sum(axis=(1, 2)), rtol=1e-4)
    dim = scatter(sample, replace(TISSUE, absorption_um=20.0), SPACING, depths)
    np.testing.assert_allclose(dim.sum(axis=(1, 2)), sample.sum(axis=(1, 2)) * np.exp(-depths / 20), rtol=1e-4)


def test_deeper_planes_are_hazier_at_either_end() -> None:
    sample = np.zeros((6, 64, 64), np.float32)
    sample[:, 24:40, 24:40] = 1
    for last in (True, False):
        out = scatter(sample, TISSUE, SPACING, depths_um(6, 6.0, last))
        haze = out[:, 24:40, :20].sum(axis=(1, 2))
        haze = haze if last else haze[::-1]
        assert haze[0] == pytest.approx(0, abs=1e-3)
        assert (np.diff(haze) > 0).all()


def test_blurred_light_is_a_gaussian_around_its_source_and_the_rest_stays_there() -> None:
    tissue = replace(TISSUE, blur_um=1.5)
    sample = np.zeros((41, 61, 61), np.float32)
    sample[20, 30, 30] = 1
    depths = np.full(41, 25.0)
    out = scatter(sample, tissue, (0.5, 0.4, 0.4), depths)
    ballistic = np.exp(-25 / 50)
    assert out.sum() == pytest.approx(1, rel=0.01)
    assert out[20, 30, 30] == pytest.approx(ballistic, rel=0.02)
    out[20, 30, 30] = out[20, 30, 29]
    for axis, step in enumerate((0.5, 0.4, 0.4)):
        place = (np.arange(out.shape[axis]) - out.shape[axis] // 2) * step
        profile = out.sum(axis=tuple(other for other in range(3) if other != axis))
        assert np.sqrt((profile * place**2).sum() / profile.sum()) == pytest.approx(1.5, rel=0.05)


def test_clear_tissue_changes_nothing() -> None:
    sample = np.random.default_rng(0).random((4, 16, 16), dtype=np.float32)
    clear = replace(TISSUE, mean_free_path_um=np.inf)
    assert clear.is_clear
    np.testing.assert_array_equal(scatter(sample, clear, SPACING, depths_um(4, 10.0, True)), sample)


def test_confocal_loss_is_both_ways_and_can_be_made_up_for() -> None:
    depths = depths_um(5, 10.0, True)
    np.testing.assert_allclose(confocal_loss(TISSUE, 0.0, depths), np.exp(-2 * depths / 50), rtol=1e-5)
    np.testing.assert_array_equal(confocal_loss(TISSUE, 1.0, depths), 1)
