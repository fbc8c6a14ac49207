"""Reading a pairs folder: ``widefield/NAME`` and ``confocal/NAME``, same names, same shape, registered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.types import Shape, Spacing
from napari_deep3d.core.volume import Volume, shape_of
from napari_deep3d.io import open_stack, write_stack
from napari_deep3d.jobs.simulate import CONFOCAL, WIDEFIELD

if TYPE_CHECKING:
    from napari_deep3d.nn.patches import TrainingPair

KINDS = (WIDEFIELD, CONFOCAL)
SUFFIXES = (".tif", ".tiff", ".zarr")
WRITTEN_SUFFIX = ".ome.tif"


@dataclass(frozen=True)
class LoadedPair:
    """A registered pair that is at hand, such as two layers: voxel on voxel, of the same shape."""

    name: str
    widefield: Volume
    confocal: Volume


@dataclass(frozen=True)
class PairFacts:
    """What a pair's files say without reading their voxels."""

    name: str
    shape: Shape
    spacing_um: Spacing | None


def list_pairs(folder: str | Path) -> list[PairFacts]:
    """List the pairs of a folder, sorted by name, without reading voxels.

    Raises
    ------
    InputError
        If a folder is missing, a file has no partner, or a file is no stack.
    """
    volumes = [(name, open_stack(Path(folder) / WIDEFIELD / name).volume()) for name in pair_names(folder)]
    return [PairFacts(name, shape_of(volume.data), volume.spacing_um) for name, volume in volumes]


def load_pairs(folder: str | Path) -> list[LoadedPair]:
    """Open every pair of a folder, voxels still on disk, sorted by name; errors as :func:`list_pairs`."""
    sides = [[open_stack(Path(folder) / kind / name).volume() for kind in KINDS] for name in pair_names(folder)]
    return [LoadedPair(name, *volumes) for name, volumes in zip(pair_names(folder), sides, strict=True)]


def hold_in_memory(pairs: Sequence[LoadedPair], limit_bytes: float) -> list[LoadedPair]:
    """Read pairs into memory if all of them together fit into a limit: random patches of packed files are slow."""
    volumes = [volume for pair in pairs for volume in (pair.widefield, pair.confocal)]
    needed = sum(float(np.prod(v.data.shape)) * np.dtype(v.data.dtype).itemsize for v in volumes)
    return [_held(pair) for pair in pairs] if needed <= limit_bytes else list(pairs)


def _held(pair: LoadedPair) -> LoadedPair:
    widefield, confocal = (replace(v, data=np.asarray(v.data[:, :, :])) for v in (pair.widefield, pair.confocal))
    return replace(pair, widefield=widefield, confocal=confocal)


def write_pairs(folder: Path, pairs: Sequence[LoadedPair]) -> None:
    """Write pairs as a pairs folder, ``NAME.ome.tif`` in each of its two folders, with the wide-field voxel size."""
    for pair in pairs:
        spacing = pair.widefield.require_spacing_um()
        for kind, volume in zip(KINDS, (pair.widefield, pair.confocal), strict=True):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            path = folder / kind / f"{pair.name}{WRITTEN_SUFFIX}"
            write_stack(path, np.asarray(volume.data[:, :, :]), spacing, channel_name=kind)


def prepare_pairs(pairs: Sequence[LoadedPair], percentiles: tuple[float, float]) -> list[TrainingPair]:
    """Check pairs and measure their intensities.

    Raises
    ------
    InputError
        If two have the same name or a name is no file's, or one cannot be trained on.
    """
    from napari_deep3d.nn.patches import TrainingPair

    twice = sorted({pair.name for pair in pairs if [other.name for other in pairs].count(pair.name) > 1})
    if twice:
        raise InputError(f"several pairs are called {', '.join(twice)}; names must differ. Rename them.")
    for pair in pairs:
        if not pair.name or Path(pair.name).name != pair.name or pair.name.startswith("."):
            raise InputError(f"a pair is called {pair.name!r}, which cannot be the name of a file. Rename it.")
    return [TrainingPair.prepare(pair.name, pair.widefield, pair.confocal, percentiles) for pair in pairs]


def read_pairs(folder: str | Path, percentiles: tuple[float, float]) -> list[TrainingPair]:
    """Open and check every pair of a folder, voxels still on disk, sorted by name.

    Raises
    ------
    InputError
        If a folder is missing, a file has no partner, or a pair cannot be trained on.
    """
    return prepare_pairs(load_pairs(folder), percentiles)


def pair_names(folder: str | Path) -> list[str]:
    """Names of the files that both folders of a pairs folder hold, sorted.

    Raises
    ------
    InputError
        If a folder is missing or empty, or a file has no partner.
    """
    folder = Path(folder)
    names = {kind: _names(folder, kind) for kind in KINDS}
    alone = sorted(names[WIDEFIELD] ^ names[CONFOCAL])
    if alone:
        side = WIDEFIELD if alone[0] in names[WIDEFIELD] else CONFOCAL
        raise InputError(
            f"{len(alone)} of the files in {folder} have no partner, such as {side}/{alone[0]}; every file needs "
            "one of the same name in the other folder. Add or remove them."
        )
    return sorted(names[WIDEFIELD])


def _names(folder: Path, kind: str) -> set[str]:
    side = folder / kind
    if not side.is_dir():
        raise InputError(
            f"{folder} is not a pairs folder: it has no folder {kind!r}. A folder with 'widefield' and 'confocal', "
            "holding stacks of the same names, is needed; 'simulate' writes one."
        )
    found = {path.name for path in side.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")}
    if not found:
        raise InputError(f"{side} holds no stack; files ending in {', '.join(SUFFIXES)} are needed.")
    return found
