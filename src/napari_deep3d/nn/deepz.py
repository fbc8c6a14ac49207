"""What Deep-Z and DeepZ+ see: one plane, and how far from it the wanted plane lies (Wu et al., Nat. Methods 2019)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core.types import FloatArray

UNIT_UM = 10.0
"""Distances are divided by this, as in Deep-Z's propagation matrix."""


def plane_and_distance(plane: FloatArray, distances_um: NDArray[np.floating]) -> FloatArray:
    """Input (2, Z, Y, X) of the network: a plane (Y, X), and the axial distance of each wanted plane from it.

    Parameters
    ----------
    plane
        Normalised wide-field plane.
    distances_um
        From this plane to each wanted one, in um.
    """
    shape = (len(distances_um), *plane.shape)
    distance = np.asarray(distances_um, dtype=np.float32) / np.float32(UNIT_UM)
    return np.stack([np.broadcast_to(plane, shape), np.broadcast_to(distance[:, None, None], shape)])
