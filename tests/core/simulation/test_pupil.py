"""The pupil of a lens: orthogonal modes, energy, and agreement with an independent model of the PSF."""

from __future__ import annotations

import numpy as np
import psfmodels
import pytest

from napari_deep3d.core.simulation.pupil import MODES, point_image, spherical_phase, zernike

LENS = {"numerical_aperture": 1.2, "immersion_index": 1.333, "sample_index": 1.333, "wavelength_um": 0.52}
HEIGHTS = np.arange(-6, 7) * 0.3


def width(profile: np.ndarray) -> float:
    fine = np.interp(np.linspace(0, len(profile) - 1, 4001), np.arange(len(profile)), profile)
    return float((fine >= fine.max() / 2).mean() * (len(profile) - 1))


def test_modes_are_orthonormal_over_the_pupil() -> None:
    y, x = np.mgrid[-1:1:401j, -1:1:401j]
    rho, phi = np.hypot(y, x), np.arctan2(y, x)
    inside = rho <= 1
    modes = np.stack([mode[inside] for mode in zernike(rho, phi)])
    assert len(modes) == len(MODES)
    np.testing.assert_allclose(modes @ modes.T / inside.sum(), np.eye(len(MODES)), atol=0.02)


@pytest.mark.parametrize("aberrations", [(), (0.05, 0.02, 0.03, 0, 0, 0.04, 0.02)])
def test_every_plane_holds_the_same_light(aberrations: tuple[float, ...]) -> None:
    image = point_image(95, 0.1, HEIGHTS, aberrations=aberrations, depth_um=5.0, **LENS)
    assert image.min() >= 0
    np.testing.assert_allclose(image.sum(axis=(1, 2)), 1, rtol=1e-4)


@pytest.mark.parametrize(
    ("aperture", "index", "pixel_um", "step_um"),
    [(1.2, 1.333, 0.08, 0.2), (1.4, 1.518, 0.06, 0.15), (0.5, 1.0, 0.2, 1.0)],
)
def test_widths_agree_with_the_vectorial_model_of_psfmodels(
    aperture: float, index: float, pixel_um: float, step_um: float
) -> None:
    heights = (np.arange(31) - 15) * step_um
    ours = point_image(
        127,
        pixel_um,
        heights,
        numerical_aperture=aperture,
        immersion_index=index,
        sample_index=index,
        wavelength_um=0.52,
    )
    theirs = psfmodels.make_psf(
        31, 127, dxy=pixel_um, dz=step_um, NA=aperture, wvl=0.52, ns=index, ni=index, ni0=index, oversample_factor=3,
        model="vectorial",
    )  # fmt: skip
    assert width(ours[15, 63]) == pytest.approx(width(theirs[15, 63]), rel=0.08)
    assert width(ours[:, 63, 63]) == pytest.approx(width(theirs[:, 63, 63]), rel=0.08)


def test_aberrations_lower_the_peak_as_marechal_says() -> None:
    perfect = point_image(95, 0.1, np.zeros(1), **LENS).max()
    for mode in range(len(MODES)):
        waves = [0.0] * len(MODES)
        waves[mode] = 0.05
        strehl = point_image(95, 0.1, np.zeros(1), aberrations=waves, **LENS).max() / perfect
        assert strehl == pytest.approx(np.exp(-((2 * np.pi * 0.05) ** 2)), abs=0.03)


def test_equal_indices_bring_no_aberration_at_any_depth() -> None:
    deep = point_image(95, 0.1, HEIGHTS, depth_um=40.0, **LENS)
    np.testing.assert_allclose(deep, point_image(95, 0.1, HEIGHTS, **LENS), atol=1e-6)


def test_mismatch_aberrates_more_with_depth_without_moving_the_focus() -> None:
    lens = LENS | {"sample_index": 1.40}
    peaks = [point_image(95, 0.1, HEIGHTS, depth_um=depth, **lens).max(axis=(1, 2)) for depth in (0.0, 10.0, 40.0)]
    assert peaks[0].max() > peaks[1].max() > peaks[2].max()
    assert all(abs(int(peak.argmax()) - 6) <= 2 for peak in peaks)


def test_spherical_phase_holds_neither_a_constant_nor_a_shift_of_focus() -> None:
    sine = np.linspace(0, 1.2, 500)[None, :]
    inside = np.ones_like(sine, dtype=bool)
    phase = spherical_phase(sine, inside, 1.518, 1.36, 0.52)
    focus = 2 * np.pi / 0.52 * np.sqrt(1.36**2 - sine**2)
    assert abs(phase.mean()) < 1e-9
    assert abs((phase * (focus - focus.mean())).mean()) < 1e-6
