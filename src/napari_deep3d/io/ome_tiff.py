"""A new OME-TIFF, memory-mapped, to be filled box by box."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray

from napari_deep3d.core import Spacing

_UM_PER_CM = 1e4


class MappedArray:
    """A memory map that hands out copies, so that nothing keeps it open: Windows renames no mapped file."""

    def __init__(self, mapped: np.memmap[Any, Any]) -> None:
        self._open: np.memmap[Any, Any] | None = mapped
        self.shape: tuple[int, ...] = mapped.shape
        self.dtype: np.dtype[Any] = mapped.dtype

    @property
    def _mapped(self) -> np.memmap[Any, Any]:
        if self._open is None:
            raise ValueError("the stack is written and closed; open the file to read it")
        return self._open

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        return np.array(self._mapped[key])

    def __setitem__(self, key: Any, value: Any, /) -> None:
        self._mapped[key] = value

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._mapped, dtype=dtype)

    def close(self) -> None:
        """Write what is not written yet and let go of the file."""
        if self._open is not None:
            self._open.flush()
            self._open = None


def create_ome_tiff(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    spacing_um: Spacing,
    origin_um: Spacing,
    channel_name: str,
    description: Mapping[str, object],
) -> MappedArray:
    """Make an OME-TIFF, all zero, and map it, axes ([T,] Z, Y, X).

    The pixel size is also in the resolution tags, for programs that read no OME-XML.
    """
    heights = [origin_um[0] + i * spacing_um[0] for i in range(shape[-3])] * math.prod(shape[:-3])
    plane: dict[str, list[float] | list[str]] = {
        "PositionZ": heights,
        "PositionY": [origin_um[1]] * len(heights),
        "PositionX": [origin_um[2]] * len(heights),
    }
    plane |= {f"Position{axis}Unit": ["µm"] * len(heights) for axis in "ZYX"}
    metadata: dict[str, object] = {
        "axes": "TZYX"[-len(shape) :],
        "Creator": "napari-deep3d",
        "Description": json.dumps(description),
        "Channel": {"Name": [channel_name]},
        "Plane": plane,
    }
    for axis, size in zip("ZYX", spacing_um, strict=True):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    mapped = tifffile.memmap(
        path,
        shape=shape,
        dtype=dtype,
        ome=True,
        photometric="minisblack",
        resolution=(_UM_PER_CM / spacing_um[2], _UM_PER_CM / spacing_um[1]),
        resolutionunit="CENTIMETER",
        metadata=metadata,
    )
    return MappedArray(mapped)
