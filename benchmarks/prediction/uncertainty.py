"""How well the uncertainty of a prediction tells its error, on pairs it was not calibrated on; with a picture.

Usage: napari-deep3d simulate -o data/calibration --pairs 10 --shape 48,128,128 --seed 21
       napari-deep3d simulate -o data/test --pairs 10 --shape 48,128,128 --seed 22
       python -m benchmarks.prediction.uncertainty data/test [--stacks 12] [--nucleus] [--calibration data/calibration]
           [--table docs/data/uncertainty.csv]

With ``--calibration`` the model is calibrated anew, on the pairs of that folder; else it is taken as it is.

The error is the difference from the confocal stack, which has noise of its own: no prediction can be without it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import scipy.ndimage as ndi
from scipy.stats import spearmanr

from benchmarks.common import nucleus_pair
from benchmarks.common.real_files import NUCLEUS, ROOT
from benchmarks.common.scores import scaled
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d import predict
from napari_deep3d.core import FloatArray, normalise
from napari_deep3d.core.evaluation.metrics import rmse, ssim
from napari_deep3d.core.evaluation.uncertainty import Calibration
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.models.store import find_model
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.jobs.train.trained_model import calibrate_on_folder
from napari_deep3d.nn.model_file import load_model, read_info, save_model

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BINS = 10
PARTS = (
    "least uncertain tenth",
    "2nd tenth",
    "3rd tenth",
    *(f"{number}th tenth" for number in range(4, BINS)),
    "most uncertain tenth",
    "all",
)
AVERAGED = 5
STRUCTURE = 0.1
"""Voxels predicted brighter than this count as structure."""
PICTURE = ROOT / "docs" / "images" / "uncertainty.png"


@dataclass(frozen=True)
class Judged:
    """One pair: confocal, prediction with and without uncertainty, and the seconds each took; axes (Z, Y, X)."""

    name: str
    confocal: FloatArray
    plain: FloatArray
    prediction: FloatArray
    uncertainty: FloatArray
    seconds: tuple[float, float]

    @property
    def error(self) -> FloatArray:
        """Absolute error of the prediction."""
        return np.asarray(np.abs(self.prediction - self.confocal), dtype=np.float32)


def with_calibration(model: str, calibration: Calibration | None, path: Path) -> Path:
    """Write a copy of a model with another calibration, or none."""
    generator, info = load_model(find_model(model))
    return save_model(path, generator, info.model_copy(update={"uncertainty": calibration}))


def judge(model: str | Path, folder: Path, *, plain: bool = False, **options: Any) -> Iterator[Judged]:
    """Predict every pair of a folder; without ``plain`` only with uncertainty."""
    for pair in prepare_pairs(PairsFolder(folder).load(), read_info(find_model(str(model))).percentiles):
        stack = folder / "widefield" / pair.name
        made = predict(stack, model=str(model), uncertainty=True, **options)
        single = predict(stack, model=str(model), **options) if plain else made
        confocal = normalise(np.asarray(pair.confocal.data[:, :, :]), pair.confocal_range)
        seconds = single.seconds, made.seconds
        yield Judged(pair.name, confocal, single.data, made.data, made.uncertainty, seconds)


def curve(expected: FloatArray, error: FloatArray, bins: int = BINS) -> list[tuple[float, float, float]]:
    """Mean expected error, mean error, and share of errors within the expected one; bins of as many voxels each."""
    order = np.argsort(expected)
    parts = [(expected[part], error[part]) for part in np.array_split(order, bins)]
    return [(float(u.mean()), float(e.mean()), float((e <= u).mean())) for u, e in parts]


def rank_correlation(pair: Judged, least: float = -np.inf, over: int = 1) -> float:
    """Spearman's rank correlation of uncertainty and error, of voxels predicted brighter than ``least``.

    A single error is a matter of chance; averaged ``over`` some voxels along each axis it is less so.
    """
    chosen = pair.prediction > least
    error = ndi.uniform_filter(pair.error, over) if over > 1 else pair.error
    return float(spearmanr(pair.uncertainty[chosen], error[chosen]).statistic)


def kept(pair: Judged, share: float) -> float:
    """Share of the summed absolute error that is left without the most uncertain voxels."""
    threshold = np.quantile(pair.uncertainty, 1 - share)
    return float(pair.error[pair.uncertainty <= threshold].sum() / pair.error.sum())


def real_nucleus(model: Path, **options: Any) -> None:
    """Print what the uncertainty tells of a real pair, unlike those of the calibration."""
    file = open_stack(NUCLEUS)
    widefield = file.volume(nucleus_pair.WIDEFIELD)
    confocal = np.asarray(file.volume(nucleus_pair.CONFOCAL).data[:, :, :], dtype=np.float32)
    truth = scaled(confocal[nucleus_pair.INNER])
    spacing = widefield.require_spacing_um()
    made = predict(
        np.asarray(widefield.data[:, :, :]), spacing_um=spacing, model=str(model), uncertainty=True, **options
    )
    prediction, uncertainty = nucleus_pair.aligned(made.data), nucleus_pair.aligned(made.uncertainty)
    real = Judged(NUCLEUS.name, truth, prediction, prediction, uncertainty, (0.0, 0.0))
    print(f"real nucleus: expected {real.uncertainty.mean():.4f}, measured {real.error.mean():.4f}")
    for over in (1, AVERAGED):
        print(f"rank correlation, error over {over} voxels along each axis: {rank_correlation(real, over=over):.2f}")


def draw(path: Path, pair: Judged, table: list[tuple[float, float, float]]) -> None:
    """The calibration curve, and prediction, confocal, error and uncertainty of a pair in x-z."""
    figure, axes = plt.subplots(1, 5, figsize=(13, 2.9), width_ratios=[1.3, 1, 1, 1, 1], layout="constrained")
    expected, measured = (np.array(column) for column in list(zip(*table, strict=True))[:2])
    ends = [0.8 * min(expected.min(), measured.min()), 1.25 * max(expected.max(), measured.max())]
    axes[0].loglog(ends, ends, color="0.6", lw=1)
    axes[0].loglog(expected, measured, "o-", color="tab:orange", ms=4)
    axes[0].set(xlabel="expected error", ylabel="measured error", title="calibration")
    row = int(pair.error.mean(axis=(0, 2)).argmax())
    top = float(np.percentile(pair.error[:, row], 99.5))
    shown = (
        ("prediction", pair.prediction, "gray", 1.0),
        ("confocal", pair.confocal, "gray", 1.0),
        ("error", pair.error, "inferno", top),
        ("expected error", pair.uncertainty, "inferno", top),
    )
    for axis, (title, data, colours, high) in zip(axes[1:], shown, strict=True):
        axis.imshow(data[:, row], cmap=colours, vmin=0, vmax=high, aspect="auto", interpolation="nearest")
        axis.set(title=f"{title}, 0 to {high:.2g}", xticks=[], yticks=[])
    axes[1].set(xlabel="x", ylabel="z")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def report(pairs: list[Judged], file: Path | None) -> list[tuple[float, float, float]]:
    """Print what was found, write the calibration curve to a file, and return it."""
    uncertainty, error = (
        np.concatenate([getattr(p, name).ravel() for p in pairs]) for name in ("uncertainty", "error")
    )
    table = curve(uncertainty, error)
    whole = curve(uncertainty, error, bins=1)
    rows: list[Row] = [
        {"voxels": name, "expected": round(expected, 4), "measured": round(measured, 4), "within": round(within, 2)}
        for name, (expected, measured, within) in zip(PARTS, table + whole, strict=True)
    ]
    print(markdown(rows, {name: f"{{{name}}}" for name in rows[0]}))
    write_rows(file, rows)
    for times in (2, 3):
        print(f"errors within {times} x the expected one: {(error <= times * uncertainty).mean():.1%}")
    for (name, least), over in product((("all voxels", -np.inf), (f"above {STRUCTURE}", STRUCTURE)), (1, AVERAGED)):
        found = [rank_correlation(pair, least, over) for pair in pairs]
        print(
            f"rank correlation, {name}, error over {over} voxels along each axis: "
            f"{np.mean(found):.2f} ({min(found):.2f} to {max(found):.2f})"
        )
    means = [np.array([getattr(p, name).mean() for p in pairs]) for name in ("uncertainty", "error")]
    print(f"rank correlation of the stacks' means: {float(spearmanr(means[0], means[1]).statistic):.2f}")
    ratios = means[1] / means[0]
    print(f"measured / expected of each stack: {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})")
    for share in (0.05, 0.1):
        print(
            f"error left without the {share:.0%} most uncertain voxels: {np.mean([kept(p, share) for p in pairs]):.0%}"
        )
    for name in ("plain", "prediction"):
        scores = np.mean([[score(getattr(p, name), p.confocal) for score in (rmse, ssim)] for p in pairs], axis=0)
        print(f"{name}: RMSE {scores[0]:.4f}, SSIM {scores[1]:.4f}")
    once, often = np.sum([p.seconds for p in pairs], axis=0)
    print(f"cost: {often / once:.1f} x ({once:.1f} s, {often:.1f} s)")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", type=Path, help="pairs folder to measure on")
    parser.add_argument("--stacks", type=int, help="only so many of its pairs")
    parser.add_argument("--calibration", type=Path, help="pairs folder to fit on")
    parser.add_argument("--model", default="generalist")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--nucleus", action="store_true", help="measure on the real nucleus, too")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    add_table_option(parser)
    chosen = parser.parse_args()
    options = {"precision": chosen.precision}
    calibration = read_info(find_model(chosen.model)).uncertainty
    if chosen.calibration is not None:
        calibration = calibrate_on_folder(chosen.model, chosen.calibration, chosen.precision)
    if calibration is None:
        raise SystemExit(f"the model {chosen.model} is not calibrated; give --calibration")
    print(json.dumps(calibration.model_dump()), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        model = with_calibration(chosen.model, calibration, Path(folder) / "calibrated.safetensors")
        pairs = list(islice(judge(model, chosen.test, plain=True, **options), chosen.stacks))
        if chosen.nucleus:
            real_nucleus(model, **options)
    table = report(pairs, chosen.table)
    draw(chosen.picture, max(pairs, key=lambda pair: rank_correlation(pair, STRUCTURE)), table)
    print(chosen.picture)


if __name__ == "__main__":
    main()
