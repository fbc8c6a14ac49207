"""A generator with the norm statistics of one stack fixed in it, so that every tile is treated alike.

Instance norm takes mean and variance from what it sees, so the same voxel would get another value in another tile:
seams that neither a halo nor blending removes. Here the statistics are measured once per stack, over the whole
stack or over columns spread over it, all normalised together layer by layer, and then folded into the
convolutions. What remains is a plain convolutional network, whose result does not depend on the tiles.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from napari_deep3d.core.box import Box
from napari_deep3d.core.events import Stop, StoppedError, never
from napari_deep3d.core.types import FloatArray, Shape
from napari_deep3d.nn.generator import EPSILON, STRIDE, Generator, ResidualBlock, norms
from napari_deep3d.nn.tta import Turn, turned

Statistics = list[tuple[Tensor, Tensor]]

WHOLE_VOXELS = 4_000_000
"""Stacks up to this size are measured whole."""
SAMPLE_VOXELS = 2_500_000
"""Larger ones are measured by columns of about as many voxels together."""
COLUMN_PLANES = 128
COLUMN_PIXELS = 64


def sample_boxes(shape: Shape) -> list[Box]:
    """Boxes of equal size that stand for a stack (Z, Y, X) when its norm statistics are measured.

    One box, the whole stack, if it is small; else columns on a lateral grid, as evenly spread as their number
    allows. They depend on the shape alone, never on memory or tiles.
    """
    if np.prod(shape) <= WHOLE_VOXELS:
        return [Box.whole(shape)]
    limits = (COLUMN_PLANES, COLUMN_PIXELS, COLUMN_PIXELS)
    size = [min(n, limit) for n, limit in zip(shape, limits, strict=True)]
    counts = _spread(shape, size, max(4, SAMPLE_VOXELS // int(np.prod(size))))
    starts = [_starts(*of) for of in zip(shape, size, counts, STRIDE, strict=True)]
    return [Box.at(corner, size) for corner in product(*starts)]


def _spread(shape: Shape, size: list[int], most: int) -> list[int]:
    """Number of pieces along each axis, at most ``most`` in all, so that the gaps between them are alike."""
    counts = [1, 1, 1]
    while True:
        gaps = sorted(range(3), key=lambda axis: -shape[axis] / counts[axis])
        room = [a for a in gaps if shape[a] >= (counts[a] + 1) * size[a]]
        fits = [a for a in room if np.prod(counts) // counts[a] * (counts[a] + 1) <= most]
        if not fits:
            return counts
        counts[fits[0]] += 1


def _starts(size: int, piece: int, count: int, multiple: int) -> list[int]:
    """Evenly spread starts of pieces, each in the middle of its share of the axis, on the pooling grid."""
    centres = (np.arange(count) + 0.5) * size / count
    starts = np.clip(centres - piece / 2, 0, size - piece)
    return [int(s) // multiple * multiple for s in starts]


def measure_statistics(generator: Generator, batch: Tensor) -> Statistics:
    """Mean and variance of every norm layer, pooled over a batch (N, 1, Z, Y, X) of pieces of one stack."""
    return predict_measuring(generator, batch)[1]


@torch.no_grad()
def predict_measuring(generator: Generator, batch: Tensor) -> tuple[Tensor, Statistics]:
    """Prediction of a batch whose norms are pooled over it, and the statistics it was made with."""
    layers = norms(generator)
    try:
        for layer in layers:
            layer.pooled = True
        prediction = generator(batch)
        return prediction, [layer.measured for layer in layers if layer.measured is not None]
    finally:
        for layer in layers:
            layer.pooled, layer.measured = False, None


def fold_norms(generator: Generator, statistics: Statistics) -> Generator:
    """A copy of the generator with fixed norm statistics folded into the convolutions before them.

    ``w (c - m) / s + b`` after a convolution ``c = k * x + d`` is a convolution with kernel ``k w / s`` and offset
    ``(d - m) w / s + b``.
    """
    frozen = copy.deepcopy(generator).float()
    blocks = [module for module in frozen.modules() if isinstance(module, ResidualBlock)]
    for block, layer, (mean, variance) in zip(blocks, norms(frozen), statistics, strict=True):
        gain = layer.weight / torch.sqrt(variance.to(layer.weight) + EPSILON)
        offset = block.second.bias
        assert offset is not None
        block.second.weight.data.mul_(gain.view(-1, 1, 1, 1, 1))
        offset.data.copy_((offset - mean.to(layer.weight)) * gain + layer.bias)
        block.norm = nn.Identity()
    return frozen.eval()


class FoldedNetwork:
    """A frozen generator as a function of arrays.

    Parameters
    ----------
    generator
        The generator; not changed.
    pieces
        What the network sees of the stack that will be predicted: normalised pieces (Z, Y, X) of equal shape, or
        (C, Z, Y, X) for a network of several input channels.
    device, dtype
        Where and in which number format to compute; the last layer is computed in float32.
    stop
        Asked between layers; when true the pass is left by a StoppedError.
    """

    def __init__(
        self,
        generator: Generator,
        pieces: Sequence[FloatArray],
        device: torch.device,
        dtype: torch.dtype,
        stop: Stop = never,
    ) -> None:
        self.device, self.dtype = device, dtype
        ready = prepare(generator, device, dtype)
        with stopping(ready, stop):
            prediction, statistics = predict_measuring(ready, self._tensor(np.stack([_channels(p) for p in pieces])))
        # A stack measured whole is predicted already.
        self._known = (pieces[0], _to_array(prediction)) if len(pieces) == 1 else None
        self.network = prepare(fold_norms(generator, statistics), device, dtype)
        self._stop = stop

    def turned(self, turn: Turn) -> FoldedNetwork:
        """The same network, same statistics, that sees its input turned and turns its answer back."""
        other = copy.copy(self)
        other.network, other._known = turned(self.network, turn), None
        return other

    def _tensor(self, batch: FloatArray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(batch)).to(self.device, self.dtype)
        return tensor.contiguous(memory_format=torch.channels_last_3d)

    @torch.no_grad()
    def __call__(self, stack: FloatArray) -> FloatArray:
        """Predict a normalised stack (Z, Y, X) from what the network sees of it."""
        if self._known is not None and np.array_equal(stack, self._known[0]):
            return self._known[1]
        try:
            with stopping(self.network, self._stop):
                prediction: Tensor = self.network(self._tensor(_channels(stack)[None]))
        except torch.OutOfMemoryError:
            self.release()
            raise
        return _to_array(prediction)

    def release(self) -> None:
        """Give cached GPU memory back to other programs."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _channels(seen: FloatArray) -> FloatArray:
    return seen[None] if seen.ndim == 3 else seen


def _to_array(prediction: Tensor) -> FloatArray:
    return prediction[0, 0].float().cpu().numpy()


def prepare(generator: Generator, device: torch.device, dtype: torch.dtype) -> Generator:
    """A copy on a device, channels last, all but the last layer in a number format."""
    ready = copy.deepcopy(generator).to(device, dtype).eval()
    ready.head.float()
    return ready.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload,no-any-return]


@contextmanager
def stopping(network: nn.Module, stop: Stop) -> Iterator[None]:
    """Let a forward pass be left between two layers."""

    def check(*_: object) -> None:
        if stop():
            raise StoppedError

    leaves = [module for module in network.modules() if not list(module.children())]
    handles = [leaf.register_forward_pre_hook(check) for leaf in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
