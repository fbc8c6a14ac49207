"""Pictures of the Predict panel for the docs: a stack unlike what the model knows, and a result with its uncertainty.

Usage: python -m tools.figures.predict_window [--folder docs/images]

Writes predict_unlike.png (the bundled sample, overexposed) and predict.png (the
sample, predicted with its uncertainty). It needs a screen; without one:
xvfb-run -a -s "-screen 0 1400x900x24" python -m tools.figures.predict_window
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from qtpy.QtCore import QTimer

from benchmarks.common.real_files import ROOT
from napari_deep3d.data import THICK_WIDEFIELD
from napari_deep3d.io import open_stack

SIZE = (1280, 820)
SETTLE_MS, LONG_MS = 1500, 6000


class Story:
    """The steps, one after the other, each some time after the last."""

    def __init__(self, viewer: Any, panel: Any, folder: Path) -> None:
        self.viewer, self.panel, self.folder = viewer, panel, folder
        self.volume = open_stack(THICK_WIDEFIELD).volume()
        self.data = np.asarray(self.volume.data[:, :, :])

    def _add(self, data: Any, name: str) -> Any:
        place = {"scale": self.volume.spacing_um, "units": ("um",) * 3, "axis_labels": ("z", "y", "x")}
        layer = self.viewer.add_image(data, name=name, **place)
        self.viewer.dims.order = (1, 0, 2)
        return layer

    def start(self) -> None:
        """Begin with the stack that is unlike."""
        self._add(np.minimum(self.data, np.percentile(self.data, 80)), "thick sample, overexposed")
        self._later(LONG_MS, self._show_unlike)

    def _show_unlike(self) -> None:
        self._save("predict_unlike.png")
        self.viewer.layers.clear()
        self._add(self.data, "thick sample, wide-field")
        self._later(LONG_MS, self._predict)

    def _predict(self) -> None:
        self.panel.uncertainty.setChecked(True)
        self._later(SETTLE_MS, self.panel.run_button.button.click)
        self._later(2 * SETTLE_MS, self._wait)

    def _wait(self) -> None:
        if not self.panel.compare.isEnabled():
            self._later(SETTLE_MS, self._wait)
            return
        for layer in self.viewer.layers:
            layer.visible = "confocal-like" in layer.name
        self._later(SETTLE_MS, self._finish)

    def _finish(self) -> None:
        self._save("predict.png")
        self.viewer.close()

    def _save(self, name: str) -> None:
        self.viewer.screenshot(str(self.folder / name), canvas_only=False, flash=False)

    def _later(self, milliseconds: int, step: Callable[[], object]) -> None:
        QTimer.singleShot(milliseconds, step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(show=False)
    dock, widget = viewer.window.add_plugin_dock_widget("napari-deep3d", "Deep3D")
    dock.show()
    viewer.show()
    viewer.window.resize(*SIZE)  # after showing it, which restores the size of the last session
    story = Story(viewer, widget.predict_panel, folder)
    QTimer.singleShot(SETTLE_MS, story.start)
    napari.run()


if __name__ == "__main__":
    main()
