"""Steps that a user takes in the Train panel."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QApplication

from tests.helpers.gui import FakeTraining

PREVIEWS = ["wide-field (test region)", "prediction (test region)", "confocal (test region)"]


def add_folder(qtbot: Any, panel: Any, folder: Path) -> None:
    """Add the pairs of a folder, and wait until they are listed."""
    before = len(panel.pairs.members())
    panel.adder.add_folder(folder)
    qtbot.waitUntil(lambda: len(panel.pairs.members()) > before, timeout=20_000)


def names(panel: Any) -> list[str]:
    """The names on the list."""
    return [member.name for member in panel.pairs.members()]


def start(qtbot: Any, panel: Any, training: FakeTraining, steps: int | None = None) -> None:
    """Start; wait for a number of steps, or for the end."""
    if steps is not None:
        training.gate = threading.Semaphore(steps)
    panel.run_button.button.click()
    if steps is None:
        wait_end(qtbot, panel)
    else:
        qtbot.waitUntil(lambda: panel.run_button.bar.value() == 125 * steps, timeout=20_000)


def wait_end(qtbot: Any, panel: Any) -> None:
    """Wait until the training has ended."""
    qtbot.waitUntil(lambda: not panel.run_button.is_running, timeout=20_000)


def finish(qtbot: Any, panel: Any, training: FakeTraining) -> None:
    """Let the training go on to its end."""
    training.gate.release(9)
    wait_end(qtbot, panel)


def call_it(qtbot: Any, panel: Any, name: str) -> None:
    """Type the model's name, as the user does."""
    panel.options.name.selectAll()
    qtbot.keyClicks(panel.options.name, name)


def curve(panel: Any, name: str) -> list[tuple[float, float]]:
    """The points of a curve."""
    panel.plots.redraw()
    points = panel.plots.curves[name]
    return list(zip(points.xData.tolist(), points.yData.tolist(), strict=True))


def wait_layers(qtbot: Any, viewer: Any, count: int) -> None:
    """Wait for a number of layers: the preview's go a moment after it is left."""
    qtbot.waitUntil(lambda: len(viewer.layers) == count)
    QApplication.processEvents()
