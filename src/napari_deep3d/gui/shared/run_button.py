"""A button that starts a job, turns into *Stop* while it runs, and shows how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_deep3d.core.events import Event, Job, Progress, Stop
from napari_deep3d.gui.shared.texts import format_progress
from napari_deep3d.gui.shared.worker import Run

STOP = "Stop"


class RunButton(QWidget):
    """The button and its progress bar.

    Attributes
    ----------
    asked
        Signal: the user wants it to start; call :meth:`start`.
    """

    asked = Signal()

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self._run: Run | None = None
        self._on_end: Callable[[Any], None] | None = None
        self.button = QPushButton(text)
        self.button.setMinimumHeight(34)
        self.button.clicked.connect(self._on_button)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.button)
        layout.addWidget(self.bar)

    @property
    def is_running(self) -> bool:
        """Whether a job is under way."""
        return self._run is not None

    def start(self, name: str, make_job: Callable[[Stop], Job[Any]], on_end: Callable[[Any], None]) -> None:
        """Run a job.

        Parameters
        ----------
        name
            What is under way, for napari's question before it closes.
        make_job
            Called in the worker with ``stop``, returns the job.
        on_end
            Called in the window's thread with what the job returned, or with Failed or Cancelled.
        """
        run = self._run = Run(name, make_job)
        self._on_end = on_end
        self._run.happened.connect(self._on_event)
        self._run.ended.connect(self._on_ended)
        self.destroyed.connect(lambda: run.close())  # not run.close itself: the signal brings an argument
        self.button.setText(STOP)
        self.button.setEnabled(True)
        self.bar.setValue(0)
        self.bar.setFormat("starting")
        self.bar.show()
        self._run.start()

    def close_run(self) -> None:
        """Stop the job without telling anyone, as when the window closes."""
        if self._run is not None:
            self._run.close()

    def _on_button(self) -> None:
        if self._run is None:
            self.asked.emit()
        else:
            self._run.stop()
            self.button.setText("Stopping...")
            self.button.setEnabled(False)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.bar.setValue(round(1000 * event.fraction))
            self.bar.setFormat(format_progress(event))
            self.bar.setToolTip(event.message)

    def _on_ended(self, end: Any) -> None:
        on_end, self._run, self._on_end = self._on_end, None, None
        self.button.setText(self._text)
        self.button.setEnabled(True)
        self.bar.hide()
        if on_end is not None:
            on_end(end)
