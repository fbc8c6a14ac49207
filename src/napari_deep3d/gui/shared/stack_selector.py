"""Which stack to work on: the layer, and channel, time and Z axis where it has more than three axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtWidgets import QSpinBox, QWidget
from superqt.utils import signals_blocked

from napari_deep3d.core import InputError
from napari_deep3d.gui.shared.layers import LayerAxes, full_data, image_layers, list_events
from napari_deep3d.gui.shared.stack_selection import StackSelection
from napari_deep3d.gui.shared.widgets import Choice, make_form, stack_up

if TYPE_CHECKING:
    from napari import Viewer

Guess = Callable[[list[Image]], Image | None]
"""Tells which of the image layers is likely meant."""


class StackSelector(QWidget):
    """A form with the layer, and a row for each further choice that the layer needs.

    Parameters
    ----------
    viewer : napari.Viewer
        Its layers are offered.
    session : StackSelection
        Where the choice is kept.
    label, tip : str
        What the layer is called in the form, and its tool tip.
    guess : callable, optional
        Chooses a layer while the user has not; by default the active one, else the first that is visible.
    """

    def __init__(
        self,
        viewer: Viewer,
        session: StackSelection,
        label: str = "Stack",
        tip: str = "The wide-field stack to work on",
        guess: Guess | None = None,
    ) -> None:
        super().__init__()
        self._viewer, self._session = viewer, session
        self._guess = guess or self._guess_by_view
        self._rows: list[QWidget] = []
        self._boxes: dict[int, QSpinBox] = {}
        self._shown: tuple[Any, ...] = ()
        self.layer_choice = Choice(tip)
        self.layer_choice.currentIndexChanged.connect(self._on_layer_chosen)
        self._form = make_form({label: self.layer_choice})
        stack_up(self, self._form)
        self._events, self._dims_event = list_events(viewer), viewer.dims.events.point
        for event in self._events:
            event.connect(self._on_layers_changed)
        self._dims_event.connect(self._follow_sliders)
        session.changed.connect(self._show_choice)
        self._on_layers_changed()

    def images(self) -> list[Image]:
        """Return the image layers, as in napari's list."""
        return image_layers(self._viewer.layers)

    def disconnect_viewer(self) -> None:
        """Forget the viewer and the session."""
        for event in self._events:
            event.disconnect(self._on_layers_changed)
        self._dims_event.disconnect(self._follow_sliders)
        self._session.changed.disconnect(self._show_choice)

    def _on_layers_changed(self, _event: object = None) -> None:
        images = self.images()
        self.layer_choice.fill([(layer.name, layer) for layer in images], self._session.layer)
        if self._session.layer not in images:
            self._session.choose_layer(self._guess(images))
        else:
            self._session.changed.emit()

    def _guess_by_view(self, images: list[Image]) -> Image | None:
        """Return the active layer, else the first that is visible."""
        active = self._viewer.layers.selection.active
        if active in images and active.visible:
            return active
        visible = [layer for layer in images if layer.visible]
        return next(iter(visible or images), None)

    def _on_layer_chosen(self, _index: int) -> None:
        self._session.choose_layer(self.layer_choice.currentData())

    def _show_choice(self) -> None:
        """Show the layer that is chosen, and the rows that it needs if they are not there already."""
        layer = self._session.layer
        self.layer_choice.choose(layer)
        try:
            axes = None if layer is None else self._session.axes()
        except InputError:
            axes = None
        shown = (layer, axes)
        if shown == self._shown:
            return
        self._shown = shown
        self._remove_rows()
        if layer is not None and axes is not None:
            self._add_z_row(layer, axes)
            for axis, name in axes.others.items():
                self._add_index_row(layer, axis, name)
            self._follow_sliders()

    def _remove_rows(self) -> None:
        for widget in self._rows:  # deleted later: one of them may be telling of its change just now
            label = self._form.labelForField(widget)
            self._form.takeRow(widget)
            for part in (label, widget):
                if part is not None:
                    part.hide()
                    part.deleteLater()
        self._rows, self._boxes = [], {}

    def _add_z_row(self, layer: Image, axes: LayerAxes) -> None:
        if len(axes.z_choices) < 2:
            return
        choice = Choice("The layer does not say which of its axes are the planes (z)")
        shape = full_data(layer).shape
        choice.fill([(f"axis {i + 1} ({shape[i]} planes)", i) for i in axes.z_choices], axes.zyx[0])
        choice.currentIndexChanged.connect(lambda _index: self._session.update(z_axis=choice.currentData(), index={}))
        self._add_row("Planes (z)", choice)

    def _add_index_row(self, layer: Image, axis: int, name: str) -> None:
        count = full_data(layer).shape[axis]
        box = QSpinBox()
        box.setRange(0, count - 1)
        box.setSuffix(f" / {count - 1}")
        box.setToolTip(f"The {name} to work on, counted from 0; napari's slider goes with it")
        box.setValue(self._session.index.get(axis, 0))
        box.valueChanged.connect(lambda value: self._move_slider(axis, value))
        self._boxes[axis] = box
        self._add_row(name.capitalize(), box)

    def _move_slider(self, axis: int, value: int) -> None:
        """Show what is chosen: the slider moves, and the choice follows it."""
        layer, dims = self._session.layer, self._viewer.dims
        if layer is None:
            return
        position = np.asarray(layer.world_to_data(dims.point[-layer.ndim :]))
        position[axis] = value
        dims.set_point(axis + dims.ndim - layer.ndim, float(layer.data_to_world(position)[axis]))

    def _follow_sliders(self, _event: object = None) -> None:
        """Choose the channel and time point that are seen."""
        layer = self._session.layer
        if layer is None or not self._boxes:
            return
        position = np.asarray(layer.world_to_data(self._viewer.dims.point[-layer.ndim :]))
        nearest = {axis: round(float(position[axis])) for axis in self._boxes}
        index = {axis: min(max(nearest[axis], 0), box.maximum()) for axis, box in self._boxes.items()}
        for axis, box in self._boxes.items():
            with signals_blocked(box):
                box.setValue(index[axis])
        if index != self._session.index:
            self._session.update(index=index)

    def _add_row(self, label: str, widget: QWidget) -> None:
        self._form.addRow(label, widget)
        self._rows.append(widget)
