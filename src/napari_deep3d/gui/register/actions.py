"""What can be made of a registration: an aligned pair, a layer with the PSF, a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.registration.result import Registration
from napari_deep3d.core.registration.warp import AlignedPair
from napari_deep3d.core.volume import Volume
from napari_deep3d.gui.register.aligned_layers import add_aligned, add_psf, align_all, channel_volume, other_channels
from napari_deep3d.gui.register.channel_list import ChannelList
from napari_deep3d.gui.register.peak import Peak
from napari_deep3d.gui.shared.geometry import LayerPair
from napari_deep3d.gui.shared.run_button import RunButton
from napari_deep3d.gui.shared.training_pairs import pair_name
from napari_deep3d.gui.shared.widgets import RED, Line
from napari_deep3d.gui.shared.worker import Cancelled, Failed
from napari_deep3d.jobs.pairs import LoadedPair
from napari_deep3d.jobs.registration_file import load_transform, save_transform

FILES = "Registration (*.json)"


class ResultActions(QWidget):
    """Buttons for a registration, and a line that says what they did.

    Attributes
    ----------
    loaded
        Signal, with a Registration that was read from a file.
    applied
        Signal: the aligned pair is there and its layers are added next; the overlay should leave.
    busy_changed
        Signal: alignment began or ended.
    pair_added
        Signal, with a LoadedPair that is to be trained on.
    """

    loaded = Signal(object)
    applied = Signal()
    busy_changed = Signal()
    pair_added = Signal(object)

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._pair: LayerPair | None = None
        self._peak: Peak | None = None
        self._aligned: LoadedPair | None = None
        self.channels, self.message = ChannelList(), Line()
        self.apply = RunButton("Apply: make an aligned pair")
        self.apply.button.setToolTip(
            "Two new layers whose voxels lie on each other; the stacks themselves stay as they are"
        )
        self.apply.asked.connect(self._on_apply)
        self.train_button = QPushButton("Add to training set")
        self.train_button.setToolTip("Put the aligned pair on the list of the Train tab")
        self.train_button.clicked.connect(self._on_train)
        self.psf_button = QPushButton("Show PSF")
        self.psf_button.setToolTip("Add the blur between the stacks as a layer, at true scale")
        self.psf_button.clicked.connect(self._on_psf)
        self.save_button = QPushButton("Save...")
        self.save_button.setToolTip("Write the registration to a file")
        self.save_button.clicked.connect(self._on_save)
        self.load_button = QPushButton("Load...")
        self.load_button.setToolTip("Use a registration from a file for these stacks")
        self.load_button.clicked.connect(self._on_load)
        row = QHBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for button in (self.psf_button, self.save_button, self.load_button):
            row.addWidget(button)
        for widget in (self.channels, self.apply, self.train_button):
            layout.addWidget(widget)
        layout.addLayout(row)
        layout.addWidget(self.message)

    def show_state(self, pair: LayerPair | None, peak: Peak | None, is_busy: bool) -> None:
        """Offer what can be done with a pair and its registration; nothing while another job runs."""
        self._pair, self._peak = pair, peak
        is_usable = peak is not None and not peak.registration.refusal
        if peak is None:
            self._aligned = None
        is_idle = not (is_busy or self.apply.is_running)
        others = [] if pair is None or peak is None else other_channels(self._viewer.layers, pair)
        if is_idle:
            self.channels.fill(others)
        self.channels.setEnabled(is_idle)
        self.apply.setVisible(peak is not None)
        self.apply.setEnabled(is_usable and not is_busy)
        self.train_button.setVisible(self._aligned is not None and is_idle)
        self.psf_button.setVisible(peak is not None)
        self.psf_button.setEnabled(peak is not None and peak.has_profiles)
        self.save_button.setVisible(peak is not None)
        self.save_button.setEnabled(is_usable)
        self.load_button.setEnabled(pair is not None and is_idle)

    def _on_apply(self) -> None:
        pair, peak = self._pair, self._peak
        if pair is None or peak is None:
            return
        channels = self.channels.ticked()
        try:
            stacks = [pair.confocal.volume, *(channel_volume(layer, pair) for layer in channels)]
        except InputError as error:
            self.message.show_text(str(error), RED)
            return
        self._aligned = None
        align = partial(align_all, stacks, pair.widefield.volume, peak.registration.transform)
        self.message.show_text("")
        finish = partial(self._on_applied, pair, channels, peak.registration)
        self.apply.start(f"Deep3D aligns {pair.confocal.layer.name}", align, finish)
        self.busy_changed.emit()

    def _on_applied(
        self,
        pair: LayerPair,
        channels: list[Image],
        registration: Registration,
        end: list[AlignedPair] | Failed | Cancelled,
    ) -> None:
        if isinstance(end, Failed):
            self.message.show_text(end.sentence("The alignment"), RED)
        elif isinstance(end, Cancelled):
            self.message.show_text("Stopped.", "")
        else:
            self.applied.emit()
            added = add_aligned(self._viewer, pair, channels, end, registration)
            self.message.show_text(f"{len(added)} aligned layers were added; the stacks themselves are hidden.", "")
            self._aligned = _loaded(pair, end[0])
        self.busy_changed.emit()

    def _on_train(self) -> None:
        pair, self._aligned = self._aligned, None
        self.train_button.hide()
        if pair is not None:
            self.pair_added.emit(pair)
            self.message.show_text(f"{pair.name!r} is on the list of the Train tab.", "")

    def _on_psf(self) -> None:
        if self._pair is not None and self._peak is not None:
            add_psf(self._viewer, self._pair, self._peak.estimate)

    def _on_save(self) -> None:
        if self._pair is None or self._peak is None:
            return
        proposal = f"{self._pair.confocal.layer.name} registration.json"
        name, _ = QFileDialog.getSaveFileName(self, "Save the registration", proposal, FILES)
        if name:
            try:
                path = save_transform(Path(name), self._peak.registration, overwrite=True)
            except InputError as error:
                self.message.show_text(str(error), RED)
            else:
                self.message.show_text(f"Saved {path.name}.", "")

    def _on_load(self) -> None:
        pair = self._pair
        if pair is None:
            return
        name, _ = QFileDialog.getOpenFileName(self, "Load a registration", "", FILES)
        if name:
            try:
                registration = load_transform(Path(name), pair.confocal.volume, pair.widefield.volume)
            except InputError as error:
                self.message.show_text(str(error), RED)
            else:
                self.message.show_text(f"Loaded {Path(name).name}.", "")
                self.loaded.emit(registration)


def _loaded(pair: LayerPair, aligned: AlignedPair) -> LoadedPair:
    """The aligned stacks as a pair to train on."""
    widefield, confocal = (
        Volume(data, aligned.spacing_um, name=stack.layer.name)
        for data, stack in ((aligned.widefield, pair.widefield), (aligned.confocal, pair.confocal))
    )
    return LoadedPair(pair_name(pair.widefield.layer.name), widefield, confocal)
