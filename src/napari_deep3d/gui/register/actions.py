"""What can be made of a registration: an aligned pair, a layer with the PSF, a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget
from superqt import QCollapsible

from napari_deep3d.core import InputError, Volume
from napari_deep3d.core.registration import AlignedPair
from napari_deep3d.gui.register.adjustment import AdjustedRegistration
from napari_deep3d.gui.register.overlay import CONFOCAL_COLOUR, WIDEFIELD_COLOUR
from napari_deep3d.gui.shared import (
    METADATA_KEY,
    RED,
    Cancelled,
    Failed,
    LayerChecklist,
    LayerPair,
    Line,
    RunButton,
    contrast_limits,
    find_axes,
    full_data,
    image_layers,
    is_result,
    pair_name,
    pick,
    place_part,
    stack_up,
)
from napari_deep3d.io.units import um_per_unit
from napari_deep3d.jobs.pairs import LoadedPair
from napari_deep3d.jobs.register import align_stacks, load_transform, save_transform

if TYPE_CHECKING:
    from napari import Viewer

FILES = "Registration (*.json)"
CHANNELS_HEIGHT = 80
APPLY_TIP = "Two new layers whose voxels lie on each other; the stacks themselves stay as they are"


class ResultActions(QWidget):
    """Buttons for a registration, and a line that says what they did."""

    loaded = Signal(object)  # a Registration that was read from a file
    applied = Signal()  # the aligned pair is there and its layers are added next; the overlay should leave
    busy_changed = Signal()  # alignment began or ended
    pair_added = Signal(object)  # a LoadedPair that is to be trained on

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
        confocal, channels = pair.confocal, self.channels.ticked()
        stacks = [confocal.volume]
        try:
            for layer in channels:
                data = pick(layer, find_axes(layer, confocal.axes.zyx[0]), confocal.index)
                stacks.append(Volume(data, confocal.volume.spacing_um, name=layer.name))
        except InputError as error:
            self.message.show_text(str(error), RED)
            return
        self._aligned = None
        self.clear_message()
        align = partial(align_stacks, stacks, pair.widefield.volume, adjusted.registration.transform)
        finish = partial(self._on_applied, pair, channels, adjusted)
        self.apply.start(f"Deep3D aligns {confocal.layer.name}", align, finish)
        self.busy_changed.emit()

    def _on_applied(
        self,
        pair: LayerPair,
        channels: list[Image],
        adjusted: AdjustedRegistration,
        end: list[AlignedPair] | Failed | Cancelled,
    ) -> None:
        if isinstance(end, Failed):
            self.message.show_text(end.sentence("The alignment"), RED)
        elif isinstance(end, Cancelled):
            self.message.show_text("Stopped.", "")
        else:
            dims, point = self._viewer.dims, self._viewer.dims.point
            self.applied.emit()
            added = add_aligned(self._viewer, pair, channels, end, adjusted)
            if len(point) == dims.ndim:  # layers that come and move take the sliders along
                dims.point = point
            self.message.show_text(f"{len(added)} aligned layers were added; the stacks themselves are hidden.", "")
            widefield, confocal = pair.widefield.layer.name, pair.confocal.layer.name
            self._aligned = LoadedPair(
                pair_name(widefield),
                Volume(end[0].widefield, end[0].spacing_um, name=widefield),
                Volume(end[0].confocal, end[0].spacing_um, name=confocal),
            )
        self.busy_changed.emit()

    def _on_train(self) -> None:
        pair, self._aligned = self._aligned, None
        self.train_button.hide()
        if pair is not None:
            self.pair_added.emit(pair)
            self.message.show_text(f"{pair.name!r} is on the list of the Train tab.", "")

    def _on_psf(self) -> None:
        if self._pair is not None and self._adjusted is not None:
            add_psf(self._viewer, self._pair, self._adjusted)

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


def other_channels(layers: Sequence[Layer], pair: LayerPair) -> list[Image]:
    """Layers of the confocal layer's shape, such as its other channels."""
    shape = full_data(pair.confocal.layer).shape
    both = (pair.confocal.layer, pair.widefield.layer)
    candidates = [layer for layer in image_layers(layers) if layer not in both and not layer.rgb]
    return [layer for layer in candidates if full_data(layer).shape == shape and not is_result(layer)]


def add_aligned(
    viewer: Viewer,
    pair: LayerPair,
    channels: Sequence[Image],
    aligned: Sequence[AlignedPair],
    adjusted: AdjustedRegistration,
) -> list[Image]:
    """Add the aligned pair and other channels as layers, where the wide-field layer lies, and hide what was aligned.

    ``aligned`` holds the confocal stack, then each of the ``channels``.
    """
    widefield, confocal = pair.widefield.layer, pair.confocal.layer
    inserted, properties = place_part(pair.widefield, aligned[0].origin_um)
    sources = [(widefield, aligned[0].widefield, WIDEFIELD_COLOUR), (confocal, aligned[0].confocal, CONFOCAL_COLOUR)]
    sources += [(layer, part.confocal, layer.colormap) for layer, part in zip(channels, aligned[1:], strict=True)]
    added = []
    for source, data, colour in sources:
        layer = viewer.add_image(
            np.expand_dims(data, inserted),
            name=f"{source.name} (aligned)",
            colormap=colour,
            blending="additive",
            contrast_limits=contrast_limits(data),
            metadata={METADATA_KEY: adjusted.registration.report()},
            **properties,
        )
        source.visible = False
        added.append(layer)
    return added


def add_psf(viewer: Viewer, pair: LayerPair, adjusted: AdjustedRegistration) -> Image:
    """Add the PSF of the estimate as a layer, at true scale, in the middle of what is seen now."""
    # 1. Its size, in um where an axis has a length
    inserted, properties = place_part(pair.widefield, (0.0, 0.0, 0.0))
    psf = adjusted.estimate.psf
    data = np.expand_dims(psf.values, inserted)
    scale = np.ones(data.ndim)
    scale[[axis for axis in range(data.ndim) if axis not in inserted]] = psf.step_um
    # 2. The middle of the picture, in the same units
    dims, camera = viewer.dims, viewer.scene.camera
    middle = np.array(dims.point, dtype=np.float64)
    for axis, place in zip(dims.displayed, camera.center[-dims.ndisplay :], strict=True):
        middle[axis] = place
    for axis, unit in enumerate(viewer.layers.extent.units or ()):
        middle[axis] *= um_per_unit(unit) or 1.0
    # 3. The layer
    return viewer.add_image(
        data,
        name=f"PSF ({pair.widefield.layer.name})",
        scale=scale,
        translate=middle[-data.ndim :] - (np.array(data.shape) - 1) / 2 * scale,
        units=["um" if axis not in inserted else properties["units"][axis] for axis in range(data.ndim)],
        axis_labels=properties["axis_labels"],
        colormap="gray",
        contrast_limits=(0.0, float(psf.values.max()) or 1.0),
        metadata={METADATA_KEY: adjusted.estimate.report()},
    )
