"""The real nucleus: scores of wide-field, Richardson-Lucy and the bundled model, and the README's picture.

Usage: python -m benchmarks.prediction.nucleus [--model NAME_OR_FILE] [--file STACK] [--no-deconvolution]
           [--table docs/data/nucleus.csv]

The confocal stack is the truth; the others are aligned with it (nucleus_pair.py). Intensities are brought to [0, 1] by
percentiles 0.1 and 99.9 of what remains within the margins, and scale and offset are fitted by least squares. Nothing
in the project is tuned to this pair.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from benchmarks.common.nucleus_pair import CONFOCAL, INNER, WIDEFIELD, aligned
from benchmarks.common.real_files import NUCLEUS, NUCLEUS_SPACING_UM, ROOT
from benchmarks.common.richardson_lucy import richardson_lucy
from benchmarks.common.scores import scaled
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d import predict
from napari_deep3d.core import FloatArray, Spacing
from napari_deep3d.core.evaluation.metrics import fit_scale, score
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.figures import draw_comparison

ITERATIONS = (5, 10, 20, 40, 60)
OBJECTIVE = Microscope(1.2, 1.333, 1.36, 0.405, 0.455, 1.24, 0.0)
COLUMNS = {
    "image": "{image}",
    "pixel size as in the": "{pixel}",
    "RMSE": "{rmse:.4f}",
    "SSIM": "{ssim:.3f}",
    "axial width, planes": "{axial_width_planes:.1f}",
}


def axial_width(stack: FloatArray, footprint: NDArray[np.bool_]) -> float:
    """Full width at half maximum, in planes, of the mean profile over the nucleus's footprint."""
    profile = stack[:, footprint].mean(axis=1)
    profile = (profile - profile.min()) / np.ptp(profile)
    fine = np.interp(np.arange(0, len(profile) - 1, 0.02), np.arange(len(profile)), profile)
    return float((fine > 0.5).sum() * 0.02)


def row(name: str, stack: FloatArray, truth: FloatArray, footprint: NDArray[np.bool_], pixel: str = "tags") -> Row:
    """Scores of an aligned stack, made with the pixel size of the file's ``tags`` or of the ``notes``."""
    found = score(scaled(stack), truth)
    width = axial_width(stack, footprint)
    scores = {"rmse": found.rmse_fit, "ssim": found.ssim_fit, "axial_width_planes": width}
    return {"image": name, "pixel": pixel} | scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, default=NUCLEUS)
    parser.add_argument("--model", default="generalist")
    parser.add_argument("--no-deconvolution", action="store_true")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "images" / "nucleus.png")
    add_table_option(parser)
    chosen = parser.parse_args()
    file = open_stack(chosen.file)
    confocal, widefield = (
        np.asarray(file.volume(channel).data[:, :, :], dtype=np.float32) for channel in (CONFOCAL, WIDEFIELD)
    )
    inner = confocal[INNER]
    truth = scaled(inner)
    projection = ndi.gaussian_filter(truth.max(axis=0), 2)
    known = truth, projection > 0.5 * projection.max()
    rows = [row("confocal", inner, *known), row("wide-field", aligned(widefield), *known)]
    stated = file.volume(WIDEFIELD).require_spacing_um()
    for pixel, spacing in (("tags", stated), ("notes", NUCLEUS_SPACING_UM)):
        if not chosen.no_deconvolution:
            for iteration, estimate in richardson_lucy(widefield, OBJECTIVE, spacing, ITERATIONS):
                rows.append(row(f"Richardson-Lucy, {iteration} iterations", aligned(estimate), *known, pixel))
        predicted = predict(widefield, spacing_um=spacing, model=chosen.model).data
        rows.append(row("prediction", aligned(predicted), *known, pixel))
        if pixel == "tags":
            _draw(chosen.picture, aligned(widefield), aligned(predicted), inner, truth, spacing)
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows, key=("image", "pixel"))


def _draw(
    path: Path, widefield: FloatArray, predicted: FloatArray, confocal: FloatArray, truth: FloatArray, spacing: Spacing
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stacks = [("wide-field", widefield), ("predicted", fit_scale(predicted, truth)), ("confocal", confocal)]
    middle = int(truth.mean(axis=(1, 2)).argmax())
    draw_comparison(path, stacks, spacing, plane=middle, row=int(truth.mean(axis=(0, 2)).argmax()))


if __name__ == "__main__":
    main()
