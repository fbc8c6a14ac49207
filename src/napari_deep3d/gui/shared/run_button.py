"""A button that starts a job, turns into *Stop* while it runs, and shows how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget
from superqt.utils import signals_blocked

from napari_deep3d.core import Event, Job, Progress, Stop
from napari_deep3d.gui.shared.widgets import format_progress, format_seconds, stack_up
from napari_deep3d.gui.shared.worker import PauseSwitch, Run, close_with

STOP, STOPPING = "Stop", "Stopping..."
PAUSE, CONTINUE = "Pause", "Continue"
BUTTON_HEIGHT = 34
BAR_STEPS = 1000
SETTLE_SECONDS = 0.5
"""Time after a job's end in which mouse and keys start none: a click that was meant for *Stop* would."""
HANDS = (
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseButtonRelease,
    QEvent.Type.MouseButtonDblClick,
    QEvent.Type.KeyPress,
    QEvent.Type.KeyRelease,
)
BUSY_SECONDS = 2
"""A job that has told nothing of its progress for as long is shown as busy, with the time that it has taken."""


class RunButton(QWidget):
    """The button, a button beside it that pauses the job, and the progress bar.

    Parameters
    ----------
    text, stop : str
        What the button says while no job runs, and while one runs.
    tip, stop_tip : str
        Its tool tips, likewise.
    pause_tip : str
        Tool tip of the button *Pause*; without one there is no such button.
    closing_seconds : float
        How long a closing window waits for the job to leave its thread.

    Attributes
    ----------
    paused : PauseSwitch
        To hand to a job that can be paused.
    """

    asked = Signal()
    """The user wants it to start; call :meth:`start`."""

    def __init__(
        self,
        text: str,
        tip: str = "",
        *,
        stop: str = STOP,
        stop_tip: str = "",
        pause_tip: str = "",
        closing_seconds: float = 2.0,
    ) -> None:
        super().__init__()
        self._start_look, self._stop_look = (text, tip), (stop, stop_tip or tip)
        self._can_pause, self._closing_seconds = bool(pause_tip), closing_seconds
        self._is_allowed, self._progress = True, ""
        self._on_end: Callable[[Any], None] | None = None
        self._runs = set[Run]()
        close_with(self, self._runs, closing_seconds)
        self.paused = PauseSwitch()
        self._ticking = QTimer(self)
        self._ticking.setInterval(1000)
        self._ticking.timeout.connect(self._show_progress)
        self._started, self._ended = 0.0, -SETTLE_SECONDS
        self.button, self.pause_button, self.bar = QPushButton(), QPushButton(PAUSE), BusyBar()
        self.button.clicked.connect(self._on_button)
        self.button.installEventFilter(self)
        self.pause_button.setCheckable(True)
        self.pause_button.setToolTip(pause_tip)
        self.pause_button.toggled.connect(self._on_pause)
        for button in (self.button, self.pause_button):
            button.setMinimumHeight(BUTTON_HEIGHT)
        self.bar.setRange(0, BAR_STEPS)
        row = QHBoxLayout()
        row.addWidget(self.pause_button)
        row.addWidget(self.button)
        stack_up(self, row, self.bar)
        self._show_state()

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Leave out what was meant for *Stop* when the button has just changed."""
        is_settling = time.monotonic() - self._ended < SETTLE_SECONDS
        return event is not None and event.type() in HANDS and is_settling and not self.is_running

    @property
    def is_running(self) -> bool:
        """Whether a job is under way."""
        return bool(self._runs)

    def allow(self, is_allowed: bool) -> None:
        """Let the user start a job, or not; one that runs can be stopped in any case."""
        self._is_allowed = is_allowed
        if not self.is_running:
            self.button.setEnabled(is_allowed)

    def start(
        self,
        name: str,
        make_job: Callable[[Stop], Job[Any]],
        on_end: Callable[[Any], None],
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        """Run a job, ``name`` and ``make_job`` as of :class:`Run`; the bar shows its progress.

        In the window's thread ``on_event`` gets each event of the job, ``on_end`` what it returned, or Failed or
        Cancelled.
        """
        run = Run(name, make_job)
        run.happened.connect(self._on_event)
        if on_event is not None:
            run.happened.connect(on_event)
        run.ended.connect(self._on_ended)
        self._runs.add(run)
        self._on_end = on_end
        self.paused.turn(False)
        with signals_blocked(self.pause_button):
            self.pause_button.setChecked(False)
        self.pause_button.setText(PAUSE)
        self._progress = "starting"
        self._started = time.monotonic()
        self._ticking.start()
        self.bar.setRange(0, BAR_STEPS)
        self.bar.setValue(0)
        self._show_state()
        run.start()

    def stop(self) -> None:
        """Ask the job to finish now; its end follows."""
        for run in self._runs:
            run.stop()

    def close_run(self) -> None:
        """Stop the job, wait a little for it, and tell of its end at once, since the dock goes."""
        for run in list(self._runs):
            self._on_ended(run.close(self._closing_seconds))

    def _show_state(self) -> None:
        text, tip = self._stop_look if self.is_running else self._start_look
        self.button.setText(text)
        self.button.setToolTip(tip)
        self.button.setEnabled(self.is_running or self._is_allowed)
        self.pause_button.setEnabled(True)
        self.pause_button.setVisible(self.is_running and self._can_pause)
        self.bar.setVisible(self.is_running)
        self._show_progress()

    def _show_progress(self) -> None:
        text, is_paused = self._progress, self.pause_button.isChecked()
        seconds = time.monotonic() - self._started
        is_silent = self.is_running and self.bar.value() <= 0 and seconds >= BUSY_SECONDS
        if is_silent:
            text = f"{text}, {format_seconds(seconds)}"
        self.bar.setRange(0, 0 if is_silent and not is_paused else BAR_STEPS)
        self.bar.setFormat(f"paused at {text}" if is_paused else text)

    def _on_button(self) -> None:
        if not self.is_running:
            self.asked.emit()
            return
        self.stop()
        self.button.setText(STOPPING)
        self.button.setEnabled(False)
        self.pause_button.setEnabled(False)

    def _on_pause(self, is_on: bool) -> None:
        self.pause_button.setText(CONTINUE if is_on else PAUSE)
        self._show_progress()
        self.paused.turn(is_on)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._progress = format_progress(event)
            if event.fraction > 0:
                self.bar.setRange(0, BAR_STEPS)
            self.bar.setValue(round(BAR_STEPS * event.fraction))
            self.bar.setToolTip(event.message)
            self._show_progress()

    def _on_ended(self, end: Any) -> None:
        on_end, self._on_end = self._on_end, None
        self._runs.clear()
        self._ticking.stop()
        self._ended = time.monotonic()
        self.button.setDown(False)
        self._show_state()
        if on_end is not None:
            on_end(end)


class BusyBar(QProgressBar):
    """A bar that shows its text also while it only shows that something goes on."""

    def text(self) -> str:
        """Return the format as it is: Qt has no text for a bar without a range."""
        return super().text() or self.format()
