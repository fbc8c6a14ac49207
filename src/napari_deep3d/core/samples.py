"""Simulated samples: where the fluorescent molecules are.

Every sample is a density, axes (Z, Y, X), float32, zero or more, its bright structures about 1.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_deep3d.core.volume import Shape, Spacing

Array = NDArray[np.float32]


def nuclei(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Stained cell nuclei: flattened ellipsoids with chromatin texture, nucleoli and sometimes a bright rim.

    Semi-axes 1.5 to 9 um, flattened up to threefold; chromatin grains of 0.15 to 0.5 um; nuclei keep a little
    distance, and their number ranges from one to dense tissue.
    """
    field_um = np.array(shape) * spacing_um
    density = np.zeros(shape, dtype=np.float32)
    radius_um = rng.uniform(2.0, 7.0)
    room = field_um.prod() / (4 * radius_um**3)
    count = 1 if rng.random() < 0.2 else int(np.clip(rng.uniform(0.05, 0.9) * room, 1, 80))
    texture = chromatin(rng, shape, spacing_um)
    for _ in range(count):
        centre = rng.uniform(0.15, 0.85, 3) * field_um if count == 1 else rng.uniform(0, 1, 3) * field_um
        semi = radius_um * rng.uniform(0.75, 1.3, 3) * (1 / rng.uniform(1, 3), 1, 1)
        _add_nucleus(rng, density, texture, spacing_um, centre, np.clip(semi, 1.5, 9.0))
    return density


def chromatin(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Positive random texture: grains of two sizes, contrast random; mean about 1, axes (Z, Y, X)."""
    log_density = np.zeros(shape, dtype=np.float32)
    for size_um in (rng.uniform(0.15, 0.5), rng.uniform(0.5, 1.5)):
        grains = ndi.gaussian_filter(
            rng.standard_normal(shape, dtype=np.float32), size_um / np.array(spacing_um), mode="wrap"
        )
        log_density += rng.uniform(0.15, 0.6) * grains / grains.std()
    texture = np.exp(log_density)
    return np.asarray(texture / texture.mean(), dtype=np.float32)


def _add_nucleus(
    rng: np.random.Generator,
    density: Array,
    texture: Array,
    spacing_um: Spacing,
    centre_um: NDArray[np.float64],
    semi_um: NDArray[np.float64],
) -> None:
    step = np.array(spacing_um)
    reach = 1.5 * semi_um.max()
    low = np.maximum(np.floor((centre_um - reach) / step), 0).astype(int)
    high = np.minimum(np.ceil((centre_um + reach) / step) + 1, density.shape).astype(int)
    if np.any(high <= low):
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    distance = _distance(rng, box, step, centre_um, semi_um)
    inside = np.clip((1 - distance) / 0.08, 0, 1).astype(np.float32)
    if density[box][inside > 0.5].sum() > 0.1 * (inside > 0.5).sum():  # nuclei do not run into each other
        return
    profile = inside * texture[box]
    if rng.random() < 0.4:
        profile *= 1 + rng.uniform(0.2, 1.0) * np.exp(-(((distance - 0.93) / 0.06) ** 2)).astype(np.float32)
    for _ in range(rng.integers(0, 4)):
        nucleolus = centre_um + rng.uniform(-0.5, 0.5, 3) * semi_um
        size = rng.uniform(0.12, 0.3) * semi_um.min()
        hole = _distance(rng, box, step, nucleolus, np.full(3, size))
        profile *= 1 - rng.uniform(0.5, 0.95) * np.clip((1.2 - hole) / 0.3, 0, 1).astype(np.float32)
    density[box] += rng.uniform(0.4, 1.0) * profile


def _distance(
    rng: np.random.Generator,
    box: tuple[slice, ...],
    step_um: NDArray[np.float64],
    centre_um: NDArray[np.float64],
    semi_um: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Distance from a centre in units of a super-ellipsoid turned by a random angle: 1 on its surface."""
    angle, tilt, power = rng.uniform(0, np.pi), rng.normal(0, 0.2), rng.uniform(1.7, 2.6)
    z, y, x = np.meshgrid(
        *(np.arange(s.start, s.stop) * d - c for s, d, c in zip(box, step_um, centre_um, strict=True)),
        indexing="ij",
        sparse=True,
    )
    u = np.cos(angle) * x + np.sin(angle) * y
    v = np.cos(angle) * y - np.sin(angle) * x
    w, u = np.cos(tilt) * z - np.sin(tilt) * u, np.cos(tilt) * u + np.sin(tilt) * z
    total = np.abs(w / semi_um[0]) ** power + np.abs(v / semi_um[1]) ** power + np.abs(u / semi_um[2]) ** power
    return np.asarray(total ** (1 / power))


def neurons(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Labelled neurons: somata of 3 to 8 um with a dim nucleus, tapering neurites, passing fibres and puncta."""
    field_um = np.array(shape) * spacing_um
    density = np.zeros(shape, dtype=np.float32)
    volume = field_um.prod()
    for _ in range(int(rng.integers(0, 2 + int(volume / 12_000)))):
        centre, brightness = rng.uniform(0, 1, 3) * field_um, rng.uniform(0.4, 1.0)
        radius = rng.uniform(3.0, 8.0)
        _add_soma(rng, density, spacing_um, centre, radius, brightness)
        for _ in range(rng.integers(2, 7)):
            start = centre + radius * 0.8 * _direction(rng)
            _add_neurite(rng, density, spacing_um, start, rng.uniform(0.4, 1.5), brightness)
    for _ in range(int(rng.integers(3, 6 + int(volume / 700)))):
        start, radius = rng.uniform(0, 1, 3) * field_um, rng.uniform(0.12, 0.6)
        _add_neurite(rng, density, spacing_um, start, radius, rng.uniform(0.15, 0.9))
    if rng.random() < 0.5:
        density += _puncta(rng, shape, spacing_um, int(volume * rng.uniform(0.002, 0.03)))
    return density


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    vector = rng.standard_normal(3)
    return np.asarray(vector / np.linalg.norm(vector))


def _add_soma(
    rng: np.random.Generator,
    density: Array,
    spacing_um: Spacing,
    centre_um: NDArray[np.float64],
    radius_um: float,
    brightness: float,
) -> None:
    step = np.array(spacing_um)
    low = np.maximum(np.floor((centre_um - 1.5 * radius_um) / step), 0).astype(int)
    high = np.minimum(np.ceil((centre_um + 1.5 * radius_um) / step) + 1, density.shape).astype(int)
    if np.any(high <= low):
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    body = _distance(rng, box, step, centre_um, radius_um * rng.uniform(0.7, 1.3, 3))
    nucleus = _distance(rng, box, step, centre_um, np.full(3, radius_um * rng.uniform(0.4, 0.65)))
    profile = np.clip((1 - body) / 0.1, 0, 1) * (1 - rng.uniform(0.2, 0.8) * np.clip((1 - nucleus) / 0.2, 0, 1))
    density[box] = np.maximum(density[box], (brightness * profile).astype(np.float32))


def _add_neurite(
    rng: np.random.Generator,
    density: Array,
    spacing_um: Spacing,
    start_um: NDArray[np.float64],
    radius_um: float,
    brightness: float,
) -> None:
    """A persistent random walk of 10 to 60 um, drawn as a tube that tapers to half its radius."""
    step_um = max(0.1, 0.4 * min(spacing_um))
    steps = int(rng.uniform(10, 60) / step_um)
    turns = ndi.gaussian_filter1d(rng.standard_normal((steps, 3)), 3 / step_um, axis=0, mode="nearest")
    course = _direction(rng) * (1.0, 1.4, 1.4) + rng.uniform(0.3, 1.2) * turns / (turns.std() + 1e-9)
    course /= np.linalg.norm(course, axis=1, keepdims=True)
    path = start_um + np.cumsum(course * step_um, axis=0)
    varicose = 1 + 0.3 * ndi.gaussian_filter1d(rng.standard_normal(steps), 1 / step_um)
    radii = radius_um * np.linspace(1, 0.5, steps) * np.clip(varicose, 0.5, 1.6)
    stamp_tube(density, spacing_um, path, radii, brightness)


def stamp_tube(
    density: Array,
    spacing_um: Spacing,
    path_um: NDArray[np.float64],
    radii_um: NDArray[np.float64],
    brightness: float,
) -> None:
    """Draw a tube around a path (points (N, 3) in um) by the largest of what stands and the tube's soft profile.

    A tube thinner than a voxel fills its voxels in part, in proportion to its cross section.
    """
    step = np.array(spacing_um)
    reach = np.ceil((radii_um.max() + step) / step).astype(int)
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = np.rint(path_um / step).astype(int)
    voxels = nearest[:, None, :] + offsets[None]
    distance = np.linalg.norm(voxels * step - path_um[:, None, :], axis=-1)
    soft = step[1]
    value = brightness * np.clip((radii_um[:, None] - distance) / soft + 0.5, 0, 1)
    value *= np.minimum(1, 2 * radii_um[:, None] / soft)
    keep = (value > 0) & np.all((voxels >= 0) & (voxels < density.shape), axis=-1)
    flat = np.ravel_multi_index(tuple(voxels[keep].T), density.shape)
    np.maximum.at(density.reshape(-1), flat, value[keep].astype(np.float32))


def _puncta(rng: np.random.Generator, shape: Shape, spacing_um: Spacing, count: int) -> Array:
    """Small spots such as synapses: points of random brightness blurred to 0.1 to 0.3 um."""
    spots = np.zeros(shape, dtype=np.float32)
    place = tuple(rng.integers(0, n, count) for n in shape)
    np.add.at(spots, place, rng.gamma(2.0, 0.5, count).astype(np.float32))
    blurred = ndi.gaussian_filter(spots, rng.uniform(0.1, 0.3) / np.array(spacing_um))
    peak = blurred.max()
    return np.asarray(blurred / peak * rng.uniform(0.2, 1.0) if peak > 0 else blurred, dtype=np.float32)


def from_confocal(rng: np.random.Generator, shape: Shape, stack: NDArray[np.generic]) -> Array:
    """A random piece of a real confocal stack taken as the sample: its own background removed, turned and mirrored.

    Where the stack is smaller than ``shape`` (Z, Y, X) it is mirrored on. A confocal image is itself blurred, so
    a gamma above 1 takes part of that blur away.
    """
    image = np.asarray(stack, dtype=np.float32)
    if rng.random() < 0.5:
        image = image.swapaxes(1, 2)
    low, high = np.percentile(image[::2, ::2, ::2], (rng.uniform(20, 60), 99.8))
    start = [int(rng.integers(0, max(1, n - want + 1))) for n, want in zip(image.shape, shape, strict=True)]
    piece = image[tuple(slice(a, a + want) for a, want in zip(start, shape, strict=True))]
    short = [(0, want - have) for want, have in zip(shape, piece.shape, strict=True)]
    piece = np.pad(piece, short, mode="symmetric")
    piece = piece[tuple(slice(None, None, int(rng.choice((-1, 1)))) for _ in range(3))]
    scaled = np.clip((piece - low) / max(high - low, 1e-6), 0, 1.5)
    return np.asarray(scaled ** rng.uniform(1.0, 1.6), dtype=np.float32)
