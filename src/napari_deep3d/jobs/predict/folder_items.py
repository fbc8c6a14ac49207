"""What there is to predict in a folder: files, their positions, channels and time points."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Literal

from napari_deep3d.core import (
    InputError,
    Job,
    Notice,
    PredictConfig,
    Progress,
    Stop,
    StoppedError,
    is_out_of_memory,
    never,
    reason,
)
from napari_deep3d.io import STACK_SUFFIXES, FoundImage, StackFile, find_stacks, open_stack, stack_name
from napari_deep3d.jobs.pairs import stacks_in
from napari_deep3d.jobs.predict.file import Times, uncertainty_path

ResultSuffix = Literal[".ome.tif", ".ome.zarr"]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What of each file is predicted, counted from 0; None is all of it. ``axes`` are as of an opened stack."""

    channel: int | None = None
    time: Times = None
    position: int | None = None
    axes: str | None = None


ALL = Wanted()


@dataclass(frozen=True)
class Item:
    """One prediction of many: a channel of an image of a file, at one time point or all of them.

    Attributes
    ----------
    path : Path
        The file.
    image : str
        What of the file it is, in words; empty if it is all.
    channel, time, position : int, "all" or None
        The same for :func:`~napari_deep3d.jobs.predict.file.predict_file`.
    targets : tuple of Path
        Its results, first that of the prediction.
    files : tuple of Path
        The files that it is read from.
    voxels : int
        Number of voxels, those of all time points.
    problem, is_part : str, bool
        Why it cannot be predicted; or, if ``is_part``, need not, since it is a part of another item.
    """

    path: Path
    image: str = ""
    channel: int | None = None
    time: Times = None
    position: int | None = None
    targets: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()
    voxels: int = 0
    problem: str = ""
    is_part: bool = False


def find_items(
    folder: Path, output: Path, wanted: Wanted, config: PredictConfig, suffix: ResultSuffix, stop: Stop = never
) -> Job[list[Item]]:
    """List what is to be predicted, by the names of the files; no voxel is read.

    Parameters
    ----------
    folder, output : Path
        The stacks, and where their results go.
    wanted : Wanted
        What of each file.
    config : PredictConfig
        How to predict.
    suffix : str
        Ending of the results.
    stop : callable
        Asked between files.

    Raises
    ------
    InputError
        If there is no such folder, or no stack in it.
    StoppedError
        If it was stopped.
    """
    try:
        paths = stacks_in(folder)
        others = [path for path in set(folder.iterdir()) - set(paths) if path.is_file() and path.name[0] != "."]
    except OSError as error:
        raise InputError(f"cannot read the folder {folder}: {reason(error)}. Give a folder of stacks.") from None
    if not paths:
        raise InputError(f"{folder} holds no stack; files ending in {', '.join(STACK_SUFFIXES)} are needed.")
    finder, items = _Finder({path.resolve(): path for path in paths}, output, wanted, config, suffix), list[Item]()
    for number, path in enumerate(paths):
        if stop():
            raise StoppedError
        yield Progress(0, len(paths), f"looking at file {number + 1} of {len(paths)}")
        items += finder.items_of(path)
    if others:
        endings = sorted({path.suffix.lower() or path.name for path in others})
        plural = "s are" if len(others) > 1 else " is"
        yield Notice(f"{len(others)} other file{plural} passed over ({', '.join(endings[:5])}).")
    return _told_apart(items)


@dataclass(frozen=True)
class _Finder:
    """Finds the items of one file after the other; ``paths`` are all of them, by where they lie on the disk."""

    paths: Mapping[Path, Path]
    output: Path
    wanted: Wanted
    config: PredictConfig
    suffix: str

    def items_of(self, path: Path) -> list[Item]:
        """The items of a file; one with a problem, if it cannot be read."""
        try:
            found = find_stacks(path, self.wanted.axes)
            if self.wanted.position is not None:
                open_stack(path, self.wanted.position, self.wanted.axes)  # says what there is, if it has no such
        except Exception as error:  # whatever a file makes of a reader, the others go on
            return [Item(path, problem=fault_of(error, path))]
        chosen = range(len(found)) if self.wanted.position is None else [self.wanted.position]
        return [item for index in chosen for item in self._items_of_image(path, found, index)]

    def _items_of_image(self, path: Path, found: Sequence[FoundImage], index: int) -> Iterator[Item]:
        image, words, name = found[index], list[str](), stack_name(path)
        if len(found) > 1:
            words.append(_numbered("position", index, image.name))
            name += f"_pos{index}"
        whole = Item(path, ", ".join(words), position=index, files=image.files or (path,))
        own = [self.paths[place] for place in map(Path.resolve, image.files) if place in self.paths]
        first = min(own, default=path)
        if first != path:
            problem = f"a part of {first.name}, and predicted with it"
            yield replace(whole, problem=problem, is_part=True)
            return
        try:
            stack = image.open()
        except Exception as error:
            yield replace(whole, problem=fault_of(error, path))
            return
        channels = range(stack.n_channels) if self.wanted.channel is None else [self.wanted.channel]
        for channel in channels:
            yield self._item_of_channel(stack, replace(whole, channel=channel), words, name)

    def _item_of_channel(self, stack: StackFile, item: Item, words: Sequence[str], name: str) -> Item:
        """One channel of an opened image, with the name of its result."""
        wanted, channel, words = self.wanted.time, item.channel or 0, list(words)
        time: Times = wanted if isinstance(wanted, int) else "all" if stack.n_times > 1 else None
        if stack.n_channels > 1:
            words.append(_numbered("channel", channel, dict(enumerate(stack.channel_names)).get(channel, "")))
            name += f"_c{channel}"
        if stack.n_times > 1:
            words.append(f"{stack.n_times} time points" if time == "all" else f"time point {time}")
            name += "" if time == "all" else f"_t{time}"
        target = self.output / f"{name}{self.suffix}"
        targets = (target, uncertainty_path(target)) if self.config.uncertainty else (target,)
        item = replace(item, image=", ".join(words), time=time, targets=targets)
        try:
            volume = stack.volume(channel, 0 if time == "all" else time)
            if self.config.spacing_um is None:
                volume.require_spacing_um()
        except Exception as error:
            return replace(item, problem=fault_of(error, item.path))
        return replace(item, voxels=prod(volume.shape) * (stack.n_times if time == "all" else 1))


def _numbered(what: str, number: int, name: str) -> str:
    return f"{what} {number} ({name})" if name else f"{what} {number}"


def _told_apart(items: Sequence[Item]) -> list[Item]:
    """The items, of which none may go on whose result would have the name of another one's."""
    names = Counter(target.name.casefold() for item in items for target in item.targets)
    told = []
    for item in items:
        twice = next((target.name for target in item.targets if names[target.name.casefold()] > 1), "")
        if twice and not item.problem:
            problem = f"another file of the folder gives a result of the same name, {twice}. Rename one of the files"
            item = replace(item, problem=f"{problem}, or move it elsewhere.")
        told.append(item)
    return told


def fault_of(error: Exception, path: Path) -> str:
    """Why a file could not be predicted, for a table that names it already; a fault of the program is logged, too."""
    if isinstance(error, InputError):
        text = str(error)
    elif is_out_of_memory(error):
        text = "the computer ran out of memory. Close other programs, allow less memory, or crop the stack."
    elif isinstance(error, OSError):
        text = f"cannot be read or written: {reason(error)}. Check the disk, and that you may read and write there."
    else:
        log.error("%s could not be predicted", path, exc_info=error)
        text = f"an unexpected error ({type(error).__name__}: {reason(error)}). Please report it."
    return text.replace(str(path), path.name)
