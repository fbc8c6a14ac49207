"""What a prediction starts from: a stack that was looked at once, and as the network sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from napari_deep3d.core import (
    Box,
    FloatArray,
    InputError,
    NormalisedStack,
    PredictConfig,
    Volume,
    is_flat,
    measure_intensities,
)
from napari_deep3d.core.novelty.explain import Novelty
from napari_deep3d.jobs.novelty import compare_with_training_data
from napari_deep3d.jobs.predict_plan import PredictionPlan, plan_prediction

MAX_HELD_VOXELS = 8_000_000
"""Stacks up to this size are held in memory while they are measured, so that each voxel is read once."""


@dataclass(frozen=True)
class Prepared:
    """A stack that is ready to be predicted: what was decided and measured beforehand, once.

    Attributes
    ----------
    volume : Volume
        The wide-field stack.
    config : PredictConfig
        What the user chose.
    plan : PredictionPlan
        Device, grid and tiles.
    intensity_range : tuple of float
        Intensities of the stack that become 0 and 1.
    not_finite : int
        Number of voxels that are NaN or infinite; the network sees background there.
    novelty : Novelty or None
        How far the stack is from those that the model was trained on; None if the model does not say.
    """

    volume: Volume
    config: PredictConfig
    plan: PredictionPlan
    intensity_range: tuple[float, float]
    not_finite: int
    novelty: Novelty | None

    @property
    def notices(self) -> list[str]:
        """Sentences for the user."""
        notices = list(self.plan.notices)
        if self.not_finite:
            notices.append(f"{self.not_finite} voxels are not finite numbers; they are taken as background.")
        if self.novelty is not None and self.novelty.is_unlike:
            notices.append(self.novelty.notice)
        return notices

    def network_input(self, region: Box) -> FloatArray:
        """Read what the network sees of a box of the model's grid.

        Returns
        -------
        array, axes (Z, Y, X) or (2, Z, Y, X)
            The stack on the model's grid, its intensity range brought to 0 and 1, every voxel finite. For DeepZ+ its
            middle plane, at every Z, and the distance of each plane from it.
        """
        stack, grid = NormalisedStack(self.volume.data, self.intensity_range), self.plan.grid
        if self.plan.model.network_input != "plane":
            return grid.read(stack, region)
        from napari_deep3d.nn.patches import plane_and_distance

        middle = grid.model_shape[0] // 2
        plane = grid.read(stack, region.with_axis(0, middle, middle + 1))[0]
        distance = np.arange(region.z.start, region.z.stop) - middle
        return plane_and_distance(plane, distance * grid.model_step_um(self.plan.spacing_um))


def prepare(volume: Volume, config: PredictConfig) -> Prepared:
    """Plan the prediction of a stack, check and measure its voxels, and compare it with the training data.

    Each voxel is read once; beyond :data:`MAX_HELD_VOXELS` once plane by plane, and the part that stands for the
    stack in the comparison once more.

    Raises
    ------
    InputError
        If the stack has no voxel size, no finite voxel or only voxels that are alike, or model or device cannot be
        used.
    """
    plan = plan_prediction(volume, config)
    held = volume
    if prod(volume.shape) <= MAX_HELD_VOXELS and not isinstance(volume.data, np.ndarray):
        held = replace(volume, data=np.stack([np.asarray(volume.data[z]) for z in range(volume.shape[0])]))
    bounds, not_finite = measure_intensities(held.data, plan.model.percentiles)
    if not_finite == prod(volume.shape):
        raise InputError(f"{volume.name} holds no finite number, only NaN or infinity. Load the original stack.")
    if is_flat(bounds):
        raise InputError(
            f"{volume.name} is constant (every voxel about {bounds[0]:g}); a stack with structure is needed. "
            "Check that the right channel and file were chosen."
        )
    novelty = compare_with_training_data(held, plan.spacing_um, plan.model)
    return Prepared(volume, config, plan, bounds, not_finite, novelty)
