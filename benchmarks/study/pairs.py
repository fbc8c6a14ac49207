"""Pairs of the study: to train on, as they are, displaced and registered again; to test with, of several sorts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.tables import Row
from benchmarks.study.size import CONFIGS, Size
from benchmarks.study.store import Place, Store
from napari_deep3d import simulate
from napari_deep3d.core import Box, RegisterConfig, Shape, drain, never, read_toml, zyx
from napari_deep3d.core.registration import align_pair, register_volumes
from napari_deep3d.jobs.pairs import PairsFolder

TRAINING_SEED, TEST_SEED, DISPLACEMENT_SEED = 5100, 5200, 5300
LESS = {"mean_free_path_um": [150.0, 300.0], "glowing": 0.0}
MORE = {"mean_free_path_um": [20.0, 40.0], "glowing": 1.0, "glow_level": [0.3, 1.0]}
TEST = "test"
OTHERS: dict[str, dict[str, Any]] = {
    "neurons, less haze": {"kinds": {"neurons": 1.0}} | LESS,
    "neurons, more haze": {"kinds": {"neurons": 1.0}} | MORE,
    "nuclei, less haze": {"kinds": {"nuclei": 1.0}} | LESS,
    "nuclei, more haze": {"kinds": {"nuclei": 1.0}} | MORE,
}
"""Samples and haze that are not those of the training, for the paper's "other slices" (GFP, DAPI), as bounds."""
ALIGNED, DISPLACED = "aligned", "displaced"
METHODS = ("psf", "plain-cross-correlation")
"""How displaced pairs are registered; the paper's cross-correlation is that of the stacks as they are."""
ERRORS = "errors.json"


def test_pairs(store: Store, size: Size, name: str) -> Path:
    """Pairs to test with: ``TEST``, as those to train on, or one of `OTHERS`."""
    seed = TEST_SEED + [TEST, *OTHERS].index(name)
    number = size.tests if name == TEST else size.others
    return _simulated(store, name, number, size.shape, seed, OTHERS.get(name, {}))


def training_pairs(store: Store, size: Size, name: str) -> Path:
    """Pairs to train on, all of the same samples: ``ALIGNED``, ``DISPLACED``, or registered by one of `METHODS`."""
    if name in METHODS:
        return _registered(store, training_pairs(store, size, DISPLACED), name)
    wide = zyx(n + 2 * margin for n, margin in zip(size.shape, size.margin, strict=True))
    whole = _simulated(store, "training", size.training, wide, TRAINING_SEED, {})
    place = store.place("pairs", name, whole=whole.name, margin=size.margin)
    if not place.is_finished:
        none: Shape = (0, 0, 0)
        crop(whole, _emptied(place), size.margin, displacement(size) if name == DISPLACED else lambda _: none)
        place.finish()
    return place.path


def displacement(size: Size) -> Callable[[int], Shape]:
    """How far what is at an index of the confocal stack lies off in wide-field, in voxels, by the pair's number."""
    return lambda number: zyx(
        int(np.random.default_rng((DISPLACEMENT_SEED, number, axis)).integers(-margin, margin + 1))
        for axis, margin in enumerate(size.margin)
    )


def crop(pairs: Path, out: Path, margin: Shape, shift_of: Callable[[int], Shape]) -> None:
    """Write the middles of pairs, without their margins; the wide-field one is cut aside, which displaces it."""
    for number, pair in enumerate(PairsFolder(pairs).load()):
        middle = Box(*(slice(m, n - m) for m, n in zip(margin, pair.confocal.shape, strict=True)))
        aside = middle.shifted([-d for d in shift_of(number)])
        stacks = np.asarray(pair.widefield.data[aside]), np.asarray(pair.confocal.data[middle])
        name = pair.name.split(".")[0]
        PairsFolder(out).write(name, *stacks, pair.widefield.require_spacing_um(), overwrite=True)


def _registered(store: Store, displaced: Path, method: str) -> Path:
    """Register displaced pairs; also those that the program would refuse, for the paper refused none."""
    place = store.place("pairs", f"by {method}", displaced=displaced.name, method=method)
    if place.is_finished:
        return place.path
    folder, rows = PairsFolder(_emptied(place)), list[Row]()
    config = RegisterConfig.checked(method=method)
    for pair in PairsFolder(displaced).load():
        found = drain(register_volumes(pair.confocal, pair.widefield, config, never))
        aligned = drain(align_pair(pair.confocal, pair.widefield, found.transform))
        name = pair.name.split(".")[0]
        folder.write(name, aligned.widefield, aligned.confocal, aligned.spacing_um, overwrite=True)
        rows.append({"name": name, "shift": list(found.shift_voxels), "refused": bool(found.refusal)})
    (place.path / ERRORS).write_text(json.dumps(rows), encoding="utf-8")
    return place.finish()


def _simulated(store: Store, name: str, number: int, shape: Shape, seed: int, changes: dict[str, Any]) -> Path:
    bounds = read_toml(CONFIGS / "tissue.toml") | changes
    place = store.place("pairs", name, pairs=number, shape=shape, seed=seed, bounds=bounds)
    if not place.is_finished:
        simulate(place.path, pairs=number, shape=shape, seed=seed, overwrite=True, **bounds)
        place.finish()
    return place.path


def _emptied(place: Place) -> Path:
    shutil.rmtree(place.path, ignore_errors=True)
    place.path.mkdir(parents=True)
    return place.path
