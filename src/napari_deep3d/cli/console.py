"""What the commands share: progress on standard error, JSON on standard output, Ctrl-C, exit codes."""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from napari_deep3d.core import Event, Job, Metrics, Notice, Stop, StoppedError, drain
from napari_deep3d.core import Progress as ProgressEvent

T = TypeVar("T")

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


@dataclass
class Interruption:
    """Whether Ctrl-C was pressed; the first press asks the job to finish, the second one breaks off."""

    asked: bool = False

    def stop(self) -> bool:
        """Whether to stop."""
        return self.asked

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print("stopping; press Ctrl-C again to break off", file=sys.stderr)  # noqa: T201

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to Ctrl-C and to a polite request to end (SIGTERM)."""
        old = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


@dataclass
class Display:
    """Shows the events of a job on standard error: a bar on a terminal, lines elsewhere."""

    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def run(self, job: Job[T]) -> T:
        """Run a job to its end, showing its events."""
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task("starting", total=None)
            return drain(job, lambda event: self._show(event, bar, task))

    def _show(self, event: Event, bar: Progress, task: TaskID) -> None:
        if isinstance(event, ProgressEvent):
            bar.update(task, completed=event.done, total=event.total or None, description=event.message)
            if not self.console.is_terminal and event.done:
                left = "" if event.seconds_left is None else f", {event.seconds_left:.0f} s left"
                self.console.print(f"{event.message}{left}", markup=False, soft_wrap=True)
        elif isinstance(event, Notice):
            self.console.print(f"note: {event.message}", markup=False, soft_wrap=True)
        elif isinstance(event, Metrics):
            figures = "  ".join(f"{name} {value:.4g}" for name, value in event.values.items())
            self.console.print(f"step {event.step}: {figures}", markup=False, soft_wrap=True)


def run(start: Callable[[Stop], Job[T]]) -> T:
    """Run a job to its end, showing its events; Ctrl-C asks it to finish.

    Parameters
    ----------
    start : callable
        Makes the job, which polls the ``stop`` that it is given.
    """
    interruption = Interruption()
    with interruption.listening():
        try:
            return Display().run(start(interruption.stop))
        except StoppedError:
            raise typer.Exit(INTERRUPTED) from None


def end(complete: bool) -> None:
    """Leave with the exit code of an interruption if a job was stopped before its end."""
    if not complete:
        raise typer.Exit(INTERRUPTED)


def report(values: Mapping[str, object], as_json: bool) -> None:
    """Print the outcome: one JSON object alone on standard output, or lines for people."""
    if as_json:
        print(json.dumps(_plain(dict(values)), allow_nan=False))  # noqa: T201
        return
    for name, value in values.items():
        print(f"{name.replace('_', ' ')}: {_for_people(value)}")  # noqa: T201


def _plain(value: object) -> object:
    """The value with null for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _for_people(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_for_people(item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_for_people(item)}" for name, item in value.items()) or "none"
    return "none" if value is None else str(value)
