"""The part of an adaptation in which a model learns: for as long as there is time, then halfway back.

The weights halfway between before and after forget less of what a stack needs and its pairs do not have (Wortsman et
al., Robust fine-tuning of zero-shot models, CVPR 2022).
"""

from __future__ import annotations

import copy
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_deep3d.core import AdaptConfig, Job, Notice, Progress, Stop, StoppedError, TimeLimit, TrainConfig, never
from napari_deep3d.jobs.models.store import open_model
from napari_deep3d.jobs.train.plan import voxels_at_once
from napari_deep3d.jobs.train.time_plan import GRACE_SECONDS, fit_to_time
from napari_deep3d.jobs.train.trained_model import CALIBRATION_PAIRS, calibrate, save_trained

if TYPE_CHECKING:
    from napari_deep3d.nn.generator import Generator
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
TESTS = 5
"""Of the held-out pairs, evenly spread, so that a training that is stopped knows what it has gained by then."""
STOPPED_SECONDS = 0.4
"""What it may take, once it was stopped, to note how the pairs look."""


class Adaptation:
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
