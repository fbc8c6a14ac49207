"""How long the trainings would take, from some steps of each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch

from benchmarks.common.tables import Row
from benchmarks.study.pairs import training_pairs
from benchmarks.study.study import Study
from benchmarks.study.trainings import VARIANTS
from napari_deep3d.core import TrainConfig, drain
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.nn.training import train_generator

STEPS = 8


def estimated(study: Study, variants: Iterable[str], cores: int) -> list[Row]:
    """Seconds of a step on one core, and hours of all seeds on all cores, by variant."""
    torch.set_num_threads(1)
    found = list[Row]()
    for name in variants:
        variant = VARIANTS[name]
        settings = study.size.settings | variant.settings | {"iterations": STEPS}
        config = TrainConfig.checked(**settings)
        folder = PairsFolder(training_pairs(study.store, study.size, variant.pairs))
        pairs = prepare_pairs(folder.load(), config.data.percentiles)
        with tempfile.TemporaryDirectory() as scratch:
            made = drain(train_generator(pairs, config.changed(validate_every=10**6), Path(scratch)))
        seconds = made.seconds / STEPS
        steps = study.size.settings["iterations"] * max(1, len(study.seeds))
        found.append({"method": name, "seconds_per_step": seconds, "hours": steps * seconds / 3600 / cores})
        print(
            f"{name}: {seconds:.2f} s a step, {found[-1]['hours']:.1f} h for {steps} steps on {cores} cores", flush=True
        )
    print(f"all: {sum(row['hours'] for row in found):.1f} h")
    return found
