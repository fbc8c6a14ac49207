"""Tissue: several kinds of structure in one volume."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi

from napari_deep3d.core.samples.courses import directions, run, starts
from napari_deep3d.core.samples.drawing import Tubes, draw_tubes
from napari_deep3d.core.samples.filaments import filaments
from napari_deep3d.core.samples.glia import glia
from napari_deep3d.core.samples.membranes import membranes
from napari_deep3d.core.samples.neurons import neurons
from napari_deep3d.core.samples.noise import Array, interpolate, log_uniform, smooth_noise
from napari_deep3d.core.samples.nuclei import nuclei
from napari_deep3d.core.samples.puncta import puncta
from napari_deep3d.core.volume import Shape, Spacing

PARTS = (nuclei, neurons, glia, filaments, membranes, puncta)
PART_BRIGHTNESS = (0.1, 1.0)
THREE_CHANCE = 0.3
"""Share of the samples that mix three kinds; the others mix two."""
REGION_UM, SPARSEST = (10.0, 60.0), (0.0, 0.7)
"""Grain of the density's changes over the field; density where it is lowest."""
HAZE, BODY_UM = (0.02, 0.2), (1.5, 4.0)
"""Diffuse light in and around cells, in the brightness of their structures; how far it reaches."""
HAZE_CHANCE = 0.7
HOLE_CHANCE, HOLE_UM, UM3_PER_HOLE, MAX_HOLES = 0.5, (2.0, 15.0), (50_000.0, 1_000_000.0), 30
"""Empty vessels: share of the samples, radius, density."""
COARSE_UM = 1.0
"""Voxels of the grid on which haze and holes are drawn."""


def tissue(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Two or three other kinds mixed, each denser here than there, with empty vessels and a haze in cell bodies."""
    density = np.zeros(shape, dtype=np.float32)
    chosen = rng.permutation(len(PARTS))[: 3 if rng.random() < THREE_CHANCE else 2]
    for rank, index in enumerate(chosen):
        part = PARTS[index](rng, shape, spacing_um)
        if not part.any():
            continue
        bright = np.percentile(part[part > 0], 99.9) / (1 if rank == 0 else log_uniform(rng, PART_BRIGHTNESS))
        density += part * _regions(rng, shape, spacing_um) / np.float32(bright)
    if rng.random() < HAZE_CHANCE:
        density += np.float32(rng.uniform(*HAZE)) * _bodies(rng, density, spacing_um)
    if rng.random() < HOLE_CHANCE:
        full = density
        density = full * (1 - _vessels(rng, shape, spacing_um))
        density = density if density.any() else full
    return density


def _regions(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Smooth share, from a lowest value to 1, over the field."""
    lowest = np.float32(rng.uniform(*SPARSEST))
    waves = smooth_noise(rng, shape, spacing_um, rng.uniform(*REGION_UM))
    return np.asarray(lowest + (1 - lowest) / (1 + np.exp(np.float32(-3) * waves)), dtype=np.float32)


def _bodies(rng: np.random.Generator, density: Array, spacing_um: Spacing) -> Array:
    """Where cells are: about 1 near structures, 0 far from them, smooth."""
    ratio = np.maximum(1, COARSE_UM / np.array(spacing_um)).astype(int)
    padded = np.pad(density, [(0, -n % r) for n, r in zip(density.shape, ratio, strict=True)], mode="edge")
    split = [k for n, r in zip(padded.shape, ratio, strict=True) for k in (n // r, r)]
    coarse = padded.reshape(split).mean(axis=(1, 3, 5))
    near = ndi.gaussian_filter(coarse, rng.uniform(*BODY_UM) / (np.array(spacing_um) * ratio), mode="nearest")
    near = 1 - np.exp(-near / max(float(near.mean()), 1e-6))
    middles = [(np.arange(n) - (r - 1) / 2) / r for n, r in zip(density.shape, ratio, strict=True)]
    return interpolate(np.asarray(near, dtype=np.float32), middles)


def _vessels(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """1 in vessels, 0 elsewhere."""
    step = np.maximum(COARSE_UM, spacing_um)
    field_um = np.array(shape) * spacing_um
    coarse = np.zeros(np.ceil(field_um / step).astype(int) + 1, dtype=np.float32)
    grid = (float(step[0]), float(step[1]), float(step[2]))
    count = int(np.clip(np.prod(field_um + 20.0) / log_uniform(rng, UM3_PER_HOLE), 1, MAX_HOLES))
    away = directions(rng, count)
    length = rng.uniform(30.0, 150.0, count)
    begin = starts(rng, field_um, count, 10.0) - 0.5 * length[:, None] * away
    path = run(rng, grid, begin, away, length, 0.3, 30.0)
    limit = min(HOLE_UM[1], max(HOLE_UM[0], 0.25 * float(np.median(field_um))))
    radii = np.repeat(log_uniform(rng, (HOLE_UM[0], limit), (count, 1)), path.shape[1], axis=1)
    draw_tubes(coarse, grid, Tubes(path, radii, np.ones(count)))
    return np.minimum(
        interpolate(coarse, [np.arange(n) * d / s for n, d, s in zip(shape, spacing_um, step, strict=True)]), 1
    )
