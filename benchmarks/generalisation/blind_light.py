"""The light of the blind simulator: four lenses, PSFs that change from plane to plane, forward scattering, camera.

Written apart from the program's own simulator and from the foreign one. Every plane of the sample meets its own PSF,
which the library psfmodels computes at a few depths: scalar (Gibson and Lanni, J. Opt. Soc. Am. A 8, 1601, 1991) or
vectorial (Aguet, EPFL thesis, 2009), with an index mismatch that counts from the surface, which is the first plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import psfmodels
import scipy.fft
from numpy.typing import NDArray
from scipy.special import j1

from napari_deep3d.core import DoubleArray, FloatArray, Spacing

Model = Literal["scalar", "vectorial"]
KNOTS = 4
"""Depths at which PSFs are computed; between them they are interpolated, each about its own best focus."""
CONFOCAL_PLANES, CONFOCAL_PIXELS = 41, 61
COVERSLIP_UM = 170.0
ANISOTROPY = 0.9
"""Mean cosine of a scattering in tissue (Jacques, Phys. Med. Biol. 58, R37, 2013)."""
BRIGHT_PERCENTILE = 99.9
CAMERA_OFFSET = 100.0
COUNTS_PER_ELECTRON = 2.2


@dataclass(frozen=True)
class Lens:
    """An objective on its camera: what it is made for, the indices of what it looks at, and its voxels."""

    name: str
    numerical_aperture: float
    immersion_index: float
    sample_indices: tuple[float, float]
    spacing_um: Spacing


LENSES = (
    Lens("air-0.80", 0.8, 1.0, (1.34, 1.40), (0.8, 0.325, 0.325)),
    Lens("glycerol-1.30", 1.3, 1.451, (1.40, 1.45), (0.3, 0.103, 0.103)),
    Lens("water-0.95", 0.95, 1.333, (1.34, 1.39), (0.7, 0.26, 0.26)),
    Lens("oil-1.42", 1.42, 1.515, (1.45, 1.50), (0.25, 0.108, 0.108)),
)
"""20x, 63x, 25x and 60x, with camera pixels of 6.5 um; indices from water to tissue, or of mounting media."""
LASERS_UM = ((0.405, 0.455), (0.488, 0.525), (0.561, 0.6), (0.64, 0.68))
"""Excitation, and the middle of the filter that goes with it."""


@dataclass(frozen=True)
class Exposure:
    """What one pair is imaged with.

    Attributes
    ----------
    lens
        The objective and its voxels.
    model
        Scalar or vectorial PSF.
    sample_index
        Refractive index from the surface on.
    excitation_um, emission_um
        Vacuum wavelengths.
    coverslip_error_um
        By how much the coverslip is thicker than the lens, or its collar, expects.
    pinhole_airy
        Diameter of the confocal pinhole in Airy units.
    scattering_um
        Mean free path of light between two scatterings.
    photons, background
        At the brightest voxels; even light as a share of these.
    read_noise
        Deviation in electrons of the middle one of the camera's pixels.
    bleached
        Share of the light that is lost from the first plane to the last.
    """

    lens: Lens
    model: Model
    sample_index: float
    excitation_um: float
    emission_um: float
    coverslip_error_um: float
    pinhole_airy: float
    scattering_um: float
    photons: float
    background: float
    read_noise: float
    bleached: float


def point_spreads(exposure: Exposure, depth_um: float, reach: tuple[int, int], pixels: int) -> tuple[FloatArray, ...]:
    """Wide-field and confocal PSF of a point at a depth, axes (Z, Y, X), both about the best focus of its emission.

    Planes are the stage's: ``reach`` before the best focus, the focus, ``reach`` after it. Of wide-field every plane
    holds all light; the brightest confocal plane has sum 1, since the laser is turned up with depth.
    """
    step = exposure.lens.spacing_um[0]
    search = depth_um + np.linspace(-0.5, 0.5, 401) * (6 + 0.5 * depth_um)
    axis = _at_focus(exposure, exposure.emission_um, depth_um, search, 1)[:, 0, 0]
    heights = float(search[int(axis.argmax())]) + np.arange(-reach[0], reach[1] + 1) * step
    wide = _even(_at_focus(exposure, exposure.emission_um, depth_um, heights, pixels))
    near = slice(max(reach[0] - CONFOCAL_PLANES // 2, 0), reach[0] + CONFOCAL_PLANES // 2 + 1)
    side = min(CONFOCAL_PIXELS, pixels)
    inner = slice((pixels - side) // 2, (pixels + side) // 2)
    laser = _even(_at_focus(exposure, exposure.excitation_um, depth_um, heights[near], side))
    confocal = np.zeros_like(wide)
    confocal[near, inner, inner] = laser * _through_pinhole(wide[near], exposure)[:, inner, inner]
    confocal /= confocal.sum(axis=(1, 2)).max()
    return wide, confocal


def images(sample: FloatArray, exposure: Exposure, planes: int) -> tuple[FloatArray, FloatArray]:
    """Wide-field and confocal image of the first planes of a sample, without noise, axes (Z, Y, X).

    Parameters
    ----------
    sample
        Brightness of its voxels, the first plane at the surface; sideways it repeats.
    exposure
        What it is imaged with.
    planes
        Of the images; what lies deeper in the sample only shines into them.
    """
    depths = np.arange(len(sample)) * exposure.lens.spacing_um[0]
    last, plane = len(sample) - 1, sample.shape[1:]
    knots = np.linspace(0, depths[-1], KNOTS)
    pixels = min(plane) - 1 + min(plane) % 2
    spreads = [point_spreads(exposure, float(knot), (last, planes - 1), pixels) for knot in knots]
    wide_knots, confocal_knots = (
        np.stack([_transfer(psf, plane) for psf in psfs]) for psfs in zip(*spreads, strict=True)
    )
    frequency = np.hypot(
        scipy.fft.fftfreq(plane[0], exposure.lens.spacing_um[1])[:, None],
        scipy.fft.rfftfreq(plane[1], exposure.lens.spacing_um[2]),
    )
    spectra = scipy.fft.rfft2(sample)
    wide, confocal = (np.zeros((planes, *spectra.shape[1:]), np.complex64) for _ in range(2))
    for number, depth in enumerate(depths):
        seen = slice(last - number, last - number + planes)
        weights = np.array([np.interp(depth, knots, row) for row in np.eye(KNOTS)], np.float32)
        haze = scattered(frequency, float(depth), exposure.scattering_um)
        wide += np.tensordot(weights, wide_knots[:, seen], 1) * (spectra[number] * haze)
        confocal += np.tensordot(weights, confocal_knots[:, seen], 1) * spectra[number]
    first, second = (np.maximum(scipy.fft.irfft2(image, s=plane), 0) for image in (wide, confocal))
    return first.astype(np.float32), second.astype(np.float32)


def scattered(frequency: DoubleArray, depth_um: float, mean_free_path_um: float) -> FloatArray:
    """What forward scattering leaves of each lateral frequency (per um) of light from a depth; 1 at frequency 0.

    Wells (J. Opt. Soc. Am. 59, 686, 1969): each layer at a distance s from the source blurs by s times the angles that
    it scatters to. For the angles of Henyey and Greenstein (Astrophys. J. 93, 70, 1941), when small, the integral over
    the layers has a closed form: what is not scattered stays sharp, and the haze has tails longer than a Gaussian.
    """
    width = (1 - ANISOTROPY) / np.sqrt(ANISOTROPY)
    turn = np.maximum(2 * np.pi * width * depth_um * frequency, 1e-6)
    kept = np.exp(-depth_um / mean_free_path_um * (1 + np.expm1(-turn) / turn))
    return np.asarray(kept, dtype=np.float32)


def expose(rng: np.random.Generator, image: FloatArray, exposure: Exposure) -> FloatArray:
    """What a scientific CMOS camera makes of an image, in counts: photons, read noise of each pixel, an offset."""
    brightest = float(np.percentile(image, BRIGHT_PERCENTILE))
    left = np.linspace(1, 1 - exposure.bleached, len(image), dtype=np.float32)[:, None, None]
    electrons = rng.poisson(exposure.photons * left * (image / brightest + exposure.background))
    pixels = exposure.read_noise * rng.lognormal(0, 0.25, image.shape[1:])
    counts = CAMERA_OFFSET + COUNTS_PER_ELECTRON * (electrons + pixels * rng.standard_normal(image.shape))
    return np.asarray(counts, dtype=np.float32)


def _at_focus(
    exposure: Exposure, wavelength_um: float, depth_um: float, focus_um: NDArray[np.floating[Any]], pixels: int
) -> FloatArray:
    """Image of a point at a depth for every height of the focus, axes (focus, Y, X)."""
    lens = exposure.lens
    psf = psfmodels.make_psf(
        focus_um.tolist(),
        pixels,
        dxy=lens.spacing_um[1],
        pz=depth_um,
        NA=lens.numerical_aperture,
        wvl=wavelength_um,
        ns=exposure.sample_index,
        ni=lens.immersion_index,
        ni0=lens.immersion_index,
        tg=COVERSLIP_UM + exposure.coverslip_error_um,
        tg0=COVERSLIP_UM,
        model=exposure.model,
    )
    return np.asarray(psf, dtype=np.float32)


def _even(psf: FloatArray) -> FloatArray:
    return np.asarray(psf / psf.sum(axis=(1, 2), keepdims=True), dtype=np.float32)


def _through_pinhole(psf: FloatArray, exposure: Exposure) -> FloatArray:
    """Light that a round pinhole lets through when the laser is at each voxel: a convolution with its disc."""
    height, width = psf.shape[1:]
    pixel = exposure.lens.spacing_um[1]
    radius = exposure.pinhole_airy * 0.61 * exposure.emission_um / exposure.lens.numerical_aperture
    frequency = np.hypot(scipy.fft.fftfreq(height, pixel)[:, None], scipy.fft.rfftfreq(width, pixel))
    edge = np.maximum(2 * np.pi * radius * frequency, 1e-6)
    through = scipy.fft.irfft2(scipy.fft.rfft2(psf) * (2 * j1(edge) / edge), s=(height, width))
    return np.asarray(np.maximum(through, 0), dtype=np.float32)


def _transfer(psf: FloatArray, plane: tuple[int, ...]) -> FloatArray:
    """Lateral spectrum of every plane of a PSF on the pixels of an image; real, because a round PSF is symmetric."""
    whole = np.zeros((len(psf), *plane), np.float32)
    whole[:, : psf.shape[1], : psf.shape[2]] = psf
    centred = np.roll(whole, [-(n // 2) for n in psf.shape[1:]], axis=(1, 2))
    return np.asarray(scipy.fft.rfft2(centred).real, dtype=np.float32)
