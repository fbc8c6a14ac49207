"""The trainings of the study: variants of one training that differ in one thing each, by seed.

One that was ended goes on where it was. Scored are the weights of the last step, as the paper has them, not those that
did best on held-out pairs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.study.pairs import ALIGNED, DISPLACED, METHODS, training_pairs
from benchmarks.study.size import Size
from benchmarks.study.store import Place, Store
from napari_deep3d import train
from napari_deep3d.core import InputError
from napari_deep3d.jobs.train.run_folder import LAST_FILE, read_run


@dataclass(frozen=True)
class Variant:
    """A kind of training: what it changes of the settings, and the pairs it learns from."""

    settings: dict[str, Any] = field(default_factory=dict)
    pairs: str = ALIGNED


BASE = "L1+GAN+VGG"
"""The paper's own: 3D, all three losses, every plane, registered pairs."""
VARIANTS = {
    "L1": Variant({"weight_gan": 0.0, "weight_vgg": 0.0}),
    "L1+GAN": Variant({"weight_vgg": 0.0}),
    BASE: Variant(),
    "2D": Variant({"dimensions": 2}),
    "DeepZ+": Variant({"dimensions": 2, "network_input": "plane"}),
    "every 2nd plane": Variant({"z_step": 2}),
    "every 4th plane": Variant({"z_step": 4}),
    "registered by PSF": Variant(pairs=METHODS[0]),
    "registered by cross-correlation": Variant(pairs=METHODS[1]),
    "not registered": Variant(pairs=DISPLACED),
}


@dataclass(frozen=True)
class Training:
    """A training of a variant with a seed."""

    variant: str
    seed: int

    def place(self, store: Store, size: Size) -> Place:
        """Where its run folder lies; its pairs are made if they are not there."""
        variant = VARIANTS[self.variant]
        pairs = training_pairs(store, size, variant.pairs)
        settings = size.settings | variant.settings | {"seed": self.seed}
        return store.place("runs", f"{self.variant} seed {self.seed}", pairs=pairs.name, settings=settings)

    def model(self, store: Store, size: Size) -> Path:
        """Its weights after the last step."""
        return self.place(store, size).path / LAST_FILE


def make(training: Training, store: Store, size: Size, threads: int = 1) -> float:
    """Train to the end, from where an earlier call was ended; return the seconds of all steps, as at the last speed."""
    import torch

    torch.set_num_threads(threads)
    place = training.place(store, size)
    if not place.is_finished:
        begun = _steps_done(place.path) > 0
        if not begun:
            shutil.rmtree(place.path, ignore_errors=True)
        pairs = store.root / "pairs" / str(place.depends_on["pairs"])
        made = train(pairs, place.path, resume=begun, **({} if begun else place.depends_on["settings"]))
        place.finish(steps=made.iterations, seconds=made.iterations / max(made.iterations_per_second, 1e-9))
    return float(place.facts()["seconds"])


def make_all(trainings: Iterable[Training], store: Store, size: Size, cores: int) -> None:
    """Train what is not finished, one on each core, those of the first seed first."""
    # The pairs first: the trainings would else make them at the same time.
    waiting = [each for each in trainings if not each.place(store, size).is_finished]
    waiting.sort(key=lambda each: each.seed)
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        tasks = {pool.submit(make, each, store, size): each for each in waiting}
        for number, task in enumerate(as_completed(tasks), 1):
            each = tasks[task]
            said = f"{each.variant}, seed {each.seed}: {task.result() / 60:.0f} minutes"
            print(f"training {number} of {len(tasks)}: {said}", flush=True)


def _steps_done(run: Path) -> int:
    try:
        return read_run(run).steps_done
    except InputError:
        return 0
