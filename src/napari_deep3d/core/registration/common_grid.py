"""Two stacks made ready to be compared: checked, and on voxels of one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_deep3d.core import (
    MAX_SATURATED,
    DoubleArray,
    InputError,
    Shape,
    Spacing,
    Stack,
    Vector,
    Volume,
    all_finite,
    check_stack,
    doubt_spacings,
    format_spacing,
    intensity_range,
    is_flat,
    saturated_share,
    shape_of,
    zyx,
)
from napari_deep3d.core.resampling import Resampled, grid_for

SOME_SATURATED = 0.005
"""Share of saturated voxels from which on the user is told."""
SAME_SPACING = 1e-3
"""Voxel sizes that differ by no more than this share count as one."""


def check_pair(confocal: Volume, widefield: Volume) -> list[str]:
    """Refuse (InputError) stacks that cannot be registered; return what the user should know about the others."""
    notices, sizes_um = list[str](), list[tuple[str, Spacing]]()
    for kind, volume in (("confocal", confocal), ("wide-field", widefield)):
        if volume.spacing_um is None:
            raise InputError(
                f"the {kind} stack {volume.name} has no voxel size in micrometres; without it the two stacks cannot be "
                "brought to one scale. Give it as Z,Y,X in um, or save the file with its voxel size."
            )
        sizes_um.append((f"the {kind} stack", volume.spacing_um))
        if not all_finite(volume.data):
            raise InputError(
                f"the {kind} stack {volume.name} holds voxels that are no numbers (NaN or infinite). Remove those "
                "planes, or export the stack again."
            )
        bounds = intensity_range(volume.data, (0, 100))
        if is_flat(bounds):
            raise InputError(
                f"the {kind} stack {volume.name} is constant (every voxel is {bounds[0]:g}): nothing to align. "
                "Choose another channel or file."
            )
        share = saturated_share(volume.data, bounds[1])
        if share > MAX_SATURATED:
            raise InputError(
                f"{share:.0%} of the {kind} stack {volume.name} is saturated (at its largest value, {bounds[1]:g}); at "
                f"most {MAX_SATURATED:.0%} is allowed. Acquire it again with less light or exposure."
            )
        if share > SOME_SATURATED:
            notices.append(f"{share:.1%} of the {kind} stack is saturated; structure is lost there.")
    return doubt_spacings(sizes_um) + notices


@dataclass(frozen=True)
class CommonGrid:
    """Both stacks on voxels of one size: of each axis the coarser one.

    Attributes
    ----------
    confocal, widefield : Stack
        The stacks, axes (Z, Y, X); resampled when read, where their own voxels are finer.
    step_um : Spacing
        The voxel size.
    offset_um : DoubleArray
        Shift (Z, Y, X) that a lag of 0 stands for: the grids' first voxels need not lie on the stacks' own.
    """

    confocal: Stack
    widefield: Stack
    step_um: Spacing
    offset_um: DoubleArray

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        """Voxels (Z, Y, X) of the confocal and of the wide-field stack."""
        return shape_of(self.confocal), shape_of(self.widefield)

    def to_um(self, lag: DoubleArray) -> Vector:
        """The shift in um that a lag in voxels, both (Z, Y, X), stands for."""
        return zyx((lag * self.step_um + self.offset_um).tolist())


def common_grid(confocal: Volume, widefield: Volume) -> CommonGrid:
    """See two stacks with voxel size on one grid; raises InputError if one has too few voxels of that size."""
    own = (confocal.require_spacing_um(), widefield.require_spacing_um())
    step = zyx(a if abs(a / b - 1) < SAME_SPACING else max(a, b) for a, b in zip(*own, strict=True))
    stacks, firsts = list[Stack](), []
    for kind, volume, spacing in zip(("confocal", "wide-field"), (confocal, widefield), own, strict=True):
        is_same = np.allclose(np.array(spacing) / step, 1, atol=SAME_SPACING)
        stack = volume.data if is_same else Resampled(volume.data, grid_for(volume.shape, spacing, step))
        check_stack(stack, f"the {kind} stack {volume.name}, on voxels of {format_spacing(step)},")
        stacks.append(stack)
        firsts.append(np.zeros(3) if is_same else (np.array(step) - spacing) / 2)
    return CommonGrid(stacks[0], stacks[1], step, firsts[1] - firsts[0])
