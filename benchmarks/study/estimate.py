"""How long the trainings would take, from some steps of each."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch

from benchmarks.common.tables import Row
from benchmarks.study.pairs import training_pairs
from benchmarks.study.study import Study
from benchmarks.study.trainings import VARIANTS
from napari_deep3d.core import TrainConfig
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.nn.trainer import Trainer

STEPS = 6


def estimated(study: Study, variants: Iterable[str], cores: int) -> list[Row]:
    """Processor seconds of a step on one core, and hours of all seeds on all cores, by variant.

    The time of the processor does not count what other programs take of it; tests during a training are left out.
    """
    torch.set_num_threads(1)
    found = list[Row]()
    for name in variants:
        variant = VARIANTS[name]
        config = TrainConfig.checked(**(study.size.settings | variant.settings))
        folder = PairsFolder(training_pairs(study.store, study.size, variant.pairs))
        trainer = Trainer(config, prepare_pairs(folder.load(), config.data.percentiles))
        trainer.step(0)  # loads what is loaded once
        start = time.process_time()
        for step in range(1, STEPS + 1):
            trainer.step(step)
        seconds = (time.process_time() - start) / STEPS
        steps = config.optimizer.iterations * max(1, len(study.seeds))
        hours = steps * seconds / 3600 / cores
        found.append({"method": name, "seconds_per_step": seconds, "hours": hours})
        print(f"{name}: {seconds:.2f} s a step, {hours:.1f} h for {steps} steps on {cores} cores", flush=True)
    print(f"all: {sum(row['hours'] for row in found):.1f} h")
    return found
