"""Point spread functions of a wide-field and of a confocal microscope, and convolution with them.

The models come from psfmodels: the vectorial model of Aguet et al. (Opt. Express 17, 6829, 2009), which
includes the spherical aberration of Gibson and Lanni (JOSA A 9, 154, 1992) that a mismatch of refractive
indices brings at depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psfmodels
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.volume import Shape, Spacing, shape_of

Array = NDArray[np.float32]

PSF_PIXELS = 129
"""Lateral window of the wide-field model; light beyond it is spread evenly (see :func:`widefield_psf`)."""
CONFOCAL_PIXELS = 65
OVERSAMPLING = 3
"""Odd, or the peak lies between pixels."""


@dataclass(frozen=True)
class Microscope:
    """What the two microscopes share: they look at one sample through objectives of the same kind.

    Attributes
    ----------
    numerical_aperture
        Of the objective; below the refractive index of its immersion.
    immersion_index, sample_index
        Refractive indices: 1.0 air, 1.33 water, 1.518 oil; 1.33 to 1.47 for cells and tissue.
    excitation_um, emission_um
        Vacuum wavelengths in um.
    pinhole_airy
        Diameter of the confocal pinhole in Airy units.
    depth_um
        Depth below the cover glass at which the PSF is taken, in um.

    Raises
    ------
    InputError
        If the aperture is not below the immersion's refractive index.
    """

    numerical_aperture: float = 1.2
    immersion_index: float = 1.333
    sample_index: float = 1.37
    excitation_um: float = 0.488
    emission_um: float = 0.52
    pinhole_airy: float = 1.0
    depth_um: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.numerical_aperture < self.immersion_index:
            raise InputError(
                f"NA {self.numerical_aperture} does not fit an immersion of refractive index "
                f"{self.immersion_index}; it must be above 0 and below that index. Correct one of them."
            )


def _model(scope: Microscope, wavelength_um: float, spacing_um: Spacing, planes: int, pixels: int) -> Array:
    """Intensity PSF, axes (Z, Y, X), with equal pixels along y and x (the finer of the two)."""
    psf = psfmodels.make_psf(
        planes,
        pixels,
        dxy=min(spacing_um[1:]),
        dz=spacing_um[0],
        pz=scope.depth_um,
        NA=scope.numerical_aperture,
        wvl=wavelength_um,
        ns=scope.sample_index,
        ni=scope.immersion_index,
        ni0=scope.immersion_index,
        oversample_factor=OVERSAMPLING,
        model="vectorial",
        normalize=False,
    )
    return np.asarray(psf, dtype=np.float32)


def widefield_psf(scope: Microscope, spacing_um: Spacing, planes: int) -> Array:
    """PSF of the wide-field microscope, axes (Z, Y, X), sum 1, odd sizes.

    A lens loses no light by defocus, so every plane of a PSF has the same sum. A window cuts off the light of
    strongly defocused planes; here that light is put back, spread evenly over the window, because the blur that
    reaches a voxel from far away comes evenly from all around.

    Parameters
    ----------
    scope
        The microscope.
    spacing_um
        Voxel size (Z, Y, X) in um; y and x are taken to be equal.
    planes
        Odd number of planes; twice the depth of a stack minus one holds all its blur.
    """
    psf = _model(scope, scope.emission_um, spacing_um, planes, PSF_PIXELS)
    totals = psf.sum(axis=(1, 2), keepdims=True)
    missing = totals.max() - totals
    psf += missing / psf[0].size
    return np.asarray(psf / psf.sum(), dtype=np.float32)


def confocal_psf(scope: Microscope, spacing_um: Spacing, planes: int) -> Array:
    """PSF of the confocal microscope, axes (Z, Y, X), sum 1.

    Excitation PSF times the emission PSF blurred by the pinhole (Wilson and Sheppard, Theory and Practice of
    Scanning Optical Microscopy, 1984). One Airy unit is 1.22 wavelengths / NA in the sample.
    """
    excitation = _model(scope, scope.excitation_um, spacing_um, planes, CONFOCAL_PIXELS)
    emission = _model(scope, scope.emission_um, spacing_um, planes, CONFOCAL_PIXELS)
    radius_um = 0.5 * scope.pinhole_airy * 1.22 * scope.emission_um / scope.numerical_aperture
    detection = scipy.signal.fftconvolve(
        emission, pinhole(radius_um, min(spacing_um[1:]))[None], mode="same", axes=(1, 2)
    )
    psf = np.clip(excitation * detection, 0, None).astype(np.float32)
    return np.asarray(psf / psf.sum(), dtype=np.float32)


def pinhole(radius_um: float, pixel_um: float) -> Array:
    """A disc with soft edges on pixels, odd size, sum 1; ``radius_um`` and ``pixel_um`` as seen in the sample."""
    reach = int(np.ceil(radius_um / pixel_um)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius_um / pixel_um - np.hypot(y, x) + 0.5, 0, 1)
    return np.asarray(disc / disc.sum(), dtype=np.float32)


def centre_psf(psf: Array, like: Array) -> Array:
    """Shift ``psf`` by whole planes so that the brightest plane of ``like`` comes to its middle."""
    peak = int(np.unravel_index(int(like.argmax()), like.shape)[0])
    return np.roll(psf, like.shape[0] // 2 - peak, axis=0)


def transfer_function(psf: Array, shape: Shape) -> NDArray[np.complex64]:
    """Fourier transform (real FFT) of a PSF centred in a window, on a periodic grid of ``shape`` (Z, Y, X)."""
    grid = np.zeros(shape, dtype=np.float32)
    keep = [min(n, s - (1 - s % 2)) for n, s in zip(psf.shape, shape, strict=True)]
    middle = psf[tuple(slice(n // 2 - k // 2, n // 2 - k // 2 + k) for n, k in zip(psf.shape, keep, strict=True))]
    grid[tuple(slice(0, k) for k in keep)] = middle
    centred = np.roll(grid, [-(k // 2) for k in keep], axis=(0, 1, 2))
    return np.asarray(scipy.fft.rfftn(centred, workers=-1), dtype=np.complex64)


def convolve(sample: Array, psf: Array) -> Array:
    """Periodic convolution of a sample with a PSF, axes (Z, Y, X); negative rounding is cut to 0."""
    spectrum = scipy.fft.rfftn(sample, workers=-1) * transfer_function(psf, shape_of(sample))
    image = scipy.fft.irfftn(spectrum, s=sample.shape, workers=-1)
    return np.maximum(image, 0).astype(np.float32)


def blur_planes(sample: Array, sigma_px: NDArray[np.floating]) -> Array:
    """Blur each plane laterally (periodic) by a Gaussian of its own width ``sigma_px`` (one per plane).

    The discrete Gaussian of Lindeberg (IEEE PAMI 12, 234, 1990): unlike a sampled one it is never negative, so that a
    narrow blur of a point does not ring.
    """
    ky = np.fft.fftfreq(sample.shape[1])[:, None]
    kx = np.fft.rfftfreq(sample.shape[2])[None, :]
    fall = 2 - np.cos(2 * np.pi * ky) - np.cos(2 * np.pi * kx)
    gain = np.exp(-(np.asarray(sigma_px)[:, None, None] ** 2) * fall)
    spectrum = scipy.fft.rfft2(sample, workers=-1) * gain.astype(np.float32)
    return np.maximum(scipy.fft.irfft2(spectrum, s=sample.shape[1:], workers=-1), 0).astype(np.float32)
