"""The kinds of arrays, tuples and boxes that the package hands around; axes are Z, Y, X."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

FloatArray = NDArray[np.float32]
"""Images and what is computed voxel by voxel."""
DoubleArray = NDArray[np.float64]
"""Positions, matrices, statistics."""
ComplexArray = NDArray[np.complex64]
"""Spectra."""

Shape = tuple[int, int, int]
"""Number of voxels."""
Spacing = tuple[float, float, float]
"""Voxel size in um."""
Vector = tuple[float, float, float]
"""Position or shift; in um unless said otherwise."""


def zyx(values: Iterable[T]) -> tuple[T, T, T]:
    """Three values, one for each axis, as a tuple whose length is known to a type checker."""
    z, y, x = values
    return z, y, x


class Box(NamedTuple):
    """A box of voxels: slices along Z, Y, X that have a start and a stop; indexes an array as it is: ``data[box]``."""

    z: slice
    y: slice
    x: slice

    @classmethod
    def spanning(cls, start: Iterable[int], stop: Iterable[int]) -> Box:
        """The box from ``start`` up to, and without, ``stop``."""
        return cls(*(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True)))

    @classmethod
    def at(cls, start: Iterable[int], shape: Iterable[int]) -> Box:
        """The box of a shape that begins at ``start``."""
        return cls(*(slice(int(a), int(a) + int(n)) for a, n in zip(start, shape, strict=True)))

    @classmethod
    def whole(cls, shape: Iterable[int]) -> Box:
        """All voxels of a stack."""
        return cls(*(slice(0, int(n)) for n in shape))

    @classmethod
    def centred(cls, shape: Shape, within: Shape) -> Box:
        """The middle of a stack of shape ``within``, of at most ``shape`` voxels."""
        size = [min(want, have) for want, have in zip(shape, within, strict=True)]
        return cls.at([(have - want) // 2 for want, have in zip(size, within, strict=True)], size)

    @property
    def start(self) -> Shape:
        """Its first voxel."""
        return zyx(part.start for part in self)

    @property
    def stop(self) -> Shape:
        """The voxel after its last one."""
        return zyx(part.stop for part in self)

    @property
    def shape(self) -> Shape:
        """Number of voxels."""
        return zyx(part.stop - part.start for part in self)

    def shifted(self, by: Iterable[int]) -> Box:
        """The box ``by`` voxels further on."""
        return Box(*(slice(part.start + int(d), part.stop + int(d)) for part, d in zip(self, by, strict=True)))

    def relative_to(self, outer: Box) -> Box:
        """The same voxels counted from the first one of an outer box."""
        return self.shifted([-first for first in outer.start])

    def clipped(self, within: Shape) -> Box:
        """What of it lies within a stack."""
        return Box(*(slice(min(max(0, p.start), n), max(0, min(n, p.stop))) for p, n in zip(self, within, strict=True)))

    def grown(self, margin: Iterable[int], within: Shape) -> Box:
        """Wider by a margin on every side, within a stack."""
        low = [a - m for a, m in zip(self.start, margin, strict=True)]
        return Box.spanning(low, [b + m for b, m in zip(self.stop, margin, strict=True)]).clipped(within)

    def snapped(self, multiple: Shape, within: Shape) -> Box:
        """Widened so that it starts and stops at multiples, within a stack."""
        low = [a // m * m for a, m in zip(self.start, multiple, strict=True)]
        return Box.spanning(low, [-(-b // m) * m for b, m in zip(self.stop, multiple, strict=True)]).clipped(within)

    def widened(self, least: Shape, within: Shape) -> Box:
        """Widened evenly to at least so many voxels along each axis, within a stack."""
        missing = [max(0, want - have) for want, have in zip(least, self.shape, strict=True)]
        starts = [
            max(0, min(start - more // 2, size - have - more))
            for start, more, have, size in zip(self.start, missing, self.shape, within, strict=True)
        ]
        return Box.at(starts, [have + more for have, more in zip(self.shape, missing, strict=True)]).clipped(within)

    def with_axis(self, axis: int, start: int, stop: int) -> Box:
        """The box with another extent along one axis (0, 1, 2 for Z, Y, X)."""
        return Box(*(slice(start, stop) if i == axis else part for i, part in enumerate(self)))
