"""Whether a stack is like those that a model learned from: asked before a prediction, learned after a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.novelty.detector import MIN_STACKS, NoveltyModel
from napari_deep3d.core.novelty.explain import Novelty, assess
from napari_deep3d.core.novelty.features import Features, measure_features, representative_part
from napari_deep3d.core.types import Spacing
from napari_deep3d.core.volume import Volume
from napari_deep3d.jobs.models import model_info
from napari_deep3d.jobs.pairs import WIDEFIELD, PairsFolder

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo


def novelty_of(volume: Volume, config: PredictConfig) -> Novelty | None:
    """Compare a stack with what the chosen model knows; None if the model does not say it.

    Raises
    ------
    InputError
        If there is no such model, or the stack has no voxel size.
    """
    return compare_with_training_data(
        volume, config.spacing_um or volume.require_spacing_um(), model_info(config.model)
    )


def compare_with_training_data(volume: Volume, spacing_um: Spacing, info: ModelInfo) -> Novelty | None:
    """Compare a stack of voxels ``spacing_um`` (Z, Y, X) with what a model knows; None if the model does not say it."""
    if info.novelty is None or not info.novelty.can_compare:
        return None
    return assess(volume.data, spacing_um, info.novelty)


def fit_novelty_model(volumes: Sequence[Volume], z_step: int = 1, most: int | None = None) -> NoveltyModel | None:
    """Learn how wide-field stacks look, for the header of the model that is trained on them.

    Parameters
    ----------
    volumes
        Wide-field stacks; those without voxel size are left out.
    z_step
        The model sees every ``z_step``-th plane of them, as it will of a user's stack.
    most
        Look at no more than so many, evenly spaced.

    Returns
    -------
    NoveltyModel or None
        None for fewer than :data:`~napari_deep3d.core.novelty.detector.MIN_STACKS` stacks.
    """
    usable = [volume for volume in volumes if volume.spacing_um is not None]
    if most is not None and len(usable) > most:
        usable = [usable[int(index)] for index in np.linspace(0, len(usable) - 1, most)]
    if len(usable) < MIN_STACKS:
        return None
    return NoveltyModel.fit([_measure(volume, z_step) for volume in usable])


def fit_novelty_model_to_folder(pairs_folder: str | Path, z_step: int = 1) -> NoveltyModel | None:
    """Learn how the wide-field stacks of a pairs folder look; as :func:`fit_novelty_model`.

    Raises
    ------
    InputError
        If it is not a pairs folder, or a file is no stack.
    """
    folder = PairsFolder(pairs_folder)
    return fit_novelty_model([folder.volume(WIDEFIELD, name) for name in folder.names()], z_step)


def _measure(volume: Volume, z_step: int) -> Features:
    z, y, x = volume.require_spacing_um()
    return measure_features(representative_part(volume.data)[::z_step], (z * z_step, y, x))
