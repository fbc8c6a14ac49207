"""Round bodies: distances from turned super-ellipsoids."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from napari_deep3d.core import Box, DoubleArray, FloatArray, Spacing
from napari_deep3d.core.config import Config
from napari_deep3d.core.simulation.bounds import NonNegative, PositiveRange


class BodyBounds(Config):
    """Bounds of the random choices in the shape of a round body."""

    power: PositiveRange = Field(
        (1.7, 2.6), description="power of a body's super-ellipsoid: 2 is an ellipsoid, more is boxier"
    )
    tilt_rad: NonNegative = Field(0.2, description="standard deviation of the tilt of a body that lies flat")


def squared_distance(box: Box, spacing_um: Spacing, centre_um: DoubleArray, unit_um: float = 1.0) -> DoubleArray:
    """Squared distance of a box's voxels from a point, in squares of a unit; axes (Z, Y, X)."""
    squares = (
        ((np.arange(s.start, s.stop) * d - c) / unit_um) ** 2
        for s, d, c in zip(box, spacing_um, centre_um, strict=True)
    )
    return np.asarray(sum(np.ix_(*squares), np.zeros(1)))


def ellipsoid_distance(
    rng: np.random.Generator,
    box: Box,
    spacing_um: Spacing,
    centre_um: DoubleArray,
    semi_um: DoubleArray,
    bounds: BodyBounds,
    *,
    tilt_rad: float | None = None,
) -> FloatArray:
    """Distance from the centre of a super-ellipsoid that is turned by a random angle, in units of its size.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the angle, the power and the tilt.
    box : Box
        Voxels to compute it for.
    spacing_um : tuple of float
        Voxel size (Z, Y, X) in um.
    centre_um, semi_um : array of float64, axis (3,)
        Centre and semi-axes (Z, Y, X) in um.
    bounds : BodyBounds
        Bounds of the power and the tilt.
    tilt_rad : float, optional
        Tilt of the Z axis; small and random if not given.

    Returns
    -------
    array of float32, axes (Z, Y, X)
        Over the box: 0 at the centre, 1 on the surface.
    """
    angle, power = rng.uniform(0, np.pi), rng.uniform(*bounds.power)
    tilt = rng.normal(0, bounds.tilt_rad) if tilt_rad is None else tilt_rad
    z, y, x = (
        (np.arange(s.start, s.stop) * d - c).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (s, d, c) in enumerate(zip(box, spacing_um, centre_um, strict=True))
    )
    sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    lean, stand = np.float32(np.sin(tilt)), np.float32(np.cos(tilt))
    u, v = cosine * x + sine * y, cosine * y - sine * x
    own_axes = (stand * z - lean * u) / semi_um[0], (stand * u + lean * z) / semi_um[2], v / semi_um[1]
    first, second, third = (np.abs(value).astype(np.float32) ** np.float32(power) for value in own_axes)
    return np.asarray((first + second + third) ** np.float32(1 / power), dtype=np.float32)
