from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

SPACING_UM = (0.5, 0.11, 0.108)


@pytest.fixture
def ramp() -> Callable[..., NDArray[np.uint16]]:
    """An array whose voxels all differ, so that no mix-up of axes goes unseen."""

    def make(*shape: int) -> NDArray[np.uint16]:
        return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)

    return make


@pytest.fixture
def stack(ramp: Callable[..., NDArray[np.uint16]]) -> NDArray[np.uint16]:
    return ramp(6, 32, 48)


@pytest.fixture
def imagej(tmp_path: Path) -> Callable[..., Path]:
    """Write an ImageJ TIFF; keywords go into its metadata."""

    def write(
        data: NDArray[np.uint16], axes: str = "ZYX", pixels_per_unit: object = (10, 5), **metadata: object
    ) -> Path:
        path = tmp_path / "imagej.tif"
        tifffile.imwrite(path, data, imagej=True, resolution=pixels_per_unit, metadata={"axes": axes, **metadata})
        return path

    return write
