"""Reading a pairs folder: ``widefield/NAME`` and ``confocal/NAME``, same names, same shape, registered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_deep3d.core.errors import InputError
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.simulate import CONFOCAL, WIDEFIELD

if TYPE_CHECKING:
    from napari_deep3d.nn.patches import TrainingPair

SUFFIXES = (".tif", ".tiff", ".zarr")


def read_pairs(folder: str | Path, percentiles: tuple[float, float]) -> list[TrainingPair]:
    """Open every pair of a folder, voxels still on disk, sorted by name.

    Raises
    ------
    InputError
        If a folder is missing, a file has no partner, or a pair cannot be trained on.
    """
    from napari_deep3d.nn.patches import TrainingPair

    folder = Path(folder)
    names = {kind: _names(folder, kind) for kind in (WIDEFIELD, CONFOCAL)}
    alone = sorted(names[WIDEFIELD] ^ names[CONFOCAL])
    if alone:
        side = WIDEFIELD if alone[0] in names[WIDEFIELD] else CONFOCAL
        raise InputError(
            f"{len(alone)} of the files in {folder} have no partner, such as {side}/{alone[0]}; every file needs "
            "one of the same name in the other folder. Add or remove them."
        )
    return [
        TrainingPair.prepare(
            name,
            open_stack(folder / WIDEFIELD / name).volume(),
            open_stack(folder / CONFOCAL / name).volume(),
            percentiles,
        )
        for name in sorted(names[WIDEFIELD])
    ]


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
