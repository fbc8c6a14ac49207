"""A generator that sees its stack turned: flipped along any axis, and with Y and X exchanged.

Instead of turning every tile, predicting it and turning the result back, the convolution kernels are turned once:
``turned(G, t)(x) = t.back(G(t(x)))``. Everything that works with a generator, such as frozen statistics, tiles and
halos, then works with the turned one as it is. Training turns its patches in all these ways, so a trained network
knows them all, and how far its answers differ tells how sure it is.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_deep3d.nn.generator import Generator


@dataclass(frozen=True)
class Turn:
    """One of the sixteen turns of a stack that keep its planes planes: Y and X are exchanged, then axes flipped.

    ``flips`` says for Z, Y, X whether that axis is reversed.
    """

    flips: tuple[bool, bool, bool] = (False, False, False)
    swap_yx: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        """Turn a tensor with axes (..., Z, Y, X)."""
        return self._flip(self._swap(x))

    def back(self, x: Tensor) -> Tensor:
        """Undo the turn."""
        return self._swap(self._flip(x))

    def _swap(self, x: Tensor) -> Tensor:
        return x.transpose(-2, -1) if self.swap_yx else x

    def _flip(self, x: Tensor) -> Tensor:
        return x.flip([axis - 3 for axis, flip in enumerate(self.flips) if flip])


TURNS = (
    Turn(),
    Turn((True, False, True), swap_yx=True),
    Turn((False, True, True)),
    Turn((True, True, False), swap_yx=True),
)
"""Quarter turns of the plane, the planes reversed in every other one.

One after another is again one of them, so the mean over them turns with the stack. Eight or all sixteen are hardly
better (``benchmarks/prediction/turns.py``) and cost two or four times as much.
"""


@torch.no_grad()
def turned(generator: Generator, turn: Turn) -> Generator:
    """A copy of a generator that gives ``turn.back(generator(turn(x)))`` for every stack x.

    Exactly so, up to rounding, where every axis is a multiple of :data:`~napari_deep3d.nn.generator.STRIDE`: else
    the two pool the stack from opposite ends.
    """
    result = copy.deepcopy(generator)
    for module in result.modules():
        if isinstance(module, nn.Conv3d):
            module.weight.copy_(turn.back(module.weight.clone()))  # in place: the memory format stays
    return result
