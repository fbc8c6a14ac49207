"""TIFF stacks, read lazily: OME-TIFF, ImageJ, plain multi-page."""

from __future__ import annotations

import logging
import math
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_deep3d.core import InputError
from napari_deep3d.io.axes import StackView, stack_axes
from napari_deep3d.io.stack_file import StackFile, stack_name
from napari_deep3d.io.tiff_check import check_planes, check_tiff
from napari_deep3d.io.tiff_metadata import tiff_metadata

if TYPE_CHECKING:
    import zarr

_SMALL_STRIP_BYTES = 2**14


def open_tiff(path: Path) -> StackFile:
    """Open the first image of a TIFF file, reading no plane.

    An uncompressed image in one piece is memory-mapped; of any other, a box reads its strips or tiles only.

    Raises
    ------
    InputError
        If the file is empty, no TIFF, damaged, compressed in a way that cannot be read, or no z-stack of
        real grey values.
    OSError
        If it cannot be read at all.
    """
    check_tiff(path)
    with _quiet():
        try:
            return _stack_file(path)
        except (InputError, OSError, MemoryError):
            raise
        except Exception as error:  # a damaged file breaks the parser in any way
            raise InputError(
                f"{path} cannot be read as TIFF ({error}). It is damaged or of a rare kind: export it as OME-TIFF."
            ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep tifffile's own log off the terminal: what matters is said in one error."""

    def drop(record: logging.LogRecord) -> bool:  # noqa: ARG001
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(drop)
    try:
        yield
    finally:
        logger.removeFilter(drop)


def _stack_file(path: Path) -> StackFile:
    name = stack_name(path)
    with ExitStack() as on_error:
        tif = on_error.enter_context(tifffile.TiffFile(path))
        if not tif.series:
            raise InputError(f"{path} holds no image. Export the stack again.")
        series = tif.series[0]
        check_planes(path, tif, series)
        axes = stack_axes(series.axes, series.shape, series.dtype, name)
        voxels = _voxels(path, series)
        data = StackView(voxels, axes, name=name)
        metadata = tiff_metadata(tif, data.shape[1])
        if not isinstance(voxels, np.memmap):
            weakref.finalize(voxels, on_error.pop_all().close)
    return StackFile(path, name, data, metadata.spacing_um, metadata.origin_um, metadata.channel_names)


def _voxels(path: Path, series: tifffile.TiffPageSeries) -> np.memmap[Any, Any] | zarr.Array[Any]:
    """Map the voxels into memory if they lie in one piece, uncompressed; else open their strips or tiles as Zarr."""
    if series.dataoffset is not None:
        file = series.keyframe.parent
        dtype = series.dtype.newbyteorder(file.byteorder)
        return np.memmap(file.filehandle.path, dtype, "r", series.dataoffset, series.shape)
    import zarr  # slow to import, and memory-mapped files do without

    page = series.keyframe
    strip_bytes = math.prod(page.chunks) * series.dtype.itemsize
    # A strip per row, as some microscopes write it, costs more in overhead than reading the plane.
    whole_planes = not page.is_tiled and strip_bytes < _SMALL_STRIP_BYTES
    array = zarr.open_array(series.aszarr(level=0, chunkmode=2 if whole_planes else 0), mode="r")
    try:
        array[(0,) * array.ndim]
    except Exception as error:  # a codec that is missing, or damaged voxels
        raise InputError(
            f"the voxels of {path} cannot be read here ({error}); uncompressed and ZIP (deflate) TIFF "
            "of 8, 16 or 32 bit can. Save it as one of these, or install the package imagecodecs."
        ) from error
    return array
