"""Shows a widget in the place of napari's canvas, and gives the place back."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

LISTS = ("layer list", "layer controls")
"""Names of napari's docks that take room from the pictures."""


class Cover(QObject):
    """Lays a widget over the middle of a window. napari's own canvas, below it, is left as it is."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._hidden: list[QDockWidget] = []
        self._window: QMainWindow | None = None
        widget.hide()

    def show_in(self, window: QMainWindow | None) -> None:
        """Cover the middle of a window; without one nothing is seen."""
        centre = None if window is None else window.centralWidget()
        if window is None or centre is None:
            return
        if self._window is None:
            centre.installEventFilter(self)
            window.installEventFilter(self)
        self._window = window
        self._widget.setParent(centre)
        self._widget.setGeometry(centre.rect())
        self._widget.show()
        self._widget.raise_()

    def hide_lists(self, is_hidden: bool) -> None:
        """Hide napari's lists of layers for more room, or show those again that were hidden."""
        for dock in self._hidden:
            dock.show()
        self._hidden = []
        if is_hidden and self._window is not None:
            docks = [dock for dock in self._window.findChildren(QDockWidget) if dock.objectName() in LISTS]
            self._hidden = [dock for dock in docks if not dock.isHidden()]
            for dock in self._hidden:
                dock.hide()

    def take_away(self) -> None:
        """Give the place back."""
        self.hide_lists(False)
        if self._window is not None:
            self._window.removeEventFilter(self)
            centre = self._window.centralWidget()
            if centre is not None:
                centre.removeEventFilter(self)
        self._window = None
        self._widget.hide()
        self._widget.setParent(None)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Stay as large as what is covered; show the lists before napari notes its layout as it closes."""
        if event is not None and isinstance(watched, QWidget):
            if event.type() == QEvent.Type.Close and watched is self._window:
                self.hide_lists(False)
            elif event.type() == QEvent.Type.Resize and watched is not self._window:
                self._widget.setGeometry(watched.rect())
        return False
