"""Wide-field and confocal stacks of different fields: two folders, and what a training takes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_deep3d.core import (
    InputError,
    NoImageError,
    Spacing,
    Stop,
    TrainConfig,
    Volume,
    never,
    zyx,
)
from napari_deep3d.core.resampling import TOLERANCE, Resampled, grid_for
from napari_deep3d.io import STACK_SUFFIXES, open_stack, readable
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, LeftOut, PairFacts, stacks_in

if TYPE_CHECKING:
    from napari_deep3d.nn.patches import TrainingPair

MAX_APART = 1.25
"""Largest voxel of the wide-field stacks over the smallest, along an axis: one blur, in voxels, is learned for all."""
MAX_ZOOM = 3.0
"""How far the voxels of confocal stacks may be from those of the wide-field stacks: coarser ones lack the detail."""
SETTINGS_OF_PAIRS = ("z_step", "misregistration_um", "held_out", "network_input", "dimensions")


@dataclass(frozen=True)
class UnpairedFolders:
    """A folder of wide-field stacks, and one of confocal stacks of other fields of the same kind of sample."""

    widefield: Path
    confocal: Path

    def load(self) -> tuple[list[Volume], list[Volume]]:
        """Open all stacks, the confocal ones as on voxels of the wide-field ones; voxels still on disk.

        InputError if a folder is missing or empty, both are one, a stack cannot be used, or voxel sizes do not fit.
        """
        if self.widefield.resolve() == self.confocal.resolve():
            raise InputError(
                f"both folders are {self.widefield}; a folder of wide-field stacks and another one of confocal stacks "
                "are needed. Give the second one."
            )
        widefield, confocal = _opened(self.widefield, WIDEFIELD), _opened(self.confocal, CONFOCAL)
        spacing_um = _common_spacing(widefield)
        return widefield, [_on_grid(volume, spacing_um) for volume in confocal]

    def facts(self) -> tuple[list[PairFacts], list[PairFacts]]:
        """What the stacks of both folders are, without reading voxels; InputError as :meth:`load`."""
        widefield, confocal = self.load()
        return _facts(widefield), _facts(confocal)

    def notices(self) -> list[str]:
        """What the user should know of the folders."""
        names = [{path.name for path in stacks_in(folder)} for folder in (self.widefield, self.confocal)]
        common = names[0] & names[1]
        if not common:
            return []
        return [
            f"Files of the same names ({len(common)}, such as {min(common)}) are in both folders. If they show the "
            "same fields, register them and train on pairs, which teach more."
        ]


def stack_facts(folder: Path, kind: str) -> list[PairFacts]:
    """What the stacks of a folder are, without reading voxels; InputError if it is missing or one cannot be used."""
    return _facts(_opened(folder, kind))


@dataclass(frozen=True)
class ReadStacks:
    """The stacks of an unpaired training, and those that show nothing; ``unread`` were not read for lack of time."""

    widefield: list[TrainingPair]
    confocal: list[TrainingPair]
    left_out: tuple[LeftOut, ...]
    unread: int

    @property
    def notices(self) -> list[str]:
        """Sentences for the user."""
        told = [f"Stack {each.name} is left out: {each.reason}." for each in self.left_out]
        told += [f"In the time given, {self.unread} stacks were not read; they are not used."] if self.unread else []
        return told + [pair.notice for pair in (*self.widefield, *self.confocal) if pair.notice]


def check_unpaired(config: TrainConfig) -> None:
    """Refuse settings that only mean something for pairs."""
    given, plain = config.flat(), TrainConfig().flat()
    wrong = [name for name in SETTINGS_OF_PAIRS if given[name] != plain[name]]
    if wrong:
        raise InputError(
            f"{', '.join(wrong)} cannot be set where wide-field and confocal stacks are no pairs. Leave "
            f"{'it' if len(wrong) == 1 else 'them'} out, or train on registered pairs."
        )


def read_unpaired(
    folders: UnpairedFolders,
    percentiles: tuple[float, float],
    memory_bytes: float,
    enough: Stop = never,
) -> ReadStacks:
    """Open, check and measure the stacks; they are held in memory if they need no more than ``memory_bytes``.

    ``enough`` is asked between stacks; when true, the rest is not read. InputError as :meth:`UnpairedFolders.load`, or
    if no stack of a folder can be used.
    """
    from napari_deep3d.nn.patches import TrainingPair

    sides = folders.load()
    needed = sum(volume.data.dtype.itemsize * np.prod(volume.shape) for side in sides for volume in side)
    hold: Callable[[Volume], Volume] = _held if needed <= memory_bytes else lambda volume: volume
    usable: tuple[list[TrainingPair], list[TrainingPair]] = ([], [])
    faults: list[tuple[LeftOut, NoImageError]] = []
    tried = 0
    for row in zip_longest(*sides):  # one of each in turn: both are needed
        if all(usable) and enough():
            break
        for kind, volume, into in zip((WIDEFIELD, CONFOCAL), row, usable, strict=True):
            if volume is None:
                continue
            tried += 1
            try:
                into.append(TrainingPair.of_stack(volume.name, hold(volume), percentiles))
            except NoImageError as error:
                faults.append((LeftOut(f"{kind}/{volume.name}", error.fault), error))
    for kind, side in zip((WIDEFIELD, CONFOCAL), usable, strict=True):
        if not side:
            first = next(error for left_out, error in faults if left_out.name.startswith(kind))
            raise InputError(f"none of the {kind} stacks can be trained on: {first}")
    unread = sum(map(len, sides)) - tried
    return ReadStacks(*usable, left_out=tuple(left_out for left_out, _ in faults), unread=unread)


def _stacks(folder: Path, kind: str) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; a folder of {kind} stacks is needed. Correct the name.")
    if readable(str(folder)) != str(folder):
        raise InputError(
            f"the name {readable(str(folder))} is stored in an old encoding, not as Unicode; a run cannot note it. "
            "Rename it: typing it anew is enough."
        )
    found = stacks_in(folder)
    if not found:
        raise InputError(
            f"{folder} holds no stack; {kind} stacks, files ending in {', '.join(STACK_SUFFIXES)}, are needed. Give "
            "the folder that they are in."
        )
    return found


def _opened(folder: Path, kind: str) -> list[Volume]:
    return [_open(path) for path in _stacks(folder, kind)]


def _open(path: Path) -> Volume:
    volume = replace(open_stack(path).volume(), name=path.name)
    if volume.spacing_um is None:
        raise InputError(
            f"{path} has no voxel size in micrometres, without which stacks of two microscopes cannot be compared. "
            "Save it with its voxel size (OME-TIFF, or ImageJ TIFF with unit micron)."
        )
    return volume


def _common_spacing(widefield: Sequence[Volume]) -> Spacing:
    """The middle voxel size of the wide-field stacks."""
    sizes = np.array([volume.require_spacing_um() for volume in widefield])
    low, high = sizes.min(axis=0), sizes.max(axis=0)
    if (high > MAX_APART * low).any():
        raise InputError(
            f"the voxels of the wide-field stacks differ: {_text(low)} to {_text(high)} um (Z, Y, X); at most "
            f"{MAX_APART - 1:.0%} are allowed, since one blur is learned for all. Train on those of one magnification."
        )
    return zyx(float(size) for size in np.median(sizes, axis=0))


def _on_grid(volume: Volume, spacing_um: Spacing) -> Volume:
    """A confocal stack as if it had been taken with the voxels of the wide-field stacks."""
    own = np.array(volume.require_spacing_um())
    zoom = own / np.array(spacing_um)
    if (np.abs(zoom - 1) <= TOLERANCE).all():
        return volume
    if (zoom > MAX_ZOOM).any() or (zoom < 1 / MAX_ZOOM).any():
        raise InputError(
            f"{volume.name} has confocal voxels of {_text(own)} um (Z, Y, X), the wide-field stacks of "
            f"{_text(spacing_um)} um; between a third and three times that is allowed. Take them with voxels that are "
            "more alike, or leave it out."
        )
    data = Resampled(volume.data, grid_for(volume.shape, volume.require_spacing_um(), spacing_um))
    return replace(volume, data=data, spacing_um=spacing_um)


def _held(volume: Volume) -> Volume:
    return replace(volume, data=np.asarray(volume.data[:, :, :]))


def _facts(volumes: Sequence[Volume]) -> list[PairFacts]:
    return [PairFacts(volume.name, volume.shape, volume.spacing_um) for volume in volumes]


def _text(sizes: Sequence[float] | np.ndarray) -> str:
    return " x ".join(f"{size:.3g}" for size in sizes)
