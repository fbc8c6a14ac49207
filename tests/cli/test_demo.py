"""The demo command: the result in napari, on the screen or as a picture of the window."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

from napari_deep3d.cli.demo import show_result
from napari_deep3d.data import THICK_WIDEFIELD
from napari_deep3d.io import open_stack, write_stack

pytestmark = pytest.mark.slow


@pytest.fixture
def prediction(tmp_path: Path) -> Path:
    """A file as the demo writes it; the sample stands for its prediction."""
    sample = open_stack(THICK_WIDEFIELD).volume()
    voxels = np.asarray(sample.data[...], np.float32)
    return write_stack(tmp_path / "prediction.ome.tif", voxels / voxels.max(), sample.require_spacing_um())


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="needs a virtual screen (xvfb-run)")
def test_without_a_screen_a_picture_of_the_window_is_saved(prediction: Path) -> None:
    window = show_result(prediction, on_screen=False)
    picture = imread(Path(window))
    assert min(picture.shape[:2]) > 500
    assert np.std(picture) > 10


def test_with_a_screen_the_window_is_opened(prediction: Path) -> None:
    started: list[list[str]] = []
    assert show_result(prediction, on_screen=True, start=started.append) == "opened"
    assert started == [[sys.executable, "-m", "napari_deep3d.gui.demo_window", str(prediction)]]
