"""The sub-voxel lag: known shifts are found, and the answer follows the stacks as a shift must."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.events import drain, never
from napari_deep3d.core.registration.cross_spectrum import CrossSpectra, Lag, cross_spectra, high_pass, phase_of
from napari_deep3d.core.registration.subpixel import (
    SubpixelShift,
    find_subpixel_shift,
    lag_window,
    parabola,
    refine_peak,
)
from napari_deep3d.core.types import DoubleArray, FloatArray
from tests.helpers.registration import cut, fourier_shift, texture

few = settings(deadline=None, max_examples=60)
FIELD, START, SIZE = (44, 128, 128), (10, 20, 20), (24, 80, 80)


@pytest.fixture(scope="module")
def field() -> FloatArray:
    return texture(0, FIELD)


def spectra_of(confocal: FloatArray, widefield: FloatArray, lag: Lag = (0, 0, 0)) -> CrossSpectra:
    return drain(cross_spectra(confocal, widefield, lag, stop=never))


def delay_of(confocal: FloatArray, widefield: FloatArray, lag: Lag = (0, 0, 0)) -> SubpixelShift:
    return find_subpixel_shift(spectra_of(confocal, widefield, lag))


@pytest.mark.parametrize(
    "lag", [(0.0, 0.0, 0.0), (-2.4, 0.1, 3.6), (0.5, -0.5, 0.5), (3.3, 7.25, -6.8), (0.05, 1.5, -0.95)]
)
def test_known_shift_is_found_to_a_fraction_of_a_voxel(field, lag) -> None:
    confocal, widefield = cut(field, START, SIZE), cut(fourier_shift(field, lag), START, SIZE)
    place = tuple(round(v) for v in lag)
    np.testing.assert_allclose(delay_of(confocal, widefield, place).lag, np.subtract(lag, place), atol=0.05)
    # Tiles cut elsewhere share less and are faded at other places: not as exact, but on the same voxel.
    np.testing.assert_allclose(delay_of(confocal, widefield).lag, lag, atol=0.15)


def test_known_shift_is_found_in_noise(field) -> None:
    lag, rng = (1.3, -2.6, 0.4), np.random.default_rng(3)
    confocal, widefield = cut(field, START, SIZE), cut(fourier_shift(field, lag), START, SIZE)
    noisy = widefield + rng.normal(size=SIZE).astype(np.float32)
    np.testing.assert_allclose(delay_of(confocal, noisy).lag, lag, atol=0.05)


def test_moving_the_wide_field_stack_moves_the_lag_with_it(field) -> None:
    lag, moved = (0.6, -1.3, 2.2), (-2, 3, 1)
    shifted = fourier_shift(field, lag)
    confocal = cut(field, START, SIZE)
    z, y, x = (a - d for a, d in zip(START, moved, strict=True))
    one = delay_of(confocal, cut(shifted, START, SIZE)).lag
    other = delay_of(confocal, cut(shifted, (z, y, x), SIZE), moved).lag + moved
    np.testing.assert_allclose(other - one, moved, atol=0.05)


def test_lag_is_on_top_of_where_the_tiles_were_cut(field) -> None:
    lag = np.array([2.4, -3.3, 4.2])
    confocal, widefield = cut(field, START, SIZE), cut(fourier_shift(field, tuple(lag)), START, SIZE)
    at_place = delay_of(confocal, widefield, (2, -3, 4))
    np.testing.assert_allclose(at_place.lag, lag - (2, -3, 4), atol=0.05)


def test_swapped_stacks_give_the_opposite_lag(field) -> None:
    confocal, widefield = cut(field, START, SIZE), cut(fourier_shift(field, (1.2, -2.3, 0.7)), START, SIZE)
    there, back = delay_of(confocal, widefield), delay_of(widefield, confocal)
    np.testing.assert_allclose(there.lag, -back.lag, atol=0.02)
    assert there.prominence == pytest.approx(back.prominence, rel=0.1)


def test_brightness_does_not_matter(field) -> None:
    confocal, widefield = cut(field, START, SIZE), cut(fourier_shift(field, (1.2, -2.3, 0.7)), START, SIZE)
    one, other = delay_of(confocal, widefield), delay_of(100 * confocal + 7, 0.01 * widefield + 300)
    np.testing.assert_allclose(one.lag, other.lag, atol=1e-2)


def test_lag_beyond_the_reach_is_not_looked_at(field) -> None:
    confocal, widefield = cut(field, START, SIZE), cut(fourier_shift(field, (0, 9, 0)), START, SIZE)
    assert np.abs(find_subpixel_shift(spectra_of(confocal, widefield), (2, 4, 4)).lag).max() <= 5
    np.testing.assert_allclose(
        find_subpixel_shift(spectra_of(confocal, widefield), (2, 12, 12)).lag, (0, 9, 0), atol=0.05
    )


def test_match_stands_out_only_of_stacks_that_belong_together(field) -> None:
    confocal, widefield = cut(field, START, SIZE), cut(fourier_shift(field, (0.4, 1.1, -0.6)), START, SIZE)
    rng = np.random.default_rng(1)
    clean = delay_of(confocal, widefield).prominence
    noisy = delay_of(confocal, widefield + 3 * rng.normal(size=SIZE).astype(np.float32)).prominence
    unrelated = delay_of(confocal, cut(texture(9, FIELD), START, SIZE)).prominence
    assert clean > noisy > unrelated
    assert noisy > 14 > unrelated


def test_error_reaches_the_cramer_rao_bound_and_the_deviation_tells_it() -> None:
    shape, lag, sigma = (16, 48, 48), (0.3, -0.4, 0.2), 2.0
    image = texture(0, shape, (0.5, 0.5, 0.5))
    moved, errors, deviations = fourier_shift(image, lag), [], []
    for seed in range(12):
        noise = sigma * np.random.default_rng(100 + seed).normal(size=shape).astype(np.float32)
        found = find_subpixel_shift(drain(cross_spectra(image, moved + noise, (0, 0, 0), faded=False, stop=never)))
        errors.append(found.lag - lag)
        deviations.append(found.deviation)
    power = np.abs(np.fft.fftn(image)) ** 2 / image.size
    waves = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    bound = np.array([sigma / np.sqrt(np.sum((2 * np.pi * k) ** 2 * power)) for k in waves])
    assert np.sqrt(np.mean(np.square(errors / bound))) < 1.5
    np.testing.assert_allclose(np.mean(deviations, axis=0) / bound, 1.15, atol=0.25)


def test_stacks_without_anything_in_common_have_no_finite_deviation() -> None:
    flat = np.zeros((8, 24, 24), np.float32)
    found = delay_of(texture(0, (8, 24, 24)), flat)
    assert np.isinf(found.deviation).all()
    assert found.prominence == 0


# The maximum of a correlation


@few
@given(
    st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    st.tuples(*[st.floats(0.1, 10)] * 3),
    st.tuples(*[st.integers(1, 3)] * 3),
)
def test_parabola_is_exact_for_a_quadratic(vertex, bend, peak) -> None:
    places = np.meshgrid(*(np.arange(5) - p for p in peak), indexing="ij")
    values = 3 - sum(b * (x - v) ** 2 for b, x, v in zip(bend, places, vertex, strict=True))
    np.testing.assert_allclose(parabola(values, peak), vertex, atol=1e-6)


def test_parabola_stays_at_a_border_and_on_a_plateau() -> None:
    rising = np.arange(27.0).reshape(3, 3, 3)
    assert (parabola(rising, (2, 2, 2)) == 0).all()
    assert (parabola(np.ones((3, 3, 3)), (1, 1, 1)) == 0).all()


@few
@given(st.tuples(st.floats(-3, 3), st.floats(-5, 5), st.floats(-5, 5)), st.sampled_from([(9, 20, 22), (8, 21, 23)]))
def test_refined_peak_is_that_of_the_continuous_correlation(lag, shape) -> None:
    # A correlation with its one peak at the lag: a Gaussian spectrum times the lag's phase.
    spectrum = (1 - high_pass(shape, (0.6, 0.8, 0.8))) * np.conj(phase_of(shape, np.array(lag)))
    found = refine_peak(spectrum, shape, np.round(lag))
    np.testing.assert_allclose(found, lag, atol=0.01)


@pytest.mark.parametrize("shape", [(9, 20, 23), (10, 21, 22)])
@pytest.mark.parametrize("seed", range(4))
def test_refined_peak_is_higher_than_its_surroundings(seed: int, shape: Lag) -> None:
    match = texture(seed, shape, (1.2, 1.5, 1.5))
    index = np.array(np.unravel_index(int(match.argmax()), shape), dtype=np.float64)
    spectrum, waves = np.fft.fftn(match), np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")

    def height(lag: DoubleArray) -> float:
        """The correlation between its samples, by the whole Fourier series."""
        phase = sum(k * d for k, d in zip(waves, lag, strict=True))
        return float(np.sum(spectrum * np.exp(2j * np.pi * phase)).real)

    found = refine_peak(scipy.fft.rfftn(match).astype(np.complex64), shape, index)
    assert np.abs(found - index).max() <= 1
    for step in 0.05 * np.concatenate([np.eye(3), -np.eye(3)]):
        assert height(found) > height(found + step)


def test_window_of_lags_is_cut_out_around_the_lag() -> None:
    shape, lag, radius = (9, 14, 16), np.array([1.4, -3.0, 2.6]), (2, 3, 1)
    values = np.random.default_rng(0).normal(size=shape)
    window = lag_window(scipy.fft.rfftn(values).astype(np.complex64), shape, lag, radius)
    indices = [np.arange(-r, r + 1) + round(d) for r, d in zip(radius, lag, strict=True)]
    np.testing.assert_allclose(window, values[np.ix_(*indices)], atol=1e-4)
