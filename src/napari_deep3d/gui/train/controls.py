"""Start, pause and stop a training, and see how far it is."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_deep3d.core.events import Progress
from napari_deep3d.gui.shared.texts import format_progress

PAUSE, CONTINUE = "Pause", "Continue"
STOP, STOPPING = "Stop and keep", "Stopping..."


class TrainControls(QWidget):
    """Buttons and a bar.

    Attributes
    ----------
    start_asked, stop_asked
        Signals: the user pressed the button.
    pause_asked
        Signal: the user wants it to wait (True) or to go on (False).
    """

    start_asked = Signal()
    stop_asked = Signal()
    pause_asked = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._progress = "starting"
        self.start, self.pause, self.stop = QPushButton("Start training"), QPushButton(PAUSE), QPushButton(STOP)
        self.pause.setCheckable(True)
        self.pause.setToolTip("The computer is free for other work until you continue")
        self.stop.setToolTip("End now; the model as it stands is put on the list, and the training can be resumed")
        for button in (self.start, self.pause, self.stop):
            button.setMinimumHeight(34)
        self.start.clicked.connect(self.start_asked)
        self.stop.clicked.connect(self._on_stop)
        self.pause.toggled.connect(self._on_pause)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        row = QHBoxLayout()
        row.addWidget(self.pause)
        row.addWidget(self.stop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.start)
        layout.addLayout(row)
        layout.addWidget(self.bar)
        self.show_idle(False)

    def show_idle(self, can_start: bool) -> None:
        """Offer to start."""
        self._show_running(False)
        self.start.setEnabled(can_start)

    def show_begun(self) -> None:
        """Offer to pause and to stop."""
        blocked = self.pause.blockSignals(True)
        self.pause.setChecked(False)
        self.pause.blockSignals(blocked)
        self.pause.setText(PAUSE)
        self.stop.setText(STOP)
        self.pause.setEnabled(True)
        self.stop.setEnabled(True)
        self._progress = "starting"
        self.bar.setValue(0)
        self._show_format()
        self._show_running(True)

    def show_progress(self, progress: Progress) -> None:
        """Show how far it is."""
        self.bar.setValue(round(1000 * progress.fraction))
        self.bar.setToolTip(progress.message)
        self._progress = format_progress(progress)
        self._show_format()

    def _show_running(self, is_running: bool) -> None:
        self.start.setVisible(not is_running)
        for widget in (self.pause, self.stop, self.bar):
            widget.setVisible(is_running)

    def _show_format(self) -> None:
        self.bar.setFormat(f"paused at {self._progress}" if self.pause.isChecked() else self._progress)

    def _on_pause(self, is_on: bool) -> None:
        self.pause.setText(CONTINUE if is_on else PAUSE)
        self._show_format()
        self.pause_asked.emit(is_on)

    def _on_stop(self) -> None:
        self.stop.setText(STOPPING)
        self.stop.setEnabled(False)
        self.pause.setEnabled(False)
        self.stop_asked.emit()
