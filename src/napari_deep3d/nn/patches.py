"""What the networks see of registered pairs: random patches for training, boxes for tests and predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import (
    MAX_SATURATED,
    MIN_LATERAL,
    MIN_PLANES,
    Box,
    FloatArray,
    InputError,
    NoData,
    NoImageError,
    Shape,
    Spacing,
    TrainConfig,
    Volume,
    intensity_range,
    is_flat,
    normalise,
    saturated_share,
    zyx,
)
from napari_deep3d.core.no_data.image_part import cropped, either, filled, find_no_image

BLANK_LIGHT = (0.1, 60.0)
"""How uneven the light of a blank patch is, in standard deviations of its noise."""
DISTANCE_UNIT_UM = 10.0
"""Distances are divided by this, as in Deep-Z's propagation matrix."""
UNKNOWN_SPACING_UM: Spacing = (1.0, 1.0, 1.0)
"""Taken for pairs that do not state their voxel size."""
MIN_IMAGE = 0.1
"""Share of the box around the image, at least, that must be image in both stacks of a pair."""
MAX_NO_IMAGE = 0.1
"""Share of a patch that may be no image; it is filled alike in both stacks."""
PLACES_TRIED = 20
"""Places of a patch that are drawn, at most, to find one with no more than that; the best of them is taken."""


@dataclass(frozen=True)
class TrainingPair:
    """A registered pair, voxel on voxel, and the intensities that become 0 and 1 in each stack.

    ``shift`` is a misalignment (Z, Y, X) in voxels put between the stacks for comparison: the pair is then what both
    have in common. ``no_data`` are the voxels that are no image in one of the stacks or in both; the stacks are filled
    there. ``notice`` says what was left out of the files' stacks; it is empty if nothing was.
    """

    name: str
    widefield: Volume
    confocal: Volume
    widefield_range: tuple[float, float]
    confocal_range: tuple[float, float]
    shift: Shape = (0, 0, 0)
    no_data: NoData | None = None
    notice: str = ""

    @classmethod
    def prepare(cls, name: str, widefield: Volume, confocal: Volume, percentiles: tuple[float, float]) -> TrainingPair:
        """Check a pair, leave out what is no image in one of its stacks, and measure its intensities.

        What is left of the pair is the box that holds the image of both. InputError if the stacks differ in shape,
        NoImageError if one is constant or mostly saturated, or too little is image in both.
        """
        if widefield.shape != confocal.shape:
            raise InputError(
                f"pair {name}: wide-field is {widefield.shape} and confocal {confocal.shape}; both must have the "
                "same shape, voxel on voxel. Register the pair first."
            )
        (widefield, confocal), no_data, notice = _image_of_both(name, widefield, confocal)
        ranges = []
        for volume in (widefield, confocal):
            bounds = intensity_range(volume.data, percentiles, no_data)
            if is_flat(bounds, volume.data.dtype):
                raise NoImageError(
                    f"pair {name}:",
                    f"{volume.name} is constant",
                    "stacks with structure are needed. Remove the pair from the folder.",
                )
            largest = intensity_range(volume.data, (0, 100), no_data)[1]
            share = saturated_share(volume.data, largest, no_data)
            if share > MAX_SATURATED:
                raise NoImageError(
                    f"pair {name}:",
                    f"{share:.0%} of {volume.name} is saturated (at its largest value)",
                    f"at most {MAX_SATURATED:.0%} is allowed. Acquire it again with less light or exposure, or remove "
                    "it.",
                )
            ranges.append(bounds)
        return cls(name, widefield, confocal, ranges[0], ranges[1], no_data=no_data, notice=notice)

    @classmethod
    def of_stack(cls, name: str, stack: Volume, percentiles: tuple[float, float]) -> TrainingPair:
        """A stack that has no partner, as both sides of a pair: the same checks, intensities and patches serve it."""
        pair = cls.prepare(name, stack, stack, percentiles)
        return replace(pair, notice=pair.notice.replace("Pair", "Stack", 1))

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
        return normalise(self.widefield.data[self._in_widefield(box)], self.widefield_range)

    def crop_confocal(self, box: Box) -> FloatArray:
        """Normalised confocal voxels of a box, axes (Z, Y, X)."""
        return normalise(self.confocal.data[self._in_confocal(box)], self.confocal_range)

    def is_image(self, box: Box) -> NDArray[np.bool_] | None:
        """Which voxels of a box, axes (Z, Y, X), are image in both stacks; None if all of the pair is."""
        if self.no_data is None:
            return None
        return ~(self.no_data.mask(self._in_widefield(box)) | self.no_data.mask(self._in_confocal(box)))

    def _in_widefield(self, box: Box) -> Box:
        return box.shifted([max(0, by) for by in self.shift])

    def _in_confocal(self, box: Box) -> Box:
        return box.shifted([max(0, -by) for by in self.shift])

    def misaligned(self, rng: np.random.Generator, largest_um: Spacing) -> TrainingPair:
        """The pair with a random shift (Z, Y, X) between its stacks, as if it had not been registered."""
        spacing = self.spacing_um or UNKNOWN_SPACING_UM
        smallest = (MIN_PLANES, MIN_LATERAL, MIN_LATERAL)
        shift = []
        for size, least, um, step in zip(self.shape, smallest, largest_um, spacing, strict=True):
            most = size - least
            shift.append(int(np.clip(round(rng.uniform(-um, um) / step), -most, most)))
        return replace(self, shift=zyx(shift))


def _image_of_both(name: str, *stacks: Volume) -> tuple[list[Volume], NoData | None, str]:
    """The box of a pair that holds the image of both its stacks, what else is in it filled; and what was left out."""
    found = [find_no_image(volume.data) for volume in stacks]
    for volume, own in zip(stacks, found, strict=True):
        if own is not None and own.is_everything:
            raise NoImageError(
                f"pair {name}:",
                f"{volume.name} holds no image, its voxels are blank or not finite ({own.values_text})",
                "stacks with structure are needed. Remove the pair from the folder.",
            )
    no_data = either(found[0], found[1])
    if no_data is None:
        return list(stacks), None, ""
    region = no_data.image_box
    left = cropped(no_data, region)
    is_small = region.shape[0] < MIN_PLANES or min(region.shape[1:]) < MIN_LATERAL
    if no_data.is_everything or is_small or (left is not None and 1 - left.share < MIN_IMAGE):
        raise NoImageError(
            f"pair {name}:",
            f"only {1 - no_data.share:.1%} of its voxels are image in both stacks",
            f"at least {MIN_PLANES} planes of {MIN_LATERAL} x {MIN_LATERAL}, and {MIN_IMAGE:.0%} of the box around "
            "them, are needed. Check how the pair was registered, or remove it.",
        )
    # Both are filled where one is no image, and so alike: what is filled still shows the same in both.
    volumes = [replace(volume, data=filled(volume.data, no_data, region, hold=False)) for volume in stacks]
    return volumes, left, f"Pair {name}: {no_data.sentence}; they are left out."


class Batch(NamedTuple):
    """The patches of one step: network input (N, C, Z, Y, X) and confocal (N, 1, Z, Y, X)."""

    network_input: FloatArray
    confocal: FloatArray


class UnpairedBatch(NamedTuple):
    """The patches of one step of an unpaired training, and noise of variance 1; all (N, 1, Z, Y, X)."""

    widefield: FloatArray
    confocal: FloatArray
    noise: FloatArray


AnyBatch = Batch | UnpairedBatch


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


def draw_unpaired_batch(
    widefield: Sequence[TrainingPair], confocal: Sequence[TrainingPair], config: TrainConfig, step: int, rank: int = 0
) -> UnpairedBatch:
    """As :func:`draw_batch`, but wide-field and confocal of a patch each from a stack of its own, and noise.

    Both lists are of stacks by themselves, see :meth:`TrainingPair.of_stack`.
    """
    size, number = patch_size([*widefield, *confocal], config, step)
    patches = []
    for index in range(number):
        rng = np.random.default_rng((config.runtime.seed, step, rank * number + index))
        sides = [_draw_from(rng, pairs, config, size)[1][None] for pairs in (widefield, confocal)]
        patches.append((*sides, rng.standard_normal((1, *size), dtype=np.float32)))
    return UnpairedBatch(*(np.stack(side) for side in zip(*patches, strict=True)))


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
    return _draw_from(rng, pairs, config, size)


def _draw_from(
    rng: np.random.Generator, pairs: Sequence[TrainingPair], config: TrainConfig, size: Shape
) -> tuple[FloatArray, FloatArray]:
    """The same, of a pair in any case."""
    pair = pairs[int(rng.integers(len(pairs)))]
    box = _draw_box(rng, pair, size)
    plane, first = int(rng.integers(pair.shape[0])), int(rng.integers(config.data.z_step))
    seen = network_input(pair, box, config, plane, first)
    chances = {-3: config.data.flip_z, -2: 0.5, -1: 0.5}
    flips = tuple(axis for axis, chance in chances.items() if rng.random() < chance)
    turn = size[1] == size[2] and rng.random() < 0.5
    sides = [np.flip(side, flips) for side in (seen, pair.crop_confocal(box))]
    left, right = (side.swapaxes(-1, -2) for side in sides) if turn else sides
    return left, right


def _draw_box(rng: np.random.Generator, pair: TrainingPair, size: Shape) -> Box:
    """A random box of a pair; where some of the pair is no image, one of several that has little of that."""
    boxes: list[tuple[float, Box]] = []
    for _ in range(PLACES_TRIED):
        corner = [int(rng.integers(have - want + 1)) for have, want in zip(pair.shape, size, strict=True)]
        box = Box.at(corner, size)
        image = pair.is_image(box)
        boxes.append((0.0 if image is None else 1 - float(image.mean()), box))
        if boxes[-1][0] <= MAX_NO_IMAGE:
            break
    return min(boxes, key=lambda each: each[0])[1]


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
