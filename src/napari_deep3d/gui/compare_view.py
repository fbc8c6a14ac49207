"""Stacks side by side in napari's canvas grid, and back to the view as it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from napari.layers import Image, Layer

from napari_deep3d.core.volume import Stack
from napari_deep3d.gui.layers import LayerAxes, contrast_limits, find_axes, full_data, pick

Orientation = Literal["x-y", "x-z", "y-z"]
Contrast = Literal["each", "common", "layers"]

SECTIONS: dict[Orientation, tuple[int, int, int]] = {"x-y": (0, 1, 2), "x-z": (1, 0, 2), "y-z": (2, 0, 1)}
"""Order of Z, Y, X on the screen: the first is gone through with the slider, then rows, then columns."""

GAP_PIXELS = 4


@dataclass(frozen=True)
class _LayerState:
    visible: bool
    has_name: bool
    limits: tuple[list[float], list[float]] | None

    @classmethod
    def of(cls, layer: Layer) -> _LayerState:
        limits = None
        if isinstance(layer, Image) and not layer.rgb:
            limits = (list(layer.contrast_limits_range), list(layer.contrast_limits))
        return cls(layer.visible, layer.name_overlay.visible, limits)

    def restore(self, layer: Layer) -> None:
        layer.name_overlay.visible = self.has_name
        if self.limits is not None:
            layer.contrast_limits = self.limits[1]
            layer.contrast_limits_range = self.limits[0]
        layer.visible = self.visible


class SideBySide:
    """Arranges layers side by side and puts everything back.

    Zoom and slice are linked, since napari's grid has one camera and one set of sliders.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._view: dict[str, Any] | None = None
        self._layers: dict[Layer, _LayerState] = {}

    @property
    def is_active(self) -> bool:
        """Whether the side by side view is on."""
        return self._view is not None

    def show(self, layers: Sequence[Image], orientation: Orientation, contrast: Contrast = "each") -> None:
        """Show these layers, in their order, and hide the others."""
        viewer = self._viewer
        if self._view is None:
            self._view = _view_state(viewer)
        for layer in viewer.layers:
            self._layers.setdefault(layer, _LayerState.of(layer))
            layer.visible = layer in layers
            layer.name_overlay.visible = layer in layers
        self._set_contrast(layers, contrast)
        self._cut(find_axes(layers[0]), layers[0].ndim, orientation)
        self._arrange(layers)
        bar = viewer.canvas.overlays.scale_bar
        bar.visible, bar.gridded = True, True
        viewer.fit_to_view(layers=list(layers))

    def leave(self) -> None:
        """Put the viewer back as it was before the first :meth:`show`."""
        if self._view is None:
            return
        for layer, state in self._layers.items():
            if layer in self._viewer.layers:
                state.restore(layer)
        view, self._view, self._layers = self._view, None, {}
        _restore_view(self._viewer, view)

    def _set_contrast(self, layers: Sequence[Image], contrast: Contrast) -> None:
        for layer in layers:  # back to the user's own first, from which the other choices start
            limits = self._layers[layer].limits
            if limits is not None:
                layer.contrast_limits = limits[1]
        if contrast == "layers":
            return
        found = {layer: contrast_limits(self._stack(layer)) for layer in layers}
        common = (min(low for low, _ in found.values()), max(high for _, high in found.values()))
        for layer in layers:
            layer.contrast_limits = common if contrast == "common" else found[layer]

    def _stack(self, layer: Image) -> Stack:
        """Return the stack of a layer where the sliders of its other axes stand."""
        steps = self._viewer.dims.current_step[-layer.ndim :]
        sizes = full_data(layer).shape
        index = {i: min(step, size - 1) for i, (step, size) in enumerate(zip(steps, sizes, strict=True))}
        return pick(layer, find_axes(layer), index)

    def _cut(self, axes: LayerAxes, ndim: int, orientation: Orientation) -> None:
        """Show a section through the middle of what is seen now."""
        dims, camera = self._viewer.dims, self._viewer.scene.camera
        seen = dict(zip(dims.displayed, camera.center[-dims.ndisplay :], strict=True))
        zyx = [axis + dims.ndim - ndim for axis in axes.zyx]
        section = [zyx[i] for i in SECTIONS[orientation]]
        dims.ndisplay = 2
        dims.order = [axis for axis in range(dims.ndim) if axis not in zyx] + section
        if section[0] in seen:
            dims.set_point(section[0], seen[section[0]])

    def _arrange(self, layers: Sequence[Image]) -> None:
        """Lay the grid out so that the pictures are as large as they can be."""
        viewer, count = self._viewer, len(layers)
        height, width = (_extent(layers, axis - viewer.dims.ndim) for axis in viewer.dims.displayed)
        canvas_height, canvas_width = viewer.canvas.size

        def zoom(rows: int) -> float:
            columns = math.ceil(count / rows)
            return float(min(canvas_height / rows / height, canvas_width / columns / width))

        rows = max(range(1, count + 1), key=zoom)
        grid = viewer.canvas.grid
        grid.stride, grid.shape, grid.spacing = 1, (rows, math.ceil(count / rows)), GAP_PIXELS
        grid.enabled = True


def _extent(layers: Sequence[Image], axis: int) -> float:
    """Largest extent of layers along a world axis, counted from the last one."""
    return max(float(np.ptp(layer.extent.world[:, axis])) for layer in layers if layer.ndim >= -axis) or 1.0


def _view_state(viewer: Any) -> dict[str, Any]:
    grid, dims, camera = viewer.canvas.grid, viewer.dims, viewer.scene.camera
    bar = viewer.canvas.overlays.scale_bar
    return {
        "grid": {name: getattr(grid, name) for name in ("stride", "shape", "spacing", "enabled")},
        "dims": {name: getattr(dims, name) for name in ("ndisplay", "order", "point")},
        "bar": {name: getattr(bar, name) for name in ("visible", "gridded")},
        "camera": {name: getattr(camera, name) for name in ("center", "zoom", "angles")},
        "ndim": dims.ndim,
    }


def _restore_view(viewer: Any, view: dict[str, Any]) -> None:
    targets = {
        "grid": viewer.canvas.grid,
        "dims": viewer.dims,
        "bar": viewer.canvas.overlays.scale_bar,
        "camera": viewer.scene.camera,  # last: the others move it
    }
    if view["ndim"] != viewer.dims.ndim:  # layers of other dimensions came or went: their axes are not these
        view["dims"] = {"ndisplay": view["dims"]["ndisplay"], "order": tuple(range(viewer.dims.ndim))}
    for key, target in targets.items():
        for name, value in view[key].items():
            setattr(target, name, value)
