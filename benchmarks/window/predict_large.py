"""A large stack through the Predict panel: time, memory, and how long the window keeps an event waiting meanwhile.

Usage: python -m benchmarks.window.predict_large [--shape 76,2048,2048] [--to-file] [--memory-gb 0] [--picture FILE]

A stack of noise in an OME-Zarr file is opened as a layer, and *Predict confocal* pressed. With --to-file the panel is
told that little memory is free, so that it asks for a file; that is chosen for it. It needs a screen; without one:
xvfb-run -a -s "-screen 0 1400x900x24" python -m benchmarks.window.predict_large
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import napari
import numpy as np
import psutil
from qtpy.QtWidgets import QApplication, QFileDialog

from benchmarks.prediction.large import peak_gb
from tools.figures.train_window import settle, wait_until

SIZE = (1280, 800)
BEAT_SECONDS = 0.01
PATIENCE_SECONDS = 3600.0
PREDICT = "Predict confocal"


def open_window(stack: Path) -> tuple[Any, Any]:
    """The viewer with the stack as the plugin's reader opens it, and the Predict panel, in front."""
    viewer = napari.Viewer(show=False)
    dock, widget = viewer.window.add_plugin_dock_widget("napari-deep3d", "Deep3D")
    dock.show()
    viewer.show()
    viewer.window.resize(*SIZE)
    viewer.open(stack, plugin="napari-deep3d")
    widget.show_panel("Predict")
    panel = widget.predict_panel
    wait_until(lambda: "tile" in panel.plan_line.text(), 60)
    return viewer, panel


def waits_ms(panel: Any) -> list[float]:
    """Milliseconds that the window takes for what it has to do, again and again until the prediction has ended."""
    taken, end = list[float](), time.monotonic() + PATIENCE_SECONDS
    while panel.run_button.button.text() != PREDICT and time.monotonic() < end:
        clock = time.perf_counter()
        QApplication.processEvents()
        taken.append(1000 * (time.perf_counter() - clock))
        time.sleep(BEAT_SECONDS)
    return taken


def measure(
    shape: tuple[int, ...], stack: Path, result: Path, to_file: bool, memory_gb: float, picture: Path | None
) -> None:
    """Predict and tell."""
    with ExitStack() as told:
        if to_file:
            memory = psutil.virtual_memory()._replace(available=int(np.prod(shape)))  # bytes: a quarter of the result
            fake = SimpleNamespace(virtual_memory=lambda: memory)
            told.enter_context(mock.patch("napari_deep3d.gui.predict.choices.psutil", fake))
            told.enter_context(mock.patch.object(QFileDialog, "getSaveFileName", return_value=(str(result), "")))
        viewer, panel = open_window(stack)
        panel.advanced.memory.setValue(memory_gb)
        settle(3)
        print(panel.plan_line.text())
        before, start = peak_gb(), time.perf_counter()
        panel.run_button.button.click()
        wait_until(lambda: panel.run_button.button.text() != PREDICT, 10)
        taken = waits_ms(panel)
        seconds = time.perf_counter() - start
        print(panel.message.text())
    voxels = float(np.prod(shape))
    print(f"{seconds:.0f} s, {voxels / seconds / 1e6:.2f} Mvoxel/s, peak {peak_gb():.2f} GB ({before:.2f} GB before)")
    late, longest = np.percentile(taken, 95), max(taken)
    print(f"an event waits {late:.0f} ms (95th percentile), {longest:.0f} ms at most; {len(taken)} times")
    if picture:
        settle(3)
        viewer.screenshot(str(picture), canvas_only=False, flash=False)
    viewer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="76,2048,2048")
    parser.add_argument("--to-file", action="store_true")
    parser.add_argument("--memory-gb", type=float, default=0.0)
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    shape = tuple(int(n) for n in chosen.shape.split(","))
    with tempfile.TemporaryDirectory() as folder:
        stack, result = (Path(folder) / f"{name}.ome.zarr" for name in ("stack", "result"))
        step = ["--shape", chosen.shape, "--step", "write", str(stack), str(result)]
        subprocess.run([sys.executable, "-m", "benchmarks.prediction.large", *step], check=True)
        measure(shape, stack, result, chosen.to_file, chosen.memory_gb, chosen.picture)


if __name__ == "__main__":
    main()
