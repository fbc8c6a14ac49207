"""A stack is looked at once before it is predicted: what is no image, intensities, how far it is from the training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import (
    MIN_LATERAL,
    MIN_PLANES,
    MOSTLY_SATURATED,
    Box,
    CroppedStack,
    FilledStack,
    FloatArray,
    InputError,
    MaskStack,
    NoData,
    NoImageError,
    NormalisedStack,
    OffsetStack,
    PredictConfig,
    SampledIntensities,
    Shape,
    Spacing,
    Stack,
    Stop,
    StoppedError,
    Volume,
    find_no_data,
    has_large_offset,
    is_flat,
    never,
    shape_of,
)
from napari_deep3d.core.novelty.explain import Novelty, assess
from napari_deep3d.core.tiling import plan_tiles
from napari_deep3d.jobs.models.store import model_info
from napari_deep3d.jobs.predict.plan import PredictionPlan, plan_prediction

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo

Mask = NDArray[np.bool_]

MAX_HELD_VOXELS = 8_000_000
"""Stacks up to this size are held in memory while they are measured, so that each voxel is read once."""


def novelty_of(volume: Volume, config: PredictConfig) -> Novelty | None:
    """Compare a stack with those that the chosen model was trained on, what is no image left out.

    None if the model says nothing of them, or the stack shows nothing. InputError if there is no such model, or the
    stack has no voxel size.
    """
    info = model_info(config.model)
    spacing = config.spacing_um or volume.require_spacing_um()
    if info.novelty is None or not info.novelty.can_compare:
        return None
    sampled, no_data = _look_at(volume.data)
    bounds = sampled.range(info.percentiles, no_data)
    if is_flat(bounds, volume.data.dtype) or (no_data is not None and no_data.is_everything):
        return None
    image = _comparable(volume.data, no_data, _region_of(volume, no_data), bounds)
    return compare_with_training_data(replace(volume, data=image), spacing, info)


def compare_with_training_data(volume: Volume, spacing_um: Spacing, info: ModelInfo) -> Novelty | None:
    """Compare a stack of voxels ``spacing_um`` (Z, Y, X) with those of a model; as :func:`novelty_of`."""
    if info.novelty is None or not info.novelty.can_compare:
        return None
    return assess(volume.data, spacing_um, info.novelty)


@dataclass(frozen=True)
class Prepared:
    """A stack that is ready to be predicted: what was decided and measured beforehand, once.

    Attributes
    ----------
    volume, config, plan
        The stack, the settings, and what will be done; the plan is one for ``region``.
    intensity_range : tuple of float
        Intensities that become 0 and 1.
    not_finite : int
        Number of voxels that are NaN or infinite within the image; the network sees background there.
    novelty : Novelty or None
        How far the stack is from those of the training; None if the model does not say.
    no_data : NoData or None
        Voxels that are no image: the network sees them filled, and the result is 0 there. None if all are image.
    region : Box
        The part of the stack that is predicted, (Z, Y, X): all of it, or the box that holds the image.
    digest : str
        Tells these voxels from any others; empty if not all were read.
    """

    volume: Volume
    config: PredictConfig
    plan: PredictionPlan
    intensity_range: tuple[float, float]
    not_finite: int
    novelty: Novelty | None
    no_data: NoData | None
    region: Box
    digest: str = ""

    @property
    def notices(self) -> list[str]:
        """Sentences for the user."""
        notices = list(self.plan.notices)
        if self.no_data is not None:
            notices.append(f"{self.no_data.sentence}; they are left out and stay background.")
        if self.not_finite:
            notices.append(f"{self.not_finite} voxels are not finite numbers; they are taken as background.")
        if self.novelty is not None and self.novelty.is_unlike:
            notices.append(self.novelty.notice)
        return notices

    def network_input(self, box: Box) -> FloatArray:
        """Read what the network sees of a box of the model's grid.

        Returns
        -------
        array, axes (Z, Y, X) or (2, Z, Y, X)
            The region on the model's grid, its intensity range brought to 0 and 1, every voxel finite. For DeepZ+ its
            middle plane, at every Z, and the distance of each plane from it.
        """
        image = image_of(self.volume.data, self.no_data, self.region)
        stack, grid = NormalisedStack(image, self.intensity_range), self.plan.grid
        if self.plan.model.network_input != "plane":
            return grid.read(stack, box)
        from napari_deep3d.nn.patches import plane_and_distance

        middle = grid.model_shape[0] // 2
        plane = grid.read(stack, box.with_axis(0, middle, middle + 1))[0]
        distance = np.arange(box.z.start, box.z.stop) - middle
        return plane_and_distance(plane, distance * grid.model_step_um(self.plan.spacing_um))

    def in_tiles_of(self, tile: Shape, measured_voxels: float) -> Prepared:
        """The same, predicted in tiles of a size (Z, Y, X) and measured in so many voxels, as it was begun."""
        layout = plan_tiles(self.plan.layout.shape, tile)
        plan = replace(self.plan, tile=tile, layout=layout, tiles=len(layout), measured_voxels=measured_voxels)
        if self.no_data is not None:
            plan = _without_blank_tiles(plan, self.no_data, self.region)
        return replace(self, plan=plan)

    @property
    def image_voxels(self) -> int:
        """Number of voxels of the stack that are image."""
        return prod(self.volume.shape) - (0 if self.no_data is None else self.no_data.count)

    @property
    def has_gaps(self) -> bool:
        """Whether some of the region is no image."""
        return self.image_voxels < prod(self.region.shape)

    def is_blank(self, box: Box) -> Mask:
        """Which voxels of a box of the region are no image, axes (Z, Y, X)."""
        if self.no_data is None:
            return np.zeros(box.shape, bool)
        return self.no_data.mask(box.shifted(self.region.start))

    def is_image(self, box: Box) -> Mask:
        """Which voxels of a box of the model's grid are image, axes (Z, Y, X)."""
        if self.no_data is None:
            return np.ones(box.shape, bool)
        return self.plan.grid.read(CroppedStack(MaskStack(self.no_data), self.region), box) < 0.5


def _plan(volume: Volume, config: PredictConfig, no_data: NoData | None, region: Box) -> PredictionPlan:
    """Plan the prediction of a region of a stack."""
    if no_data is None:
        return plan_prediction(volume, config)
    cropped = replace(volume, data=CroppedStack(volume.data, region))
    return _without_blank_tiles(plan_prediction(cropped, config), no_data, region)


def _without_blank_tiles(plan: PredictionPlan, no_data: NoData, region: Box) -> PredictionPlan:
    """The plan for a region of a stack without those tiles that hold no image."""
    blank = [tile.index for tile in plan.layout if no_data.mask(tile.write.shifted(region.start)).all()]
    layout = replace(plan.layout, left_out=frozenset(blank))
    measuring = plan.seconds * plan.measuring_share
    seconds = measuring + (plan.seconds - measuring) * len(layout) / len(plan.layout)
    return replace(plan, layout=layout, tiles=len(layout), seconds=seconds, measuring_share=measuring / seconds)


def image_of(data: Stack, no_data: NoData | None, region: Box) -> Stack:
    """The region of a stack (Z, Y, X), what is no image filled."""
    return data if no_data is None else CroppedStack(FilledStack(data, no_data), region)


def _look_at(
    data: Stack, stop: Stop = never, on_plane: Callable[[NDArray[Any]], object] | None = None
) -> tuple[SampledIntensities, NoData | None]:
    """Look at every voxel of a stack (Z, Y, X) once: its intensities, and what of it is no image.

    When ``stop`` is true, the intensities are those of the planes so far. ``on_plane`` sees each plane, too.
    """
    sampled = SampledIntensities(shape_of(data))

    def look_at(plane: NDArray[Any]) -> None:
        sampled.add(plane)
        if on_plane is not None:
            on_plane(plane)
        if stop():
            raise StoppedError

    try:
        return sampled, find_no_data(data, look_at)
    except StoppedError:
        return sampled, None


def _region_of(volume: Volume, no_data: NoData | None) -> Box:
    """The box that holds the image, no smaller than a stack must be."""
    if no_data is None:
        return Box.whole(volume.shape)
    return no_data.image_box.widened((MIN_PLANES, MIN_LATERAL, MIN_LATERAL), volume.shape)


def _comparable(data: Stack, no_data: NoData | None, region: Box, bounds: tuple[float, float]) -> Stack:
    """What of a stack is compared with others: its image, without an offset that float32 could not hold."""
    image = image_of(data, no_data, region)
    return OffsetStack(image, bounds[0]) if has_large_offset(bounds, image.dtype) else image


def _check_shows_something(
    volume: Volume, sampled: SampledIntensities, no_data: NoData | None, bounds: tuple[float, float]
) -> None:
    """Refuse (NoImageError) a stack without image or structure, or one that is mostly overexposed."""
    if sampled.not_finite == prod(volume.shape):
        raise NoImageError(
            volume.name, "holds no finite number, only NaN or infinity", "numbers are needed. Load the original stack."
        )
    if no_data is not None and no_data.is_everything:
        raise NoImageError(
            volume.name,
            f"holds no image, only blank planes ({no_data.values_text})",
            "a stack with structure is needed. Check that the right channel and file were chosen.",
        )
    if is_flat(bounds, volume.data.dtype):
        raise NoImageError(
            volume.name,
            f"is constant (every voxel about {bounds[0]:g})",
            "a stack with structure is needed. Check that the right channel and file were chosen.",
        )
    share = sampled.saturated_share(no_data)
    if share > MOSTLY_SATURATED:
        raise NoImageError(
            volume.name,
            f"is overexposed ({share:.0%} of it is at the largest value)",
            f"at most {MOSTLY_SATURATED:.0%} is allowed. Acquire it again with less light or exposure.",
        )


def prepare(volume: Volume, config: PredictConfig, stop: Stop = never) -> Prepared:
    """Plan the prediction of a stack, check and measure its voxels, and compare it with the training data.

    Each voxel is read once; beyond :data:`MAX_HELD_VOXELS` once plane by plane, and the part that stands for the stack
    in the comparison once more. ``stop`` is asked after every plane; when true, what was read stands for the stack, and
    nothing else is looked at: nothing is predicted any more. InputError as :func:`plan_prediction`;
    NoImageError without a finite voxel or any structure, or where more than half of the image is saturated.
    """
    if config.scheduler is not None:
        raise InputError(
            f"the scheduler {config.scheduler} was given, but a cluster predicts only from a file to an OME-Zarr file. "
            "Give an output that ends in .ome.zarr, or leave the scheduler out."
        )
    plan = plan_prediction(volume, config)
    held = volume
    if prod(volume.shape) <= MAX_HELD_VOXELS and not isinstance(volume.data, np.ndarray):
        held = replace(volume, data=np.stack([np.asarray(volume.data[z]) for z in range(volume.shape[0])]))
    # 1. What is no image, and the intensities of what is.
    digest = hashlib.blake2b(f"{volume.shape} {volume.data.dtype}".encode(), digest_size=16)
    sampled, no_data = _look_at(held.data, stop, lambda plane: digest.update(np.ascontiguousarray(plane).data))
    if stop():
        bounds = sampled.range(plan.model.percentiles)
        known = bounds if np.isfinite(bounds).all() else (0.0, 1.0)
        return Prepared(volume, config, plan, known, 0, None, None, Box.whole(volume.shape))
    bounds = sampled.range(plan.model.percentiles, no_data)
    _check_shows_something(volume, sampled, no_data, bounds)
    # 2. The box that holds the image, which alone is predicted.
    region = _region_of(volume, no_data)
    if no_data is not None:
        plan = _plan(volume, config, no_data, region)
    # 3. The comparison with the training data.
    image = _comparable(held.data, no_data, region, bounds)
    novelty = compare_with_training_data(replace(volume, data=image), plan.spacing_um, plan.model)
    not_finite = sampled.not_finite - (0 if no_data is None else no_data.not_finite)
    return Prepared(volume, config, plan, bounds, not_finite, novelty, no_data, region, digest.hexdigest())
