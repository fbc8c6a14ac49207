"""Pictures of the Train panel: empty, with pairs, while it trains, at the end. With real trainings.

Usage: python -m tools.figures.train_window [--pairs FOLDER] [--out runs/pictures] [--steps 60] [--start scratch]

The picture in the docs is train_8_done.png of: --start generalist --steps 100

It needs a screen; without one: xvfb-run -a -s "-screen 0 1400x900x24" python -m tools.figures.train_window
Models and runs go to folders of their own, which are removed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import QApplication

from napari_deep3d.contributions import thick_pair
from napari_deep3d.core import drain
from napari_deep3d.jobs.pairs import CONFOCAL

SIZE = (1280, 800)
PATIENCE_SECONDS = 300


def simulated_pairs(folder: Path) -> Path:
    """Five small simulated pairs."""
    from napari_deep3d.core.config import SimulateConfig
    from napari_deep3d.jobs.simulate import simulate_pairs

    if not (folder / CONFOCAL).is_dir():
        drain(simulate_pairs(folder, SimulateConfig(pairs=5, shape=(32, 112, 112), seed=3)))
    return folder


def wait_until(is_so: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Let the window live until something is so."""
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def settle(seconds: float = 1.0) -> None:
    wait_until(lambda: False, seconds)


class Window:
    """The window, and its pictures."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.viewer = napari.Viewer(show=False)
        for data, properties, _ in thick_pair():
            self.viewer.add_image(data, **properties)
        dock, self.widget = self.viewer.window.add_plugin_dock_widget("napari-deep3d", "Deep3D")
        dock.show()
        self.viewer.show()
        self.viewer.window.resize(*SIZE)  # after showing it, which restores the size of the last session
        self.widget.show_panel("Train")
        self.panel: Any = self.widget.train_panel

    def picture(self, name: str) -> None:
        """Save a picture once the window has settled."""
        settle()
        path = self.out / f"train_{name}.png"
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path)

    def scroll_down(self) -> None:
        """Go to the end of the panel."""
        area = self.widget.tabs.currentWidget()
        area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())

    def go_through(self, pairs: Path, steps: int, start: str) -> None:
        """Bring the panel into each of its states."""
        panel = self.panel
        self.picture("1_empty")
        panel.adder.layers_button.setChecked(True)
        self.picture("2_layers")
        panel.adder.layers_button.setChecked(False)
        panel.adder.add_folder(pairs)
        wait_until(lambda: len(panel.pairs.members()) == 5)
        panel.options.name.setText("my nuclei")
        panel.options.name.setModified(True)
        wait_until(lambda: "steps" in panel.plan.line.text())
        self.picture("3_pairs")
        panel.options.time.setCurrentIndex(3)
        fields = panel.options.advanced.fields
        fields["iterations"].value, fields["batch_size"].value = steps, 1
        panel.options.start.setCurrentIndex(panel.options.start.findText(start))
        self.scroll_down()
        self.picture("4_advanced")
        wait_until(lambda: "steps" in panel.plan.line.text())
        panel.run_button.button.click()
        wait_until(lambda: len(panel.preview.steps) > steps // 6)
        self.picture("5_running")
        panel.preview.slider.setValue(1)
        panel.preview.section.setCurrentIndex(1)
        panel.run_button.pause_button.click()
        self.picture("6_back_and_paused")
        panel.run_button.pause_button.click()
        panel.run_button.button.click()
        wait_until(lambda: not panel.run_button.is_running)
        self.picture("7_stopped")
        panel.resume_bar.resume.click()
        wait_until(lambda: panel.predict_button.isVisible())
        self.picture("8_done")
        panel.predict_button.click()
        self.picture("9_predict")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, help="pairs folder with five pairs; by default they are simulated")
    parser.add_argument("--out", type=Path, default=Path("runs/pictures"))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--start", default="scratch", help="what to start from, as the panel lists it")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_DEEP3D_RUNS"] = str(Path(folder) / "runs")
        os.environ["NAPARI_DEEP3D_MODELS"] = str(Path(folder) / "models")
        pairs = simulated_pairs(chosen.pairs or Path(folder) / "pairs")
        window = Window(chosen.out)
        window.go_through(pairs, chosen.steps, chosen.start)
        window.viewer.close()


if __name__ == "__main__":
    main()
