"""What can be made of a registration: an aligned pair, a layer with the PSF, a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget
from superqt import QCollapsible

from napari_deep3d.core import InputError, Volume
from napari_deep3d.core.registration.result import Registration
from napari_deep3d.core.registration.warp import AlignedPair
from napari_deep3d.gui.register.adjustment import AdjustedRegistration
from napari_deep3d.gui.register.aligned_layers import add_aligned, add_psf, channel_volume, other_channels
from napari_deep3d.gui.shared import (
    RED,
    Cancelled,
    Failed,
    LayerChecklist,
    LayerPair,
    Line,
    RunButton,
    pair_name,
    stack_up,
)
from napari_deep3d.jobs.pairs import LoadedPair
from napari_deep3d.jobs.register import align_stacks
from napari_deep3d.jobs.registration_file import load_transform, save_transform

if TYPE_CHECKING:
    from napari import Viewer

FILES = "Registration (*.json)"
CHANNELS_HEIGHT = 80
APPLY_TIP = "Two new layers whose voxels lie on each other; the stacks themselves stay as they are"


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

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._pair: LayerPair | None = None
        self._adjusted: AdjustedRegistration | None = None
        self._aligned: LoadedPair | None = None
        self.message = Line()
        self.channels = LayerChecklist(height=CHANNELS_HEIGHT)
        self.other_layers = QCollapsible("Apply to other layers")
        self.other_layers.setToolTip("Other channels of the confocal stack: Apply aligns those that are ticked too")
        self.other_layers.setContent(self.channels)
        self.other_layers.collapse(animate=False)
        self.apply = RunButton("Apply: make an aligned pair", APPLY_TIP)
        self.apply.asked.connect(self._on_apply)
        self.train_button = _button(
            "Add to training set", "Put the aligned pair on the list of the Train tab", self._on_train
        )
        self.psf_button = _button("Show PSF", "Add the blur between the stacks as a layer, at true scale", self._on_psf)
        self.save_button = _button("Save...", "Write the registration to a file", self._on_save)
        self.load_button = _button("Load...", "Use a registration from a file for these stacks", self._on_load)
        row = QHBoxLayout()
        for button in (self.psf_button, self.save_button, self.load_button):
            row.addWidget(button)
        stack_up(self, self.other_layers, self.apply, self.train_button, row, self.message)

    @property
    def is_aligning(self) -> bool:
        """Whether stacks are being aligned."""
        return self.apply.is_running

    def show_state(self, pair: LayerPair | None, adjusted: AdjustedRegistration | None, is_busy: bool) -> None:
        """Offer what can be done with a pair and its registration; nothing while another job runs."""
        self._pair, self._adjusted = pair, adjusted
        is_idle = not (is_busy or self.is_aligning)
        is_usable = adjusted is not None and adjusted.is_usable
        if adjusted is None:
            self._aligned = None
        if is_idle:
            self.channels.fill(() if pair is None or adjusted is None else other_channels(self._viewer.layers, pair))
            self.other_layers.setVisible(self.channels.count() > 0)
        self.other_layers.setEnabled(is_idle)
        for widget in (self.apply, self.psf_button, self.save_button):
            widget.setVisible(adjusted is not None)
        self.apply.allow(is_usable and not is_busy)
        self.train_button.setVisible(self._aligned is not None and is_idle)
        self.psf_button.setEnabled(adjusted is not None and adjusted.has_profiles)
        self.save_button.setEnabled(is_usable)
        self.load_button.setEnabled(pair is not None and is_idle)

    def clear_message(self) -> None:
        """Forget what was said of the last registration."""
        self.message.show_text("")

    def shut_down(self) -> None:
        """Stop aligning, since the dock goes."""
        self.apply.close_run()

    def _on_apply(self) -> None:
        pair, adjusted = self._pair, self._adjusted
        if pair is None or adjusted is None:
            return
        channels = self.channels.ticked()
        try:
            stacks = [pair.confocal.volume, *(channel_volume(layer, pair) for layer in channels)]
        except InputError as error:
            self.message.show_text(str(error), RED)
            return
        self._aligned = None
        self.clear_message()
        align = partial(align_stacks, stacks, pair.widefield.volume, adjusted.registration.transform)
        finish = partial(self._on_applied, pair, channels, adjusted.registration)
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
        if self._pair is not None and self._adjusted is not None:
            add_psf(self._viewer, self._pair, self._adjusted.estimate)

    def _on_save(self) -> None:
        if self._pair is None or self._adjusted is None:
            return
        proposal = f"{self._pair.confocal.layer.name} registration.json"
        name, _ = QFileDialog.getSaveFileName(self, "Save the registration", proposal, FILES)
        if name:
            try:
                path = save_transform(Path(name), self._adjusted.registration, overwrite=True)
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


def _button(text: str, tip: str, on_click: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.clicked.connect(on_click)
    return button


def _loaded(pair: LayerPair, aligned: AlignedPair) -> LoadedPair:
    """The aligned stacks as a pair to train on."""
    widefield, confocal = (
        Volume(data, aligned.spacing_um, name=stack.layer.name)
        for data, stack in ((aligned.widefield, pair.widefield), (aligned.confocal, pair.confocal))
    )
    return LoadedPair(pair_name(pair.widefield.layer.name), widefield, confocal)
