"""Test-time augmentation: a stack is predicted flipped and transposed in several ways, by one network.

The mean of the predictions is the result, and how far they differ tells how sure the network is: training augments
its patches in the ways that are used here, so a trained network knows them.

Instead of flipping every tile, predicting it and flipping the result back, the convolution kernels are flipped once:
``augmented(G, a)(x) = a.undo(G(a(x)))``. Everything that works with a generator, such as fixed norm statistics,
tiles and halos, then works with the augmented one as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from napari_deep3d.core import Box, FloatArray, Steps, finish, mapped, zyx
from napari_deep3d.core.evaluation.uncertainty import RAW, SPREAD_RADIUS, Calibration, Spread
from napari_deep3d.core.tiling import in_planes
from napari_deep3d.nn.folded_network import FoldedNetwork
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.inference import PIECE_VOXELS


@dataclass(frozen=True)
class Augmentation:
    """One of the sixteen ways to flip and transpose a stack that keep its planes planes.

    ``flips`` says for Z, Y, X whether that axis is reversed, ``transpose`` whether Y and X are exchanged before.
    """

    flips: tuple[bool, bool, bool] = (False, False, False)
    transpose: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """Transpose and flip a tensor with axes (..., Z, Y, X)."""
        return self._flip(self._transpose(x))

    def undo(self, x: Tensor) -> Tensor:
        """Bring an augmented tensor back to what it was."""
        return self._transpose(self._flip(x))

    def _transpose(self, x: Tensor) -> Tensor:
        return x.transpose(-2, -1) if self.transpose else x

    def _flip(self, x: Tensor) -> Tensor:
        return x.flip([axis - 3 for axis, flip in enumerate(self.flips) if flip])


AUGMENTATIONS = (
    Augmentation(),
    Augmentation((False, False, True), transpose=True),
    Augmentation((False, True, True)),
    Augmentation((False, True, False), transpose=True),
)
"""Rotations of the plane by 0, 90, 180 and 270 degrees.

One after another is again one of them, so the mean over them rotates with the stack. The planes keep their order, from
which a network may tell what depth does to the light. More of them are hardly better
(``benchmarks/prediction/turns.py``) and cost twice as much or more.
"""


UPSIDE_DOWN = Augmentation((True, False, False))
"""For stacks whose first plane is the deepest, with a network that learned from stacks of which it is the last."""


@torch.no_grad()
def augmented(generator: Generator, augmentation: Augmentation) -> Generator:
    """A copy of a generator that gives ``augmentation.undo(generator(augmentation(x)))`` for every stack x.

    Exactly so, up to rounding, where every axis is a multiple of :data:`~napari_deep3d.nn.generator.STRIDE`: else
    the two pool the stack from opposite ends.
    """
    result = copy.deepcopy(generator)
    for module in result.modules():
        if isinstance(module, nn.Conv3d):
            module.weight.copy_(augmentation.undo(module.weight.clone()))  # in place: the memory format stays
    return result


class AugmentedNetwork:
    """A network with test-time augmentation: the mean of its predictions, and the error to expect from their spread.

    All predictions use the norm statistics of the stack as it is, so it is measured only once. Without a calibration
    the error is the spread itself; the first of the augmentations leaves the stack as it is.
    """

    def __init__(
        self,
        network: FoldedNetwork,
        calibration: Calibration | None,
        augmentations: Sequence[Augmentation] = AUGMENTATIONS,
    ) -> None:
        others = (network.with_generator(augmented(network.generator, each)) for each in augmentations[1:])
        self._networks = [network, *others]
        self.stop = network.stop
        self._calibration = calibration or RAW

    def __call__(self, stack: FloatArray) -> FloatArray:
        """Mean prediction, never below 0, and uncertainty of a normalised stack (Z, Y, X); axes (2, Z, Y, X)."""
        return finish(self.steps(stack, Box.whole(stack.shape[-3:])), self.stop)

    def steps(self, stack: FloatArray, wanted: Box) -> Steps[FloatArray]:
        """The same, in steps, of the ``wanted`` box of a stack."""
        # 1. The predictions, with the neighbours that the spread is averaged over.
        grown = wanted.grown((SPREAD_RADIUS,) * 3, zyx(stack.shape[-3:]))
        spread = yield from self._predictions(stack, grown)
        # 2. Their mean, and the error to expect.
        result = np.empty((2, *wanted.shape), np.float32)
        for piece in in_planes(wanted, PIECE_VOXELS):
            inner, (_, y, x) = piece.relative_to(grown), wanted.relative_to(grown)
            mean = spread.mean[inner]
            result[(0, *piece.relative_to(wanted))] = mean
            error = self._calibration.expected_error(spread.deviation(inner.z)[:, y, x], mean)
            result[(1, *piece.relative_to(wanted))] = error
            yield 1.0
        return result

    def mean_steps(self, stack: FloatArray, wanted: Box) -> Steps[FloatArray]:
        """The mean prediction alone, (Z, Y, X), in steps, of the ``wanted`` box of a stack."""
        return (yield from self._predictions(stack, wanted)).mean

    def _predictions(self, stack: FloatArray, wanted: Box) -> Steps[Spread]:
        spread = Spread()
        for index, network in enumerate(self._networks):
            predicted = yield from mapped(network.steps(stack, wanted), partial(self._share, index))
            spread.add(np.maximum(predicted, 0, out=predicted))
        return spread

    def _share(self, index: int, share: float) -> float:
        return (index + share) / len(self._networks)
