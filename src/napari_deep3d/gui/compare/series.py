"""Sliders for time point and channel, in place of napari's own, which the pictures cover."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QSlider, QWidget
from superqt.utils import signals_blocked

from napari_deep3d.gui.shared import find_axes, full_data, let_wheel_scroll_panel

if TYPE_CHECKING:
    from napari import Viewer


class SeriesSliders(QWidget):
    """A slider for each axis of the layers on show that is not Z, Y or X; they move napari's own."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._axes: dict[int, tuple[str, int]] = {}
        self.sliders: dict[int, QSlider] = {}
        self._labels: dict[int, QLabel] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self.hide()

    def show_layers(self, layers: Sequence[Image]) -> None:
        """Offer the axes of these layers, and show where they stand."""
        dims = self._viewer.dims
        axes = dict[int, tuple[str, int]]()
        for layer in layers:
            for axis, name in find_axes(layer).others.items():
                place, count = axis + dims.ndim - layer.ndim, int(full_data(layer).shape[axis])
                axes[place] = (name, max(count, axes.get(place, ("", 0))[1]))
        if axes != self._axes:
            self._axes = axes
            self._make()
        for place, slider in self.sliders.items():
            step = dims.current_step[place]
            with signals_blocked(slider):
                slider.setValue(step)
            self._labels[place].setText(f"{axes[place][0]} {step}")
        self.setVisible(bool(axes))

    def _make(self) -> None:
        for widget in (*self.sliders.values(), *self._labels.values()):
            self._grid.removeWidget(widget)
            widget.deleteLater()
        self.sliders, self._labels = {}, {}
        for row, (place, (_, count)) in enumerate(self._axes.items()):
            slider, label = QSlider(Qt.Orientation.Horizontal), QLabel()
            slider.setRange(0, count - 1)
            let_wheel_scroll_panel(slider)
            slider.valueChanged.connect(partial(self._on_moved, place))
            self._grid.addWidget(label, row, 0)
            self._grid.addWidget(slider, row, 1)
            self.sliders[place], self._labels[place] = slider, label

    def _on_moved(self, place: int, step: int) -> None:
        self._viewer.dims.set_current_step(place, step)
