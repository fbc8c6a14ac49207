"""Make a folder of simulated wide-field/confocal pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core.config import SimulateConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Clock, Job, Stop, never
from napari_deep3d.core.simulation import Pair, simulate_pair
from napari_deep3d.core.volume import Shape
from napari_deep3d.io import open_stack, write_stack

WIDEFIELD, CONFOCAL = "widefield", "confocal"
"""The two folders of a pairs folder; files of the same name belong together."""


@dataclass(frozen=True)
class Simulated:
    """A pairs folder that was written; ``pairs`` counts the finished ones."""

    output: Path
    pairs: int
    shape: Shape
    spacing_um: list[tuple[float, float, float]]
    seed: int


def simulate_pairs(
    output: str | Path,
    config: SimulateConfig,
    *,
    confocal_stacks: Sequence[str | Path] = (),
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[Simulated]:
    """Write simulated pairs to ``output/widefield`` and ``output/confocal``.

    Parameters
    ----------
    output
        The pairs folder; made if it is not there, refused if it holds files and ``overwrite`` is false.
    config
        Number, shape (Z, Y, X) and seed. Pair i depends on the seed and i alone.
    confocal_stacks
        Files of real confocal stacks to take samples from.
    stop
        Asked between pairs; the finished ones are kept.
    """
    stacks = [_read(path) for path in confocal_stacks]
    folder = check_folder(output, overwrite)
    clock, spacings = Clock(), []
    for index in range(config.pairs):
        if stop():
            break
        pair = simulate_pair((config.seed, index), config.shape, confocal_stacks=stacks)
        _write(folder, f"pair_{index:04d}.ome.tif", pair)
        spacings.append(pair.scene.spacing_um)
        yield clock.progress(index + 1, config.pairs, f"simulated pair {index + 1} of {config.pairs}")
    return Simulated(folder, len(spacings), config.shape, spacings, config.seed)


def check_folder(path: str | Path, overwrite: bool) -> Path:
    """Make the folder for an output, or say why it cannot be used."""
    folder = Path(path)
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; a folder for the output is needed. Give another name.")
        if folder.is_dir() and any(folder.iterdir()) and not overwrite:
            raise InputError(
                f"the folder {folder} already holds files; an empty or new folder is needed. Give another name, or "
                "say that it may be used (simulate --overwrite, train --resume)."
            )
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}. Give a folder that you may write to.") from None
    return folder


def _read(path: str | Path) -> NDArray[np.generic]:
    return np.asarray(open_stack(path).volume().data)


def _write(folder: Path, name: str, pair: Pair) -> None:
    for kind, data in ((WIDEFIELD, pair.widefield), (CONFOCAL, pair.confocal)):
        (folder / kind).mkdir(exist_ok=True)
        write_stack(
            folder / kind / name,
            data,
            pair.scene.spacing_um,
            channel_name=kind,
            overwrite=True,
            description={"simulated": pair.scene.description()},
        )
