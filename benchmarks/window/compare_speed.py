"""How fast crosshair and profile line follow the mouse in Compare: three stacks of 76 x 1024 x 1024.

Usage: python -m benchmarks.window.compare_speed [--shape 76,1024,1024] [--moves 40]

Prints how long the window keeps an event waiting (95th percentile, and the longest) as it goes side by side, and while
the numbers and the difference are worked out beside it, the mouse at rest and dragging. Then, for each kind of section,
the time from a move of the mouse until all pictures and profiles are painted, medians. Beside each time stands that of
the processor, of the window's own thread: it tells on a computer that is busy with other work, too. It needs a screen;
without one: xvfb-run -a -s "-screen 0 1400x900x24" python -m ...
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import napari
import numpy as np
from qtpy import QtTest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from tools.figures.train_window import settle

QTest: Any = QtTest.QTest  # its types differ between PyQt and PySide
SIZE = (1280, 800)
SPACING_UM = (0.5, 0.1, 0.1)
PAUSE_SECONDS = 0.011
"""Between moves: pyqtgraph leaves out those that follow each other faster."""
START, STEP = (60, 120), (2.2, 1.0)
"""Pixels in the first picture."""
WARM_UP = 3
BEAT_SECONDS = 0.005
"""Between two looks at how long the window takes to answer."""
PATIENCE_SECONDS = 300.0


def open_window(shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The viewer with three stacks of noise, and the Compare panel, in front."""
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
    return viewer, widget.compare_panel


def waits(is_over: Callable[[], bool], act: Callable[[int], None] = lambda _number: None) -> list[tuple[float, float]]:
    """Milliseconds that the window takes for what it has to do, and of the processor, again and again until over."""
    taken, end = list[tuple[float, float]](), time.monotonic() + PATIENCE_SECONDS
    while not is_over() and time.monotonic() < end:
        clock, processor = time.perf_counter(), time.thread_time()
        act(len(taken))
        QApplication.processEvents()
        taken.append((1000 * (time.perf_counter() - clock), 1000 * (time.thread_time() - processor)))
        time.sleep(BEAT_SECONDS)
    return taken


def tell(name: str, taken: list[tuple[float, float]]) -> None:
    """Print the 95th percentile and the longest, of the clock and of the processor."""
    late, longest = np.percentile(taken, 95, axis=0), np.max(taken, axis=0)
    print(
        f"{name}: an event waits {late[0]:.0f} ms (95th percentile), {longest[0]:.0f} ms at most; of the processor "
        f"{late[1]:.0f} ms, {longest[1]:.0f} ms at most; {len(taken)} times"
    )


def measure_waits(panel: Any) -> None:
    """Go side by side, measure and subtract, first with the mouse at rest, then dragging."""
    port, numbers, mouse = panel.view.graphics.viewport(), panel.numbers, QTest
    tell("going side by side", waits(lambda: panel.view.is_active, lambda _number: panel.enter()))

    def is_measured() -> bool:
        return numbers.numbers is not None

    tell("at rest, while it is measured", waits(is_measured))
    panel.choices.difference.setChecked(True)
    tell("at rest, while it is subtracted", waits(lambda: len(panel.view.pictures) == 4))
    numbers.shut_down()
    panel.choices.changed.emit()
    mouse.mousePress(port, Qt.MouseButton.LeftButton, pos=QPoint(*START))

    def move(number: int) -> None:
        mouse.mouseMove(port, QPoint(START[0] + 2 * (number % 60), START[1] + number % 60))

    tell("dragging, while it is measured", waits(is_measured, move))
    mouse.mouseRelease(port, Qt.MouseButton.LeftButton, pos=QPoint(*START))
    panel.choices.difference.setChecked(False)
    settle(0.5)


def drag(panel: Any, moves: int) -> tuple[float, float]:
    """Milliseconds from a move until it is painted, and of the processor; medians."""
    port, taken, mouse = panel.view.graphics.viewport(), list[tuple[float, float]](), QTest
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
    measure_waits(panel)
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
