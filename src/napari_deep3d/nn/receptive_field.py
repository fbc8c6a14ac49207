"""How far a prediction looks: the halo that a tile needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from napari_deep3d.core import FloatArray, Shape

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
    network : function
        Maps a normalised stack (Z, Y, X) to its prediction, with fixed norm statistics.
    stack : array, axes (Z, Y, X) or (C, Z, Y, X)
        What the network sees of a normalised wide-field stack.
    candidates : sequences of int
        Halos to choose from for each axis, in voxels, rising; the last one is taken if none is enough.
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
        enough = [h for h in halos if h < len(errors) and errors[h:].max() <= TOLERANCE]
        reach.append(enough[0] if enough else halos[-1])
    lateral = max(reach[1:])
    return reach[0], lateral, lateral
