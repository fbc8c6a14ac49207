"""What the workers of a cluster do for a prediction: few, large tasks, each of which can be done again.

A task gets the names of files and frozen settings, never voxels, and leaves what it made in a file. A tile is
computed into a file of its own; a box of the result is put together, in the order of the tiles, once all tiles that
reach into it are there, so that it is the same to the bit as one that was predicted by a single computer. Boxes are
made of whole chunks: no two workers ever write the same one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_deep3d.core import (
    Box,
    FloatArray,
    InputError,
    NoImageError,
    Notice,
    PredictConfig,
    Shape,
    StoppedError,
    Volume,
    drain,
    finish,
    keep_on_disk,
    reason,
    writing,
)
from napari_deep3d.core.tiling import Tile
from napari_deep3d.io.ome_zarr import CHUNK, reopen_ome_zarr
from napari_deep3d.io.pyramid import Pyramid
from napari_deep3d.jobs.predict.cost import FREE_SHARE
from napari_deep3d.jobs.predict.network_input import Prepared, prepare
from napari_deep3d.jobs.predict.predict import box_predictor, measure_stack, with_statistics
from napari_deep3d.jobs.predict.unfinished import MAKE_ROOM, WrittenBox

if TYPE_CHECKING:
    from napari_deep3d.nn.inference import BoxPredictor

BOX_SHAPE: Shape = (128 // CHUNK[0] * CHUNK[0], CHUNK[1], CHUNK[2])
"""Voxels of a box that one task writes, of whole chunks."""
PLANES_AT_ONCE = 16
"""Of a box, while it is put together."""
ASKED_SECONDS = 1.0
"""How often a worker looks whether its prediction is still wanted."""
_ALONE = Lock()
"""A worker computes one task at a time, with all of its threads."""
_opened: dict[Path, tuple[int, BoxPredictor]] = {}
"""The network that was used last, by the file of its statistics and the time that this was written."""


@dataclass(frozen=True)
class Lease:
    """A file that is there as long as a prediction is wanted: who does not find its own text in it stops."""

    path: Path
    text: str

    def is_over(self) -> bool:
        """Whether the prediction was stopped, has failed, or was begun anew."""
        try:
            return self.path.read_text(encoding="utf-8") != self.text
        except OSError:
            return True

    def stop(self) -> Callable[[], bool]:
        """The same, looked up once a second, as what a job asks all the time."""
        last, is_over = -np.inf, False

        def asked() -> bool:
            nonlocal last, is_over
            if time.monotonic() - last >= ASKED_SECONDS:
                last, is_over = time.monotonic(), self.is_over()
            return is_over

        return asked


@dataclass(frozen=True)
class Work:
    """A stack to predict on a cluster: all that its tasks share.

    Attributes
    ----------
    prepared : Prepared
        The stack, with its settings and its plan.
    folder : Path
        Where its tiles lie until they are in the result.
    files : tuple of Path
        The OME-Zarr folders that grow: of the prediction and, if it is asked for, the uncertainty.
    time : int or None
        Its index along the first axis of the files, where they have one.
    lease : Lease
        Whether it is still wanted.
    """

    prepared: Prepared
    folder: Path
    files: tuple[Path, ...]
    time: int | None
    lease: Lease

    @property
    def statistics(self) -> Path:
        """The file of the norm statistics of the stack."""
        return self.folder / "statistics.npz"

    def tile(self, number: int) -> Path:
        """The file of a tile, by its number in the plan; axes (Z, Y, X), or (2, Z, Y, X) with the uncertainty."""
        return self.folder / f"{number}.npy"

    def place(self, box: Box) -> tuple[slice, ...]:
        """A box (Z, Y, X) of any level within the files."""
        return tuple(box) if self.time is None else (slice(self.time, self.time + 1), *box)


def introduce(stack: Path | None, lease: Lease, device: str, precision: str) -> dict[str, str]:
    """What a worker says of itself, and what is in its way: version, device, precision, problem."""
    from napari_deep3d.nn.devices import choose_device, choose_precision

    found = {"version": version("napari-deep3d"), "device": "", "precision": "", "problem": ""}
    try:
        if stack is not None and not stack.exists():
            raise InputError(f"it does not see {stack}")
        if lease.is_over() or not os.access(lease.path.parent, os.W_OK):
            raise InputError(f"it does not see the folder {lease.path.parent.parent}, or may not write there")
        kind = choose_device(device)
        dtype = choose_precision(kind, precision)
        found |= {"device": kind.type, "precision": str(dtype).removeprefix("torch.")}
    except InputError as error:
        found["problem"] = str(error)
    return found


def given(work: Work) -> Work:
    """Hand the work on; other tasks take it from here, so that it is sent to each worker once."""
    return work


def prepare_stack(volume: Volume, config: PredictConfig, lease: Lease) -> Prepared | NoImageError:
    """Prepare a stack as :func:`~napari_deep3d.jobs.predict.network_input.prepare`, or say that it shows nothing."""
    limit = _memory_limit()
    if config.memory_bytes is None and limit and config.device == "cpu":
        config = config.changed(memory_bytes=max(128_000_000, int(limit * FREE_SHARE)))
    stop = lease.stop()
    with _alone():
        try:
            prepared = prepare(volume, config, stop)
        except NoImageError as error:
            return error
    if stop():
        raise StoppedError
    return prepared


def measure(work: Work) -> list[str]:
    """Measure the norm statistics of a stack, once for all workers; what the user should know of it."""
    notices: list[str] = []
    if not work.statistics.exists():
        with _alone():
            folded = drain(measure_stack(work.prepared, work.lease.stop()), lambda event: _keep(event, notices))
        with _whole(work.statistics) as part:
            folded.measured.write(part)
    return notices


def predict_tiles(work: Work, numbers: Sequence[int], _measured: object) -> list[str]:
    """Predict some tiles of a stack after it was measured; what the user should know of it."""
    wanted = set(numbers)
    with _alone():
        predictor = _predictor(work)
        for number, tile in enumerate(work.prepared.plan.layout):
            if number in wanted and not work.tile(number).exists():
                values = finish(predictor(tile.write), work.lease.stop())
                with _whole(work.tile(number)) as part, part.open("wb") as file:
                    np.save(file, values)
        notices, predictor.notices = list(predictor.notices), []
    return notices


def write_box(work: Work, level: int, number: int, _after: object) -> WrittenBox:
    """Write a box of a level of the files after all that it is made of is there."""
    if work.lease.is_over():
        raise StoppedError
    found = WrittenBox()
    try:
        files = [_reopened(path) for path in work.files]
        box = boxes(files[0].level_shape(level)[-3:])[number]
        if level:
            for file in files:
                file.average(level, work.place(box))
        else:
            found = _put_together(work, files, box)
        for file in files:
            file.flush_level(level, work.place(box))
    except OSError as error:
        raise InputError(f"cannot write {work.files[0]}: {reason(error)}. {MAKE_ROOM}") from error
    return found


def boxes(shape: Sequence[int]) -> list[Box]:
    """The boxes of whole chunks in which a level of ``shape`` (Z, Y, X) is written."""
    starts = product(*(range(0, size, step) for size, step in zip(shape, BOX_SHAPE, strict=True)))
    whole: Shape = (shape[0], shape[1], shape[2])
    return [Box.at(start, BOX_SHAPE).clipped(whole) for start in starts]


def overlap(a: Box, b: Box) -> Box | None:
    """The voxels that two boxes share; None if they share none."""
    start = [max(x.start, y.start) for x, y in zip(a, b, strict=True)]
    stop = [min(x.stop, y.stop) for x, y in zip(a, b, strict=True)]
    return Box.spanning(start, stop) if all(x < y for x, y in zip(start, stop, strict=True)) else None


def _put_together(work: Work, files: Sequence[Pyramid], box: Box) -> WrittenBox:
    """Add the tiles in the order of the plan, as a single computer does, a few planes at a time."""
    prepared, found = work.prepared, WrittenBox()
    offset = prepared.region.start
    tiles = [
        (tile, np.load(work.tile(number), mmap_mode="r"))
        for number, tile in enumerate(prepared.plan.layout)
        if overlap(tile.write.shifted(offset), box)
    ]
    for start in range(box.z.start, box.z.stop, PLANES_AT_ONCE):
        slab = box.with_axis(0, start, min(start + PLANES_AT_ONCE, box.z.stop))
        result = np.zeros((len(files), *slab.shape), np.float32)
        for tile, values in tiles:
            shared = overlap(tile.write.shifted(offset), slab)
            if shared is None:
                continue
            own = shared.shifted(-n for n in offset)
            part = _cut(values, tile, own) * tile.window_of(own)
            if prepared.no_data is not None:
                part = part * ~prepared.is_blank(own)
            result[(slice(None), *shared.relative_to(slab))] += part
        found = _added(found, _seams(tiles, slab.shifted(-n for n in offset)))
        figures = WrittenBox(
            uncertainty=float(result[1:].sum(dtype=np.float64)),
            brightest=float(np.percentile(result[0, :, ::4, ::4], 99.9)),
        )
        found = _added(found, figures)
        for file, voxels in zip(files, result, strict=True):
            file.put(work.place(slab), voxels if work.time is None else voxels[None])
    return found


def _cut(values: FloatArray, tile: Tile, box: Box) -> FloatArray:
    """A box of a tile, axes (1, Z, Y, X), or (2, Z, Y, X) with the uncertainty."""
    four = values if values.ndim == 4 else values[None]
    return np.asarray(four[(slice(None), *box.relative_to(tile.write))])


def _seams(tiles: Sequence[tuple[Tile, FloatArray]], slab: Box) -> WrittenBox:
    """What of the tile mismatch is found in a slab of the region: as :class:`~napari_deep3d.nn.inference.SeamMeter`."""
    found, by_index = WrittenBox(), {tile.index: (tile, values) for tile, values in tiles}
    for tile, values in tiles:
        core = overlap(tile.core, slab)
        if core is not None:
            exact = _cut(values, tile, core)[0].astype(np.float64)
            sums = WrittenBox(total=float(exact.sum()), squares=float((exact**2).sum()), voxels=exact.size)
            found = _added(found, sums)
        for axis in range(3):
            index = [n + (axis == a) for a, n in enumerate(tile.index)]
            beside = by_index.get((index[0], index[1], index[2]))
            both = None if beside is None else overlap(tile.write, beside[0].write)
            both = None if both is None else overlap(both, slab)
            if beside is not None and both is not None:
                difference = _cut(values, tile, both)[0].astype(np.float64) - _cut(beside[1], beside[0], both)[0]
                sums = WrittenBox(squared_difference=float((difference**2).sum()), overlapping=difference.size)
                found = _added(found, sums)
    return found


def _added(a: WrittenBox, b: WrittenBox) -> WrittenBox:
    sums = {name: getattr(a, name) + getattr(b, name) for name in WrittenBox.model_fields if name != "brightest"}
    return WrittenBox(**sums, brightest=max(a.brightest, b.brightest))


def summed(parts: Sequence[WrittenBox]) -> WrittenBox:
    """The figures of several boxes as those of all of them."""
    whole = WrittenBox()
    for part in parts:
        whole = _added(whole, part)
    return whole


def _keep(event: object, notices: list[str]) -> None:
    if isinstance(event, Notice):
        notices.append(event.message)


def _predictor(work: Work) -> BoxPredictor:
    """The network of a stack; the one that was used last is kept."""
    from napari_deep3d.nn.folded_network import Measured

    written = work.statistics.stat().st_mtime_ns
    known, predictor = _opened.get(work.statistics, (None, None))
    if predictor is None or known != written:
        _opened.clear()
        folded = with_statistics(work.prepared, Measured.read(work.statistics))
        predictor = box_predictor(folded, work.prepared)
        _opened[work.statistics] = written, predictor
    return predictor


def _reopened(path: Path) -> Pyramid:
    try:
        return reopen_ome_zarr(path)
    except Exception as error:  # zarr raises many kinds
        raise InputError(
            f"{path} cannot be written ({reason(error)}). If it was removed, begin again; else see that each worker "
            "sees it."
        ) from error


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Write a file of a task, in a folder that is made for it, so that a power cut cannot take it afterwards."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {reason(error)}. {MAKE_ROOM}") from None
    with writing(path, MAKE_ROOM) as part:
        yield part
        keep_on_disk(part)


@contextmanager
def _alone() -> Iterator[None]:
    """Compute with all threads that the worker has, one task at a time."""
    import torch

    worker = _worker()
    with _ALONE:
        if worker is not None:
            torch.set_num_threads(worker.state.nthreads)
        yield


def _memory_limit() -> float:
    """Bytes that the worker may use, as far as the computer has them free; 0 if nobody says."""
    worker = _worker()
    limit = None if worker is None else worker.memory_manager.memory_limit
    return min(limit, psutil.virtual_memory().available) if limit else 0


def _worker() -> Any:
    """The worker of dask that this runs in; None in any other program."""
    try:
        from distributed import get_worker

        return get_worker()
    except (ImportError, ValueError):
        return None
