"""Whole-stack predictions of held-out pairs while a training runs, and their scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.evaluation.metrics import rmse, ssim
from napari_deep3d.core.events import Preview, Region, Stop, TileDone, never
from napari_deep3d.core.resampling import Grid
from napari_deep3d.core.tiling import plan_tiles
from napari_deep3d.core.volume import Shape
from napari_deep3d.nn.folded_network import FrozenNetwork, sample_boxes
from napari_deep3d.nn.generator import STRIDE, Generator
from napari_deep3d.nn.inference import BoxPredictor, predict_tiles
from napari_deep3d.nn.patches import TrainingPair, network_input

Array = NDArray[np.float32]

SCORED_PIXELS = 512
"""Of larger stacks the middle of this many rows and columns is scored, all planes; the network's statistics are
still those of the whole stack."""
TILE: Shape = (64, 192, 192)
HALO: Shape = (16, 32, 32)
BLEND: Shape = (2, 8, 8)
PREVIEW: Shape = (48, 128, 128)


def middle(shape: Shape, size: Shape) -> Region:
    """The box of at most a size in the middle of a stack; axes (Z, Y, X)."""
    z, y, x = (
        slice(max(0, (have - want) // 2), max(0, (have - want) // 2) + min(have, want))
        for have, want in zip(shape, size, strict=True)
    )
    return z, y, x


class Predictor:
    """Predicts boxes of a pair as the finished model will: with norm statistics of the whole stack.

    Parameters
    ----------
    generator
        The network as it stands; not changed.
    pair, config
        The stack, and what the network sees of it.
    device, dtype
        Where and in which number format to compute.
    stop
        Asked between layers; when true, the prediction is left by a StoppedError.
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
        self._network: FrozenNetwork = FrozenNetwork(generator, [self._read(box) for box in boxes], device, dtype, stop)

    def _read(self, box: Region) -> Array:
        return network_input(self._pair, box, self._config)

    def __call__(self, region: Region) -> Array:
        """Predict a box of the pair; axes (Z, Y, X)."""
        if region == self._whole:
            return np.maximum(self._network(self._read(region)), 0)
        predictor = BoxPredictor(self._network, self._read, Grid(self._shape), HALO, STRIDE)
        out = np.zeros([part.stop - part.start for part in region], np.float32)
        shape = (out.shape[0], out.shape[1], out.shape[2])
        for event in predict_tiles(lambda box: predictor(_inside(box, region)), plan_tiles(shape, TILE, BLEND)):
            if isinstance(event, TileDone):
                out[event.region] += event.values
        return out


def _inside(box: Region, region: Region) -> Region:
    z, y, x = (slice(b.start + r.start, b.stop + r.start) for b, r in zip(box, region, strict=True))
    return z, y, x


def score_pairs(
    generator: Generator,
    pairs: Sequence[TrainingPair],
    config: TrainConfig,
    device: torch.device,
    dtype: torch.dtype,
    stop: Stop = never,
) -> list[tuple[float, float]]:
    """RMSE and SSIM of whole-stack predictions against confocal in [0, 1], a row for each pair."""
    scores = []
    for pair in pairs:
        region = middle(pair.shape, (pair.shape[0], SCORED_PIXELS, SCORED_PIXELS))
        prediction = Predictor(generator, pair, config, device, dtype, stop)(region)
        confocal = pair.crop_confocal(region)
        scores.append((rmse(prediction, confocal), ssim(prediction, confocal)))
    return scores


def preview(
    step: int,
    generator: Generator,
    pair: TrainingPair,
    config: TrainConfig,
    device: torch.device,
    dtype: torch.dtype,
    stop: Stop = never,
) -> Preview:
    """What the generator makes of the middle of a pair."""
    region = middle(pair.shape, PREVIEW)
    seen = network_input(pair, region, config)
    prediction = FrozenNetwork(generator, [seen], device, dtype, stop)(seen)
    return Preview(
        step, pair.crop_widefield(region), np.maximum(prediction, 0), pair.crop_confocal(region), pair.spacing_um
    )
