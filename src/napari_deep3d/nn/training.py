"""Training of WFCON-Net on registered pairs: steps, tests on held-out pairs, checkpoints (Li et al. 2021, Eq. 1)."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Clock, Job, Metrics, Notice, Pause, Stop, StoppedError, never, wait
from napari_deep3d.nn.checkpoint import (
    BestWeights,
    TrainingState,
    best_file,
    load_newest,
    save_checkpoint,
    write_tensors,
)
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.patches import TrainingPair
from napari_deep3d.nn.processes import Processes
from napari_deep3d.nn.schedule import learning_rate
from napari_deep3d.nn.trainer import DivergedError, Trainer
from napari_deep3d.nn.validation import preview, score_pairs

VALIDATION_PAIRS = 4
WEIGHTS, MEAN = "the weights", "the running mean of the weights"
MISREGISTRATION_SEED = 0x5417


@dataclass(frozen=True)
class TrainedGenerator:
    """What a training leaves, on the CPU.

    Attributes
    ----------
    generator
        The one to use: the best on the held-out pairs, or as it stands where that is newer and not worse.
    last
        The generator as it stands.
    step, steps_made
        Steps that are done in all, and those of this call.
    losses, validation
        Mean losses of the last steps; scores of ``generator`` on held-out pairs, empty if there were none.
    weights
        Which weights these are, in words.
    reason
        Why it ended before its time by itself; empty otherwise.
    """

    generator: Generator
    last: Generator
    step: int
    steps_made: int
    losses: Mapping[str, float]
    validation: Mapping[str, float]
    weights: str
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Control:
    """How the outside steers a training: ``stop`` and ``paused`` are asked between steps; see :class:`Preview`."""

    stop: Stop = never
    paused: Pause = never
    preview_every: int = 0
    processes: Processes = field(default_factory=Processes)
    voxels_at_once: int = sys.maxsize
    start: Mapping[str, Tensor] | None = None


def split_pairs(pairs: Sequence[TrainingPair], config: TrainConfig) -> tuple[list[TrainingPair], list[TrainingPair]]:
    """Training pairs and held-out pairs: those named, else a random share; none of fewer than three pairs.

    Raises
    ------
    InputError
        If a name is unknown, or nothing is left to train on.
    """
    if config.held_out:
        names = {pair.name for pair in pairs}
        unknown = sorted(set(config.held_out) - names)
        if unknown or names <= set(config.held_out):
            raise InputError(
                f"held_out names {', '.join(unknown) or 'every pair'}; names of some of the pairs are allowed: "
                f"{', '.join(sorted(names))}. Correct it."
            )
        held = [pair for pair in pairs if pair.name in config.held_out]
        return [pair for pair in pairs if pair.name not in config.held_out], held
    order = np.random.default_rng((config.seed, 0x5EED)).permutation(len(pairs))
    number = max(1, round(config.validation_share * len(pairs))) if config.validation_share else 0
    number = number if len(pairs) >= 3 else 0
    return [pairs[i] for i in sorted(order[number:])], [pairs[i] for i in sorted(order[:number])]


def train_generator(
    pairs: Sequence[TrainingPair], config: TrainConfig, checkpoint_folder: Path, control: Control | None = None
) -> Job[TrainedGenerator]:
    """Train from the newest checkpoint of a folder, or from the start.

    Yields Metrics (``loss`` and its weighted parts ``l1``, ``gan``, ``vgg``; ``discriminator``, ``learning_rate``;
    ``validation_rmse``, ``validation_ssim``), Preview, Progress and Notice. On stop, or when a loss is no longer a
    number, the generator as it stands is checkpointed and returned.

    Raises
    ------
    InputError
        If there is no pair, memory does not suffice for a single patch, or a checkpoint cannot be written.
    """
    control = control or Control()
    if not pairs:
        raise InputError("there is no pair to train on; at least one registered pair is needed.")
    training, held_out = split_pairs(pairs, config)
    if config.misregistration_um is not None:
        rng = np.random.default_rng((config.seed, MISREGISTRATION_SEED))
        training = [pair.misaligned(rng, config.misregistration_um) for pair in training]
    trainer = Trainer(config, training, control.processes, control.voxels_at_once)
    if control.start is not None:
        begin_from(trainer, control.start)
    run = _Run(trainer, held_out, checkpoint_folder, control)
    yield from run.resume()
    if not held_out:
        yield Notice("fewer than three pairs, or none held out: no test on unseen pairs")
    return (yield from run.go())


def begin_from(trainer: Trainer, weights: Mapping[str, Tensor]) -> None:
    """Let a training continue from the weights of a generator.

    Raises
    ------
    InputError
        If they are of another network.
    """
    networks = [trainer.generator] if trainer.average is None else [trainer.generator, trainer.average]
    for network in networks:
        try:
            network.load_state_dict({name: value.float() for name, value in weights.items()})
        except RuntimeError:
            raise InputError(
                f"the model to start from is of another network than width={trainer.config.width}, "
                f"dimensions={trainer.config.dimensions}, network_input={trainer.config.network_input}. Use its own "
                "settings, or start from scratch."
            ) from None


class _Run:
    """A training under way."""

    def __init__(self, trainer: Trainer, held_out: Sequence[TrainingPair], folder: Path, control: Control) -> None:
        self.trainer, self.config, self.control, self.folder = trainer, trainer.config, control, folder
        self.held_out = list(held_out)[:VALIDATION_PAIRS]
        self.shown = (self.held_out or trainer.pairs)[0]
        self.standing, self.first, self.saved = TrainingState(), 0, 0
        self.validation: dict[str, float] = {}
        self.waited = 0.0

    @property
    def step(self) -> int:
        return self.standing.step

    def resume(self) -> Job[None]:
        """Go on from the newest checkpoint, if there is one."""
        standing = load_newest(self.folder, self.trainer)
        if standing.step:
            yield Notice(f"resumed at step {standing.step}")
            self.trainer.voxels_at_once = standing.voxels_at_once
        self.standing, self.first, self.saved = standing, standing.step, standing.step
        if standing.best is not None:
            self.validation = {"rmse": standing.best.rmse, "ssim": standing.best.ssim}

    def go(self) -> Job[TrainedGenerator]:
        """Make the steps that are left."""
        config, clock, reason = self.config, Clock(), ""
        alone = self.control.processes.count == 1
        self.trainer.stop = self.control.stop if alone else never
        if self.step and self.held_out and self.standing.tested < self.step and self._due(config.validate_every):
            yield from self._unless_stopped(self._validate)  # which a stop had cut short
        while self.step < config.iterations and not self._asked_to_stop():
            try:
                self.trainer.step(self.step)
            except StoppedError:
                break
            except DivergedError as error:
                reason = f"{error}; training has ended there. Start a new run with a lower learning_rate."
                yield Notice(reason)
                break
            self.standing = replace(self.standing, step=self.step + 1)
            yield from self._after_step(clock)
        if self.saved < self.step:
            self._save()
        return self._result(clock.seconds - self.waited, reason)

    def _asked_to_stop(self) -> bool:
        self.waited += wait(self.control.paused, self.control.stop)
        return self.control.processes.agreed(self.control.stop, self.trainer.device)

    def _after_step(self, clock: Clock) -> Job[None]:
        config, step = self.config, self.step
        while self.trainer.notices:
            yield Notice(self.trainer.notices.pop(0))
        if self._due(config.log_every):
            yield Metrics(step, {**self.trainer.recent(), "learning_rate": learning_rate(config, step - 1)})
            done, total = step - self.first, config.iterations - self.first
            progress = clock.progress(done, total, f"step {step} of {config.iterations}")
            left = (clock.seconds - self.waited) * (total - done) / done
            yield replace(progress, seconds_left=left)
        if self.control.preview_every and (step % self.control.preview_every == 0 or step == self.first + 1):
            yield from self._unless_stopped(self._preview)
        if self.held_out and self._due(config.validate_every):
            yield from self._unless_stopped(self._validate)
        if self._due(config.checkpoint_every):
            self._save()

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.config.iterations

    def _unless_stopped(self, make: Callable[[], Job[None]]) -> Job[None]:
        try:
            yield from make()
        except StoppedError:
            return

    def _preview(self) -> Job[None]:
        trainer = self.trainer
        if self.control.processes.is_first:
            yield preview(
                self.step, trainer.generator, self.shown, self.config, trainer.device, trainer.dtype, self.control.stop
            )

    # Tests on held-out pairs

    def _validate(self) -> Job[None]:
        trainer = self.trainer
        found = {WEIGHTS: self._score(trainer.generator)}
        if trainer.average is not None:
            found[MEAN] = self._score(trainer.average)
        of = min(found, key=lambda name: found[name][0])
        rmse, ssim = found[of]
        best = self.standing.best
        is_best = best is None or rmse <= best.rmse
        if is_best:
            best = BestWeights(self.step, of, rmse, ssim)
            network = trainer.generator if of == WEIGHTS else trainer.average
            assert network is not None
            if self.control.processes.is_first:
                write_tensors(best_file(self.folder, best), network.state_dict(), {"step": str(self.step)})
        self.standing = replace(self.standing, best=best, is_best=is_best, tested=self.step)
        self.validation = {"rmse": rmse, "ssim": ssim}
        yield Metrics(self.step, {"validation_rmse": rmse, "validation_ssim": ssim})

    def _score(self, generator: Generator) -> tuple[float, float]:
        """Mean RMSE and SSIM; each process takes a share of the pairs."""
        trainer, processes = self.trainer, self.control.processes
        mine = [self.held_out[i] for i in processes.share(range(len(self.held_out)))]
        stop = self.control.stop if processes.count == 1 else never
        rows = score_pairs(generator, mine, self.config, trainer.device, trainer.dtype, stop)
        total = torch.tensor(np.array(rows).reshape(-1, 2).sum(axis=0), dtype=torch.float32, device=trainer.device)
        rmse, ssim = (processes.mean(total) * processes.count / len(self.held_out)).tolist()
        return rmse, ssim

    # What is kept

    def _save(self) -> None:
        self.standing = replace(self.standing, voxels_at_once=self.trainer.voxels_at_once)
        if self.control.processes.is_first:
            save_checkpoint(self.folder, self.standing, self.trainer)
        self.control.processes.wait_for_all()
        self.saved = self.step

    def _result(self, seconds: float, reason: str) -> TrainedGenerator:
        last = copy.deepcopy(self.trainer.generator).cpu().eval()
        generator, weights, scores = last, f"as after step {self.step}", {}
        best = self.standing.best
        if best is not None:
            scores = self.validation
            is_over = self.step == self.config.iterations or bool(reason)
            if is_over or not self.standing.is_best:
                generator = copy.deepcopy(last)
                generator.load_state_dict(load_file(best_file(self.folder, best)))
                weights = f"{best.of} after step {best.step}, best on held-out pairs"
                scores = {"rmse": best.rmse, "ssim": best.ssim}
            elif best.of == MEAN and self.trainer.average is not None:
                generator = copy.deepcopy(self.trainer.average).cpu().eval()
                weights = f"{MEAN} as after step {self.step}"
        return TrainedGenerator(
            generator=generator,
            last=last,
            step=self.step,
            steps_made=self.step - self.first,
            losses=self.trainer.recent(),
            validation=scores,
            weights=weights,
            seconds=seconds,
            reason=reason,
        )
