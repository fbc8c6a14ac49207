"""Tiled prediction: box by box, blended, out-of-memory of any kind answered by smaller boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from napari_deep3d.core.box import Box
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Clock, Job, Notice, Stop, StoppedError, TileDone, never
from napari_deep3d.core.resampling import ModelGrid
from napari_deep3d.core.tiling import Tile, TilePlan
from napari_deep3d.core.types import FloatArray, Shape

Network = Callable[[FloatArray], FloatArray]
"""Normalised stack to prediction (Z, Y, X), or to prediction and its uncertainty (2, Z, Y, X)."""
ReadBox = Callable[[Box], FloatArray]
"""Reads a box given on the model's grid, normalised."""
SMALLEST = 16


@dataclass
class TilingSummary:
    """What a tiled prediction found out about itself."""

    tiles_done: int = 0
    mismatch: float = 0.0
    mean_uncertainty: float | None = None
    stopped: bool = False


@dataclass
class BoxPredictor:
    """Predicts any box of the result, by halves where memory does not suffice.

    Attributes
    ----------
    network
        Normalised stack (Z, Y, X) to prediction, or to prediction and uncertainty; raises an out-of-memory error
        of any kind where it must.
    read
        Reads a box of the model's grid, normalised.
    grid
        Stack and model grid.
    halo, stride
        Voxels of the model's grid, (Z, Y, X).
    """

    network: Network
    read: ReadBox
    grid: ModelGrid
    halo: Shape
    stride: Shape
    limit: float = np.inf
    notices: list[str] = field(default_factory=list)

    def __call__(self, region: Box) -> FloatArray:
        """Predict a box of the stack's grid; axes as the network gives them, never below 0."""
        model_region = self.grid.to_model(region)
        shape = self.grid.model_shape
        margin = self.halo if self.grid.is_identity else tuple(h + 2 for h in self.halo)
        source = model_region.grown(margin, shape).snapped(self.stride, shape)
        voxels = int(np.prod(source.shape))
        if voxels < self.limit:
            try:
                values = np.maximum(self.network(self.read(source)), 0)
                return self._back(values, source, region)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                self._lower_limit(voxels)
        return self._by_halves(region)

    def _back(self, values: FloatArray, source: Box, region: Box) -> FloatArray:
        if values.ndim == 3:
            return self.grid.back(values, source, region)
        return np.stack([self.grid.back(part, source, region) for part in values])

    def _lower_limit(self, voxels: int) -> None:
        self.limit = voxels
        self.notices.append(f"Not enough memory for {voxels / 1e6:.1f} million voxels; continuing with smaller tiles.")

    def _by_halves(self, region: Box) -> FloatArray:
        axis = int(np.argmax(region.shape))
        if region.shape[axis] < 2 * SMALLEST:
            raise InputError(
                "Not enough memory even for the smallest tile. Close other programs, or choose the CPU as the device."
            )
        start, stop = region.start[axis], region.stop[axis]
        middle = start + region.shape[axis] // 2
        parts = [self(region.with_axis(axis, *half)) for half in ((start, middle), (middle, stop))]
        return np.concatenate(parts, axis=axis - 3)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; torch raises several kinds, on a processor a plain RuntimeError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    signs = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "bad_alloc")
    return isinstance(error, RuntimeError) and any(sign in text for sign in signs)


class SeamMeter:
    """Tile mismatch: how much neighbouring tiles differ where they overlap, before blending."""

    def __init__(self) -> None:
        self._faces: dict[tuple[int, Shape], tuple[Tile, FloatArray]] = {}
        self._squares, self._count = 0.0, 0
        self._sum, self._sum_squares, self._voxels = 0.0, 0.0, 0

    def add(self, tile: Tile, values: FloatArray) -> None:
        """Take in the prediction of a tile's ``write`` box."""
        inner = values[tile.core.relative_to(tile.write)].astype(np.float64)
        self._sum += inner.sum()
        self._sum_squares += (inner**2).sum()
        self._voxels += inner.size
        for axis in range(3):
            self._compare(axis, tile, values)
            self._keep(axis, tile, values)

    def _keep(self, axis: int, tile: Tile, values: FloatArray) -> None:
        segment = tile.segments[axis]
        overlap = 2 * (segment.write[1] - segment.core[1])
        if overlap:
            face = np.moveaxis(values, axis, 0)[-overlap:].copy()
            self._faces[axis, _step(tile.index, axis)] = (tile, face)

    def _compare(self, axis: int, tile: Tile, values: FloatArray) -> None:
        _, face = self._faces.pop((axis, tile.index), (None, None))
        if face is not None:
            own = np.moveaxis(values, axis, 0)[: len(face)]
            self._squares += float(((own - face).astype(np.float64) ** 2).sum())
            self._count += face.size

    @property
    def mismatch(self) -> float:
        """RMS difference in the overlaps over the standard deviation of the result; 0 for a single tile."""
        if not self._count or not self._voxels:
            return 0.0
        mean = self._sum / self._voxels
        deviation = np.sqrt(max(self._sum_squares / self._voxels - mean**2, 0.0))
        return float(np.sqrt(self._squares / self._count) / deviation) if deviation else 0.0


class MeanMeter:
    """Mean of a result, each voxel counted once, by the tile that owns it."""

    def __init__(self) -> None:
        self._sum, self._voxels = 0.0, 0

    def add(self, tile: Tile, values: FloatArray) -> None:
        """Take in the values of a tile's ``write`` box."""
        inner = values[tile.core.relative_to(tile.write)]
        self._sum += float(inner.sum(dtype=np.float64))
        self._voxels += inner.size

    @property
    def mean(self) -> float | None:
        """Mean so far; None without a tile."""
        return self._sum / self._voxels if self._voxels else None


def _step(index: Shape, axis: int) -> Shape:
    z, y, x = (i + (k == axis) for k, i in enumerate(index))
    return z, y, x


def predict_tiles(
    predictor: Callable[[Box], FloatArray],
    plan: TilePlan,
    *,
    stop: Stop = never,
) -> Job[TilingSummary]:
    """Predict all tiles of a plan, yielding each as values to add to a result that starts at zero.

    Parameters
    ----------
    predictor
        Predicts a box of the result, (Z, Y, X), or it and its uncertainty, (2, Z, Y, X).
    plan
        The tiles.
    stop
        Asked between tiles. A tile that raises StoppedError is left out.
    """
    outcome, seams, clock, uncertainties = TilingSummary(), SeamMeter(), Clock(), MeanMeter()
    for tile in plan:
        if stop():
            outcome.stopped = True
            break
        try:
            values = predictor(tile.write)
        except StoppedError:
            outcome.stopped = True
            break
        values, uncertainty = (values, None) if values.ndim == 3 else values
        seams.add(tile, values)
        outcome.tiles_done += 1
        if uncertainty is not None:
            uncertainties.add(tile, uncertainty)
            yield TileDone(tile.write, values * tile.window, uncertainty * tile.window)
        else:
            yield TileDone(tile.write, values * tile.window)
        if isinstance(predictor, BoxPredictor):
            while predictor.notices:
                yield Notice(predictor.notices.pop(0))
        yield clock.progress(outcome.tiles_done, len(plan), f"tile {outcome.tiles_done} of {len(plan)}")
    outcome.mismatch, outcome.mean_uncertainty = seams.mismatch, uncertainties.mean
    return outcome
