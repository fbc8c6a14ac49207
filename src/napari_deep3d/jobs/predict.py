"""Predict a confocal-like stack: the job behind the command, the Python function and the panel."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import (
    Clock,
    Job,
    Notice,
    Progress,
    Stop,
    StoppedError,
    TileDone,
    never,
)
from napari_deep3d.core.metrics import intensity_range, normalise
from napari_deep3d.core.resampling import Grid, grid_for, target_spacing
from napari_deep3d.core.tiling import TilePlan, choose_tile, plan_tiles
from napari_deep3d.core.volume import Shape, Spacing, Volume, format_spacing
from napari_deep3d.jobs.models import find_model, model_info

if TYPE_CHECKING:
    import torch

    from napari_deep3d.nn.generator import Generator
    from napari_deep3d.nn.model_file import ModelInfo

Array = NDArray[np.float32]

BLEND: Shape = (2, 8, 8)
STRIDE: Shape = (4, 16, 16)
BYTES_PER_CHANNEL_VOXEL = 24
"""Memory at the peak of a forward pass, per voxel and channel of the first level; measured, with float32."""
FREE_SHARE = 0.5
MIN_PIECE = 64
MAX_TILE_VOXELS = {"cpu": 2e6, "cuda": 6e7, "mps": 1e7}
"""A tile is not larger than this, on a processor times its threads: one layer of it then takes less than a second,
which is how fast Stop works."""
VOXELS_PER_SECOND = {"cpu": 4e5, "cuda": 3e7, "mps": 3e6}
"""For the first estimate of the time only; while it runs, the time left comes from the tiles done."""


@dataclass(frozen=True)
class Plan:
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
    grid: Grid = field(repr=False)
    layout: TilePlan = field(repr=False)


@dataclass(frozen=True)
class Prediction:
    """A confocal-like stack and how it was made.

    ``data`` has axes (Z, Y, X), float32, 0 to about 1; ``complete`` is false if it was stopped, and tiles that were
    not computed are then 0.
    """

    data: Any = field(repr=False)
    spacing_um: Spacing
    origin_um: Spacing
    model: str
    device: str
    precision: str
    tile: Shape
    halo: Shape
    seconds: float
    voxels_per_second: float
    tile_mismatch: float
    notices: tuple[str, ...]
    complete: bool
    intensity_range: tuple[float, float]

    def provenance(self) -> dict[str, object]:
        """Everything but the voxels, as plain values."""
        return {
            "model": self.model,
            "device": self.device,
            "precision": self.precision,
            "tile": list(self.tile),
            "halo": list(self.halo),
            "seconds": round(self.seconds, 2),
            "voxels_per_second": round(self.voxels_per_second),
            "tile_mismatch": round(self.tile_mismatch, 5),
            "warnings": list(self.notices),
            "complete": self.complete,
            "input_intensities_of_0_and_1": list(self.intensity_range),
        }


def plan_prediction(volume: Volume, config: PredictConfig) -> Plan:
    """Decide device, voxel size and tiles for a stack, without computing.

    Raises
    ------
    InputError
        If the stack has no voxel size, or model or device cannot be used.
    """
    from napari_deep3d.nn.devices import choose_device, choose_precision, device_label

    info = model_info(config.model)
    spacing = config.spacing_um or volume.known_spacing_um
    device = choose_device(config.device)
    dtype = choose_precision(device, config.precision)
    wanted = target_spacing(spacing, info.spacing_min_um, info.spacing_max_um)
    grid = grid_for(volume.shape, spacing, wanted)
    tile = _tile(volume.shape, info, grid, device, config)
    layout = plan_tiles(volume.shape, tile, BLEND)
    return Plan(
        model=info,
        spacing_um=spacing,
        device=str(device),
        device_label=device_label(device, dtype),
        precision=str(dtype).removeprefix("torch."),
        tile=tile,
        halo=info.halo,
        tiles=len(layout),
        seconds=_work_voxels(layout, info, grid) / VOXELS_PER_SECOND[device.type] * (info.width / 16) ** 2,
        resampled_um=None if grid.is_identity else wanted,
        notices=tuple(_resampling_notice(spacing, wanted, info, grid)),
        grid=grid,
        layout=layout,
    )


def _resampling_notice(spacing: Spacing, wanted: Spacing, info: ModelInfo, grid: Grid) -> list[str]:
    if grid.is_identity:
        return []
    low, high = format_spacing(info.spacing_min_um), format_spacing(info.spacing_max_um)
    return [
        f"Voxels of {format_spacing(spacing)} are unlike those the model knows ({low} to {high}): the stack is "
        f"resampled to {format_spacing(wanted)} for the model and the result back; expect a less exact result."
    ]


def _tile(shape: Shape, info: ModelInfo, grid: Grid, device: torch.device, config: PredictConfig) -> Shape:
    """Cores on the stack's grid: as given, or the cheapest that fit into memory."""
    import torch

    if config.tile != "auto":
        z, y, x = (min(t, n) for t, n in zip(config.tile, shape, strict=True))
        return z, y, x
    memory = config.memory_bytes or free_memory(device) * FREE_SHARE
    largest = MAX_TILE_VOXELS[device.type] * (torch.get_num_threads() if device.type == "cpu" else 1)
    voxels = min(memory / (BYTES_PER_CHANNEL_VOXEL * info.width), largest)
    core = choose_tile(grid.model_shape, info.halo, STRIDE, voxels)
    z, y, x = (min(n, max(1, round(c / zoom))) for n, c, zoom in zip(shape, core, grid.zoom, strict=True))
    return z, y, x


def _work_voxels(layout: TilePlan, info: ModelInfo, grid: Grid) -> float:
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


def predict_volume(volume: Volume, config: PredictConfig, out: Any = None, stop: Stop = never) -> Job[Prediction]:
    """Predict a stack.

    Parameters
    ----------
    volume
        The wide-field stack.
    config
        Model, device, tile and the like.
    out
        Array of the stack's shape, float32 and zero, to be filled; made if not given. Anything that reads and
        assigns boxes will do, such as a memory map.
    stop
        Asked between layers of the network; the tiles that are finished are kept.

    Yields
    ------
    TileDone, Progress, Notice

    Raises
    ------
    InputError
        If the stack, model or device cannot be used.
    """
    from napari_deep3d.nn.inference import BoxPredictor, Outcome, predict_tiles
    from napari_deep3d.nn.model_file import load_model

    plan = plan_prediction(volume, config)
    notices = list(plan.notices)
    for notice in plan.notices:
        yield Notice(notice)
    yield Progress(0, plan.tiles, "reading the stack")
    bounds, bad = usable_range(volume, plan.model)
    if bad:
        notices.append(f"{bad} voxels are not finite numbers; they are taken as background.")
        yield Notice(notices[-1])
    out = np.zeros(volume.shape, np.float32) if out is None else out
    clock, outcome = Clock(), Outcome(stopped=True)
    generator, _ = load_model(find_model(config.model))
    reader = _Reader(volume, plan.grid, bounds)
    yield Progress(0, plan.tiles, "measuring the stack")
    try:
        network = _network(generator, reader, plan, stop)
        # The halo surrounds the core; the band in which tiles are blended lies within it.
        z, y, x = (max(0, h - ceil(b * zoom)) for h, b, zoom in zip(plan.halo, BLEND, plan.grid.zoom, strict=True))
        predictor = BoxPredictor(network, reader, plan.grid, (z, y, x), STRIDE)
        outcome = yield from _fill(predict_tiles(predictor, plan.layout, stop=stop), out, notices)
        network.release()
    except StoppedError:
        pass
    return _result(volume, plan, out, outcome, clock.seconds, notices, bounds)


def usable_range(volume: Volume, info: ModelInfo) -> tuple[tuple[float, float], int]:
    """Intensities that become 0 and 1, and the number of voxels that are not finite.

    Raises
    ------
    InputError
        If no voxel is finite, or all are alike.
    """
    bad = 0
    if np.dtype(volume.data.dtype).kind == "f":
        bad = sum(int((~np.isfinite(volume.data[z])).sum()) for z in range(volume.shape[0]))
    if bad == np.prod(volume.shape):
        raise InputError(f"{volume.name} holds no finite number, only NaN or infinity. Load the original stack.")
    low, high = intensity_range(volume.data, info.percentiles)
    if high - low <= 1e-6 * max(abs(low), abs(high), 1e-30):
        raise InputError(
            f"{volume.name} is constant (every voxel about {low:g}); a stack with structure is needed. "
            "Check that the right channel and file were chosen."
        )
    return (low, high), bad


@dataclass(frozen=True)
class _Reader:
    """Reads boxes of the model's grid, normalised, what is not finite taken as background."""

    volume: Volume
    grid: Grid
    bounds: tuple[float, float]

    def __call__(self, region: tuple[slice, slice, slice]) -> Array:
        return self.grid.read(_Finite(self.volume.data, self.bounds), region)


@dataclass(frozen=True)
class _Finite:
    """A stack, normalised, with every voxel finite."""

    data: Any
    bounds: tuple[float, float]

    @property
    def dtype(self) -> np.dtype[np.float32]:
        return np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)

    def __getitem__(self, key: Any) -> Array:
        voxels = normalise(np.asarray(self.data[key]), self.bounds)
        return np.nan_to_num(voxels, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _network(generator: Generator, reader: _Reader, plan: Plan, stop: Stop) -> Any:
    """The generator with the stack's statistics frozen in."""
    import torch

    from napari_deep3d.nn.devices import DTYPES
    from napari_deep3d.nn.frozen import FrozenNetwork, sample_boxes
    from napari_deep3d.nn.inference import is_out_of_memory

    pieces = [reader(box) for box in sample_boxes(plan.grid.model_shape)]
    while True:
        try:
            return FrozenNetwork(generator, pieces, torch.device(plan.device), DTYPES[plan.precision], stop)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        pieces = fewer(pieces)


def fewer(pieces: list[Array]) -> list[Array]:
    """Every second piece, or the middle half of a single one: what still fits where memory ran out.

    Raises
    ------
    InputError
        If the piece is too small to be halved.
    """
    if len(pieces) > 1:
        return pieces[::2]
    axis = int(np.argmax(pieces[0].shape))
    size = pieces[0].shape[axis]
    if size < MIN_PIECE:
        raise InputError(
            "Not enough memory to measure the stack. Close other programs, or choose the CPU as the device."
        )
    return [np.take(pieces[0], range(size // 4, size // 4 + size // 2), axis)]


def _fill(tiles: Job[Any], out: Any, notices: list[str]) -> Job[Any]:
    """Add tiles to the result as they come, passing all events on."""
    while True:
        try:
            event = next(tiles)
        except StopIteration as end:
            return end.value
        if isinstance(event, TileDone):
            out[event.region] = out[event.region] + event.values
        elif isinstance(event, Notice):
            notices.append(event.message)
        yield event


def _result(
    volume: Volume,
    plan: Plan,
    out: Any,
    outcome: Any,
    seconds: float,
    notices: list[str],
    bounds: tuple[float, float],
) -> Prediction:
    return Prediction(
        data=out,
        spacing_um=plan.spacing_um,
        origin_um=volume.origin_um,
        model=plan.model.name,
        device=plan.device,
        precision=plan.precision,
        tile=plan.tile,
        halo=plan.halo,
        seconds=seconds,
        voxels_per_second=outcome.tiles_done / max(1, plan.tiles) * float(np.prod(volume.shape)) / seconds,
        tile_mismatch=outcome.mismatch,
        notices=tuple(notices),
        complete=not outcome.stopped,
        intensity_range=bounds,
    )
