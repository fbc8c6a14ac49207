"""TIFF: OME-TIFF, ImageJ and plain multi-page read lazily, OME-TIFF written."""

from __future__ import annotations

import json
import logging
import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray

from napari_deep3d.core import InputError
from napari_deep3d.io.file_kind import reading_as
from napari_deep3d.io.imagej_tiff import imagej_images, imagej_metadata
from napari_deep3d.io.micromanager import is_micromanager, micromanager_images
from napari_deep3d.io.ome_xml import has_ome_xml, ome_images, ome_metadata
from napari_deep3d.io.stack_file import (
    FoundImage,
    Metadata,
    StackFacts,
    StackFile,
    StackView,
    size_in_words,
    stack_axes,
    stack_name,
)
from napari_deep3d.io.tiff_check import check_planes, check_tiff
from napari_deep3d.io.tiff_planes import PageAxis, TiffImage, pages_by_axes, parse_axes

if TYPE_CHECKING:
    import zarr

_SMALL_STRIP_BYTES = 2**14
_UM_PER_CM = 1e4


# Reading


def find_tiff_images(path: Path, axes: str | None = None, in_set: bool = False) -> list[FoundImage]:
    """Return the images of a TIFF file, reading no voxel.

    An uncompressed image in one piece is memory-mapped when it is opened; of any other, a box reads its strips or tiles
    only.

    Parameters
    ----------
    path : Path
        The file.
    axes : str, optional
        What its pages are, where its metadata do not tell or are wrong: see
        :func:`~napari_deep3d.io.tiff_planes.parse_axes`.
    in_set : bool
        Whether the other files of its set are opened, too: then it is not told that there are more.

    Raises
    ------
    InputError
        If the file is empty, no TIFF or damaged, or it is unclear what its pages are.
    OSError
        If it cannot be read at all.
    """
    check_tiff(path)
    given = None if axes is None else parse_axes(axes)
    with _quiet(), reading_as(path, "TIFF", (OSError,)), tifffile.TiffFile(path) as tif:
        if not len(tif.pages):
            raise InputError(f"{path} holds no image. Export the stack again.")
        tif.pages.cache = True
        images = _images(path, tif, in_set) if given is None else [_by_axes(path, tif, given)]
        if not images:
            raise InputError(f"{path} holds no image. Export the stack again.")
        return [_found(path, tif, image) for image in images]


def _images(path: Path, tif: tifffile.TiffFile, in_set: bool) -> list[TiffImage]:
    """The images of a file by what its own format says of them."""
    if is_micromanager(tif):
        return micromanager_images(path, tif)
    if tif.is_micromanager:
        check_tiff(path, may_break_off=False)
    if has_ome_xml(tif):
        return ome_images(path, tif, in_set)
    if tif.is_imagej and not tif.is_shaped:
        return imagej_images(path, tif)
    # Of a plain TIFF the dots per inch speak of paper, not of the sample: it has no voxel size.
    images = []
    for series in tif.series:
        n_positions = dict(zip(series.axes, series.shape, strict=True)).get("R", 1)
        images += [TiffImage(series, name=series.name, position=index) for index in range(n_positions)]
    return images


def _by_axes(path: Path, tif: tifffile.TiffFile, axes: tuple[PageAxis, ...]) -> TiffImage:
    """The image of a file whose pages are what the user said; its voxel size where it can be read nevertheless."""
    about = Metadata()
    if has_ome_xml(tif):
        about = ome_metadata(tif)
    elif tif.is_imagej:
        channels = next((axis.size or 1 for axis in axes if axis.letter == "C"), 1)
        about = imagej_metadata(tif.imagej_metadata or {}, tif.pages.first.tags, channels)
    return TiffImage(pages_by_axes(path, tif, axes), about)


def _found(path: Path, tif: tifffile.TiffFile, image: TiffImage) -> FoundImage:
    """Check an image, which can be opened later; its file may be closed by then."""
    name, series = stack_name(path), image.series
    check_planes(path, tif, series, bool(image.missing))
    problem, axes = None, series.axes
    try:
        # Positions are chosen as images, so that they are no axis of a stack.
        shape = tuple(1 if axis == "R" else n for axis, n in zip(series.axes, series.shape, strict=True))
        axes = stack_axes(series.axes, shape, series.dtype, name, is_rgb=image.is_rgb)
    except InputError as error:
        problem = error

    def open_image() -> StackFile:
        if problem is not None:
            raise problem
        with _quiet(), reading_as(path, "TIFF", (OSError,)):
            data = StackView(_voxels(path, series), axes, fixed={"R": image.position}, name=name)
        return StackFile(path, name, data, *image.about, position=image.name, missing=image.missing)

    pages = series if series.is_multifile else ()
    files = sorted({Path(page.parent.filehandle.path) for page in pages if page is not None})
    return FoundImage(image.name, size_in_words(axes, series.shape), problem, open_image, tuple(files))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep tifffile's own log off the terminal: what matters is said in one error."""

    def drop(_record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(drop)
    try:
        yield
    finally:
        logger.removeFilter(drop)


def _voxels(path: Path, series: tifffile.TiffPageSeries) -> np.memmap[Any, Any] | zarr.Array[Any]:
    """The voxels mapped into memory if they lie in one piece, uncompressed; else their strips or tiles as Zarr."""
    if not series.is_multifile and series.dataoffset is not None:
        file = series.keyframe.parent
        dtype = series.dtype.newbyteorder(file.byteorder)
        return np.memmap(file.filehandle.path, dtype, "r", series.dataoffset, series.shape)
    import zarr  # slow to import, and memory-mapped files do without

    page = series.keyframe
    strip_bytes = math.prod(page.chunks) * series.dtype.itemsize
    # A strip per row, as some microscopes write it, costs more in overhead than reading the plane.
    whole_planes = not page.is_tiled and strip_bytes < _SMALL_STRIP_BYTES
    handle = page.parent.filehandle
    handle.open()
    try:
        store = series.aszarr(level=0, chunkmode=2 if whole_planes else 0)
    finally:
        handle.close()  # the store opens the files that a box needs, and closes those that it opened
    array = zarr.open_array(store, mode="r")
    weakref.finalize(array, store.close)
    try:
        array[(0,) * array.ndim]
    except Exception as error:  # a codec that is missing, or damaged voxels
        raise InputError(
            f"the voxels of {path} cannot be read here ({error}); uncompressed and ZIP (deflate) TIFF "
            "of 8, 16 or 32 bit can. Save it as one of these, or install the package imagecodecs."
        ) from error
    return array


# Writing


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

    def flush(self, _key: Any = None) -> None:
        """Have the disk hold all that was assigned."""
        self._mapped.flush()

    def close(self) -> None:
        """Write what is not written yet and let go of the file."""
        if self._open is not None:
            self._open.flush()
            self._open = None


def create_ome_tiff(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], facts: StackFacts) -> MappedArray:
    """Make an OME-TIFF, all zero, and map it, axes as in ``facts``.

    The pixel size is also in the resolution tags, for programs that read no OME-XML.
    """
    spacing_um, origin_um = facts.spacing_um, facts.origin_um
    heights = [origin_um[0] + i * spacing_um[0] for i in range(shape[-3])] * math.prod(shape[:-3])
    plane: dict[str, list[float] | list[str]] = {
        "PositionZ": heights,
        "PositionY": [origin_um[1]] * len(heights),
        "PositionX": [origin_um[2]] * len(heights),
    }
    plane |= {f"Position{axis}Unit": ["µm"] * len(heights) for axis in "ZYX"}
    channels = shape[facts.axes.index("C")] if "C" in facts.axes else 1
    metadata: dict[str, object] = {
        "axes": facts.axes,
        "Creator": "napari-deep3d",
        "Description": json.dumps(facts.description),
        "Channel": {"Name": facts.channel_names(channels)},
        "Plane": plane,
    }
    if facts.time_step_s:
        metadata |= {"TimeIncrement": facts.time_step_s, "TimeIncrementUnit": "s"}
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


def reopen_ome_tiff(path: Path, shape: tuple[int, ...]) -> MappedArray:
    """Map a file that :func:`create_ome_tiff` made, to go on writing; OSError or ValueError if it is damaged."""
    found = tifffile.memmap(path, mode="r+")
    return MappedArray(np.memmap(path, found.dtype, "r+", found.offset, shape))
