"""The real nucleus as a wide-field and a confocal microscope show it, on each other.

Channels of :data:`benchmarks.common.real_files.NUCLEUS`. The wide-field stack lies (-2.3, 0, 3.6) voxels off; margins
of 6 planes and 8 pixels are left out.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi

from napari_deep3d.core import FloatArray

CONFOCAL, WIDEFIELD = 0, 1
SHIFT = (-2.3, 0.0, 3.6)
INNER = np.s_[6:-6, 8:-8, 8:-8]


def aligned(stack: FloatArray) -> FloatArray:
    """Shift a stack in wide-field position onto the confocal one and cut the margins."""
    moved = ndi.shift(stack, [-s for s in SHIFT], order=3, mode="nearest")
    return np.asarray(moved[INNER], dtype=np.float32)
