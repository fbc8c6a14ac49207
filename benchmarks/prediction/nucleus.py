"""The real nucleus: scores of wide-field, Richardson-Lucy and the bundled model, and the README's picture.

Usage: python -m benchmarks.prediction.nucleus [--model NAME_OR_FILE] [--file STACK] [--no-deconvolution]

The confocal stack is the truth. The others are shifted onto it by (-2.3, 0, 3.6) voxels; intensities are brought to
[0, 1] by percentiles 0.1 and 99.9 of what remains within margins of 6 planes and 8 pixels, and scale and offset are
fitted by least squares. Nothing in the project is tuned to this pair.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from benchmarks.common.richardson_lucy import richardson_lucy
from napari_deep3d import predict
from napari_deep3d.core.evaluation.metrics import fit_scale, score
from napari_deep3d.core.intensity import intensity_range, normalise
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.core.types import FloatArray, Spacing
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.figures import draw_comparison

ROOT = Path(__file__).parents[2]
FILE = ROOT.parent / "shared" / "data" / "neubias" / "nucleus_confocal_widefield.tif"
CONFOCAL, WIDEFIELD = 0, 1
SHIFT = (-2.3, 0.0, 3.6)
INNER = np.s_[6:-6, 8:-8, 8:-8]
PERCENTILES = (0.1, 99.9)
ITERATIONS = (5, 10, 20, 40, 60)
OBJECTIVE = Microscope(1.2, 1.333, 1.36, 0.405, 0.455, 1.24, 0.0)
ACQUISITION_UM: Spacing = (0.4994, 0.2559, 0.2559)
"""The voxel size in the microscope's own notes; the file's tags say twice as much laterally."""


def aligned(stack: FloatArray) -> FloatArray:
    """Shift a stack in wide-field position onto the confocal one and cut the margins."""
    moved = ndi.shift(stack, [-s for s in SHIFT], order=3, mode="nearest")
    return np.asarray(moved[INNER], dtype=np.float32)


def axial_width(stack: FloatArray, footprint: NDArray[np.bool_]) -> float:
    """Full width at half maximum, in planes, of the mean profile over the nucleus's footprint."""
    profile = stack[:, footprint].mean(axis=1)
    profile = (profile - profile.min()) / np.ptp(profile)
    fine = np.interp(np.arange(0, len(profile) - 1, 0.02), np.arange(len(profile)), profile)
    return float((fine > 0.5).sum() * 0.02)


def row(stack: FloatArray, truth: FloatArray, footprint: NDArray[np.bool_]) -> dict[str, float]:
    """Scores of an aligned stack."""
    image = normalise(stack, intensity_range(stack, PERCENTILES))
    found = score(image, truth)
    return {
        "rmse": round(found.rmse_fit, 4),
        "ssim": round(found.ssim_fit, 3),
        "axial_width_planes": round(axial_width(stack, footprint), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=FILE)
    parser.add_argument("--model", default="generalist")
    parser.add_argument("--no-deconvolution", action="store_true")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "images" / "nucleus.png")
    chosen = parser.parse_args()
    file = open_stack(chosen.file)
    confocal = np.asarray(file.volume(CONFOCAL).data[:, :, :], dtype=np.float32)
    widefield = np.asarray(file.volume(WIDEFIELD).data[:, :, :], dtype=np.float32)
    inner = confocal[INNER]
    truth = normalise(inner, intensity_range(inner, PERCENTILES))
    projection = ndi.gaussian_filter(truth.max(axis=0), 2)
    footprint = projection > 0.5 * projection.max()
    rows = {"confocal": row(inner, truth, footprint), "wide-field": row(aligned(widefield), truth, footprint)}
    stated = file.volume(WIDEFIELD).require_spacing_um()
    for name, spacing in (("as the file's tags say", stated), ("as the acquisition's notes say", ACQUISITION_UM)):
        lateral = f"{spacing[1]:.4f} um"
        predicted = predict(widefield, spacing_um=spacing, model=chosen.model).data
        rows[f"prediction, pixel {lateral} ({name})"] = row(aligned(predicted), truth, footprint)
        if spacing == stated:
            _draw(chosen.picture, aligned(widefield), aligned(predicted), inner, truth, spacing)
        if not chosen.no_deconvolution:
            for iteration, estimate in richardson_lucy(widefield, OBJECTIVE, spacing, ITERATIONS):
                key = f"Richardson-Lucy {iteration}, pixel {lateral}"
                rows[key] = row(aligned(estimate), truth, footprint)
    for name, values in rows.items():
        print(f"{name:60} {json.dumps(values)}", flush=True)


def _draw(
    path: Path, widefield: FloatArray, predicted: FloatArray, confocal: FloatArray, truth: FloatArray, spacing: Spacing
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stacks = [("wide-field", widefield), ("predicted", fit_scale(predicted, truth)), ("confocal", confocal)]
    middle = int(truth.mean(axis=(1, 2)).argmax())
    draw_comparison(path, stacks, spacing, plane=middle, row=int(truth.mean(axis=(0, 2)).argmax()))


if __name__ == "__main__":
    main()
