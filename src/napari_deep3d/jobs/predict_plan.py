"""What is known before a prediction starts: device, voxel size and tiles; then the stack, looked at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
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
    doubt_spacing,
    find_no_data,
    format_spacing,
    has_large_offset,
    is_flat,
    never,
    zyx,
)
from napari_deep3d.core.novelty.explain import Novelty, assess
from napari_deep3d.core.resampling import TOLERANCE, ModelGrid, grid_for, target_spacing
from napari_deep3d.core.tiling import TilePlan, plan_tiles
from napari_deep3d.jobs.models import model_info
from napari_deep3d.jobs.predict_cost import FREE_SHARE, Costs

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo

Mask = NDArray[np.bool_]

MAX_GROWTH = 30
"""A stack may have this many times its voxels on the model's grid: beyond it, its voxel size is wrong, or too coarse to
hold what the model looks for."""
SMALLEST_TILE: Shape = (4, 16, 16)
"""Voxels of a tile where hardly any memory is free."""
MAX_HELD_VOXELS = 8_000_000
"""Stacks up to this size are held in memory while they are measured, so that each voxel is read once."""


@dataclass(frozen=True)
class PredictionPlan:
    """What a prediction will do, known before it starts without reading voxels.

    Attributes
    ----------
    model : ModelInfo
        What the model's file says of itself.
    spacing_um, resampled_um : tuple of float
        Voxel size of the stack (Z, Y, X), and the one it is brought to for the model; None if it stays as it is.
    device, device_label, precision : str
        Where and in which number format to compute; the label is for the user.
    tile, halo : tuple of int
        Voxels (Z, Y, X) of a tile's core, on the stack's grid, and around it, on the model's grid.
    tiles, seconds : int, float
        Number of tiles, and an estimate of the time.
    measuring_share, measured_voxels : float
        Share of the time for the norm statistics of the stack, and the most voxels they can be measured in at once.
    seen_halo : tuple of int
        Voxels (Z, Y, X) that the network sees around what a tile writes, on the model's grid.
    notices : tuple of str
        Sentences for the user.
    grid, layout : ModelGrid, TilePlan
        The stack's grid and the model's, and the tiles.
    """

    model: ModelInfo
    spacing_um: Spacing
    device: str
    device_label: str
    precision: str
    tile: Shape
    halo: Shape
    tiles: int
    seconds: float
    measuring_share: float
    measured_voxels: float
    seen_halo: Shape
    resampled_um: Spacing | None
    notices: tuple[str, ...]
    grid: ModelGrid = field(repr=False)
    layout: TilePlan = field(repr=False)


def plan_prediction(volume: Volume, config: PredictConfig) -> PredictionPlan:
    """Decide device, voxel size and tiles for a stack, without reading or computing.

    InputError if the stack has no voxel size, or one of which the model could make nothing but billions of voxels, or
    if model or device cannot be used.
    """
    from napari_deep3d.nn.devices import choose_device, choose_precision, device_label, free_memory
    from napari_deep3d.nn.tta import AUGMENTATIONS

    notices = list(volume.notices)
    _check_memory(volume)
    info = model_info(config.model)
    spacing = config.spacing_um or volume.require_spacing_um()
    doubt = doubt_spacing(spacing)
    if doubt:
        notices.append(doubt)
    device = choose_device(config.device)
    dtype = choose_precision(device, config.precision)
    # 1. The grid: the stack's own if the model was trained on such voxels, else the nearest one that it was.
    wanted = target_spacing(spacing, info.spacing_min_um, info.spacing_max_um)
    grid = grid_for(volume.shape, spacing, wanted, first_on_first=info.z_step > 1)
    growth = prod(grid.model_shape) / prod(volume.shape)
    if growth > MAX_GROWTH * info.z_step:
        raise InputError(
            f"{doubt} {volume.name}, brought to the voxels that the model knows ({format_spacing(wanted)}), would have "
            f"{growth:.0f} times as many voxels; {MAX_GROWTH * info.z_step} times is allowed. Correct the voxel size, "
            "or use a model that was trained on such voxels.".strip()
        )
    z_known = spacing[0] <= info.spacing_max_um[0] * info.z_step * (1 + TOLERANCE)
    as_in_training = info.z_step > 1 and z_known and grid.zoom[1:] == (1.0, 1.0)  # planes between planes, no more
    if not (grid.is_identity or as_in_training):
        low, high = format_spacing(info.spacing_min_um), format_spacing(info.spacing_max_um)
        notices.append(
            f"Voxels of {format_spacing(spacing)} are unlike those the model knows ({low} to {high}): the stack is "
            f"resampled to {format_spacing(wanted)} for the model and the result back; expect a less exact result."
        )
    # 2. The tiles: cores on the stack's grid.
    costs = Costs(info, grid, device, dtype, len(AUGMENTATIONS) if config.uncertainty else 1)
    if config.tile == "auto":
        tile = _cheapest_tile(costs, config.memory_bytes)
    else:
        tile = zyx(min(t, n) for t, n in zip(config.tile, volume.shape, strict=True))
    layout = plan_tiles(volume.shape, tile)
    # 3. The time.
    measuring, predicting = costs.seconds(layout)
    # 4. The uncertainty.
    if config.uncertainty and info.uncertainty is None:
        notices.append(
            f"The model {info.name} is not calibrated: its uncertainty is only the spread of "
            f"{len(AUGMENTATIONS)} predictions, usually smaller than the error. Compare places by it, but do not "
            "read it as an error."
        )
    return PredictionPlan(
        model=info,
        spacing_um=spacing,
        device=str(device),
        device_label=device_label(device, dtype),
        precision=str(dtype).removeprefix("torch."),
        tile=tile,
        halo=info.halo,
        tiles=len(layout),
        seconds=measuring + predicting,
        measuring_share=measuring / (measuring + predicting),
        measured_voxels=costs.measured_voxels(config.memory_bytes or free_memory(device)),
        seen_halo=costs.seen_halo,
        resampled_um=None if grid.is_identity else wanted,
        notices=tuple(notices),
        grid=grid,
        layout=layout,
    )


def _check_memory(volume: Volume) -> None:
    """Refuse (InputError) a stack of which not even a plane fits into memory: it is measured plane by plane."""
    plane = prod(volume.shape[1:]) * np.dtype(volume.data.dtype).itemsize
    free = psutil.virtual_memory().available
    if plane > FREE_SHARE * free and not isinstance(volume.data, np.ndarray):
        raise InputError(
            f"a plane of {volume.name}, {volume.shape[1]} x {volume.shape[2]} pixels, needs {plane / 1e9:.1f} GB of "
            f"memory, and {free / 1e9:.1f} GB are free. Crop the stack, or close other programs."
        )


def _cheapest_tile(costs: Costs, memory_bytes: int | None) -> Shape:
    """The core of a tile within the memory, in voxels of the stack; InputError if the named memory is too little."""
    from napari_deep3d.nn.devices import free_memory

    memory = memory_bytes or free_memory(costs.device) * FREE_SHARE
    tile = costs.cheapest_tile(memory)
    if tile is None and memory_bytes:
        raise InputError(
            f"a memory of {memory / 1e6:.0f} MB is too little for this stack and model; allow "
            f"{ceil(costs.smallest_memory() / 1e6)} MB, or leave it out."
        )
    return tile or zyx(min(n, stride) for n, stride in zip(costs.grid.shape, SMALLEST_TILE, strict=True))


def novelty_of(volume: Volume, config: PredictConfig) -> Novelty | None:
    """Compare a stack with those that the chosen model was trained on; None if the model says nothing of them.

    InputError if there is no such model, or the stack has no voxel size.
    """
    return compare_with_training_data(
        volume, config.spacing_um or volume.require_spacing_um(), model_info(config.model)
    )


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
    """

    volume: Volume
    config: PredictConfig
    plan: PredictionPlan
    intensity_range: tuple[float, float]
    not_finite: int
    novelty: Novelty | None
    no_data: NoData | None
    region: Box

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

    @property
    def has_gaps(self) -> bool:
        """Whether some of the region is no image."""
        blank = 0 if self.no_data is None else self.no_data.count
        return prod(self.volume.shape) - blank < prod(self.region.shape)

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
    plan = plan_prediction(volume, config)
    held = volume
    if prod(volume.shape) <= MAX_HELD_VOXELS and not isinstance(volume.data, np.ndarray):
        held = replace(volume, data=np.stack([np.asarray(volume.data[z]) for z in range(volume.shape[0])]))
    # 1. What is no image, and the intensities of what is.
    sampled = SampledIntensities(volume.shape)

    def look_at(plane: NDArray[Any]) -> None:
        sampled.add(plane)
        if stop():
            raise StoppedError

    try:
        no_data = find_no_data(held.data, look_at)
    except StoppedError:
        bounds = sampled.range(plan.model.percentiles)
        known = bounds if np.isfinite(bounds).all() else (0.0, 1.0)
        return Prepared(volume, config, plan, known, 0, None, None, Box.whole(volume.shape))
    bounds = sampled.range(plan.model.percentiles, no_data)
    _check_shows_something(volume, sampled, no_data, bounds)
    # 2. The box that holds the image, which alone is predicted.
    region = Box.whole(volume.shape)
    if no_data is not None:
        region = no_data.image_box.widened((MIN_PLANES, MIN_LATERAL, MIN_LATERAL), volume.shape)
        cropped = replace(volume, data=CroppedStack(volume.data, region))
        plan = _without_blank_tiles(plan_prediction(cropped, config), no_data, region)
    # 3. The comparison with the training data.
    image = image_of(held.data, no_data, region)
    if has_large_offset(bounds, image.dtype):
        image = OffsetStack(image, bounds[0])
    novelty = compare_with_training_data(replace(volume, data=image), plan.spacing_um, plan.model)
    not_finite = sampled.not_finite - (0 if no_data is None else no_data.not_finite)
    return Prepared(volume, config, plan, bounds, not_finite, novelty, no_data, region)
