"""Adapt a model to one microscope and to samples like one stack, without a confocal microscope.

1. The model predicts the stack; the prediction is taken as a sample like this one.
2. Pairs are simulated (:mod:`~napari_deep3d.jobs.adapt_pairs`): of pieces of the prediction and of the generic kinds of
   sample, both through the microscope that took the stack, and a few through any microscope, so that nothing is
   forgotten.
3. The model goes on learning from them, by the absolute and the squared difference.
4. The weights halfway between before and after are taken, which forget less of what the stack needs and the pairs do
   not have (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).
5. They are written only if they do better than before on pairs that were held out.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_deep3d.core import (
    AdaptConfig,
    Clock,
    Event,
    InputError,
    Job,
    Metrics,
    Notice,
    PredictConfig,
    Progress,
    Stop,
    StoppedError,
    TimeLimit,
    TrainConfig,
    Volume,
    mapped,
    never,
    tap,
    writing,
)
from napari_deep3d.core.novelty.explain import Novelty
from napari_deep3d.io import check_folder
from napari_deep3d.jobs.adapt_pairs import check_size, parts_of, simulate_own_pairs
from napari_deep3d.jobs.models import check_name, find_model, model_info, open_model
from napari_deep3d.jobs.pairs import prepare_pairs
from napari_deep3d.jobs.predict import predict_volume
from napari_deep3d.jobs.predict_input import compare_with_training_data, image_of, prepare
from napari_deep3d.jobs.run_folder import CONFIG_FILE, METRICS_FILE, MODEL_FILE, MetricsFile
from napari_deep3d.jobs.train_plan import settings_from_start, voxels_at_once
from napari_deep3d.jobs.train_time import GRACE_SECONDS, fit_to_time
from napari_deep3d.jobs.trained_model import CALIBRATION_PAIRS, calibrate, save_trained

if TYPE_CHECKING:
    from napari_deep3d.nn.generator import Generator
    from napari_deep3d.nn.model_file import ModelInfo
    from napari_deep3d.nn.patches import TrainingPair
    from napari_deep3d.nn.training import TrainedGenerator

LEARNING = TrainConfig.checked(
    patch=((48, 80, 80), (48, 80, 80), (24, 112, 112)),
    learning_rate=3e-4,
    ema=0.98,
    weight_l1=0.5,
    weight_l2=4.0,
    weight_correlation=0.15,
    weight_gan=0.0,
    weight_vgg=0.0,
    blank_share=0.03,
)
SIMULATING_SHARE = 0.3
"""Of the time, for making pairs."""
TESTS = 5
"""Of the held-out pairs, evenly spread, so that a training that is stopped knows what it has gained by then."""
MIN_GAIN = 0.01
"""Share of the RMSE on held-out pairs by which it must fall: less is no difference."""
MIN_SSIM_GAIN = -0.01
"""By which the SSIM may change: it must not fall by more than that."""
STOPPED_SECONDS = 0.4
"""What it may take, once it was stopped, to note how the pairs look."""
FOLDER_REMEDY = "Give a folder that you may write to."
SCORES = ("rmse", "ssim")


@dataclass(frozen=True)
class AdaptResult:
    """How a model was adapted.

    Attributes
    ----------
    name, model : str, path
        Of the adapted model; where nothing was gained, of the one there was before.
    kept : bool
        Whether the adapted model did better on held-out pairs, and so was written.
    run : path
        The run folder.
    before, after, widefield : mapping of float
        ``rmse`` and ``ssim`` on held-out pairs: of the model before and after, and of the wide-field stacks themselves;
        empty where it was stopped before they were measured.
    pairs, held_out, iterations : int
        Number of pairs that were made, of those held out, and of steps.
    seconds, iterations_per_second, loss : float
        Time in all, and how the training went.
    novelty_before, novelty_after : Novelty or None
        How far the stack is from those that the model learned from, before and after.
    complete : bool
        False if it was stopped.
    notices : tuple of str
        Sentences that the user should read.
    """

    name: str
    model: Path
    kept: bool
    run: Path
    before: Mapping[str, float]
    after: Mapping[str, float]
    widefield: Mapping[str, float]
    pairs: int
    held_out: int
    iterations: int
    seconds: float
    iterations_per_second: float
    loss: float
    novelty_before: Novelty | None
    novelty_after: Novelty | None
    complete: bool
    notices: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What came of it, for the user."""
        if not self.after:
            return "Stopped before anything could be compared; the model stays as it was."
        was, has_become = (
            f"RMSE {scores['rmse']:.3f}, SSIM {scores['ssim']:.2f}" for scores in (self.before, self.after)
        )
        compared = f"on {self.held_out} simulated pairs that it did not learn from ({was} before, {has_become} after)"
        if self.kept:
            return f"The adapted model does better {compared}."
        return f"Nothing was gained {compared}; the model stays as it was."

    def report(self) -> dict[str, Any]:
        """All of it as plain values."""
        likeness = {"before": self.novelty_before, "after": self.novelty_after}
        return {
            "model": str(self.model),
            "name": self.name,
            "kept": self.kept,
            "before": dict(self.before),
            "after": dict(self.after),
            "validation": dict(self.after),
            "widefield": dict(self.widefield),
            "pairs": self.pairs,
            "held_out": self.held_out,
            "iterations": self.iterations,
            "seconds": self.seconds,
            "iterations_per_second": self.iterations_per_second,
            "loss": self.loss,
            "likeness": {when: None if found is None else found.report() for when, found in likeness.items()},
            "complete": self.complete,
            "warnings": list(self.notices),
        }


def adapt_model(
    volume: Volume, run: str | Path, config: AdaptConfig, *, name: str = "", stop: Stop = never
) -> Job[AdaptResult]:
    """Adapt a model to a stack, and leave ``model.safetensors`` in the run folder if it has gained.

    Parameters
    ----------
    volume : Volume
        The wide-field stack.
    run : path
        Run folder; made if it is not there, refused if it holds files.
    config : AdaptConfig
        The model, what took the stack, and the time.
    name : str
        Name of the adapted model; the run folder's by default.
    stop : callable
        Asked all the time. Stopped while the model learns, what it had gained by the last test is kept.

    Raises
    ------
    InputError
        If stack, model or run folder cannot be used.
    StoppedError
        If it was stopped before there was anything to keep.
    """
    clock, limit = Clock(), TimeLimit(60 * config.minutes)
    folder = Path(run)
    name = check_name(name or folder.resolve().name)
    check_adaptable(config.model)
    check_size(volume)
    notices = list[str]()

    def told(event: Event) -> Event:
        """Notices are kept, and what a part says of its progress becomes that of the whole time."""
        if isinstance(event, Notice):
            notices.append(event.message)
        if not isinstance(event, Progress):
            return event
        spent, left = clock.seconds, max(0.0, limit.left)
        return Progress(spent, spent + left, event.message, left)

    # 1. The stack, and what the model makes of parts of it.
    yield told(Progress(0, 1, "predicting the stack"))
    settings = PredictConfig.checked(
        model=config.model, spacing_um=config.spacing_um, device=config.device, deepest=config.deepest
    )
    prepared = prepare(volume, settings, stop)
    if stop():
        raise StoppedError
    check_folder(folder, overwrite=False)
    info, spacing_um = prepared.plan.model, prepared.plan.spacing_um
    image = Volume(image_of(volume.data, prepared.no_data, prepared.region), spacing_um, name=volume.name)
    yield from map(told, map(Notice, prepared.plan.notices))
    samples = yield from mapped(_predicted_parts(image, settings, stop), told)

    # 2. Pairs like it.
    pairs, held_out = yield from mapped(_own_pairs(image, samples, config, info, stop), told)

    # 3. The training.
    with writing(folder / CONFIG_FILE, FOLDER_REMEDY) as file:
        file.write_text(config.to_toml(), encoding="utf-8")
    metrics = MetricsFile(folder / METRICS_FILE, 0)
    learning = settings_from_start(LEARNING, info)
    learning = learning.changed(seed=config.seed, device=config.device, held_out=held_out)
    found = dict[int, Mapping[str, float]]()

    def note(event: Event) -> None:
        metrics(event)
        if isinstance(event, Metrics):
            found[event.step] = event.values

    training = _Training(pairs, learning, config, limit, stop)
    trained = yield from mapped(tap(training.run(), note), told)
    widefield, before = (
        {score: found[0][f"{kind}_{score}"] for score in SCORES if f"{kind}_{score}" in found.get(0, {})}
        for kind in ("widefield", "validation")
    )

    # 4. It is kept if it has gained.
    after = dict(trained.validation) if before else {}
    kept = bool(after) and _has_gained(before, after)
    complete = not stop()
    model, novelty = find_model(config.model), prepared.novelty
    if kept:
        yield told(Progress(0, 1, "looking at what the model has become"))
        training.save(trained, folder, name, complete)
        model = folder / MODEL_FILE
        novelty = compare_with_training_data(image, spacing_um, model_info(str(model)))
    return AdaptResult(
        name=name if kept else info.name,
        model=model,
        kept=kept,
        run=folder,
        before=before,
        after=after,
        widefield=widefield,
        pairs=len(pairs),
        held_out=len(held_out),
        iterations=trained.step,
        seconds=clock.seconds,
        iterations_per_second=trained.steps_made / max(trained.seconds, 1e-9),
        loss=trained.losses.get("loss", float("nan")),
        novelty_before=prepared.novelty,
        novelty_after=novelty,
        complete=complete,
        notices=tuple(notices),
    )


ASKED = {
    "numerical_aperture": "the numerical aperture, as it is written on the objective (--numerical-aperture 1.4)",
    "immersion_index": "the refractive index of the immersion: air 1, water 1.333, oil 1.518 (--immersion-index 1.33)",
    "emission_nm": "the wavelength of the emitted light, such as 520 for GFP (--emission-nm 520)",
}
"""What must be known of a microscope."""


def settings_for(known: Mapping[str, float], given: Mapping[str, Any]) -> AdaptConfig:
    """The settings from what a file says of its microscope and what was given, which goes first.

    InputError if something is missing in both, or wrong.
    """
    values = {**known, **given}
    missing = [text for name, text in ASKED.items() if name not in values]
    if missing:
        raise InputError(f"the file does not say {', nor '.join(missing)}. Give it.")
    return AdaptConfig.checked(**values)


def check_adaptable(model: str) -> None:
    """Refuse (InputError) a model that is not there, or one that does not see whole stacks in three dimensions."""
    info = model_info(model)
    if info.network_input == "plane" or info.dimensions == 2 or info.z_step > 1:
        raise InputError(
            f"the model {info.name} was trained for a comparison (one plane, or few planes, at a time), and cannot be "
            "adapted; one that sees whole stacks is needed. Choose another model."
        )


def _has_gained(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    return after["rmse"] < (1 - MIN_GAIN) * before["rmse"] and after["ssim"] - before["ssim"] > MIN_SSIM_GAIN


def _predicted_parts(image: Volume, settings: PredictConfig, stop: Stop) -> Job[list[Volume]]:
    """What the model makes of parts of a stack, the deepest plane last; StoppedError if it was stopped."""
    predicted = list[Volume]()
    for part in parts_of(image):
        job = predict_volume(part, settings, stop=stop)
        while True:
            try:
                event = next(job)
            except StopIteration as end:
                made = end.value
                break
            if isinstance(event, Progress):
                yield event
        if not made.complete:
            raise StoppedError
        predicted.append(replace(part, data=made.data[::-1] if settings.deepest == "first" else made.data))
    return predicted


def _own_pairs(
    image: Volume, samples: list[Volume], config: AdaptConfig, info: ModelInfo, stop: Stop
) -> Job[tuple[list[TrainingPair], tuple[str, ...]]]:
    """Pairs to learn from and to test on, and the names of these; StoppedError if it was stopped."""
    time = TimeLimit(SIMULATING_SHARE * 60 * config.minutes)
    own = yield from simulate_own_pairs(image, samples, config, info.novelty, time, stop)
    pairs: list[TrainingPair] = []
    for pair in own.pairs:
        if stop():
            raise StoppedError
        pairs += prepare_pairs([pair], info.percentiles)
    return pairs, own.held_out


class _Training:
    """The part of an adaptation in which a model learns from ``pairs``."""

    def __init__(
        self, pairs: list[TrainingPair], learning: TrainConfig, config: AdaptConfig, limit: TimeLimit, stop: Stop
    ) -> None:
        from napari_deep3d.nn.devices import choose_device, training_precision
        from napari_deep3d.nn.training import split_pairs

        self.pairs, self.learning, self.config, self.limit, self.stop = pairs, learning, config, limit, stop
        self.device = choose_device(learning.runtime.device)
        self.dtype = training_precision(self.device, learning)
        self.training, self.held_out = split_pairs(pairs, learning)

    def run(self) -> Job[TrainedGenerator]:
        """Learn for as long as there is time."""
        from napari_deep3d.nn.devices import device_label, release_memory
        from napari_deep3d.nn.training import Control, train_generator

        generator, _ = open_model(self.config.model)
        yield Notice(f"{len(self.training)} pairs to learn from, {len(self.held_out)} to test on")
        yield Notice(device_label(self.device, self.dtype))
        at_once = voxels_at_once(self.learning, self.device.type, str(self.dtype).removeprefix("torch."))
        minutes = max(self.limit.left, 1.0) / 60
        limit = TimeLimit(60 * minutes + GRACE_SECONDS)
        plan = yield from fit_to_time(
            self.training, self.held_out, self.learning, minutes, limit, at_once, self.held_out[0].shape, self.stop
        )
        steps = plan.config.optimizer.iterations
        self.learning = plan.config.changed(validate_every=max(1, -(-steps // TESTS)))
        control = Control(
            stop=self.stop,
            voxels_at_once=at_once,
            start=generator.state_dict(),
            limit=limit,
            reserved_seconds=plan.reserved_seconds,
        )
        with tempfile.TemporaryDirectory() as checkpoints:  # an adaptation is too short to be resumed
            trained = yield from train_generator(self.pairs, self.learning, Path(checkpoints), control)
        yield Progress(0, 1, "testing what the model has become")
        trained = self._halfway(trained, generator)
        release_memory()
        return trained

    def _halfway(self, trained: TrainedGenerator, before: Generator) -> TrainedGenerator:
        """The weights halfway between before and after, tested; as they are after, if it was stopped."""
        from napari_deep3d.nn.validation import pairs_to_test, score_pairs

        old, mean = before.state_dict(), copy.deepcopy(trained.generator)
        mean.load_state_dict({name: (value + old[name].to(value)) / 2 for name, value in mean.state_dict().items()})
        try:
            if self.stop():
                raise StoppedError
            rows = score_pairs(mean, pairs_to_test(self.held_out), self.learning, self.device, self.dtype, self.stop)
        except StoppedError:
            return trained
        rmse, ssim = np.mean(rows, axis=0).tolist()
        weights = f"halfway between before and {trained.weights}"
        return replace(trained, generator=mean, validation={"rmse": rmse, "ssim": ssim}, weights=weights)

    def save(self, trained: TrainedGenerator, folder: Path, name: str, complete: bool) -> None:
        """Write the model and what it says of itself; in haste if it was stopped."""
        enough = never if complete else TimeLimit(STOPPED_SECONDS).is_over
        tested = self.held_out[:CALIBRATION_PAIRS] if complete else []
        uncertainty = calibrate(trained.generator, tested, self.learning, self.device, self.dtype, None, self.stop)
        save_trained(folder, trained, self.pairs, self.learning, name, self.config.model, uncertainty, enough)
