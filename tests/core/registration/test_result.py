"""Confidence: what speaks for a shift raises it, what speaks against it lowers it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.registration.result import Evidence, concentration, confidence_of

few = settings(deadline=None, max_examples=80)
prominences = st.floats(1.5, 300)
drifts = st.floats(0.12, 3.5)
concentrations = st.floats(0.03, 0.9)


def confidence(prominence: float, drift: float, share: float) -> float:
    return confidence_of(Evidence(prominence, np.array([0.0, drift, 0.5 * drift]), share))


@few
@given(prominences, drifts, concentrations, st.floats(1.05, 2))
def test_confidence_rises_with_prominence_and_concentration_and_falls_with_drift(
    prominence, drift, share, more
) -> None:
    usual = confidence(prominence, drift, share)
    assert 0 < usual < 1
    assert confidence(more * prominence, drift, share) > usual
    assert confidence(prominence, drift, min(1.0, more * share)) > usual
    assert confidence(prominence, more * drift, share) < usual


@few
@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(-1, 2))
def test_any_evidence_gives_a_chance(prominence, drift, share) -> None:
    assert np.isfinite(Evidence(prominence, np.full(3, drift), share).features()).all()
    assert 0 <= confidence(prominence, drift, share) <= 1


def test_drift_along_any_axis_counts() -> None:
    axes = [confidence_of(Evidence(20.0, 2.0 * np.eye(3)[axis], 0.5)) for axis in range(3)]
    assert axes[0] == axes[1] == axes[2] < confidence_of(Evidence(20.0, np.zeros(3), 0.5))


def test_sure_and_hopeless_cases() -> None:
    assert confidence(100, 0.1, 0.8) > 0.9
    assert confidence(5, 3, 0.1) < 0.1


@pytest.mark.parametrize("place", [(4, 5, 6), (0, 0, 0), (8, 10, 12), (0, 10, 6)])
def test_one_bright_lag_is_all_the_light(place: tuple[int, int, int]) -> None:
    psf = np.zeros((9, 11, 13), np.float32)
    psf[place] = 3
    assert concentration(psf) == 1
    psf[:] = 0
    assert concentration(psf) == 0


def test_concentration_is_the_share_within_two_voxels() -> None:
    psf = np.ones((9, 11, 13), np.float32)
    psf[4, 5, 6] = 2
    assert concentration(psf) == pytest.approx((5**3 + 1) / (psf.size + 1))


@few
@given(st.integers(0, 1000), st.floats(0.1, 100))
def test_concentration_is_a_share_and_knows_no_unit(seed, scale) -> None:
    psf = np.random.default_rng(seed).exponential(size=(5, 9, 9)).astype(np.float32)
    assert 0 < concentration(psf) <= 1
    assert concentration((scale * psf).astype(np.float32)) == pytest.approx(concentration(psf), rel=1e-4)
