"""Predict on the computers of a cluster, through dask: the side that asks for it, waits, and tells.

The workers' side is :mod:`~napari_deep3d.jobs.predict_cluster_tasks`.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import chain, product
from math import ceil, sqrt
from pathlib import Path
from time import monotonic, sleep
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
from napari_deep3d.jobs import predict_cluster_tasks as tasks
from napari_deep3d.jobs.models import SUFFIX, find_model, model_sha256
from napari_deep3d.jobs.predict import Prediction, described
from napari_deep3d.jobs.predict_cluster_tasks import Lease, Work, boxes
from napari_deep3d.jobs.predict_input import Prepared
from napari_deep3d.jobs.predict_series import PreparedSeries, combined, series_of
from napari_deep3d.jobs.predict_unfinished import MAKE_ROOM, Unfinished, WrittenBox

if TYPE_CHECKING:
    from distributed import Client, Future

INSTALL = 'pip install "napari-deep3d[cluster]"'
"""The line that installs what a cluster needs."""
CONNECT_SECONDS = 10
MOST_TASKS = 2000
"""Tiles are predicted several at a time where there are more: a scheduler gets slow with very many tasks."""
LOOK_SECONDS = 0.1
"""Between two looks at what is finished."""
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
        client = _connect(address)
        try:
            yield Cluster(address, client, lease)
        finally:
            lease.path.unlink(missing_ok=True)  # first, so that workers stop
            with suppress(Exception):  # the scheduler may be gone
                client.close(timeout=CONNECT_SECONDS)


def _connect(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(f"a cluster needs the library distributed: {INSTALL}") from error
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise InputError(
            f"no scheduler answers at {address} ({reason(error)}). Start one with: dask scheduler, and give the "
            "address that it tells."
        ) from None


class _ForgottenError(InputError):
    """A scheduler that still answers has forgotten a task."""


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
        self.notices, self.plans, self.total, self.clock = notices, dict[int, _Plan](), 0, Clock()
        self._unfinished, self._done = unfinished, 0
        # What was finished since it was noted last.
        self._tiles, self._boxes = Counter[int](), defaultdict[int, dict[str, WrittenBox]](dict)
        self._unneeded: list[Path] = []

    def begin(self, plans: dict[int, _Plan], tiles: int) -> None:
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
    address : str
        Of the scheduler.
    client : Client
        The connection to it.
    lease : Lease
        By which workers know that they are wanted; it lies in a folder for what they need.
    """

    def __init__(self, address: str, client: Client, lease: Lease) -> None:
        self._address, self._client, self._lease = address, client, lease
        self._folder = lease.path.parent
        self._workers = 0

    # Preparing

    def prepare(self, volumes: Sequence[Volume], config: PredictConfig, stop: Stop) -> Job[PreparedSeries]:
        """Have workers prepare stacks; otherwise as :func:`~napari_deep3d.jobs.predict_series.prepare_series`."""
        yield Progress(0, 1, "asking the workers")
        stacks: list[Volume] = []
        for index, volume in enumerate(volumes):
            stacks.append((yield from self._in_file(volume, index, stop)))
        yield from self._wait_for_workers(stop)
        data = stacks[0].data
        assert isinstance(data, StackInFile)
        device, precision = self._meet_workers(data.choice.path, config)
        settings = config.changed(
            scheduler=None, model=str(self._copy_model(config.model)), device=device, precision=precision
        )
        pending = {
            self._submit(tasks.prepare_stack, stack, settings, self._lease): time for time, stack in enumerate(stacks)
        }
        usable, faults, done, last = dict[int, Prepared](), dict[int, NoImageError](), 0, 0.0
        for item in self._finished(pending, stop):
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

    def _wait_for_workers(self, stop: Stop) -> Job[None]:
        is_told = False
        while not self._count_workers():
            if stop():
                raise StoppedError
            if not is_told:
                yield Notice(
                    f"The scheduler {self._address} has no worker yet: waiting for one. Start it with: "
                    f"dask worker {self._address}"
                )
                is_told = True
            sleep(TOLD_SECONDS)
            yield Progress(0, 1, "waiting for a worker")

    def _count_workers(self) -> int:
        try:
            return len(self._client.nthreads())
        except Exception as error:  # of many kinds, all of the connection
            raise self._lost() from error

    def _meet_workers(self, stack: Path, config: PredictConfig) -> tuple[Any, Any]:
        """Device and precision of the workers; InputError if one of them cannot do what is asked."""
        ask = _introduction(str(stack), str(self._lease.path), self._lease.text, config.device, config.precision)
        try:
            answers: dict[str, Any] = self._client.run(ask, on_error="return")
        except Exception as error:
            raise self._lost() from error
        kinds = dict[tuple[str, str], str]()
        for worker, answer in answers.items():
            if isinstance(answer, BaseException):
                answer = {"problem": reason(answer) if isinstance(answer, Exception) else str(answer)}
            problem, own = answer["problem"], version("napari-deep3d")
            if not problem and answer["version"] != own:
                problem = f"it has napari-deep3d {answer['version']}, and here is {own}. Install the same everywhere"
            if problem:
                raise InputError(
                    f"the worker {worker} cannot be used: {problem.rstrip('.')}. Every worker needs this version of "
                    "napari-deep3d, and the folders of the stack and of the result under the same names as here."
                )
            kinds[answer["device"], answer["precision"]] = worker
        if len(kinds) > 1:
            told = "; ".join(f"{worker}: {device}, {precision}" for (device, precision), worker in kinds.items())
            raise InputError(
                f"the workers compute in different ways ({told}); all must in the same. Choose device and precision "
                "(--device cpu, --precision float32), or use workers of one kind."
            )
        return next(iter(kinds))

    # Predicting

    def predict(
        self, series: PreparedSeries, files: Sequence[StackWriter], unfinished: Unfinished, stop: Stop
    ) -> Job[Prediction]:
        """Have workers predict stacks into files; as :func:`~napari_deep3d.jobs.predict_series.predict_series`."""
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
            except _ForgottenError:
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
            self._workers = self._count_workers()
            yield run.clock.progress(0, 1, "measuring the stack")
            last = monotonic()
            for item in self._finished(pending, stop):
                if item is not None:
                    yield from run.take(*item)
                if monotonic() - last >= TOLD_SECONDS:
                    last = monotonic()
                    run.note()
                    unfinished.check_there()
                    yield from self._tell_of_workers()
                    yield from run.tell(self._workers)
            yield from self._tell_of_workers()
        finally:
            with suppress(Exception):  # the scheduler may be gone
                self._client.cancel(list(pending))
            run.note()
            for time, plan in run.plans.items():  # with tiles that were finished, and not looked at
                unfinished.set_tiles(time, plan.tiles_done)

    def _tell_of_workers(self) -> Iterator[Notice]:
        before, self._workers = self._workers, self._count_workers()
        if self._workers < before:
            yield Notice(
                f"A worker was lost, {self._workers} {'is' if self._workers == 1 else 'are'} left; what it was at is "
                "computed again."
            )

    def _submit_all(
        self,
        series: PreparedSeries,
        files: Sequence[StackWriter],
        unfinished: Unfinished,
        pending: dict[Future, _Step],
    ) -> dict[int, _Plan]:
        """Hand in what is missing of all time points."""
        plans = dict[int, _Plan]()
        pyramid = files[0].data
        assert isinstance(pyramid, Pyramid)  # only OME-Zarr is written by workers
        shapes = [pyramid.level_shape(level)[-3:] for level in range(pyramid.n_levels)]
        paths = tuple(_absolute(path) for path in unfinished.paths)
        for time, prepared in series.usable.items():
            at = time if len(pyramid.shape) == 4 else None
            work = Work(prepared, _absolute(unfinished.tiles_folder) / str(time), paths, at, self._lease)
            plans[time] = _Plan(work, shapes, set(unfinished.written(time)))
        together = ceil(sum(len(plan.missing) for plan in plans.values()) / MOST_TASKS)
        for time, plan in plans.items():
            unfinished.set_tiles(time, plan.tiles_done)
            self._submit_stack(time, plan, together, pending)
        return plans

    def _submit_stack(self, time: int, plan: _Plan, together: int, pending: dict[Future, _Step]) -> None:
        shared = self._submit(tasks.given, plan.work)
        ready: dict[int, Future] = {}
        if plan.missing:
            measured = self._submit(tasks.measure, shared)
            pending[measured] = _Step(time)
            for start in range(0, len(plan.missing), together):
                numbers = plan.missing[start : start + together]
                future = self._submit(tasks.predict_tiles, shared, numbers, measured)
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
                future = self._submit(tasks.write_box, shared, level, number, list(after), priority=1)
                pending[future] = _Step(time, level=level, number=number, box=box)
                written[number] = future
            finer = written

    # Tasks

    def _submit(self, function: Callable[..., Any], *arguments: Any, priority: int = 0) -> Future:
        name = f"{function.__name__}-{uuid.uuid4().hex}"
        return self._client.submit(function, *arguments, key=name, priority=priority, pure=False)

    def _finished(self, pending: dict[Future, Any], stop: Stop) -> Iterator[tuple[Any, Any] | None]:
        """Take tasks out as they are finished: what they stand for and what they gave; None between two looks."""
        while pending:
            if stop():
                raise StoppedError
            for future in [future for future in pending if future.done()]:
                step = pending[future]
                found = self._result(future)
                del pending[future]
                yield step, found
            if pending:
                sleep(LOOK_SECONDS)
                yield None

    def _result(self, future: Future) -> Any:
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        try:
            return future.result(timeout=CONNECT_SECONDS)
        except KilledWorker:
            raise InputError(
                "workers were lost again and again at the same part; most often their memory did not suffice. Give "
                "them more, or name less than they have (--memory 2GB)."
            ) from None
        except ImportError as error:
            raise InputError(
                f"a worker misses a part of napari-deep3d: {error}. Install the same everywhere."
            ) from None
        except (CancelledError, CommClosedError, TimeoutError) as error:
            self._count_workers()  # fails if the scheduler is gone
            raise _ForgottenError(
                f"the scheduler {self._address} has forgotten what it was given. See that the network to it holds."
            ) from error

    def _lost(self) -> InputError:
        return InputError(
            f"the scheduler {self._address} does not answer any more. See that it runs, and that the network reaches "
            "it."
        )


class _Plan:
    """What is missing of a stack: of ``shapes`` are the levels of its files, the finest first."""

    def __init__(self, work: Work, shapes: Sequence[Sequence[int]], written: set[str]) -> None:
        self.work, self.shapes, self.written = work, shapes, written
        self.tiles_of: list[list[int]] = [[] for _ in boxes(shapes[0])]
        self._users: Counter[int] = Counter()
        offset = work.prepared.region.start
        order = dict[int, tuple[int, int, int]]()
        for number, tile in enumerate(work.prepared.plan.layout):
            z, y, x = tile.index
            order[number] = y, x, z  # column by column, so that boxes can be written early
            for index in touched(tile.write.shifted(offset), shapes[0]):
                self.tiles_of[index].append(number)
                self._users[number] += f"0/{index}" not in written
        self._tiles = sorted(order, key=order.__getitem__)
        self.missing = self._find_missing()

    def _find_missing(self) -> list[int]:
        return [n for n in self._tiles if self._users[n] and not self.work.tile(n).exists()]

    @property
    def tiles_done(self) -> int:
        """Number of tiles that are computed, whether they are in the files already or not."""
        return len(self._tiles) - len(self._find_missing())

    def finer_of(self, level: int, box: Box) -> list[int]:
        """Numbers of the boxes of the finer level that a box of a level is the mean of."""
        finer, shape = self.shapes[level - 1], self.shapes[level]
        factors = [1 if n == m else 2 for n, m in zip(finer, shape, strict=True)]
        start = [part.start * f for part, f in zip(box, factors, strict=True)]
        stop = [min(part.stop * f, n) for part, f, n in zip(box, factors, finer, strict=True)]
        return touched(Box.spanning(start, stop), finer)

    def tiles_within(self, number: int) -> list[Path]:
        """Files of tiles that nobody needs any more, after one more box was written."""
        self._users.subtract(self.tiles_of[number])
        return [self.work.tile(tile) for tile in self.tiles_of[number] if not self._users[tile]]


def touched(box: Box, shape: Sequence[int]) -> list[int]:
    """Numbers of the boxes, of those that a level of ``shape`` is written in, that a box reaches into."""
    counts = [-(-n // step) for n, step in zip(shape, tasks.BOX_SHAPE, strict=True)]
    ranges = [range(s.start // step, -(-s.stop // step)) for s, step in zip(box, tasks.BOX_SHAPE, strict=True)]
    return [(z * counts[1] + y) * counts[2] + x for z, y, x in product(*ranges)]


def _summary(prepared: Prepared, unfinished: Unfinished, time: int, is_stopped: bool) -> Any:
    from napari_deep3d.nn.inference import TilingSummary

    written = [box for name, box in unfinished.written(time).items() if name.startswith("0/")]
    sums, mismatch = tasks.summed(written), 0.0
    if sums.overlapping:
        deviation = sqrt(max(sums.squares / sums.voxels - (sums.total / sums.voxels) ** 2, 0.0))
        mismatch = sqrt(sums.squared_difference / sums.overlapping) / deviation if deviation else 0.0
    spread = sums.uncertainty / prepared.image_voxels if prepared.config.uncertainty else None
    return TilingSummary(unfinished.done(time), mismatch, spread, is_stopped)


def _introduction(stack: str, lease: str, text: str, device: str, precision: str) -> Callable[[], dict[str, str]]:
    """What a worker is to run to introduce itself; sent as it stands here, so that it needs no package to be read."""

    def introduction() -> dict[str, str]:
        from pathlib import Path

        try:
            from napari_deep3d.jobs.predict_cluster_tasks import Lease, introduce
        except ImportError as error:
            return {"problem": f"it has no napari-deep3d, or another one ({error})"}
        return introduce(Path(stack), Lease(Path(lease), text), device, precision)

    return introduction


def _absolute(path: Path) -> Path:
    """The path from the root, as it is called here: links are left alone, since workers may mount them otherwise."""
    return Path(os.path.abspath(path))  # noqa: PTH100
