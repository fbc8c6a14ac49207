"""When a GAN settles: curves of the losses and of the held-out score, step by step (Eq. 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.common.tables import Row
from benchmarks.study.study import Part, Study
from benchmarks.study.trainings import BASE, Training
from napari_deep3d.core import DoubleArray
from napari_deep3d.jobs.train.run_folder import read_metrics

VARIANTS = ("L1", "L1+GAN", BASE)
COLUMNS = ("l1", "gan", "vgg", "discriminator", "validation_rmse", "validation_ssim")
POINTS = 20
"""Rows of a curve: each is the mean over a twentieth of the steps."""
LAST, BAND = 0.25, 0.1
"""A curve has settled where it stays within a tenth of its mean over its last quarter."""


def curves(study: Study) -> list[Row]:
    """Means over parts of each training."""
    found = list[Row]()
    for variant in VARIANTS:
        for seed in study.seeds:
            values = _metrics(study, Training(variant, seed))
            last_step = max(int(steps[-1]) for steps, _ in values.values())
            for end in np.linspace(0, last_step, POINTS + 1)[1:]:
                row: Row = {"method": variant, "seed": seed, "step": round(float(end))}
                for name, (steps, curve) in values.items():
                    inside = (steps > end - last_step / POINTS) & (steps <= end)
                    row[name] = float(curve[inside].mean()) if inside.any() else None
                found.append(row)
    return found


def settled(study: Study) -> list[Row]:
    """The step from which each curve of a training stays near its end; empty where it does not."""
    found = list[Row]()
    for variant in VARIANTS:
        for seed in study.seeds:
            values = _metrics(study, Training(variant, seed))
            steps_of = {f"{name} settled": settled_step(*values[name]) for name in COLUMNS if name in values}
            last_step = max(int(steps[-1]) for steps, _ in values.values())
            found.append({"method": variant, "seed": seed, "steps": last_step} | steps_of)
    return found


def settled_step(steps: DoubleArray, values: DoubleArray) -> int | None:
    """Step from which the mean over a twentieth of a curve stays within a tenth of the mean of its last quarter.

    None if it is not within before that quarter begins: then nothing says that it has settled.
    """
    number = len(values)
    window = max(1, number // POINTS)
    smooth = np.convolve(values, np.ones(window) / window, mode="valid")
    at = steps[window - 1 :]
    final = float(values[-max(1, round(LAST * number)) :].mean())
    outside = np.flatnonzero(np.abs(smooth - final) > BAND * abs(final))
    first = int(outside[-1]) + 1 if outside.size else 0
    if first >= len(at) or at[first] > (1 - LAST) * steps[-1]:
        return None
    return int(at[first])


def _metrics(study: Study, training: Training) -> dict[str, tuple[DoubleArray, DoubleArray]]:
    """Steps and values of each column that a training has noted."""
    place = training.place(study.store, study.size)
    noted = [metrics for metrics in read_metrics(place.path, 10**9) if metrics.step]
    found = {}
    for name in COLUMNS:
        points: Sequence[tuple[int, float]] = [(m.step, m.values[name]) for m in noted if name in m.values]
        if points and any(value for _, value in points):
            steps, values = zip(*points, strict=True)
            found[name] = (np.array(steps, dtype=np.float64), np.array(values, dtype=np.float64))
    return found


PARTS = {
    "curves": Part("paper_curves.csv", curves, VARIANTS),
    "settling": Part("paper_settling.csv", settled, VARIANTS),
}
