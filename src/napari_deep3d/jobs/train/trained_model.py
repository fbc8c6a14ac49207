"""The models that a training leaves, and what they say of themselves: sizes, reach, novelty, error to expect."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_deep3d.core import (
    Box,
    FloatArray,
    InputError,
    Precision,
    Shape,
    Spacing,
    Stop,
    StoppedError,
    TrainConfig,
    Volume,
    never,
    zyx,
)
from napari_deep3d.core.evaluation.uncertainty import Calibration, fit_calibration_to_pairs
from napari_deep3d.core.novelty.detector import MIN_STACKS, NoveltyModel
from napari_deep3d.core.novelty.features import measure_features, representative_part
from napari_deep3d.jobs.models.store import open_model
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.jobs.train.run_folder import GO_ON_REMEDY, LAST_FILE, MODEL_FILE

if TYPE_CHECKING:
    import torch

    from napari_deep3d.nn.generator import Generator
    from napari_deep3d.nn.patches import TrainingPair
    from napari_deep3d.nn.training import TrainedGenerator

LARGEST_HALO = (32, 80, 80)
"""Of a training that was stopped: measuring it would keep whoever stopped it waiting for seconds."""
HALO_BOX = (96, 192, 192)
"""Voxels on which a finished network's reach is measured."""

CALIBRATION_PAIRS = 4
CALIBRATION_BOX: Shape = (48, 128, 128)
"""So many held-out pairs, and so many voxels in the middle of each, tell the error to expect: whoever trained waits."""
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
    enough: Stop = never,
    confocal_stacks: int = 0,
) -> tuple[str, ...]:
    """Write the model to use and the last one to the run folder.

    ``start`` is the model that the training began from, empty for none; ``uncertainty`` is how the error to expect is
    told, if that was learned; ``confocal_stacks`` the number of those that are no part of a pair. ``enough`` is asked
    while the network's reach and the stacks' looks are measured; when true, they are left out, and named in what is
    returned. InputError if the models cannot be written.
    """
    from napari_deep3d.nn.model_file import ModelInfo, save_model

    low, typical, high = voxel_sizes(pairs)
    missing = list[str]()
    halo = LARGEST_HALO
    if trained.step >= config.optimizer.iterations:
        try:
            halo = _halo(trained, pairs, config, enough)
        except StoppedError:
            missing.append("the network's reach (predictions take longer)")
    novelty = fit_novelty_model([pair.widefield for pair in pairs], config.data.z_step, MAX_LOOKED_AT, enough)
    if novelty is None and len(pairs) >= MIN_STACKS and enough():
        missing.append("how the stacks look (unlike ones will not be told)")
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
        halo=halo,
        training={
            "program": f"napari-deep3d {version('napari-deep3d')}",
            **_learned_from(len(pairs), confocal_stacks),
            "steps": trained.step,
            "weights": trained.weights,
            "start": start or "scratch",
            "config": config.flat(),
        },
        uncertainty=uncertainty,
        novelty=novelty,
        scores={f"validation_{key}": round(value, 4) for key, value in trained.validation.items()},
    )
    last = info.model_copy(
        update={"scores": {}, "uncertainty": None, "training": info.training | {"weights": "the last ones"}}
    )
    save_model(folder / LAST_FILE, trained.last, last, GO_ON_REMEDY)
    save_model(folder / MODEL_FILE, trained.generator, info, GO_ON_REMEDY)
    return tuple(missing)


def _learned_from(pairs: int, confocal_stacks: int) -> dict[str, int]:
    if confocal_stacks:
        return {"widefield_stacks": pairs, "confocal_stacks": confocal_stacks}
    return {"pairs": pairs}


def voxel_sizes(pairs: Sequence[TrainingPair]) -> tuple[Spacing, Spacing, Spacing]:
    """Smallest, middle and largest voxel size of the pairs, axis by axis; InputError if no pair states it."""
    known = [pair.spacing_um for pair in pairs if pair.spacing_um is not None]
    if not known:
        raise InputError(
            "no pair states its voxel size; without it the model cannot be used on other stacks. "
            "Save the stacks with their voxel size in um (OME-TIFF, or ImageJ TIFF with unit micron)."
        )
    return zyx(zyx(map(float, size)) for size in (np.min(known, 0), np.median(known, 0), np.max(known, 0)))


def _halo(trained: TrainedGenerator, pairs: Sequence[TrainingPair], config: TrainConfig, stop: Stop) -> Shape:
    """Voxels around a tile that its prediction depends on, the most of two pairs; StoppedError if it was stopped."""
    import torch

    from napari_deep3d.nn.folded_network import FoldedNetwork
    from napari_deep3d.nn.inference import measure_halo
    from napari_deep3d.nn.patches import network_input

    z, y, x = LARGEST_HALO
    candidates = (range(4, z + 1, 4), range(16, y + 1, 16), range(16, x + 1, 16))
    halos = []
    for pair in list(pairs)[:2]:
        seen = network_input(pair, Box.centred(HALO_BOX, pair.shape), config)
        network = FoldedNetwork(trained.generator, [seen], torch.device("cpu"), torch.float32, stop)
        halos.append(measure_halo(network, seen, candidates))
    return zyx(map(max, zip(*halos, strict=True)))


def fit_novelty_model(
    volumes: Sequence[Volume], z_step: int = 1, max_stacks: int | None = None, enough: Stop = never
) -> NoveltyModel | None:
    """Learn how wide-field stacks look, for the header of the model that is trained on them.

    Parameters
    ----------
    volumes
        Wide-field stacks; those without voxel size are left out.
    z_step
        The model sees every ``z_step``-th plane of them, as it will of a user's stack.
    max_stacks
        Look at no more than so many, evenly spaced.
    enough
        Asked between stacks; when true, the rest is not looked at.

    Returns
    -------
    NoveltyModel or None
        None for fewer than :data:`~napari_deep3d.core.novelty.detector.MIN_STACKS` stacks.
    """
    usable = [volume for volume in volumes if volume.spacing_um is not None]
    if max_stacks is not None and len(usable) > max_stacks:
        usable = [usable[int(index)] for index in np.linspace(0, len(usable) - 1, max_stacks)]
    if len(usable) < MIN_STACKS:
        return None
    features = []
    for volume in usable:
        if enough():
            break
        z, y, x = volume.require_spacing_um()
        features.append(measure_features(representative_part(volume.data)[::z_step], (z * z_step, y, x)))
    return NoveltyModel.fit(features) if len(features) >= MIN_STACKS else None


def calibrate(
    generator: Generator,
    pairs: Sequence[TrainingPair],
    config: TrainConfig,
    device: torch.device,
    dtype: torch.dtype,
    box: Shape | None = None,
    stop: Stop = never,
) -> Calibration | None:
    """Fit the expected error of a generator to pairs that it was not trained on.

    Of each pair the middle, at most ``box`` voxels (Z, Y, X), is predicted at once; all by default. ``stop`` is asked
    between layers. None without pairs, when stopped, and for a network that sees a single plane, since it knows no
    turned stacks.
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
        error = np.abs(prediction - pair.crop_confocal(region))
        image = pair.is_image(region)
        return (spread, prediction, error) if image is None else (spread[image], prediction[image], error[image])

    try:
        return fit_calibration_to_pairs((spread_and_error(pair) for pair in pairs), config.runtime.seed)
    except StoppedError:
        return None


def calibrate_on_folder(model: str | Path, folder: str | Path, precision: Precision = "auto") -> Calibration | None:
    """Fit the expected error of a model (name or file) to all voxels of a pairs folder that it was not trained on.

    None for a network that sees a single plane. A calibration that the model has does not matter.
    """
    from napari_deep3d.nn.devices import choose_device, choose_precision

    generator, info = open_model(str(model))
    seen = {"dimensions": info.dimensions, "network_input": info.network_input, "z_step": info.z_step}
    pairs = prepare_pairs(PairsFolder(folder).load(), info.percentiles)
    device = choose_device("auto")
    dtype = choose_precision(device, precision)
    return calibrate(generator, pairs, TrainConfig.checked(**seen), device, dtype)
