"""From a transform to a pair whose voxels lie on each other: resampled once, cropped to what both stacks show."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_deep3d.core import (
    MIN_LATERAL,
    MIN_PLANES,
    Box,
    Clock,
    DoubleArray,
    InputError,
    Job,
    MaskStack,
    NoData,
    Spacing,
    Stack,
    Stop,
    StoppedError,
    Volume,
    has_large_offset,
    never,
    without_offset,
    zyx,
)
from napari_deep3d.core.no_data.image_part import find_no_image, image_part
from napari_deep3d.core.registration.transform import Transform, corners_um

SLAB_PLANES = 8
SPLINE_MARGIN = 10
"""Voxels read beyond a slab: a cubic spline's coefficients depend on ever fewer of those further away."""
WHOLE_VOXELS = 1e-4
"""A shift this close to whole voxels, in voxels, needs no interpolation."""
MIN_COVERED = 0.02
"""Share of an interpolated voxel that may be no image."""


@dataclass(frozen=True)
class AlignedPair:
    """A registered pair on the wide-field stack's voxels.

    Attributes
    ----------
    confocal, widefield : NDArray[Any]
        Voxels, axes (Z, Y, X), of one shape; each of its own kind of number.
    spacing_um : Spacing
        Voxel size of both.
    region : Box
        The box of the wide-field stack that they show.
    """

    confocal: NDArray[Any] = field(repr=False)
    widefield: NDArray[Any] = field(repr=False)
    spacing_um: Spacing
    region: Box

    @property
    def origin_um(self) -> Spacing:
        """Position of the pair's first voxel in the wide-field stack, (Z, Y, X) in um from that stack's first voxel."""
        return zyx(first * step for first, step in zip(self.region.start, self.spacing_um, strict=True))


def align_pair(
    confocal: Volume, widefield: Volume, transform: Transform, stop: Stop = never, region: Box | None = None
) -> Job[AlignedPair]:
    """Bring a confocal stack onto the voxels of a wide-field stack and crop both to what they share.

    What is no image at the borders of one of them is cropped too; what is none within stays so in both, with the value
    that it had: the confocal stack is filled before it is interpolated, and blanked again. Only where it would not be
    known again, as of a dead column that was turned, it stays filled.

    The wide-field stack is not interpolated: that would smooth its noise, and a network trained on it would meet
    another noise in use. The confocal stack is interpolated once, by cubic splines; where its voxels are finer it is
    blurred first so that nothing aliases. Whole-voxel shifts copy voxels as they are.

    Parameters
    ----------
    confocal, widefield : Volume
        Stacks with voxel size, axes (Z, Y, X).
    transform : Transform
        From confocal to wide-field positions.
    stop : Stop
        Asked between slabs; raises StoppedError.
    region : Box, optional
        The box of the wide-field stack to show, where it is that of another channel.

    Raises
    ------
    InputError
        If they share less than 4 planes of 16 x 16 pixels.
    """
    own = _fill(confocal)
    if region is None:
        no_data = find_no_image(widefield.data)
        image = Box.whole(widefield.shape) if no_data is None else no_data.image_box
        region = shared_region(confocal, widefield, transform, (own.image, image))
    index_matrix = transform.index_matrix(confocal.require_spacing_um(), widefield.require_spacing_um())
    to_confocal = np.asarray(np.linalg.inv(index_matrix), dtype=np.float64)
    dtype = np.dtype(confocal.data.dtype)
    moved = np.empty(region.shape, dtype=dtype)
    fixed = np.empty(region.shape, dtype=widefield.data.dtype)
    planes, clock = region.shape[0], Clock()
    for first in range(0, planes, SLAB_PLANES):
        if stop():
            raise StoppedError
        part = slice(first, min(first + SLAB_PLANES, planes))
        slab = region.with_axis(0, region.z.start + part.start, region.z.start + part.stop)
        values = resample(own.volume, to_confocal, slab)
        if values.dtype != dtype and dtype.kind != "f":  # a spline overshoots: keep to what the integers can hold
            limits = np.iinfo(dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        moved[part] = values
        fixed[part] = widefield.data[slab]
        yield clock.progress(part.stop, planes, "aligning the pair")
    if own.no_data is not None:
        moved = _blanked(moved, own.no_data, to_confocal, region)
    return AlignedPair(moved, fixed, widefield.require_spacing_um(), region)


class _Filled(NamedTuple):
    """A stack in which what is no image is filled, the box that holds its image, and what is none."""

    volume: Volume
    image: Box
    no_data: NoData | None


def _fill(volume: Volume) -> _Filled:
    no_data = find_no_image(volume.data)
    if no_data is None:
        return _Filled(volume, Box.whole(volume.shape), None)
    data = image_part(volume.data, no_data, crop=False).data
    return _Filled(replace(volume, data=data), no_data.image_box, no_data)


def _blanked(moved: NDArray[Any], no_data: NoData, to_confocal: DoubleArray, region: Box) -> NDArray[Any]:
    """The moved stack with the value of what is no image where that came to lie, if it will be found there again."""
    mask = np.empty(moved.shape, bool)
    for first in range(0, len(mask), SLAB_PLANES):
        slab = region.with_axis(0, region.z.start + first, min(region.z.start + first + SLAB_PLANES, region.z.stop))
        covered = _interpolate(MaskStack(no_data), to_confocal, slab, order=1)
        mask[first : first + SLAB_PLANES] = covered > MIN_COVERED
    blanked = moved.copy()
    blanked[mask] = no_data.values[0]
    found = find_no_image(blanked)
    for z in range(len(mask)):
        unknown = mask[z] if found is None else mask[z] & ~found.plane(z)
        blanked[z][unknown] = moved[z][unknown]
    return blanked


def shared_region(
    confocal: Volume, widefield: Volume, transform: Transform, images: tuple[Box, Box] | None = None
) -> Box:
    """Box of the wide-field stack that the confocal stack shows whole; InputError if smaller than a stack must be.

    ``images`` are the boxes of both that hold their image; all of each if not given.
    """
    own, other = images or (Box.whole(confocal.shape), Box.whole(widefield.shape))
    spacing, own_um = np.array(widefield.require_spacing_um()), confocal.require_spacing_um()
    corners = corners_um(own.shape, own_um) + np.array(own.start) * own_um
    ends = transform.apply(corners).reshape(2, 2, 2, 3) / spacing
    low, high = np.zeros(3, dtype=int), np.zeros(3, dtype=int)
    for axis in range(3):
        first, last = (np.take(ends[..., axis], i, axis=axis).ravel() for i in (0, 1))
        low[axis] = max(other.start[axis], int(np.ceil(first.max() - WHOLE_VOXELS)))
        high[axis] = min(other.stop[axis], int(np.floor(last.min() + WHOLE_VOXELS)) + 1)
    if high[0] - low[0] < MIN_PLANES or min(high[1:] - low[1:]) < MIN_LATERAL:
        size = " x ".join(str(max(0, int(n))) for n in high - low)
        raise InputError(
            f"registered like this the stacks share only {size} voxels; at least {MIN_PLANES} planes of "
            f"{MIN_LATERAL} x {MIN_LATERAL} are needed. Check the shift, or acquire stacks that overlap."
        )
    return Box.spanning(low, high)


def resample(confocal: Volume, matrix: DoubleArray, region: Box) -> NDArray[Any]:
    """Voxels of a stack on a box of another index grid, from whose indices ``matrix`` (4 x 4) leads to the stack's.

    What is not finite counts as 0 where it is interpolated: splines would spread it.
    """
    return _interpolate(confocal.data, matrix, region, order=3)


def _interpolate(stack: Stack, matrix: DoubleArray, region: Box, order: Literal[1, 3]) -> NDArray[Any]:
    """The same by splines of an order."""
    linear = matrix[:3, :3]
    origin = linear @ region.start + matrix[:3, 3]
    size = region.shape
    is_shift = np.allclose(linear, np.eye(3), atol=WHOLE_VOXELS / max(size))
    if is_shift and np.allclose(origin, np.round(origin), atol=WHOLE_VOXELS):
        return np.asarray(stack[Box.at(np.round(origin).astype(int).tolist(), size)])
    corners = corners_um(size, (1, 1, 1)) @ linear.T + origin
    blur = np.maximum(0, (np.linalg.norm(linear, axis=1) - 1) / 2)  # where the stack's voxels are finer than the grid's
    margin = SPLINE_MARGIN + np.ceil(4 * blur).astype(int)
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + margin + 1, stack.shape)
    block = np.asarray(stack[Box.spanning(low, high)])
    offset = _large_offset(block)
    voxels = np.nan_to_num(
        without_offset(block, offset) if offset else block.astype(np.float32), posinf=0.0, neginf=0.0
    )
    if blur.any():
        voxels = ndi.gaussian_filter(voxels, blur)
    moved = ndi.affine_transform(voxels, linear, origin - low, output_shape=size, order=order, mode="nearest")
    return np.asarray(moved + np.float64(offset) if offset else moved)


def _large_offset(voxels: NDArray[Any]) -> float:
    """What must be taken off so that float32 tells the intensities apart; 0 if nothing must."""
    bounds = float(voxels.min()), float(voxels.max())
    return bounds[0] if has_large_offset(bounds, voxels.dtype) else 0.0
