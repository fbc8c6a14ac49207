"""Training of WFCON-Net on registered pairs: steps, tests on held-out pairs, checkpoints (Li et al. 2021, Eq. 1)."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from napari_deep3d.core import (
    Clock,
    InputError,
    Job,
    Metrics,
    Notice,
    Pause,
    Preview,
    Progress,
    Stop,
    StoppedError,
    TimeLimit,
    TrainConfig,
    never,
    wait,
)
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
from napari_deep3d.nn.trainer import DivergedError, Trainer, learning_rate
from napari_deep3d.nn.unpaired import make_trainer
from napari_deep3d.nn.validation import pairs_to_test, preview, score_pairs, score_widefield

WEIGHTS, EMA = "the weights", "the running mean of the weights"
"""What the weights of the network, and their exponential moving average, are called in files."""
EARLY_STEPS = (1, 2, 5)
"""Steps whose figures are told however seldom others are: a step may take seconds, and one wants to see it begin."""
SPLIT_SEED, MISREGISTRATION_SEED = 0x5EED, 0x5417


@dataclass(frozen=True)
class TrainedGenerator:
    """What a training leaves, on the CPU.

    Attributes
    ----------
    generator, last : Generator
        The one to use: the best on the held-out pairs, or ``last``, as it stands, where that is newer and not worse.
    step, steps_made : int
        Steps that are done in all, and those of this call.
    losses, validation : mapping of float
        Mean losses of the last steps; ``rmse`` and ``ssim`` of ``generator`` on held-out pairs, if there are any.
    weights : str
        Which weights these are, in words.
    seconds : float
        How long the steps took, without pauses.
    reason : str
        Why it ended before its time by itself; empty otherwise.
    time_is_up : bool
        Whether it ended before its last step since the time that it may take was over.
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
    time_is_up: bool = False


@dataclass(frozen=True)
class Control:
    """How the outside steers a training: ``stop`` and ``paused`` are asked between steps.

    ``preview_every`` is the number of steps between Preview events, 0 for none; ``voxels_at_once`` how many voxels of
    a batch fit into memory; ``start`` are weights to begin with. Of the time ``limit`` the last ``reserved_seconds``
    are kept for what comes after the steps; without ``tests`` no pairs are tested.
    """

    stop: Stop = never
    paused: Pause = never
    preview_every: int = 0
    processes: Processes = field(default_factory=Processes)
    voxels_at_once: int = sys.maxsize
    start: Mapping[str, Tensor] | None = None
    limit: TimeLimit = field(default_factory=TimeLimit)
    reserved_seconds: float = 0.0
    tests: bool = True

    def is_over(self) -> bool:
        """Whether it was stopped, or the whole time is over: asked within steps and tests."""
        return self.stop() or self.limit.is_over()


def split_pairs(pairs: Sequence[TrainingPair], config: TrainConfig) -> tuple[list[TrainingPair], list[TrainingPair]]:
    """Training pairs and held-out pairs: those named, else a random share; none of fewer than three pairs.

    InputError if a name is unknown, or nothing is left to train on.
    """
    named = set(config.data.held_out)
    if named:
        names = {pair.name for pair in pairs}
        unknown = sorted(named - names)
        if unknown or names <= named:
            raise InputError(
                f"held_out names {', '.join(unknown) or 'every pair'}; names of some of the pairs are allowed: "
                f"{', '.join(sorted(names))}. Correct it."
            )
        return [pair for pair in pairs if pair.name not in named], [pair for pair in pairs if pair.name in named]
    order = np.random.default_rng((config.runtime.seed, SPLIT_SEED)).permutation(len(pairs))
    number = config.data.number_held_out(len(pairs))
    return [pairs[i] for i in sorted(order[number:])], [pairs[i] for i in sorted(order[:number])]


def train_generator(
    pairs: Sequence[TrainingPair],
    config: TrainConfig,
    checkpoint_folder: Path,
    control: Control | None = None,
    confocal: Sequence[TrainingPair] = (),
) -> Job[TrainedGenerator]:
    """Train from the newest checkpoint of a folder, or from the start, and write checkpoints there.

    On stop, or when a loss is no longer a number, the generator as it stands is checkpointed and returned. Which of
    the pairs are held out the settings say. With ``confocal`` stacks the ``pairs`` are wide-field stacks of other
    fields (both by themselves, see :meth:`TrainingPair.of_stack`), and there is no test.

    Yields
    ------
    Event
        Metrics (``loss`` and its weighted parts ``l1``, ``gan``, ``vgg``, ``cycle``; ``discriminator``,
        ``learning_rate``; ``validation_rmse``, ``validation_ssim``), Preview, Progress and Notice. The Metrics of step
        0 say what there was before, on the same held-out pairs: ``widefield_rmse`` and ``widefield_ssim`` of the
        wide-field stacks themselves, and as ``validation_...`` the scores of the model to start from, if there is one.

    Raises
    ------
    InputError
        If there is no pair, memory does not suffice for a single patch, or a checkpoint cannot be written.
    """
    control = control or Control()
    if not pairs:
        raise InputError("there is no pair to train on; at least one registered pair is needed.")
    training, held_out = (list(pairs), []) if confocal else split_pairs(pairs, config)
    if config.data.misregistration_um is not None:
        rng = np.random.default_rng((config.runtime.seed, MISREGISTRATION_SEED))
        training = [pair.misaligned(rng, config.data.misregistration_um) for pair in training]
    trainer = make_trainer(config, training, confocal, control.processes, control.voxels_at_once)
    if control.start is not None:
        begin_from(trainer, control.start)
    run = _Run(trainer, held_out, checkpoint_folder, control, confocal)
    yield from run.resume()
    if confocal:
        yield Notice("no registered pairs: no test; look at the test region, and at predictions of other stacks")
    elif not held_out:
        yield Notice("fewer than three pairs, or none held out: no test on unseen pairs")
    return (yield from run.go())


def begin_from(trainer: Trainer, weights: Mapping[str, Tensor]) -> None:
    """Let a training continue from the weights of a generator; InputError if they are of another network."""
    try:
        for network in (trainer.generator, trainer.ema):
            if network is not None:
                network.load_state_dict({name: value.float() for name, value in weights.items()})
    except RuntimeError:
        wanted = trainer.config.network
        raise InputError(
            f"the model to start from is of another network than width={wanted.width}, "
            f"dimensions={wanted.dimensions}, network_input={wanted.network_input}. Use its own settings, or start "
            "from scratch."
        ) from None


class _Run:
    """A training under way."""

    def __init__(
        self,
        trainer: Trainer,
        held_out: Sequence[TrainingPair],
        folder: Path,
        control: Control,
        confocal: Sequence[TrainingPair],
    ) -> None:
        self.trainer, self.config, self.control, self.folder = trainer, trainer.config, control, folder
        self.held_out = pairs_to_test(held_out) if control.tests else []
        self.shown = (list(held_out) or trainer.pairs)[0]
        self.beside = confocal[0] if confocal else None
        self.state, self.first, self.saved = TrainingState(), 0, 0
        self.validation: dict[str, float] = {}
        self.seconds_waited, self.time_is_up = 0.0, False

    @property
    def step(self) -> int:
        return self.state.step

    def resume(self) -> Job[None]:
        """Go on from the newest checkpoint, if there is one."""
        self.state = load_newest(self.folder, self.trainer)
        self.first = self.saved = self.step
        if self.step:
            yield Notice(f"resumed at step {self.step}")
            self.trainer.voxels_at_once = self.state.voxels_at_once
        if self.state.best is not None:
            self.validation = {"rmse": self.state.best.rmse, "ssim": self.state.best.ssim}

    def go(self) -> Job[TrainedGenerator]:
        """Make the steps that are left."""
        runtime, control, reason = self.config.runtime, self.control, ""
        self.trainer.stop = control.is_over if control.processes.count == 1 else never
        if not self.step:
            yield from self._before_first_step()
        yield Progress(0, self.config.optimizer.iterations - self.first, f"step {self.step + 1} begins")
        clock = Clock()
        if self.step and self.held_out and self.state.tested < self.step and self._due(runtime.validate_every):
            with suppress(StoppedError):
                yield self._validate()  # which a stop had cut short
        while self.step < self.config.optimizer.iterations:
            waited = wait(control.paused, control.stop)
            self.seconds_waited += waited
            control.limit.extend(waited)
            if control.processes.agreed(control.stop, self.trainer.device):
                break
            self.time_is_up = self.step > self.first and control.limit.left < control.reserved_seconds
            if self.time_is_up:
                break
            try:
                self.trainer.step(self.step)
            except StoppedError:
                self.time_is_up = not control.stop()
                break
            except DivergedError as error:
                reason = f"{error}; training has ended there. Start a new run with a lower learning_rate."
                yield Notice(reason)
                break
            self.state = replace(self.state, step=self.step + 1)
            yield from self._after_step(clock)
        if self.time_is_up:
            yield from self._end_early()
        if self.saved < self.step:
            self._save()
        return self._result(clock.seconds - self.seconds_waited, reason)

    def _before_first_step(self) -> Job[None]:
        """Tell what wide-field, and the model to start from, are worth on the held-out pairs."""
        control, trainer = self.control, self.trainer
        with suppress(StoppedError):
            if self.held_out:
                yield Progress(0, self.config.optimizer.iterations, "looking at the test pairs before the first step")
                rmse, ssim = np.mean(score_widefield(self.held_out), axis=0).tolist()
                figures = {"widefield_rmse": rmse, "widefield_ssim": ssim}
                if control.start is not None:
                    figures["validation_rmse"], figures["validation_ssim"] = self._score(trainer.generator)
                yield Metrics(0, figures)
            if control.start is not None and control.preview_every and control.processes.is_first:
                yield self._preview()

    def _end_early(self) -> Job[None]:
        """Test and tell, since the time is over before the last step."""
        if self.step == self.first:
            raise InputError(
                "the time was over before the first step was done. Give more time, or make steps quicker (--set "
                "patch=12,64,64, or a smaller batch_size or width)."
            )
        yield Notice(f"The time is over after {self.step} of {self.config.optimizer.iterations} steps.")
        if self.held_out and self.state.tested < self.step:
            with suppress(StoppedError):
                yield self._validate()

    def _after_step(self, clock: Clock) -> Job[None]:
        """Tell, show, test and save, each when it is due."""
        runtime, step, trainer, control = self.config.runtime, self.step, self.trainer, self.control
        while trainer.notices:
            yield Notice(trainer.notices.pop(0))
        is_logged = self._due(runtime.log_every)
        if is_logged or step in EARLY_STEPS:
            yield Metrics(step, {**trainer.recent(), "learning_rate": learning_rate(self.config, step - 1)})
        if is_logged or step - self.first < runtime.log_every:
            iterations = self.config.optimizer.iterations
            done, total = step - self.first, iterations - self.first
            progress = clock.progress(done, total, f"step {step} of {iterations}")
            left = (clock.seconds - self.seconds_waited) * (total - done) / done
            yield replace(progress, seconds_left=left)
        every = control.preview_every
        if every and (step % every == 0 or step == self.first + 1) and control.processes.is_first:
            with suppress(StoppedError):
                yield self._preview()
        if self.held_out and self._due(runtime.validate_every):
            with suppress(StoppedError):
                yield self._validate()
        if self._due(runtime.checkpoint_every):
            self._save()

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.config.optimizer.iterations

    def _validate(self) -> Metrics:
        """Test the weights and their EMA on held-out pairs, and keep the best weights so far."""
        trainer, processes = self.trainer, self.control.processes
        networks = {WEIGHTS: trainer.generator} | ({} if trainer.ema is None else {EMA: trainer.ema})
        scores = {kind: self._score(network) for kind, network in networks.items()}
        kind = min(scores, key=lambda name: scores[name][0])
        rmse, ssim = scores[kind]
        best = self.state.best
        is_best = best is None or rmse <= best.rmse
        if is_best:
            best = BestWeights(self.step, kind, rmse, ssim)
            if processes.is_first:
                write_tensors(best_file(self.folder, best), networks[kind].state_dict(), {"step": str(self.step)})
        self.state = replace(self.state, best=best, is_best=is_best, tested=self.step)
        self.validation = {"rmse": rmse, "ssim": ssim}
        return Metrics(self.step, {"validation_rmse": rmse, "validation_ssim": ssim})

    def _preview(self) -> Preview:
        trainer = self.trainer
        network, stop = trainer.generator, self.control.is_over
        return preview(self.step, network, self.shown, self.config, trainer.device, trainer.dtype, stop, self.beside)

    def _score(self, generator: Generator) -> tuple[float, float]:
        """Mean RMSE and SSIM; each process takes a share of the pairs."""
        trainer, processes = self.trainer, self.control.processes
        mine = [self.held_out[i] for i in processes.share(range(len(self.held_out)))]
        stop = self.control.is_over if processes.count == 1 else never
        rows = score_pairs(generator, mine, self.config, trainer.device, trainer.dtype, stop)
        total = torch.tensor(np.array(rows).reshape(-1, 2).sum(axis=0), dtype=torch.float32, device=trainer.device)
        rmse, ssim = (processes.mean(total) * processes.count / len(self.held_out)).tolist()
        return rmse, ssim

    def _save(self) -> None:
        self.state = replace(self.state, voxels_at_once=self.trainer.voxels_at_once)
        if self.control.processes.is_first:
            save_checkpoint(self.folder, self.state, self.trainer)
        self.control.processes.wait_for_all()
        self.saved = self.step

    def _result(self, seconds: float, reason: str) -> TrainedGenerator:
        """Choose the weights to use: the best, or those of now where they are newer and not worse."""
        last = copy.deepcopy(self.trainer.generator).cpu().eval()
        generator, weights, scores = last, f"as after step {self.step}", {}
        best = self.state.best
        if best is not None:
            scores = self.validation
            is_over = self.step == self.config.optimizer.iterations or bool(reason) or self.time_is_up
            if is_over or not self.state.is_best:
                generator = copy.deepcopy(last)
                generator.load_state_dict(load_file(best_file(self.folder, best)))
                weights = f"{best.kind} after step {best.step}, best on held-out pairs"
                scores = {"rmse": best.rmse, "ssim": best.ssim}
            elif best.kind == EMA and self.trainer.ema is not None:
                generator = copy.deepcopy(self.trainer.ema).cpu().eval()
                weights = f"{EMA} as after step {self.step}"
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
            time_is_up=self.time_is_up,
        )
