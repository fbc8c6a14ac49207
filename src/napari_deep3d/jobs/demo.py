"""The main job on the bundled sample, no question asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_deep3d.core import InputError, Job, PredictConfig, Spacing, Stop, intensity_range, never, normalise
from napari_deep3d.core.evaluation.metrics import Score, score
from napari_deep3d.data import THICK_CONFOCAL, THICK_WIDEFIELD
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.figures import draw_comparison
from napari_deep3d.jobs.predict.file import predict_file
from napari_deep3d.jobs.predict.predict import Prediction

PERCENTILES = (0.1, 99.9)
"""Intensities at these percentiles become 0 and 1 before stacks are compared."""


@dataclass(frozen=True)
class Demo:
    """What the demo made: files, how the prediction went, and the scores of wide-field and prediction."""

    prediction_file: Path
    picture: Path
    prediction: Prediction
    spacing_um: Spacing
    widefield: Score
    predicted: Score

    def report(self) -> dict[str, object]:
        """Plain values to print."""
        return {
            "output": str(self.prediction_file),
            "picture": str(self.picture),
            "seconds": round(self.prediction.seconds, 2),
            "voxels_per_second": round(self.prediction.voxels_per_second),
            "tile_mismatch": round(self.prediction.tile_mismatch, 4),
            "rmse_widefield": round(self.widefield.rmse_fit, 4),
            "rmse_prediction": round(self.predicted.rmse_fit, 4),
            "ssim_widefield": round(self.widefield.ssim_fit, 3),
            "ssim_prediction": round(self.predicted.ssim_fit, 3),
        }


def run_demo(folder: str | Path, *, overwrite: bool = True, stop: Stop = never) -> Job[Demo]:
    """Predict the bundled thick sample, score it against its confocal stack and draw both.

    Writes ``prediction.ome.tif`` and ``comparison.png`` into ``folder``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "prediction.ome.tif"
    done = yield from predict_file(THICK_WIDEFIELD, target, PredictConfig(), overwrite=overwrite, stop=stop)
    if not done.prediction.complete:
        raise InputError(f"the demo was stopped; what was finished is in {done.output}.")
    widefield, confocal, predicted = (
        np.asarray(open_stack(path).volume().data[:, :, :]) for path in (THICK_WIDEFIELD, THICK_CONFOCAL, target)
    )
    truth, blurred = (normalise(each, intensity_range(each, PERCENTILES)) for each in (confocal, widefield))
    before = score(blurred, truth)
    after = score(predicted, truth)
    spacing = done.prediction.spacing_um
    picture = draw_comparison(
        folder / "comparison.png",
        [
            (f"wide-field (RMSE {before.rmse_fit:.3f})", widefield),
            (f"predicted (RMSE {after.rmse_fit:.3f})", predicted),
            ("confocal", confocal),
        ],
        spacing,
        plane=int(truth.mean(axis=(1, 2)).argmax()),
        row=int(truth.mean(axis=(0, 2)).argmax()),
        title="Simulated thick sample, never trained on",
    )
    return Demo(target, picture, done.prediction, spacing, before, after)
