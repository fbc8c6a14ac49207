"""Offers to go on with a training that was begun earlier."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_deep3d.core import InputError
from napari_deep3d.gui.shared import AMBER, Line, stack_up
from napari_deep3d.jobs.run_folder import RunInfo, list_unfinished, read_run


class ResumeBar(QWidget):
    """A line that names an unfinished training, with buttons; hidden where there is none.

    Attributes
    ----------
    resume_requested
        Signal, with the RunInfo of the training to go on with.
    """

    resume_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._run: RunInfo | None = None
        self.line = Line(AMBER)
        self.resume, self.dismiss = QPushButton("Resume"), QPushButton("Dismiss")
        self.resume.setToolTip("Go on from there, with the same pairs and settings")
        self.dismiss.setToolTip("Hide this; the training stays on disk, and 'Resume a run...' finds it")
        self.resume.clicked.connect(self._on_resume)
        self.dismiss.clicked.connect(lambda: self.offer(None))
        row = QHBoxLayout()
        row.addWidget(self.resume)
        row.addWidget(self.dismiss)
        stack_up(self, self.line, row)
        self.offer(next(iter(list_unfinished()), None))

    def offer(self, run: RunInfo | None) -> None:
        """Offer a training, or none."""
        self._run = run
        text = "" if run is None else f"An unfinished training: {run.name}, step {run.steps_done} of {run.iterations}."
        self.line.show_text(text)
        self.line.setToolTip("" if run is None else str(run.path))
        self.setVisible(run is not None)

    def offer_folder(self, folder: Path | None) -> None:
        """Offer the training of a run folder, if it can go on."""
        run = None
        if folder is not None:
            with suppress(InputError):
                run = read_run(folder)
        self.offer(None if run is None or run.complete else run)

    def _on_resume(self) -> None:
        if self._run is not None:
            self.resume_requested.emit(self._run)
