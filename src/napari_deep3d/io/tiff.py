"""TIFF: OME-TIFF, ImageJ and plain multi-page read lazily, OME-TIFF written."""

from __future__ import annotations

import json
import logging
import math
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray

from napari_deep3d.core import InputError, Spacing
from napari_deep3d.io.stack_file import StackFacts, StackFile, StackView, stack_axes, stack_name
from napari_deep3d.io.tiff_check import check_planes, check_tiff
from napari_deep3d.io.units import length_um, origin_or_zero, spacing_or_none

if TYPE_CHECKING:
    import zarr

_SMALL_STRIP_BYTES = 2**14
_UM_PER_CM = 1e4


# Reading


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
    name = stack_name(path)
    with _quiet(), ExitStack() as on_error:
        try:
            tif = on_error.enter_context(tifffile.TiffFile(path))
            if not tif.series:
                raise InputError(f"{path} holds no image. Export the stack again.")
            series = tif.series[0]
            check_planes(path, tif, series)
            axes = stack_axes(series.axes, series.shape, series.dtype, name)
            voxels = _voxels(path, series)
            data = StackView(voxels, axes, name=name)
            about = _Metadata()  # of a plain TIFF: its dots per inch speak of paper, not of the sample
            if tif.is_ome and tif.ome_metadata:
                about = _ome_metadata(tif.ome_metadata)
            elif tif.is_imagej and tif.imagej_metadata:
                about = _imagej_metadata(tif.imagej_metadata, tif.pages.first.tags, data.shape[1])
            if not isinstance(voxels, np.memmap):
                weakref.finalize(voxels, on_error.pop_all().close)
        except (InputError, OSError, MemoryError):
            raise
        except Exception as error:  # a damaged file breaks the parser in any way
            raise InputError(
                f"{path} cannot be read as TIFF ({error}). It is damaged or of a rare kind: export it as OME-TIFF."
            ) from error
    return StackFile(path, name, data, *about)


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


class _Metadata(NamedTuple):
    """Voxel size and position in um along Z, Y, X, and the channels' names."""

    spacing_um: Spacing | None = None
    origin_um: Spacing = (0.0, 0.0, 0.0)
    channel_names: tuple[str, ...] = ()


def _ome_metadata(xml: str) -> _Metadata:
    """From OME-XML's first image: physical sizes, position of the first plane, channels' names."""
    try:
        pixels = ElementTree.fromstring(xml).find("{*}Image/{*}Pixels")
    except ElementTree.ParseError:
        pixels = None
    if pixels is None:
        return _Metadata()
    sizes = [
        length_um(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "ZYX"
    ]
    first = next((p for p in pixels.findall("{*}Plane") if all(p.get(f"The{axis}") == "0" for axis in "TCZ")), None)
    # Without a unit a position counts in OME's "reference frame", which is no length.
    positions = [
        None if first is None else length_um(first.get(f"Position{axis}"), first.get(f"Position{axis}Unit"))
        for axis in "ZYX"
    ]
    names = tuple(channel.get("Name", "") for channel in pixels.findall("{*}Channel"))
    return _Metadata(spacing_or_none(sizes), origin_or_zero(positions), names)


def _imagej_metadata(metadata: dict[str, Any], tags: tifffile.TiffTags, n_channels: int) -> _Metadata:
    """From ImageJ's unit, its plane distance, the pixels per unit of the resolution tags, and the planes' labels.

    ImageJ leaves out a plane distance of exactly 1, which cannot be told from one that was never set: then the voxel
    size counts as unknown. A channel is named where all of its planes have one label; channels follow each other
    fastest in ImageJ's order of planes.
    """
    unit = metadata.get("unit")
    sizes = [
        length_um(metadata.get("spacing"), metadata.get("zunit", unit)),
        length_um(_pixel_size(tags.get("YResolution")), metadata.get("yunit", unit)),
        length_um(_pixel_size(tags.get("XResolution")), unit),
    ]
    labels, names = metadata.get("Labels"), list[str]()
    if isinstance(labels, list) and len(labels) >= n_channels:
        for channel in range(n_channels):
            found = {str(label).strip() for label in labels[channel::n_channels]}
            names.append(found.pop() if len(found) == 1 else "")
    return _Metadata(spacing_or_none(sizes), channel_names=tuple(names))


def _pixel_size(tag: tifffile.TiffTag | None) -> float | None:
    """Units per pixel, from a tag that holds pixels per unit as a fraction."""
    if tag is None:
        return None
    try:
        pixels, units = tag.value
        return float(units) / float(pixels)
    except (TypeError, ValueError, ZeroDivisionError):
        return None


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
