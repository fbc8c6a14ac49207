"""Whole-stack predictions of held-out pairs while a training runs, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch

from napari_deep3d.core import Box, FloatArray, Preview, Shape, Stop, TileDone, TrainConfig, never, zyx
from napari_deep3d.core.evaluation.metrics import rmse, ssim
from napari_deep3d.core.resampling import ModelGrid
from napari_deep3d.core.tiling import plan_tiles
from napari_deep3d.nn.folded_network import FoldedNetwork, sample_boxes
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.inference import BoxPredictor, predict_tiles
from napari_deep3d.nn.patches import TrainingPair, network_input

SCORED_PIXELS = 512
"""Of larger stacks the middle of this many rows and columns is scored, all planes; the network's statistics are
still those of the whole stack."""
LEAST_TESTED, MOST_TESTED, TESTED_VOXELS = 4, 24, 32_000_000
"""Held-out pairs that are tested while a training runs: the scores of four swing by 3 %, as much as most gains; more of
them are tested only while they are small enough not to cost the training its time."""
TILE: Shape = (64, 192, 192)
HALO: Shape = (16, 32, 32)
PREVIEW: Shape = (48, 128, 128)


class Predictor:
    """Predicts boxes of a pair as the finished model will: with norm statistics of the whole stack.

    The generator is not changed; ``stop`` is asked all the time, and leaves the measuring by a StoppedError.
    """

    def __init__(
        self,
        generator: Generator,
        pair: TrainingPair,
        config: TrainConfig,
        device: torch.device,
        dtype: torch.dtype,
        stop: Stop = never,
    ) -> None:
        self._pair, self._config = pair, config
        boxes = sample_boxes(pair.shape)
        self._whole = boxes[0] if len(boxes) == 1 else None
        self._shape = pair.shape
        self._network: FoldedNetwork = FoldedNetwork(generator, [self._read(box) for box in boxes], device, dtype, stop)

    def _read(self, box: Box) -> FloatArray:
        return network_input(self._pair, box, self._config)

    def __call__(self, region: Box) -> FloatArray:
        """Predict a box of the pair; axes (Z, Y, X)."""
        if region == self._whole:
            return np.maximum(self._network(self._read(region)), 0)
        predictor = BoxPredictor(self._network.steps, self._read, ModelGrid(self._shape), HALO, self._network.stride)
        out = np.zeros(region.shape, np.float32)
        plan = plan_tiles(region.shape, TILE)
        for event in predict_tiles(lambda box: predictor(box.shifted(region.start)), plan, stop=self._network.stop):
            if isinstance(event, TileDone):
                out[event.region] += event.values
        return out


def score_pairs(
    generator: Generator,
    pairs: Sequence[TrainingPair],
    config: TrainConfig,
    device: torch.device,
    dtype: torch.dtype,
    stop: Stop = never,
) -> list[tuple[float, float]]:
    """RMSE and SSIM of whole-stack predictions against confocal in [0, 1], a row for each pair; of what is image."""
    scores = []
    for pair in pairs:
        region = _scored(pair)
        prediction = Predictor(generator, pair, config, device, dtype, stop)(region)
        confocal, image = pair.crop_confocal(region), pair.is_image(region)
        scores.append((rmse(prediction, confocal, image), ssim(prediction, confocal, image)))
    return scores


def score_widefield(pairs: Sequence[TrainingPair]) -> list[tuple[float, float]]:
    """RMSE and SSIM of the wide-field stacks themselves, as :func:`score_pairs` gives those of predictions."""
    scores = []
    for pair in pairs:
        region = _scored(pair)
        widefield, confocal, image = pair.crop_widefield(region), pair.crop_confocal(region), pair.is_image(region)
        scores.append((rmse(widefield, confocal, image), ssim(widefield, confocal, image)))
    return scores


def pairs_to_test(held_out: Sequence[TrainingPair]) -> list[TrainingPair]:
    """Those of the held-out pairs that are tested while a training runs: the first ones, in their order."""
    voxels = np.cumsum([prod(_scored(pair).shape) for pair in held_out])
    number = max(LEAST_TESTED, int(np.searchsorted(voxels, TESTED_VOXELS, side="right")))
    return list(held_out)[: min(number, MOST_TESTED)]


def _scored(pair: TrainingPair) -> Box:
    """The part of a pair that is scored."""
    return Box.centred((pair.shape[0], SCORED_PIXELS, SCORED_PIXELS), pair.shape)


def preview(
    step: int,
    generator: Generator,
    pair: TrainingPair,
    config: TrainConfig,
    device: torch.device,
    dtype: torch.dtype,
    stop: Stop = never,
    beside: TrainingPair | None = None,
) -> Preview:
    """What the generator makes of the middle of a pair; or of a stack, with a confocal one of another field beside."""
    other = pair if beside is None else beside
    shape = zyx(map(min, PREVIEW, pair.shape, other.shape))
    region, region_beside = (Box.centred(shape, each.shape) for each in (pair, other))
    seen = network_input(pair, region, config)
    prediction = FoldedNetwork(generator, [seen], device, dtype, stop)(seen)
    return Preview(
        step,
        pair.crop_widefield(region),
        np.maximum(prediction, 0),
        other.crop_confocal(region_beside),
        pair.spacing_um,
        same_field=beside is None,
    )
