"""The sample that is being drawn, and all that its kinds draw with: bodies, noise, paths, trees, tubes and balls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.ndimage as ndi
from pydantic import Field

from napari_deep3d.core import Box, DoubleArray, FloatArray, Shape, Spacing, zyx
from napari_deep3d.core.simulation.bounds import Bounds, NonNegative, PositiveRange
from napari_deep3d.core.simulation.samples.paths import MAX_POINTS, Growth, Stems, directions, grow, unit, wander
from napari_deep3d.core.simulation.samples.rasterize import Tubes, draw_balls, draw_tubes

__all__ = [
    "MAX_POINTS",
    "BodyBounds",
    "Canvas",
    "Growth",
    "Stems",
    "Tubes",
    "directions",
    "interpolate",
    "normalized",
    "unit",
    "wander",
]

WELL_INSIDE = (0.2, 0.8)
"""Where, as shares of the field, the first of several random places lies."""
GRID_PER_GRAIN = 0.8
"""Step of the coarse grid on which noise is drawn, in standard deviations of its grains."""


class BodyBounds(Bounds):
    """Bounds of the random choices in the shape of a round body."""

    power: PositiveRange = Field(
        (1.7, 2.6), description="power of a body's super-ellipsoid: 2 is an ellipsoid, more is boxier"
    )
    tilt_rad: NonNegative = Field(0.2, description="standard deviation of the tilt of a body that lies flat")


@dataclass(frozen=True)
class Canvas:
    """A density to draw on, with the source of the random numbers; vectors are (Z, Y, X) in um.

    Attributes
    ----------
    rng : numpy.random.Generator
        Source of all random numbers.
    density : array of float32, axes (Z, Y, X)
        What has been drawn so far; drawing changes it.
    spacing_um : tuple of float
        Voxel size (Z, Y, X) in um.
    """

    rng: np.random.Generator
    density: FloatArray
    spacing_um: Spacing

    @classmethod
    def blank(cls, rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Self:
        """A canvas of so many voxels (Z, Y, X) on which nothing is drawn yet."""
        return cls(rng, np.zeros(shape, dtype=np.float32), spacing_um)

    def layer(self) -> Canvas:
        """A blank canvas of the same size that draws on with the same random numbers."""
        return Canvas.blank(self.rng, self.shape, self.spacing_um)

    @property
    def shape(self) -> Shape:
        """Voxels (Z, Y, X)."""
        return zyx(self.density.shape)

    @property
    def field_um(self) -> DoubleArray:
        """Size of the field in um, axis (3,)."""
        return np.array(self.shape) * self.spacing_um

    def places(self, count: int, margin_um: float = 0.0) -> DoubleArray:
        """Random points (count, 3) in the field and up to a margin outside; the first is well inside and shows."""
        places = self.rng.uniform(-margin_um, self.field_um + margin_um, (count, 3))
        places[:1] = self.rng.uniform(*WELL_INSIDE, 3) * self.field_um
        return places

    def noise(self, grain_um: float | DoubleArray) -> FloatArray:
        """Gaussian noise whose grains are Gaussians of this standard deviation in um, axes (Z, Y, X), mean 0.

        The grain may also be given for each axis.

        Its standard deviation is 1, or less where grains are finer than a voxel, which averages over them.
        """
        step = np.array(self.spacing_um)
        sigma = np.sqrt(grain_um**2 + step**2 / 12)  # a voxel averages over its width
        ratio = np.maximum(1.0, GRID_PER_GRAIN * sigma / step)
        coarse = np.ceil((np.array(self.shape) - 1) / ratio).astype(int) + 2
        grid_sigma = sigma / (step * ratio)
        white = self.rng.standard_normal(coarse, dtype=np.float32)
        grains = ndi.gaussian_filter(white, grid_sigma, mode="wrap", truncate=3.0)
        # The blur lowers the noise's deviation, along each axis by the root of the kernel's summed squares.
        kernels = [np.exp(-0.5 * (np.arange(-int(3.0 * s + 0.5), int(3.0 * s + 0.5) + 1) / s) ** 2) for s in grid_sigma]
        gain = np.prod([float(np.sqrt(np.sum((kernel / kernel.sum()) ** 2))) for kernel in kernels])
        seen = np.prod(np.sqrt(grain_um / sigma))
        positions = [np.arange(n) / r for n, r in zip(self.shape, ratio, strict=True)]
        return interpolate(grains * np.float32(seen / gain), positions)

    def paths(
        self,
        start_um: DoubleArray,
        direction: DoubleArray,
        length_um: DoubleArray,
        bend: float,
        persistence_um: float,
    ) -> DoubleArray:
        """Random paths with points close enough to draw them, see :func:`wander`."""
        return wander(self.rng, min(self.spacing_um), start_um, direction, length_um, bend, persistence_um)

    def trees(self, stems: Stems, growth: Growth) -> list[Tubes]:
        """Random trees, see :func:`grow`; they are not drawn yet."""
        return grow(self.rng, min(self.spacing_um), stems, growth)

    def tubes(self, tubes: Tubes) -> None:
        """Draw tubes, see :func:`draw_tubes`."""
        draw_tubes(self.density, self.spacing_um, tubes)

    def balls(self, centres_um: DoubleArray, radii_um: DoubleArray, brightness: DoubleArray) -> None:
        """Draw balls, see :func:`draw_balls`."""
        draw_balls(self.density, self.spacing_um, centres_um, radii_um, brightness)

    def box_around(self, centre_um: DoubleArray, reach_um: float) -> Box | None:
        """The voxels within a distance of a point along each axis, or None where the field holds none of them."""
        step = np.array(self.spacing_um)
        low = np.maximum(np.floor((centre_um - reach_um) / step), 0).astype(int)
        high = np.minimum(np.ceil((centre_um + reach_um) / step) + 1, self.shape).astype(int)
        return None if np.any(high <= low) else Box.spanning(low, high)

    def squared_distance(self, box: Box, centre_um: DoubleArray, unit_um: float = 1.0) -> DoubleArray:
        """Squared distance of a box's voxels from a point, in squares of a unit; axes (Z, Y, X)."""
        squares = (
            ((np.arange(s.start, s.stop) * d - c) / unit_um) ** 2
            for s, d, c in zip(box, self.spacing_um, centre_um, strict=True)
        )
        return np.asarray(sum(np.ix_(*squares), np.zeros(1)))

    def ellipsoid(
        self,
        box: Box,
        centre_um: DoubleArray,
        semi_um: DoubleArray,
        bounds: BodyBounds,
        tilt_rad: float | None = None,
    ) -> FloatArray:
        """Distance of a box's voxels from the centre of a randomly turned super-ellipsoid, axes (Z, Y, X).

        It is 0 at the centre and 1 on the surface. The tilt of its Z axis is small and random if not given.
        """
        angle, power = self.rng.uniform(0, np.pi), self.rng.uniform(*bounds.power)
        tilt = self.rng.normal(0, bounds.tilt_rad) if tilt_rad is None else tilt_rad
        z, y, x = (
            (np.arange(s.start, s.stop) * d - c).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
            for axis, (s, d, c) in enumerate(zip(box, self.spacing_um, centre_um, strict=True))
        )
        sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
        lean, stand = np.float32(np.sin(tilt)), np.float32(np.cos(tilt))
        u, v = cosine * x + sine * y, cosine * y - sine * x
        own_axes = (stand * z - lean * u) / semi_um[0], (stand * u + lean * z) / semi_um[2], v / semi_um[1]
        first, second, third = (np.abs(value).astype(np.float32) ** np.float32(power) for value in own_axes)
        return np.asarray((first + second + third) ** np.float32(1 / power), dtype=np.float32)

    def lighten(self, box: Box, density: DoubleArray | FloatArray) -> None:
        """Put a density, axes (Z, Y, X), into a box where it is larger than what stands there."""
        self.density[box] = np.maximum(self.density[box], density)


def normalized(density: FloatArray) -> FloatArray:
    """A density, axes (Z, Y, X), whose bright parts are about 1: the 99.9th percentile of what is not zero is."""
    drawn = density[density > 0]
    return np.asarray(density / np.percentile(drawn, 99.9), dtype=np.float32) if drawn.size else density


def interpolate(image: FloatArray, positions: Sequence[DoubleArray]) -> FloatArray:
    """Linear interpolation on a grid, axes (Z, Y, X), at ``positions`` along each axis, in voxels of the image.

    The image is mirrored at its edges. It goes axis by axis, because that is quick.
    """
    result = image
    for axis, places in enumerate(positions):
        count = image.shape[axis]
        if len(places) == count and np.array_equal(places, np.arange(count)):
            continue
        below = np.floor(places).astype(int)
        share = (places - below).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        # Beyond the edge the image goes on mirrored: -1 is 0, and count is count - 1.
        first, second = (
            result.take(np.minimum(i, 2 * count - 1 - i), axis)
            for i in (below % (2 * count), (below + 1) % (2 * count))
        )
        second -= first
        second *= share
        second += first
        result = second
    return np.asarray(result, dtype=np.float32)
