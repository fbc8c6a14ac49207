"""Works out what the newest choice asks for, in a worker: plans, and checks of a stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal
from superqt.utils import QSignalDebouncer

from napari_deep3d.gui.shared.worker import Run, job_of


class LatestResult(QObject):
    """Runs a function in a worker a moment after the last change, and drops the answers to earlier choices.

    Parameters
    ----------
    name : str
        What is under way, for napari's question before it closes.
    delay_ms : int
        How long the choices must rest, in milliseconds, before the work begins.
    parent : QObject, optional
        The widget that shows the answer.

    Attributes
    ----------
    outdated
        Signal: no answer, or another one, belongs to the choices now; what is shown of the last one should go.
    started
        Signal: the work has begun.
    ended
        Signal, with the result for the newest choice, or with :class:`Failed` or :class:`Cancelled`.
    """

    outdated = Signal()
    started = Signal()
    ended = Signal(object)

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
        """Ask for a result, unless it is there or on its way already.

        Parameters
        ----------
        key : object
            What the result depends on; the same key asks for the same result.
        compute : callable
            Called in the worker; it may hold arrays and configs, never a layer, a widget or the viewer.
        """
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
