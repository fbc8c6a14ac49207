"""Predicting the stacks of a folder: the button in the panel, and the window that it opens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from napari_deep3d.core import BatchRow, Event, InputError, Job, PredictConfig, Progress, Spacing
from napari_deep3d.gui.predict.choices import Session
from napari_deep3d.gui.predict.folder_table import BatchTable
from napari_deep3d.gui.shared import (
    AMBER,
    RED,
    Cancelled,
    Choice,
    CountField,
    Failed,
    Line,
    NumberField,
    RunButton,
    format_seconds,
    make_form,
    stack_up,
)
from napari_deep3d.jobs.predict.folder import PredictedFolder, predict_folder
from napari_deep3d.jobs.predict.folder_items import ResultSuffix, Wanted

PredictFolder = Callable[..., Job[PredictedFolder]]
"""As :func:`~napari_deep3d.jobs.predict.folder.predict_folder`."""
SIZE = (930, 600)
FIELD_WIDTH = 135
ENDING = "_confocal-like"
"""Behind the name of the folder of the stacks, in the proposal of the other."""
BUTTON_TIP = "Predict all stacks of a folder into another folder: files, positions, channels and time points"
START_TIP = "Predict all stacks of the folder. Results that are there already are not made again"
STOP_TIP = "Stop now; what is finished is kept, and Predict folder goes on there later"
SUFFIXES: list[tuple[str, ResultSuffix]] = [("OME-TIFF", ".ome.tif"), ("OME-Zarr", ".ome.zarr")]
SIZE_TIP = "Voxel size in um for all files, if they have none or a wrong one: {} (0.2, 0,2, 200 nm)"
REPLACE = "Replace outdated results"
REPLACE_TIP = "Results whose input or settings have changed are made again; without it they are kept, and listed"


class FolderPart(QWidget):
    """The button, and a line that says how far it is while the window is closed.

    ``session`` has the options; ``predict`` makes the job.
    """

    shown = Signal()
    """The window was opened or closed."""

    def __init__(self, session: Session, predict: PredictFolder = predict_folder) -> None:
        super().__init__()
        self.button, self.line = QPushButton("Predict a folder..."), Line()
        self.button.setToolTip(BUTTON_TIP)
        self.button.clicked.connect(self.open)
        stack_up(self, self.button, self.line)
        self.window_ = FolderWindow(session, predict, self)
        self.window_.told.connect(self.line.show_text)
        self.window_.shown.connect(self.shown)

    def open(self) -> None:
        """Show the window, in front."""
        self.window_.show()
        self.window_.raise_()
        self.window_.activateWindow()

    @property
    def is_open(self) -> bool:
        """Whether the window is there."""
        return self.window_.isVisible()

    def under_way(self) -> str:
        """What runs, and what is kept of it if it is closed; empty if nothing runs."""
        return self.window_.under_way()

    def shut_down(self) -> None:
        """Stop what runs, keep what is finished, and close the window."""
        self.blockSignals(True)
        self.window_.run_button.close_run()
        self.window_.close()


class FolderWindow(QDialog):
    """Two folders, what of the files, a button that starts, and the table."""

    told = Signal(str)
    """How far it is, or how it ended."""
    shown = Signal()
    """The window was opened or closed."""
    result_requested = Signal(object)
    """The file with a result is to be opened; its path."""

    def __init__(self, session: Session, predict: PredictFolder, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Deep3D: predict a folder")
        self.resize(*SIZE)
        self._session, self._predict, self._output = session, predict, Path()
        # 1. The folders.
        self.source = FolderField("Folder of the stacks", "All stacks in it are predicted; folders within it are not")
        self.output = FolderField("Folder for the results", "It is made if it is not there; never that of the stacks")
        self.source.changed.connect(self._propose)
        # 2. What of them, and how.
        self.suffix = Choice("What the results are written as; both keep voxel size and position")
        self.suffix.fill(SUFFIXES, SUFFIXES[0][1])
        self.channel = CountField(-1, 999, "The channel to predict, counted from 0; each has a result of its own")
        self.channel.setSpecialValueText("all")
        self.channel.setValue(-1)
        self.z_um, self.xy_um = (
            NumberField(0, 100, "um", decimals=4, at_low="from file", tip=SIZE_TIP.format(what))
            for what in ("distance between planes", "size of a pixel")
        )
        self.replace = QCheckBox(REPLACE)
        self.replace.setToolTip(REPLACE_TIP)
        choices = QHBoxLayout()
        rows = {"Files": self.suffix, "Channel": self.channel, "Voxel size z": self.z_um, "x, y": self.xy_um}
        for text, field in rows.items():
            choices.addWidget(QLabel(text))
            field.setFixedWidth(FIELD_WIDTH)
            choices.addWidget(field)
            choices.addSpacing(10)
        choices.addStretch()
        self.how = Line()
        # 3. The run.
        self.run_button = RunButton("Predict folder", START_TIP, stop_tip=STOP_TIP)
        self.run_button.asked.connect(self._start)
        self.message, self.table = Line(), BatchTable()
        self.table.opened.connect(self._open)
        self.open_button = QPushButton("Open result")
        self.open_button.setToolTip("Open the result of the selected stack in napari; a double click does so, too")
        self.open_button.clicked.connect(lambda: self._open(self.table.selected()))
        self.counts = QLabel()
        below = QHBoxLayout()
        below.addWidget(self.counts)
        below.addStretch()
        below.addWidget(self.open_button)
        self._folders, self._choices = QWidget(), QWidget()
        stack_up(self._folders, make_form({"Stacks in": self.source, "Results to": self.output}))
        stack_up(self._choices, choices, self.replace)
        layout = stack_up(self, self._folders, self._choices, self.how, self.run_button, self.message)
        layout.addWidget(self.table, stretch=1)
        layout.addLayout(below)
        layout.setContentsMargins(10, 10, 10, 10)
        for button in self.findChildren(QPushButton):  # Enter takes a number, and starts nothing
            button.setAutoDefault(False)
        session.changed.connect(self._show_how)
        self._show_how()
        self._show_counts()

    def setVisible(self, visible: bool) -> None:  # noqa: N802
        """Tell that the window was opened or closed; what runs goes on."""
        super().setVisible(visible)
        self.shown.emit()

    def under_way(self) -> str:
        """What runs, and what is kept of it; empty if nothing runs."""
        if not self.run_button.is_running:
            return ""
        return f"The stacks of {self.source.path().name!r} are being predicted; what is finished is kept."

    def config(self) -> PredictConfig:
        """How to predict: as the panel has it, with the voxel size of this window; InputError if that is not whole."""
        z, xy = self.z_um.value(), self.xy_um.value()
        if bool(z) != bool(xy):
            raise InputError("Of the voxel size one number is missing. Enter z and x, y, or neither.")
        spacing_um: Spacing | None = (z, xy, xy) if z else None
        return self._session.config(spacing_um=spacing_um)

    def _propose(self) -> None:
        """Propose a folder for the results, unless the user has given one."""
        source, own = self.source.path(), self.output.text()
        if not own or Path(own).name.endswith(ENDING):
            self.output.show_path(source.with_name(source.name + ENDING))

    def _show_how(self) -> None:
        session = self._session
        quality = "best quality, with the estimated error" if session.uncertainty else f"{session.quality} quality"
        advanced = "".join(f", {name.removesuffix('_bytes')} {value}" for name, value in session.advanced.items())
        how = f"Model {Path(session.model).stem}, {quality}, deepest plane {session.deepest}{advanced}"
        self.how.show_text(f"{how}: as chosen in the Predict tab. Each position and channel, all time points.")

    def _start(self) -> None:
        source, output = self.source.path(), self.output.path()
        try:
            if not self.source.text() or not self.output.text():
                raise InputError("Choose the folder of the stacks, and one for the results.")
            config = self.config()
        except InputError as error:
            self.message.show_text(str(error), RED)
            return
        channel = self.channel.value()
        job = partial(
            self._predict,
            source,
            output,
            config,
            Wanted(None if channel < 0 else channel),
            suffix=self.suffix.currentData(),
            overwrite=self.replace.isChecked(),
        )
        self._output = output
        self.message.show_text("")
        self.table.clear()
        self.run_button.start(
            f"Deep3D predicts the stacks of {source.name}", lambda stop: job(stop=stop), self._on_ended, self._on_event
        )
        self._refresh()

    def _refresh(self) -> None:
        for part in (self._folders, self._choices):
            part.setEnabled(not self.run_button.is_running)
        self._show_counts()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, BatchRow):
            self.table.put(event)
            self._show_counts()
        elif isinstance(event, Progress):
            self.told.emit(f"Folder: {event.message.partition(':')[0]}, {self.run_button.bar.format()}")

    def _on_ended(self, end: PredictedFolder | Failed | Cancelled) -> None:
        short, style = "stopped", AMBER
        text = "Stopped before anything was begun."
        if isinstance(end, Failed):
            short, text, style = "ended with an error", end.sentence("The batch"), RED
        elif isinstance(end, PredictedFolder):
            short = end.in_words() if end.complete else f"stopped, {end.in_words()}"
            text, style = f"{end.in_words()}, in {format_seconds(end.seconds)}. Table: {end.table}", ""
            if end.count("outdated"):
                text += f". What is outdated was kept; tick {REPLACE!r} to make it again"
            if end.not_done or not end.complete:
                style = AMBER
            if not end.complete:
                text = f"Stopped. {text}. Predict folder goes on where it ended."
        self.message.show_text(text, style)
        self.told.emit(f"Folder: {short}")
        self._refresh()

    def _show_counts(self) -> None:
        rows = self.table.batch.rows
        over = sum(row.state not in ("waiting", "running") for row in rows)
        failed = sum(row.state == "failed" for row in rows)
        self.counts.setText(f"{over} of {len(rows)} stacks, {failed} failed" if rows else "")
        self.open_button.setEnabled(bool(rows))

    def _open(self, row: BatchRow | None) -> None:
        if row is not None and row.output and (self._output / row.output).exists():
            self.result_requested.emit(self._output / row.output)


class FolderField(QWidget):
    """A field for the name of a folder, and a button to choose one."""

    changed = Signal()
    """Another folder was chosen or typed."""

    def __init__(self, title: str, tip: str) -> None:
        super().__init__()
        self._title = title
        self.field, self.button = QLineEdit(), QPushButton("Choose...")
        self.field.setToolTip(tip)
        self.field.editingFinished.connect(self.changed)
        self.button.setToolTip(tip)
        self.button.clicked.connect(self._on_choose)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.field)
        row.addWidget(self.button)

    def text(self) -> str:
        """What stands in the field."""
        return self.field.text().strip()

    def path(self) -> Path:
        """The folder."""
        return Path(self.text()).expanduser()

    def show_path(self, path: Path) -> None:
        """Show a folder, without telling of it."""
        self.field.setText(str(path))

    def _on_choose(self) -> None:
        name = QFileDialog.getExistingDirectory(self, self._title, self.text())
        if name:
            self.show_path(Path(name))
            self.changed.emit()
