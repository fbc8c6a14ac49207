"""Train a model on simulated pairs that never end: some processes simulate while this one trains.

Usage: python -m tools.release.train_endless configs/generalist.toml configs/mixture.toml -o runs/seventh
           --start data/sixth_leg.safetensors [--from FOLDER] [--first 240] [--hold 3000] [--minutes 20]

The mixture says which bounds of ``configs/simulate`` are drawn from, and how often; pair i depends on its seed and i
alone. Training begins with the ``--first`` pairs, and draws from the newest ``--hold`` (5 MB each) from then on, so
which pairs a step sees depends on how fast the processor is. With ``--minutes`` as many steps are made as fit. Left
out are pairs that show nothing, and those whose brightest voxels are far above the percentile that becomes 1.
``weights_STEP.safetensors`` are the running means of the weights meanwhile; at the end the model is written.
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread

import numpy as np

from napari_deep3d.api import train_config
from napari_deep3d.core import InputError, Shape, Volume, read_toml, zyx
from napari_deep3d.core.config.base import merge
from napari_deep3d.core.simulation.imaging import simulate_pair
from napari_deep3d.core.simulation.scene import SceneBounds
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.models.store import open_model
from napari_deep3d.jobs.pairs import stacks_in
from napari_deep3d.jobs.train.plan import settings_from_start
from napari_deep3d.jobs.train.trained_model import save_trained
from napari_deep3d.nn.checkpoint import write_tensors
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.patches import TrainingPair
from napari_deep3d.nn.trainer import Trainer
from napari_deep3d.nn.training import TrainedGenerator, begin_from

PERCENTILES = (0.1, 99.9)
LARGEST = 15.0
"""How far above the percentile that becomes 1 the brightest confocal voxels may be: beyond that, too little of the
field is bright for what becomes 1 to be structure."""
BOUNDS = Path(__file__).parents[2] / "configs" / "simulate"
"""Where the mixture's names are found."""
TOLD_EVERY = 100
PROBED_STEPS, RESERVE = 40, 1.04
"""Steps that tell how many fit into the time, and how much longer the rest of them may take."""


@dataclass(frozen=True)
class Mixture:
    """What the pairs are drawn within."""

    seed: int
    shape: Shape
    bounds: Sequence[SceneBounds]
    shares: Sequence[float]
    stacks: Sequence[Volume]

    @classmethod
    def read(cls, file: Path, real: Path | None) -> Mixture:
        """Read a mixture's file, its bounds and the folder of real stacks (Z, Y, X) to take samples from."""
        given = read_toml(file)
        names = list(given["shares"])
        bounds = [merge(SceneBounds, read_toml(BOUNDS / f"{name}.toml"), {}) for name in names]
        volumes = [open_stack(path).volume() for path in stacks_in(real)] if real is not None else []
        held = [Volume(np.asarray(volume.data[:, :, :]), volume.spacing_um, name=volume.name) for volume in volumes]
        return cls(given["seed"], zyx(given["shape"]), bounds, list(given["shares"].values()), held)

    def pair(self, index: int) -> TrainingPair | None:
        """A pair, ready to learn from; None if it shows too little."""
        seed = (self.seed, index)
        shares = np.array(self.shares) / sum(self.shares)
        bounds = self.bounds[int(np.random.default_rng(seed).choice(len(shares), p=shares))]
        try:
            made = simulate_pair(seed, self.shape, confocal_stacks=self.stacks, bounds=bounds)
            widefield, confocal = (Volume(data, made.scene.spacing_um) for data in (made.widefield, made.confocal))
            pair = TrainingPair.prepare(f"pair_{index:05d}", widefield, confocal, PERCENTILES)
        except InputError:  # nothing but black was drawn, or nearly
            return None
        low, high = pair.confocal_range
        return pair if float(made.confocal.max()) - low < LARGEST * (high - low) else None


_mixture: Mixture
"""Of a process that simulates."""


def _begin(file: Path, real: Path | None) -> None:
    global _mixture
    os.nice(10)
    _mixture = Mixture.read(file, real)


def _make(index: int) -> TrainingPair | None:
    return _mixture.pair(index)


def simulated(file: Path, real: Path | None, processes: int) -> Iterator[TrainingPair]:
    """Pairs without end, in the order in which they are done."""
    begin = partial(_begin, file, real)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=begin) as pool:
        pending, number = set[Future[TrainingPair | None]](), 0
        try:
            while True:
                while len(pending) < 2 * processes:
                    pending.add(pool.submit(_make, number))
                    number += 1
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    pair = future.result()
                    if pair is not None:
                        yield pair
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class NewestPairs(list[TrainingPair]):
    """The newest of the pairs that another thread gets from an iterator, a number of them at most."""

    def __init__(self, source: Iterator[TrainingPair], hold: int) -> None:
        super().__init__()
        self.made, self._hold, self._source, self._over = 0, hold, source, Event()
        self._thread = Thread(target=self._collect)
        self._thread.start()

    def _collect(self) -> None:
        try:
            for pair in self._source:
                if len(self) < self._hold:
                    self.append(pair)
                else:
                    self[self.made % self._hold] = pair
                self.made += 1
                if self._over.is_set():
                    break
        finally:
            self._over.set()

    def wait_for(self, number: int) -> None:
        """Wait until there are so many; RuntimeError if the simulation ended before."""
        while len(self) < number:
            if self._over.wait(0.2):
                raise RuntimeError(f"the simulation ended after {self.made} pairs")

    def close(self) -> None:
        """Let the simulation end."""
        self._over.set()
        self._thread.join()


def steps_that_fit(trainer: Trainer, seconds: float) -> int:
    """How many steps fit into a time, told by a few that are made for it."""
    trainer.step(0)
    begin = time.monotonic()
    for step in range(1, PROBED_STEPS + 1):
        trainer.step(step)
    taken = time.monotonic() - begin
    print(f"{taken / PROBED_STEPS:.4f} s a step", flush=True)
    return int((seconds - taken) / (RESERVE * taken / PROBED_STEPS))


def learn(trainer: Trainer, pairs: NewestPairs, folder: Path, save_every: int) -> None:
    """Make all steps, tell the losses, and write the running means of the weights to a folder meanwhile."""
    steps, begin = trainer.config.optimizer.iterations, time.monotonic()
    for step in range(1, steps + 1):
        trainer.step(step - 1)
        if step % TOLD_EVERY == 0 or step == steps:
            told = ", ".join(f"{name} {value:.4f}" for name, value in trainer.recent().items())
            print(f"{step} of {steps}, {time.monotonic() - begin:.0f} s, {pairs.made} pairs, {told}", flush=True)
        if step % save_every == 0 or step == steps:
            half = {name: value.half() for name, value in mean_of(trainer).state_dict().items()}
            write_tensors(folder / f"weights_{step:06d}.safetensors", half, {"step": str(step)})


def mean_of(trainer: Trainer) -> Generator:
    """The running mean of the weights, or the weights where none is kept."""
    return trainer.ema or trainer.generator


def as_trained(trainer: Trainer, seconds: float) -> TrainedGenerator:
    """What a training that made all its steps leaves."""
    steps = trainer.config.optimizer.iterations
    model, last = (copy.deepcopy(each).cpu().eval() for each in (mean_of(trainer), trainer.generator))
    weights = f"running mean of the weights after step {steps}"
    return TrainedGenerator(model, last, steps, steps, trainer.recent(), {}, weights, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=Path)
    parser.add_argument("mixture", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--start", required=True, help="model to go on from")
    parser.add_argument("--name", default="generalist")
    parser.add_argument("--from", dest="real", type=Path, help="folder of real stacks to take samples from")
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 1) - 2), help="that simulate")
    parser.add_argument("--first", type=int, default=240, help="pairs to begin with")
    parser.add_argument("--hold", type=int, default=3000, help="pairs in memory at most")
    parser.add_argument("--minutes", type=float, help="time for the steps, instead of their number")
    parser.add_argument("--save-every", type=int, default=1000, help="steps")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True)
    weights, info = open_model(chosen.start)
    config = settings_from_start(train_config("laptop", read_toml(chosen.settings), {}), info)
    pairs = NewestPairs(simulated(chosen.mixture, chosen.real, chosen.processes), chosen.hold)
    try:
        pairs.wait_for(chosen.first)
        begin = time.monotonic()
        print(f"begins with {len(pairs)} pairs", flush=True)
        if chosen.minutes:
            steps = steps_that_fit(Trainer(config, pairs), 60 * chosen.minutes)
            config = config.changed(iterations=steps)
        trainer = Trainer(config, pairs)
        begin_from(trainer, weights.state_dict())
        learn(trainer, pairs, chosen.output, chosen.save_every)
    finally:
        pairs.close()
    trained = as_trained(trainer, time.monotonic() - begin)
    save_trained(chosen.output, trained, list(pairs), config, chosen.name, str(chosen.start), None)


if __name__ == "__main__":
    main()
