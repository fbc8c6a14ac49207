"""What is known of a prediction before a voxel is read: device, voxel size and tiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, prod
from typing import TYPE_CHECKING

import numpy as np
import psutil

from napari_deep3d.core import (
    InputError,
    PredictConfig,
    Quality,
    Shape,
    Spacing,
    Volume,
    doubt_spacing,
    format_spacing,
    zyx,
)
from napari_deep3d.core.resampling import TOLERANCE, ModelGrid, grid_for, target_spacing
from napari_deep3d.core.tiling import TilePlan, plan_tiles
from napari_deep3d.jobs.models.store import model_info
from napari_deep3d.jobs.predict.cost import FREE_SHARE, Costs

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo

MAX_GROWTH = 30
"""A stack may have this many times its voxels on the model's grid: beyond it, its voxel size is wrong, or too coarse to
hold what the model looks for."""
SMALLEST_TILE: Shape = (4, 16, 16)
"""Voxels of a tile where hardly any memory is free."""


@dataclass(frozen=True)
class PredictionPlan:
    """What a prediction will do, known before it starts without reading voxels.

    Attributes
    ----------
    model : ModelInfo
        What the model's file says of itself.
    spacing_um, resampled_um : tuple of float
        Voxel size of the stack (Z, Y, X), and the one it is brought to for the model; None if it stays as it is.
    quality : str
        How to predict: ``fast``, or ``best``, which an uncertainty takes.
    device, device_label, device_reason, precision : str
        Where and in which number format to compute; the label, and the reason, a sentence, are for the user.
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
    quality: Quality
    device: str
    device_label: str
    device_reason: str
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
    from napari_deep3d.nn.devices import choose_device, choose_precision, device_label, device_reason, free_memory
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
    quality = config.resolved_quality
    costs = Costs(info, grid, device, dtype, len(AUGMENTATIONS) if quality == "best" else 1)
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
        quality=quality,
        device=str(device),
        device_label=device_label(device, dtype),
        device_reason=device_reason(config.device, device),
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
