"""Stacks side by side in napari's canvas grid, and back to the view as it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image

from napari_deep3d.gui.shared import Before, Orientation, cut, find_axes

if TYPE_CHECKING:
    from napari import Viewer

GAP_PIXELS = 4
MARGIN = 0.95


class SideBySide:
    """Arranges layers side by side and puts everything back; napari's grid has one camera and one set of sliders.

    Parameters
    ----------
    viewer : Viewer
    on_grid_off : callable
        Called when the user switches napari's grid off meanwhile.
    """

    def __init__(self, viewer: Viewer, on_grid_off: Callable[[], object]) -> None:
        self._viewer, self._on_grid_off = viewer, on_grid_off
        self._before: Before | None = None
        self._shown: tuple[list[Image], Orientation] | None = None

    @property
    def is_active(self) -> bool:
        """Whether the side by side view is on."""
        return self._before is not None

    def remember(self) -> Before:
        """Remember the view as it is now, unless one is already: for who adds layers before :meth:`show`."""
        if self._before is None:
            self._before = Before(self._viewer)
            self._viewer.canvas.grid.events.enabled.connect(self._on_grid)
        return self._before

    def show(self, layers: Sequence[Image], orientation: Orientation) -> None:
        """Show these layers, in their order, and hide the others; InputError if one is no stack.

        Zoom and place stay where the section and the layers do; all sections go through one point.
        """
        viewer, before = self._viewer, self.remember()
        for layer in viewer.layers:
            before.note(layer)
            layer.visible = layer in layers
            layer.name_overlay.visible = layer in layers

        # 1. The section, and cells of the grid for it.
        earlier, self._shown = self._shown, (list(layers), orientation)
        if earlier == self._shown:
            return
        if earlier is None or earlier[1] != orientation:
            cut(viewer, find_axes(layers[0]), layers[0].ndim, orientation, keeps_point=earlier is not None)
        self._arrange(layers)
        bar = viewer.canvas.overlays.scale_bar
        bar.visible, bar.gridded = True, True

        # 2. Zoom so that the layers fill their cells.
        ndim = viewer.dims.ndim
        if all(layer.ndim == ndim for layer in layers):
            viewer.fit_to_view(layers=list(layers))
            return
        # napari 0.9.2 cannot fit layers of fewer axes than the window has
        axes = [axis - ndim for axis in viewer.dims.displayed]
        ends = np.array([layer.extent.world[:, axes] for layer in layers])  # from voxel centre to voxel centre
        voxel = np.max([layer.extent.step[axes] for layer in layers], axis=0)
        low, high = ends.min(axis=(0, 1)), ends.max(axis=(0, 1))
        viewer.scene.camera.center = [float(middle) for middle in (low + high) / 2]
        sizes = high - low + voxel
        viewer.scene.camera.zoom = MARGIN * float(min(np.array(viewer.canvas.viewbox_size(viewer.layers)) / sizes))

    def leave(self) -> Before | None:
        """Put the viewer back as it was before the first :meth:`show`; return what was put back."""
        before, self._before, self._shown = self._before, None, None
        if before is not None:
            self._viewer.canvas.grid.events.enabled.disconnect(self._on_grid)
            before.restore()
        return before

    def _on_grid(self, _event: object = None) -> None:
        if not self._viewer.canvas.grid.enabled:
            self._on_grid_off()

    def _arrange(self, layers: Sequence[Image]) -> None:
        """Lay the grid out so that the pictures are as large as they can be."""
        viewer, count = self._viewer, len(layers)
        seen = [axis - viewer.dims.ndim for axis in viewer.dims.displayed]  # counted from the last axis, as layers are
        extents = [
            max(float(np.ptp(layer.extent.world[:, axis])) for layer in layers if layer.ndim >= -axis) for axis in seen
        ]
        height, width = (extent or 1.0 for extent in extents)
        canvas_height, canvas_width = viewer.canvas.size

        def zoom(rows: int) -> float:
            columns = math.ceil(count / rows)
            return float(min(canvas_height / rows / height, canvas_width / columns / width))

        rows = max(range(1, count + 1), key=zoom)
        grid = viewer.canvas.grid
        grid.stride, grid.shape, grid.spacing = 1, (rows, math.ceil(count / rows)), GAP_PIXELS
        grid.enabled = True
