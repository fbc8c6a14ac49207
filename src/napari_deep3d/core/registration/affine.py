"""Beyond a shift: shifts of parts of the stack, and the similarity or affine map through them.

Rotation and magnification errors, which the paper names as open, show as shifts that differ from place to place. Each
block's shift is measured as that of the whole stack is. A robust least-squares fit finds the map, the wide-field blocks
are read through it, and what is left is measured again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import scipy.ndimage as ndi
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from napari_deep3d.core.box import Box
from napari_deep3d.core.events import Clock, Job, Stop, StoppedError, drain
from napari_deep3d.core.registration.cross_spectrum import cross_spectra
from napari_deep3d.core.registration.subpixel import SubpixelShift, find_subpixel_shift
from napari_deep3d.core.registration.transform import Transform, centre_um
from napari_deep3d.core.types import DoubleArray, FloatArray, Shape, Spacing, Vector
from napari_deep3d.core.volume import Stack, read_box

LinearKind = Literal["similarity", "affine"]

BLOCK: Shape = (40, 160, 160)
MIN_BLOCK: Shape = (12, 64, 64)
MAX_BLOCKS = (3, 5, 5)
ROUNDS = 3
MARGIN = 2
REACHES: tuple[Shape, ...] = ((8, 32, 32), (6, 12, 12), (4, 8, 8))
"""Largest shift of a block, in voxels (Z, Y, X), looked for in each round."""
MIN_PROMINENCE = 14.0
"""Blocks without structure reach 5 to 12 by chance."""
USUAL_LINEAR = 0.03
"""Rotations, stretches and shears of this size are usual; where blocks tell nothing, they stay near none."""
MIN_DEVIATION = 0.05
FEW_BLOCKS = 6
ROBUST_WIDTHS = (100.0, 30.0, 10.0, 3.0)
"""Misfit, in standard deviations, beyond which a block loses its say: wide at first, since the start may be far off."""


@dataclass(frozen=True)
class MatchedBlock:
    """A part of the confocal stack and where it lies.

    Attributes
    ----------
    centre_um
        Its middle, (Z, Y, X) in um from the first voxel.
    shift_um
        Measured shift to the wide-field stack.
    prominence
        How sharply it matched; blocks below 14 are not used.
    residual_um
        Measured shift minus that of the fitted map.
    """

    centre_um: Vector
    shift_um: Vector
    prominence: float
    residual_um: Vector


@dataclass(frozen=True)
class _Measured:
    centre: DoubleArray
    shift: DoubleArray
    deviation: DoubleArray
    prominence: float


def fit_linear_map(
    confocal: Stack,
    widefield: Stack,
    step_um: Spacing,
    offset_um: DoubleArray,
    lag: DoubleArray,
    kind: LinearKind,
    stop: Stop,
) -> Job[tuple[Transform, list[MatchedBlock], list[str]]]:
    """Fit a similarity or affine map, starting from the shift of the whole stack.

    Parameters
    ----------
    confocal, widefield
        Stacks, axes (Z, Y, X), of equal voxel size.
    step_um
        Their voxel size.
    offset_um
        Shift in um that a lag of 0 stands for.
    lag
        Shift of the whole stack in voxels.
    kind
        What the map may be.
    stop
        Asked between blocks; raises StoppedError.

    Returns
    -------
    Transform, list of MatchedBlock, list of str
        The map between the stacks' positions, the blocks behind it, and what the user should know.
    """
    step = np.array(step_um)
    shape = (confocal.shape[0], confocal.shape[1], confocal.shape[2])
    boxes = list(_boxes(shape))
    linear, shift = np.eye(3), lag * step
    middle = np.array(centre_um(shape, step_um))
    clock = Clock()
    measured: list[_Measured] = []
    for number, reach in enumerate(REACHES):
        measured = []
        for index, box in enumerate(boxes):
            if stop():
                raise StoppedError
            found = _measure(confocal, widefield, box, (linear, shift, middle), step, reach, number == 0)
            if found is not None:
                measured.append(found)
            yield clock.progress(number * len(boxes) + index + 1, len(REACHES) * len(boxes), "comparing parts")
        if len(measured) >= FEW_BLOCKS:
            linear, shift = _fit(measured, middle, step, kind)
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = middle + shift - linear @ middle
    return _finish(matrix, measured, offset_um)


def _finish(
    matrix: DoubleArray, measured: list[_Measured], offset_um: DoubleArray
) -> tuple[Transform, list[MatchedBlock], list[str]]:
    fitted = Transform.from_array(matrix)
    blocks = []
    for one in measured:
        residual = one.shift - np.array(fitted.shift_at(_vector(one.centre)))
        blocks.append(
            MatchedBlock(_vector(one.centre), _vector(one.shift + offset_um), one.prominence, _vector(residual))
        )
    notices = []
    if len(measured) < FEW_BLOCKS:
        notices.append(
            f"Only {len(measured)} parts of the stack matched on their own, too few to tell rotation or magnification; "
            "the result is a shift."
        )
    return fitted.moved(_vector(offset_um)), blocks, notices


def _vector(values: DoubleArray) -> Vector:
    z, y, x = (float(v) for v in values)
    return z, y, x


def _boxes(shape: Shape) -> Iterator[Box]:
    """Blocks spread evenly over the stack, up to its borders."""
    spans = []
    for size, block, least, most in zip(shape, BLOCK, MIN_BLOCK, MAX_BLOCKS, strict=True):
        length = min(size, max(least, min(block, round(size / 2))))
        count = min(most, max(1, int(np.ceil(1.5 * size / length)) - 1))
        starts = np.linspace(0, size - length, count).round().astype(int) if count > 1 else [(size - length) // 2]
        spans.append([slice(int(start), int(start) + length) for start in starts])
    yield from (Box(*parts) for parts in product(*spans))


def _measure(
    confocal: Stack,
    widefield: Stack,
    box: Box,
    guess: tuple[DoubleArray, DoubleArray, DoubleArray],
    step: DoubleArray,
    reach: Shape,
    by_shift: bool,
) -> _Measured | None:
    """Shift of one block, or None where it does not match or lies outside the wide-field stack."""
    linear, shift, middle = guess
    centre = np.array([(b.start + b.stop - 1) / 2 for b in box]) * step
    expected = middle + shift + linear @ (centre - middle) - centre
    size = box.shape
    if by_shift:
        whole = np.round(expected / step)
        seen = _read_shifted(widefield, box, whole)
        base = whole * step
    else:
        seen = _read_through(widefield, box, linear, middle + shift - linear @ middle, step)
        base = expected
    if seen is None:
        return None
    own = read_box(confocal, box)
    if own.std() == 0 or seen.std() == 0:
        return None
    delay = _delay(own, seen, size, reach)
    if delay.prominence < MIN_PROMINENCE or not np.isfinite(delay.deviation).all():
        return None
    left = delay.lag * step
    if not by_shift:
        left = linear @ left  # measured in the turned and stretched frame of the block
    return _Measured(centre, base + left, np.maximum(delay.deviation, MIN_DEVIATION) * step, delay.prominence)


def _delay(own: FloatArray, seen: FloatArray, size: Shape, reach: Shape) -> SubpixelShift:
    spectra = drain(cross_spectra(own, seen, (0, 0, 0), tile=size, stop=lambda: False))
    z, y, x = (min(r, max(1, n // 3)) for r, n in zip(reach, size, strict=True))
    return find_subpixel_shift(spectra, (z, y, x))


def _read_shifted(stack: Stack, box: Box, lag: DoubleArray) -> FloatArray | None:
    """A block moved by whole voxels; what lies outside repeats the border, if it is less than half of the block."""
    wanted = [(b.start + int(s), b.stop + int(s)) for b, s in zip(box, lag, strict=True)]
    return _read_padded(stack, wanted)


def _read_padded(stack: Stack, wanted: list[tuple[int, int]]) -> FloatArray | None:
    cut = [(max(0, a), min(n, b)) for (a, b), n in zip(wanted, stack.shape, strict=True)]
    if any(2 * (b - a) < stop - start for (a, b), (start, stop) in zip(cut, wanted, strict=True)):
        return None
    inside = Box(*(slice(a, b) for a, b in cut))
    missing = [(a - start, stop - b) for (a, b), (start, stop) in zip(cut, wanted, strict=True)]
    return np.pad(read_box(stack, inside), missing, mode="edge")


def _read_through(
    stack: Stack,
    box: Box,
    linear: DoubleArray,
    offset_um: DoubleArray,
    step: DoubleArray,
) -> FloatArray | None:
    """A block read through an affine map, on the confocal block's own voxels."""
    matrix = linear * step[None, :] / step[:, None]
    start = np.array(box.start)
    size = box.shape
    origin = matrix @ start + offset_um / step
    corners = np.array(list(product(*((0, n - 1) for n in size)))) @ matrix.T + origin
    low = np.floor(corners.min(axis=0)).astype(int) - MARGIN
    high = np.ceil(corners.max(axis=0)).astype(int) + MARGIN + 1
    piece = _read_padded(stack, list(zip(low.tolist(), high.tolist(), strict=True)))
    if piece is None:
        return None
    return np.asarray(
        ndi.affine_transform(piece, matrix, origin - low, output_shape=size, order=1, mode="nearest"), dtype=np.float32
    )


def _fit(
    measured: list[_Measured], middle: DoubleArray, step: DoubleArray, kind: LinearKind
) -> tuple[DoubleArray, DoubleArray]:
    """Map about the stack's middle by robust least squares: linear part (3 x 3) and shift of the middle in um."""
    centres = np.array([one.centre for one in measured]) - middle
    shifts = np.array([one.shift for one in measured])
    # a block that matches sharply may still be wrong by more than its deviation says: none counts for more than this
    scale = np.maximum(np.array([one.deviation for one in measured]), 0.1 * step)
    build = _similarity if kind == "similarity" else _affine

    def residuals(parameters: DoubleArray) -> DoubleArray:
        linear, shift = build(parameters[3:]), parameters[:3]
        misfit = (centres @ (linear - np.eye(3)).T + shift - shifts) / scale
        return np.concatenate([misfit.ravel(), parameters[3:] / USUAL_LINEAR])

    found = np.concatenate([np.median(shifts, axis=0), np.zeros(4 if kind == "similarity" else 9)])
    for width in ROBUST_WIDTHS:
        found = least_squares(residuals, found, loss="cauchy", f_scale=width).x
    return build(found[3:]), found[:3]


def _similarity(parameters: DoubleArray) -> DoubleArray:
    """Rotation vector and logarithm of the magnification to a matrix, axes (Z, Y, X)."""
    return np.asarray(np.exp(parameters[3]) * Rotation.from_rotvec(parameters[:3]).as_matrix())


def _affine(parameters: DoubleArray) -> DoubleArray:
    return np.asarray(np.eye(3) + parameters.reshape(3, 3))
