"""Runs jobs in a worker thread: the only module that has threads.

A job gets arrays and frozen configs, never a layer, a widget or the viewer. Its events and its end arrive in
the window's own thread.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from napari_deep3d.core import Event, InputError, Job, Stop, StoppedError
from napari_deep3d.nn.inference import is_out_of_memory

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Failed:
    """A job ended with an error; ``message`` is the error's own."""

    message: str
    kind: Literal["input", "memory", "other"]

    def sentence(self, what: str) -> str:
        """What happened, for the user; ``what`` is what was under way, such as ``The prediction``."""
        if self.kind == "input":
            return self.message
        if self.kind == "memory":
            return "The computer ran out of memory."
        return f"{what} ended with an error ({self.message[:300]})."


class Cancelled:
    """A job was ended without a result: by the user, or by napari as when the window closes."""


def classify(error: Exception) -> Failed:
    """Say what kind of error a job ended with; torch tells lack of memory in several ways."""
    text = str(error)
    if isinstance(error, InputError):
        return Failed(text, "input")
    if is_out_of_memory(error):
        return Failed(text, "memory")
    return Failed(f"{type(error).__name__}: {text}" if text else type(error).__name__, "other")


def job_of(function: Callable[[], T]) -> Job[T]:
    """Make a job without events of a function."""
    yield from ()
    return function()


class Run(QObject):
    """A job under way in a worker thread.

    Parameters
    ----------
    name : str
        What is under way, for napari's question before it closes.
    make_job : callable
        Called in the worker with ``stop``, returns the job.

    Attributes
    ----------
    happened
        Signal, with each event of the job.
    ended
        Signal, once, with the job's result, or with :class:`Failed` or :class:`Cancelled`.
    """

    happened = Signal(object)
    ended = Signal(object)

    def __init__(self, name: str, make_job: Callable[[Stop], Job[Any]]) -> None:
        super().__init__()
        self._stop = threading.Event()
        self._worker = create_worker(_Named(name), make_job, self._should_stop, _start_thread=False)
        self._worker.yielded.connect(self.happened)
        self._worker.returned.connect(self.ended)
        self._worker.aborted.connect(self._on_aborted)

    def start(self) -> None:
        """Start the worker; connect the signals first."""
        self._worker.start()

    def stop(self) -> None:
        """Ask the job to finish now; ``ended`` follows with what there is."""
        self._stop.set()

    def close(self, seconds: float = 2.0) -> None:
        """Stop without telling anyone, and wait a little for the thread to leave the job."""
        self._stop.set()
        self.blockSignals(True)
        deadline = time.monotonic() + seconds
        while self._worker.is_running and time.monotonic() < deadline:
            time.sleep(0.01)

    def _should_stop(self) -> bool:
        # napari asks the worker itself to abort when its window closes
        return self._stop.is_set() or bool(self._worker.abort_requested)

    def _on_aborted(self) -> None:
        self.ended.emit(Cancelled())


def close_all(runs: set[Run], seconds: float = 2.0) -> None:
    """Close the jobs of a widget that goes, and let go of them."""
    for run in runs:
        run.close(seconds)
    runs.clear()


class PauseSwitch:
    """Handed to a job that can be paused: it asks between steps, and waits while the switch is on."""

    def __init__(self) -> None:
        self._is_on = threading.Event()

    def __call__(self) -> bool:
        """Whether the job is to wait."""
        return self._is_on.is_set()

    def turn(self, on: bool) -> None:
        """Pause the job, or let it go on."""
        if on:
            self._is_on.set()
        else:
            self._is_on.clear()


def _work(make_job: Callable[[Stop], Job[Any]], stop: Stop) -> Generator[Event, None, Any]:
    """Run the job in the worker; return an error, since a RuntimeError raised here would hang the worker."""
    try:
        return (yield from make_job(stop))
    except StoppedError:
        return Cancelled()
    except Exception as error:
        failed = classify(error)
        if failed.kind != "input":
            log.exception("the job failed")
        return failed


class _Named(functools.partial[Any]):
    """The work under a name that napari can show; it shows the function's representation."""

    label: str

    def __new__(cls, label: str) -> _Named:
        made = super().__new__(cls, _work)
        made.label = label
        return made

    def __repr__(self) -> str:
        return self.label
