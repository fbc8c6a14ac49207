"""Adapt a model to one microscope and to samples like one stack, without a confocal microscope.

1. The model predicts the stack; the prediction is a sample like this one.
2. Pairs are simulated (:mod:`~napari_deep3d.jobs.adapt_pairs`): of pieces of the prediction and of the generic kinds of
   sample, both through the microscope that took the stack, and a few through any microscope, so that nothing is
   forgotten.
3. The model goes on learning from them, by the absolute difference alone.
4. What it has become is kept only if it does better than before on pairs that were held out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    drain,
    mapped,
    never,
    tap,
    writing,
)
from napari_deep3d.core.novelty.explain import Novelty
from napari_deep3d.io import check_folder
from napari_deep3d.jobs.adapt_pairs import OwnPairs, part_of_stack, simulate_own_pairs
from napari_deep3d.jobs.models import check_name, open_model
from napari_deep3d.jobs.pairs import prepare_pairs
from napari_deep3d.jobs.predict import predict_volume
from napari_deep3d.jobs.predict_input import compare_with_training_data, image_of, prepare
from napari_deep3d.jobs.run_folder import CONFIG_FILE, METRICS_FILE, MODEL_FILE, MetricsFile
from napari_deep3d.jobs.train_plan import settings_from_start, voxels_at_once
from napari_deep3d.jobs.train_time import GRACE_SECONDS, fit_to_time
from napari_deep3d.jobs.trained_model import calibrate, save_trained

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo
    from napari_deep3d.nn.patches import TrainingPair
    from napari_deep3d.nn.training import TrainedGenerator

SIMULATING_SHARE = 0.3
"""Of the time, for making pairs."""
LEARNING = TrainConfig.checked(
    patch=((12, 96, 96), (24, 112, 112), (48, 80, 80)),
    learning_rate=3e-4,
    ema=0.98,
    weight_l1=1.0,
    weight_gan=0.0,
    weight_vgg=0.0,
    blank_share=0.03,
)
TESTS = 4
"""Of the held-out pairs, spread over the training, so that one that is stopped knows what it is worth."""
MIN_GAIN = 0.01
"""Share of the RMSE of the held-out pairs by which it must fall: less is no difference."""
STOPPED_SECONDS = 0.5
"""What a training that was stopped may take to look at its stacks."""
CALIBRATION_PAIRS = 4
FOLDER_REMEDY = "Give a folder that you may write to."


@dataclass(frozen=True)
class AdaptResult:
    """How a model was adapted.

    Attributes
    ----------
    name, model : str, path
        Of the adapted model; where nothing was gained, of the one there was before.
    kept : bool
        Whether the adapted model is better on held-out pairs, and so was written.
    run : path
        The run folder.
    before, after, widefield : mapping of float
        ``rmse`` and ``ssim`` on held-out pairs: of the model before and after, and of the wide-field stacks themselves.
    pairs, held_out, iterations, seconds : int, float
        Number of pairs learned from and of those held out, steps, and time in all.
    iterations_per_second, loss : float
        Of the training.
    novelty_before, novelty_after : Novelty or None
        How far the stack is from those that the model learned from.
    complete : bool
        False if it was stopped.
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
            return "It was stopped before there was anything to compare: nothing was kept."
        was, is_now = (f"RMSE {s['rmse']:.4f}, SSIM {s['ssim']:.3f}" for s in (self.before, self.after))
        compared = f"on {self.held_out} simulated pairs that it did not learn from: {was} before, {is_now} after"
        if self.kept:
            return f"The adapted model is better {compared}."
        return f"Nothing was gained {compared}. The model stays as it was."

    def report(self) -> dict[str, Any]:
        """All of it as plain values."""
        likeness = {"before": self.novelty_before, "after": self.novelty_after}
        return {
            "model": str(self.model),
            "name": self.name,
            "kept": self.kept,
            "before": dict(self.before),
            "after": dict(self.after),
            "widefield": dict(self.widefield),
            "validation": dict(self.after),
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
        A wide-field stack.
    run : path
        Run folder; made if it is not there, refused if it holds files.
    config : AdaptConfig
        What took the stack, the model, and the time.
    name : str
        Name of the adapted model; the run folder's by default.
    stop : callable
        Asked between steps. Stopped while it learns, the model is kept if it had gained by its last test.

    Raises
    ------
    InputError
        If stack, model or run folder cannot be used.
    StoppedError
        If it was stopped before there was anything to keep.
    """
    from napari_deep3d.nn.devices import choose_device, device_label, training_precision

    clock, limit = Clock(), TimeLimit(60 * config.minutes + GRACE_SECONDS)
    folder, notices = Path(run), list[str]()

    def told(event: Event) -> Event:
        """The progress of a part as that of the whole time."""
        if isinstance(event, Notice):
            notices.append(event.message)
        if not isinstance(event, Progress):
            return event
        return Progress(clock.seconds, clock.seconds + max(0.0, limit.left), event.message, max(0.0, limit.left))

    # 1. The stack, and what the model makes of it.
    name = check_name(name or folder.resolve().name)
    yield told(Progress(0, 1, "predicting the stack"))
    settings = PredictConfig.checked(model=config.model, spacing_um=config.spacing_um, device=config.device)
    prepared = prepare(volume, settings, stop)
    if stop():
        raise StoppedError
    info, spacing_um = prepared.plan.model, prepared.plan.spacing_um
    check_adaptable(info)
    image = image_of(volume.data, prepared.no_data, prepared.region)
    part = Volume(part_of_stack(image), spacing_um, name=volume.name)
    predicted = yield from _quietly(predict_volume(part, settings, stop=stop), told)
    if not predicted.complete:
        raise StoppedError
    check_folder(folder, overwrite=False)

    # 2. Pairs like it.
    time = TimeLimit(SIMULATING_SHARE * 60 * config.minutes)
    own = yield from mapped(simulate_own_pairs(part, predicted.data, config, info.novelty, time, stop), told)

    # 3. The training.
    generator, _ = open_model(config.model)
    learning = settings_from_start(LEARNING.changed(seed=config.seed, device=config.device), info)
    learning = learning.changed(held_out=own.held_out)
    device = choose_device(config.device)
    dtype = training_precision(device, learning)
    yield told(Notice(f"{len(own.pairs)} pairs, {len(own.held_out)} of them to test; {device_label(device, dtype)}"))
    with writing(folder / CONFIG_FILE, FOLDER_REMEDY) as file:
        file.write_text(config.to_toml(), encoding="utf-8")
    pairs = prepare_pairs(own.pairs, learning.data.percentiles)
    found = dict[int, Mapping[str, float]]()

    def note(event: Event) -> None:
        if isinstance(event, Metrics):
            found[event.step] = event.values

    job = tap(tap(_learn(pairs, learning, generator.state_dict(), config, limit, stop), note), MetricsFile(folder / METRICS_FILE, 0))
    trained, learning = yield from mapped(job, told)
    before, widefield = (
        {score: found.get(0, {})[f"{kind}_{score}"] for score in ("rmse", "ssim")} for kind in ("validation", "widefield")
    )

    # 4. It is kept if it has gained.
    after = dict(trained.validation)
    kept = bool(after) and after["rmse"] < (1 - MIN_GAIN) * before["rmse"]
    complete = not stop()
    novelty = prepared.novelty
    if kept:
        yield told(Progress(0, 1, "measuring what the model is worth"))
        held_out = [pair for pair in pairs if pair.name in own.held_out][:CALIBRATION_PAIRS]
        uncertainty = calibrate(trained.generator, held_out if complete else [], learning, device, dtype, None, stop)
        ...
