"""What belongs to napari's main window rather than to the dock: it stays while docks come and go."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QMainWindow, QWidget

if TYPE_CHECKING:
    from napari import Viewer

    from napari_deep3d.gui.shared import Member


class Companion(QObject):
    """A child of napari's main window, one for each: keeps its canvas from crashing, and a closed dock's pairs.

    napari deletes what a removed layer had on the graphics card at once, in whatever OpenGL context is current then
    (napari 0.9.2, ``VispyCanvas._clean_and_update_scenegraph``). In another context than the canvas's, the same numbers
    may belong to layers that are still there, and the next drawing ends in a segmentation fault. So the canvas's
    context is made current first.

    Attributes
    ----------
    pairs : list of (Member, bool)
        Pairs to train on, and whether each is kept for testing, of a dock that was closed.
    """

    def __init__(self, viewer: Viewer, window: QMainWindow) -> None:
        super().__init__(window)
        self.pairs: list[tuple[Member, bool]] = []
        centre = window.centralWidget()
        self._canvas = None if centre is None else centre.findChild(QOpenGLWidget)
        for event in (viewer.layers.events.removing, viewer.layers.events.end_batch):
            event.connect(self.make_canvas_current)

    @classmethod
    def of(cls, viewer: Viewer, widget: QWidget) -> Companion | None:
        """Return the one of the window that a widget is in, or None if that is not napari's."""
        window = main_window(widget)
        if window is None:
            return None
        return window.findChild(Companion) or cls(viewer, window)

    def make_canvas_current(self, _event: object = None) -> None:
        """Make the canvas's OpenGL context the current one."""
        if self._canvas is not None:
            with suppress(RuntimeError):  # deleted with its window
                self._canvas.makeCurrent()


def main_window(widget: QWidget) -> QMainWindow | None:
    """Return the main window that a widget is in, also where its dock floats."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QMainWindow):
        parent = parent.parentWidget()
    return parent
