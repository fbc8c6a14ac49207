"""Pictures of the test pair with the most and with the least in it (Fig. 3, 6): the program's own report for each.

Sections x-y and x-z, profiles, curves by depth and spectra of wide-field, prediction and confocal.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.common.scores import scaled
from benchmarks.study.methods import Model, stack
from benchmarks.study.pairs import TEST, test_pairs
from benchmarks.study.study import BUNDLED, Study
from benchmarks.study.trainings import BASE, Training
from napari_deep3d import evaluate
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder

DENSE = 0.1
"""Of the scale from 0 to 1: what is brighter counts as structure."""


def write(study: Study, folder: Path) -> list[Path]:
    """Write a report for each of both pairs, of the bundled model and of the first seed's base training."""
    pairs = PairsFolder(test_pairs(study.store, study.size, TEST))
    filled = {name: float((scaled(stack(pairs, CONFOCAL, name)) > DENSE).mean()) for name in pairs.names()}
    chosen = {"dense": max(filled, key=filled.__getitem__), "sparse": min(filled, key=filled.__getitem__)}
    models = {BUNDLED: Model()}
    if study.seeds:
        models[BASE] = Model(str(Training(BASE, study.seeds[0]).model(study.store, study.size)))
    folder.mkdir(parents=True, exist_ok=True)
    reports = []
    for density, name in chosen.items():
        for title, model in models.items():
            image = folder / f"{density} {title}.ome.tif".replace(" ", "-")
            spacing_um = pairs.volume(CONFOCAL, name).require_spacing_um()
            write_stack(image, np.asarray(model.answer(pairs, name)), spacing_um, overwrite=True)
            report = image.with_name(image.name.replace(".ome.tif", ".html"))
            evaluate(image, pairs.file(CONFOCAL, name), report, widefield=pairs.file(WIDEFIELD, name), overwrite=True)
            reports.append(report)
    return reports
