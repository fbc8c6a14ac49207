"""Puts pairs on the list: those of a folder, two layers, or what was registered just now."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_deep3d.core import Event, Job, Progress, Stop
from napari_deep3d.gui.shared import (
    AMBER,
    RED,
    Cancelled,
    Failed,
    Line,
    Member,
    PairSelector,
    Run,
    close_all,
    close_with,
    guess_pair,
    job_of,
    make_member,
    pair_name,
    read_folder,
    stack_up,
    unlike,
)
from napari_deep3d.jobs.pairs import LoadedPair

if TYPE_CHECKING:
    from napari import Viewer

WHY = "The model notes for which voxel sizes it is made."
ADD = "Add this pair"
INDENT = 12
APART = (
    "These layers do not lie on each other in the window. If their voxels do, add them; else register them first "
    "(Register > Apply makes an aligned pair)."
)
FOLDER_TIP = "A folder that holds two, 'widefield' and 'confocal'; both stacks of a pair have the same file name"


class PairAdder(QWidget):
    """Buttons that add pairs; files are read in a worker."""

    found = Signal(object)  # a list of Members that are to go on the list
    removal_requested = Signal()  # the selected pairs are to be taken off the list

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._runs = set[Run]()
        close_with(self, self._runs)
        self.folder_button, self.layers_button = QPushButton("Add folder..."), QPushButton("Add layers...")
        self.folder_button.setToolTip(FOLDER_TIP)
        self.folder_button.clicked.connect(self._on_folder)
        self.layers_button.setToolTip("A wide-field and a confocal layer that are registered already")
        self.layers_button.setCheckable(True)
        self.layers_button.toggled.connect(self._refresh)
        self.remove_button = QPushButton("Remove")
        self.remove_button.setToolTip("Take the selected pairs off the list; files and layers stay")
        self.remove_button.clicked.connect(self.removal_requested)
        self.chooser = PairSelector(viewer, guess_registered, WHY, ADD)
        self.chooser.changed.connect(self._refresh)
        self.hint, self.reading, self.problem = Line(AMBER), Line(), Line(RED)
        self.add_button = QPushButton(ADD)
        self.add_button.setToolTip("Put these two layers on the list; their voxels are copied when the training starts")
        self.add_button.clicked.connect(self._on_layers)
        self._section = QWidget()
        stack_up(self._section, self.chooser, self.hint, self.add_button).setContentsMargins(INDENT, 0, 0, 0)
        row = QHBoxLayout()
        for button in (self.folder_button, self.layers_button, self.remove_button):
            row.addWidget(button)
        stack_up(self, row, self._section, self.reading, self.problem)
        self._refresh()

    def show_removal(self, is_possible: bool) -> None:
        """Offer to remove pairs where there are any."""
        self.remove_button.setVisible(is_possible)

    def add_folder(self, folder: Path) -> None:
        """Read a pairs folder and add what is in it."""
        self._read(f"Deep3D reads {folder.name}", lambda stop: read_folder(folder, stop))

    def add_pair(self, pair: LoadedPair) -> None:
        """Add a pair that is at hand."""
        self._read(f"Deep3D reads {pair.name}", lambda _stop: job_of(lambda: [make_member(pair)]))

    def shut_down(self) -> None:
        """Stop reading and forget the viewer, since the dock goes."""
        close_all(self._runs)
        self.chooser.changed.disconnect(self._refresh)
        self.chooser.disconnect_viewer()

    def _on_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of pairs, with 'widefield' and 'confocal' in it")
        if name:
            self.add_folder(Path(name))

    def _on_layers(self) -> None:
        self.chooser.apply_spacing()
        self.chooser.keep()
        pair = self.chooser.pair()
        if pair is not None:
            name = pair_name(pair.widefield.layer.name)
            self.add_pair(LoadedPair(name, pair.widefield.volume, pair.confocal.volume))
            self.layers_button.setChecked(False)

    def _refresh(self, _is_open: bool = False) -> None:
        self._section.setVisible(self.layers_button.isChecked())
        if not self.layers_button.isChecked():
            return
        pair, problem, is_usable = self.chooser.pair(), self.chooser.hint(), False
        if pair is not None:
            different = unlike(pair.widefield.volume, pair.confocal.volume)
            problem = different[:1].upper() + different[1:]
            is_usable = not problem
            if is_usable:  # are both drawn in the same place, to a voxel's half?
                size_um = np.array(pair.widefield.volume.require_spacing_um())
                corners = np.array([[0, 0, 0, 1], [*pair.widefield.volume.shape * size_um, 1]]).T
                moved = (np.asarray(pair.present_transform().matrix) @ corners - corners)[:3]
                if not (np.abs(moved).max(axis=1) < 0.5 * size_um).all():
                    problem = APART
        self.hint.show_text(problem)
        self.add_button.setEnabled(is_usable)

    def _read(self, name: str, make_job: Callable[[Stop], Job[list[Member]]]) -> None:
        run = Run(name, make_job)
        self._runs.add(run)
        run.happened.connect(self._on_event)
        run.ended.connect(partial(self._on_read, run))
        self.problem.show_text("")
        run.start()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.reading.show_text(event.message)

    def _on_read(self, run: Run, end: list[Member] | Failed | Cancelled) -> None:
        self._runs.discard(run)
        self.reading.show_text("")
        if isinstance(end, Failed):
            self.problem.show_text(end.sentence("Reading the pair"))
        elif not isinstance(end, Cancelled):
            self.found.emit(end)


def guess_registered(images: list[Image]) -> tuple[Image | None, Image | None]:
    """Tell the layers of a registered pair by their names: the newest aligned ones, if there are any."""
    aligned = [layer for layer in reversed(images) if "(aligned)" in layer.name]
    return guess_pair(aligned if len(aligned) > 1 else images)
