"""Registered pairs: the folder that holds them, and pairs that are at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_deep3d.core import (
    InputError,
    NoImageError,
    Shape,
    Spacing,
    Stack,
    Stop,
    Volume,
    never,
    shape_of,
)
from napari_deep3d.io import STACK_SUFFIXES, open_stack, readable, stack_name, write_stack

if TYPE_CHECKING:
    from napari_deep3d.nn.patches import TrainingPair

WIDEFIELD, CONFOCAL = KINDS = ("widefield", "confocal")
"""The two folders of a pairs folder; files of the same name belong together."""
WRITTEN_SUFFIX = ".ome.tif"


@dataclass(frozen=True)
class LoadedPair:
    """A registered pair that is at hand, such as two layers: voxel on voxel, of the same shape."""

    name: str
    widefield: Volume
    confocal: Volume


@dataclass(frozen=True)
class LeftOut:
    """A pair that cannot be trained on, and what is wrong with it: a sentence without its end."""

    name: str
    reason: str

    @property
    def notice(self) -> str:
        """A sentence for the user."""
        return f"Pair {self.name} is left out: {self.reason}."


@dataclass(frozen=True)
class PairFacts:
    """What a pair's files say without reading their voxels."""

    name: str
    shape: Shape
    spacing_um: Spacing | None


class PairsFolder:
    """A pairs folder: ``widefield/NAME`` and ``confocal/NAME``, same names, same shape, registered."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def file(self, kind: str, name: str) -> Path:
        """The file of a pair; ``kind`` is ``widefield`` or ``confocal``, ``name`` has the file's ending."""
        return self.path / kind / name

    def volume(self, kind: str, name: str) -> Volume:
        """Open one stack of a pair, voxels still on disk."""
        return open_stack(self.file(kind, name)).volume()

    def names(self) -> list[str]:
        """Names of the files that both folders hold, sorted.

        InputError if a folder is missing or empty, a file has no partner, or a name is no Unicode: a run could not
        note it.
        """
        names = {kind: self._names(kind) for kind in KINDS}
        for name in (str(self.path), *sorted(names[WIDEFIELD])):
            if readable(name) != name:
                raise InputError(
                    f"the name {readable(name)} is stored in an old encoding, not as Unicode; a run cannot note it. "
                    "Rename it: typing it anew is enough."
                )
        alone = sorted(names[WIDEFIELD] ^ names[CONFOCAL])
        if alone:
            side = WIDEFIELD if alone[0] in names[WIDEFIELD] else CONFOCAL
            raise InputError(
                f"{len(alone)} of the files in {self.path} have no partner, such as {side}/{alone[0]}; every file "
                "needs one of the same name in the other folder. Add or remove them."
            )
        return sorted(names[WIDEFIELD])

    def _names(self, kind: str) -> set[str]:
        side = self.path / kind
        if not side.is_dir():
            raise InputError(
                f"{self.path} is not a pairs folder: it has no folder {kind!r}. A folder with 'widefield' and "
                "'confocal', holding stacks of the same names, is needed; 'simulate' writes one."
            )
        found = {path.name for path in stacks_in(side)}
        if not found:
            raise InputError(f"{side} holds no stack; files ending in {', '.join(STACK_SUFFIXES)} are needed.")
        return found

    def facts(self) -> list[PairFacts]:
        """What the pairs are, sorted by name, without reading voxels; InputError as :meth:`names`, or for no stack."""
        volumes = [(name, self.volume(WIDEFIELD, name)) for name in self.names()]
        return [PairFacts(name, shape_of(volume.data), volume.spacing_um) for name, volume in volumes]

    def load(self) -> list[LoadedPair]:
        """Open every pair, voxels still on disk, sorted by name; errors as :meth:`facts`."""
        names = self.names()
        return [LoadedPair(name, *(self.volume(kind, name) for kind in KINDS)) for name in names]

    def write(
        self,
        name: str,
        widefield: Stack,
        confocal: Stack,
        spacing_um: Spacing,
        origin_um: Spacing = (0.0, 0.0, 0.0),
        *,
        overwrite: bool = False,
        description: Mapping[str, object] | None = None,
    ) -> None:
        """Write a pair, ``NAME.ome.tif`` in each of the two folders.

        Parameters
        ----------
        name
            Of the pair, without an ending.
        widefield, confocal
            Voxels, axes (Z, Y, X), one shape.
        spacing_um, origin_um
            Voxel size, and position of the first voxel, (Z, Y, X).
        overwrite
            Whether files of that name may be replaced.
        description
            How the pair came about: values that JSON can hold.
        """
        for kind, voxels in zip(KINDS, (widefield, confocal), strict=True):
            path = self.file(kind, name + WRITTEN_SUFFIX)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_stack(
                path, voxels, spacing_um, origin_um, channel_name=kind, overwrite=overwrite, description=description
            )


def stacks_in(folder: Path) -> list[Path]:
    """The stacks of a folder by their names, sorted.

    Other files are passed over, and hidden ones, such as the ``._cell.tif`` that macOS puts beside ``cell.tif`` on
    disks of other systems. OSError if the folder cannot be read.
    """
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in STACK_SUFFIXES and not path.name.startswith(".")
    ]


def pair_up(first: Path, second: Path) -> tuple[list[tuple[str, str]], set[str]]:
    """Files of two folders whose names, without endings, are the same, and files without a partner.

    InputError if there is no such folder, or no two files of one name.
    """
    found: list[dict[str, str]] = []
    for folder in (first, second):
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder. Give two files, or two folders of files with the same names.")
        found.append({stack_name(path): path.name for path in stacks_in(folder)})
    own, other = found
    common = sorted(own.keys() & other.keys())
    if not common:
        raise InputError(
            f"{first} and {second} hold no two stacks of the same name ({len(own)} and {len(other)} "
            "stacks). Name the files of a pair alike, in two folders."
        )
    alone = {file for side in found for name, file in side.items() if name not in common}
    return [(own[name], other[name]) for name in common], alone


def memory_bytes(pairs: Sequence[LoadedPair]) -> float:
    """Memory that the voxels of pairs need."""
    volumes = [volume for pair in pairs for volume in (pair.widefield, pair.confocal)]
    return sum(float(np.prod(v.data.shape)) * np.dtype(v.data.dtype).itemsize for v in volumes)


def hold_in_memory(pairs: Sequence[LoadedPair], limit_bytes: float) -> list[LoadedPair]:
    """Read pairs into memory if all of them together fit into a limit: random patches of packed files are slow."""
    if memory_bytes(pairs) > limit_bytes:
        return list(pairs)
    volumes = [volume for pair in pairs for volume in (pair.widefield, pair.confocal)]
    held = [replace(volume, data=np.asarray(volume.data[:, :, :])) for volume in volumes]
    return [LoadedPair(pair.name, *held[2 * i : 2 * i + 2]) for i, pair in enumerate(pairs)]


def prepare_pairs(pairs: Sequence[LoadedPair], percentiles: tuple[float, float]) -> list[TrainingPair]:
    """Check pairs and measure their intensities.

    InputError if two have the same name or a name is no file's, or one cannot be trained on.
    """
    from napari_deep3d.nn.patches import TrainingPair

    _check_names(pairs)
    return [TrainingPair.prepare(pair.name, pair.widefield, pair.confocal, percentiles) for pair in pairs]


def prepare_usable_pairs(
    pairs: Sequence[LoadedPair],
    percentiles: tuple[float, float],
    *,
    in_memory: bool = False,
    first: Sequence[str] = (),
    enough: Stop = never,
) -> tuple[list[TrainingPair], tuple[LeftOut, ...]]:
    """As :func:`prepare_pairs`, but pairs that show nothing (blank, saturated, not finite) are left out and returned.

    Parameters
    ----------
    pairs, percentiles : sequence of LoadedPair, tuple of float
        As for :func:`prepare_pairs`.
    in_memory : bool
        Whether their voxels are held in memory.
    first : sequence of str
        Names of pairs that are needed in any case.
    enough : callable
        Asked between pairs; when true, the rest is not read. What is read then are pairs at random.

    Raises
    ------
    InputError
        As :func:`prepare_pairs`, or if no pair is left.
    """
    from napari_deep3d.nn.patches import TrainingPair

    _check_names(pairs)
    usable, faults = dict[str, TrainingPair](), dict[str, NoImageError]()
    order = sorted(np.random.default_rng(0).permutation(len(pairs)), key=lambda index: pairs[index].name not in first)
    for number, index in enumerate(order):
        if number > len(first) and usable.keys() - set(first) and enough():
            break
        pair = hold_in_memory([pairs[index]], np.inf if in_memory else 0)[0]
        try:
            usable[pair.name] = TrainingPair.prepare(pair.name, pair.widefield, pair.confocal, percentiles)
        except NoImageError as error:
            faults[pair.name] = error
    names = [pair.name for pair in pairs]
    left_out = tuple(LeftOut(name, faults[name].fault) for name in names if name in faults)
    if not usable and left_out:
        first_fault = faults[left_out[0].name]
        if len(pairs) == 1:
            raise first_fault
        raise InputError(f"none of the {len(pairs)} pairs can be trained on: {first_fault}")
    return [usable[name] for name in names if name in usable], left_out


def _check_names(pairs: Sequence[LoadedPair]) -> None:
    twice = sorted({pair.name for pair in pairs if [other.name for other in pairs].count(pair.name) > 1})
    if twice:
        raise InputError(f"several pairs are called {', '.join(twice)}; names must differ. Rename them.")
    for pair in pairs:
        if not pair.name or Path(pair.name).name != pair.name or pair.name.startswith("."):
            raise InputError(f"a pair is called {pair.name!r}, which cannot be the name of a file. Rename it.")


def notices_of(pairs: Sequence[TrainingPair]) -> list[str]:
    """What of pairs is no image, for the user: one sentence, about the first of several."""
    notices = [pair.notice for pair in pairs if pair.notice]
    if len(notices) > 1:
        return [f"{notices[0]} So it is with {len(notices) - 1} more of the {len(pairs)} pairs."]
    return notices
