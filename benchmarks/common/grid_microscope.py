"""A microscope that projects a grid into a simulated sample: raw frames, and the true wide-field and confocal images.

The grid lies in the plane in focus and is blurred like any other object away from it: the depth of its stripes is that
of the excitation's transfer function at the grid's frequency and the distance from focus (Neil et al., Opt. Lett. 22,
1905, 1997). No scattering, no aberrations; frames differ by phase, brightness and shot noise alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.fft

from napari_deep3d.core import DoubleArray, FloatArray, Shape, Spacing, shape_of
from napari_deep3d.core.simulation import samples
from napari_deep3d.core.simulation.imaging import field_of
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.core.simulation.psf import confocal_psf, convolve, transfer_function, widefield_psf
from napari_deep3d.core.simulation.samples import DrawnKind, SampleBounds


@dataclass(frozen=True)
class GridMicroscope:
    """A wide-field microscope with a grid in its light path.

    Attributes
    ----------
    scope, spacing_um
        The objective and the voxel size (Z, Y, X).
    fineness : float
        The grid's frequency as a share of the lens's cutoff, 2 NA / wavelength.
    contrast : float
        Depth of the stripes in an unblurred grid.
    """

    scope: Microscope = field(default_factory=Microscope)
    spacing_um: Spacing = (0.3, 0.1, 0.1)
    fineness: float = 0.3
    contrast: float = 0.9

    @property
    def cycles_per_um(self) -> float:
        """The grid's frequency in the sample."""
        return self.fineness * 2 * self.scope.numerical_aperture / self.scope.excitation_um

    def stripe_depth(self, planes: int) -> FloatArray:
        """Depth of the stripes by the distance from focus, axis (Z,), focus in the middle."""
        psf = self.scope.fine_psf(self.spacing_um, planes, excitation=True)
        pixel_um = min(self.spacing_um[1:]) / self.scope.fineness(self.spacing_um)
        x = (np.arange(psf.shape[2]) - psf.shape[2] // 2) * pixel_um
        wave = np.cos(2 * np.pi * self.cycles_per_um * x)
        return np.asarray(self.contrast * (psf.sum(axis=1) @ wave), dtype=np.float32)


@dataclass(frozen=True)
class GridImages:
    """Noise-free images of one sample, axes (Z, Y, X).

    ``stripes`` is complex, axes (angle, Z, Y, X): a frame of a phase shows ``widefield + Re(stripes exp(i phase))``.
    """

    widefield: FloatArray
    confocal: FloatArray
    stripes: np.ndarray[tuple[int, ...], np.dtype[np.complex64]]

    def frames(
        self, phases_deg: Sequence[float], brightness: DoubleArray | None = None, photons: float = 0, seed: int = 0
    ) -> FloatArray:
        """Raw frames, axes (Z, angle, phase, Y, X).

        ``brightness`` is a factor of each frame, axes (Z, angle, phase); ``photons`` those of the brightest voxel of
        the wide-field image in one frame, for the shot noise, or 0 for none.
        """
        turns = np.exp(1j * np.deg2rad(phases_deg)).astype(np.complex64)
        moved = (self.stripes[:, None] * turns[None, :, None, None, None]).real + self.widefield
        frames = np.moveaxis(moved, 2, 0)
        if brightness is not None:
            frames = frames * brightness[..., None, None]
        if photons:
            frames = np.random.default_rng(seed).poisson(np.maximum(frames / self.widefield.max() * photons, 0))
        return np.asarray(frames, dtype=np.float32)


def take_grid_images(sample: FloatArray, microscope: GridMicroscope, angles_deg: Sequence[float]) -> GridImages:
    """What the microscope sees of a sample, axes (Z, Y, X), periodic sideways, through a grid of some directions."""
    planes, rows, columns = shape_of(sample)
    scope, spacing_um = microscope.scope, microscope.spacing_um
    psf = widefield_psf(scope, spacing_um, 2 * planes - 1)
    striped = psf * microscope.stripe_depth(2 * planes - 1)[:, None, None]
    y, x = np.arange(rows)[:, None] * spacing_um[1], np.arange(columns) * spacing_um[2]
    stripes = []
    for angle in np.deg2rad(angles_deg):
        along = np.sin(angle) * y + np.cos(angle) * x
        wave = np.exp(2j * np.pi * microscope.cycles_per_um * along).astype(np.complex64)
        stripes.append(_convolve(sample * wave.real, striped) + 1j * _convolve(sample * wave.imag, striped))
    reach = planes - 1 + planes % 2
    return GridImages(
        convolve(sample, psf, open_ended=True),
        convolve(sample, confocal_psf(scope, spacing_um, reach)),
        np.asarray(stripes, dtype=np.complex64),
    )


def simulated_grid_images(
    kind: DrawnKind, shape: Shape, seed: int, microscope: GridMicroscope, angles_deg: Sequence[float] = (0.0,)
) -> GridImages:
    """The images of a drawn sample of a kind; ``shape`` (Z, Y, X) is cut from a larger field."""
    rng = np.random.default_rng(seed)
    whole, inner = field_of(shape, microscope.spacing_um)
    sample = samples.draw(rng, kind, whole, microscope.spacing_um, SampleBounds())
    seen = take_grid_images(sample, microscope, angles_deg)
    return GridImages(seen.widefield[inner], seen.confocal[inner], seen.stripes[:, *inner])


def _convolve(image: FloatArray, kernel: FloatArray) -> FloatArray:
    """Convolution, open along z, of what may be negative."""
    planes, *sides = image.shape
    shape = (scipy.fft.next_fast_len(2 * planes - 1, real=True), *sides)
    spectrum = scipy.fft.rfftn(image, shape) * transfer_function(kernel, shape)
    return np.asarray(scipy.fft.irfftn(spectrum, s=shape)[:planes], dtype=np.float32)
