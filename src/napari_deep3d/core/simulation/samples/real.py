"""Pieces of real confocal stacks as samples."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from pydantic import Field

from napari_deep3d.core import Box, FloatArray, Shape, Spacing
from napari_deep3d.core.simulation.bounds import Bounds, PercentileRange, PositiveRange
from napari_deep3d.core.simulation.samples.canvas import interpolate

BRIGHT_PERCENTILE = 99.8
BRIGHTEST = 1.5
"""Largest value before the gamma."""


class ConfocalBounds(Bounds):
    """Bounds of the random choices in samples taken from real confocal stacks."""

    magnification: PositiveRange = Field((0.7, 1.4), description="size of the structures in their true size")
    background_percentile: PercentileRange = Field((20.0, 60.0), description="of the stack, which becomes black")
    gamma: PositiveRange = Field(
        (1.0, 1.6), description="a confocal image is itself blurred; a gamma above 1 takes part of that blur away"
    )


def from_confocal(
    rng: np.random.Generator,
    shape: Shape,
    spacing_um: Spacing,
    stack: NDArray[np.generic],
    stack_spacing_um: Spacing | None,
    bounds: ConfocalBounds,
) -> FloatArray:
    """A random piece of a real confocal stack as the sample: its own background removed, turned and mirrored.

    Where the piece is larger than the stack, the stack is mirrored on.

    Parameters
    ----------
    rng, bounds
        Source of the random choices, and their bounds.
    shape, spacing_um
        Voxels (Z, Y, X) of the sample and their size in um.
    stack : array, axes (Z, Y, X)
        The confocal stack.
    stack_spacing_um : tuple of float or None
        Its voxel size (Z, Y, X) in um: the piece then has its true size, up to a random magnification. None takes it
        voxel by voxel.

    Returns
    -------
    array of float32, axes (Z, Y, X)
        Density, zero or more, its bright structures about 1.
    """
    # 1. Turn the stack by a right angle or not, and find the distance of the sample's voxels in the stack's.
    image = np.asarray(stack)
    own = np.array(spacing_um if stack_spacing_um is None else stack_spacing_um)
    if rng.random() < 0.5:
        image, own = image.swapaxes(1, 2), own[[0, 2, 1]]
    scale = np.ones(3)
    if stack_spacing_um is not None:
        scale = np.array(spacing_um) / own / rng.uniform(*bounds.magnification)
    low, high = np.percentile(image[::2, ::2, ::2], (rng.uniform(*bounds.background_percentile), BRIGHT_PERCENTILE))

    # 2. Read a piece from a random place on, blurred first where its voxels are coarser than the stack's.
    extent = (np.array(shape) - 1) * scale
    room = np.maximum(np.array(image.shape) - 1 - extent, 0)
    start = rng.uniform(0, 1, 3) * room
    if np.all(scale == 1):
        start = np.rint(start)  # voxel by voxel needs no interpolation
    first = np.floor(start).astype(int)
    part = np.asarray(image[Box.spanning(first, np.ceil(start + extent).astype(int) + 2)], dtype=np.float32)
    coarser = 0.5 * np.sqrt(np.maximum(scale**2 - 1, 0))
    part = ndi.gaussian_filter(part, coarser, mode="reflect") if coarser.any() else part
    places = [o + np.arange(n) * s for o, n, s in zip(start - first, shape, scale, strict=True)]
    piece = interpolate(part, places)

    # 3. Mirror it, make its background black and its bright structures about 1.
    piece = piece[tuple(slice(None, None, int(rng.choice((-1, 1)))) for _ in range(3))]
    scaled = np.clip((piece - low) / max(high - low, 1e-6), 0, BRIGHTEST)
    return np.asarray(scaled ** rng.uniform(*bounds.gamma), dtype=np.float32)
