"""Two stacks made ready to be compared: checked, and on voxels of one size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from napari_deep3d.core import (
    MAX_SATURATED,
    DoubleArray,
    InputError,
    OffsetStack,
    Shape,
    Spacing,
    Stack,
    Vector,
    Volume,
    check_stack,
    doubt_spacings,
    format_spacing,
    has_large_offset,
    intensity_range,
    is_flat,
    saturated_share,
    shape_of,
    zyx,
)
from napari_deep3d.core.no_data.image_part import find_no_image, image_part
from napari_deep3d.core.resampling import Resampled, grid_for

SOME_SATURATED = 0.005
"""Share of saturated voxels from which on the user is told."""
SAME_SPACING = 1e-3
"""Voxel sizes that differ by no more than this share count as one."""


class CheckedStack(NamedTuple):
    """The part of a stack that is image, what else is in it filled, and that part's first voxel (Z, Y, X)."""

    volume: Volume
    start: Shape


class CheckedPair(NamedTuple):
    """Two stacks that can be registered, and what the user should know about them."""

    confocal: CheckedStack
    widefield: CheckedStack
    notices: list[str]


def check_pair(confocal: Volume, widefield: Volume, *, crop: bool = True) -> CheckedPair:
    """Leave out of two stacks what is no image, and refuse (InputError) those that cannot be registered.

    Without ``crop`` what is no image is filled only, and the stacks keep their size.
    """
    checked, notices, sizes_um = list[CheckedStack](), list[str](), list[tuple[str, Spacing]]()
    for kind, volume in (("confocal", confocal), ("wide-field", widefield)):
        if volume.spacing_um is None:
            raise InputError(
                f"the {kind} stack {volume.name} has no voxel size in micrometres; without it the two stacks cannot be "
                "brought to one scale. Give it as Z,Y,X in um, or save the file with its voxel size."
            )
        sizes_um.append((f"the {kind} stack", volume.spacing_um))
        no_data = find_no_image(volume.data)
        if no_data is not None and no_data.is_everything:
            raise InputError(
                f"the {kind} stack {volume.name} holds no image, only blank planes ({no_data.values_text}): nothing to "
                "align. Choose another channel or file."
            )
        bounds = intensity_range(volume.data, (0, 100), no_data)
        if is_flat(bounds, volume.data.dtype):
            raise InputError(
                f"the {kind} stack {volume.name} is constant (every voxel is {bounds[0]:g}): nothing to align. "
                "Choose another channel or file."
            )
        share = saturated_share(volume.data, bounds[1], no_data)
        if no_data is not None:
            notices.append(f"The {kind} stack: {no_data.sentence}; they are left out.")
        if share > MAX_SATURATED:
            raise InputError(
                f"{share:.0%} of the {kind} stack {volume.name} is saturated (at its largest value, {bounds[1]:g}); at "
                f"most {MAX_SATURATED:.0%} is allowed. Acquire it again with less light or exposure."
            )
        if share > SOME_SATURATED:
            notices.append(f"{share:.1%} of the {kind} stack is saturated; structure is lost there.")
        part = image_part(volume.data, no_data, crop=crop)
        data = OffsetStack(part.data, bounds[0]) if has_large_offset(bounds, part.data.dtype) else part.data
        checked.append(CheckedStack(replace(volume, data=data), part.region.start))
    return CheckedPair(checked[0], checked[1], doubt_spacings(sizes_um) + notices)


@dataclass(frozen=True)
class CommonGrid:
    """Both stacks on voxels of one size: of each axis the coarser one.

    Attributes
    ----------
    confocal, widefield : Stack
        The stacks, axes (Z, Y, X); resampled when read, where their own voxels are finer.
    step_um : Spacing
        The voxel size.
    confocal_first_um, widefield_first_um : DoubleArray
        Where the grids' first voxels lie, (Z, Y, X) from the stacks' own.
    """

    confocal: Stack
    widefield: Stack
    step_um: Spacing
    confocal_first_um: DoubleArray
    widefield_first_um: DoubleArray

    @property
    def offset_um(self) -> DoubleArray:
        """Shift (Z, Y, X) that a lag of 0 stands for."""
        return np.asarray(self.widefield_first_um - self.confocal_first_um)

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        """Voxels (Z, Y, X) of the confocal and of the wide-field stack."""
        return shape_of(self.confocal), shape_of(self.widefield)

    def to_um(self, lag: DoubleArray) -> Vector:
        """The shift in um that a lag in voxels, both (Z, Y, X), stands for."""
        return zyx((lag * self.step_um + self.offset_um).tolist())


def common_grid(
    confocal: Volume, widefield: Volume, starts: tuple[Shape, Shape] = ((0, 0, 0), (0, 0, 0))
) -> CommonGrid:
    """See two stacks with voxel size on one grid; raises InputError if one has too few voxels of that size.

    ``starts`` are their first voxels (Z, Y, X) within the whole stacks that they are parts of.
    """
    own = (confocal.require_spacing_um(), widefield.require_spacing_um())
    step = zyx(a if abs(a / b - 1) < SAME_SPACING else max(a, b) for a, b in zip(*own, strict=True))
    stacks, firsts = list[Stack](), []
    kinds = ("confocal", "wide-field")
    for kind, volume, spacing, start in zip(kinds, (confocal, widefield), own, starts, strict=True):
        is_same = np.allclose(np.array(spacing) / step, 1, atol=SAME_SPACING)
        stack = volume.data if is_same else Resampled(volume.data, grid_for(volume.shape, spacing, step))
        check_stack(stack, f"the {kind} stack {volume.name}, on voxels of {format_spacing(step)},")
        stacks.append(stack)
        firsts.append(np.array(start) * spacing + (0 if is_same else (np.array(step) - spacing) / 2))
    return CommonGrid(stacks[0], stacks[1], step, firsts[0], firsts[1])
