"""The study's pictures: test pairs (Fig. 3, 6), curves and spectra (Fig. 1, 5 to 7), registration (Fig. 8).

Of the test pairs the one with the most and the one with the least in it: for each a sheet of all networks, and the
program's own report of the bundled model and of the base training. Trainings are those of the first seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.scores import scaled
from benchmarks.registration.accuracy import register_volumes
from benchmarks.study import by_depth, registration_error
from benchmarks.study.methods import Itself, Method, Model, stack
from benchmarks.study.pairs import TEST, test_pairs
from benchmarks.study.scoring import mean_by_depth
from benchmarks.study.sheets import DEPTH_LABELS, ByDepth, Shown, draw_curves, draw_registration, draw_sections
from benchmarks.study.size import CONFIGS
from benchmarks.study.study import BUNDLED, WIDE_FIELD, Study
from benchmarks.study.trainings import BASE, Training
from napari_deep3d import evaluate
from napari_deep3d.core import FloatArray, Spacing, merge, read_toml
from napari_deep3d.core.registration.result import Curve
from napari_deep3d.core.simulation.scene import SceneBounds
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder

DENSE = 0.1
"""Of the scale from 0 to 1: what is brighter counts as structure."""
NETWORKS, LOSSES = ("DeepZ+", "2D", BASE), ("L1", "L1+GAN", BASE)


@dataclass(frozen=True)
class TestPair:
    """A pair to show, and why."""

    study: Study
    pairs: PairsFolder
    name: str
    density: str

    @property
    def spacing_um(self) -> Spacing:
        """Voxel size (Z, Y, X)."""
        return self.pairs.volume(CONFOCAL, self.name).require_spacing_um()

    @property
    def confocal(self) -> FloatArray:
        """Confocal stack (Z, Y, X) as it was recorded."""
        return stack(self.pairs, CONFOCAL, self.name)

    def answer(self, title: str) -> FloatArray:
        """The stack that something makes of it."""
        return np.asarray(_method(self.study, title).answer(self.pairs, self.name))

    def shown(self, titles: Sequence[str]) -> list[Shown]:
        """The stacks that these make of it, measured."""
        return [Shown.of(title, self.answer(title), self.confocal, self.spacing_um) for title in titles]

    def report(self, folder: Path, title: str) -> Path:
        """Write the stack that something makes of it, and the program's report of that."""
        image = folder / f"{self.density} {title}.ome.tif".replace(" ", "-")
        write_stack(image, self.answer(title), self.spacing_um, overwrite=True)
        report = image.with_name(image.name.replace(".ome.tif", ".html"))
        files = {kind: self.pairs.file(kind, self.name) for kind in (CONFOCAL, WIDEFIELD)}
        evaluate(image, files[CONFOCAL], report, widefield=files[WIDEFIELD], overwrite=True)
        return report


def write(study: Study, reports: Path, images: Path) -> list[Path]:
    """Write reports to one folder, and to another the sheets that the documentation shows; most need trainings."""
    reports.mkdir(parents=True, exist_ok=True)
    chosen = _chosen(study)
    written = [pair.report(reports, title) for pair in chosen for title in (BUNDLED, *[BASE][: len(study.seeds)])]
    curves = {sample: _curves(study, sample) for sample in registration_error.SAMPLES}
    written.append(draw_registration(images / "paper_registration.png", registration_error.rows(study), curves))
    if not study.seeds:
        return written
    for pair in chosen:
        title = f"Test pair with the {'most' if pair.density == 'dense' else 'least'} in it, trainings of one seed"
        shown = pair.shown((WIDE_FIELD, *NETWORKS, BUNDLED))
        path = images / f"paper_{pair.density}.png"
        written.append(draw_sections(path, shown, pair.confocal, pair.spacing_um, title))
    measured = {s.title: s for s in chosen[0].shown((WIDE_FIELD, *dict.fromkeys(LOSSES + NETWORKS), CONFOCAL))}
    losses, networks = ([measured[t] for t in (WIDE_FIELD, *ts, CONFOCAL)] for ts in (LOSSES, NETWORKS))
    written.append(draw_curves(images / "paper_curves.png", _by_depth(study, chosen[0]), losses, networks))
    return written


def _curves(study: Study, sample: str) -> dict[str, Curve]:
    """Of the first pair: PSF and cross-correlation along z around the true shift."""
    bounds = merge(SceneBounds, read_toml(CONFIGS / "tissue.toml"))
    pair = registration_error.pair_of(sample, 0, study.size.registration_shape, bounds)
    true_um = pair.shift_voxels[0] * pair.widefield.require_spacing_um()[0]
    found = {
        "PSF": register_volumes(pair.confocal, pair.widefield, method="psf"),
        "cross-correlation": register_volumes(pair.confocal, pair.widefield, method="plain-cross-correlation"),
    }
    maps = {"PSF": found["PSF"].psf, "cross-correlation": found["cross-correlation"].plain_correlation}
    along_z = {name: shifts.profile(0, found[name].shift_um) for name, shifts in maps.items()}
    return {name: Curve(curve.shift_um - true_um, curve.values) for name, curve in along_z.items()}


def _chosen(study: Study) -> list[TestPair]:
    pairs = PairsFolder(test_pairs(study.store, study.size, TEST))
    filled = {name: float((scaled(stack(pairs, CONFOCAL, name)) > DENSE).mean()) for name in pairs.names()}
    names = {"dense": max(filled, key=filled.__getitem__), "sparse": min(filled, key=filled.__getitem__)}
    return [TestPair(study, pairs, name, density) for density, name in names.items()]


def _method(study: Study, title: str) -> Method:
    if title in (WIDE_FIELD, CONFOCAL):
        return Itself(WIDEFIELD if title == WIDE_FIELD else CONFOCAL)
    return Model() if title == BUNDLED else Model(str(Training(title, study.seeds[0]).model(study.store, study.size)))


def _by_depth(study: Study, pair: TestPair) -> ByDepth:
    """Means over all test pairs, plane by plane; confocal last."""
    asks = {str(a.facts["method"]): a for a in by_depth.asks(study) if a.facts["seed"] in ("", study.seeds[0])}
    found = {title: mean_by_depth(study.store, ask, list(DEPTH_LABELS)) for title, ask in asks.items()}
    found[CONFOCAL] = found.pop(CONFOCAL)
    z_um = np.asarray(np.arange(len(found[CONFOCAL]["rmse_fit"])) * pair.spacing_um[0], dtype=np.float64)
    return {title: dict(curves, z_um=z_um) for title, curves in found.items()}
