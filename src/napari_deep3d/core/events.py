"""What a long computation tells while it runs, and how it is asked to stop.

A long computation is a generator of frozen events that returns its result: a *job*. The command line and
tests :func:`drain` it; the window runs it in a worker. It polls an injected ``stop`` and, when asked to stop,
returns a valid partial result instead of raising.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from napari_deep3d.core.types import Box, FloatArray, Spacing

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")

TOLD_SECONDS = 1.0
"""Time between two events that tell of the progress within a step."""


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

    region: Box
    values: FloatArray = field(repr=False)
    uncertainty: FloatArray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class BoxWritten:
    """A box of a result (Z, Y, X) is in its file, written by another computer; ``brightest`` is about its maximum."""

    region: Box
    brightest: float


@dataclass(frozen=True)
class Metrics:
    """Numbers of one step of training, by name."""

    step: int
    values: dict[str, float]


@dataclass(frozen=True)
class Preview:
    """What a training can do after a step, on a box that it does not learn from; axes (Z, Y, X), about 0 to 1.

    The confocal box is of another field where ``same_field`` is false.
    """

    step: int
    widefield: FloatArray = field(repr=False)
    prediction: FloatArray = field(repr=False)
    confocal: FloatArray = field(repr=False)
    spacing_um: Spacing | None = None
    same_field: bool = True


@dataclass(frozen=True)
class Notice:
    """A sentence that the user should read, such as a warning about the input."""

    message: str


RowState = Literal["waiting", "running", "done", "skipped", "outdated", "failed", "stopped"]
"""How one of many stacks stands. ``skipped``: nothing is to be done; ``outdated``: its result is there, but made from
another input or with other settings; ``stopped``: ended before its end."""


@dataclass(frozen=True)
class BatchRow:
    """One of many stacks that a job works through: a row of its table, as it is from now on.

    ``number`` is its place in the table, ``image`` what of the file it is, ``reason`` why it is as it is, or what to
    know of the result, ``seconds`` the time that it took, ``output`` the name of the result.
    """

    number: int
    file: str
    image: str = ""
    state: RowState = "waiting"
    reason: str = ""
    seconds: float | None = None
    output: str = ""


Event = Progress | TileDone | BoxWritten | Metrics | Preview | Notice | BatchRow
Job = Generator[Event, None, T]
Steps = Generator[float, None, T]
"""A part of a job that takes long: yields the share that is done, rising to 1, wherever it can be left, and returns its
result."""
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


def finish(steps: Steps[T], stop: Stop = never) -> T:
    """Run steps to their end and return the result; when ``stop`` is true they are left by a StoppedError."""
    while True:
        if stop():
            raise StoppedError
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def told(steps: Steps[T], tell: Callable[[float], Progress], stop: Stop = never) -> Job[T]:
    """Run steps within a job: ``tell`` makes progress of a share; when ``stop`` is true they end by a StoppedError."""
    last = time.perf_counter()
    while True:
        if stop():
            raise StoppedError
        try:
            share = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if time.perf_counter() - last >= TOLD_SECONDS:
            yield tell(share)
            last = time.perf_counter()


def mapped(job: Generator[A, None, T], change: Callable[[A], B]) -> Generator[B, None, T]:
    """Pass on what a job or steps yield, each as ``change`` makes it, and the result."""
    while True:
        try:
            event = next(job)
        except StopIteration as end:
            result: T = end.value
            return result
        yield change(event)


def tap(job: Job[T], on_event: Callable[[Event], object]) -> Job[T]:
    """Pass a job's events and result on, handing each event to ``on_event`` first."""

    def hand(event: Event) -> Event:
        on_event(event)
        return event

    return mapped(job, hand)


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


class TimeLimit:
    """Seconds that are left, from when it was made; without an end unless one is given."""

    def __init__(self, seconds: float = math.inf) -> None:
        self._end = time.perf_counter() + seconds

    @property
    def left(self) -> float:
        """Seconds left; negative when it is over."""
        return self._end - time.perf_counter()

    def is_over(self) -> bool:
        """Whether no time is left."""
        return self.left <= 0

    def extend(self, seconds: float) -> None:
        """Put the end off, such as by the length of a pause."""
        self._end += seconds
