"""On an NVIDIA GPU: the same results as on the processor, memory that is kept to and given back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from napari_deep3d.core import PredictConfig, TrainConfig, Volume, drain
from napari_deep3d.jobs.predict.cost import Costs
from napari_deep3d.jobs.predict.plan import plan_prediction
from napari_deep3d.jobs.predict.predict import Prediction, predict_volume
from napari_deep3d.nn.devices import choose_precision, pinned
from napari_deep3d.nn.patches import TrainingPair
from napari_deep3d.nn.trainer import Trainer

pytestmark = [pytest.mark.gpu, pytest.mark.slow]
SPACING_UM = (0.4, 0.2, 0.2)
GPU = torch.device("cuda", 0)


@pytest.fixture(scope="module")
def volume() -> Volume:
    rng = np.random.default_rng(0)
    blobs = np.kron(rng.random((8, 24, 24), np.float32), np.ones((4, 8, 8), np.float32))
    return Volume(1000 * blobs + rng.random(blobs.shape, np.float32), SPACING_UM)


def predicted(volume: Volume, **settings: Any) -> Prediction:
    return drain(predict_volume(volume, PredictConfig.checked(**settings)))


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 0.02), ("bfloat16", 0.06), ("float16", 0.06)])
def test_a_prediction_is_the_same_as_on_the_processor(volume: Volume, precision: str, tolerance: float) -> None:
    tile = (32, 96, 96)
    expected = predicted(volume, device="cpu", precision="float32", tile=tile).data
    made = predicted(volume, device="cuda", precision=precision, tile=tile)
    assert made.device.startswith("cuda")
    assert np.abs(made.data - expected).max() < tolerance * expected.max()


def test_a_tile_takes_no_more_memory_than_was_planned(volume: Volume) -> None:
    plan = plan_prediction(volume, PredictConfig.checked(device="cuda", tile=(32, 192, 192)))
    costs = Costs(plan.model, plan.grid, GPU, choose_precision(GPU))
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(GPU)
    before = torch.cuda.memory_allocated(GPU)
    predicted(volume, device="cuda", tile=(32, 96, 192))
    taken = torch.cuda.max_memory_allocated(GPU) - before
    assert taken < max(costs.tile_bytes(32 * 192 * 192), 2e9)


def test_memory_is_given_back(volume: Volume) -> None:
    predicted(volume, device="cuda")
    torch.cuda.synchronize(GPU)
    before = torch.cuda.memory_reserved(GPU)
    predicted(volume, device="cuda", tile=(32, 96, 96))
    assert torch.cuda.memory_reserved(GPU) <= before + 64e6


def test_batches_are_copied_from_pinned_memory() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = pinned(values, GPU)
    assert torch.from_numpy(found).is_pinned()
    assert np.array_equal(found, values)


def test_training_on_the_gpu_learns(volume: Volume) -> None:
    small = replace(volume, data=np.asarray(volume.data)[:16, :64, :64])
    settings = {"iterations": 60, "batch_size": 1, "patch": (16, 64, 64), "width": 4, "log_every": 10}
    config = TrainConfig.checked(**settings, device="cuda", weight_gan=0.0, weight_vgg=0.0)
    trainer = Trainer(config, [TrainingPair.prepare("pair", small, small, (0.0, 100.0))])
    losses = []
    for step in range(60):
        trainer.step(step)
        losses.append(trainer.recent()["loss"])
    assert next(trainer.generator.parameters()).device == GPU
    assert losses[-1] < 0.9 * losses[9]  # each a mean of the last ten or so
