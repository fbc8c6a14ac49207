"""What the commands share: progress on standard error, JSON on standard output, Ctrl-C, exit codes."""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Protocol, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from napari_deep3d.core import Event, Job, Metrics, Notice, Stop, StoppedError, drain
from napari_deep3d.core import Progress as ProgressEvent

T = TypeVar("T")

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


def run(start: Callable[[Stop], Job[T]]) -> T:
    """Run the job that ``start`` makes with its ``stop``, and show its events on standard error.

    On a terminal they are shown as a bar, elsewhere as lines. The first Ctrl-C, or a polite request to end (SIGTERM),
    asks the job to finish; the second one breaks off.
    """
    asked = False

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        print("stopping; press Ctrl-C again to break off", file=sys.stderr)  # noqa: T201

    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    old = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("starting", total=None)
            return drain(start(lambda: asked), lambda event: show(event, console, bar, task))
    except StoppedError:
        raise typer.Exit(INTERRUPTED) from None
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def show(event: Event, console: Console, bar: Progress, task: TaskID) -> None:
    """Show an event: progress on the bar and, where the console is no terminal, as a line; the rest as lines."""
    line = ""
    if isinstance(event, ProgressEvent):
        bar.update(task, completed=event.done, total=event.total or None, description=event.message)
        if not console.is_terminal and event.done:
            left = "" if event.seconds_left is None else f", {event.seconds_left:.0f} s left"
            line = f"{event.message}{left}"
    elif isinstance(event, Notice):
        line = f"note: {event.message}"
    elif isinstance(event, Metrics):
        figures = "  ".join(f"{name} {value:.4g}" for name, value in event.values.items())
        line = f"step {event.step}: {figures}"
    if line:
        console.print(line, markup=False, soft_wrap=True)


def end(complete: bool, left_out: int = 0) -> None:
    """Leave with the exit code of an interruption if a job was stopped before its end.

    With that of bad input, if some of the input was ``left_out`` since it could not be used, and the rest is done.
    """
    if not complete:
        raise typer.Exit(INTERRUPTED)
    if left_out:
        raise typer.Exit(BAD_INPUT)


def report(values: Mapping[str, object], as_json: bool) -> None:
    """Print the outcome: one JSON object alone on standard output, or lines for people."""
    if as_json:
        print(json.dumps(_plain(dict(values)), allow_nan=False))  # noqa: T201
        return
    for name, value in values.items():
        print(f"{name.replace('_', ' ')}: {_for_people(value)}")  # noqa: T201


class Outcome(Protocol):
    """What came of files: for JSON, and a line for each, by its name."""

    def report(self) -> Mapping[str, object]: ...  # noqa: D102
    def lines(self) -> Mapping[str, object]: ...  # noqa: D102


def report_files(outcome: Outcome, as_json: bool) -> None:
    """As :func:`report`, of files: their names stay as they are."""
    if as_json:
        report(outcome.report(), as_json)
        return
    for name, value in outcome.lines().items():
        print(f"{name}: {_for_people(value)}")  # noqa: T201


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
