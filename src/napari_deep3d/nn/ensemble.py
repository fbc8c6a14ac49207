"""Several turns of one network as one: their mean, and how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_deep3d.core.evaluation.uncertainty import RAW, Calibration, Spread
from napari_deep3d.core.types import FloatArray
from napari_deep3d.nn.folded_network import FoldedNetwork
from napari_deep3d.nn.tta import TURNS, Turn


class TestTimeEnsemble:
    """A frozen network, asked once for every turn of its stack (:data:`~napari_deep3d.nn.tta.TURNS`).

    All of them share the norm statistics of the stack as it is, so it is measured only once.

    Parameters
    ----------
    network
        The network with its statistics fixed.
    calibration
        From the spread of the answers to the error to expect; None gives the spread itself.
    turns
        The turns, of which the first leaves the stack as it is.
    """

    def __init__(self, network: FoldedNetwork, calibration: Calibration | None, turns: Sequence[Turn] = TURNS) -> None:
        self._networks = [network, *(network.turned(turn) for turn in turns[1:])]
        self._calibration = calibration or RAW

    def __call__(self, stack: FloatArray) -> FloatArray:
        """Mean prediction, never below 0, and uncertainty of a normalised stack (Z, Y, X); axes (2, Z, Y, X)."""
        spread = Spread()
        for network in self._networks:
            spread.add(np.maximum(network(stack), 0))
        return np.stack([spread.mean, self._calibration.expected_error(spread.deviation, spread.mean)])

    def release(self) -> None:
        """Give cached GPU memory back to other programs."""
        self._networks[0].release()
