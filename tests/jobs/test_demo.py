"""The main job on the bundled sample, with the bundled model."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.io import imread

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import drain
from napari_deep3d.data import THICK_WIDEFIELD
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.demo import Demo, run_demo

pytestmark = pytest.mark.slow


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
