"""Where sections lie on the screen, and what a place there is in space. Positions are (Z, Y, X) in um.

A picture shows one section or all three: x-y, below it x-z, beside it y-z, lined up so that a crosshair goes on from
one into the next. Places on the screen are (row, column) in um: of the first section as they are, of the others moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Literal

from napari_deep3d.core import Vector, zyx

View = Literal["x-y", "x-z", "y-z", "all three"]

AXES = "zyx"
CROSS_COLOUR, LINE_COLOUR = "#ffd34d", "#00e5ff"
BAR_SHARE = 0.25
"""Of the width of a picture, at most, for the scale bar."""
GAP = 0.03
"""Between sections, as a share of the larger side of x-y."""


@dataclass(frozen=True)
class Bounds:
    """The box in space that holds all stacks, edges of voxels included."""

    low_um: Vector
    high_um: Vector

    @classmethod
    def around(cls, boxes: Sequence[Bounds]) -> Bounds:
        """The smallest that holds all of several."""
        low = zyx(min(values) for values in zip(*(box.low_um for box in boxes), strict=True))
        high = zyx(max(values) for values in zip(*(box.high_um for box in boxes), strict=True))
        return cls(low, high)

    @property
    def middle_um(self) -> Vector:
        """Its centre."""
        return zyx((low + high) / 2 for low, high in zip(self.low_um, self.high_um, strict=True))

    def nearest(self, point_um: Vector) -> Vector:
        """The point of the box that is nearest to another one."""
        sides = zip(point_um, self.low_um, self.high_um, strict=True)
        return zyx(min(max(value, low), high) for value, low, high in sides)


@dataclass(frozen=True)
class Placement:
    """A section on the screen.

    Attributes
    ----------
    normal, rows, columns : int
        Axes (0, 1, 2 for Z, Y, X): the one that is cut across, the one that runs down, the one that runs right.
    shift : tuple of float
        Rows and columns in um by which it is moved on the screen.
    """

    normal: int
    rows: int
    columns: int
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def name(self) -> str:
        """Its plane, such as ``x-z``."""
        return {0: "x-y", 1: "x-z", 2: "y-z"}[self.normal]

    def to_screen(self, point_um: Vector) -> tuple[float, float]:
        """Row and column of a point, seen along the normal."""
        return point_um[self.rows] + self.shift[0], point_um[self.columns] + self.shift[1]

    def to_point(self, row: float, column: float, point_um: Vector) -> Vector:
        """The point at a row and column; along the normal it is where another point is."""
        moved = list(point_um)
        moved[self.rows], moved[self.columns] = row - self.shift[0], column - self.shift[1]
        return zyx(moved)

    def frame(self, bounds: Bounds) -> tuple[float, float, float, float]:
        """First row, first column, last row, last column of a box."""
        return *self.to_screen(bounds.low_um), *self.to_screen(bounds.high_um)


def lay_out(view: View, bounds: Bounds) -> tuple[Placement, ...]:
    """The sections of a view of stacks within these bounds."""
    if view == "x-y":
        return (Placement(0, 1, 2),)
    if view == "x-z":
        return (Placement(1, 0, 2),)
    if view == "y-z":
        return (Placement(2, 0, 1),)
    low, high = bounds.low_um, bounds.high_um
    gap = GAP * max(high[1] - low[1], high[2] - low[2])
    below, beside = high[1] + gap - low[0], high[2] + gap - low[0]
    return Placement(0, 1, 2), Placement(1, 0, 2, (below, 0.0)), Placement(2, 1, 0, (0.0, beside))


def extent(placements: Sequence[Placement], bounds: Bounds) -> tuple[float, float, float, float]:
    """First row, first column, last row, last column of all sections on the screen."""
    frames = [placement.frame(bounds) for placement in placements]
    tops, lefts, bottoms, rights = zip(*frames, strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)


def section_at(placements: Sequence[Placement], bounds: Bounds, row: float, column: float) -> Placement:
    """The section at a place on the screen, or the nearest one."""

    def distance(placement: Placement) -> float:
        top, left, bottom, right = placement.frame(bounds)
        return max(top - row, row - bottom, 0.0) + max(left - column, column - right, 0.0)

    return min(placements, key=distance)


def nice_length(longest: float) -> float:
    """1, 2 or 5 times a power of ten, at most as long as this.

    Examples
    --------
    >>> nice_length(37.0)
    20.0
    """
    power = 10.0 ** floor(log10(longest)) if longest > 0 else 1.0
    return next((step * power for step in (5.0, 2.0, 1.0) if step * power <= longest), power)
