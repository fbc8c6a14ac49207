"""Point spread functions of a wide-field and of a confocal microscope, and convolution with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage as ndi

from napari_deep3d.core import ComplexArray, FloatArray, Shape, Spacing, shape_of
from napari_deep3d.core.simulation.microscope import Microscope


def widefield_psf(scope: Microscope, spacing_um: Spacing, planes: int) -> FloatArray:
    """PSF of the wide-field microscope, axes (Z, Y, X), sum 1, odd sizes; pixels gather the light on their area.

    A lens loses no light by defocus, so every plane has the same sum: what would leave the window comes back evenly
    from all around, as the blur from far away does. Pixels are taken to be square. ``planes`` is odd; twice the depth
    of a stack minus one holds all its blur.
    """
    psf = _binned(scope.fine_psf(spacing_um, planes), scope.fineness(spacing_um))
    return np.asarray(psf / psf.sum(), dtype=np.float32)


def confocal_psf(scope: Microscope, spacing_um: Spacing, planes: int) -> FloatArray:
    """PSF of the confocal microscope, axes (Z, Y, X), sum 1, odd sizes.

    Excitation PSF times the emission PSF blurred by the pinhole (Wilson and Sheppard, Theory and Practice of
    Scanning Optical Microscopy, 1984). One Airy unit is 1.22 wavelengths / NA in the sample.
    """
    excitation = scope.fine_psf(spacing_um, planes, excitation=True)
    emission = scope.fine_psf(spacing_um, planes)
    fine = min(spacing_um[1:]) / scope.fineness(spacing_um)
    psf = _binned(excitation * behind_pinhole(emission, scope, fine), scope.fineness(spacing_um))
    return np.asarray(psf / psf.sum(), dtype=np.float32)


def behind_pinhole(emission: FloatArray, scope: Microscope, pixel_um: float) -> FloatArray:
    """An emission PSF, axes (Z, Y, X), as the detector behind the pinhole gathers it, on the same pixels."""
    radius_um = 0.5 * scope.pinhole_airy * 1.22 * scope.emission_um / scope.numerical_aperture
    disc = transfer_function(pinhole(radius_um, pixel_um)[None], (1, *emission.shape[1:]))
    spectrum = scipy.fft.rfft2(emission) * disc
    return np.maximum(scipy.fft.irfft2(spectrum, s=emission.shape[1:]), 0).astype(np.float32)


def _binned(psf: FloatArray, fineness: int) -> FloatArray:
    """The light on pixels ``fineness`` times as wide, the middle one around the peak; odd sizes."""
    if fineness == 1:
        return psf
    for axis in (1, 2):
        middles = np.arange(psf.shape[axis] // 2 % fineness, psf.shape[axis], fineness)
        reach = range(fineness // 2, -(fineness // 2) - 1, -1)
        psf = np.sum([psf.take(middles + by, axis, mode="wrap") for by in reach], axis=0)
    odd = psf.shape[1] - 1 + psf.shape[1] % 2
    return np.asarray(psf[:, :odd, :odd], dtype=np.float32)


def pinhole(radius_um: float, pixel_um: float) -> FloatArray:
    """A disc with soft edges, axes (Y, X), odd size, sum 1; radius and pixel in um as seen in the sample."""
    reach = int(np.ceil(radius_um / pixel_um)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius_um / pixel_um - np.hypot(y, x) + 0.5, 0, 1)
    return np.asarray(disc / disc.sum(), dtype=np.float32)


def transfer_function(psf: FloatArray, shape: tuple[int, ...]) -> ComplexArray:
    """Fourier transform (real FFT) of a PSF centred in a window, on a periodic grid of ``shape`` (Z, Y, X).

    Of a PSF larger than the grid, what lies beyond one side comes in on the other.
    """
    for axis, size in enumerate(shape):
        moved = np.moveaxis(psf, axis, 0)
        periodic = np.zeros((size, *moved.shape[1:]), dtype=np.float32)
        for start in range(0, len(moved), size):
            piece = moved[start : start + size]
            periodic[: len(piece)] += piece
        psf = np.moveaxis(np.roll(periodic, -(len(moved) // 2), axis=0), 0, axis)
    return np.asarray(scipy.fft.rfftn(psf), dtype=np.complex64)


def convolve(sample: FloatArray, psf: FloatArray, open_ended: bool = False) -> FloatArray:
    """Convolution of a sample with a PSF, axes (Z, Y, X); negative rounding is cut to 0.

    Periodic, so that light leaving on one side comes in on the other; with ``open_ended`` not along z, where it is
    gone.
    """
    planes, rows, columns = shape_of(sample)
    depth = scipy.fft.next_fast_len(2 * planes - 1, real=True) if open_ended else planes
    shape: Shape = (depth, rows, columns)
    spectrum = scipy.fft.rfftn(sample, shape)
    spectrum *= transfer_function(psf, shape)
    image = scipy.fft.irfftn(spectrum, s=shape, overwrite_x=True)[:planes]
    return np.maximum(image, 0).astype(np.float32)


@dataclass(frozen=True)
class MeasuredPsf:
    """A wide-field PSF that was measured, such as the image of a bead below the resolution.

    Attributes
    ----------
    data : array of float32, axes (Z, Y, X)
        The image.
    spacing_um : tuple of float
        Its voxel size (Z, Y, X) in um.
    """

    data: FloatArray
    spacing_um: Spacing

    def on_grid(self, spacing_um: Spacing, planes: int) -> FloatArray:
        """The PSF on voxels of another size in um: background taken off, its peak in the middle, sum 1.

        Every plane has the same light. ``planes`` is odd; those beyond the measured ones get theirs spread evenly.
        """
        image = np.asarray(self.data, dtype=np.float32)
        image = np.maximum(image - np.median(image), 0)
        peak = np.unravel_index(int(image.argmax()), image.shape)
        pairs = zip(image.shape[1:], self.spacing_um[1:], spacing_um[1:], strict=True)
        counts = [planes, *(2 * int(n * own / 2 / step) + 1 for n, own, step in pairs)]
        axes = [
            (np.arange(count) - count // 2) * step / own + centre
            for count, step, own, centre in zip(counts, spacing_um, self.spacing_um, peak, strict=True)
        ]
        psf = ndi.map_coordinates(image, np.meshgrid(*axes, indexing="ij"), order=1, mode="constant")
        totals = psf.sum(axis=(1, 2), keepdims=True)
        psf = psf + (totals.max() - totals) / psf[0].size
        return np.asarray(psf / psf.sum(), dtype=np.float32)


def confocal_from_widefield(widefield: FloatArray, scope: Microscope, spacing_um: Spacing) -> FloatArray:
    """Confocal PSF of a microscope whose wide-field PSF is known only as measured, axes (Z, Y, X), sum 1.

    The excitation is taken to be as the emission, its wavelength being nearly the same.
    """
    even = widefield - widefield.min(axis=(1, 2), keepdims=True)
    psf = even * behind_pinhole(even, scope, min(spacing_um[1:]))
    return np.asarray(psf / psf.sum(), dtype=np.float32)
