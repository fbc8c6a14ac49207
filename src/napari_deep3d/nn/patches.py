"""What the networks see of registered pairs: random patches for training, boxes for tests and predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import (
    MAX_SATURATED,
    MIN_LATERAL,
    MIN_PLANES,
    Box,
    FloatArray,
    InputError,
    NoImageError,
    Shape,
    Spacing,
    TrainConfig,
    Volume,
    all_finite,
    intensity_range,
    is_flat,
    normalise,
    saturated_share,
    zyx,
)

BLANK_LIGHT = (0.1, 60.0)
"""How uneven the light of a blank patch is, in standard deviations of its noise."""
DISTANCE_UNIT_UM = 10.0
"""Distances are divided by this, as in Deep-Z's propagation matrix."""
UNKNOWN_SPACING_UM: Spacing = (1.0, 1.0, 1.0)
"""Taken for pairs that do not state their voxel size."""


@dataclass(frozen=True)
class TrainingPair:
    """A registered pair, voxel on voxel, and the intensities that become 0 and 1 in each stack.

    ``shift`` is a misalignment (Z, Y, X) in voxels put between the stacks for comparison: the pair is then what both
    have in common.
    """

    name: str
    widefield: Volume
    confocal: Volume
    widefield_range: tuple[float, float]
    confocal_range: tuple[float, float]
    shift: Shape = (0, 0, 0)

    @classmethod
    def prepare(cls, name: str, widefield: Volume, confocal: Volume, percentiles: tuple[float, float]) -> TrainingPair:
        """Check a pair and measure its intensities.

        InputError if the stacks differ in shape, NoImageError if one is constant, mostly saturated or has voxels that
        are not finite.
        """
        if widefield.shape != confocal.shape:
            raise InputError(
                f"pair {name}: wide-field is {widefield.shape} and confocal {confocal.shape}; both must have the "
                "same shape, voxel on voxel. Register the pair first."
            )
        ranges = []
        for volume in (widefield, confocal):
            bounds = intensity_range(volume.data, percentiles)
            if is_flat(bounds) or not all_finite(volume.data):
                raise NoImageError(
                    f"pair {name}:",
                    f"{volume.name} is constant or not finite",
                    "stacks with structure and without NaN or infinity are needed. Remove the pair from the folder.",
                )
            share = saturated_share(volume.data, intensity_range(volume.data, (0, 100))[1])
            if share > MAX_SATURATED:
                raise NoImageError(
                    f"pair {name}:",
                    f"{share:.0%} of {volume.name} is saturated (at its largest value)",
                    f"at most {MAX_SATURATED:.0%} is allowed. Acquire it again with less light or exposure, or remove "
                    "it.",
                )
            ranges.append(bounds)
        return cls(name, widefield, confocal, ranges[0], ranges[1])

    @property
    def shape(self) -> Shape:
        """Voxels Z, Y, X that both stacks have."""
        return zyx(size - abs(by) for size, by in zip(self.widefield.shape, self.shift, strict=True))

    @property
    def whole(self) -> Box:
        """The box of all its voxels."""
        return Box.whole(self.shape)

    @property
    def spacing_um(self) -> Spacing | None:
        """Voxel size, if the wide-field file states it."""
        return self.widefield.spacing_um

    def crop_widefield(self, box: Box) -> FloatArray:
        """Normalised wide-field voxels of a box, axes (Z, Y, X)."""
        in_common = [max(0, by) for by in self.shift]
        return normalise(self.widefield.data[box.shifted(in_common)], self.widefield_range)

    def crop_confocal(self, box: Box) -> FloatArray:
        """Normalised confocal voxels of a box, axes (Z, Y, X)."""
        in_common = [max(0, -by) for by in self.shift]
        return normalise(self.confocal.data[box.shifted(in_common)], self.confocal_range)

    def misaligned(self, rng: np.random.Generator, largest_um: Spacing) -> TrainingPair:
        """The pair with a random shift (Z, Y, X) between its stacks, as if it had not been registered."""
        spacing = self.spacing_um or UNKNOWN_SPACING_UM
        smallest = (MIN_PLANES, MIN_LATERAL, MIN_LATERAL)
        shift = []
        for size, least, um, step in zip(self.shape, smallest, largest_um, spacing, strict=True):
            most = size - least
            shift.append(int(np.clip(round(rng.uniform(-um, um) / step), -most, most)))
        return replace(self, shift=zyx(shift))


@dataclass(frozen=True)
class Batch:
    """The patches of one step: network input (N, C, Z, Y, X) and confocal (N, 1, Z, Y, X)."""

    network_input: FloatArray
    confocal: FloatArray


def patch_sizes(shapes: Iterable[Shape], config: TrainConfig) -> list[tuple[Shape, int]]:
    """The patch sizes (Z, Y, X) of a training, cut to the smallest pair, and how many of each a process takes.

    Smaller patches come in larger numbers, so that steps cost about the same.
    """
    smallest = [min(sizes) for sizes in zip(*shapes, strict=True)]
    voxels = [int(np.prod(size)) for size in config.data.patch]
    return [
        (zyx(map(min, size, smallest)), max(1, round(config.optimizer.batch_size * max(voxels) / own)))
        for size, own in zip(config.data.patch, voxels, strict=True)
    ]


def patch_size(pairs: Sequence[TrainingPair], config: TrainConfig, step: int) -> tuple[Shape, int]:
    """Patch size (Z, Y, X) of a step, and the number of patches of a process; see :func:`patch_sizes`."""
    sizes = patch_sizes([pair.shape for pair in pairs], config)
    return sizes[int(np.random.default_rng((config.runtime.seed, step)).integers(len(sizes)))]


def draw_batch(pairs: Sequence[TrainingPair], config: TrainConfig, step: int, rank: int = 0) -> Batch:
    """Draw the patches that a process trains on in one step: all of one size, random in place and orientation.

    The random numbers depend on seed, step and the patch's number alone, so a resumed training sees what an unbroken
    one would, and several processes (this one is number ``rank``) what one with a larger batch would.
    """
    size, number = patch_size(pairs, config, step)
    patches = [
        _draw_patch(np.random.default_rng((config.runtime.seed, step, rank * number + index)), pairs, config, size)
        for index in range(number)
    ]
    network_input, confocal = (np.stack(side) for side in zip(*patches, strict=True))
    return Batch(network_input, confocal[:, None])


def _draw_patch(
    rng: np.random.Generator, pairs: Sequence[TrainingPair], config: TrainConfig, size: Shape
) -> tuple[FloatArray, FloatArray]:
    """Network input (C, Z, Y, X) and confocal (Z, Y, X) at a random place, flipped and turned at random."""
    if config.data.blank_share and config.network.network_input == "stack" and rng.random() < config.data.blank_share:
        return blank_patch(rng, size, config.data.percentiles)
    pair = pairs[int(rng.integers(len(pairs)))]
    corner = [int(rng.integers(have - want + 1)) for have, want in zip(pair.shape, size, strict=True)]
    box = Box.at(corner, size)
    plane, first = int(rng.integers(pair.shape[0])), int(rng.integers(config.data.z_step))
    seen = network_input(pair, box, config, plane, first)
    flips = tuple(axis for axis in (-3, -2, -1) if rng.random() < 0.5)
    turn = size[1] == size[2] and rng.random() < 0.5
    sides = [np.flip(side, flips) for side in (seen, pair.crop_confocal(box))]
    left, right = (side.swapaxes(-1, -2) for side in sides) if turn else sides
    return left, right


def blank_patch(
    rng: np.random.Generator, size: Shape, percentiles: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Network input (1, Z, Y, X) without structure, and zeros as its confocal: noise, often on light that is uneven.

    Bringing percentiles to 0 and 1 stretches noise over the whole range, and a network that never saw that makes
    structure of it.
    """
    noise = rng.standard_normal(size, dtype=np.float32)
    if rng.random() < 0.6:
        z, y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in size)
        slope, bend = rng.normal(0, 1, 3), rng.normal(0, 1, 3)
        light = (slope[0] * z + bend[0] * z**2)[:, None, None] + (slope[1] * y + bend[1] * y**2)[:, None]
        noise += np.float32(np.exp(rng.uniform(*np.log(BLANK_LIGHT)))) * (light + slope[2] * x + bend[2] * x**2)
    seen = normalise(noise, intensity_range(noise, percentiles))
    return seen[None], np.zeros(size, dtype=np.float32)


def network_input(pair: TrainingPair, box: Box, config: TrainConfig, plane: int = -1, first: int = 0) -> FloatArray:
    """What the network sees of a box of a pair: the stack, a stack of few planes, or one plane and a distance.

    Parameters
    ----------
    pair, box, config : TrainingPair, Box, TrainConfig
        What, where, and which of the three.
    plane : int
        For a network that sees one plane: which one; the middle one by default.
    first : int
        For a stack of few planes: the first of the planes that are kept.

    Returns
    -------
    array, axes (C, Z, Y, X)
        Normalised intensities; C is 2 where one plane is seen, else 1.
    """
    z = np.arange(box.z.start, box.z.stop)
    if config.network.network_input == "plane":
        plane = pair.shape[0] // 2 if plane < 0 else plane
        seen = pair.crop_widefield(box.with_axis(0, plane, plane + 1))[0]
        step_um = (pair.spacing_um or UNKNOWN_SPACING_UM)[0]
        return plane_and_distance(seen, (z - plane) * step_um)
    step = config.data.z_step
    if step == 1:
        return pair.crop_widefield(box)[None]
    # Every step-th plane is kept, counted from the first; the others are interpolated linearly between them.
    last = first + (pair.shape[0] - 1 - first) // step * step
    wanted = np.clip(z, first, last)
    below = first + (wanted - first) // step * step
    above = np.minimum(below + step, last)
    start = int(below[0])
    slab = pair.crop_widefield(box.with_axis(0, start, int(above[-1]) + 1))
    share = ((wanted - below) / step).astype(np.float32)[:, None, None]
    sparse = (1 - share) * slab[below - start] + share * slab[above - start]
    return np.asarray(sparse, dtype=np.float32)[None]


def plane_and_distance(plane: FloatArray, distances_um: NDArray[np.floating]) -> FloatArray:
    """What Deep-Z and DeepZ+ see: one plane, and how far from it each wanted plane lies (Wu et al. 2019).

    Parameters
    ----------
    plane : array, axes (Y, X)
        Normalised wide-field plane.
    distances_um : array, axes (Z,)
        Axial distance from this plane to each wanted one.

    Returns
    -------
    array, axes (2, Z, Y, X)
        The plane, repeated, and the distances in units of :data:`DISTANCE_UNIT_UM`.
    """
    shape = (len(distances_um), *plane.shape)
    distance = np.asarray(distances_um, dtype=np.float32) / np.float32(DISTANCE_UNIT_UM)
    return np.stack([np.broadcast_to(plane, shape), np.broadcast_to(distance[:, None, None], shape)])
