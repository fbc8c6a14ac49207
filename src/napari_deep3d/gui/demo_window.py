"""The demo's window: input, prediction and confocal in napari, compared side by side.

Run as a program: ``python -m napari_deep3d.gui.demo_window PREDICTION [--picture FILE]``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import napari
from qtpy.QtCore import QTimer

from napari_deep3d.contributions import thick_pair
from napari_deep3d.io import open_stack

SIZE = (1280, 820)
SETTLE_MS = 1500


def build(prediction: Path) -> napari.Viewer:
    """Open a viewer with the sample, its prediction, and the three side by side in x-z."""
    viewer = napari.Viewer(title="napari-deep3d demo", show=False)
    for data, properties, _ in thick_pair():
        viewer.add_image(data, **properties)
    result = open_stack(prediction).volume()
    viewer.add_image(
        result.data[:, :, :],
        name="thick sample, wide-field (confocal-like)",
        scale=result.require_spacing_um(),
        units=("um",) * 3,
        axis_labels=("z", "y", "x"),
        colormap="gray",
    )
    dock, widget = viewer.window.add_plugin_dock_widget("napari-deep3d", "Deep3D")
    dock.show()
    widget.show_panel("Compare")
    widget.compare_panel.compare(viewer.layers[0], viewer.layers[2])
    return viewer


def main() -> None:
    """Show the window, or with ``--picture`` save a picture of it and end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prediction", type=Path)
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    viewer = build(chosen.prediction)
    viewer.show()
    viewer.window.resize(*SIZE)  # after showing it, which restores the size of the last session
    if chosen.picture:

        def save() -> None:
            viewer.screenshot(str(chosen.picture), canvas_only=False, flash=False)
            viewer.close()

        QTimer.singleShot(SETTLE_MS, save)
    napari.run()


if __name__ == "__main__":
    main()
