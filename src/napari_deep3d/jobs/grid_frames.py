"""Pairs from frames taken through a grid: one file, or a folder of them, into the pairs folder that training reads."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from napari_deep3d.core import (
    Box,
    Clock,
    Event,
    FloatArray,
    GridFramesConfig,
    InputError,
    Job,
    Notice,
    Progress,
    Shape,
    Spacing,
    Stop,
    StoppedError,
    mapped,
    never,
    reason,
)
from napari_deep3d.core.structured_light import FramesReport, even_brightness, examine, section, wide_field
from napari_deep3d.io import StackWriter, stack_name
from napari_deep3d.jobs.grid_frames_layout import RawFrames, open_frames
from napari_deep3d.jobs.pairs import CONFOCAL, KINDS, WIDEFIELD, WRITTEN_SUFFIX, PairsFolder, stacks_in
from napari_deep3d.jobs.register import StackSource

EXAMINED_PLANES = 16
EXAMINED_SIDE = 512
"""The grid is looked for in at most so many planes, evenly spread, and in the middle of them, pixels Y and X."""


@dataclass(frozen=True)
class GridPair:
    """A pair made of raw frames and written to a pairs folder.

    Attributes
    ----------
    output, name : path, str
        The pairs folder, and the name of the pair in it, without an ending.
    shape, spacing_um : tuple
        Voxels and voxel size (Z, Y, X).
    layout : str
        How the frames lay in the file.
    found : FramesReport
        The grid, and what is left of it.
    seconds : float
        Time taken.
    """

    output: Path
    name: str
    shape: Shape
    spacing_um: Spacing
    layout: str
    found: FramesReport
    seconds: float

    def report(self) -> dict[str, object]:
        """Plain values to print."""
        place = {"output": str(self.output), "name": self.name, "shape": list(self.shape)}
        grid = {"spacing_um": list(self.spacing_um), "layout": self.layout} | self.found.values(self.spacing_um)
        return place | grid | {"seconds": self.seconds}

    def in_words(self) -> str:
        """The outcome as one line."""
        return (
            f"grid modulates {max(grid.modulation for grid in self.found.grids):.1%} of the light; stripes left: "
            f"wide-field {self.found.stripes_widefield:.1%}, sectioned {self.found.stripes_confocal:.1%}; "
            f"signal {self.found.signal_to_noise:.0f} times the noise"
        )


@dataclass(frozen=True)
class GridFolder:
    """Pairs made of the files of a folder.

    Attributes
    ----------
    output : path
        The pairs folder.
    pairs : tuple of GridPair
        Those that were written.
    problems : dict
        By the name of the file: why it gave no pair.
    complete : bool
        Whether it was not stopped before its end.
    """

    output: Path
    pairs: tuple[GridPair, ...]
    problems: dict[str, str]
    complete: bool

    def report(self) -> dict[str, object]:
        """Plain values for JSON."""
        rows = [pair.report() for pair in self.pairs]
        problems = {"failed": len(self.problems), "problems": self.problems}
        return {"output": str(self.output), "pairs": len(rows)} | problems | {"summary": rows}

    def lines(self) -> dict[str, object]:
        """A line a file, for people."""
        told = {pair.name: pair.in_words() for pair in self.pairs} | self.problems
        return told | {"output": str(self.output), "failed": len(self.problems)}


def pair_from_frames(
    source: StackSource,
    output: str | Path,
    config: GridFramesConfig,
    *,
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[GridPair]:
    """Make a pair of the raw frames in a file and add it to a pairs folder, both stacks or none.

    Writes ``widefield/NAME.ome.tif``, the mean of the frames, and ``confocal/NAME.ome.tif``, the optical section,
    float32 in the unit of the frames. NAME is that of the file, and of its position if one was chosen. No more than
    the frames of one plane, and of the planes that are examined at first, are in memory.

    Raises
    ------
    InputError
        If the file cannot be read or demodulated, or the pair is there already and ``overwrite`` is false.
    StoppedError
        If it was stopped; nothing is written then.
    """
    clock, folder = Clock(), PairsFolder(output)
    files = [folder.file(kind, source.name + WRITTEN_SUFFIX) for kind in KINDS]
    there = next((path for path in files if path.exists()), None)
    if there and not overwrite:
        raise InputError(f"{there} exists and is not replaced. Give another folder, or allow it with --overwrite.")
    frames = open_frames(source, config)
    for notice in frames.notices:
        yield Notice(notice)
    found = yield from _examine(frames, config, stop)
    for notice in found.notices():
        yield Notice(notice)
    yield from _write(frames, files, found, config, overwrite, stop)
    return GridPair(folder.path, source.name, frames.shape, frames.spacing_um, frames.layout, found, clock.seconds)


def pairs_from_frames(
    source: StackSource,
    output: str | Path,
    config: GridFramesConfig,
    *,
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[GridFolder]:
    """Make a pair of every stack in a folder; one that cannot be used does not stop the rest.

    InputError if there is no stack in the folder, or two would be pairs of one name.
    """
    names = [path.name for path in stacks_in(source.path)]
    if not names:
        raise InputError(f"{source.path} holds no stack. Give the folder of the raw files.")
    called = [stack_name(Path(name)) for name in names]
    if len(set(called)) < len(called):
        twice = next(name for name in called if called.count(name) > 1)
        raise InputError(f"several files in {source.path} are called {twice}, with other endings. Rename them.")
    made, problems, complete = list[GridPair](), dict[str, str](), True
    for number, name in enumerate(names):
        where = f"stack {number + 1} of {len(names)}"
        job = pair_from_frames(source.within(name), output, config, overwrite=overwrite, stop=stop)
        try:
            made.append((yield from mapped(job, partial(_as_part, number=number, total=len(names), where=where))))
        except StoppedError:
            complete = False
            break
        except (InputError, OSError) as error:
            problems[name] = str(error)
            yield Notice(f"{where}, {name}: {error}")
    return GridFolder(Path(output), tuple(made), problems, complete)


def _as_part(event: Event, number: int, total: int, where: str) -> Event:
    """An event of one stack as one of all stacks: its progress is a share of theirs."""
    if isinstance(event, Progress):
        return Progress(number + event.fraction, total, f"{where}: {event.message}")
    return event


def _examine(frames: RawFrames, config: GridFramesConfig, stop: Stop) -> Job[FramesReport]:
    """Find the grid, and what is left of it, in some planes."""
    planes, *sides = frames.shape
    middle = Box.centred((1, EXAMINED_SIDE, EXAMINED_SIDE), (1, sides[0], sides[1]))
    chosen = np.unique(np.linspace(0, planes - 1, min(planes, EXAMINED_PLANES)).round().astype(int))
    read = list[FloatArray]()
    for z in chosen:
        if stop():
            raise StoppedError
        yield Progress(0, planes, "looking for the grid")
        read.append(frames.plane(int(z))[..., middle.y, middle.x])
    return examine(np.stack(read), frames.name, even=config.even_brightness)


def _write(
    frames: RawFrames, files: list[Path], found: FramesReport, config: GridFramesConfig, overwrite: bool, stop: Stop
) -> Job[None]:
    """Demodulate plane by plane into two files; what is new is removed if it is left before its end."""
    about = {"grid_frames": {"layout": frames.layout} | found.values(frames.spacing_um)}
    clock, planes = Clock(), frames.shape[0]
    with ExitStack() as on_failure:
        for path in files:
            _make_folder(path.parent, on_failure)
            if not path.exists():
                on_failure.callback(path.unlink, missing_ok=True)
        writers = [
            StackWriter(path, frames.shape, frames.spacing_um, frames.origin_um, kind, overwrite, about)
            for path, kind in zip(files, (WIDEFIELD, CONFOCAL), strict=True)
        ]
        with writers[0] as widefield, writers[1] as confocal:
            for z in range(planes):
                if stop():
                    raise StoppedError
                plane = frames.plane(z)
                if config.even_brightness:
                    plane = even_brightness(plane)
                widefield.data[z], confocal.data[z] = wide_field(plane), section(plane)
                yield clock.progress(z + 1, planes, f"plane {z + 1} of {planes}")
        on_failure.pop_all()


def _make_folder(folder: Path, on_failure: ExitStack) -> None:
    """Make a folder and those above it; they are to go again on failure, where nothing else lies in them."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {reason(error)}. Give a folder that you may write to.") from None
    for path in reversed(missing):
        on_failure.callback(_drop_folder, path)


def _drop_folder(path: Path) -> None:
    with suppress(OSError):
        path.rmdir()
