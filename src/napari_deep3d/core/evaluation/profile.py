"""Line profiles through a stack along any line in um, their width at half height and their contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import scipy.ndimage as ndi

from napari_deep3d.core import Box, DoubleArray, InputError, Spacing, Stack, Vector, read_box, shape_of

MAX_SAMPLES = 100_000
PIECE = 64
"""Samples that are read at a time: the box around a piece of an oblique line is small."""


@dataclass(frozen=True)
class Profile:
    """Intensities along a line.

    Attributes
    ----------
    distance_um : array (N,)
        From the start of the line.
    values : array (N,)
        In the stack's own unit; NaN where the line, in all its width, is outside the stack.
    """

    distance_um: DoubleArray = field(repr=False)
    values: DoubleArray = field(repr=False)

    @property
    def fwhm_um(self) -> float:
        """Full width at half maximum in um: of the highest point, half way down to the lowest one.

        The two crossings nearest to it, interpolated. NaN if the profile does not fall so far on both sides.
        """
        values, distance = self.values, self.distance_um
        if not np.isfinite(values).any():
            return float("nan")
        peak, low = int(np.nanargmax(values)), float(np.nanmin(values))
        half = (values[peak] + low) / 2
        if not values[peak] > low:
            return float("nan")
        left, right = _crossing(values[peak::-1], half), _crossing(values[peak:], half)
        indices = np.arange(len(values))
        return (
            float(np.interp(peak + right, indices, distance) - np.interp(peak - left, indices, distance))
            if (np.isfinite(left) and np.isfinite(right))
            else float("nan")
        )

    @property
    def contrast(self) -> float:
        """Michelson contrast (highest - lowest) / (highest + lowest), no unit; NaN unless both are 0 or more.

        An offset of the camera lowers it: take it off to compare stacks of different cameras.
        """
        if not np.isfinite(self.values).any():
            return float("nan")
        high, low = float(np.nanmax(self.values)), float(np.nanmin(self.values))
        return (high - low) / (high + low) if low >= 0 and high > 0 else float("nan")


def line_profile(
    stack: Stack,
    start_um: Vector,
    end_um: Vector,
    spacing_um: Spacing,
    origin_um: Vector = (0.0, 0.0, 0.0),
    *,
    width_um: float = 0.0,
    section: int | None = None,
    step_um: float | None = None,
) -> Profile:
    """Intensities of a stack along a straight line in any direction.

    Parameters
    ----------
    stack : Stack, axes (Z, Y, X)
        Only small boxes around the line are read.
    start_um, end_um : tuple of float
        The ends of the line (Z, Y, X), where ``origin_um`` is the centre of the first voxel.
    spacing_um, origin_um : tuple of float
        Voxel size and position (Z, Y, X).
    width_um : float
        Intensities are averaged across the line: over a disc of this diameter or, with a ``section``, over a stretch
        of this length within the section. 0 for the line itself.
    section : int or None
        The axis (0, 1, 2 for Z, Y, X) that the picture is seen along in which the line was drawn, such as 1 for x-z.
    step_um : float or None
        Largest distance between samples; half the smallest voxel side by default.

    Returns
    -------
    Profile
        Trilinear interpolation between voxels.

    Raises
    ------
    InputError
        If the line has no length, is not finite, or has more than 100000 samples.
    """
    spacing, start = np.array(spacing_um, float), np.array(start_um, float)
    along = np.array(end_um, float) - start
    length = float(np.linalg.norm(along))
    step = min(spacing_um) / 2 if step_um is None else step_um
    if not np.isfinite(length) or length == 0 or not step > 0 or not width_um >= 0:
        raise InputError("a line needs two different ends in um, and a width of 0 or more. Draw it again.")
    count = math.ceil(length / step - 1e-6) + 1
    if count > MAX_SAMPLES:
        raise InputError(
            f"a line of {length:.4g} um has {count} samples; {MAX_SAMPLES} are allowed. Draw a shorter one."
        )
    distance = np.linspace(0, length, max(count, 2))
    offsets = _across(along / length, width_um, section, spacing)
    line = start + distance[:, None] * (along / length)
    values = np.empty(len(distance))
    for first in range(0, len(line), PIECE):
        piece = slice(first, first + PIECE)
        points = line[None, piece] + offsets[:, None]
        index = (points - np.array(origin_um, float)) / spacing
        values[piece] = _mean_at(stack, index)
    return Profile(distance, values)


def _across(direction: DoubleArray, width_um: float, section: int | None, spacing: DoubleArray) -> DoubleArray:
    """Points (N, 3) in um, relative to the line, over which is averaged: evenly spread, symmetric."""
    if width_um == 0:
        return np.zeros((1, 3))
    half = max(1, int(np.ceil(width_um / float(spacing.min()))))
    steps = np.linspace(-0.5, 0.5, 2 * half + 1) * width_um
    if section is not None:
        normal = np.cross(direction, np.eye(3)[section])
        size = float(np.linalg.norm(normal))
        if size < 1e-9:
            raise InputError("the line runs along the direction of view, so it has no width in that picture.")
        return np.asarray(steps[:, None] * (normal / size))
    first = np.cross(direction, np.eye(3)[int(np.abs(direction).argmin())])
    first /= np.linalg.norm(first)
    second = np.cross(direction, first)
    a, b = (part.ravel() for part in np.meshgrid(steps, steps))
    inside = np.hypot(a, b) <= width_um / 2 * (1 + 1e-9)
    return np.asarray(a[inside, None] * first + b[inside, None] * second)


def _mean_at(stack: Stack, index: DoubleArray) -> DoubleArray:
    """Mean over the first axis of the intensities at points (M, N, 3) in voxels; those outside do not count."""
    shape = np.array(shape_of(stack))
    inside = ((index >= -1e-6) & (index <= shape - 1 + 1e-6)).all(axis=2)
    found = np.full(index.shape[1], np.nan)
    if not inside.any():
        return found
    kept = np.clip(index[inside], 0, shape - 1)
    box = Box.spanning(np.floor(kept.min(axis=0)), np.ceil(kept.max(axis=0)) + 1).clipped(shape_of(stack))
    voxels = read_box(stack, box)
    values = np.zeros(inside.shape)
    values[inside] = ndi.map_coordinates(voxels, (kept - box.start).T, order=1, mode="nearest")
    counts = inside.sum(axis=0)
    np.divide(values.sum(axis=0), counts, out=found, where=counts > 0)
    return found


def _crossing(values: DoubleArray, level: float) -> float:
    """Index, between two samples, at which values that start above a level first fall to it; NaN if never."""
    below = np.flatnonzero(values <= level)
    if not below.size or not np.isfinite(values[: below[0] + 1]).all():
        return float("nan")
    after = int(below[0])
    upper, lower = values[after - 1], values[after]
    return float(after - 1 + (upper - level) / (upper - lower))
