"""Sheets: curved and folded laminae, single or stacked, whole or in patches."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
from pydantic import Field

from napari_deep3d.core import DoubleArray, FloatArray, zyx
from napari_deep3d.core.simulation.bounds import (
    Bounds,
    CountRange,
    PositiveRange,
    Range,
    Share,
    ShareRange,
    happens,
    log_uniform,
)
from napari_deep3d.core.simulation.samples.canvas import Canvas, directions, interpolate

COARSE = 4.0
"""Points of the coarse grid on which folds are computed, to a fold."""
SMOOTHED = 0.85
"""Standard deviation of folds after smoothing by half their size in what it was: (1 + 1 / 4) ** -0.75."""
MAX_SHEETS = 200


class SheetsBounds(Bounds):
    """Bounds of the random choices in samples of sheets."""

    families: CountRange = Field((1, 3), description="stacks of sheets, each with a direction of its own")
    family_brightness: PositiveRange = Field((0.3, 1.0), description="brightness of a stack, log")
    flatness: PositiveRange = Field((0.3, 3.0), description="above 1, sheets turn towards the plane, log")
    single_chance: Share = Field(0.35, description="share of the stacks that are a single sheet")
    gap_um: PositiveRange = Field((1.0, 12.0), description="mean distance of the sheets of a stack, log")
    fold_um: PositiveRange = Field((2.0, 20.0), description="size of the folds, log")
    fold: Range = Field((0.05, 1.0), description="standard deviation of a sheet's height in the size of its folds")
    thickness_um: PositiveRange = Field((0.1, 2.0), description="thickness of a stack's sheets, log")
    thickness_spread: Range = Field((0.0, 0.5), description="standard deviation of its logarithm along a sheet")
    sheet_brightness: PositiveRange = Field((0.3, 1.0), description="of each sheet in that of its stack, log")
    patch_chance: Share = Field(0.5, description="share of the stacks of which only patches are there")
    patch_um: PositiveRange = Field((1.5, 12.0), description="size of the patches, log")
    patch_filling: ShareRange = Field((0.2, 0.8), description="share of a sheet that they fill")
    grain_um: PositiveRange = Field((0.15, 2.0), description="grain of the stain, log")
    contrast: Range = Field((0.0, 0.8), description="standard deviation of the logarithm of the stain")


def draw_sheets(canvas: Canvas, bounds: SheetsBounds) -> None:
    """Stacks of curved sheets that lie in different directions, each a family of surfaces at random distances."""
    rng = canvas.rng
    for _ in range(int(rng.integers(*bounds.families, endpoint=True))):
        family = _stack(canvas, bounds)
        family *= np.float32(log_uniform(rng, bounds.family_brightness))
        np.maximum(canvas.density, family, out=canvas.density)
    grains = canvas.noise(float(log_uniform(rng, bounds.grain_um)))
    canvas.density[:] *= np.exp(np.float32(rng.uniform(*bounds.contrast)) * grains)


def _stack(canvas: Canvas, bounds: SheetsBounds) -> FloatArray:
    """A stack of sheets that fold alike, axes (Z, Y, X), brightness up to 1."""
    rng = canvas.rng

    # 1. The height of each voxel above a folded surface in um, true near it: divided by its own slope.
    across = directions(rng, 1)[0] * (float(log_uniform(rng, bounds.flatness)), 1, 1)
    across /= np.linalg.norm(across)
    fold_um = float(log_uniform(rng, bounds.fold_um))
    height, slope = _folded(canvas, across, fold_um, fold_um * rng.uniform(*bounds.fold))

    # 2. The sheets of the stack, and which of them is nearest to each voxel.
    levels = np.array([float(canvas.places(1)[0] @ across)])
    if not happens(rng, bounds.single_chance):
        count = int(np.clip(np.ptp(height) / log_uniform(rng, bounds.gap_um), 1, MAX_SHEETS))
        levels = np.sort(rng.uniform(height.min(), height.max(), count))
    nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, height)
    bright = log_uniform(rng, bounds.sheet_brightness, len(levels)).astype(np.float32)
    away_um = np.abs(height - levels.astype(np.float32)[nearest]) / slope

    # 3. The share of each voxel that its sheet fills.
    spread = np.float32(rng.uniform(*bounds.thickness_spread))
    thickness = np.float32(log_uniform(rng, bounds.thickness_um)) * np.exp(spread * canvas.noise(fold_um))
    width = np.float32(np.abs(across) @ canvas.spacing_um)
    filled = np.minimum((thickness / 2 + width / 2 - away_um) / width, np.minimum(1, thickness / width))
    sheets = np.clip(filled, 0, 1) * bright[nearest]
    if happens(rng, bounds.patch_chance):
        patches = canvas.noise(float(log_uniform(rng, bounds.patch_um)))
        cut = np.quantile(patches[::2, ::3, ::3], 1 - rng.uniform(*bounds.patch_filling))
        sheets *= np.clip((patches - np.float32(cut)) * 5 + np.float32(0.5), 0, 1)
    return np.asarray(sheets, dtype=np.float32)


def _folded(canvas: Canvas, across: DoubleArray, fold_um: float, height_um: float) -> tuple[FloatArray, FloatArray]:
    """Height over a folded surface in um, and how it rises per um, axes (Z, Y, X).

    ``across`` (3,) is the normal of the surface before it is folded; the folds have a size and a height in um.
    """
    step = np.maximum(canvas.spacing_um, fold_um / COARSE)
    shape = zyx(np.ceil(canvas.field_um / step).astype(int) + 2)
    coarse = Canvas.blank(canvas.rng, shape, zyx(step.tolist()))
    height = ndi.gaussian_filter(coarse.noise(fold_um), 0.5 * fold_um / step, mode="nearest")  # without kinks
    height *= np.float32(height_um / SMOOTHED)
    for axis in range(3):
        along = np.arange(shape[axis]) * step[axis] * across[axis]
        height = height + along.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    slope = np.sqrt(sum(np.square(part) for part in np.gradient(height, *step)))
    places = [np.arange(n) * d / s for n, d, s in zip(canvas.shape, canvas.spacing_um, step, strict=True)]
    return interpolate(height, places), np.maximum(interpolate(slope.astype(np.float32), places), np.float32(0.2))
