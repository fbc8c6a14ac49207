"""Beyond a shift: shifts of parts of the stack, and the similarity or affine map through them.

Rotation and magnification errors, which the paper names as open, show as shifts that differ from place to place. Each
block's shift is measured as that of the whole stack is. A robust least-squares fit finds the map, the wide-field blocks
are read through it, and what is left is measured again.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import scipy.ndimage as ndi
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from napari_deep3d.core import (
    Box,
    Clock,
    DoubleArray,
    FloatArray,
    Job,
    Shape,
    Stack,
    Stop,
    StoppedError,
    Vector,
    drain,
    never,
    read_box,
    shape_of,
    zyx,
)
from napari_deep3d.core.registration.common_grid import CommonGrid
from napari_deep3d.core.registration.cross_spectrum import find_subpixel_shift, gather_spectra
from napari_deep3d.core.registration.transform import Transform, centre_um, corners_um

LinearKind = Literal["similarity", "affine"]

BLOCK: Shape = (40, 160, 160)
MIN_BLOCK: Shape = (12, 64, 64)
MAX_BLOCKS = (3, 5, 5)
BLOCK_REACHES: tuple[Shape, ...] = ((8, 32, 32), (6, 12, 12), (4, 8, 8))
"""Largest lag of a block, in voxels (Z, Y, X), looked for in each round."""
INTERPOLATION_MARGIN = 2
"""Voxels read beyond what a block shows, for linear interpolation."""
MIN_PROMINENCE = 14.0
"""Blocks without structure reach 5 to 12 by chance."""
MIN_DEVIATION = 0.05
"""Standard deviation in voxels that a block's lag is given at least."""
MIN_MATCHED_BLOCKS = 6
USUAL_LINEAR = 0.03
"""Rotations, stretches and shears of this size are usual; where blocks say nothing, they stay near none."""
ROBUST_WIDTHS = (100.0, 30.0, 10.0, 3.0)
"""Misfit, in standard deviations, beyond which a block loses its say: wide at first, since the start may be far off."""


@dataclass(frozen=True)
class MatchedBlock:
    """A part of the confocal stack and where it lies, (Z, Y, X) in um.

    Attributes
    ----------
    centre_um : Vector
        Its middle, from the first voxel.
    shift_um : Vector
        Measured shift to the wide-field stack.
    prominence : float
        How sharply it matched; blocks below 14 are not used.
    residual_um : Vector
        Measured shift minus that of the fitted map.
    """

    centre_um: Vector
    shift_um: Vector
    prominence: float
    residual_um: Vector


@dataclass(frozen=True)
class _LinearMap:
    """A map about the stack's middle: ``position -> middle + shift + linear @ (position - middle)``, all in um."""

    linear: DoubleArray
    shift: DoubleArray
    middle: DoubleArray

    @property
    def offset(self) -> DoubleArray:
        """Where position 0 lies."""
        return np.asarray(self.middle + self.shift - self.linear @ self.middle)


@dataclass(frozen=True)
class _BlockShift:
    """Shift of a block: its centre, the shift and its standard deviation, (Z, Y, X) in um."""

    centre: DoubleArray
    shift: DoubleArray
    deviation: DoubleArray
    prominence: float


def fit_linear_map(
    grids: CommonGrid, lag: DoubleArray, kind: LinearKind, stop: Stop
) -> Job[tuple[Transform, list[MatchedBlock], list[str]]]:
    """Fit a similarity or affine map, starting from the shift of the whole stack.

    Parameters
    ----------
    grids : CommonGrid
        Both stacks on voxels of one size.
    lag : DoubleArray
        Of the whole stack, in voxels.
    stop : Stop
        Asked between blocks; raises StoppedError.

    Returns
    -------
    Transform, list of MatchedBlock, list of str
        The map between the stacks' positions, the blocks behind it, and what the user should know.
    """
    confocal, widefield, step_um = grids.confocal, grids.widefield, grids.step_um
    step, shape = np.array(step_um), shape_of(confocal)

    # 1. Blocks spread evenly over the stack, up to its borders.
    spans = []
    for size, block, least, most in zip(shape, BLOCK, MIN_BLOCK, MAX_BLOCKS, strict=True):
        length = min(size, max(least, min(block, round(size / 2))))
        count = min(most, max(1, int(np.ceil(1.5 * size / length)) - 1))
        starts = np.linspace(0, size - length, count).round().astype(int) if count > 1 else [(size - length) // 2]
        spans.append([slice(int(start), int(start) + length) for start in starts])
    boxes = [Box(*parts) for parts in product(*spans)]

    # 2. Measure the blocks' shifts and fit a map through them, three times; each time the blocks are seen through the
    #    map so far, first as a shift alone.
    found = _LinearMap(np.eye(3), lag * step, np.array(centre_um(shape, step_um)))
    clock = Clock()
    measured: list[_BlockShift] = []
    for number, reach in enumerate(BLOCK_REACHES):
        measured = []
        for index, box in enumerate(boxes):
            if stop():
                raise StoppedError
            matched = _match_block((confocal, widefield), step, box, found, reach, by_shift=number == 0)
            if matched is not None:
                measured.append(matched)
            yield clock.progress(number * len(boxes) + index + 1, len(BLOCK_REACHES) * len(boxes), "comparing parts")
        if len(measured) >= MIN_MATCHED_BLOCKS:
            found = _fit_blocks(measured, found.middle, step, kind)

    # 3. From the grid that both stacks are seen on to the stacks' own positions, and what the blocks are off by.
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = found.linear, found.offset
    fitted = Transform.from_array(matrix)
    blocks = [
        MatchedBlock(
            zyx((block.centre + grids.confocal_first_um).tolist()),
            zyx((block.shift + grids.offset_um).tolist()),
            block.prominence,
            zyx((block.shift - np.array(fitted.shift_at(block.centre.tolist()))).tolist()),
        )
        for block in measured
    ]
    notices = []
    if len(measured) < MIN_MATCHED_BLOCKS:
        notices.append(
            f"Only {len(measured)} parts of the stack matched on their own, too few to tell rotation or magnification; "
            "the result is a shift."
        )
    from_own = Transform.shift((-grids.confocal_first_um).tolist())
    to_own = Transform.shift(grids.widefield_first_um.tolist())
    return Transform.from_array(to_own.matrix @ fitted.matrix @ from_own.matrix), blocks, notices


def _match_block(
    stacks: tuple[Stack, Stack], step: DoubleArray, box: Box, guess: _LinearMap, reach: Shape, *, by_shift: bool
) -> _BlockShift | None:
    """Shift of a block of the confocal stack, at most ``reach`` voxels from a guess; None if none is found.

    The wide-field stack is read through the map of the guess, or ``by_shift`` at the guess's whole-voxel shift.
    """
    confocal, widefield = stacks
    # 1. Read the wide-field stack where the block should lie.
    centre = np.array([(part.start + part.stop - 1) / 2 for part in box]) * step
    expected = guess.middle + guess.shift + guess.linear @ (centre - guess.middle) - centre
    if by_shift:
        lag = np.round(expected / step)
        expected = lag * step
        seen = _read_padded(widefield, box.shifted(lag))
    else:
        matrix = guess.linear * step[None, :] / step[:, None]
        origin = matrix @ np.array(box.start) + guess.offset / step
        corners = corners_um(box.shape, (1, 1, 1)) @ matrix.T + origin
        low = np.floor(corners.min(axis=0)).astype(int) - INTERPOLATION_MARGIN
        high = np.ceil(corners.max(axis=0)).astype(int) + INTERPOLATION_MARGIN + 1
        seen = _read_padded(widefield, Box.spanning(low, high))
        if seen is not None:
            seen = ndi.affine_transform(seen, matrix, origin - low, output_shape=box.shape, order=1, mode="nearest")
    if seen is None:
        return None

    # 2. Compare the two.
    own = read_box(confocal, box)
    if own.std() == 0 or seen.std() == 0:
        return None
    spectra = drain(gather_spectra(own, seen, (0, 0, 0), tile=box.shape, stop=never))
    within = zyx(min(r, max(1, n // 3)) for r, n in zip(reach, box.shape, strict=True))
    estimate = find_subpixel_shift(spectra, within)
    if estimate.prominence < MIN_PROMINENCE or not np.isfinite(estimate.deviation).all():
        return None

    # 3. The lag is what the guess was off by; through a map it is measured in the map's turned and stretched frame.
    left = estimate.lag * step
    if not by_shift:
        left = guess.linear @ left
    deviation = np.maximum(estimate.deviation, MIN_DEVIATION) * step
    return _BlockShift(centre, expected + left, deviation, estimate.prominence)


def _read_padded(stack: Stack, box: Box) -> FloatArray | None:
    """A box that may reach beyond the stack, whose border is repeated there; None if half of it or more does."""
    inside = box.clipped(shape_of(stack))
    if any(2 * have < want for have, want in zip(inside.shape, box.shape, strict=True)):
        return None
    missing = [(a.start - b.start, b.stop - a.stop) for a, b in zip(inside, box, strict=True)]
    return np.pad(read_box(stack, inside), missing, mode="edge")


def _fit_blocks(measured: list[_BlockShift], middle: DoubleArray, step: DoubleArray, kind: LinearKind) -> _LinearMap:
    """Map about the stack's middle through the blocks' shifts, by robust least squares (Cauchy loss).

    The parameters are the shift and, of a similarity, the rotation vector and the logarithm of the magnification; of an
    affine map what its nine numbers differ by from those of none.
    """
    centres = np.array([block.centre for block in measured]) - middle
    shifts = np.array([block.shift for block in measured])
    # a block that matches sharply may still be wrong by more than its deviation says: none counts for more than this
    scale = np.maximum(np.array([block.deviation for block in measured]), 0.1 * step)

    def linear_part(parameters: DoubleArray) -> DoubleArray:
        if kind == "similarity":
            rotation, magnification = Rotation.from_rotvec(parameters[3:6]).as_matrix(), np.exp(parameters[6])
            return np.asarray(magnification * rotation)
        return np.asarray(np.eye(3) + parameters[3:].reshape(3, 3))

    def residuals(parameters: DoubleArray) -> DoubleArray:
        misfit = (centres @ (linear_part(parameters) - np.eye(3)).T + parameters[:3] - shifts) / scale
        return np.concatenate([misfit.ravel(), parameters[3:] / USUAL_LINEAR])

    found = np.concatenate([np.median(shifts, axis=0), np.zeros(4 if kind == "similarity" else 9)])
    for width in ROBUST_WIDTHS:
        found = least_squares(residuals, found, loss="cauchy", f_scale=width).x
    return _LinearMap(linear_part(found), found[:3], middle)
