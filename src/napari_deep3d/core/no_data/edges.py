"""Whether an edge within a stack is the edge of the image: a step, beyond which image begins at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_deep3d.core.types import DoubleArray

BEYOND = 3
"""Voxels that are looked at beyond an edge."""
MIN_PLACES = 8
"""Fewer places along an edge say nothing."""
MAX_DENSITY = 0.3
"""Share of places beyond an edge that may have the value before it."""
MIN_STEP, MIN_LEVELS = 4.0, 3.0
"""Step at an edge over the differences between the voxels beyond it, and over the least difference."""
MIN_REVERSALS, MAX_NOISE_DENSITY = 0.2, 0.1
"""Share of places beyond an edge that go up and down, as noise does, and of those that have the value before it, where
the step is not larger than the noise."""
MIXTURE = (0.02, 0.8)
"""How far from the one side of an edge to the other a voxel lies that is a mixture of both."""


@dataclass(frozen=True)
class Edge:
    """What the edge of a candidate says: the value before it, and whether it is the edge of the image.

    ``places`` is how many voxels long the edge is, 0 if too few to say anything; ``mixed`` how many of the voxels
    beyond it lie between both sides; ``voxels`` how many the candidate has, if it is an area; ``is_straight`` whether
    it may be the edge of the image by its shape.
    """

    value: float
    places: int
    is_edge_of_image: bool
    mixed: int = 0
    voxels: int = 0
    is_straight: bool = True


def look_at_edge(value: DoubleArray, beyond: DoubleArray) -> Edge:
    """Look at an edge from the side that may be no image.

    Parameters
    ----------
    value : array, axes (place,)
        The last voxel before the edge; places where it is not finite do not count.
    beyond : array, axes (place, voxel)
        The :data:`BEYOND` voxels beyond it; those that are not finite tell against an edge.
    """
    finite = np.isfinite(value)
    value, beyond = value[finite], beyond[finite]
    typical = float(np.median(value)) if len(value) else float("nan")
    if len(value) < MIN_PLACES:
        return Edge(typical, 0, False)
    first, second, third = beyond.T
    natural = (second == value) | (third == value) | ~np.isfinite(beyond).all(axis=1)
    density, places = float(natural.mean()), len(value)
    if density > MAX_DENSITY or places - natural.sum() < MIN_PLACES:
        return Edge(typical, places, False)
    value, first, second, third = (each[~natural] for each in (value, first, second, third))
    # 1. A step: to the second voxel it is much farther than from there to the third, and than the least difference,
    #    which is that of whole numbers. The first voxel may be a mixture of both sides.
    differences = np.abs(np.concatenate([first - value, second - first, third - second]))
    least = float(differences[differences > 0].min(initial=np.inf))
    step, usual = float(np.median(np.abs(second - value))), float(np.median(np.abs(third - second)))
    if step >= max(MIN_STEP * usual, MIN_LEVELS * least):
        part = (first - value) / (second - value)
        between = (part > MIXTURE[0]) & (part < MIXTURE[1])
        mixed = int(between.sum() - (part > 2 - MIXTURE[1]).sum())  # mere noise lies on both sides
        return Edge(typical, places, True, max(0, mixed))
    # 2. Or noise, which begins at once and seldom has that value.
    reversals = float(((second - first) * (third - second) < 0).mean())
    return Edge(typical, places, density <= MAX_NOISE_DENSITY and reversals >= MIN_REVERSALS)
