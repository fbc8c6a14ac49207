"""The main job on the bundled sample, no question asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.evaluation.metrics import Score, score
from napari_deep3d.core.events import Job, Stop, never
from napari_deep3d.core.intensity import intensity_range, normalise
from napari_deep3d.core.types import Spacing
from napari_deep3d.data import THICK_CONFOCAL, THICK_WIDEFIELD
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.figures import draw_comparison
from napari_deep3d.jobs.predict import Prediction
from napari_deep3d.jobs.predict_file import predict_file

PERCENTILES = (0.1, 99.9)
WINDOW_SECONDS = 180


@dataclass(frozen=True)
class Demo:
    """What the demo made: files, scores against confocal, and how the prediction went."""

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
    truth = normalise(confocal, intensity_range(confocal, PERCENTILES))
    before = score(normalise(widefield, intensity_range(widefield, PERCENTILES)), truth)
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


def show_demo(demo: Demo) -> str:
    """Show the demo in napari: on the screen if there is one, else as a picture of the window; says which."""
    command = [sys.executable, "-m", "napari_deep3d.gui.demo_window", str(demo.prediction_file)]
    if has_screen():
        subprocess.Popen(command)
        return "opened"
    picture = demo.prediction_file.with_name("napari.png")
    virtual = shutil.which("xvfb-run")
    if virtual is None:
        return "no screen, and no virtual one (install the package xvfb): no picture of the window"
    screen = [virtual, "-a", "-s", "-screen 0 1400x900x24"]
    try:
        subprocess.run(
            [*screen, *command, "--picture", str(picture)],
            check=True,
            timeout=WINDOW_SECONDS,
            capture_output=True,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return f"napari did not open on a virtual screen within {WINDOW_SECONDS} s"
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["no message"]
        return f"napari did not open on a virtual screen: {lines[-1]}"
    return str(picture)


def has_screen() -> bool:
    """Whether a window can be opened."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
