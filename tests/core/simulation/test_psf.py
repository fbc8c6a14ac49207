"""Point spread functions: laws of optics, and convolution with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.simulation import psf as optics
from napari_deep3d.core.simulation.microscope import Microscope

SPACING_UM = (0.3, 0.1, 0.1)
PLANES = 15


@pytest.fixture(scope="module")
def scope() -> Microscope:
    return Microscope(sample_index=1.333)


@pytest.fixture(scope="module")
def widefield(scope: Microscope) -> np.ndarray:
    return optics.widefield_psf(scope, SPACING_UM, PLANES)


@pytest.fixture(scope="module")
def confocal(scope: Microscope) -> np.ndarray:
    return optics.confocal_psf(scope, SPACING_UM, PLANES)


@pytest.fixture(scope="module")
def weak(scope: Microscope) -> np.ndarray:
    return optics.widefield_psf(Microscope(numerical_aperture=0.8, sample_index=1.333), SPACING_UM, PLANES)


def width(profile: np.ndarray) -> float:
    """Full width at half maximum in samples, by linear interpolation."""
    fine = np.interp(np.linspace(0, len(profile) - 1, 2001), np.arange(len(profile)), profile)
    return float((fine >= fine.max() / 2).mean() * (len(profile) - 1))


def test_psfs_are_densities(widefield: np.ndarray, confocal: np.ndarray) -> None:
    for psf in (widefield, confocal):
        assert psf.dtype == np.float32
        assert psf.shape[0] == PLANES
        assert psf.shape[1] == psf.shape[2]
        assert psf.shape[1] % 2 == 1
        assert psf.min() >= 0
        assert psf.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)


def test_psfs_without_mismatch_peak_in_the_middle_and_are_symmetric(
    widefield: np.ndarray, confocal: np.ndarray
) -> None:
    for psf in (widefield, confocal):
        middle = tuple(n // 2 for n in psf.shape)
        assert np.unravel_index(psf.argmax(), psf.shape) == middle
        for axis in range(3):
            np.testing.assert_allclose(psf, np.flip(psf, axis), atol=0.02 * psf.max())


def test_no_plane_of_the_widefield_psf_loses_light(widefield: np.ndarray) -> None:
    planes = widefield.sum(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(planes, 1 / PLANES, rtol=1e-3)


def test_confocal_rejects_light_from_out_of_focus(widefield: np.ndarray, confocal: np.ndarray) -> None:
    planes = confocal.sum(axis=(1, 2), dtype=np.float64)
    assert planes[0] < 0.05 * planes.max()
    middle = (slice(None), confocal.shape[1] // 2, confocal.shape[2] // 2)
    centre = widefield.shape[1] // 2
    assert width(confocal[middle]) < 0.9 * width(widefield[:, centre, centre])


def test_confocal_is_no_wider_laterally(widefield: np.ndarray, confocal: np.ndarray) -> None:
    wide, narrow = (psf[PLANES // 2, psf.shape[1] // 2] for psf in (widefield, confocal))
    assert width(narrow) < width(wide)


def test_width_follows_the_aperture(widefield: np.ndarray, weak: np.ndarray) -> None:
    middle = widefield.shape[1] // 2
    assert width(widefield[PLANES // 2, middle]) < width(weak[PLANES // 2, middle])
    assert width(widefield[:, middle, middle]) < width(weak[:, middle, middle])


def test_lateral_width_is_the_diffraction_limit(weak: np.ndarray) -> None:
    assert width(weak[PLANES // 2, weak.shape[1] // 2]) * 0.1 == pytest.approx(0.51 * 0.52 / 0.8, rel=0.12)


def test_smaller_pinhole_rejects_more(scope: Microscope, confocal: np.ndarray) -> None:
    open_wide = optics.confocal_psf(Microscope(sample_index=1.333, pinhole_airy=4.0), SPACING_UM, PLANES)
    planes, open_planes = (psf.sum(axis=(1, 2), dtype=np.float64) for psf in (confocal, open_wide))
    assert planes[PLANES // 2] > 1.05 * open_planes[PLANES // 2]


def test_pinhole_of_one_airy_unit_is_the_first_dark_ring(scope: Microscope, monkeypatch: pytest.MonkeyPatch) -> None:
    radii: list[float] = []
    pinhole = optics.pinhole
    monkeypatch.setattr(optics, "pinhole", lambda radius, pixel: radii.append(radius) or pinhole(radius, pixel))
    optics.confocal_psf(scope, SPACING_UM, 3)
    assert radii == [pytest.approx(0.61 * scope.emission_um / scope.numerical_aperture)]


@pytest.mark.parametrize("spacing_um", [(0.3, 0.1, 0.1), (0.3, 0.3, 0.3), (0.5, 0.55, 0.55)])
def test_coarse_pixels_gather_the_light_of_fine_ones(scope: Microscope, spacing_um: tuple[float, float, float]) -> None:
    psf = optics.widefield_psf(scope, spacing_um, 3)
    assert psf.shape[1] % 2 == 1
    assert np.unravel_index(psf.argmax(), psf.shape) == tuple(n // 2 for n in psf.shape)
    times = scope.fineness(spacing_um)
    assert times % 2 == 1
    assert spacing_um[1] / times <= scope.excitation_um / (3.2 * scope.numerical_aperture)
    assert psf[1].max() == pytest.approx(optics.widefield_psf(scope, spacing_um, 1).max() / 3, rel=1e-3)


def test_measured_psf_keeps_its_size_in_um_on_other_voxels() -> None:
    z, y, x = np.mgrid[-20:21, -40:41, -40:41]
    ball = np.exp(-((z * 0.2) ** 2 / 2 + ((y * 0.1) ** 2 + (x * 0.1) ** 2) / (2 * 0.3**2)))
    measured = optics.MeasuredPsf(
        (100 + 1000 * np.roll(ball, (2, 3, -4), (0, 1, 2))).astype(np.float32), (0.2, 0.1, 0.1)
    )
    psf = measured.on_grid((0.3, 0.15, 0.15), 61)
    assert psf.shape[0] == 61
    assert psf.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    assert np.unravel_index(psf.argmax(), psf.shape) == tuple(n // 2 for n in psf.shape)
    np.testing.assert_allclose(psf.sum(axis=(1, 2)), 1 / 61, rtol=1e-4)
    assert width(psf[30, psf.shape[1] // 2]) * 0.15 == pytest.approx(2.355 * 0.3, rel=0.06)
    confocal = optics.confocal_from_widefield(psf, Microscope(), (0.3, 0.15, 0.15))
    assert confocal.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    assert confocal[30].sum() > 3 * psf[30].sum()


@pytest.mark.parametrize(("aperture", "index"), [(1.4, 1.333), (1.333, 1.333), (0.0, 1.0), (-0.5, 1.0)])
def test_aperture_must_fit_the_immersion(aperture: float, index: float) -> None:
    with pytest.raises(InputError, match=rf"NA {aperture} does not fit an immersion of refractive index {index}"):
        Microscope(numerical_aperture=aperture, immersion_index=index)


@pytest.mark.parametrize(("radius_um", "pixel_um"), [(0.5, 0.1), (0.26, 0.1), (1.0, 0.07)])
def test_pinhole_is_a_disc_of_the_right_area(radius_um: float, pixel_um: float) -> None:
    disc = optics.pinhole(radius_um, pixel_um)
    assert disc.sum() == pytest.approx(1, abs=1e-5)
    assert disc.shape[0] == disc.shape[1]
    assert disc.shape[0] % 2 == 1
    area_um2 = pixel_um**2 / disc.max()  # pixels fully inside hold 1 / area
    assert area_um2 == pytest.approx(np.pi * radius_um**2, rel=0.05)
    np.testing.assert_array_equal(disc, disc.T)
    assert disc[0].sum() == 0


@pytest.mark.parametrize("place", [(4, 20, 21), (0, 0, 0)])
@pytest.mark.parametrize("shape", [(9, 33, 36), (8, 32, 32)])
def test_point_becomes_the_psf(place: tuple[int, int, int], shape: tuple[int, int, int]) -> None:
    psf = np.random.default_rng(0).random((5, 7, 9), dtype=np.float32)
    sample = np.zeros(shape, np.float32)
    sample[place] = 2
    image = optics.convolve(sample, psf)
    expected = np.zeros(shape, np.float32)
    expected[:5, :7, :9] = 2 * psf
    shift = [p - n // 2 for p, n in zip(place, psf.shape, strict=True)]
    np.testing.assert_allclose(image, np.roll(expected, shift, (0, 1, 2)), atol=1e-5)


def test_convolution_conserves_light_and_has_no_negatives(confocal: np.ndarray) -> None:
    sample = np.random.default_rng(1).random((16, 70, 80), dtype=np.float32)
    image = optics.convolve(sample, confocal)
    assert image.shape == sample.shape
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.sum(dtype=np.float64) == pytest.approx(sample.sum(dtype=np.float64), rel=1e-4)


def test_psf_larger_than_the_sample_wraps_round_and_keeps_its_light() -> None:
    psf = np.random.default_rng(0).random((9, 9, 9), dtype=np.float32)
    sample = np.random.default_rng(1).random((5, 6, 7), dtype=np.float32)
    expected = optics.convolve(np.tile(sample, (3, 3, 3)), psf)[5:10, 6:12, 7:14]
    np.testing.assert_allclose(optics.convolve(sample, psf), expected, rtol=1e-4)


def test_open_ended_convolution_loses_light_above_and_below() -> None:
    psf = np.random.default_rng(0).random((9, 5, 5), dtype=np.float32)
    sample = np.zeros((6, 8, 8), np.float32)
    sample[5, 4, 4] = 1
    image = optics.convolve(sample, psf, open_ended=True)
    np.testing.assert_allclose(image[1:, 2:7, 2:7], psf[:5], atol=1e-5)
    np.testing.assert_allclose(image[0], 0, atol=1e-5)
