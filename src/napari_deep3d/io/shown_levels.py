"""The levels of a large file in the form that napari shows them in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from napari_deep3d.io.stack_file import StackView

if TYPE_CHECKING:
    import dask.array


def shown_levels(levels: Iterable[StackView]) -> list[dask.array.Array]:
    """Return the levels of a stack as dask arrays in the chunks of the file, each read when it is computed.

    napari cuts a level along the shown axes first and takes the plane after that, and so counts on arrays that wait:
    from others it would read the whole stack for each plane.
    """
    import dask.array  # here: only a window needs it

    # No two arrays have one name: a growing file's voxels would else be taken from napari's cache.
    return [
        dask.array.from_array(level, level.chunks, name=False, meta=np.empty((0,) * level.ndim, level.dtype))  # type: ignore[no-untyped-call]
        for level in levels
    ]
