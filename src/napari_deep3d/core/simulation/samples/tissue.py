"""Tissue: several kinds of structure in one volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.ndimage as ndi
from pydantic import Field

from napari_deep3d.core import FloatArray, zyx
from napari_deep3d.core.config import Config
from napari_deep3d.core.simulation.bounds import NonNegative, Positive, PositiveRange, Share, ShareRange, log_uniform
from napari_deep3d.core.simulation.samples.canvas import Canvas
from napari_deep3d.core.simulation.samples.noise import interpolate
from napari_deep3d.core.simulation.samples.paths import directions
from napari_deep3d.core.simulation.samples.rasterize import Tubes

Part = Callable[[Canvas], None]
MAX_HOLES = 30
HOLE_MARGIN_UM = 10.0
"""How far outside the field some vessels lie."""
COARSE_UM = 1.0
"""Voxels of the grid on which haze and vessels are drawn."""
REGION_CONTRAST = 3.0
"""Steepness of the change from sparse to dense regions, per standard deviation of the noise that makes them."""


class TissueBounds(Config):
    """Bounds of the random choices in samples of tissue, besides those of the kinds that it mixes."""

    three_chance: Share = Field(0.3, description="share of the samples that mix three kinds; the others mix two")
    part_brightness: PositiveRange = Field((0.1, 1.0), description="of the other kinds in that of the first, log")
    region_um: PositiveRange = Field((10.0, 60.0), description="grain of each kind's change of density over the field")
    sparsest: ShareRange = Field((0.0, 0.7), description="density where it is lowest")
    haze_chance: Share = Field(0.7, description="share of the samples with diffuse light in and around cells")
    haze: PositiveRange = Field((0.02, 0.2), description="this light in the brightness of their structures")
    body_um: PositiveRange = Field((1.5, 4.0), description="how far it reaches")
    hole_chance: Share = Field(0.5, description="share of the samples with empty vessels")
    hole_um: PositiveRange = Field((2.0, 15.0), description="radius of the vessels, log")
    hole_length_um: PositiveRange = Field((30.0, 150.0), description="length of the vessels")
    hole_bend: NonNegative = Field(0.3, description="how strongly the vessels turn")
    hole_persistence_um: Positive = Field(30.0, description="distance between turns of the vessels")
    um3_per_hole: PositiveRange = Field((50_000.0, 1_000_000.0), description="volume per vessel, log")


def draw_tissue(canvas: Canvas, parts: Sequence[Part], bounds: TissueBounds) -> None:
    """Two or three other kinds (of ``parts``) mixed, each denser here than there; empty vessels; a haze in cells."""
    rng, density = canvas.rng, canvas.density

    # 1. The kinds: each one's density changes smoothly over the field, from a lowest share to 1.
    chosen = rng.permutation(len(parts))[: 3 if rng.random() < bounds.three_chance else 2]
    for rank, index in enumerate(chosen):
        part = canvas.layer()
        parts[index](part)
        if not part.density.any():
            continue
        dimmer = 1 if rank == 0 else log_uniform(rng, bounds.part_brightness)
        bright = np.percentile(part.density[part.density > 0], 99.9) / dimmer
        lowest = np.float32(rng.uniform(*bounds.sparsest))
        waves = canvas.noise(rng.uniform(*bounds.region_um))
        regions = lowest + (1 - lowest) / (1 + np.exp(np.float32(-REGION_CONTRAST) * waves))
        density += part.density * np.asarray(regions, dtype=np.float32) / np.float32(bright)

    # 2. Diffuse light in and around cells.
    if rng.random() < bounds.haze_chance:
        density += np.float32(rng.uniform(*bounds.haze)) * _haze(canvas, rng.uniform(*bounds.body_um))

    # 3. Empty vessels, unless they leave nothing.
    if rng.random() < bounds.hole_chance:
        emptied = density * (1 - _vessels(canvas, bounds))
        if emptied.any():
            density[:] = emptied


def _haze(canvas: Canvas, reach_um: float) -> FloatArray:
    """Where cells are, axes (Z, Y, X): about 1 near structures, 0 beyond ``reach_um``, smooth."""
    spacing_um = np.array(canvas.spacing_um)
    ratio = np.maximum(1, COARSE_UM / spacing_um).astype(int)
    padded = np.pad(canvas.density, [(0, -n % r) for n, r in zip(canvas.shape, ratio, strict=True)], mode="edge")
    split = [k for n, r in zip(padded.shape, ratio, strict=True) for k in (n // r, r)]
    coarse = padded.reshape(split).mean(axis=(1, 3, 5))
    near = ndi.gaussian_filter(coarse, reach_um / (spacing_um * ratio), mode="nearest")
    near = 1 - np.exp(-near / max(float(near.mean()), 1e-6))
    middles = [(np.arange(n) - (r - 1) / 2) / r for n, r in zip(canvas.shape, ratio, strict=True)]
    return interpolate(np.asarray(near, dtype=np.float32), middles)


def _vessels(canvas: Canvas, bounds: TissueBounds) -> FloatArray:
    """1 in vessels, 0 elsewhere, axes (Z, Y, X)."""
    rng, field_um = canvas.rng, canvas.field_um
    step = np.maximum(COARSE_UM, canvas.spacing_um)
    coarse = Canvas.blank(rng, zyx(np.ceil(field_um / step).astype(int) + 1), zyx(step.tolist()))
    expected = np.prod(field_um + 2 * HOLE_MARGIN_UM) / log_uniform(rng, bounds.um3_per_hole)
    count = int(np.clip(expected, 1, MAX_HOLES))
    away = directions(rng, count)
    length = rng.uniform(*bounds.hole_length_um, count)
    begin = canvas.places(count, HOLE_MARGIN_UM) - 0.5 * length[:, None] * away
    path = coarse.paths(begin, away, length, bounds.hole_bend, bounds.hole_persistence_um)
    limit = min(bounds.hole_um[1], max(bounds.hole_um[0], 0.25 * float(np.median(field_um))))
    radii = np.repeat(log_uniform(rng, (bounds.hole_um[0], limit), (count, 1)), path.shape[1], axis=1)
    coarse.tubes(Tubes(path, radii, np.ones(count)))
    places = [np.arange(n) * d / s for n, d, s in zip(canvas.shape, canvas.spacing_um, step, strict=True)]
    return np.minimum(interpolate(coarse.density, places), 1)
