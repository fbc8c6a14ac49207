"""Layers come and go as people let them, with some hidden: the window must not crash."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

WALK = """
import sys
import napari
import numpy as np
from qtpy.QtCore import QTimer
from napari_deep3d.gui.widget import Deep3DWidget

steps, rng = int(sys.argv[1]), np.random.default_rng(int(sys.argv[2]))
viewer = napari.Viewer()
viewer.window.add_dock_widget(Deep3DWidget(viewer), name="Deep3D")
layers = viewer.layers

def add():
    shape = [(8, 40, 40), (6, 60, 50)][rng.integers(2)]
    viewer.add_image(rng.random(shape, dtype=np.float32), visible=bool(rng.random() < 0.6))

def remove():
    if len(layers) > 2:
        layers.remove(layers[rng.integers(len(layers))])

def remove_several():
    if len(layers) > 4:
        layers.selection = {layers[0], layers[2]}
        layers.remove_selected()

def toggle():
    layer = layers[rng.integers(len(layers))]
    layer.visible = not layer.visible

def zoom():
    viewer.scene.camera.zoom *= rng.uniform(0.8, 1.25)

def grid():
    viewer.canvas.grid.enabled = not viewer.canvas.grid.enabled

def turn():
    viewer.dims.ndisplay = 5 - viewer.dims.ndisplay

def step():
    global steps
    steps -= 1
    if steps < 0:
        viewer.close()
        return
    moves = [add, remove, remove_several, toggle, zoom, grid, turn]
    moves[rng.choice(7, p=[0.25, 0.25, 0.05, 0.15, 0.2, 0.05, 0.05])]()
    QTimer.singleShot(20, step)

def first():
    layers.remove(layers[0])  # below a visible layer, while another one is hidden
    QTimer.singleShot(500, then)

def then():
    zoom()
    QTimer.singleShot(500, step)

for is_visible in (True, False, True):
    viewer.add_image(rng.random((8, 64, 64), dtype=np.float32), visible=is_visible)
QTimer.singleShot(1000, first)
napari.run()
print("walked", flush=True)
"""


@pytest.mark.slow
def test_a_window_outlives_its_layers(qapp: Any) -> None:
    """In a process of its own: what went wrong here was a segmentation fault of the graphics driver."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", WALK, "25", "1"], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "walked" in done.stdout
