"""Picture of the window that predicts a folder, for the docs: 20 files, three of them bad.

Usage: python -m tools.figures.batch_window [--folder docs/images]

Writes batch.png, the whole screen when most of them are done. It needs a screen; without one:
xvfb-run -a -s "-screen 0 1280x820x24" python -m tools.figures.batch_window
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
import tifffile
from qtpy.QtCore import QTimer
from qtpy.QtGui import QGuiApplication

from benchmarks.common.real_files import ROOT
from napari_deep3d.data import THICK_WIDEFIELD
from napari_deep3d.io import open_stack, write_stack

SIZE = (1280, 790)
SETTLE_MS = 1500
SHARE = 550
"""Of 1000: how far it is in the picture."""
SHAPE = (24, 96, 96)
"""Voxels (Z, Y, X) of each of the stacks: crops of the bundled sample."""


def make_stacks(folder: Path) -> Path:
    """Write 20 files: two with several channels or time points, one of no stack, one cut off, one blank."""
    folder.mkdir(parents=True)
    volume = open_stack(THICK_WIDEFIELD).volume()
    spacing_um, whole = volume.require_spacing_um(), np.asarray(volume.data[: SHAPE[0]])
    rng = np.random.default_rng(0)
    for number in range(20):
        y, x = (int(rng.integers(0, size - side)) for size, side in zip(whole.shape[1:], SHAPE[1:], strict=True))
        crop = whole[:, y : y + SHAPE[1], x : x + SHAPE[2]]
        path = folder / f"embryo_{number + 1:02d}.ome.tif"
        if number == 2:
            write_stack(path, np.stack([crop, np.roll(crop, 9, 1)]), spacing_um)
        elif number == 6:
            tifffile.imwrite(path, np.zeros((*SHAPE, 3), np.uint8), photometric="rgb")
        elif number == 11:
            write_stack(path, np.zeros(SHAPE, np.uint16), spacing_um)
        else:
            write_stack(path, crop, spacing_um)
        if number == 15:
            path.write_bytes(path.read_bytes()[:100_000])
    return folder


class Story:
    """The steps, one after the other, each some time after the last."""

    def __init__(self, viewer: Any, panel: Any, folder: Path) -> None:
        self.viewer, self.panel, self.folder = viewer, panel, folder
        self.window = panel.folder.window_

    def start(self) -> None:
        """Choose the folders, and predict."""
        stacks = make_stacks(Path("embryos"))
        self.panel.folder.open()
        self.window.move(8, 120)
        self.window.source.show_path(stacks)
        self.window.source.changed.emit()
        self.window.run_button.button.click()
        self._later(SETTLE_MS, self._wait)

    def _wait(self) -> None:
        if self.window.run_button.bar.value() < SHARE:
            self._later(SETTLE_MS // 10, self._wait)
            return
        screen = QGuiApplication.primaryScreen()
        if screen is not None:
            screen.grabWindow().save(str(self.folder / "batch.png"))
        self.window.run_button.stop()
        self._later(SETTLE_MS, self.viewer.close)

    def _later(self, milliseconds: int, step: Callable[[], object]) -> None:
        QTimer.singleShot(milliseconds, step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    folder = parser.parse_args().folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(show=False)
    dock, widget = viewer.window.add_plugin_dock_widget("napari-deep3d", "Deep3D")
    dock.show()
    viewer.show()
    viewer.window.resize(*SIZE)  # after showing it, which restores the size of the last session
    story = Story(viewer, widget.predict_panel, folder)
    with tempfile.TemporaryDirectory() as work, contextlib.chdir(work):  # short names of folders in the picture
        QTimer.singleShot(SETTLE_MS, story.start)
        napari.run()


if __name__ == "__main__":
    main()
