"""How fast crosshair and profile line follow the mouse in Compare: three stacks of 76 x 1024 x 1024.

Usage: python -m benchmarks.window.compare_speed [--shape 76,1024,1024] [--moves 40]

Prints, for each kind of section, the time from a move of the mouse until all pictures and profiles are painted, and the
processor time of it, medians. It needs a screen; without one: xvfb-run -a -s "-screen 0 1400x900x24" python -m ...
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from tools.figures.train_window import settle

SIZE = (1280, 800)
SPACING_UM = (0.5, 0.1, 0.1)
PAUSE_SECONDS = 0.011
"""Between moves: pyqtgraph leaves out those that follow each other faster."""
START, STEP = (60, 120), (2.2, 1.0)
"""Pixels in the first picture."""
WARM_UP = 3


def open_window(shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The viewer with three stacks of noise, and the Compare panel with them side by side, nothing measured."""
    counts = np.random.default_rng(0).integers(100, 4000, shape, dtype=np.uint16)
    viewer = napari.Viewer(show=False)
    for name, data in (("wide-field", counts), ("confocal", counts // 2), ("predicted", counts / np.float32(4000))):
        viewer.add_image(data, name=name, scale=SPACING_UM, units=("um",) * 3, contrast_limits=(0, 4000))
    dock, widget = viewer.window.add_plugin_dock_widget("napari-deep3d", "Deep3D")
    dock.show()
    viewer.show()
    viewer.window.resize(*SIZE)
    widget.show_panel("Compare")
    settle()
    panel = widget.compare_panel
    panel.enter()
    panel.numbers.shut_down()
    settle()
    return viewer, panel


def drag(panel: Any, moves: int) -> tuple[float, float]:
    """Milliseconds from a move until it is painted, and of the processor; medians."""
    port, taken = panel.view.graphics.viewport(), list[tuple[float, float]]()
    mouse: Any = QTest  # its types differ between PyQt and PySide
    mouse.mousePress(port, Qt.MouseButton.LeftButton, pos=QPoint(*START))
    settle(0.1)
    for move in range(moves):
        time.sleep(PAUSE_SECONDS)
        place = QPoint(*(round(a + move * b) for a, b in zip(START, STEP, strict=True)))
        clock, processor = time.perf_counter(), time.process_time()
        mouse.mouseMove(port, place)
        for _ in range(3):  # the move, what it asks for, the painting
            QApplication.processEvents()
        taken.append((time.perf_counter() - clock, time.process_time() - processor))
    mouse.mouseRelease(port, Qt.MouseButton.LeftButton, pos=QPoint(*START))
    settle(0.2)
    wall, cpu = 1000 * np.median(taken[WARM_UP:], axis=0)
    return float(wall), float(cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="76,1024,1024", help="voxels Z,Y,X")
    parser.add_argument("--moves", type=int, default=40)
    chosen = parser.parse_args()
    viewer, panel = open_window(tuple(int(n) for n in chosen.shape.split(",")))
    for section in ("x-y", "x-z", "all three"):
        panel.choices.orientation.setCurrentText(section)
        for tool in ("cross", "line"):
            panel.view.tools.buttons[tool].setChecked(True)
            panel.profile.line.setCurrentIndex(panel.profile.line.findData("line" if tool == "line" else 0))
            settle(0.5)
            wall, cpu = drag(panel, chosen.moves)
            print(f"{section}, {tool}: {1000 / wall:.0f} Hz ({wall:.0f} ms, of the processor {cpu:.0f} ms)")
    viewer.close()


if __name__ == "__main__":
    main()
