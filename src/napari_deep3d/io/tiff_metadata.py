"""What a TIFF file says about its voxel size, position and channels."""

from __future__ import annotations

from typing import Any, NamedTuple
from xml.etree import ElementTree

from tifffile import TiffFile, TiffTag, TiffTags

from napari_deep3d.core import Spacing
from napari_deep3d.io.units import length_um, origin_or_zero, spacing_or_none


class Metadata(NamedTuple):
    """Voxel size and position in um along Z, Y, X, and the channels' names."""

    spacing_um: Spacing | None = None
    origin_um: Spacing = (0.0, 0.0, 0.0)
    channel_names: tuple[str, ...] = ()


def tiff_metadata(tif: TiffFile, n_channels: int) -> Metadata:
    """Read the metadata of an opened TIFF's first image.

    A plain TIFF has none: its dots per inch speak of paper, not of the sample.
    """
    if tif.is_ome and tif.ome_metadata:
        return ome_metadata(tif.ome_metadata)
    if tif.is_imagej and tif.imagej_metadata:
        return imagej_metadata(tif.imagej_metadata, tif.pages.first.tags, n_channels)
    return Metadata()


def ome_metadata(xml: str) -> Metadata:
    """Read OME-XML's first image: physical sizes, position of the first plane, channels' names."""
    try:
        pixels = ElementTree.fromstring(xml).find("{*}Image/{*}Pixels")
    except ElementTree.ParseError:
        pixels = None
    if pixels is None:
        return Metadata()
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
    return Metadata(spacing_or_none(sizes), origin_or_zero(positions), names)


def imagej_metadata(metadata: dict[str, Any], tags: TiffTags, n_channels: int) -> Metadata:
    """Read ImageJ's unit, its plane distance, and the pixels per unit of the resolution tags.

    ImageJ leaves out a plane distance of exactly 1, and cannot be told from one that was never set: then the
    voxel size counts as unknown.
    """
    unit = metadata.get("unit")
    sizes = [
        length_um(metadata.get("spacing"), metadata.get("zunit", unit)),
        length_um(_pixel_size(tags.get("YResolution")), metadata.get("yunit", unit)),
        length_um(_pixel_size(tags.get("XResolution")), unit),
    ]
    return Metadata(spacing_or_none(sizes), channel_names=_label_names(metadata.get("Labels"), n_channels))


def _pixel_size(tag: TiffTag | None) -> float | None:
    """Units per pixel, from a tag that holds pixels per unit as a fraction."""
    if tag is None:
        return None
    try:
        pixels, units = tag.value
        return float(units) / float(pixels)
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def _label_names(labels: object, n_channels: int) -> tuple[str, ...]:
    """Names of channels from ImageJ's labels of planes, where all planes of a channel have the same.

    Channels follow each other fastest in ImageJ's order of planes.
    """
    if not isinstance(labels, list) or len(labels) < n_channels:
        return ()
    names = [{str(label).strip() for label in labels[c::n_channels]} for c in range(n_channels)]
    return tuple(found.pop() if len(found) == 1 else "" for found in names)
