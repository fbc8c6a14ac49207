"""A pair from the raw frames of a structured-light microscope: files in, files out, no layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from napari_deep3d.core import Event, GridFramesConfig, InputError, Job, Notice, Stop
from napari_deep3d.gui.shared import (
    AMBER,
    RED,
    Cancelled,
    ConfigForm,
    Failed,
    FormRow,
    Line,
    RunButton,
    stack_up,
)
from napari_deep3d.io import STACK_SUFFIXES
from napari_deep3d.jobs.grid_frames import GridPair, pair_from_frames
from napari_deep3d.jobs.pairs import KINDS, WRITTEN_SUFFIX, LoadedPair, PairsFolder
from napari_deep3d.jobs.register import StackSource

MakePair = Callable[[StackSource, Path, GridFramesConfig, Stop], Job[GridPair]]
"""Makes the job; takes what :func:`pair_from_frames` takes."""
TEXT = "From grid frames..."
TIP = (
    "Raw frames of an ApoTome, OS-SIM or 3D-SIM hold both images of a pair: choose their file, then the pairs folder "
    "to add the pair to"
)
FORM = "Grid frames: phases and angles"
FILES = f"Raw frames ({' '.join(f'*{suffix}' for suffix in STACK_SUFFIXES if suffix != '.zarr')})"
ROWS = {
    "phases": FormRow("Phases"),
    "angles": FormRow("Angles"),
    "layout": FormRow(
        "Frames are",
        choices=[
            ("what fits", "auto"),
            ("time points", "time"),
            ("channels", "channel"),
            ("planes: z, angle, phase", "zap"),
            ("planes: angle, z, phase", "azp"),
            ("planes: angle, phase, z", "apz"),
        ],
    ),
}


class GridFrames(QWidget):
    """The button, what the grid did, and what came of it."""

    pair_added = Signal(object)  # a LoadedPair that is to be trained on

    def __init__(self, make: MakePair | None = None) -> None:
        super().__init__()
        self._make = make or _pair
        self._made: GridPair | None = None
        self.form = ConfigForm(GridFramesConfig.model_fields, ROWS)
        self.form.setText(FORM)
        self.button = RunButton(TEXT, TIP)
        self.button.asked.connect(self._on_asked)
        self.message, self.notice = Line(), Line(AMBER)
        self.train_button = QPushButton("Add to training set")
        self.train_button.setToolTip("Put the pair on the list of the Train tab")
        self.train_button.clicked.connect(self._on_train)
        stack_up(self, self.button, self.form, self.message, self.notice, self.train_button)
        self.train_button.hide()

    def shut_down(self) -> None:
        """Stop the job, since the dock goes."""
        self.button.close_run()

    def _on_asked(self) -> None:
        raw, _ = QFileDialog.getOpenFileName(self, "Raw frames taken through a grid", "", FILES)
        folder = QFileDialog.getExistingDirectory(self, "Pairs folder to add the pair to") if raw else ""
        if not folder:
            return
        try:
            config = GridFramesConfig.checked(**self.form.values())
        except InputError as error:
            self.message.show_text(str(error), RED)
            return
        source, output = StackSource(Path(raw)), Path(folder)
        self._made = None
        for widget in (self.message, self.notice):
            widget.show_text("")
        self.train_button.hide()
        self.button.start(
            f"Deep3D reads {source.name}",
            lambda stop: self._make(source, output, config, stop),
            self._on_end,
            self._on_event,
        )

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Notice):
            told = self.notice.text()
            self.notice.show_text(f"{told} {event.message[:1].upper()}{event.message[1:]}".strip())

    def _on_end(self, end: GridPair | Failed | Cancelled) -> None:
        if isinstance(end, Failed):
            self.message.show_text(end.sentence("Reading the frames"), RED)
        elif isinstance(end, Cancelled):
            self.message.show_text("Stopped; nothing was written.", "")
        else:
            self._made = end
            self.message.show_text(f"{end.name!r} is in {end.output.name}: {end.in_words()}.", "")
            self.train_button.show()

    def _on_train(self) -> None:
        made, self._made = self._made, None
        self.train_button.hide()
        if made is None:
            return
        folder, name = PairsFolder(made.output), made.name + WRITTEN_SUFFIX
        try:
            pair = LoadedPair(made.name, *(folder.volume(kind, name) for kind in KINDS))
        except InputError as error:
            self.message.show_text(str(error), RED)
            return
        self.pair_added.emit(pair)
        self.message.show_text(f"{made.name!r} is on the list of the Train tab.", "")


def _pair(source: StackSource, output: Path, config: GridFramesConfig, stop: Stop) -> Job[GridPair]:
    return pair_from_frames(source, output, config, stop=stop)
