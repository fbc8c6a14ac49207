"""The picture of the Register panel in the docs: the real nucleus, registered, in x-z.

Usage: python -m tools.figures.register_window [--file STACK] [--picture docs/images/register.png]

It needs a screen; without one: xvfb-run -a -s "-screen 0 1400x900x24" python -m tools.figures.register_window
"""

from __future__ import annotations

import argparse
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QTimer

from benchmarks.common.nucleus_pair import CONFOCAL, WIDEFIELD
from benchmarks.common.real_files import NUCLEUS, ROOT
from napari_deep3d.io import open_stack

PICTURE = ROOT / "docs" / "images" / "register.png"
LAYERS = (("nucleus, wide-field", WIDEFIELD), ("nucleus, confocal", CONFOCAL))
SIZE = (1280, 820)
SETTLE_MS = 1500


def build(file: Path, picture: Path) -> None:
    """Open the window, estimate the shift, and save a picture once it is shown."""
    viewer = napari.Viewer(show=False)
    stack = open_stack(file)
    for name, channel in LAYERS:
        volume = stack.volume(channel=channel)
        place = {"scale": volume.spacing_um, "units": ("um",) * 3, "axis_labels": ("z", "y", "x")}
        viewer.add_image(np.asarray(volume.data[:, :, :]), name=name, **place)
    dock, widget = viewer.window.add_plugin_dock_widget("napari-deep3d", "Deep3D")
    dock.show()
    viewer.show()
    viewer.window.resize(*SIZE)  # after showing it, which restores the size of the last session
    widget.show_panel("Register")

    def save() -> None:
        viewer.screenshot(str(picture), canvas_only=False, flash=False)
        viewer.close()

    panel = widget.register_panel
    panel.result_shown.connect(lambda _widget: QTimer.singleShot(SETTLE_MS, save))
    QTimer.singleShot(SETTLE_MS, panel.estimate.button.click)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, default=NUCLEUS)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    chosen = parser.parse_args()
    build(chosen.file, chosen.picture)
    napari.run()


if __name__ == "__main__":
    main()
