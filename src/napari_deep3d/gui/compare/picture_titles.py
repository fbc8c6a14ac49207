"""Titles in the pictures; napari itself writes the whole name of a layer there, whose end is cut off."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari.layers import Image

if TYPE_CHECKING:
    from napari import Viewer

log = logging.getLogger(__name__)


class PictureTitles:
    """Writes short titles where napari writes the names of layers, as long as it is asked to.

    The text cannot be reached by public names of napari. Where its private ones have changed, the names stay.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._titles: dict[Image, str] = {}

    def show(self, titles: Mapping[Image, str]) -> None:
        """Write these titles, and the names of other layers again."""
        for layer in self._titles.keys() - titles.keys():
            for event in (layer.events.visible, layer.events.name):
                event.disconnect(self._write)
            self._write_one(layer, layer.name)
        for layer in titles.keys() - self._titles.keys():
            for event in (layer.events.visible, layer.events.name):  # napari writes the name anew then
                event.connect(self._write, position="last")
        self._titles = dict(titles)
        self._write()

    def _write(self, _event: object = None) -> None:
        for layer, title in self._titles.items():
            self._write_one(layer, title)

    def _write_one(self, layer: Image, text: str) -> None:
        if layer not in self._viewer.layers:
            return
        try:
            visual = self._visual(layer)
            if visual is not None:
                visual.node.text = text
                visual._on_position_change()
        except (AttributeError, KeyError, TypeError):
            log.debug("no titles in the pictures", exc_info=True)

    def _visual(self, layer: Image) -> Any:
        """What draws the name of a layer; none while it is not drawn, or where there is no window."""
        viewer: Any = getattr(self._viewer, "__wrapped__", self._viewer)  # napari hands plugins a proxy
        window = getattr(viewer, "window", None)
        if window is None:
            return None
        return window._qt_viewer.canvas._layer_overlay_to_visual[layer].get(layer.name_overlay)
