"""What error to expect of a trained generator, learned from pairs that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_deep3d.core import Box, FloatArray, Precision, Shape, Stop, StoppedError, TrainConfig, never
from napari_deep3d.core.evaluation.uncertainty import Calibration, fit_calibration_to_pairs
from napari_deep3d.jobs.models import find_model
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs

if TYPE_CHECKING:
    import torch

    from napari_deep3d.nn.generator import Generator
    from napari_deep3d.nn.patches import TrainingPair


def calibrate(
    generator: Generator,
    pairs: Sequence[TrainingPair],
    config: TrainConfig,
    device: torch.device,
    dtype: torch.dtype,
    box: Shape | None = None,
    stop: Stop = never,
) -> Calibration | None:
    """Fit the expected error of a generator to pairs.

    Parameters
    ----------
    generator : Generator
        The trained network; not changed.
    pairs : sequence of TrainingPair
        Pairs that it was not trained on.
    config : TrainConfig
        Says what the network sees of a pair.
    device, dtype : torch.device, torch.dtype
        Where and in which number format to predict.
    box : tuple of int, optional
        Most voxels (Z, Y, X) in the middle of each pair that are predicted, at once; all by default.
    stop : function without arguments
        Asked between layers.

    Returns
    -------
    Calibration or None
        None without pairs, when stopped, and for a network that sees a single plane, since it knows no turned stacks.
    """
    from napari_deep3d.nn.folded_network import FoldedNetwork
    from napari_deep3d.nn.patches import network_input
    from napari_deep3d.nn.tta import AugmentedNetwork

    if not pairs or config.network.network_input == "plane":
        return None

    def spread_and_error(pair: TrainingPair) -> tuple[FloatArray, FloatArray, FloatArray]:
        region = Box.centred(box or pair.shape, pair.shape)
        seen = network_input(pair, region, config)
        prediction, spread = AugmentedNetwork(FoldedNetwork(generator, [seen], device, dtype, stop), None)(seen)
        return spread, prediction, np.abs(prediction - pair.crop_confocal(region))

    try:
        return fit_calibration_to_pairs((spread_and_error(pair) for pair in pairs), config.runtime.seed)
    except StoppedError:
        return None


def calibrate_on_folder(model: str | Path, folder: str | Path, precision: Precision = "auto") -> Calibration | None:
    """Fit the expected error of a model to all voxels of the pairs of a folder.

    Parameters
    ----------
    model : str or Path
        Name or file of the model; a calibration that it has does not matter.
    folder : str or Path
        Pairs folder; the model was not trained on these pairs.
    precision : str
        Number format of the network.

    Returns
    -------
    Calibration or None
        None for a network that sees a single plane.
    """
    from napari_deep3d.nn.devices import choose_device, choose_precision
    from napari_deep3d.nn.model_file import load_model

    generator, info = load_model(find_model(str(model)))
    seen = {"dimensions": info.dimensions, "network_input": info.network_input, "z_step": info.z_step}
    pairs = prepare_pairs(PairsFolder(folder).load(), info.percentiles)
    device = choose_device("auto")
    dtype = choose_precision(device, precision)
    return calibrate(generator, pairs, TrainConfig.checked(**seen), device, dtype)
