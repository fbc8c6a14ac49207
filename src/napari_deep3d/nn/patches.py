"""Random patches of registered pairs for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_deep3d.core.box import Box
from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.intensity import MAX_SATURATED, intensity_range, is_flat, normalise, saturated_share
from napari_deep3d.core.types import FloatArray, Shape, Spacing
from napari_deep3d.core.volume import MIN_LATERAL, MIN_PLANES, Volume, all_finite
from napari_deep3d.nn.deepz import plane_and_distance

BLANK_LIGHT = (0.1, 60.0)
"""How uneven the light of a blank patch is, in standard deviations of its noise."""


@dataclass(frozen=True)
class TrainingPair:
    """A registered pair and the intensities that become 0 and 1 in each stack.

    ``shift`` (Z, Y, X) is a misalignment in voxels put between the stacks for comparison: the pair is then what
    both have in common.
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

        Raises
        ------
        InputError
            If the stacks differ in shape, or one is constant, mostly saturated or has voxels that are not finite.
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
                raise InputError(
                    f"pair {name}: {volume.name} is constant or not finite; stacks with structure and without NaN or "
                    "infinity are needed. Remove the pair from the folder."
                )
            share = saturated_share(volume.data, intensity_range(volume.data, (0, 100))[1])
            if share > MAX_SATURATED:
                raise InputError(
                    f"pair {name}: {share:.0%} of {volume.name} is saturated (at its largest value); at most "
                    f"{MAX_SATURATED:.0%} is allowed. Acquire it again with less light or exposure, or remove it."
                )
            ranges.append(bounds)
        return cls(name, widefield, confocal, ranges[0], ranges[1])

    @property
    def shape(self) -> Shape:
        """Voxels Z, Y, X that both stacks have."""
        z, y, x = (size - abs(by) for size, by in zip(self.widefield.shape, self.shift, strict=True))
        return z, y, x

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
        """The pair with a random shift between its stacks, as if it had not been registered."""
        spacing = self.spacing_um or (1.0, 1.0, 1.0)
        room = [(size - least) for size, least in zip(self.shape, (MIN_PLANES, MIN_LATERAL, MIN_LATERAL), strict=True)]
        z, y, x = (
            int(np.clip(round(rng.uniform(-um, um) / step), -most, most))
            for um, step, most in zip(largest_um, spacing, room, strict=True)
        )
        return replace(self, shift=(z, y, x))


@dataclass(frozen=True)
class Batch:
    """The patches of one step: network input (N, C, Z, Y, X) and confocal (N, 1, Z, Y, X)."""

    network_input: FloatArray
    confocal: FloatArray


def draw_batch(pairs: Sequence[TrainingPair], config: TrainConfig, step: int, rank: int = 0) -> Batch:
    """Draw the patches that a process trains on in one step, ``rank`` being its number.

    The random numbers depend on seed, step and the patch's number alone, so a resumed training sees what an unbroken
    one would, and several processes together see what one with a larger batch would. One patch size is drawn for
    the step; smaller patches come in larger numbers, so that steps cost about the same.
    """
    size, number = patch_size(pairs, config, step)
    patches = [
        _draw_patch(np.random.default_rng((config.seed, step, rank * number + index)), pairs, config, size)
        for index in range(number)
    ]
    network_input, confocal = (np.stack(side) for side in zip(*patches, strict=True))
    return Batch(network_input, confocal[:, None])


def patch_size(pairs: Sequence[TrainingPair], config: TrainConfig, step: int) -> tuple[Shape, int]:
    """Patch size Z, Y, X of a step, cut to the smallest pair, and the number of patches of a process."""
    largest = max(int(np.prod(size)) for size in config.patch)
    size = config.patch[int(np.random.default_rng((config.seed, step)).integers(len(config.patch)))]
    number = max(1, round(config.batch_size * largest / int(np.prod(size))))
    z, y, x = (min(want, *(pair.shape[axis] for pair in pairs)) for axis, want in enumerate(size))
    return (z, y, x), number


def _draw_patch(
    rng: np.random.Generator, pairs: Sequence[TrainingPair], config: TrainConfig, size: Shape
) -> tuple[FloatArray, FloatArray]:
    """Network input (C, Z, Y, X) and confocal (Z, Y, X) at a random place, flipped and turned at random."""
    if config.blank_share and config.network_input == "stack" and rng.random() < config.blank_share:
        return blank_patch(rng, size, config.percentiles)
    pair = pairs[int(rng.integers(len(pairs)))]
    corner = [int(rng.integers(have - want + 1)) for have, want in zip(pair.shape, size, strict=True)]
    box = Box.at(corner, size)
    seen = network_input(pair, box, config, int(rng.integers(pair.shape[0])), int(rng.integers(config.z_step)))
    flips = tuple(axis for axis in (-3, -2, -1) if rng.random() < 0.5)
    turn = size[1] == size[2] and rng.random() < 0.5
    first, second = (np.flip(side, flips) for side in (seen, pair.crop_confocal(box)))
    return (first.swapaxes(-1, -2), second.swapaxes(-1, -2)) if turn else (first, second)


def blank_patch(
    rng: np.random.Generator, size: Shape, percentiles: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """A stack without structure, and nothing as its confocal: noise, often on light that is uneven.

    Bringing percentiles to 0 and 1 stretches noise over the whole range, and a network that never saw that makes
    structure of it.

    Returns
    -------
    Network input (1, Z, Y, X), normalised, and zeros (Z, Y, X).
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
    """What the network sees of a box of a pair, axes (C, Z, Y, X).

    Parameters
    ----------
    pair, box
        The wide-field stack, and where.
    config
        Says whether the network sees the stack, a stack of few planes, or a single plane and a distance.
    plane
        For a network that sees one plane: which one; the middle one by default.
    first
        For a stack of few planes: the first of the planes that are kept.
    """
    if config.network_input == "plane":
        plane = pair.shape[0] // 2 if plane < 0 else plane
        seen = pair.crop_widefield(box.with_axis(0, plane, plane + 1))[0]
        step_um = (pair.spacing_um or (1.0, 1.0, 1.0))[0]
        return plane_and_distance(seen, (np.arange(box.z.start, box.z.stop) - plane) * step_um)
    if config.z_step == 1:
        return pair.crop_widefield(box)[None]
    return _sparse(pair, box, config.z_step, first)[None]


def _sparse(pair: TrainingPair, box: Box, step: int, first: int) -> FloatArray:
    """The box with only every ``step``-th plane kept, counted from ``first``, and the others interpolated linearly."""
    last = first + (pair.shape[0] - 1 - first) // step * step
    wanted = np.clip(np.arange(box.z.start, box.z.stop), first, last)
    below = first + (wanted - first) // step * step
    above = np.minimum(below + step, last)
    start = int(below[0])
    slab = pair.crop_widefield(box.with_axis(0, start, int(above[-1]) + 1))
    share = ((wanted - below) / step).astype(np.float32)[:, None, None]
    return np.asarray((1 - share) * slab[below - start] + share * slab[above - start], dtype=np.float32)
