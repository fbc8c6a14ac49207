"""Adapt a model to one microscope and to samples like one stack, without a confocal microscope.

1. The model predicts the stack; the prediction is taken as a sample like this one.
2. Pairs are simulated (:mod:`~napari_deep3d.jobs.adapt.pairs`): of pieces of the prediction and of the generic kinds of
   sample, both through the microscope that took the stack, and a few through any microscope, so that nothing is
   forgotten.
3. The model goes on learning from them (:mod:`~napari_deep3d.jobs.adapt.training`).
4. What it has become is written only if it does better than before on pairs that were held out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    Volume,
    mapped,
    never,
    tap,
    writing,
)
from napari_deep3d.core.novelty.explain import Novelty
from napari_deep3d.io import check_folder
from napari_deep3d.jobs.adapt.pairs import check_size, parts_of, simulate_own_pairs
from napari_deep3d.jobs.adapt.training import LEARNING, Adaptation
from napari_deep3d.jobs.models.store import check_name, find_model, model_info
from napari_deep3d.jobs.pairs import prepare_pairs
from napari_deep3d.jobs.predict.network_input import compare_with_training_data, image_of, prepare
from napari_deep3d.jobs.predict.predict import predict_volume
from napari_deep3d.jobs.train.plan import settings_from_start
from napari_deep3d.jobs.train.run_folder import CONFIG_FILE, METRICS_FILE, MODEL_FILE, MetricsFile

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo
    from napari_deep3d.nn.patches import TrainingPair
    from napari_deep3d.nn.training import TrainedGenerator

SIMULATING_SHARE = 0.3
"""Of the time, for making pairs."""
MIN_GAIN = 0.01
"""Share of the RMSE on held-out pairs by which it must fall: less is no difference."""
MIN_SSIM_GAIN = -0.01
"""By which the SSIM may change: it must not fall by more than that."""
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
    learning = settings_from_start(LEARNING, info)
    learning = learning.changed(seed=config.seed, device=config.device, held_out=held_out)
    training = Adaptation(pairs, learning, config, limit, stop)
    learned = yield from mapped(_learn(training, folder), told)
    trained, before = learned.trained, learned.before

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
        widefield=learned.widefield,
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


@dataclass(frozen=True)
class _Learned:
    """A finished training, and the scores on its held-out pairs before it began; empty if it was stopped by then."""

    trained: TrainedGenerator
    widefield: Mapping[str, float]
    before: Mapping[str, float]


def _learn(training: Adaptation, folder: Path) -> Job[_Learned]:
    """Train, and note the figures in the run folder."""
    metrics = MetricsFile(folder / METRICS_FILE, 0)
    first = dict[str, float]()

    def note(event: Event) -> None:
        metrics(event)
        if isinstance(event, Metrics) and event.step == 0:
            first.update(event.values)

    trained = yield from tap(training.run(), note)
    widefield, before = (
        {score: first[f"{kind}_{score}"] for score in SCORES if f"{kind}_{score}" in first}
        for kind in ("widefield", "validation")
    )
    return _Learned(trained, widefield, before)


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
