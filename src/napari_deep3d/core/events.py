"""What a long computation tells while it runs, and how it is asked to stop.

A long computation is a generator of frozen events that returns its result: a *job*. The command line and
tests :func:`drain` it; the window runs it in a worker. It polls an injected ``stop`` and, when asked to stop,
returns a valid partial result instead of raising.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

Region = tuple[slice, slice, slice]
"""A box in a stack, axes Z, Y, X."""


def sizes_of(region: Region) -> tuple[int, int, int]:
    """Number of voxels of a box along Z, Y, X."""
    z, y, x = (part.stop - part.start for part in region)
    return z, y, x


@dataclass(frozen=True)
class Progress:
    """How far a job has come: ``done`` of ``total`` units of work, and the seconds left if they are known."""

    done: float
    total: float
    message: str
    seconds_left: float | None = None

    @property
    def fraction(self) -> float:
        """Share of the work that is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 1.0


@dataclass(frozen=True)
class TileDone:
    """A tile is ready: ``values`` are to be *added* to ``region`` of a result that starts at zero.

    Neighbouring tiles overlap, and their blend windows sum to one. ``uncertainty`` is the same for the expected
    error of the values, where it was asked for.
    """

    region: Region
    values: NDArray[np.float32] = field(repr=False)
    uncertainty: NDArray[np.float32] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Metrics:
    """Numbers of one step of training, by name."""

    step: int
    values: dict[str, float]


@dataclass(frozen=True)
class Preview:
    """What a training can do after a step, on a box that it does not learn from; axes (Z, Y, X), about 0 to 1."""

    step: int
    widefield: NDArray[np.float32] = field(repr=False)
    prediction: NDArray[np.float32] = field(repr=False)
    confocal: NDArray[np.float32] = field(repr=False)
    spacing_um: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Notice:
    """A sentence that the user should read, such as a warning about the input."""

    message: str


Event = Progress | TileDone | Metrics | Preview | Notice
Job = Generator[Event, None, T]
Stop = Callable[[], bool]
"""Asked between steps; true means: finish now and return what there is."""
Pause = Callable[[], bool]
"""Asked between steps; while it is true the job waits."""


class StoppedError(Exception):
    """Leaves a step from within, such as one forward pass, when the user asked to stop."""


def never() -> bool:
    """Never stop."""
    return False


def wait(paused: Pause, stop: Stop) -> float:
    """Wait while a job is paused and not asked to stop; return the seconds that it took."""
    start = time.perf_counter()
    while paused() and not stop():
        time.sleep(0.05)
    return time.perf_counter() - start


def drain(job: Job[T], on_event: Callable[[Event], object] | None = None) -> T:
    """Run a job to its end and return its result, handing each event to ``on_event``."""
    while True:
        try:
            event = next(job)
        except StopIteration as end:
            result: T = end.value
            return result
        if on_event is not None:
            on_event(event)


def tap(job: Job[T], on_event: Callable[[Event], object]) -> Job[T]:
    """Pass a job's events and result on, handing each event to ``on_event`` first."""
    while True:
        try:
            event = next(job)
        except StopIteration as end:
            result: T = end.value
            return result
        on_event(event)
        yield event


class Clock:
    """Seconds since the start, and the seconds left at the rate so far."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._start

    def progress(self, done: float, total: float, message: str) -> Progress:
        """Progress with the time left, once there is a rate to tell it from."""
        left = self.seconds * (total - done) / done if done > 0 else None
        return Progress(done, total, message, left)
