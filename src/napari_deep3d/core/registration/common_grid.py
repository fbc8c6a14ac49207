"""Two stacks of different voxel sizes on voxels of one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_deep3d.core import (
    DoubleArray,
    Shape,
    Spacing,
    Stack,
    Vector,
    Volume,
    check_stack,
    format_spacing,
    shape_of,
    zyx,
)
from napari_deep3d.core.resampling import Resampled, grid_for

SAME_SPACING = 1e-3
"""Voxel sizes that differ by no more than this share count as one."""


@dataclass(frozen=True)
class CommonGrid:
    """Both stacks on voxels of one size: of each axis the coarser one.

    Attributes
    ----------
    confocal, widefield
        The stacks, axes (Z, Y, X); resampled when read, where their own voxels are finer.
    step_um
        The voxel size.
    offset_um
        Shift, (Z, Y, X) in um, that a lag of 0 stands for: the grids' first voxels need not lie on the stacks' own.
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
    """See two stacks with voxel size on one grid: of each axis the coarser step.

    Raises
    ------
    InputError
        If one of them has too few voxels of that size.
    """
    own = (confocal.require_spacing_um(), widefield.require_spacing_um())
    step = zyx(a if abs(a / b - 1) < SAME_SPACING else max(a, b) for a, b in zip(*own, strict=True))
    stacks: list[Stack] = []
    firsts = []
    for volume, spacing in zip((confocal, widefield), own, strict=True):
        zoom = np.array(spacing) / step
        if np.allclose(zoom, 1, atol=SAME_SPACING):
            stacks.append(volume.data)
            firsts.append(np.zeros(3))
        else:
            stacks.append(Resampled(volume.data, grid_for(volume.shape, spacing, step)))
            firsts.append((np.array(step) - spacing) / 2)
    for kind, stack, volume in zip(("confocal", "wide-field"), stacks, (confocal, widefield), strict=True):
        check_stack(stack, f"the {kind} stack {volume.name}, on voxels of {format_spacing(step)},")
    return CommonGrid(stacks[0], stacks[1], step, firsts[1] - firsts[0])
