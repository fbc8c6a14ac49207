"""Calibration: monotone, kept by JSON, and right where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from napari_deep3d.core.evaluation.uncertainty import RAW, SPREAD_WINDOW, Calibration, Spread, fit_calibration

factors = st.floats(0, 100)
calibrations = st.builds(Calibration, floor=factors, per_spread=factors, per_intensity=factors)
amounts = hnp.arrays(np.float32, 20, elements=st.floats(0, 10, width=32))


@settings(deadline=None)
@given(calibrations, amounts, amounts, amounts)
def test_expected_error_never_falls_with_spread_or_intensity(calibration, spread, more, prediction) -> None:
    expected = calibration.expected_error(spread, prediction)
    assert expected.dtype == np.float32
    assert (expected >= calibration.floor * (1 - 1e-6) - 1e-18).all()  # smaller squares are 0 in float32
    slack = 1 - 1e-6
    assert (calibration.expected_error(spread + more, prediction) >= slack * expected).all()
    assert (calibration.expected_error(spread, prediction + more) >= slack * expected).all()


def test_curve_mends_what_the_formula_cannot_say() -> None:
    """Errors that grow less than the spread: part by part, the mean error is told all the same."""
    rng = np.random.default_rng(0)
    spread = rng.gamma(0.5, 0.1, 40_000)
    prediction = np.zeros_like(spread)
    error = np.abs(rng.laplace(0, 1, spread.size)) * np.minimum(0.02 + spread, 0.1)
    found = fit_calibration(spread, prediction, error, pairs=1)
    expected = found.expected_error(spread, prediction)
    plain = found.model_copy(update={"curve": ()}).expected_error(spread, prediction)
    parts = np.array_split(np.argsort(plain), 8)
    off = [max(abs(e[part].mean() / error[part].mean() - 1) for part in parts) for e in (expected, plain)]
    assert off[0] < 0.1 < off[1]


def test_curve_rises_and_goes_on_beyond_its_end() -> None:
    calibration = Calibration(floor=0.0, per_spread=1, per_intensity=0, curve=((0.1, 0.2), (0.2, 0.2), (0.4, 0.3)))
    spread = np.array([0.0, 0.1, 0.15, 0.3, 0.4, 0.8], np.float32)
    expected = calibration.expected_error(spread, np.zeros_like(spread))
    np.testing.assert_allclose(expected, [0.2, 0.2, 0.2, 0.25, 0.3, 0.6], rtol=1e-5)
    for wrong in ([(0.1, 0.2), (0.2, 0.1)], [(0.2, 0.1), (0.1, 0.2)], [(0.1, np.nan)], [(0.0, 0.1)]):
        with pytest.raises(ValidationError):
            Calibration(floor=0, per_spread=1, per_intensity=0, curve=wrong)


@given(calibrations)
def test_calibration_survives_json(calibration) -> None:
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration


@given(amounts, amounts)
def test_without_calibration_the_spread_stands_for_itself(spread, prediction) -> None:
    np.testing.assert_allclose(RAW.expected_error(spread, prediction), spread, rtol=1e-6, atol=1e-20)


@pytest.mark.parametrize("wrong", [{"floor": -1}, {"per_spread": np.nan}, {"per_intensity": np.inf}, {"knots": 3}])
def test_nonsense_is_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        Calibration(**{"floor": 0, "per_spread": 1, "per_intensity": 0} | wrong)


@settings(deadline=None, max_examples=30)
@given(hnp.arrays(np.float32, (4, 5, 6, 7), elements=st.floats(0, 1, width=32)))
def test_spread_is_mean_and_standard_deviation(predictions) -> None:
    spread = Spread()
    for prediction in predictions:
        spread.add(prediction)
    np.testing.assert_allclose(spread.mean, predictions.mean(axis=0), atol=1e-6)
    variance = np.pad(predictions.astype(float).var(axis=0, ddof=1), SPREAD_WINDOW // 2, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(variance, (SPREAD_WINDOW,) * 3).mean(axis=(3, 4, 5))
    np.testing.assert_allclose(spread.deviation() ** 2, around, atol=1e-5)
    parts = [spread.deviation(planes) for planes in (slice(0, 1), slice(1, 4), slice(4, None))]
    np.testing.assert_allclose(np.concatenate(parts), spread.deviation(), atol=1e-6)


def test_one_prediction_has_no_spread() -> None:
    spread = Spread()
    spread.add(np.ones((3, 3, 3), np.float32))
    assert not spread.deviation().any()


@pytest.mark.parametrize("noise", ["laplace", "normal"])
def test_fitted_errors_are_those_to_expect(noise: str) -> None:
    """Whatever the distribution of the errors, each part of the voxels has on average the error that was told."""
    rng = np.random.default_rng(0)
    spread, prediction = rng.gamma(0.5, 0.05, (2, 40_000))
    truth = Calibration(floor=0.01, per_spread=2, per_intensity=0.3)
    size = truth.expected_error(spread, prediction)
    mean_size = {"laplace": 1.0, "normal": np.sqrt(2 / np.pi)}[noise]
    error = np.abs(getattr(rng, noise)(0, 1, size.size)) * size
    found = fit_calibration(spread, prediction, error, pairs=7)
    assert found.pairs == 7
    expected = found.expected_error(spread, prediction)
    for part in np.array_split(np.argsort(expected), 5):
        assert expected[part].mean() == pytest.approx(error[part].mean(), rel=0.08)
    for name in ("floor", "per_spread", "per_intensity"):
        assert getattr(found, name) == pytest.approx(mean_size * getattr(truth, name), rel=0.15)


def test_errors_of_zero_can_be_fitted() -> None:
    nothing = np.zeros(100)
    found = fit_calibration(nothing, nothing, nothing, pairs=1)
    assert 0 < found.floor < 1e-3
