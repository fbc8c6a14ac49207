"""Changes to a sample of any kind, drawn or a piece of a real stack, so that none of its traits can be relied on."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
from pydantic import Field

from napari_deep3d.core import DoubleArray, FloatArray, Spacing
from napari_deep3d.core.simulation.bounds import Bounds, PositiveRange, Range, Share, ShareRange, happens, log_uniform
from napari_deep3d.core.simulation.samples.canvas import Canvas, directions, normalized

EDGE = 0.3
"""Width of the border between two levels, in standard deviations of the noise that draws it."""


class ChangesBounds(Bounds):
    """Bounds of the changes to samples of all kinds but beads."""

    bend_chance: Share = Field(0.3, description="share of the samples that are bent")
    bend_grain_um: PositiveRange = Field((3.0, 15.0), description="size of the bends, log")
    bend: Range = Field((0.05, 0.3), description="standard deviation of the shift along each axis, in that size")
    texture_chance: Share = Field(0.25, description="share of the samples whose density gets a grain")
    texture_grain_um: PositiveRange = Field((0.1, 4.0), description="its size, log")
    texture_contrast: Range = Field((0.1, 0.7), description="standard deviation of its logarithm")
    curve_chance: Share = Field(0.3, description="share of the samples whose densities follow another curve")
    gamma: PositiveRange = Field((0.5, 2.0), description="power of that curve, log: above 1, dim parts are dimmer")
    saturation_chance: Share = Field(0.5, description="share of these that saturate")
    saturation: PositiveRange = Field((0.3, 4.0), description="densities above the inverse of this level off, log")
    levels_chance: Share = Field(0.2, description="share of the samples of which a part is dimmer than the rest")
    part_grain_um: PositiveRange = Field((2.0, 25.0), description="size of such parts, log")
    part: ShareRange = Field((0.2, 0.8), description="share of the field that is dimmer")
    part_level: PositiveRange = Field((0.1, 0.7), description="density there in what it was, log")
    fade_chance: Share = Field(0.25, description="share of the samples that fade across the field")
    fade_depth_chance: Share = Field(0.4, description="share of these that fade along the depth, not in any direction")
    fade_level: PositiveRange = Field((0.05, 0.6), description="density at the end in what it was, log")
    fade_width: PositiveRange = Field((0.3, 1.0), description="where it falls: a part of the field's extent")


def change(rng: np.random.Generator, sample: FloatArray, spacing_um: Spacing, bounds: ChangesBounds) -> FloatArray:
    """Bend a sample, axes (Z, Y, X), give it a grain and another curve, make a part dimmer, let it fade: each or not.

    Returns
    -------
    array of float32, axes (Z, Y, X)
        Where anything was changed, the 99.9th percentile of what is not zero is 1; never empty unless it was before.
        The sample itself where all chances are 0; then no random number is drawn, either.
    """
    if not any(
        (bounds.bend_chance, bounds.texture_chance, bounds.curve_chance, bounds.levels_chance, bounds.fade_chance)
    ):
        return sample
    canvas, density = Canvas(rng, sample, spacing_um), sample
    if happens(rng, bounds.bend_chance):
        grain_um = float(log_uniform(rng, bounds.bend_grain_um))
        density = bent(canvas, grain_um, grain_um * rng.uniform(*bounds.bend))
    if happens(rng, bounds.texture_chance):
        grains = canvas.noise(float(log_uniform(rng, bounds.texture_grain_um)))
        density = density * np.exp(np.float32(rng.uniform(*bounds.texture_contrast)) * grains)
    if happens(rng, bounds.curve_chance):
        gamma, saturation = float(log_uniform(rng, bounds.gamma)), 0.0
        if happens(rng, bounds.saturation_chance):
            saturation = float(log_uniform(rng, bounds.saturation))
        density = curved(density, gamma, saturation)
    if happens(rng, bounds.levels_chance):
        density = density * _two_levels(canvas, bounds)
    if happens(rng, bounds.fade_chance):
        across = directions(rng, 1)[0]
        if happens(rng, bounds.fade_depth_chance):
            across = np.array((np.sign(across[0]), 0.0, 0.0))
        level, width = float(log_uniform(rng, bounds.fade_level)), rng.uniform(*bounds.fade_width)
        density = density * fade(canvas, across, level, width, rng.uniform(0, 1 - min(width, 1.0)))
    return sample if density is sample or not density.any() else normalized(density)


def bent(canvas: Canvas, grain_um: float, shift_um: float) -> FloatArray:
    """What is drawn, axes (Z, Y, X), at places shifted at random.

    The shift along each axis has a standard deviation in um and changes over a size in um. At the edges the field is
    mirrored.
    """
    places = np.empty((3, *canvas.shape), dtype=np.float32)
    for axis, (voxels, step) in enumerate(zip(canvas.shape, canvas.spacing_um, strict=True)):
        along = np.arange(voxels, dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        places[axis] = along + canvas.noise(grain_um) * np.float32(shift_um / step)
    return np.asarray(ndi.map_coordinates(canvas.density, places, order=1, mode="mirror"), dtype=np.float32)


def curved(density: FloatArray, gamma: float, saturation: float) -> FloatArray:
    """A rising curve of densities: their power, bent towards a largest value; 0 and 1 stay what they are."""
    powered = density ** np.float32(gamma)
    return np.asarray(powered * np.float32(1 + saturation) / (1 + np.float32(saturation) * powered), dtype=np.float32)


def fade(canvas: Canvas, across: DoubleArray, level: float, width: float, start: float) -> FloatArray:
    """What falls smoothly from 1 to a level in a direction (3,), axes (Z, Y, X).

    It falls over a part ``width`` of the field's extent in that direction, from ``start``, a part of it, too.
    """
    along = np.ix_(*(a * d * np.arange(n) for a, d, n in zip(across, canvas.spacing_um, canvas.shape, strict=True)))
    height = np.asarray(sum(part.astype(np.float32) for part in along), dtype=np.float32)
    height -= height.min()
    share = np.clip((height / max(float(height.max()), 1e-6) - np.float32(start)) / np.float32(width), 0, 1)
    return np.asarray(1 - np.float32(1 - level) * share * share * (3 - 2 * share), dtype=np.float32)


def _two_levels(canvas: Canvas, bounds: ChangesBounds) -> FloatArray:
    """1 in a random part of the field, and a level below it in the rest, axes (Z, Y, X)."""
    rng = canvas.rng
    height = canvas.noise(float(log_uniform(rng, bounds.part_grain_um)))
    border = np.quantile(height[::2, ::3, ::3], rng.uniform(*bounds.part))
    scale = max(EDGE * float(height.std()), 1e-6)
    shown = np.clip((height - np.float32(border)) / np.float32(scale) + np.float32(0.5), 0, 1)
    level = np.float32(log_uniform(rng, bounds.part_level))
    return np.asarray(level + (1 - level) * shown, dtype=np.float32)
