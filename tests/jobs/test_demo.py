"""The main job on the bundled sample, with the bundled model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import drain
from napari_deep3d.data import THICK_WIDEFIELD
from napari_deep3d.io import open_stack
from napari_deep3d.jobs import demo as demo_module
from napari_deep3d.jobs.demo import Demo, run_demo, show_demo


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return drain(run_demo(tmp_path_factory.mktemp("demo")))


def test_demo_predicts_a_stack_closer_to_confocal(made: Demo) -> None:
    assert made.predicted.rmse_fit < 0.85 * made.widefield.rmse_fit
    assert made.predicted.ssim_fit > 1.5 * made.widefield.ssim_fit
    assert made.prediction.complete
    result = open_stack(made.prediction_file)
    sample = open_stack(THICK_WIDEFIELD)
    assert result.spacing_um == pytest.approx(sample.spacing_um)
    assert result.volume().shape == sample.volume().shape


def test_demo_draws_a_picture_with_contrast(made: Demo) -> None:
    picture = imread(made.picture)
    assert min(picture.shape[:2]) > 300
    assert np.std(picture) > 10


def test_demo_may_be_run_again(made: Demo) -> None:
    again = drain(run_demo(made.prediction_file.parent))
    assert again.prediction_file == made.prediction_file
    with pytest.raises(InputError, match="exists"):
        drain(run_demo(made.prediction_file.parent, overwrite=False))


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="needs a virtual screen (xvfb-run)")
def test_demo_without_a_screen_saves_a_picture_of_the_window(made: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_module, "has_screen", lambda: False)
    window = show_demo(made)
    picture = imread(Path(window))
    assert min(picture.shape[:2]) > 500
    assert np.std(picture) > 10


def test_demo_with_a_screen_opens_the_window(made: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(demo_module, "has_screen", lambda: True)
    monkeypatch.setattr(subprocess, "Popen", started.append)
    assert show_demo(made) == "opened"
    assert started == [[sys.executable, "-m", "napari_deep3d.gui.demo_window", str(made.prediction_file)]]
