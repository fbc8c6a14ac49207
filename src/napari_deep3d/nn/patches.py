"""Random patches of registered pairs for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.metrics import intensity_range, is_flat, normalise
from napari_deep3d.core.volume import Shape, Spacing, Volume, all_finite

Array = NDArray[np.float32]


@dataclass(frozen=True)
class TrainingPair:
    """A registered pair and the intensities that become 0 and 1 in each stack."""

    name: str
    widefield: Volume
    confocal: Volume
    widefield_range: tuple[float, float]
    confocal_range: tuple[float, float]

    @classmethod
    def prepare(cls, name: str, widefield: Volume, confocal: Volume, percentiles: tuple[float, float]) -> TrainingPair:
        """Check a pair and measure its intensities.

        Raises
        ------
        InputError
            If the stacks differ in shape, or one is constant or has voxels that are not finite.
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
            ranges.append(bounds)
        return cls(name, widefield, confocal, ranges[0], ranges[1])

    @property
    def shape(self) -> Shape:
        """Voxels Z, Y, X."""
        return self.widefield.shape

    @property
    def spacing_um(self) -> Spacing | None:
        """Voxel size, if the wide-field file states it."""
        return self.widefield.spacing_um

    def crop(self, box: tuple[slice, slice, slice]) -> tuple[Array, Array]:
        """Normalised wide-field and confocal voxels of a box, axes (Z, Y, X)."""
        return (
            normalise(self.widefield.data[box], self.widefield_range),
            normalise(self.confocal.data[box], self.confocal_range),
        )


def draw_batch(pairs: Sequence[TrainingPair], config: TrainConfig, step: int) -> tuple[Array, Array]:
    """The patches of one training step, axes (N, 1, Z, Y, X): wide-field and confocal.

    The random numbers depend on seed and step alone, so a resumed training sees what an unbroken one would. One
    patch size is drawn for the step; smaller patches come in larger numbers, so that steps cost about the same.
    """
    rng = np.random.default_rng((config.seed, step))
    largest = max(int(np.prod(size)) for size in config.patch)
    size = config.patch[int(rng.integers(len(config.patch)))]
    count = max(1, round(config.batch_size * largest / int(np.prod(size))))
    size = _fit(size, pairs)
    patches = [_draw_patch(rng, pairs[int(rng.integers(len(pairs)))], size) for _ in range(count)]
    widefield, confocal = (np.stack(side)[:, None] for side in zip(*patches, strict=True))
    return widefield, confocal


def _fit(size: Shape, pairs: Sequence[TrainingPair]) -> Shape:
    """The patch size, cut to the smallest pair."""
    z, y, x = (min(want, *(pair.shape[axis] for pair in pairs)) for axis, want in enumerate(size))
    return z, y, x


def _draw_patch(rng: np.random.Generator, pair: TrainingPair, size: Shape) -> tuple[Array, Array]:
    corner = [int(rng.integers(have - want + 1)) for have, want in zip(pair.shape, size, strict=True)]
    z, y, x = (slice(start, start + want) for start, want in zip(corner, size, strict=True))
    sides = pair.crop((z, y, x))
    flips = tuple(slice(None, None, int(rng.choice((-1, 1)))) for _ in range(3))
    turn = size[1] == size[2] and rng.random() < 0.5
    first, second = (side[flips].swapaxes(1, 2) if turn else side[flips] for side in sides)
    return first, second
