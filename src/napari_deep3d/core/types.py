"""Names of the kinds of arrays and tuples that the package hands around; axes are Z, Y, X."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

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
