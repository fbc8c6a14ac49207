"""Novelty of a stack, measured before a prediction; how the stacks of a training look, for its model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_deep3d.core import PredictConfig, Spacing, Volume
from napari_deep3d.core.novelty.detector import MIN_STACKS, NoveltyModel
from napari_deep3d.core.novelty.explain import Novelty, assess
from napari_deep3d.core.novelty.features import measure_features, representative_part
from napari_deep3d.jobs.models import model_info

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo


def novelty_of(volume: Volume, config: PredictConfig) -> Novelty | None:
    """Compare a stack with those that the chosen model was trained on; None if the model says nothing of them.

    Raises
    ------
    InputError
        If there is no such model, or the stack has no voxel size.
    """
    return compare_with_training_data(
        volume, config.spacing_um or volume.require_spacing_um(), model_info(config.model)
    )


def compare_with_training_data(volume: Volume, spacing_um: Spacing, info: ModelInfo) -> Novelty | None:
    """Compare a stack of voxels ``spacing_um`` (Z, Y, X) with those of a model; as :func:`novelty_of`."""
    if info.novelty is None or not info.novelty.can_compare:
        return None
    return assess(volume.data, spacing_um, info.novelty)


def fit_novelty_model(volumes: Sequence[Volume], z_step: int = 1, max_stacks: int | None = None) -> NoveltyModel | None:
    """Learn how wide-field stacks look, for the header of the model that is trained on them.

    Parameters
    ----------
    volumes
        Wide-field stacks; those without voxel size are left out.
    z_step
        The model sees every ``z_step``-th plane of them, as it will of a user's stack.
    max_stacks
        Look at no more than so many, evenly spaced.

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
        z, y, x = volume.require_spacing_um()
        features.append(measure_features(representative_part(volume.data)[::z_step], (z * z_step, y, x)))
    return NoveltyModel.fit(features)
