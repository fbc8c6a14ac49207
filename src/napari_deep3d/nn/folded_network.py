"""A generator with the norm statistics of one stack fixed in it, so that every tile is treated alike.

Instance norm takes mean and variance from what it sees, so the same voxel would get another value in another tile:
seams that neither a halo nor blending removes. Here the statistics are measured once per stack, over the whole
stack or over columns spread over it, all normalised together layer by layer, and then folded into the
convolutions. What remains is a plain convolutional network, whose result does not depend on the tiles.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf, prod
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_deep3d.core import (
    Box,
    FloatArray,
    InputError,
    Job,
    Notice,
    Progress,
    Shape,
    Steps,
    Stop,
    StoppedError,
    finish,
    is_out_of_memory,
    never,
    reason,
    told,
)
from napari_deep3d.nn import slabs
from napari_deep3d.nn.devices import to_device
from napari_deep3d.nn.generator import EPSILON, STRIDE, Generator, ResidualBlock, norms, pad_to_stride
from napari_deep3d.nn.inference import ReadBox

MEASURING = "measuring the stack"
"""What the progress says meanwhile."""
T = TypeVar("T", bound=np.generic)
Mask = NDArray[np.bool_]
Statistics = list[tuple[Tensor, Tensor]]
"""Mean and variance of each norm layer."""

WHOLE_VOXELS = 4_000_000
"""Stacks up to this size are measured whole."""
SAMPLE_VOXELS = 2_500_000
"""Larger ones are measured by columns of about as many voxels together, and at least four of them."""
MAX_COLUMN: Shape = (128, 64, 64)
"""Voxels of a column."""
MIN_IMAGE = 0.25
"""Columns with less than this share of the image that the fullest one has are left out."""
MIN_PIECE = 64
"""A piece shorter than this is not halved where memory runs out."""


def sample_boxes(shape: Shape) -> list[Box]:
    """Boxes of equal size that stand for a stack (Z, Y, X) when its norm statistics are measured.

    One box, the whole stack, if it is small; else columns on a lateral grid, as evenly spread as their number
    allows. They depend on the shape alone, never on memory or tiles.
    """
    if prod(shape) <= WHOLE_VOXELS:
        return [Box.whole(shape)]
    size = [min(n, limit) for n, limit in zip(shape, MAX_COLUMN, strict=True)]
    most = max(4, SAMPLE_VOXELS // prod(size))
    # 1. How many along each axis: always one more where they lie farthest apart, if it fits.
    counts = [1, 1, 1]
    while True:
        axes = sorted(range(3), key=lambda axis: -shape[axis] / counts[axis])
        axes = [axis for axis in axes if shape[axis] >= (counts[axis] + 1) * size[axis]]
        axes = [axis for axis in axes if prod(counts) // counts[axis] * (counts[axis] + 1) <= most]
        if not axes:
            break
        counts[axes[0]] += 1
    # 2. Where: each in the middle of its share of the axis, moved onto the pooling grid.
    starts = []
    for n, column, count, stride in zip(shape, size, counts, STRIDE, strict=True):
        centres = (np.arange(count) + 0.5) * n / count
        starts.append([int(start) // stride * stride for start in np.clip(centres - column / 2, 0, n - column)])
    return [Box.at(corner, size) for corner in product(*starts)]


def predict_and_measure(
    generator: Generator, batch: Tensor, image: Tensor | None = None
) -> Steps[tuple[Tensor, Statistics]]:
    """Prediction of a batch (N, C, Z, Y, X) of pieces of one stack, and the statistics of every norm layer.

    Each layer is normalised by, and its statistics taken over, the whole batch, or what of it is ``image``: 1 there
    and 0 elsewhere, (N, 1, Z, Y, X).
    """
    layers = norms(generator)
    try:
        for layer in layers:
            layer.pooled = True
            layer.image = None if image is None else pad_to_stride(image)
        prediction = yield from slabs.run(generator, batch)
        return prediction, [layer.measured for layer in layers if layer.measured is not None]
    finally:
        for layer in layers:
            layer.pooled, layer.measured, layer.image = False, None, None


def fold_norms(generator: Generator, statistics: Statistics) -> Generator:
    """A copy of the generator with fixed norm statistics folded into the convolutions before them.

    ``w (c - m) / s + b`` after a convolution ``c = k * x + d`` is a convolution with kernel ``k w / s`` and offset
    ``(d - m) w / s + b``.
    """
    folded = copy.deepcopy(generator).float()
    blocks = [module for module in folded.modules() if isinstance(module, ResidualBlock)]
    for block, layer, (mean, variance) in zip(blocks, norms(folded), statistics, strict=True):
        gain = layer.weight / torch.sqrt(variance.to(layer.weight) + EPSILON)
        offset = block.second.bias
        assert offset is not None
        block.second.weight.data.mul_(gain.view(-1, 1, 1, 1, 1))
        offset.data.copy_((offset - mean.to(layer.weight)) * gain + layer.bias)
        block.norm = nn.Identity()
    return folded.eval()


@dataclass(frozen=True)
class Measured:
    """What a pass over a stack gives, so that others can predict the rest of it in the same way.

    Attributes
    ----------
    statistics : list of pairs of arrays
        Mean and variance of each channel of each norm layer, float32.
    known : pair of arrays, or None
        A stack that was measured whole, as the network sees it, and its prediction (Z, Y, X).
    """

    statistics: list[tuple[FloatArray, FloatArray]]
    known: tuple[FloatArray, FloatArray] | None = None

    def write(self, path: Path) -> None:
        """Write it down."""
        arrays = {f"{name}{n}": a for n, pair in enumerate(self.statistics) for name, a in zip("mv", pair, strict=True)}
        if self.known is not None:
            arrays |= {"seen": self.known[0], "prediction": self.known[1]}
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def read(cls, path: Path) -> Measured:
        """Read what was written; InputError if it cannot be read."""
        try:
            with np.load(path) as arrays:
                count = sum(name.startswith("m") for name in arrays)
                known = (arrays["seen"], arrays["prediction"]) if "seen" in arrays else None
                return cls([(arrays[f"m{n}"], arrays[f"v{n}"]) for n in range(count)], known)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise InputError(f"{path} cannot be read ({reason(error)}). Delete its folder to begin anew.") from error


class FoldedNetwork:
    """A generator with the norm statistics of a stack, as a function of arrays.

    Parameters
    ----------
    generator : Generator
        Not changed; the attribute is the one that predicts: with its norms folded, on the device.
    pieces : sequence of arrays, axes (Z, Y, X) or (C, Z, Y, X)
        What the network sees of the stack that will be predicted: normalised pieces of equal shape.
    device, dtype : torch.device, torch.dtype
        Where and in which number format to compute; the last layer is computed in float32.
    stop : callable
        Asked all the time; when true a pass is left by a StoppedError.
    images : sequence of arrays of bool, axes (Z, Y, X), or None
        Which voxels of the pieces are image; the others do not count. None if all are.
    """

    stride = STRIDE
    """Voxels (Z, Y, X): the boxes that it predicts start at multiples of this."""

    def __init__(
        self,
        generator: Generator,
        pieces: Sequence[FloatArray],
        device: torch.device,
        dtype: torch.dtype,
        stop: Stop = never,
        images: Sequence[Mask] | None = None,
    ) -> None:
        finish(self._measure(generator, pieces, device, dtype, images), stop)
        self.stop = stop

    @classmethod
    def measuring(
        cls,
        generator: Generator,
        pieces: Sequence[FloatArray],
        device: torch.device,
        dtype: torch.dtype,
        images: Sequence[Mask] | None = None,
    ) -> Steps[FoldedNetwork]:
        """Measure the pieces in steps, and return the network; parameters as of the class."""
        network = cls.__new__(cls)
        yield from network._measure(generator, pieces, device, dtype, images)
        network.stop = never
        return network

    def _measure(
        self,
        generator: Generator,
        pieces: Sequence[FloatArray],
        device: torch.device,
        dtype: torch.dtype,
        images: Sequence[Mask] | None,
    ) -> Steps[None]:
        self.device, self.dtype = device, dtype
        ready = on_device(generator, device, dtype)
        image = () if images is None else (self._to_tensor([each.astype(np.float32) for each in images]).float(),)
        prediction, statistics = yield from predict_and_measure(ready, self._to_tensor(pieces), *image)
        # A stack measured whole is predicted already.
        self._known = (pieces[0], _to_array(prediction)) if len(pieces) == 1 else None
        self._statistics = statistics
        self.generator = _move(fold_norms(generator, statistics), device, dtype)

    @property
    def measured(self) -> Measured:
        """What was measured, for :meth:`of_measured`."""
        pairs = [(mean.float().cpu().numpy(), variance.float().cpu().numpy()) for mean, variance in self._statistics]
        return Measured(pairs, self._known)

    @classmethod
    def of_measured(
        cls, generator: Generator, measured: Measured, device: torch.device, dtype: torch.dtype
    ) -> FoldedNetwork:
        """The network of a stack that was measured elsewhere, to the bit; parameters as of the class."""
        network = cls.__new__(cls)
        network.device, network.dtype, network.stop = device, dtype, never
        network._known = measured.known
        network._statistics = [(torch.from_numpy(mean), torch.from_numpy(var)) for mean, var in measured.statistics]
        network.generator = _move(fold_norms(generator, network._statistics), device, dtype)
        return network

    def with_generator(self, generator: Generator) -> FoldedNetwork:
        """The same with another generator, whose norms are folded and which is on the device."""
        other = copy.copy(self)
        other.generator, other._known = generator, None
        return other

    def __call__(self, stack: FloatArray) -> FloatArray:
        """Predict a box (Z, Y, X) from what the network sees of it, (Z, Y, X) or (C, Z, Y, X), normalised."""
        return finish(self.steps(stack, Box.whole(stack.shape[-3:])), self.stop)

    def steps(self, stack: FloatArray, wanted: Box) -> Steps[FloatArray]:
        """Predict, in steps, the ``wanted`` box of a box of which the network sees ``stack``."""
        if self._known is not None and np.array_equal(stack, self._known[0]):
            yield 1.0
            return self._known[1][wanted].copy()
        try:
            return _to_array((yield from slabs.run(self.generator, self._to_tensor([stack]), wanted)))
        except torch.OutOfMemoryError:
            self.release()
            raise

    def _to_tensor(self, pieces: Sequence[FloatArray]) -> Tensor:
        """Batch (N, C, Z, Y, X) of pieces (Z, Y, X) or (C, Z, Y, X)."""
        batch = np.stack([piece[None] if piece.ndim == 3 else piece for piece in pieces])
        tensor = to_device(torch.from_numpy(np.ascontiguousarray(batch)), self.device, self.dtype)
        return tensor.contiguous(memory_format=torch.channels_last_3d)

    def release(self) -> None:
        """Give cached GPU memory back to other programs."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _to_array(prediction: Tensor) -> FloatArray:
    return prediction[0, 0].float().cpu().numpy()


def fold_stack(
    generator: Generator,
    read: ReadBox,
    shape: Shape,
    device: torch.device,
    dtype: torch.dtype,
    stop: Stop = never,
    *,
    max_voxels: float = inf,
    is_image: Callable[[Box], Mask] | None = None,
) -> Job[FoldedNetwork]:
    """The generator with the norm statistics of a stack (Z, Y, X); of a part, with a notice, where memory runs out.

    ``read`` reads what the network sees of a box; ``is_image`` says which of its voxels are image, None if all are; no
    more than ``max_voxels`` are measured; the rest is as for :class:`FoldedNetwork`. Left by a StoppedError. InputError
    if memory does not suffice for a small part either.
    """
    boxes, images = sample_boxes(shape), None
    if is_image is not None:
        images = [is_image(box) for box in boxes]
        largest = max(image.mean() for image in images)
        kept = [number for number, image in enumerate(images) if image.mean() >= MIN_IMAGE * largest]
        boxes, images = [boxes[number] for number in kept], [images[number] for number in kept]
    pieces = []
    for box in boxes:
        if stop():
            raise StoppedError
        pieces.append(read(box))
    while True:
        if sum(prod(piece.shape[-3:]) for piece in pieces) <= max_voxels:
            try:
                measuring = FoldedNetwork.measuring(generator, pieces, device, dtype, images)
                return (yield from told(measuring, lambda share: Progress(share, 1, MEASURING), stop))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
        pieces, images = fewer_pieces(pieces), None if images is None else fewer_pieces(images)
        yield Notice("Not enough memory to measure the whole stack; a part of it stands for the whole.")


def fewer_pieces(pieces: list[NDArray[T]]) -> list[NDArray[T]]:
    """Every second piece, or the middle half of a single one along its longest axis; InputError if that is small."""
    if len(pieces) > 1:
        return pieces[::2]
    axis = int(np.argmax(pieces[0].shape))
    size = pieces[0].shape[axis]
    if size < MIN_PIECE:
        raise InputError(
            "Not enough memory to measure the stack. Close other programs, or choose the CPU as the device."
        )
    return [np.take(pieces[0], range(size // 4, size // 4 + size // 2), axis)]


def on_device(generator: Generator, device: torch.device, dtype: torch.dtype) -> Generator:
    """A copy on a device, channels last, all but the last layer in a number format."""
    return _move(copy.deepcopy(generator), device, dtype)


def _move(generator: Generator, device: torch.device, dtype: torch.dtype) -> Generator:
    """As :func:`on_device`, but the generator itself, not a copy."""
    ready = generator.to(device, dtype).eval()
    ready.head.float()
    return ready.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload,no-any-return]
