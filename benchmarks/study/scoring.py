"""Answers measured against the confocal stacks by the program's own ``evaluate``, each stack once and kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.tables import Row
from benchmarks.study.methods import Method, key_of, stack
from benchmarks.study.store import Store
from napari_deep3d import evaluate
from napari_deep3d.core import DoubleArray
from napari_deep3d.core.evaluation.spectrum import HIGH, AxialSpectrum
from napari_deep3d.jobs.evaluate.evaluate import CONFOCAL, PREDICTION, StackEvaluation
from napari_deep3d.jobs.pairs import PairsFolder

Scored = dict[str, Any]
"""Of one stack: ``figures`` and ``by_depth`` by name."""


@dataclass(frozen=True)
class Ask:
    """An answer that a part of the study asks for: of a method, to the pairs of a folder, with facts for its row."""

    facts: Row
    tests: Path
    method: Method


def scores(store: Store, ask: Ask) -> list[Scored]:
    """What ``evaluate`` says of every stack; those that are not measured yet are."""
    pairs, found = PairsFolder(ask.tests), list[Scored]()
    for name in pairs.names():
        place = store.place(
            "scores", f"{ask.tests.name} {name}", pair=name, tests=ask.tests.name, by=key_of(ask.method)
        )
        if not place.is_finished:
            place.finish(scored=_measured(pairs, name, ask.method))
        found.append(place.facts()["scored"])
    return found


def score_all(store: Store, asks: Iterable[Ask], cores: int) -> None:
    """Measure all answers, as many sets at a time as there are cores."""
    asks = list(asks)
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        tasks = {pool.submit(scores, store, ask): ask for ask in asks}
        for number, task in enumerate(as_completed(tasks), 1):
            task.result()
            print(f"answers {number} of {len(asks)}: {tasks[task].facts}", flush=True)


def mean_row(store: Store, ask: Ask, names: Sequence[str]) -> Row:
    """A row: the facts, the number of stacks, and means over them."""
    found = scores(store, ask)
    means = {name: float(np.mean([one["figures"][name] for one in found])) for name in names}
    return ask.facts | {"stacks": len(found)} | means


def mean_by_depth(store: Store, ask: Ask, names: Sequence[str]) -> dict[str, DoubleArray]:
    """Means over the stacks, plane by plane, arrays (Z,); NaN where no stack has a value."""
    found = scores(store, ask)
    values = {name: np.array([one["by_depth"][name] for one in found], dtype=np.float64) for name in names}
    return {name: _nanmean(value) for name, value in values.items()}


def _measured(pairs: PairsFolder, name: str, method: Method) -> Scored:
    image, confocal = method.answer(pairs, name), stack(pairs, CONFOCAL, name)
    spacing_um = pairs.volume(CONFOCAL, name).require_spacing_um()
    found = evaluate(image, confocal, spacing_um=spacing_um).stacks
    mine, truth = found[PREDICTION], found[CONFOCAL]
    figures = {k: float(v) for k, v in mine.figures.items()}
    figures["high_frequencies"] = figures["high_frequency_sum"] / truth.figures["high_frequency_sum"]
    figures["axial_high_frequencies"] = _axial(mine) / _axial(truth)
    return {"figures": figures, "by_depth": {k: v.tolist() for k, v in mine.by_depth.items()}}


def _axial(found: StackEvaluation) -> float:
    return axial_sum(found.axial)


def axial_sum(spectrum: AxialSpectrum) -> float:
    """Power at high axial frequencies, from half the Nyquist frequency along z, of all lateral ones but the highest."""
    rows = spectrum.along >= HIGH
    columns = spectrum.across < HIGH
    # A ring further out holds more frequencies, in proportion to its radius.
    return float(np.nansum(spectrum.power[rows][:, columns] * spectrum.across[columns]))


def _nanmean(values: DoubleArray) -> DoubleArray:
    counts = np.isfinite(values).sum(axis=0)
    return np.where(counts > 0, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
