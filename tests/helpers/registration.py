"""Made-up samples whose every image, on any grid and after any map, is known without interpolation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import scipy.fft
import scipy.ndimage as ndi
from numpy.typing import ArrayLike, NDArray

from napari_deep3d.core.registration.cross_spectrum import frequencies
from napari_deep3d.core.registration.transform import Transform
from napari_deep3d.core.types import DoubleArray, FloatArray, Shape, Spacing, Vector
from napari_deep3d.core.volume import Volume

Number = TypeVar("Number", bound=np.generic)

CONFOCAL_BLUR_UM: Vector = (0.25, 0.1, 0.1)
WIDEFIELD_BLUR_UM: Vector = (0.6, 0.2, 0.2)
HAZE_BLUR_UM: Vector = (3.0, 2.0, 2.0)


@dataclass(frozen=True)
class Beads:
    """Gaussian beads: centres (n, 3) in um along Z, Y, X, widths (standard deviations) in um, and brightness."""

    centres_um: DoubleArray
    widths_um: DoubleArray
    weights: DoubleArray

    def moved(self, transform: Transform) -> Beads:
        """The beads where a transform takes their centres."""
        return replace(self, centres_um=transform.apply(self.centres_um))

    def image(self, shape: Shape, spacing_um: Spacing, blur_um: Vector) -> FloatArray:
        """The beads seen with a Gaussian blur, axes (Z, Y, X); the centre of the first voxel lies at 0."""
        waves, weights = [], self.weights.copy()
        for axis in range(3):
            spread = np.hypot(self.widths_um, blur_um[axis])[:, None]
            places = np.arange(shape[axis]) * spacing_um[axis]
            waves.append(np.exp(-0.5 * ((places - self.centres_um[:, axis, None]) / spread) ** 2).astype(np.float32))
            weights *= self.widths_um / spread[:, 0]
        z, y, x = waves
        columns = (z[:, :, None] * y[:, None, :]).reshape(len(weights), -1) * weights[:, None].astype(np.float32)
        return np.asarray((columns.T @ x).reshape(shape))


def scatter_beads(seed: int, size_um: Vector, count: int, margin_um: float = 2.0) -> Beads:
    """Single beads, in a field that reaches ``margin_um`` beyond a box of ``size_um`` that starts at 0."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-margin_um, np.array(size_um) + margin_um, (count, 3))
    return Beads(centres, rng.uniform(0.1, 0.3, count), rng.uniform(0.3, 1, count))


def threads(seed: int, size_um: Vector, count: int, margin_um: float = 2.0) -> Beads:
    """Beads and winding filaments (rows of beads), as in :func:`scatter_beads`."""
    rng = np.random.default_rng(seed)
    steps = 30
    starts = rng.uniform(-margin_um, np.array(size_um) + margin_um, (count, 1, 3))
    directions = rng.normal(size=(count, 1, 3)) + 0.3 * np.cumsum(rng.normal(size=(count, steps, 3)), axis=1)
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    paths = (starts + 0.15 * np.cumsum(directions, axis=1)).reshape(-1, 3)
    brightness = np.repeat(rng.uniform(0.2, 0.6, count), steps)
    somata = scatter_beads(seed + 1, size_um, count // 2, margin_um)
    return Beads(
        np.concatenate([paths, somata.centres_um]),
        np.concatenate([np.full(len(paths), 0.1), somata.widths_um]),
        np.concatenate([brightness, somata.weights]),
    )


def confocal_stack(beads: Beads, shape: Shape, spacing_um: Spacing, seed: int = 0) -> Volume:
    """The beads as a confocal microscope sees them: little blur, some photon noise."""
    photons = np.random.default_rng([seed, 1]).poisson(2 + 500 * beads.image(shape, spacing_um, CONFOCAL_BLUR_UM))
    return Volume(photons.astype(np.uint16), spacing_um, name="c.tif")


def widefield_stack(beads: Beads, shape: Shape, spacing_um: Spacing, seed: int = 0, haze: float = 3.0) -> Volume:
    """The beads as a wide-field microscope sees them: blur, haze from far away, background, photon noise."""
    light = beads.image(shape, spacing_um, WIDEFIELD_BLUR_UM) + haze * beads.image(shape, spacing_um, HAZE_BLUR_UM)
    photons = np.random.default_rng([seed, 2]).poisson(100 + 2000 * light)
    return Volume(np.minimum(photons, 65_535).astype(np.uint16), spacing_um, name="w.tif")


def texture(seed: int, shape: Shape, smooth: Vector = (0.8, 1.0, 1.0)) -> FloatArray:
    """Periodic random texture without the highest frequencies, so that it can be shifted by parts of a voxel."""
    noise = np.random.default_rng(seed).normal(size=shape)
    blurred = ndi.gaussian_filter(noise, smooth, mode="wrap")
    return np.asarray(blurred / blurred.std(), dtype=np.float32)


def fourier_shift(image: FloatArray, by: Vector) -> FloatArray:
    """The periodic image moved by (Z, Y, X) voxels: what was at i is at i + by."""
    spectrum = scipy.fft.rfftn(image.astype(np.float64))
    for k, d in zip(frequencies((image.shape[0], image.shape[1], image.shape[2])), by, strict=True):
        spectrum = spectrum * np.exp(-2j * np.pi * k * d)
    return np.asarray(scipy.fft.irfftn(spectrum, s=image.shape), dtype=np.float32)


def cut(image: NDArray[Number], start: Shape, size: Shape) -> NDArray[Number]:
    """A box of an image, axes (Z, Y, X)."""
    z, y, x = (slice(a, a + n) for a, n in zip(start, size, strict=True))
    return image[z, y, x]


def assert_within(found: ArrayLike, expected: ArrayLike, tolerance: ArrayLike) -> None:
    """Each value of the last axis (Z, Y, X) is within its own tolerance."""
    difference = np.abs(np.subtract(found, expected))
    assert (difference <= tolerance).all(), f"{found!r} is not within {tolerance!r} of {expected!r}"


def turned(degrees: float, magnification: float, about_um: Vector, shift_um: Vector) -> Transform:
    """A turn about the z axis through a place, a magnification about it, then a shift."""
    angle = np.deg2rad(degrees)
    linear = np.eye(3)
    linear[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix = np.eye(4)
    matrix[:3, :3] = magnification * linear
    matrix[:3, 3] = np.array(about_um) + shift_um - matrix[:3, :3] @ about_um
    return Transform.from_array(matrix)
