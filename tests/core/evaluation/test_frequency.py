"""Spectra, ring correlation and sharpness: a grating, band-limited noise, a ramp."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage as ndi

from napari_deep3d.core import InputError, NoData, finish
from napari_deep3d.core.evaluation import blocks
from napari_deep3d.core.evaluation.blocks import fourier_boxes
from napari_deep3d.core.evaluation.resolution import measure_resolution
from napari_deep3d.core.evaluation.ring_correlation import measure_ring_correlation, measure_shell_correlation
from napari_deep3d.core.evaluation.sharpness import measure_sharpness, sharpness
from napari_deep3d.core.evaluation.spectrum import measure_axial_spectrum, measure_lateral_spectrum, plane_power

SPACING_UM = (0.2, 0.1, 0.1)


def band_limited(shape: tuple[int, ...], highest: float, seed: int, axes: tuple[int, ...]) -> np.ndarray:
    """Noise of deviation 1 without frequencies above a share of Nyquist's along some axes together."""
    noise = np.random.default_rng(seed).normal(size=shape)
    squares = ((2 * np.abs(scipy.fft.fftfreq(n))) ** 2 if i in axes else np.zeros(n) for i, n in enumerate(shape))
    radius = np.sqrt(sum(np.ix_(*squares)))
    image = scipy.fft.ifftn(scipy.fft.fftn(noise) * (radius <= highest)).real
    return image / image.std()


def grating(period_px: float, axis: int, shape: tuple[int, int, int] = (16, 64, 96)) -> np.ndarray:
    phase = 2 * np.pi * np.arange(shape[axis]) / period_px
    wave = np.sin(phase).reshape([-1 if i == axis else 1 for i in range(3)])
    return np.asarray(np.broadcast_to(5 + 2 * wave, shape), np.float32)


def test_power_sums_to_the_variance() -> None:
    noise = np.random.default_rng(0).normal(3, 2, (6, 96, 80)).astype(np.float32)
    found = finish(measure_lateral_spectrum(noise))
    assert found.power.sum() == pytest.approx(4, rel=0.1)
    assert plane_power(grating(8, 2)[0]).sum() == pytest.approx(2, rel=0.05)
    assert plane_power(noise).sum() == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize(("period", "frequency"), [(8.0, 0.25), (3.2, 0.625)])
def test_a_grating_is_a_peak_at_its_frequency(period: float, frequency: float) -> None:
    for axis in (1, 2):
        found = finish(measure_lateral_spectrum(grating(period, axis)))
        where, power = found.curve()
        assert where[power.argmax()] == pytest.approx(frequency, abs=0.05)
        assert found.high_frequency_share() == pytest.approx(float(frequency > 0.5), abs=0.02)
        assert found.high_frequency_sum() == pytest.approx(2 * float(frequency > 0.5), abs=0.1)


def test_high_frequencies_of_white_noise_are_three_quarters_of_its_power() -> None:
    noise = np.random.default_rng(0).normal(size=(4, 128, 128)).astype(np.float32)
    assert finish(measure_lateral_spectrum(noise)).high_frequency_share() == pytest.approx(0.75, abs=0.02)


def test_along_and_across_z(monkeypatch: pytest.MonkeyPatch) -> None:
    for box in ((96, 192, 192), (16, 32, 32)):
        monkeypatch.setattr(blocks, "FOURIER_BOX", box)
        found = finish(measure_axial_spectrum(grating(4, 0, (32, 64, 64))))
        row, column = np.unravel_index(np.nanargmax(found.power), found.power.shape)
        assert found.along[row] == pytest.approx(0.5, abs=0.01)
        assert found.across[column] < 0.1
        found = finish(measure_axial_spectrum(grating(8, 2, (32, 64, 64))))
        row, column = np.unravel_index(np.nanargmax(found.power), found.power.shape)
        assert found.along[row] == 0
        assert found.across[column] == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("highest", [0.3, 0.6])
def test_ring_correlation_ends_where_the_common_band_does(highest: float) -> None:
    common = band_limited((4, 128, 128), highest, 0, (1, 2))
    rng = np.random.default_rng(1)
    noisy = [common + 0.3 * rng.normal(size=common.shape) for _ in range(2)]
    found = finish(measure_ring_correlation(*noisy, SPACING_UM))
    ring = found.frequency[1] - found.frequency[0]
    assert 0 <= 1 / found.resolution_um - highest / 0.2 < 2.5 * ring  # windows leak into the rings beside the band
    within = found.frequency < 0.9 * highest / 0.2
    # The band has all of its power within a circle, the noise the same at all frequencies.
    signal = 1 / (np.pi * highest**2 / 4)
    assert np.mean(found.values[within]) == pytest.approx(signal / (signal + 0.09), abs=0.02)
    assert np.abs(np.mean(found.values[found.frequency > 1.1 * highest / 0.2])) < 0.05


def test_shell_correlation_in_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    common = band_limited((32, 64, 64), 0.5, 0, (0, 1, 2))  # shares of each Nyquist frequency: isotropic in voxels
    rng = np.random.default_rng(1)
    noisy = [common + 0.3 * rng.normal(size=common.shape) for _ in range(2)]
    for box in ((96, 192, 192), (32, 32, 32)):
        monkeypatch.setattr(blocks, "FOURIER_BOX", box)
        found = finish(measure_shell_correlation(*noisy, (0.1, 0.1, 0.1)))
        ring = found.frequency[1] - found.frequency[0]
        assert 0 <= 1 / found.resolution_um - 2.5 < 2.5 * ring
    assert found.frequency.max() < 5
    assert finish(measure_shell_correlation(*noisy, (0.2, 0.1, 0.1))).frequency.max() < 2.5


def test_equal_and_unrelated_stacks() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 4, 128, 128))
    same = finish(measure_ring_correlation(first, first, SPACING_UM))
    assert same.values == pytest.approx(1, abs=1e-5)
    assert same.resolution_um == pytest.approx(0.2)
    unrelated = finish(measure_ring_correlation(first, second, SPACING_UM))
    assert np.isnan(unrelated.resolution_um) or unrelated.resolution_um > 2  # the first rings hold few frequencies
    assert np.abs(unrelated.values[10:]).max() < 0.2
    with pytest.raises(InputError, match="cannot be compared"):
        finish(measure_ring_correlation(first, second[1:], SPACING_UM))


def test_decorrelation_finds_the_edge_of_a_band() -> None:
    """Within and across planes, whatever their order, and read plane by plane."""
    for highest in (0.3, 0.6):
        stack = band_limited((64, 96, 96), highest, 0, (0, 1, 2))
        stack = stack + 0.02 * np.random.default_rng(1).normal(size=stack.shape)
        found = finish(measure_resolution(stack, SPACING_UM))
        assert found.lateral_um == pytest.approx(2 * 0.1 / highest, rel=0.1)
        assert found.axial_um == pytest.approx(2 * 0.2 / highest, rel=0.15)


def test_sharpness_of_ramps_and_of_nothing() -> None:
    plane = np.zeros((96, 128), np.float32)
    plane += np.maximum(0, 3 * (np.arange(128) - 64)) + 2 * np.maximum(0, np.arange(96) - 48)[:, None]
    assert sharpness(plane) == pytest.approx((5, 0))
    assert sharpness(plane[:, 70:]) == pytest.approx((5, 3))
    assert sharpness(-plane[:, 70:]) == pytest.approx((5, 3))


def test_sharpness_of_small_planes_and_of_those_with_blank_parts() -> None:
    rng = np.random.default_rng(0)
    stack = rng.random((3, 64, 80), dtype=np.float32)
    assert sharpness(stack[0, :20, :20])[0] == pytest.approx(
        np.mean(np.abs(np.gradient(stack[0, :20, :20], axis=0)) + np.abs(np.gradient(stack[0, :20, :20], axis=1)))
    )
    blank = np.zeros(stack.shape, bool)
    blank[:, :, :30] = True
    blank[1] = True
    expected = finish(measure_sharpness(stack, NoData.of(blank, (0.0,))))
    spoilt = np.where(blank, 0, stack)
    found = finish(measure_sharpness(spoilt, NoData.of(blank, (0.0,))))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.isnan(found.signal[1])
    assert found.background[0] > 0.2 > finish(measure_sharpness(spoilt)).background[0]


def test_blur_lowers_sharpness() -> None:
    stack = np.random.default_rng(0).random((4, 64, 64), dtype=np.float32)
    stack[2:] = ndi.gaussian_filter(stack[2:], (0, 2, 2))
    found = finish(measure_sharpness(stack))
    assert found.signal[:2].min() > 3 * found.signal[2:].max()


@pytest.mark.parametrize("shape", [(7, 30, 500), (97, 193, 400)])
def test_few_fourier_boxes_make_up_the_stack(shape: tuple[int, int, int]) -> None:
    counts = np.zeros(shape, dtype=int)
    for box in fourier_boxes(shape):
        counts[box] += 1
    assert counts.min() > 0


def test_many_fourier_boxes_are_spread_from_corner_to_corner() -> None:
    shape = (76, 2048, 2048)
    boxes = fourier_boxes(shape)
    assert len(boxes) == blocks.FOURIER_BOXES
    assert {box.shape for box in boxes} == {(76, 192, 192)}
    assert boxes[0].start == (0, 0, 0)
    assert boxes[-1].stop == shape
