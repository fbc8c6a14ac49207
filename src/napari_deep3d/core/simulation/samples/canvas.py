"""The sample that is being drawn, and what draws on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from napari_deep3d.core import Box, DoubleArray, FloatArray, Shape, Spacing, zyx
from napari_deep3d.core.simulation.samples.ellipsoids import BodyBounds, ellipsoid_distance
from napari_deep3d.core.simulation.samples.noise import smooth_noise
from napari_deep3d.core.simulation.samples.paths import Growth, Stems, grow, wander
from napari_deep3d.core.simulation.samples.rasterize import Tubes, draw_balls, draw_tubes

WELL_INSIDE = (0.2, 0.8)
"""Where, as shares of the field, the first of several random places lies."""


@dataclass(frozen=True)
class Canvas:
    """A density to draw on, with the source of the random numbers.

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
        """Random points in the field and up to ``margin_um`` outside of it.

        Returns
        -------
        array of float64, axes (count, 3)
            In um; the first one is well inside the field, so that something shows.
        """
        places = self.rng.uniform(-margin_um, self.field_um + margin_um, (count, 3))
        places[:1] = self.rng.uniform(*WELL_INSIDE, 3) * self.field_um
        return places

    def noise(self, grain_um: float) -> FloatArray:
        """Smooth random noise over the field, see :func:`smooth_noise`."""
        return smooth_noise(self.rng, self.shape, self.spacing_um, grain_um)

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

    def ellipsoid(self, box: Box, centre_um: DoubleArray, semi_um: DoubleArray, bounds: BodyBounds) -> FloatArray:
        """Distance of a box's voxels from a random ellipsoid's centre, see :func:`ellipsoid_distance`."""
        return ellipsoid_distance(self.rng, box, self.spacing_um, centre_um, semi_um, bounds)

    def lighten(self, box: Box, density: DoubleArray | FloatArray) -> None:
        """Put a density, axes (Z, Y, X), into a box where it is larger than what stands there."""
        self.density[box] = np.maximum(self.density[box], density)
