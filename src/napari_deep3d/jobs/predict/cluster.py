"""Predict on the computers of a cluster, through dask: the side that asks for it, waits, and tells.

The connection to the workers is :mod:`~napari_deep3d.jobs.predict.cluster_workers`, what they run
:mod:`~napari_deep3d.jobs.predict.cluster_tasks`.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from math import ceil, sqrt
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from napari_deep3d.core import (
    Box,
    BoxWritten,
    Clock,
    Event,
    InputError,
    Job,
    NoImageError,
    Notice,
    PredictConfig,
    Progress,
    Stop,
    StoppedError,
    Volume,
    reason,
)
from napari_deep3d.io import FileChoice, StackFacts, StackInFile, StackWriter, open_stack, save_stack
from napari_deep3d.io.pyramid import Pyramid
from napari_deep3d.jobs.models.store import SUFFIX, find_model, model_sha256
from napari_deep3d.jobs.predict import cluster_tasks as tasks
from napari_deep3d.jobs.predict.cluster_plan import ClusterPlan
from napari_deep3d.jobs.predict.cluster_tasks import Lease, Work, boxes
from napari_deep3d.jobs.predict.cluster_workers import ForgottenError, Workers
from napari_deep3d.jobs.predict.network_input import Prepared
from napari_deep3d.jobs.predict.predict import Prediction, described
from napari_deep3d.jobs.predict.series import PreparedSeries, combined, series_of
from napari_deep3d.jobs.predict.unfinished import MAKE_ROOM, Unfinished, WrittenBox

if TYPE_CHECKING:
    from distributed import Future

MOST_TASKS = 2000
"""Tiles are predicted several at a time where there are more: a scheduler gets slow with very many tasks."""
MOST_ATTEMPTS = 5
"""So often what is missing is handed in: a scheduler that was not reached for a moment forgets what it was given."""
TOLD_SECONDS = 1.0
"""Between two looks at the workers and the files, and two notes of what is finished."""


@contextmanager
def open_cluster(address: str, unfinished: Unfinished) -> Iterator[Cluster]:
    """Connect to the scheduler of a cluster, for a prediction that nobody else works at meanwhile.

    InputError if the library is missing, or there is no scheduler.
    """
    with unfinished.held(), unfinished.shared_folder() as folder:
        lease = Lease(_absolute(folder / "lease"), uuid.uuid4().hex)
        lease.path.write_text(lease.text, encoding="utf-8")
        workers = Workers.connect(address)
        try:
            yield Cluster(workers, lease)
        finally:
            lease.path.unlink(missing_ok=True)  # first, so that workers stop
            workers.close()


@dataclass
class _Step:
    """A task that is waited for."""

    time: int
    tiles: int = 0
    level: int = 0
    number: int = 0
    box: Box | None = None


class _Run:
    """A prediction under way: what is finished of it, and what the user was told, by time point."""

    def __init__(self, unfinished: Unfinished, notices: dict[int, list[str]]) -> None:
        self.notices, self.plans, self.total, self.clock = notices, dict[int, ClusterPlan](), 0, Clock()
        self._unfinished, self._done = unfinished, 0
        # What was finished since it was noted last.
        self._tiles, self._boxes = Counter[int](), defaultdict[int, dict[str, WrittenBox]](dict)
        self._unneeded: list[Path] = []

    def begin(self, plans: dict[int, ClusterPlan], tiles: int) -> None:
        """So many tiles are missing."""
        self.plans, self.total, self._done = plans, tiles, 0

    def take(self, step: _Step, found: Any) -> Iterator[Event]:
        """Take in what a task gave: figures of a box, or sentences for the user."""
        self._done += step.tiles
        self._tiles[step.time] += step.tiles
        if step.box is None:
            for notice in found:
                if notice not in self.notices[step.time]:
                    self.notices[step.time].append(notice)
                    yield Notice(notice)
            return
        self._boxes[step.time][f"{step.level}/{step.number}"] = found
        if step.level == 0:
            self._unneeded += self.plans[step.time].tiles_within(step.number)
            yield BoxWritten(step.box, found.brightest)

    def note(self) -> None:
        """Note what is finished; then tiles that are in the files are not needed any more."""
        if self._tiles or self._boxes:
            self._unfinished.note_parts(self._tiles, self._boxes)
        for path in self._unneeded:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._tiles.clear()
        self._boxes.clear()
        self._unneeded.clear()

    def tell(self, workers: int) -> Iterator[Progress]:
        """How far it is, once a tile is finished."""
        if self.total and self._done:
            begun = self._unfinished.tiles_done - self._done
            where = f"tile {begun + self._done} of {begun + self.total}"
            yield self.clock.progress(self._done, self.total, f"{where}, {workers} worker{'s' * (workers != 1)}")


class Cluster:
    """Workers that predict; made by :func:`open_cluster`.

    Parameters
    ----------
    workers : Workers
        Those of a scheduler.
    lease : Lease
        By which workers know that they are wanted; it lies in a folder for what they need.
    """

    def __init__(self, workers: Workers, lease: Lease) -> None:
        self._workers, self._lease = workers, lease
        self._folder = lease.path.parent
        self._count = 0

    # Preparing

    def prepare(self, volumes: Sequence[Volume], config: PredictConfig, stop: Stop) -> Job[PreparedSeries]:
        """Have workers prepare stacks; otherwise as :func:`~napari_deep3d.jobs.predict.series.prepare_series`."""
        yield Progress(0, 1, "asking the workers")
        stacks: list[Volume] = []
        for index, volume in enumerate(volumes):
            stacks.append((yield from self._in_file(volume, index, stop)))
        yield from self._workers.wait_for_one(stop)
        data = stacks[0].data
        assert isinstance(data, StackInFile)
        device, precision = self._workers.meet(data.choice.path, self._lease, config)
        settings = config.changed(
            scheduler=None, model=str(self._copy_model(config.model)), device=device, precision=precision
        )
        pending = {
            self._workers.submit(tasks.prepare_stack, stack, settings, self._lease): time
            for time, stack in enumerate(stacks)
        }
        usable, faults, done, last = dict[int, Prepared](), dict[int, NoImageError](), 0, 0.0
        for item in self._workers.finished(pending, stop):
            if monotonic() - last >= TOLD_SECONDS:
                last = monotonic()
                yield Progress(done, len(stacks), "reading the stack")
            if item is None:
                continue
            time, prepared = item
            done += 1
            if isinstance(prepared, NoImageError):
                faults[time] = prepared
            else:
                usable[time] = replace(prepared, volume=replace(prepared.volume, origin_um=volumes[time].origin_um))
        ordered = {time: usable[time] for time in sorted(usable)}
        return series_of(volumes, ordered, dict(sorted(faults.items())))

    def _in_file(self, volume: Volume, index: int, stop: Stop) -> Job[Volume]:
        """The stack as one that workers can open; a layer's is copied for them."""
        if isinstance(volume.data, StackInFile):
            return volume
        path = self._folder / f"input-{index}.zarr"
        facts = StackFacts("ZYX", volume.spacing_um or (1.0, 1.0, 1.0))
        yield from save_stack(path, volume.data, facts, stop=stop)
        dtype = open_stack(path).data.dtype
        return replace(volume, data=StackInFile(FileChoice(path), volume.shape, dtype))

    def _copy_model(self, name: str) -> Path:
        """A copy of the model where workers see it, named after what is in it."""
        source = find_model(name)
        copy = self._folder / f"model-{model_sha256(name)[:16]}{SUFFIX}"
        try:
            shutil.copyfile(source, copy)
        except OSError as error:
            raise InputError(f"cannot write {copy}: {reason(error)}. {MAKE_ROOM}") from None
        return copy

    # Predicting

    def predict(
        self, series: PreparedSeries, files: Sequence[StackWriter], unfinished: Unfinished, stop: Stop
    ) -> Job[Prediction]:
        """Have workers predict stacks into files; as :func:`~napari_deep3d.jobs.predict.series.predict_series`."""
        for skipped in series.skipped:
            yield Notice(skipped.notice)
        run = _Run(unfinished, {time: list(prepared.notices) for time, prepared in series.usable.items()})
        for notice in dict.fromkeys(chain.from_iterable(run.notices.values())):
            yield Notice(notice)
        is_stopped = False
        for attempt in range(1, MOST_ATTEMPTS + 1):
            try:
                yield from self._attempt(run, series, files, unfinished, stop)
                break
            except StoppedError:
                is_stopped = True
                break
            except ForgottenError:
                if attempt == MOST_ATTEMPTS:
                    raise
        unfinished.check_there()
        seconds = run.clock.seconds / len(series.usable)
        parts = {
            time: described(
                prepared, _summary(prepared, unfinished, time, is_stopped), tuple(run.notices[time]), seconds
            )
            for time, prepared in series.usable.items()
        }
        return combined(parts, series)

    def _attempt(
        self, run: _Run, series: PreparedSeries, files: Sequence[StackWriter], unfinished: Unfinished, stop: Stop
    ) -> Job[None]:
        """Hand in what is missing, and wait for it."""
        pending: dict[Future, _Step] = {}
        try:
            plans = self._submit_all(series, files, unfinished, pending)
            run.begin(plans, sum(step.tiles for step in pending.values()))
            self._count = self._workers.count()
            yield run.clock.progress(0, 1, "measuring the stack")
            last = monotonic()
            for item in self._workers.finished(pending, stop):
                if item is not None:
                    yield from run.take(*item)
                if monotonic() - last >= TOLD_SECONDS:
                    last = monotonic()
                    run.note()
                    unfinished.check_there()
                    yield from self._tell_of_workers()
                    yield from run.tell(self._count)
            yield from self._tell_of_workers()
        finally:
            self._workers.cancel(list(pending))
            run.note()
            for time, plan in run.plans.items():  # with tiles that were finished, and not looked at
                unfinished.set_tiles(time, plan.tiles_done)

    def _tell_of_workers(self) -> Iterator[Notice]:
        before, self._count = self._count, self._workers.count()
        if self._count < before:
            yield Notice(
                f"A worker was lost, {self._count} {'is' if self._count == 1 else 'are'} left; what it was at is "
                "computed again."
            )

    def _submit_all(
        self,
        series: PreparedSeries,
        files: Sequence[StackWriter],
        unfinished: Unfinished,
        pending: dict[Future, _Step],
    ) -> dict[int, ClusterPlan]:
        """Hand in what is missing of all time points."""
        plans = dict[int, ClusterPlan]()
        pyramid = files[0].data
        assert isinstance(pyramid, Pyramid)  # only OME-Zarr is written by workers
        shapes = [pyramid.level_shape(level)[-3:] for level in range(pyramid.n_levels)]
        paths = tuple(_absolute(path) for path in unfinished.paths)
        for time, prepared in series.usable.items():
            at = time if len(pyramid.shape) == 4 else None
            work = Work(prepared, _absolute(unfinished.tiles_folder) / str(time), paths, at, self._lease)
            plans[time] = ClusterPlan(work, shapes, set(unfinished.written(time)))
        together = ceil(sum(len(plan.missing) for plan in plans.values()) / MOST_TASKS)
        for time, plan in plans.items():
            unfinished.set_tiles(time, plan.tiles_done)
            self._submit_stack(time, plan, together, pending)
        return plans

    def _submit_stack(self, time: int, plan: ClusterPlan, together: int, pending: dict[Future, _Step]) -> None:
        shared = self._workers.submit(tasks.given, plan.work)
        ready: dict[int, Future] = {}
        if plan.missing:
            measured = self._workers.submit(tasks.measure, shared)
            pending[measured] = _Step(time)
            for start in range(0, len(plan.missing), together):
                numbers = plan.missing[start : start + together]
                future = self._workers.submit(tasks.predict_tiles, shared, numbers, measured)
                pending[future] = _Step(time, tiles=len(numbers))
                ready |= dict.fromkeys(numbers, future)
        finer: dict[int, Future] = {}
        for level, shape in enumerate(plan.shapes):
            written: dict[int, Future] = {}
            for number, box in enumerate(boxes(shape)):
                if f"{level}/{number}" in plan.written:
                    continue
                sources = plan.tiles_of[number] if level == 0 else plan.finer_of(level, box)
                after = (
                    {ready[n] for n in sources if n in ready}
                    if level == 0
                    else {finer[n] for n in sources if n in finer}
                )
                future = self._workers.submit(tasks.write_box, shared, level, number, list(after), priority=1)
                pending[future] = _Step(time, level=level, number=number, box=box)
                written[number] = future
            finer = written


def _summary(prepared: Prepared, unfinished: Unfinished, time: int, is_stopped: bool) -> Any:
    from napari_deep3d.nn.inference import TilingSummary

    written = [box for name, box in unfinished.written(time).items() if name.startswith("0/")]
    sums, mismatch = tasks.summed(written), 0.0
    if sums.overlapping:
        deviation = sqrt(max(sums.squares / sums.voxels - (sums.total / sums.voxels) ** 2, 0.0))
        mismatch = sqrt(sums.squared_difference / sums.overlapping) / deviation if deviation else 0.0
    spread = sums.uncertainty / prepared.image_voxels if prepared.config.uncertainty else None
    return TilingSummary(unfinished.done(time), mismatch, spread, is_stopped)


def _absolute(path: Path) -> Path:
    """The path from the root, as it is called here: links are left alone, since workers may mount them otherwise."""
    return Path(os.path.abspath(path))  # noqa: PTH100
