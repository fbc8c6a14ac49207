"""TIFF files of ImageJ and Fiji: what their description says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tifffile import TiffFile, TiffTag, TiffTags

from napari_deep3d.io.stack_file import Metadata
from napari_deep3d.io.tiff_planes import Planes, TiffImage, pages_of_one_kind, unclear_axes
from napari_deep3d.io.units import backwards, length_um, spacing_or_none

_COUNTS = {"T": "frames", "C": "channels", "Z": "slices"}
_CENTIMETER = 3


def imagej_images(path: Path, tif: TiffFile) -> list[TiffImage]:
    """Return the image of an ImageJ file.

    Raises
    ------
    InputError
        If the description does not fit the pages, other than by time points that were not acquired any more.
    """
    metadata = tif.imagej_metadata or {}
    counts = {axis: _count(metadata.get(word)) for axis, word in _COUNTS.items()}
    pages = pages_of_one_kind(tif)  # a preview is of another size
    first, n_pages = pages[0], len(pages)
    about = imagej_metadata(metadata, first.tags, counts["C"])
    channels = 1 if counts["C"] == first.samplesperpixel else counts["C"]  # samples of a pixel, declared as channels
    listed = counts["T"] * counts["Z"] * channels
    # A single directory stands for planes that follow each other; of planes without axes tifffile makes a stack.
    if len(tif.pages) == n_pages and (n_pages == 1 or listed in (1, n_pages)):
        return [TiffImage(tif.series[0], about)]
    order = str(metadata.get("order", "czt")).upper()
    order = order if sorted(order) == sorted(_COUNTS) else "CZT"
    planes = Planes(order[::-1], counts | {"C": channels})
    if listed < n_pages:
        raise unclear_axes(path, f"its ImageJ description lists {planes.in_words()}", n_pages)
    for rank, page in enumerate(pages):
        planes.put(rank, page)
    return [planes.image(path, about, "", "ImageJ description")]


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1


def imagej_metadata(metadata: Mapping[str, Any], tags: TiffTags, n_channels: int) -> Metadata:
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
    if tags.valueof("ResolutionUnit") == _CENTIMETER:
        # Other programs than ImageJ count pixels per cm there, whatever the unit of the planes' distance.
        in_cm = [length_um(_pixel_size(tags.get(f"{axis}Resolution")), "cm") for axis in "YX"]
        sizes = [sizes[0], *in_cm] if spacing_or_none([sizes[0], *in_cm]) is not None else sizes
    labels, names = metadata.get("Labels"), list[str]()
    if isinstance(labels, list) and len(labels) >= n_channels:
        for channel in range(n_channels):
            found = {str(label).strip() for label in labels[channel::n_channels]}
            names.append(found.pop() if len(found) == 1 else "")
    return Metadata(spacing_or_none(sizes), (0.0, 0.0, 0.0), tuple(names), notices=backwards(sizes))


def _pixel_size(tag: TiffTag | None) -> float | None:
    """Units per pixel, from a tag that holds pixels per unit as a fraction."""
    if tag is None:
        return None
    try:
        pixels, units = tag.value
        return float(units) / float(pixels)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
