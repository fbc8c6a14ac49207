"""The part of a stack that is image: the smallest box that holds all of it, and within that box the rest filled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core.no_data.filling import CroppedStack, FilledStack
from napari_deep3d.core.no_data.finding import find_no_data
from napari_deep3d.core.no_data.mask import NoData
from napari_deep3d.core.types import Box
from napari_deep3d.core.volume import MIN_LATERAL, MIN_PLANES, Stack, shape_of

MAX_HELD_VOXELS = 100_000_000
"""Up to so many voxels a part that was filled is held in memory: filling takes longer than reading."""


@dataclass(frozen=True)
class ImagePart:
    """What of a stack is image.

    Attributes
    ----------
    data : Stack, axes (Z, Y, X)
        The voxels of the region; those that are no image are filled from the image around them.
    region : Box
        The smallest box of the stack with all of its image, and no smaller than a stack must be.
    no_data : NoData or None
        The voxels of the stack that are no image; None if all of them are.
    """

    data: Stack
    region: Box
    no_data: NoData | None


def image_part(stack: Stack, no_data: NoData | None, *, crop: bool = True) -> ImagePart:
    """The part of a stack (Z, Y, X) that is image, by the voxels that are none; all of it, filled, without ``crop``."""
    shape = shape_of(stack)
    if no_data is None:
        return ImagePart(stack, Box.whole(shape), None)
    region = no_data.image_box.widened((MIN_PLANES, MIN_LATERAL, MIN_LATERAL), shape) if crop else Box.whole(shape)
    return ImagePart(filled(stack, no_data, region), region, no_data)


def filled(stack: Stack, no_data: NoData, region: Box, hold: bool = True) -> Stack:
    """A box of a stack (Z, Y, X) in which what is no image is filled.

    In memory unless it is large; without ``hold`` only if the stack is.
    """
    is_held = isinstance(stack, np.ndarray)
    if not any(no_data.mask(region.with_axis(0, z, z + 1)).any() for z in range(region.z.start, region.z.stop)):
        return stack[region] if is_held else CroppedStack(stack, region)
    part = CroppedStack(FilledStack(stack, no_data), region)
    return np.asarray(part) if is_held or (hold and prod(region.shape) <= MAX_HELD_VOXELS) else part


def find_no_image(stack: Stack) -> NoData | None:
    """Find what of a stack (Z, Y, X) is no image: what :func:`find_no_data` finds, and every voxel that is not finite.

    None if all of it is image.
    """
    not_finite = 0

    def count(plane: NDArray[Any]) -> None:
        nonlocal not_finite
        not_finite += int(np.count_nonzero(~np.isfinite(plane)))

    found = find_no_data(stack, count)
    if not_finite == (0 if found is None else found.not_finite):
        return found

    def masks() -> Iterator[NDArray[np.bool_]]:
        for z in range(stack.shape[0]):
            gaps: NDArray[np.bool_] = ~np.isfinite(np.asarray(stack[z]))
            yield gaps if found is None else gaps | found.plane(z)

    values = () if found is None else tuple(value for value in found.values if np.isfinite(value))
    return NoData.of(masks(), (*values, float("nan")), not_finite)


def either(first: NoData | None, second: NoData | None) -> NoData | None:
    """What is no image in one of two stacks of one shape, or in both."""
    if first is None or second is None:
        return second if first is None else first
    masks = (first.plane(z) | second.plane(z) for z in range(first.shape[0]))
    values = dict.fromkeys(map(repr, first.values + second.values))  # NaN is unlike itself
    return NoData.of(masks, tuple(map(float, values)), first.not_finite + second.not_finite)


def cropped(no_data: NoData | None, region: Box) -> NoData | None:
    """What is no image in a box of a stack, counted from its first voxel; None if all of it is image."""
    if no_data is None:
        return None
    masks = (no_data.plane(z, region.y)[:, region.x] for z in range(region.z.start, region.z.stop))
    part = NoData.of(masks, no_data.values)
    return part if part.count else None
