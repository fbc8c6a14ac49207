"""From spectra to lags: correlation by definition, the convention of lags, known shifts that are found."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage as ndi
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_deep3d.core.events import Progress, StoppedError, drain, never
from napari_deep3d.core.registration.cross_spectrum import (
    AXIAL_SHELLS,
    LATERAL_SHELLS,
    MAX_COHERENCE,
    CrossSpectra,
    Lag,
    SubpixelShift,
    fade_window,
    fast_shape,
    find_subpixel_shift,
    frequencies,
    gather_spectra,
    high_pass,
    highest_lag,
    lag_window,
    measure_shells,
    parabola,
    phase_of,
    refine_peak,
    shared_boxes,
    shell_labels,
    tile_starts,
)
from napari_deep3d.core.types import DoubleArray, FloatArray
from tests.helpers.registration import cut, fourier_shift, texture

few = settings(deadline=None, max_examples=60)
sizes = st.tuples(*[st.integers(1, 12)] * 3)
lags = st.tuples(*[st.integers(-14, 14)] * 3)


def noise(seed: int, shape: tuple[int, ...]) -> FloatArray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@few
@given(sizes, sizes, lags)
def test_shared_boxes_hold_every_index_whose_lagged_index_exists(confocal, widefield, lag) -> None:
    expected = [
        [i for i in range(n) if 0 <= i + shift < m] for n, m, shift in zip(confocal, widefield, lag, strict=True)
    ]
    boxes = shared_boxes(confocal, widefield, lag)
    if boxes is None:
        assert any(not indices for indices in expected)
    else:
        own, other = ([list(range(b.start, b.stop)) for b in box] for box in boxes)
        assert own == expected
        assert other == [[i + shift for i in axis] for axis, shift in zip(expected, lag, strict=True)]


@few
@given(st.integers(1, 3000), st.integers(4, 400))
def test_tiles_cover_the_length_and_overlap(size, tile) -> None:
    starts = tile_starts(size, tile)
    length = min(size, tile)
    assert starts[0] == 0
    assert starts[-1] + length == size
    for before, after in pairwise(starts):
        assert before < after <= before + 0.85 * tile + 1


@pytest.mark.parametrize("lag", [(0, 0, 0), (1, -2, 3)])
def test_cross_spectrum_of_one_tile_is_the_cross_correlation(lag: tuple[int, int, int]) -> None:
    confocal, widefield, reach = noise(0, (7, 10, 9)), noise(1, (8, 11, 13)), (2, 3, 3)
    spectra = drain(gather_spectra(confocal, widefield, lag, faded=False, padding=reach, stop=never))
    boxes = shared_boxes(confocal.shape, widefield.shape, lag)
    assert boxes is not None
    own, other = confocal[boxes[0]], widefield[boxes[1]]
    offsets = [np.arange(-r, r + 1) for r in reach]

    def at_lags(spectrum: NDArray[np.generic]) -> DoubleArray:
        return np.asarray(scipy.fft.irfftn(spectrum, s=spectra.shape)[np.ix_(*offsets)])

    def by_definition(a: FloatArray, b: FloatArray) -> DoubleArray:
        """Sum over i of a[i] b[i + lag]."""
        full = scipy.signal.correlate(b, a, mode="full", method="direct")
        return np.asarray(full[np.ix_(*(o + n - 1 for o, n in zip(offsets, a.shape, strict=True)))])

    assert spectra.lag == lag
    np.testing.assert_allclose(at_lags(spectra.cross), by_definition(own, other), atol=1e-3)
    np.testing.assert_allclose(at_lags(spectra.confocal), by_definition(own, own), atol=1e-3)
    np.testing.assert_allclose(at_lags(spectra.widefield), by_definition(other, other), atol=1e-3)


def test_spectra_are_the_sum_over_tiles() -> None:
    confocal, widefield = noise(0, (6, 30, 20)), noise(1, (6, 30, 20))
    whole = drain(gather_spectra(confocal, widefield, (0, 0, 0), tile=(6, 12, 20), stop=never))
    total = np.zeros_like(whole.cross)
    for start in tile_starts(30, 12):
        part = slice(start, start + 12)
        total += drain(gather_spectra(confocal[:, part], widefield[:, part], (0, 0, 0), stop=never)).cross
    assert len(tile_starts(30, 12)) > 1
    np.testing.assert_allclose(whole.cross, total, atol=1e-3)


def test_faded_tiles_do_not_see_a_constant_background() -> None:
    confocal, widefield = noise(0, (6, 16, 16)), noise(1, (6, 16, 16))
    plain = drain(gather_spectra(confocal, widefield, (0, 0, 0), stop=never))
    brighter = drain(gather_spectra(confocal + 50, widefield - 20, (0, 0, 0), stop=never))
    np.testing.assert_allclose(brighter.cross, plain.cross, atol=0.05)


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"nothing is shared at lag \(0, 40, 0\)"):
        drain(gather_spectra(noise(0, (6, 16, 16)), noise(1, (6, 16, 16)), (0, 40, 0), stop=never))


def test_lag_leads_from_the_confocal_to_the_wide_field_stack() -> None:
    image, lag = noise(0, (6, 16, 18)), (1, -3, 2)
    moved = np.roll(image, lag, axis=(0, 1, 2))
    spectra = drain(gather_spectra(image, moved, (0, 0, 0), faded=False, stop=never))
    match = scipy.fft.irfftn(spectra.cross, s=spectra.shape)
    assert np.unravel_index(match.argmax(), match.shape) == tuple(d % n for d, n in zip(lag, match.shape, strict=True))


def test_phase_of_the_lag_takes_it_out_of_the_cross_spectrum() -> None:
    image, lag = texture(0, (8, 16, 18)), (0.4, -2.3, 1.7)
    spectra = drain(gather_spectra(image, fourier_shift(image, lag), (0, 0, 0), faded=False, stop=never))
    without = spectra.cross * phase_of(spectra.shape, np.array(lag))
    # fourier_shift leaves no phase at the highest frequencies, where a real image has none to give.
    np.testing.assert_allclose(without[:4, :8, :-1], spectra.confocal[:4, :8, :-1], atol=1e-3 * spectra.confocal.max())
    assert np.abs(spectra.cross - spectra.confocal).max() > 0.1 * spectra.confocal.max()


@few
@given(st.tuples(*[st.integers(1, 40)] * 3))
def test_fade_is_symmetric_and_within_0_and_1(shape) -> None:
    fade = fade_window(shape)
    assert fade.shape == shape
    assert fade.min() > 0
    assert fade.max() <= 1
    assert fade[tuple(n // 2 for n in shape)] == pytest.approx(1, abs=0.01)
    for axis in range(3):
        np.testing.assert_allclose(fade, np.flip(fade, axis), atol=1e-6)
    if min(shape) >= 20:
        assert fade[0, 0, 0] < 0.5


@few
@given(st.tuples(*[st.integers(1, 500)] * 3))
def test_fast_shape_is_no_smaller(shape) -> None:
    assert all(a >= b for a, b in zip(fast_shape(shape), shape, strict=True))


def test_frequencies_are_those_of_scipys_transform() -> None:
    shape, lag = (5, 8, 9), (2, 3, 4)
    delta = np.zeros(shape)
    delta[lag] = 1
    phase = sum(k * d for k, d in zip(frequencies(shape), lag, strict=True))
    np.testing.assert_allclose(scipy.fft.rfftn(delta), np.exp(-2j * np.pi * phase), atol=1e-12)


def test_high_pass_takes_a_gaussian_blur_away() -> None:
    image, sigma = noise(0, (16, 30, 33)), (2.0, 3.0, 4.0)
    filtered = scipy.fft.irfftn(scipy.fft.rfftn(image) * high_pass(image.shape, sigma), s=image.shape)
    expected = image - ndi.gaussian_filter(image, sigma, mode="wrap", truncate=8)
    np.testing.assert_allclose(filtered, expected, atol=1e-4)


def test_shells_hold_frequencies_of_one_size() -> None:
    labels = shell_labels((9, 16, 16))
    assert labels.min() == 0
    assert labels.max() < AXIAL_SHELLS * LATERAL_SHELLS
    np.testing.assert_array_equal(labels[1:], labels[:0:-1])  # kz and -kz
    np.testing.assert_array_equal(labels[:, :8, :8], labels[:, :8, :8].transpose(0, 2, 1))
    along_z, along_x = labels[:5, 0, 0], labels[0, 0]
    assert (np.diff(along_z) >= 0).all()
    assert (np.diff(along_x) >= 0).all()
    assert along_z[-1] > along_z[0]
    assert along_x[-1] > along_x[0]


@pytest.fixture(scope="module")
def together() -> dict[str, CrossSpectra]:
    """White noise against itself, against itself in as much noise, and against other noise."""
    image, other = noise(0, (24, 64, 64)), noise(1, (24, 64, 64))
    seconds = {"identical": image, "half": image + other, "unrelated": other}
    return {name: drain(gather_spectra(image, second, (0, 0, 0), stop=never)) for name, second in seconds.items()}


def test_coherence_is_one_of_identical_stacks_and_none_of_unrelated_ones(together: dict[str, CrossSpectra]) -> None:
    zero, coherence = np.zeros(3), {}
    for name, spectra in together.items():
        shells = measure_shells(spectra, zero)
        coherence[name] = float(shells.on_grid(shells.coherence).mean())
    assert coherence["identical"] > 0.9
    assert coherence["half"] == pytest.approx(np.sqrt(0.5), abs=0.06)
    assert coherence["unrelated"] < 0.02


def test_coherence_is_bounded_and_weighs_in(together: dict[str, CrossSpectra]) -> None:
    shells = measure_shells(together["identical"], np.zeros(3))
    assert 0 <= shells.coherence.min() <= shells.coherence.max() <= MAX_COHERENCE
    weak = measure_shells(together["half"], np.zeros(3))
    assert shells.on_grid(shells.weight).sum() > 3 * weak.on_grid(weak.weight).sum()
    assert shells.on_grid(shells.inverse_noise).sum() > 3 * weak.on_grid(weak.inverse_noise).sum()


def test_weights_are_those_of_the_likelihood() -> None:
    # Of y = x + noise, the likelihood weighs every frequency of the cross spectrum with one over the noise's power.
    image, rough = noise(2, (24, 64, 64)), noise(3, (24, 64, 64))
    expected = 1 / (1.5**2 * float(np.sum(fade_window(image.shape) ** 2)))
    shells = measure_shells(drain(gather_spectra(image, image + 1.5 * rough, (0, 0, 0), stop=never)), np.zeros(3))
    large = np.bincount(shells.labels.ravel(), minlength=shells.weight.size) > 300
    assert np.median(shells.weight[large]) == pytest.approx(expected, rel=0.2)
    assert np.median(shells.inverse_noise[large]) == pytest.approx(expected, rel=0.2)


def test_coherence_is_lost_at_a_wrong_lag(together: dict[str, CrossSpectra]) -> None:
    shells = measure_shells(together["identical"], np.array([1.0, 2.0, -2.0]))
    assert shells.on_grid(shells.coherence).mean() < 0.3


def test_coherence_does_not_depend_on_the_stacks_brightness() -> None:
    image, other = noise(0, (12, 32, 32)), noise(1, (12, 32, 32))
    zero = np.zeros(3)
    one = measure_shells(drain(gather_spectra(image, image + other, (0, 0, 0), stop=never)), zero)
    two = measure_shells(drain(gather_spectra(100 * image, 0.01 * (image + other), (0, 0, 0), stop=never)), zero)
    np.testing.assert_allclose(one.coherence, two.coherence, atol=1e-4)


def test_stop_is_asked_before_each_tile() -> None:
    answers = iter([False, True])
    told: list[object] = []
    image = noise(0, (6, 40, 40))
    with pytest.raises(StoppedError):
        drain(gather_spectra(image, image, (0, 0, 0), tile=(6, 16, 16), stop=lambda: next(answers)), told.append)
    assert len(told) == 1


@pytest.mark.parametrize(("most", "expected"), [(4, 4), (1, 1), (9, 9), (100, 9), (None, 9)])
def test_most_limits_the_tiles(most: int | None, expected: int) -> None:
    image, told = noise(0, (6, 40, 40)), []
    drain(gather_spectra(image, image, (0, 0, 0), tile=(6, 16, 16), max_tiles=most, stop=never), told.append)
    assert len(told) == expected
    assert isinstance(told[-1], Progress)
    assert told[-1].fraction == 1


def test_only_a_tile_is_read_at_a_time() -> None:
    class Watched:
        shape, dtype = (50, 1000, 1000), np.dtype(np.uint16)
        largest = 0

        def __getitem__(self, key: tuple[slice, slice, slice]) -> NDArray[np.uint16]:
            size = [box.stop - box.start for box in key]
            self.largest = max(self.largest, int(np.prod(size)))
            return np.ones(size, np.uint16)

    stack = Watched()
    drain(gather_spectra(stack, stack, (0, 0, 0), tile=(20, 50, 50), max_tiles=3, stop=never))
    assert stack.largest == 20 * 50 * 50


# The lag to a fraction of a voxel

FIELD, START, SIZE = (44, 128, 128), (10, 20, 20), (24, 80, 80)


@pytest.fixture(scope="module")
def field() -> FloatArray:
    return texture(0, FIELD)


def spectra_of(confocal: FloatArray, widefield: FloatArray, lag: Lag = (0, 0, 0)) -> CrossSpectra:
    return drain(gather_spectra(confocal, widefield, lag, stop=never))


def estimate_of(confocal: FloatArray, widefield: FloatArray, lag: Lag = (0, 0, 0)) -> SubpixelShift:
    return find_subpixel_shift(spectra_of(confocal, widefield, lag))


@pytest.mark.parametrize(
    "lag", [(0.0, 0.0, 0.0), (-2.4, 0.1, 3.6), (0.5, -0.5, 0.5), (3.3, 7.25, -6.8), (0.05, 1.5, -0.95)]
)
def test_known_shift_is_found_to_a_fraction_of_a_voxel(field, lag) -> None:
    confocal, widefield = cut(field, START, SIZE), cut(fourier_shift(field, lag), START, SIZE)
    place = tuple(round(v) for v in lag)
    np.testing.assert_allclose(estimate_of(confocal, widefield, place).lag, np.subtract(lag, place), atol=0.05)
    # Tiles cut elsewhere share less and are faded at other places: not as exact, but on the same voxel.
    np.testing.assert_allclose(estimate_of(confocal, widefield).lag, lag, atol=0.15)


def test_known_shift_is_found_in_noise(field) -> None:
    lag, rng = (1.3, -2.6, 0.4), np.random.default_rng(3)
    confocal, widefield = cut(field, START, SIZE), cut(fourier_shift(field, lag), START, SIZE)
    noisy = widefield + rng.normal(size=SIZE).astype(np.float32)
    np.testing.assert_allclose(estimate_of(confocal, noisy).lag, lag, atol=0.05)


def test_moving_the_wide_field_stack_moves_the_lag_with_it(field) -> None:
    lag, moved = (0.6, -1.3, 2.2), (-2, 3, 1)
    shifted = fourier_shift(field, lag)
    confocal = cut(field, START, SIZE)
    z, y, x = (a - d for a, d in zip(START, moved, strict=True))
    one = estimate_of(confocal, cut(shifted, START, SIZE)).lag
    other = estimate_of(confocal, cut(shifted, (z, y, x), SIZE), moved).lag + moved
    np.testing.assert_allclose(other - one, moved, atol=0.05)


def test_lag_is_on_top_of_where_the_tiles_were_cut(field) -> None:
    lag = np.array([2.4, -3.3, 4.2])
    confocal, widefield = cut(field, START, SIZE), cut(fourier_shift(field, tuple(lag)), START, SIZE)
    at_place = estimate_of(confocal, widefield, (2, -3, 4))
    np.testing.assert_allclose(at_place.lag, lag - (2, -3, 4), atol=0.05)


def test_swapped_stacks_give_the_opposite_lag(field) -> None:
    confocal, widefield = cut(field, START, SIZE), cut(fourier_shift(field, (1.2, -2.3, 0.7)), START, SIZE)
    there, back = estimate_of(confocal, widefield), estimate_of(widefield, confocal)
    np.testing.assert_allclose(there.lag, -back.lag, atol=0.02)
    assert there.prominence == pytest.approx(back.prominence, rel=0.1)


def test_brightness_does_not_matter(field) -> None:
    confocal, widefield = cut(field, START, SIZE), cut(fourier_shift(field, (1.2, -2.3, 0.7)), START, SIZE)
    one, other = estimate_of(confocal, widefield), estimate_of(100 * confocal + 7, 0.01 * widefield + 300)
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
    clean = estimate_of(confocal, widefield).prominence
    noisy = estimate_of(confocal, widefield + 3 * rng.normal(size=SIZE).astype(np.float32)).prominence
    unrelated = estimate_of(confocal, cut(texture(9, FIELD), START, SIZE)).prominence
    assert clean > noisy > unrelated
    assert noisy > 14 > unrelated


def test_error_reaches_the_cramer_rao_bound_and_the_deviation_tells_it() -> None:
    shape, lag, sigma = (16, 48, 48), (0.3, -0.4, 0.2), 2.0
    image = texture(0, shape, (0.5, 0.5, 0.5))
    moved, errors, deviations = fourier_shift(image, lag), [], []
    for seed in range(12):
        noise = sigma * np.random.default_rng(100 + seed).normal(size=shape).astype(np.float32)
        found = find_subpixel_shift(drain(gather_spectra(image, moved + noise, (0, 0, 0), faded=False, stop=never)))
        errors.append(found.lag - lag)
        deviations.append(found.deviation)
    power = np.abs(np.fft.fftn(image)) ** 2 / image.size
    waves = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    bound = np.array([sigma / np.sqrt(np.sum((2 * np.pi * k) ** 2 * power)) for k in waves])
    assert np.sqrt(np.mean(np.square(errors / bound))) < 1.5
    np.testing.assert_allclose(np.mean(deviations, axis=0) / bound, 1.15, atol=0.25)


def test_stacks_without_anything_in_common_have_no_finite_deviation() -> None:
    flat = np.zeros((8, 24, 24), np.float32)
    found = estimate_of(texture(0, (8, 24, 24)), flat)
    assert np.isinf(found.deviation).all()
    assert found.prominence == 0


# The maximum of a correlation


def test_highest_lag_is_that_between_the_bounds() -> None:
    match = np.zeros((8, 9, 10), np.float32)
    match[-3, 2, -1], match[3, 0, 0] = 2, 9  # lags (-3, 2, -1) and (3, 0, 0)
    assert highest_lag(match, (-3, -4, -4), (3, 4, 4)) == (3, 0, 0)
    assert highest_lag(match, (-3, -4, -4), (2, 4, 4)) == (-3, 2, -1)


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
