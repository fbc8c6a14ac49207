"""Predict the stacks of a folder, one after the other; one that fails stops no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

from pydantic import JsonValue

from napari_deep3d.core import (
    BatchRow,
    Clock,
    Event,
    InputError,
    Job,
    Notice,
    PredictConfig,
    Progress,
    RowState,
    Stop,
    StoppedError,
    mapped,
    never,
)
from napari_deep3d.io import check_folder, readable
from napari_deep3d.jobs.predict.file import FilePrediction, predict_file
from napari_deep3d.jobs.predict.folder_items import ALL, Item, ResultSuffix, Wanted, fault_of, find_items
from napari_deep3d.jobs.predict.folder_record import TABLE, Made, Record, Source, settings_of, write_table

OVERWRITE_HINT = "Allow it with --overwrite to make them anew."
REPORTED: tuple[RowState, ...] = ("done", "skipped", "outdated", "failed")
CLUSTER_SUFFIX: ResultSuffix = ".ome.zarr"
NOTHING_KEPT = "ended before anything of it was finished"
STACK_ENDINGS = (".tif", ".tiff", ".zarr")
"""Of an output that is one stack, not a folder of them."""


@dataclass(frozen=True)
class PredictedFolder:
    """The predictions of a folder.

    Attributes
    ----------
    output, table : Path
        The folder with the results, and the table in it.
    rows : tuple of BatchRow
        How each of the stacks stands, by the names of the files.
    left_out : int
        Number of time points of the results that show nothing and are 0.
    seconds : float
        Time taken.
    complete : bool
        Whether it was not stopped before its end.
    """

    output: Path
    table: Path
    rows: tuple[BatchRow, ...]
    left_out: int
    seconds: float
    complete: bool

    def count(self, state: RowState) -> int:
        """Number of stacks of a state."""
        return sum(row.state == state for row in self.rows)

    @property
    def not_done(self) -> int:
        """Number of stacks and time points that were asked for, and of which there is no result, or another one."""
        return self.count("failed") + self.count("outdated") + self.left_out

    def report(self) -> dict[str, object]:
        """Plain values for JSON."""
        counts = Counter(row.state for row in self.rows)
        rows = [asdict(row) for row in self.rows]
        return {
            "output": str(self.output),
            "table": str(self.table),
            "stacks": len(self.rows),
            **{state: counts[state] for state in REPORTED},
            "time_points_left_out": self.left_out,
            "seconds": round(self.seconds, 2),
            "complete": self.complete,
            "summary": [{name: value for name, value in row.items() if name != "number"} for row in rows],
        }

    def lines(self) -> dict[str, object]:
        """A line for each stack, and how many there are of each state; for people."""
        told: dict[str, object] = {}
        for row in self.rows:
            time = "" if row.seconds is None else f" in {row.seconds:.3g} s"
            told[f"{row.file} {row.image}".strip()] = f"{row.state}{time}{': ' if row.reason else ''}{row.reason}"
        return told | {"output": str(self.output), "table": str(self.table), "stacks": self.in_words()}

    def in_words(self) -> str:
        """How many stacks there are of each state: ``17 done, 3 failed``."""
        counts = Counter(row.state for row in self.rows)
        return ", ".join(f"{counts[state]} {state}" for state in (*REPORTED, "stopped", "waiting") if counts[state])


def predict_folder(
    folder: str | Path,
    output: str | Path,
    config: PredictConfig,
    wanted: Wanted = ALL,
    *,
    suffix: ResultSuffix = ".ome.tif",
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[PredictedFolder]:
    """Predict every stack of a folder into another folder.

    Each channel of each position of each file becomes a file ``NAME.ome.tif``, with ``_pos0`` and ``_c0`` behind the
    name of the input where that holds several; with all time points, or one and ``_t0``. Beside the results lies the
    table ``predictions.csv``.

    What is there already is not made again: it is left alone if input and settings are the same, and else too, unless
    ``overwrite`` is true.

    Parameters
    ----------
    folder, output : str or Path
        Folder of the stacks, and that for the results, which is made.
    config : PredictConfig
        How to predict all of them.
    wanted : Wanted
        What of each file.
    suffix : str
        ``.ome.tif`` or ``.ome.zarr``.
    overwrite : bool
        Whether results may be replaced that were made from another input or with other settings.
    stop : callable
        Asked all the time. What is finished is kept, of the stack under way too.

    Yields
    ------
    BatchRow, Progress, Notice, TileDone

    Raises
    ------
    InputError
        If the folders, model or device cannot be used, or the table cannot be written at the end.
    StoppedError
        If it was stopped before the files were looked at.
    """
    source, target = Path(folder), Path(output)
    _check_folders(source, target)
    if suffix not in get_args(ResultSuffix):
        raise InputError(f"suffix is {suffix!r}; {' and '.join(get_args(ResultSuffix))} are allowed. Give one of them.")
    if config.scheduler is not None and suffix != CLUSTER_SUFFIX:
        raise InputError(
            f"the workers of {config.scheduler} cannot write {suffix}: several computers write only OME-Zarr together. "
            "Choose OME-Zarr for the results (--format zarr), or leave the cluster out."
        )
    clock, settings = Clock(), settings_of(config, wanted)
    # 1. What there is to do.
    items = yield from find_items(source, target, wanted, config, suffix, stop)
    batch = _Batch(target, items)
    yield from batch.judge(settings, overwrite)
    if batch.waiting:
        _check_device(config)
    check_folder(target, overwrite=True)
    # 2. Do it, one after the other.
    yield from batch.predict(config, wanted.axes, overwrite, stop)
    return batch.finish(clock.seconds)


def is_folder_of_stacks(stack: Path, output: Path) -> bool:
    """Whether the stacks of a folder are to be predicted into a folder: neither is named as a stack."""
    return stack.is_dir() and stack.suffix.lower() != ".zarr" and output.suffix.lower() not in STACK_ENDINGS


def _check_folders(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise InputError(f"{source} is no folder. Give a folder of stacks.")
    if target.suffix.lower() in STACK_ENDINGS:
        raise InputError(
            f"{target} is named as a stack, but {source} is a folder of stacks: a folder for their results is needed. "
            "Give a name without this ending."
        )
    if target.resolve() == source.resolve():
        raise InputError(f"{target} holds the stacks themselves; the results need a folder of their own.")


def _check_device(config: PredictConfig) -> None:
    from napari_deep3d.nn.devices import choose_device, choose_precision

    choose_precision(choose_device(config.device), config.precision)


class _Batch:
    """The stacks of a batch and how each stands, in the same order, and what the folder of the results notes."""

    def __init__(self, folder: Path, items: Sequence[Item]) -> None:
        self._folder, self._items, self._record = folder, items, Record.read(folder)
        self._sources = dict[int, Source]()
        self._rows = [
            BatchRow(number, readable(item.path.name), item.image, output=item.targets[0].name if item.targets else "")
            for number, item in enumerate(items)
        ]
        self._is_noted = True

    @property
    def waiting(self) -> list[int]:
        """Which are to be predicted."""
        return [row.number for row in self._rows if row.state == "waiting"]

    def judge(self, settings: Mapping[str, JsonValue], overwrite: bool) -> Job[None]:
        """Tell which are to be predicted, which are there already, and which cannot be."""
        for item, row in zip(self._items, self._rows, strict=True):
            if item.is_part:
                yield self._change(row.number, state="skipped", reason=item.problem, output="")
                continue
            if item.problem:
                yield from self._failed(row.number, item.problem)
                continue
            try:
                source = self._sources[row.number] = Source.of(item, settings)
            except OSError as error:
                yield from self._failed(row.number, fault_of(error, item.path))
                continue
            judged = self._record.judge(item, row, source)
            if judged.state == "outdated" and overwrite:
                judged = row
            yield self._change(row.number, state=judged.state, reason=judged.reason)
        outdated = sum(row.state == "outdated" for row in self._rows)
        if outdated:
            yield Notice(f"{outdated} results are outdated, and kept. {OVERWRITE_HINT}")

    def predict(self, config: PredictConfig, axes: str | None, overwrite: bool, stop: Stop) -> Job[None]:
        """Predict those that wait, until ``stop`` is true."""
        waiting, clock, done = self.waiting, Clock(), 0
        left = sum(self._items[number].voxels for number in waiting)
        for place, number in enumerate(waiting):
            if stop():
                return
            item, where, own = self._items[number], f"stack {place + 1} of {len(waiting)}", Clock()
            left -= item.voxels
            yield self._change(number, state="running")
            job = predict_file(
                item.path,
                item.targets[0],
                config,
                channel=item.channel,
                time=item.time,
                position=item.position,
                axes=axes,
                overwrite=overwrite,
                stop=stop,
            )
            tell = partial(
                _as_part, clock=clock, done=done, own=item.voxels, left=left, where=where, file=self._rows[number].file
            )
            try:
                made = yield from mapped(job, tell)
            except StoppedError:
                yield self._change(number, state="stopped", reason=NOTHING_KEPT)
                return
            except Exception as error:  # whatever a file makes of it, the others go on
                yield from self._failed(number, fault_of(error, item.path))
                continue
            if not made.prediction.complete:
                yield self._keep_part(number, made)
                return
            done += item.voxels
            yield self._keep(number, made, own.seconds)
            yield from self._note_so_far()

    def finish(self, seconds: float) -> PredictedFolder:
        """Write the table, and return what there is; InputError if it cannot be written."""
        self._note()
        results = [row.output for row in self._rows if row.state in ("done", "skipped")]
        return PredictedFolder(
            self._folder,
            self._folder / TABLE,
            tuple(self._rows),
            sum(made.left_out for name, made in self._record.made.items() if name in results),
            seconds,
            complete=not any(row.state in ("waiting", "running", "stopped") for row in self._rows),
        )

    def _change(self, number: int, **values: Any) -> BatchRow:
        row = self._rows[number] = replace(self._rows[number], **values)
        return row

    def _failed(self, number: int, fault: str) -> Job[None]:
        row = self._change(number, state="failed", reason=fault, output="")
        yield row
        yield Notice(f"{row.file}{row.image and f' ({row.image})'}: {fault}")

    def _keep(self, number: int, made: FilePrediction, seconds: float) -> BatchRow:
        """Note a result that is whole."""
        row, prediction = self._rows[number], made.prediction
        note = Made(
            file=row.file,
            image=row.image,
            output=row.output,
            source=self._sources[number],
            seconds=round(seconds, 2),
            note=" ".join(prediction.notices),
            left_out=len(prediction.skipped),
        )
        self._record.note(note, self._folder)
        return self._change(number, state="done", reason=note.note, seconds=note.seconds)

    def _keep_part(self, number: int, made: FilePrediction) -> BatchRow:
        """Note the part of a result that was finished when it was stopped."""
        files = [path for path in (made.output, made.uncertainty) if path is not None]
        names = [path.name for path in files]
        self._record.parts.setdefault(self._rows[number].output, []).extend(names)
        return self._change(number, state="stopped", reason=f"the finished part is kept as {' and '.join(names)}")

    def _note(self) -> None:
        """Write what there is to note, where something is new: a run that finds nothing to do touches nothing."""
        if self._record.made or self._record.parts:
            self._record.write(self._folder)
        write_table(self._folder, map(self._record.as_it_is, self._rows))

    def _note_so_far(self) -> Job[None]:
        """The same while others wait: what cannot be written now may be at the end."""
        try:
            self._note()
        except InputError as error:
            if self._is_noted:
                yield Notice(str(error))
            self._is_noted = False


def _as_part(event: Event, clock: Clock, done: int, own: int, left: int, where: str, file: str) -> Event:
    """An event of one stack as one of all: its progress is a share of theirs, by numbers of voxels."""
    if isinstance(event, Progress):
        return clock.progress(done + event.fraction * own, done + own + left, f"{where}: {event.message}")
    if isinstance(event, Notice):
        return Notice(f"{file}: {event.message}")
    return event
