"""Tiled prediction: box by box, blended, out-of-memory of any kind answered by smaller boxes; the halo it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import numpy as np

from napari_deep3d.core import (
    Box,
    Clock,
    FloatArray,
    InputError,
    Job,
    Notice,
    Progress,
    Shape,
    Steps,
    Stop,
    StoppedError,
    TileDone,
    is_out_of_memory,
    mapped,
    never,
    told,
)
from napari_deep3d.core.resampling import ModelGrid
from napari_deep3d.core.tiling import Tile, TilePlan, in_planes

Network = Callable[[FloatArray, Box], Steps[FloatArray]]
"""From what is seen of a box, and the part of it that is wanted, to the prediction of that part (Z, Y, X), or to
prediction and its uncertainty (2, Z, Y, X)."""
ReadBox = Callable[[Box], FloatArray]
"""Reads what the network sees of a box given on the model's grid, normalised."""
HALO_TOLERANCE = 0.02
"""A voxel belongs to the halo while hiding what lies beyond it changes the result by more than this share of its
standard deviation."""
MIN_SIDE = 16
"""Voxels: a box is not cut into halves shorter than this."""
MAX_FACE_BYTES = 2**26
"""Memory for what tiles predicted where others will overlap with them; beyond it, fewer overlaps are measured."""
PIECE_VOXELS = 8_000_000
"""A box is read, and brought back to its grid, in pieces of about as many voxels, and can be left between two."""


def at_once(function: Callable[[FloatArray], FloatArray]) -> Network:
    """A function of all that is seen, as a network that takes a single step."""

    def network(stack: FloatArray, wanted: Box) -> Steps[FloatArray]:
        yield 0.0
        return function(stack)[(..., *wanted)]

    return network


def seen_for(region: Box, grid: ModelGrid, halo: Shape, stride: Shape) -> tuple[Box, Box]:
    """The box of the model's grid that the network sees for a box of the stack, and the part of it that is wanted.

    ``halo`` and ``stride`` are as of :class:`BoxPredictor`; two voxels more are wanted to interpolate from.
    """
    shape = grid.model_shape
    wanted = grid.to_model(region).grown((0 if grid.is_identity else 2,) * 3, shape)
    return wanted.grown(halo, shape).snapped(stride, shape), wanted


@dataclass
class BoxPredictor:
    """Predicts any box of the result, by halves where memory does not suffice.

    Attributes
    ----------
    network : Network
        Raises an out-of-memory error of any kind where it must.
    read : callable
        Reads what the network sees of a box of the model's grid.
    grid : ModelGrid
        The stack's grid and the model's.
    halo, stride : tuple of int
        Voxels of the model's grid (Z, Y, X): those seen around a box; and boxes start and stop at multiples of these.
    limit : float
        Boxes of as many voxels, halo included, are not tried: memory did not suffice for them.
    notices : list of str
        Sentences for the user, to be taken away by whoever shows them.
    """

    network: Network
    read: ReadBox
    grid: ModelGrid
    halo: Shape
    stride: Shape
    limit: float = np.inf
    notices: list[str] = field(default_factory=list)

    def __call__(self, region: Box) -> Steps[FloatArray]:
        """Predict a box of the stack's grid; axes as the network gives them, never below 0."""
        # 1. The boxes of the model's grid that the network must see and predict.
        source, wanted = seen_for(region, self.grid, self.halo, self.stride)
        voxels = int(np.prod(source.shape))
        # 2. Predict it, and bring the result back to the stack's grid.
        if voxels < self.limit:
            try:
                seen = yield from self._read(source)
                values = yield from self.network(seen, wanted.relative_to(source))
                del seen
                return (yield from self._bring_back(values, wanted, region))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            self.limit = voxels
            self.notices.append(
                f"Not enough memory for {voxels / 1e6:.1f} million voxels; continuing with smaller tiles."
            )
        # 3. Where memory does not suffice: the two halves along the longest axis.
        axis = int(np.argmax(region.shape))
        if region.shape[axis] < 2 * MIN_SIDE:
            raise InputError(
                "Not enough memory even for the smallest tile. Close other programs, or choose the CPU as the device."
            )
        start, stop = region.start[axis], region.stop[axis]
        middle = start + region.shape[axis] // 2
        halves = region.with_axis(axis, start, middle), region.with_axis(axis, middle, stop)
        predicted = []
        for index, half in enumerate(halves):
            predicted.append((yield from mapped(self(half), partial(_share_of_half, index))))
        return np.concatenate(predicted, axis=axis - 3)

    def _read(self, source: Box) -> Steps[FloatArray]:
        pieces = list(in_planes(source, PIECE_VOXELS))
        first = self.read(pieces[0])
        if len(pieces) == 1:
            return first
        seen = np.empty((*first.shape[:-3], *source.shape), np.float32)
        for piece in pieces:
            seen[(..., *piece.relative_to(source))] = first if piece == pieces[0] else self.read(piece)
            yield 0.0
        return seen

    def _bring_back(self, values: FloatArray, wanted: Box, region: Box) -> Steps[FloatArray]:
        result = np.empty((*values.shape[:-3], *region.shape), np.float32)
        parts = [(values, result)] if values.ndim == 3 else list(zip(values, result, strict=True))
        for piece in in_planes(region, PIECE_VOXELS):
            for part, out in parts:
                within = out[piece.relative_to(region)]
                np.maximum(self.grid.back(part, wanted, piece), 0, out=within)
            yield 1.0
        return result


def _share_of_half(index: int, share: float) -> float:
    return (index + share) / 2


class SeamMeter:
    """Tile mismatch: how much neighbouring tiles differ where they overlap, before blending."""

    def __init__(self) -> None:
        self._sum, self._sum_squares, self._voxels = 0.0, 0.0, 0
        self._faces: dict[tuple[int, Shape], FloatArray] = {}
        """What earlier tiles predicted where later ones overlap with them, by axis and index of the later tile."""
        self._face_bytes = 0
        self._squared_difference, self._overlapping = 0.0, 0

    def add(self, tile: Tile, values: FloatArray) -> None:
        """Take in the prediction of a tile's ``write`` box."""
        if tile.core == tile.write:
            return  # it has no neighbours
        core = values[tile.core.relative_to(tile.write)]
        for plane in core:
            exact = plane.astype(np.float64)
            self._sum += float(exact.sum())
            self._sum_squares += float((exact**2).sum())
        self._voxels += core.size
        for axis in range(3):
            along = np.moveaxis(values, axis, 0)
            before = self._faces.pop((axis, tile.index), None)
            if before is not None:
                self._face_bytes -= before.nbytes
                difference = (along[: len(before)] - before).astype(np.float64)
                self._squared_difference += float((difference**2).sum())
                self._overlapping += before.size
            segment = tile.segments[axis]
            overlap = 2 * (segment.write[1] - segment.core[1])
            face = along[-overlap:]
            if overlap and self._face_bytes + face.nbytes <= MAX_FACE_BYTES:
                z, y, x = tile.index
                following = ((z + 1, y, x), (z, y + 1, x), (z, y, x + 1))[axis]
                self._faces[axis, following] = face.copy()
                self._face_bytes += face.nbytes

    @property
    def mismatch(self) -> float:
        """RMS difference in the overlaps over the standard deviation of the result; 0 for a single tile."""
        if not self._overlapping:
            return 0.0
        mean = self._sum / self._voxels
        deviation = np.sqrt(max(self._sum_squares / self._voxels - mean**2, 0.0))
        return float(np.sqrt(self._squared_difference / self._overlapping) / deviation) if deviation else 0.0


@dataclass(frozen=True)
class TilingSummary:
    """What a tiled prediction found out: tiles done, how much neighbours differ (:class:`SeamMeter`), mean uncertainty.

    ``mean_uncertainty`` is None where none was asked for; ``stopped`` says that tiles are missing.
    """

    tiles_done: int = 0
    mismatch: float = 0.0
    mean_uncertainty: float | None = None
    stopped: bool = False


def predict_tiles(
    predictor: Callable[[Box], Steps[FloatArray]], plan: TilePlan, *, tiles_done: int = 0, stop: Stop = never
) -> Job[TilingSummary]:
    """Predict the tiles of a plan, yielding each as values to add to a result that starts at zero.

    ``predictor`` predicts a box of the result, (Z, Y, X), or it and its uncertainty, (2, Z, Y, X). The first
    ``tiles_done`` tiles are in the result already; progress and what is returned are of the others. ``stop`` is asked
    between steps; the tile under way is left out.
    """
    clock, seams = Clock(), SeamMeter()
    done, missing, stopped = 0, len(plan) - tiles_done, False
    uncertainty_sum, uncertainty_voxels = 0.0, 0

    def tell(before: int, share: float) -> Progress:
        return clock.progress(before + share, missing, f"tile {tiles_done + before + 1} of {len(plan)}")

    for tile in islice(plan, tiles_done, None):
        try:
            predicted = yield from told(predictor(tile.write), partial(tell, done), stop)
        except StoppedError:
            stopped = True
            break
        done += 1
        values, uncertainty = (predicted, None) if predicted.ndim == 3 else predicted
        seams.add(tile, values)
        if uncertainty is not None:
            core = uncertainty[tile.core.relative_to(tile.write)]
            uncertainty_sum += float(core.sum(dtype=np.float64))
            uncertainty_voxels += core.size
        window = tile.window
        yield TileDone(tile.write, values * window, None if uncertainty is None else uncertainty * window)
        if isinstance(predictor, BoxPredictor):
            while predictor.notices:
                yield Notice(predictor.notices.pop(0))
        yield clock.progress(done, missing, f"tile {tiles_done + done} of {len(plan)}")
    mean_uncertainty = uncertainty_sum / uncertainty_voxels if uncertainty_voxels else None
    return TilingSummary(done, seams.mismatch, mean_uncertainty, stopped)


def measure_halo(
    network: Callable[[FloatArray], FloatArray], stack: FloatArray, candidates: tuple[Sequence[int], ...]
) -> Shape:
    """The smallest halo per axis (Z, Y, X) among candidates that reproduces the uncut prediction.

    For each axis the stack is cut in the middle, and the prediction of the half is compared with that of the whole at
    growing distance from the cut; y and x share the larger figure.

    Parameters
    ----------
    network : callable
        With fixed norm statistics.
    stack : array, axes (Z, Y, X) or (C, Z, Y, X)
        What the network sees of a stack.
    candidates : sequences of int
        Halos in voxels for each axis, rising; the last one is taken if none is enough.
    """
    whole = network(stack)
    scale = float(whole.std()) or 1.0
    reach = []
    for axis, halos in enumerate(candidates):
        size = whole.shape[axis]
        middle = size // 2 // 16 * 16 or size // 2
        half = network(np.ascontiguousarray(np.take(stack, range(middle), axis - 3)))
        difference = np.moveaxis(half, axis, 0) - np.moveaxis(whole, axis, 0)[:middle]
        errors = np.sqrt((difference.astype(np.float64) ** 2).mean(axis=(1, 2)))[::-1] / scale  # by distance to the cut
        enough = [h for h in halos if h < len(errors) and errors[h:].max() <= HALO_TOLERANCE]
        reach.append(enough[0] if enough else halos[-1])
    lateral = max(reach[1:])
    return reach[0], lateral, lateral
