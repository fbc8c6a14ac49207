"""What error to expect of a trained generator, learned from pairs that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from napari_deep3d.core.box import Box
from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.evaluation.uncertainty import Calibration, fit_calibration_to_pairs
from napari_deep3d.core.events import Stop, StoppedError, never
from napari_deep3d.core.types import FloatArray, Shape
from napari_deep3d.nn.folded_network import FoldedNetwork
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.patches import TrainingPair, network_input
from napari_deep3d.nn.tta import AugmentedNetwork

MAX_PAIRS = 4
BOX: Shape = (48, 128, 128)
"""Voxels in the middle of a pair that are predicted: whoever trained is waiting."""


def calibrate(
    generator: Generator,
    held_out: Sequence[TrainingPair],
    config: TrainConfig,
    device: torch.device,
    dtype: torch.dtype,
    stop: Stop = never,
) -> Calibration | None:
    """Fit the expected error to the first held-out pairs.

    Parameters
    ----------
    generator
        The trained network; not changed.
    held_out
        Pairs that it was not trained on.
    config
        Says what the network sees of a pair.
    device, dtype
        Where and in which number format to predict.
    stop
        Asked between layers.

    Returns
    -------
    None without pairs, when stopped, and for a network that sees a single plane, since it knows no turned stacks.
    """
    if not held_out or config.network_input == "plane":
        return None

    def judged(pair: TrainingPair) -> tuple[FloatArray, FloatArray, FloatArray]:
        box = Box.centred(BOX, pair.shape)
        seen = network_input(pair, box, config)
        prediction, spread = AugmentedNetwork(FoldedNetwork(generator, [seen], device, dtype, stop), None)(seen)
        return spread, prediction, np.abs(prediction - pair.crop_confocal(box))

    try:
        return fit_calibration_to_pairs((judged(pair) for pair in held_out[:MAX_PAIRS]), config.seed)
    except StoppedError:
        return None
