"""What a prediction costs: the memory of its tiles, and the time that they take together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING

from napari_deep3d.core import Box, Shape, zyx
from napari_deep3d.core.resampling import ModelGrid
from napari_deep3d.core.tiling import BLEND, TilePlan, choose_tile

if TYPE_CHECKING:
    import torch

    from napari_deep3d.nn.model_file import ModelInfo

LEVELS = 1.75
"""Values held at the peak of a pass, for each voxel that the network sees and each channel of its first level."""
MEASURED_LEVELS = 3.6
"""The same while norm statistics are measured."""
ARRAY_BYTES, PASSES_BYTES = 10, 20
"""Beside them for each voxel: arrays of the stack and the result, and of several passes, whose spread is kept too."""
PASS_BYTES = 40e6
"""What a pass of any size needs."""
FREE_SHARE = 0.5
"""Share of the memory that is free now to be used, where the user names no limit."""


@dataclass(frozen=True)
class Costs:
    """What predicting with a model costs; all in voxels of the model's grid.

    Attributes
    ----------
    info, grid : ModelInfo, ModelGrid
        The model; the stack's grid and the model's.
    device, dtype : torch.device, torch.dtype
        Where and in which number format it is computed.
    passes : int
        How often each tile is predicted: several times for the best quality, and for an uncertainty.
    """

    info: ModelInfo
    grid: ModelGrid
    device: torch.device
    dtype: torch.dtype
    passes: int = 1

    @property
    def seen_halo(self) -> Shape:
        """Voxels that the network sees around what a tile writes.

        The model's halo surrounds a core; the band in which tiles are blended lies within it.
        """
        halo = zip(self.info.halo, BLEND, self.grid.zoom, strict=True)
        return zyx(max(0, voxels - ceil(blend * zoom)) for voxels, blend, zoom in halo)

    # Memory

    def tile_bytes(self, voxels: float) -> float:
        """Memory of a tile for which the network sees so many voxels, the result of the stack itself not counted."""
        arrays = ARRAY_BYTES + PASSES_BYTES * (self.passes > 1)
        return PASS_BYTES + voxels * (LEVELS * self.info.width * self.dtype.itemsize + arrays)

    def tile_voxels(self, memory_bytes: float) -> float:
        """Voxels that the network can see at once within a memory."""
        return (memory_bytes - PASS_BYTES) / (self.tile_bytes(1) - PASS_BYTES)

    def measured_voxels(self, memory_bytes: float) -> float:
        """Voxels whose norm statistics can be measured within a memory."""
        each = MEASURED_LEVELS * self.info.width * self.dtype.itemsize + ARRAY_BYTES
        return (memory_bytes - PASS_BYTES) / each

    def cheapest_tile(self, memory_bytes: float) -> Shape | None:
        """The core, in voxels of the stack, that needs the least computing within a memory; None if there is none."""
        from napari_deep3d.nn.folded_network import WHOLE_VOXELS
        from napari_deep3d.nn.generator import STRIDE

        shape, voxels = self.grid.model_shape, self.tile_voxels(memory_bytes)
        if prod(shape) <= min(voxels, WHOLE_VOXELS):
            return self.grid.shape  # the pass that measures it predicts it, too
        # What is seen of the model's grid starts at multiples of its stride, and is wider where it is resampled.
        wider = 0 if self.grid.is_identity else 3
        margin = zyx(
            -(-(halo + wider) // s) * s + (s if wider else 0) for halo, s in zip(self.info.halo, STRIDE, strict=True)
        )
        core = choose_tile(shape, margin, STRIDE, voxels)
        if core is None:
            return None
        return zyx(min(n, max(1, round(c / z))) for n, c, z in zip(self.grid.shape, core, self.grid.zoom, strict=True))

    def smallest_memory(self) -> float:
        """Memory that the smallest tile needs, in bytes."""
        from napari_deep3d.nn.generator import STRIDE

        sizes = zip(self.grid.model_shape, self.info.halo, STRIDE, strict=True)
        return self.tile_bytes(prod(min(size, 2 * halo + 3 * s) for size, halo, s in sizes))

    # Time

    def seconds(self, layout: TilePlan) -> tuple[float, float]:
        """Time for measuring the stack, and for predicting all tiles of a layout."""
        from napari_deep3d.nn import slabs
        from napari_deep3d.nn.folded_network import sample_boxes
        from napari_deep3d.nn.speed import blank_generator, work_per_second

        kind = (self.info.width, self.info.dimensions, self.info.network_input)
        rate = work_per_second(self.device, self.dtype, *kind)
        blank = blank_generator(*kind)
        boxes = sample_boxes(self.grid.model_shape)
        measuring = len(boxes) * slabs.work(blank, boxes[0].shape, Box.whole(boxes[0].shape))
        tiles: Counter[tuple[Shape, Shape, Shape]] = Counter()
        for seen, wanted in self.tiles(layout):
            within = wanted.relative_to(seen)
            tiles[seen.shape, within.start, within.stop] += 1
        passes = self.passes - (len(boxes) == 1 and len(layout) == 1)  # what is measured whole is predicted already
        predicting = passes * sum(
            count * slabs.work(blank, shape, Box.spanning(start, stop)) for (shape, start, stop), count in tiles.items()
        )
        return measuring / rate, predicting / rate

    def tiles(self, layout: TilePlan) -> Iterator[tuple[Box, Box]]:
        """For each tile of a layout the box that the network sees, and the one of it that is wanted."""
        from napari_deep3d.nn.generator import STRIDE
        from napari_deep3d.nn.inference import seen_for

        return (seen_for(tile.write, self.grid, self.seen_halo, STRIDE) for tile in layout)
