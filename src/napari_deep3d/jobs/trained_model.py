"""The files of a finished training: its models, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_deep3d.core import Box, InputError, Shape, Spacing, TrainConfig, zyx
from napari_deep3d.jobs.novelty import fit_novelty_model
from napari_deep3d.jobs.run_folder import GO_ON_REMEDY, LAST_FILE, MODEL_FILE

if TYPE_CHECKING:
    from napari_deep3d.core.evaluation.uncertainty import Calibration
    from napari_deep3d.nn.patches import TrainingPair
    from napari_deep3d.nn.training import TrainedGenerator

LARGEST_HALO = (32, 80, 80)
"""Of a training that was stopped: measuring it would keep whoever stopped it waiting for seconds."""
HALO_BOX = (96, 192, 192)
"""Voxels on which a finished network's reach is measured."""

MAX_LOOKED_AT = 60
"""Pairs that tell what the model knows: each takes a tenth of a second, and whoever stopped a training waits."""


def save_trained(
    folder: Path,
    trained: TrainedGenerator,
    pairs: Sequence[TrainingPair],
    config: TrainConfig,
    name: str,
    start: str,
    uncertainty: Calibration | None,
) -> None:
    """Write the model to use and the last one to the run folder.

    Parameters
    ----------
    folder : Path
        The run folder.
    trained, pairs, config : TrainedGenerator, sequence of TrainingPair, TrainConfig
        What was trained, on what, and how.
    name, start : str
        Name of the model, and of the one that it began from; empty for none.
    uncertainty : Calibration or None
        How the error to expect of it is told, if that was learned.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    from napari_deep3d.nn.model_file import ModelInfo, save_model

    low, typical, high = voxel_sizes(pairs)
    info = ModelInfo(
        name=name,
        width=config.network.width,
        dimensions=config.network.dimensions,
        network_input=config.network.network_input,
        z_step=config.data.z_step,
        percentiles=config.data.percentiles,
        spacing_um=typical,
        spacing_min_um=low,
        spacing_max_um=high,
        halo=_halo(trained, pairs, config) if trained.step >= config.optimizer.iterations else LARGEST_HALO,
        training={
            "program": f"napari-deep3d {version('napari-deep3d')}",
            "pairs": len(pairs),
            "steps": trained.step,
            "weights": trained.weights,
            "start": start or "scratch",
            "config": config.flat(),
        },
        uncertainty=uncertainty,
        novelty=fit_novelty_model([pair.widefield for pair in pairs], config.data.z_step, MAX_LOOKED_AT),
        scores={f"validation_{key}": round(value, 4) for key, value in trained.validation.items()},
    )
    last = info.model_copy(
        update={"scores": {}, "uncertainty": None, "training": info.training | {"weights": "the last ones"}}
    )
    save_model(folder / LAST_FILE, trained.last, last, GO_ON_REMEDY)
    save_model(folder / MODEL_FILE, trained.generator, info, GO_ON_REMEDY)


def voxel_sizes(pairs: Sequence[TrainingPair]) -> tuple[Spacing, Spacing, Spacing]:
    """Smallest, middle and largest voxel size of the pairs, axis by axis.

    Raises
    ------
    InputError
        If no pair states it.
    """
    known = [pair.spacing_um for pair in pairs if pair.spacing_um is not None]
    if not known:
        raise InputError(
            "no pair states its voxel size; without it the model cannot be used on other stacks. "
            "Save the stacks with their voxel size in um (OME-TIFF, or ImageJ TIFF with unit micron)."
        )
    return zyx(zyx(map(float, size)) for size in (np.min(known, 0), np.median(known, 0), np.max(known, 0)))


def _halo(trained: TrainedGenerator, pairs: Sequence[TrainingPair], config: TrainConfig) -> Shape:
    """Voxels around a tile that its prediction depends on, the most of two pairs."""
    import torch

    from napari_deep3d.nn.folded_network import FoldedNetwork
    from napari_deep3d.nn.patches import network_input
    from napari_deep3d.nn.receptive_field import measure_halo

    z, y, x = LARGEST_HALO
    candidates = (range(4, z + 1, 4), range(16, y + 1, 16), range(16, x + 1, 16))
    halos = []
    for pair in list(pairs)[:2]:
        seen = network_input(pair, Box.centred(HALO_BOX, pair.shape), config)
        network = FoldedNetwork(trained.generator, [seen], torch.device("cpu"), torch.float32)
        halos.append(measure_halo(network, seen, candidates))
    return zyx(map(max, zip(*halos, strict=True)))
