"""The light of the foreign simulator: PSFs of psfmodels by depth, two kinds of haze, pinhole and camera.

Written apart from the program's own simulator, and it shares nothing with it. PSFs are those of Gibson and Lanni
(J. Opt. Soc. Am. A 8, 1601, 1991), scalar, or vectorial after Aguet (2009), as the library psfmodels computes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import psfmodels
import scipy.fft
import scipy.ndimage as ndi

from napari_deep3d.core import ComplexArray, DoubleArray, FloatArray, Shape, Spacing

Model = Literal["scalar", "vectorial"]
Haze = Literal["clear", "veil", "blur"]
SLABS = 4
"""Depths at which PSFs are computed; between them the images are interpolated."""
CONFOCAL_PLANES, CONFOCAL_PIXELS = 41, 81
COVERSLIP_UM = 170.0
VEIL_UM = 25.0
"""Standard deviation of the veil, larger than most fields: it is nearly even."""
READ_NOISE = 1.6
CAMERA_OFFSET = 100.0


@dataclass(frozen=True)
class Scope:
    """A wide-field microscope: its objective, the index of what it is made for and what is looked at, its voxels."""

    name: str
    numerical_aperture: float
    immersion_index: float
    sample_index: float
    spacing_um: Spacing


SCOPES = (
    Scope("oil-1.40", 1.4, 1.515, 1.44, (0.5, 0.108, 0.108)),
    Scope("oil-1.35", 1.35, 1.515, 1.40, (0.35, 0.13, 0.13)),
    Scope("water-1.10", 1.1, 1.333, 1.37, (0.6, 0.16, 0.16)),
    Scope("air-0.75", 0.75, 1.0, 1.38, (1.0, 0.3, 0.3)),
)


@dataclass(frozen=True)
class Light:
    """What one pair is imaged with.

    Attributes
    ----------
    scope
        The microscope.
    model
        Scalar or vectorial PSF.
    emission_um, excitation_um
        Vacuum wavelengths.
    depth_um
        Of the stack's first plane below the coverslip.
    coverslip_error_um
        By how much the coverslip is thicker than the lens expects.
    pinhole_airy
        Diameter of the confocal pinhole in Airy units.
    haze, mean_free_path_um
        Where scattered light goes: nowhere else, evenly over the field, or into a blur that grows with depth; and how
        far light travels without it.
    photons, background
        At the brightest voxels; even light as a share of these.
    """

    scope: Scope
    model: Model
    emission_um: float
    excitation_um: float
    depth_um: float
    coverslip_error_um: float
    pinhole_airy: float
    haze: Haze
    mean_free_path_um: float
    photons: float
    background: float


def point_spread(light: Light, wavelength_um: float, depth_um: float, planes: int, pixels: int) -> FloatArray:
    """PSF of a point at a depth, every plane with sum 1, axes (Z, Y, X); the brightest plane is the middle one."""
    search = depth_um + np.linspace(-0.5, 0.5, 161) * (10 + depth_um)
    axis = _light_at(light, wavelength_um, depth_um, search, 1)[:, 0, 0]
    heights = search[int(axis.argmax())] + (np.arange(planes) - planes // 2) * light.scope.spacing_um[0]
    psf = _light_at(light, wavelength_um, depth_um, heights, pixels)
    return np.asarray(psf / psf.sum(axis=(1, 2), keepdims=True), dtype=np.float32)


def _light_at(light: Light, wavelength_um: float, depth_um: float, focus_um: DoubleArray, pixels: int) -> DoubleArray:
    """Image of a point at a depth for every depth of the focus, axes (focus, Y, X)."""
    scope = light.scope
    psf = psfmodels.make_psf(
        focus_um.tolist(),
        pixels,
        dxy=scope.spacing_um[1],
        pz=depth_um,
        NA=scope.numerical_aperture,
        wvl=wavelength_um,
        ns=scope.sample_index,
        ni=scope.immersion_index,
        ni0=scope.immersion_index,
        tg=COVERSLIP_UM + light.coverslip_error_um,
        tg0=COVERSLIP_UM,
        model=light.model,
    )
    return np.asarray(psf, dtype=np.float64)


def images(sample: FloatArray, light: Light, first_plane: int) -> tuple[FloatArray, FloatArray]:
    """Wide-field and confocal image of a sample, without noise, axes (Z, Y, X).

    Parameters
    ----------
    sample
        Brightness of its voxels; sideways it repeats.
    light
        What it is imaged with.
    first_plane
        Plane of the sample that is ``light.depth_um`` deep; those before it are nearer to the lens.
    """
    depth, height, width = sample.shape
    within = (2 * depth - 1, min(height, width) - 1)
    padded: Shape = (scipy.fft.next_fast_len(2 * depth, real=True), height, width)
    depths = np.maximum(light.depth_um + (np.arange(depth) - first_plane) * light.scope.spacing_um[0], 0)
    knots = np.linspace(depths[0], depths[-1], SLABS)
    wide, confocal = (np.zeros((padded[0], height, width // 2 + 1), np.complex64) for _ in range(2))
    for knot, share in zip(knots, _hats(depths, knots), strict=True):
        slab = _spectrum(sample * share[:, None, None].astype(np.float32), padded)
        psf = point_spread(light, light.emission_um, float(knot), *within)
        wide += slab * _spectrum(_centred(psf, padded), padded) * _scattered(light, float(knot), (height, width))
        psf = _confocal_psf(light, float(knot), within)
        confocal += slab * _spectrum(_centred(psf, padded), padded)
    inverse = (scipy.fft.irfftn(spectrum, s=padded)[:depth] for spectrum in (wide, confocal))
    first, second = (np.maximum(image, 0).astype(np.float32) for image in inverse)
    return first, second


def expose(rng: np.random.Generator, image: FloatArray, light: Light) -> FloatArray:
    """What the camera makes of an image: photons, read noise and an offset, in counts."""
    brightest = float(np.percentile(image, 99.9))
    expected = light.photons * (image / brightest + light.background)
    return np.asarray(rng.poisson(expected) + rng.normal(CAMERA_OFFSET, READ_NOISE, image.shape), dtype=np.float32)


def _confocal_psf(light: Light, depth_um: float, within: tuple[int, int]) -> FloatArray:
    """Excitation times what the pinhole lets through of the emission; sum 1 in the brightest plane.

    Of the planes and the pixels that it is to be within it has no more than it needs.
    """
    size = (min(CONFOCAL_PLANES, within[0]), min(CONFOCAL_PIXELS, within[1]))
    emission = point_spread(light, light.emission_um, depth_um, *size)
    pixel = light.scope.spacing_um[1]
    radius = light.pinhole_airy * 0.61 * light.emission_um / light.scope.numerical_aperture / pixel
    pinhole = _disc(radius)
    seen = np.stack([ndi.convolve(plane, pinhole, mode="constant") for plane in emission])
    psf = seen * point_spread(light, light.excitation_um, depth_um, *size)
    return np.asarray(psf / psf.sum(axis=(1, 2)).max(), dtype=np.float32)


def _disc(radius: float) -> FloatArray:
    """A disc with soft edges, radius in pixels."""
    half = int(np.ceil(radius + 1))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    return np.asarray(np.clip(radius + 0.5 - np.hypot(y, x), 0, 1), dtype=np.float32)


def _scattered(light: Light, depth_um: float, plane: tuple[int, int]) -> FloatArray:
    """What haze makes of the lateral spectrum of light from a depth, axes (Y, X); 1 at frequency 0: no light is lost.

    Unscattered light, exp(-depth / mean free path) of it, stays as it is; the rest is spread by a Gaussian.
    """
    if light.haze == "clear":
        return np.ones((1, 1), np.float32)
    sigma = VEIL_UM if light.haze == "veil" else 0.6 + 0.3 * depth_um
    pixel = light.scope.spacing_um[1]
    y, x = scipy.fft.fftfreq(plane[0], pixel)[:, None], scipy.fft.rfftfreq(plane[1], pixel)
    ballistic = np.exp(-depth_um / light.mean_free_path_um)
    spread = np.exp(-2 * (np.pi * sigma) ** 2 * (y**2 + x**2))
    return np.asarray(ballistic + (1 - ballistic) * spread, dtype=np.float32)


def _hats(depths: DoubleArray, knots: DoubleArray) -> DoubleArray:
    """Weight of each knot at each depth, by linear interpolation; they sum to 1."""
    return np.stack([np.interp(depths, knots, row) for row in np.eye(len(knots))])


def _centred(psf: FloatArray, shape: Shape) -> FloatArray:
    """A PSF on a larger grid, its middle at the first voxel."""
    out = np.zeros(shape, np.float32)
    out[tuple(slice(0, n) for n in psf.shape)] = psf
    return np.roll(out, [-(n // 2) for n in psf.shape], axis=(0, 1, 2))


def _spectrum(image: FloatArray, shape: Shape) -> ComplexArray:
    return np.asarray(scipy.fft.rfftn(image, s=shape), dtype=np.complex64)
