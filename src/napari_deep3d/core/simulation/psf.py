"""Point spread functions of a wide-field and of a confocal microscope, and convolution with them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import scipy.fft
import scipy.ndimage as ndi

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.simulation.pupil import point_image
from napari_deep3d.core.types import ComplexArray, FloatArray, Shape, Spacing
from napari_deep3d.core.volume import shape_of

FINE_PIXELS = 189
"""Lateral window, in pixels fine enough for the lens; odd, so that the peak lies on a pixel."""


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
        Depth of the focus in um, counted from the depth for which the objective is corrected; may be negative.
    aberrations
        RMS in waves of low Zernike modes, see :data:`napari_deep3d.core.simulation.pupil.MODES`.

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
    aberrations: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.numerical_aperture < self.immersion_index:
            raise InputError(
                f"NA {self.numerical_aperture} does not fit an immersion of refractive index "
                f"{self.immersion_index}; it must be above 0 and below that index. Correct one of them."
            )

    def fine_psf(self, spacing_um: Spacing, planes: int, excitation: bool = False) -> FloatArray:
        """Emission or excitation PSF on pixels fine enough for the lens, axes (Z, Y, X), every plane with sum 1."""
        heights = (np.arange(planes) - planes // 2) * spacing_um[0]
        return point_image(
            FINE_PIXELS,
            min(spacing_um[1:]) / self.fineness(spacing_um),
            heights,
            numerical_aperture=self.numerical_aperture,
            immersion_index=self.immersion_index,
            sample_index=self.sample_index,
            wavelength_um=self.excitation_um if excitation else self.emission_um,
            depth_um=self.depth_um,
            aberrations=self.aberrations,
            excitation=excitation,
        )

    def fineness(self, spacing_um: Spacing) -> int:
        """Odd number of fine pixels to a pixel: enough for the lens's finest detail, lambda / (4 NA), almost."""
        finest = min(self.emission_um, self.excitation_um) / (3.2 * self.numerical_aperture)
        least = ceil(min(spacing_um[1:]) / finest)
        return least + 1 - least % 2


def widefield_psf(scope: Microscope, spacing_um: Spacing, planes: int) -> FloatArray:
    """PSF of the wide-field microscope, axes (Z, Y, X), sum 1, odd sizes; pixels gather the light on their area.

    A lens loses no light by defocus, so every plane has the same sum: what would leave the window comes back evenly
    from all around, as the blur from far away does.

    Parameters
    ----------
    scope
        The microscope.
    spacing_um
        Voxel size (Z, Y, X) in um; y and x are taken to be equal.
    planes
        Odd number of planes; twice the depth of a stack minus one holds all its blur.
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
    """An emission PSF (Z, Y, X) as the detector behind the pinhole gathers it, on the same pixels."""
    radius_um = 0.5 * scope.pinhole_airy * 1.22 * scope.emission_um / scope.numerical_aperture
    disc = transfer_function(pinhole(radius_um, pixel_um)[None], (1, *emission.shape[1:]))
    spectrum = scipy.fft.rfft2(emission) * disc
    return np.maximum(scipy.fft.irfft2(spectrum, s=emission.shape[1:]), 0).astype(np.float32)


def _binned(psf: FloatArray, fineness: int) -> FloatArray:
    """The light on pixels ``fineness`` times as wide, the middle one around the peak; odd sizes."""
    if fineness == 1:
        return psf
    reach = range(-(fineness // 2), fineness // 2 + 1)
    rows = np.sum([np.roll(psf, by, axis=1) for by in reach], axis=0)
    first = psf.shape[1] // 2 % fineness
    rows = rows[:, first::fineness]
    both = np.sum([np.roll(rows, by, axis=2) for by in reach], axis=0)[:, :, first::fineness]
    odd = both.shape[1] - 1 + both.shape[1] % 2
    return np.asarray(both[:, :odd, :odd], dtype=np.float32)


def pinhole(radius_um: float, pixel_um: float) -> FloatArray:
    """A disc with soft edges on pixels, odd size, sum 1; ``radius_um`` and ``pixel_um`` as seen in the sample."""
    reach = int(np.ceil(radius_um / pixel_um)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius_um / pixel_um - np.hypot(y, x) + 0.5, 0, 1)
    return np.asarray(disc / disc.sum(), dtype=np.float32)


def transfer_function(psf: FloatArray, shape: tuple[int, ...]) -> ComplexArray:
    """Fourier transform (real FFT) of a PSF centred in a window, on a periodic grid of ``shape`` (Z, Y, X).

    Of a PSF larger than the grid, what lies beyond one side comes in on the other.
    """
    for axis, size in enumerate(shape):
        psf = _folded(psf, axis, size)
    return np.asarray(scipy.fft.rfftn(psf), dtype=np.complex64)


def _folded(psf: FloatArray, axis: int, size: int) -> FloatArray:
    """The PSF on a periodic axis, its centre at index 0."""
    moved = np.moveaxis(psf, axis, 0)
    grid = np.zeros((size, *moved.shape[1:]), dtype=np.float32)
    for start in range(0, len(moved), size):
        piece = moved[start : start + size]
        grid[: len(piece)] += piece
    return np.moveaxis(np.roll(grid, -(len(moved) // 2), axis=0), 0, axis)


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
    data
        Axes (Z, Y, X).
    spacing_um
        Its voxel size.
    """

    data: FloatArray
    spacing_um: Spacing

    def on_grid(self, spacing_um: Spacing, planes: int) -> FloatArray:
        """The PSF on other voxels: background taken off, its peak in the middle, every plane the same light, sum 1.

        Parameters
        ----------
        spacing_um
            Voxel size wanted (Z, Y, X).
        planes
            Odd number of planes; those beyond the measured ones get their light spread evenly.
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
