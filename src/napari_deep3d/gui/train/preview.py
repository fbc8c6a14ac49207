"""Layers that show what a training can do now, side by side, and the view as it was before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.ndimage as ndi
from napari.layers import Image, Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_deep3d.core import FloatArray, Preview, zyx
from napari_deep3d.gui.shared import TEMPORARY, Orientation, contrast_limits
from napari_deep3d.gui.train.side_by_side import SideBySide

if TYPE_CHECKING:
    from napari import Viewer

KINDS = ("widefield", "prediction", "confocal")
NAMES = {
    "widefield": "wide-field (test region)",
    "prediction": "prediction (test region)",
    "confocal": "confocal (test region)",
}
ANOTHER_FIELD = "confocal (another field)"


SMOOTHED = (3, 9, 9)
"""Voxels (Z, Y, X) that are averaged to find structure."""


class PreviewView(QObject):
    """Three layers in the viewer, which go when the view is left."""

    left = Signal()  # the user took one of its layers away, so the view was left

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._side_by_side = SideBySide(viewer, self._on_lost)
        self._layers: list[Image] = []
        self._selected: set[Layer] = set()
        self._orientation: Orientation | None = None
        self._removed = viewer.layers.events.removed

    @property
    def is_active(self) -> bool:
        """Whether the view is on."""
        return self._side_by_side.is_active

    def show(self, preview: Preview, orientation: Orientation) -> None:
        """Show a preview; the layers are made if they are not there."""
        arrays = [getattr(preview, kind) for kind in KINDS]
        if self.is_active and self._layers[0].data.shape != arrays[0].shape:
            self.leave()
        if not self.is_active:
            self._enter(preview)
        elif self._layers[1].data is not arrays[1]:
            self._layers[1].data = arrays[1]
        if orientation != self._orientation:
            is_new, self._orientation = self._orientation is None, orientation
            self._side_by_side.show(self._layers, orientation)
            layer, dims = self._layers[0], self._viewer.dims
            if is_new:
                point = layer.data_to_world(where_structure_is(preview.confocal))
                dims.set_point([dims.ndim - 3 + axis for axis in range(3)], [float(place) for place in point])

    def leave(self) -> None:
        """Put the view back as it was; the layers go."""
        if not self.is_active:
            return
        self._removed.disconnect(self._on_removed)
        before, viewer = self._side_by_side.leave(), self._viewer
        leaving, self._layers, self._orientation = self._layers, [], None
        for layer in leaving:
            if layer in viewer.layers:
                viewer.layers.remove(layer)
        if before is not None:  # napari moves the view when layers go
            before.restore_view()
        viewer.layers.selection = {layer for layer in self._selected if layer in viewer.layers}
        self._selected = set()

    def _enter(self, preview: Preview) -> None:
        viewer = self._viewer
        self._side_by_side.remember()
        self._selected = set(viewer.layers.selection)
        limits = contrast_limits(preview.confocal)
        place = {"scale": preview.spacing_um, "units": ("um",) * 3} if preview.spacing_um is not None else {}
        for kind in KINDS:
            data = getattr(preview, kind)
            layer = viewer.add_image(
                data,
                name=NAMES[kind] if kind != "confocal" or preview.same_field else ANOTHER_FIELD,
                axis_labels=("z", "y", "x"),
                colormap="gray",
                contrast_limits=contrast_limits(data) if kind == "widefield" else limits,
                metadata={TEMPORARY: True},
                **place,
            )
            self._layers.append(layer)
        self._removed.connect(self._on_removed)

    def _on_removed(self, event: Any) -> None:
        if event.value in self._layers:
            QTimer.singleShot(0, self._on_lost)

    def _on_lost(self) -> None:
        if self.is_active:
            self.leave()
            self.left.emit()


def where_structure_is(confocal: FloatArray) -> tuple[int, int, int]:
    """The brightest place (Z, Y, X) of a confocal stack, noise averaged out; its middle if all is equally bright."""
    smooth = ndi.uniform_filter(confocal, SMOOTHED, mode="nearest")
    place = np.argwhere(smooth == smooth.max())
    middle = np.array(smooth.shape) // 2
    return zyx(int(index) for index in place[np.abs(place - middle).sum(axis=1).argmin()])
