"""What a special view changes in the window, remembered so that it can be put back; and how to cut a section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari.layers import Image, Layer

from napari_deep3d.gui.shared.layers import LayerAxes

if TYPE_CHECKING:
    from napari import Viewer

Orientation = Literal["x-y", "x-z", "y-z"]

SECTIONS: dict[Orientation, tuple[int, int, int]] = {"x-y": (0, 1, 2), "x-z": (1, 0, 2), "y-z": (2, 0, 1)}
"""Order of Z, Y, X on the screen: the first is gone through with the slider, then rows, then columns."""


@dataclass(frozen=True)
class LayerState:
    """How a layer looked: whether it was seen, its name overlay, its contrast, and further attributes by name."""

    visible: bool
    has_name: bool
    limits: tuple[list[float], list[float]] | None
    looks: dict[str, Any]

    @classmethod
    def of(cls, layer: Layer, looks: tuple[str, ...] = ()) -> LayerState:
        """Remember a layer."""
        limits = None
        if isinstance(layer, Image) and not layer.rgb:
            limits = (list(layer.contrast_limits_range), list(layer.contrast_limits))
        seen = {name: getattr(layer, name) for name in looks if hasattr(layer, name)}
        return cls(layer.visible, layer.name_overlay.visible, limits, seen)

    def restore(self, layer: Layer) -> None:
        """Make the layer look as it did."""
        layer.name_overlay.visible = self.has_name
        if self.limits is not None:
            layer.contrast_limits = self.limits[1]
            layer.contrast_limits_range = self.limits[0]
        for name, value in self.looks.items():
            setattr(layer, name, value)
        layer.visible = self.visible


class Before:
    """The window before a special view: sections, camera, grid and scale bar at once, layers by :meth:`note`."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._view = _view_state(viewer)
        self._layers: dict[Layer, LayerState] = {}

    def note(self, layer: Layer, looks: tuple[str, ...] = ()) -> LayerState:
        """Remember how a layer looks, unless it is known already; return what is remembered."""
        if layer not in self._layers:
            self._layers[layer] = LayerState.of(layer, looks)
        return self._layers[layer]

    def restore(self, keeps_section: bool = False) -> None:
        """Put everything back, or all but the section, its place and the zoom."""
        for layer, state in self._layers.items():
            if layer in self._viewer.layers:
                state.restore(layer)
        self.restore_view(keeps_section)

    def restore_view(self, keeps_section: bool = False) -> None:
        """Put grid and scale bar back, and the sections and the camera unless they are to stay."""
        viewer, view = self._viewer, self._view
        if view["ndim"] != viewer.dims.ndim:  # layers of other dimensions came or went: their axes are not these
            view = view | {"dims": {"ndisplay": view["dims"]["ndisplay"], "order": tuple(range(viewer.dims.ndim))}}
        targets = {
            "grid": viewer.canvas.grid,
            "dims": viewer.dims,
            "bar": viewer.canvas.overlays.scale_bar,
            "camera": viewer.scene.camera,  # last: the others move it
        }
        for key, target in targets.items():
            if keeps_section and key in ("dims", "camera"):
                continue
            for name, value in view[key].items():
                setattr(target, name, value)


def cut(viewer: Viewer, axes: LayerAxes, ndim: int, orientation: Orientation, keeps_point: bool = False) -> None:
    """Show a section of a layer with these axes, through the middle of what is seen now.

    With ``keeps_point`` it goes through the point where the sliders stand, so that there and back is the same section.
    """
    dims, camera = viewer.dims, viewer.scene.camera
    seen = dict(zip(dims.displayed, camera.center[-dims.ndisplay :], strict=True))
    zyx = [axis + dims.ndim - ndim for axis in axes.zyx]
    section = [zyx[i] for i in SECTIONS[orientation]]
    dims.ndisplay = 2
    dims.order = [axis for axis in range(dims.ndim) if axis not in zyx] + section
    if section[0] in seen and not keeps_point:
        dims.set_point(section[0], seen[section[0]])


def _view_state(viewer: Viewer) -> dict[str, Any]:
    grid, dims, camera = viewer.canvas.grid, viewer.dims, viewer.scene.camera
    bar = viewer.canvas.overlays.scale_bar
    return {
        "grid": {name: getattr(grid, name) for name in ("stride", "shape", "spacing", "enabled")},
        "dims": {name: getattr(dims, name) for name in ("ndisplay", "order", "point")},
        "bar": {name: getattr(bar, name) for name in ("visible", "gridded")},
        "camera": {name: getattr(camera, name) for name in ("center", "zoom", "angles")},
        "ndim": dims.ndim,
    }
