"""Round bodies in a box of the field: boxes, distances from turned super-ellipsoids."""

from __future__ import annotations

import numpy as np
from pydantic import Field, FiniteFloat

from napari_deep3d.core.config import Config
from napari_deep3d.core.simulation.bounds import PositiveRange
from napari_deep3d.core.types import DoubleArray, FloatArray, Spacing

Box = tuple[slice, ...]


class BodyBounds(Config):
    """Bounds of the random choices in the shape of a round body."""

    power: PositiveRange = Field(
        (1.7, 2.6), description="power of a body's super-ellipsoid: 2 is an ellipsoid, more is boxier"
    )
    tilt_rad: FiniteFloat = Field(0.2, ge=0, description="standard deviation of the tilt of a body that lies flat")


def box_around(shape: tuple[int, ...], spacing_um: Spacing, centre_um: DoubleArray, reach_um: float) -> Box | None:
    """The box of voxels within a distance of a point, or None where the field holds none of them."""
    step = np.array(spacing_um)
    low = np.maximum(np.floor((centre_um - reach_um) / step), 0).astype(int)
    high = np.minimum(np.ceil((centre_um + reach_um) / step) + 1, shape).astype(int)
    if np.any(high <= low):
        return None
    return tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))


def squared_distance(box: Box, spacing_um: Spacing, centre_um: DoubleArray, unit_um: float = 1.0) -> DoubleArray:
    """Squared distance of a box's voxels from a point, in squares of a unit; axes (Z, Y, X)."""
    squares = (
        ((np.arange(s.start, s.stop) * d - c) / unit_um) ** 2
        for s, d, c in zip(box, spacing_um, centre_um, strict=True)
    )
    return np.asarray(sum(np.ix_(*squares), np.zeros(1)))


def distance(
    rng: np.random.Generator,
    box: Box,
    spacing_um: Spacing,
    centre_um: DoubleArray,
    semi_um: DoubleArray,
    bounds: BodyBounds,
    *,
    tilt: float | None = None,
) -> FloatArray:
    """Distance from a centre in units of a super-ellipsoid turned by a random angle: 1 on its surface.

    Parameters
    ----------
    rng, box, spacing_um
        Random numbers; the voxels; their size.
    centre_um, semi_um
        Centre and semi-axes, (Z, Y, X).
    bounds
        Of the power and the tilt.
    tilt
        Tilt of the Z axis in rad; small and random if not given.
    """
    angle, power = rng.uniform(0, np.pi), rng.uniform(*bounds.power)
    tilt = rng.normal(0, bounds.tilt_rad) if tilt is None else tilt
    z, y, x = (
        (np.arange(s.start, s.stop) * d - c).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (s, d, c) in enumerate(zip(box, spacing_um, centre_um, strict=True))
    )
    sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    lean, stand = np.float32(np.sin(tilt)), np.float32(np.cos(tilt))
    u, v = cosine * x + sine * y, cosine * y - sine * x
    total = _power((stand * z - lean * u) / semi_um[0], power)
    total = total + _power((stand * u + lean * z) / semi_um[2], power) + _power(v / semi_um[1], power)
    return np.asarray(total ** np.float32(1 / power), dtype=np.float32)


def _power(value: FloatArray, power: float) -> FloatArray:
    return np.asarray(np.abs(value).astype(np.float32) ** np.float32(power))
