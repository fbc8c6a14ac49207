"""The values of all pictures at the place under the mouse."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtWidgets import QLabel, QSizePolicy

from napari_deep3d.gui.shared import find_axes
from napari_deep3d.io.units import um_per_unit

if TYPE_CHECKING:
    from napari import Viewer

TIP = (
    "What each stack holds at the place under the mouse, whichever picture that is in; beside it, where that lies "
    "between the darkest (0) and the brightest (1) that its picture shows"
)
NOTHING = "-"


class Readout(QLabel):
    """A table that follows the mouse: title, value, and the value between the contrast limits."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._titles: dict[Image, str] = {}
        self.setToolTip(TIP)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.hide()

    def layers(self) -> list[Image]:
        """Return the layers of which the values are shown."""
        return list(self._titles)

    def show_layers(self, titles: Mapping[Image, str]) -> None:
        """Follow the mouse, and show these layers by these titles; none hides the table."""
        moved = self._viewer.cursor.events.position
        if titles and not self._titles:
            moved.connect(self.refresh)
        elif self._titles and not titles:
            moved.disconnect(self.refresh)
        self._titles = dict(titles)
        self.setVisible(bool(titles))
        self.refresh()

    def refresh(self, _event: object = None) -> None:
        """Read the values where the mouse is now."""
        if not self._titles:
            return
        position = np.asarray(self._viewer.cursor.position, dtype=np.float64)
        rows = [(title, *_values(layer, position)) for layer, title in self._titles.items()]
        cells = "".join(
            f"<tr><td>{escape(title)}</td><td align='right'>&nbsp;&nbsp;<b>{value}</b></td>"
            f"<td align='right'>&nbsp;&nbsp;{share}</td></tr>"
            for title, value, share in rows
        )
        place = _place(next(iter(self._titles)), position)
        self.setText(f"{place}<table cellspacing='0'>{cells}</table>")


def _values(layer: Image, position: np.ndarray[Any, Any]) -> tuple[str, str]:
    """Value at a place in the window, and where it is between the contrast limits, for people."""
    value = layer.get_value(position, world=True) if layer.visible and len(position) >= layer.ndim else None
    if layer.multiscale and value is not None:
        value = value[1]  # the first is the level
    if value is None:
        return NOTHING, NOTHING
    low, high = layer.contrast_limits
    text = str(int(value)) if np.issubdtype(layer.dtype, np.integer) else f"{float(value):.4g}"
    return text, f"{(float(value) - low) / (high - low):.2f}"


def _place(layer: Image, position: np.ndarray[Any, Any]) -> str:
    """The place along Z, Y, X in um, or in the window's units where the layer is in pixels."""
    if len(position) < layer.ndim:
        return NOTHING
    axes = find_axes(layer).zyx
    sizes_um = [um_per_unit(layer.units[axis]) for axis in axes]
    values = [position[axis - layer.ndim] * (size or 1.0) for axis, size in zip(axes, sizes_um, strict=True)]
    unit = "voxels" if None in sizes_um else "um"
    return ", ".join(f"{name} {value:.2f}" for name, value in zip("zyx", values, strict=True)) + f" {unit}"
