"""How far a prediction looks: the halo that a tile needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from napari_deep3d.core.types import DoubleArray, FloatArray, Shape

Network = Callable[[FloatArray], FloatArray]
TOLERANCE = 0.02
"""A voxel belongs to the halo while hiding what lies beyond it changes the result by more than this share of its
standard deviation."""


def measure_halo(network: Network, stack: FloatArray, candidates: tuple[Sequence[int], ...]) -> Shape:
    """The smallest halo per axis (Z, Y, X) among candidates that reproduces the uncut prediction.

    For each axis the stack is cut in the middle, and the prediction of the half is compared with that of the
    whole at growing distance from the cut; y and x share the larger figure.

    Parameters
    ----------
    network
        Maps a normalised stack (Z, Y, X) to its prediction, with fixed norm statistics.
    stack
        What the network sees of a normalised wide-field stack, axes (Z, Y, X) or (C, Z, Y, X).
    candidates
        Halos to choose from for each axis, rising; the last one is taken if none is enough.
    """
    whole = network(stack)
    scale = float(whole.std()) or 1.0
    reach = []
    for axis, halos in enumerate(candidates):
        errors = _errors_from_cut(network, stack, whole, axis) / scale
        enough = [h for h in halos if h < len(errors) and errors[h:].max() <= TOLERANCE]
        reach.append(enough[0] if enough else halos[-1])
    lateral = max(reach[1:])
    return reach[0], lateral, lateral


def _errors_from_cut(network: Network, stack: FloatArray, whole: FloatArray, axis: int) -> DoubleArray:
    """RMS difference of half and whole prediction, by distance from the cut along an axis."""
    size = whole.shape[axis]
    middle = size // 2 // 16 * 16 or size // 2
    predicted = network(np.ascontiguousarray(np.take(stack, range(middle), axis - 3)))
    difference = np.moveaxis(predicted, axis, 0) - np.moveaxis(whole, axis, 0)[:middle]
    return np.asarray(np.sqrt((difference.astype(np.float64) ** 2).mean(axis=(1, 2)))[::-1])
