"""From a transform to a pair whose voxels lie on each other: resampled once, cropped to what both stacks show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Clock, Job, Region, Stop, StoppedError, never, sizes_of
from napari_deep3d.core.registration.transform import Transform, corners_um
from napari_deep3d.core.volume import MIN_LATERAL, MIN_PLANES, Spacing, Volume, read_box

SLAB_PLANES = 8
MARGIN = 10
"""Voxels read beyond a slab: a cubic spline's coefficients depend on ever fewer of those further away."""
WHOLE = 1e-4
"""A shift this close to whole voxels, in voxels, needs no interpolation."""


@dataclass(frozen=True)
class AlignedPair:
    """A registered pair on the wide-field stack's voxels.

    Attributes
    ----------
    confocal, widefield
        Voxels, axes (Z, Y, X), of one shape; each of its own kind of number.
    spacing_um
        Voxel size of both.
    region
        The box of the wide-field stack that they show.
    """

    confocal: NDArray[Any] = field(repr=False)
    widefield: NDArray[Any] = field(repr=False)
    spacing_um: Spacing
    region: Region

    @property
    def origin_um(self) -> Spacing:
        """Position of the pair's first voxel in the wide-field stack, (Z, Y, X) in um from that stack's first voxel."""
        z, y, x = (part.start * step for part, step in zip(self.region, self.spacing_um, strict=True))
        return z, y, x


def align_pair(confocal: Volume, widefield: Volume, transform: Transform, stop: Stop = never) -> Job[AlignedPair]:
    """Bring a confocal stack onto the voxels of a wide-field stack and crop both to what they share.

    The wide-field stack is not interpolated: that would smooth its noise, and a network trained on it would meet
    another noise in use. The confocal stack is interpolated once, by cubic splines; where its voxels are finer it is
    blurred first so that nothing aliases. Whole-voxel shifts copy voxels as they are.

    Parameters
    ----------
    confocal, widefield
        Stacks with voxel size, axes (Z, Y, X).
    transform
        From confocal to wide-field positions.
    stop
        Asked between slabs; raises StoppedError.

    Raises
    ------
    InputError
        If they share less than 4 planes of 16 x 16 pixels.
    """
    region = shared_region(confocal, widefield, transform)
    shape = sizes_of(region)
    matrix = np.asarray(
        np.linalg.inv(transform.index_matrix(confocal.known_spacing_um, widefield.known_spacing_um)), dtype=np.float64
    )
    dtype = np.dtype(confocal.data.dtype)
    out = np.empty(shape, dtype=dtype)
    seen = np.empty(shape, dtype=widefield.data.dtype)
    clock = Clock()
    for first in range(0, shape[0], SLAB_PLANES):
        if stop():
            raise StoppedError
        rows = slice(first, min(first + SLAB_PLANES, shape[0]))
        slab = (slice(region[0].start + rows.start, region[0].start + rows.stop), region[1], region[2])
        out[rows] = _as_kind(resample(confocal, matrix, slab), dtype)
        seen[rows] = widefield.data[slab]
        yield clock.progress(rows.stop, shape[0], "aligning the pair")
    return AlignedPair(out, seen, widefield.known_spacing_um, region)


def shared_region(confocal: Volume, widefield: Volume, transform: Transform) -> Region:
    """Box of the wide-field stack, in its voxels, that the confocal stack shows whole.

    Raises
    ------
    InputError
        If it is smaller than a stack must be.
    """
    spacing = np.array(widefield.known_spacing_um)
    ends = transform.apply(corners_um(confocal.shape, confocal.known_spacing_um)).reshape(2, 2, 2, 3) / spacing
    low, high = np.zeros(3, dtype=int), np.zeros(3, dtype=int)
    for axis in range(3):
        first, last = (np.take(ends[..., axis], i, axis=axis).ravel() for i in (0, 1))
        low[axis] = max(0, int(np.ceil(first.max() - WHOLE)))
        high[axis] = min(widefield.shape[axis], int(np.floor(last.min() + WHOLE)) + 1)
    if high[0] - low[0] < MIN_PLANES or min(high[1:] - low[1:]) < MIN_LATERAL:
        size = " x ".join(str(max(0, int(n))) for n in high - low)
        raise InputError(
            f"registered like this the stacks share only {size} voxels; at least {MIN_PLANES} planes of "
            f"{MIN_LATERAL} x {MIN_LATERAL} are needed. Check the shift, or acquire stacks that overlap."
        )
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return z, y, x


def resample(confocal: Volume, matrix: NDArray[np.float64], region: Region) -> NDArray[Any]:
    """Voxels of a stack on a box of another index grid.

    Parameters
    ----------
    confocal
        The stack, axes (Z, Y, X).
    matrix
        4 x 4, from indices of the other grid to indices of the stack.
    region
        The box of the other grid.
    """
    linear = matrix[:3, :3]
    origin = linear @ [part.start for part in region] + matrix[:3, 3]
    size = sizes_of(region)
    if np.allclose(linear, np.eye(3), atol=WHOLE / max(size)) and np.allclose(origin, np.round(origin), atol=WHOLE):
        first = np.round(origin).astype(int)
        z, y, x = (slice(int(a), int(a) + n) for a, n in zip(first, size, strict=True))
        return np.asarray(confocal.data[z, y, x])
    ends = np.array(np.meshgrid(*((0, n - 1) for n in size), indexing="ij")).reshape(3, -1).T @ linear.T + origin
    spread = np.maximum(0, (np.linalg.norm(linear, axis=1) - 1) / 2)
    margin = MARGIN + np.ceil(4 * spread).astype(int)
    low = np.maximum(np.floor(ends.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(ends.max(axis=0)).astype(int) + margin + 1, confocal.shape)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    voxels = read_box(confocal.data, (z, y, x))
    if spread.any():
        voxels = ndi.gaussian_filter(voxels, spread)
    return np.asarray(ndi.affine_transform(voxels, linear, origin - low, output_shape=size, order=3, mode="nearest"))


def _as_kind(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values as a kind of number; integers are rounded and kept within what the kind holds."""
    if values.dtype == dtype or dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.asarray(np.clip(np.rint(values), limits.min, limits.max), dtype=dtype)
