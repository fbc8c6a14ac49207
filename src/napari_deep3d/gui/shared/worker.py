"""Runs jobs in a worker thread: the only module that has threads.

A job gets arrays and frozen configs, never a layer, a widget or the viewer. Its events and its end arrive in
the window's own thread.
"""

from __future__ import annotations

import atexit
import functools
import logging
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QThreadPool, Signal
from superqt.utils import QSignalDebouncer

from napari_deep3d.core import Event, InputError, Job, Stop, StoppedError, is_out_of_memory

log = logging.getLogger(__name__)
T = TypeVar("T")
_closers: set[Callable[[], None]] = set()
"""What is called when Qt deletes widgets that have jobs."""
EXIT_MS = 3000
"""How long Python waits at its end for jobs that were left to themselves: their signals must outlive them."""


@atexit.register
def _wait_at_exit() -> None:
    pool = QThreadPool.globalInstance()
    if pool is not None:
        pool.waitForDone(EXIT_MS)


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
    """Say what kind of error a job ended with."""
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
    """A job under way in a worker thread, made there by calling ``make_job`` with ``stop``.

    ``name`` says what is under way, for napari's question before it closes.
    """

    happened = Signal(object)
    """With each event of the job."""
    ended = Signal(object)
    """Once, with the job's result, or with :class:`Failed` or :class:`Cancelled`."""

    def __init__(self, name: str, make_job: Callable[[Stop], Job[Any]]) -> None:
        super().__init__()
        self._stop, self._end = threading.Event(), _End()
        self._worker = create_worker(_Named(name), make_job, self._should_stop, self._end, _start_thread=False)
        self._worker.yielded.connect(self.happened)
        self._worker.returned.connect(self.ended)
        self._worker.aborted.connect(self._on_aborted)

    def start(self) -> None:
        """Start the worker; connect the signals first."""
        self._worker.start()

    def stop(self) -> None:
        """Ask the job to finish now; ``ended`` follows with what there is."""
        self._stop.set()

    def close(self, seconds: float = 2.0) -> Any:
        """Stop without telling anyone, wait a little for the thread to leave the job, and return its end.

        That is as of :attr:`ended`; Cancelled if the job did not end in time.
        """
        self._stop.set()
        self.blockSignals(True)
        deadline = time.monotonic() + seconds
        while self._worker.is_running and time.monotonic() < deadline:
            time.sleep(0.01)
        return self._end.value

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


def close_with(widget: QObject, runs: set[Run], seconds: float = 2.0) -> None:
    """Close the jobs of a widget when Qt deletes it.

    Python may collect the widget in a worker, and Qt deletes it later: what is called then must not be collected with
    it, or the window crashes. It holds no widget, and no job, and so no stack, that has ended.
    """

    def close() -> None:
        _closers.discard(close)
        close_all(runs, seconds)

    _closers.add(close)
    widget.destroyed.connect(close)


class LatestResult(QObject):
    """Works out what the newest choice asks for once the choices rest, and drops the answers to earlier ones.

    ``name`` is as in :class:`Run`; ``parent`` is the widget that shows the answer.
    """

    outdated = Signal()
    """No answer, or another one, belongs to the choices now; what is shown of the last one should go."""
    started = Signal()
    """The work has begun."""
    ended = Signal(object)
    """With the result for the newest choice, or with :class:`Failed` or :class:`Cancelled`."""

    def __init__(self, name: str, delay_ms: int = 150, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._key: object = None
        self._compute: Callable[[], Any] | None = None
        self._run: Run | None = None
        self._debouncer = QSignalDebouncer(parent=self)
        self._debouncer.setTimeout(delay_ms)
        self._debouncer.triggered.connect(self._start)

    def ask(self, key: object, compute: Callable[[], Any]) -> None:
        """Ask for what ``compute`` returns, unless the result for the same ``key`` is there or on its way already."""
        if self._key is not None and key == self._key:
            return
        self.forget()
        self._key, self._compute = key, compute
        self._debouncer.throttle()

    def forget(self) -> None:
        """Ask for nothing; the same key may be asked again."""
        self.shut_down()
        self.outdated.emit()

    def shut_down(self) -> None:
        """Drop what runs or waits to run, without telling anyone."""
        self._debouncer.cancel()
        self._key, self._compute = None, None
        if self._run is not None:
            self._run.close(0)
            self._run = None

    def _start(self) -> None:
        compute = self._compute
        if compute is None:
            return
        self._run = Run(self._name, lambda _stop: job_of(compute))
        self._run.ended.connect(self._on_ended)
        self.started.emit()
        self._run.start()

    def _on_ended(self, end: Any) -> None:
        self._run, self._compute = None, None
        self.ended.emit(end)


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


class _End:
    """How a job ended, for who cannot wait for the signal."""

    def __init__(self) -> None:
        self.value: Any = Cancelled()


def _work(make_job: Callable[[Stop], Job[Any]], stop: Stop, end: _End) -> Generator[Event, None, Any]:
    """Run the job in the worker; return an error, since a RuntimeError raised here would hang the worker."""
    try:
        end.value = yield from make_job(stop)
    except StoppedError:
        end.value = Cancelled()
    except Exception as error:
        failed = end.value = classify(error)
        if failed.kind != "input":
            log.exception("the job failed")
    return end.value


class _Named(functools.partial[Any]):
    """The work under a name that napari can show; it shows the function's representation."""

    label: str

    def __new__(cls, label: str) -> _Named:
        made = super().__new__(cls, _work)
        made.label = label
        return made

    def __repr__(self) -> str:
        return self.label
