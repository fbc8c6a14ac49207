"""What a prediction will do, decided before it starts: device, voxel size, tiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.resampling import TOLERANCE, ModelGrid, grid_for, target_spacing
from napari_deep3d.core.tiling import TilePlan, choose_tile, plan_tiles
from napari_deep3d.core.types import Shape, Spacing
from napari_deep3d.core.volume import Volume, format_spacing
from napari_deep3d.jobs.models import model_info

if TYPE_CHECKING:
    import torch

    from napari_deep3d.nn.model_file import ModelInfo

BLEND: Shape = (2, 8, 8)
BYTES_PER_CHANNEL_VOXEL = 28
"""Memory at the peak of a forward pass, per voxel and channel of the first level; measured, with float32."""
FREE_SHARE = 0.5
MAX_TILE_VOXELS = {"cpu": 2e6, "cuda": 6e7, "mps": 1e7}
"""A tile is not larger than this, on a processor times its threads: one layer of it then takes less than a second,
which is how fast Stop works."""
PREDICTIONS = 4
"""How often a stack is predicted where its uncertainty is asked for: once for every turn in ``nn.turned``."""
VOXELS_PER_SECOND = {"cpu": 4e5, "cuda": 3e7, "mps": 3e6}
"""For the first estimate of the time only; while it runs, the time left comes from the tiles done."""


@dataclass(frozen=True)
class PredictionPlan:
    """What a prediction will do, known before it starts without reading voxels.

    ``seconds`` is a rough estimate; ``resampled_um`` the voxel size the stack is brought to for the model, or None
    if it stays as it is; ``notices`` are sentences for the user.
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
    resampled_um: Spacing | None
    notices: tuple[str, ...]
    grid: ModelGrid = field(repr=False)
    layout: TilePlan = field(repr=False)


def plan_prediction(volume: Volume, config: PredictConfig) -> PredictionPlan:
    """Decide device, voxel size and tiles for a stack, without computing.

    Raises
    ------
    InputError
        If the stack has no voxel size, or model or device cannot be used.
    """
    from napari_deep3d.nn.devices import choose_device, choose_precision, device_label

    info = model_info(config.model)
    spacing = config.spacing_um or volume.require_spacing_um()
    device = choose_device(config.device)
    dtype = choose_precision(device, config.precision)
    wanted = target_spacing(spacing, info.spacing_min_um, info.spacing_max_um)
    grid = grid_for(volume.shape, spacing, wanted, first_on_first=info.z_step > 1)
    tile = _tile(volume.shape, info, grid, device, config)
    layout = plan_tiles(volume.shape, tile, BLEND)
    seconds = _work_voxels(layout, info, grid) / VOXELS_PER_SECOND[device.type] * (info.width / 16) ** 2
    return PredictionPlan(
        model=info,
        spacing_um=spacing,
        device=str(device),
        device_label=device_label(device, dtype),
        precision=str(dtype).removeprefix("torch."),
        tile=tile,
        halo=info.halo,
        tiles=len(layout),
        seconds=seconds * (PREDICTIONS if config.uncertainty else 1),
        resampled_um=None if grid.is_identity else wanted,
        notices=tuple(_resampling_notice(spacing, wanted, info, grid) + _uncertainty_notice(info, config)),
        grid=grid,
        layout=layout,
    )


def _resampling_notice(spacing: Spacing, wanted: Spacing, info: ModelInfo, grid: ModelGrid) -> list[str]:
    z_known = spacing[0] <= info.spacing_max_um[0] * info.z_step * (1 + TOLERANCE)
    if grid.is_identity or (info.z_step > 1 and z_known and grid.zoom[1:] == (1.0, 1.0)):
        return []  # or planes are interpolated as they were in training
    low, high = format_spacing(info.spacing_min_um), format_spacing(info.spacing_max_um)
    return [
        f"Voxels of {format_spacing(spacing)} are unlike those the model knows ({low} to {high}): the stack is "
        f"resampled to {format_spacing(wanted)} for the model and the result back; expect a less exact result."
    ]


def _uncertainty_notice(info: ModelInfo, config: PredictConfig) -> list[str]:
    if not config.uncertainty or info.uncertainty is not None:
        return []
    return [
        f"The model {info.name} is not calibrated: its uncertainty is only the spread of {PREDICTIONS} predictions, "
        "usually smaller than the error. Compare places by it, but do not read it as an error."
    ]


def _tile(shape: Shape, info: ModelInfo, grid: ModelGrid, device: torch.device, config: PredictConfig) -> Shape:
    """Cores on the stack's grid: as given, or the cheapest that fit into memory."""
    import torch

    from napari_deep3d.nn.generator import STRIDE

    if config.tile != "auto":
        z, y, x = (min(t, n) for t, n in zip(config.tile, shape, strict=True))
        return z, y, x
    memory = config.memory_bytes or free_memory(device) * FREE_SHARE
    largest = MAX_TILE_VOXELS[device.type] * (torch.get_num_threads() if device.type == "cpu" else 1)
    voxels = min(memory / (BYTES_PER_CHANNEL_VOXEL * info.width), largest)
    core = choose_tile(grid.model_shape, info.halo, STRIDE, voxels)
    z, y, x = (min(n, max(1, round(c / zoom))) for n, c, zoom in zip(shape, core, grid.zoom, strict=True))
    return z, y, x


def _work_voxels(layout: TilePlan, info: ModelInfo, grid: ModelGrid) -> float:
    """Voxels that the network computes for all tiles, halos included."""
    total = 1.0
    for axis, (segments, halo, zoom) in enumerate(zip(layout.axes, info.halo, grid.zoom, strict=True)):
        size = grid.model_shape[axis]
        total *= sum(min(size, s.core[1] * zoom + halo) - max(0.0, s.core[0] * zoom - halo) for s in segments)
    return total


def free_memory(device: torch.device) -> int:
    """Bytes that can be used now."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
