"""Menu commands: open the dock at a panel."""

from __future__ import annotations

from napari.viewer import Viewer

from napari_deep3d.gui.widget import PanelName


def show_predict(viewer: Viewer) -> None:
    """Open the dock at Predict."""
    _show(viewer, "Predict")


def show_register(viewer: Viewer) -> None:
    """Open the dock at Register."""
    _show(viewer, "Register")


def show_train(viewer: Viewer) -> None:
    """Open the dock at Train."""
    _show(viewer, "Train")


def show_compare(viewer: Viewer) -> None:
    """Open the dock at Compare."""
    _show(viewer, "Compare")


def _show(viewer: Viewer, panel: PanelName) -> None:
    dock, widget = viewer.window.add_plugin_dock_widget("napari-deep3d", "Deep3D")
    dock.show()
    dock.raise_()
    widget.show_panel(panel)
