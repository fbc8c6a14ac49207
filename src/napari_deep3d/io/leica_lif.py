"""Leica LIF files: an XML that describes all images, and their voxels, uncompressed, one block for each."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from napari_deep3d.core import InputError
from napari_deep3d.io.file_kind import LIF, check_kind, cut_off, library, reading_as
from napari_deep3d.io.library_stack import check_axes
from napari_deep3d.io.optics import Optics, stated_optics
from napari_deep3d.io.stack_file import FoundImage, Metadata, StackFile, StackView, found_image, stack_name
from napari_deep3d.io.units import backwards, length_um, origin_or_zero, spacing_or_none, step_s

KIND = "Leica LIF"
_MOSAIC = "M"
_FURTHER = {"λ": "emission", "Λ": "excitation", "A": "rotation", "L": "loop", "H": "lifetime"}
"""Axes that no stack has."""
_DIMENSIONS = {"X": "1", "Y": "2", "Z": "3", "T": "4"}
_COLORS = {
    "Red": "#ff0000",
    "Green": "#00ff00",
    "Blue": "#0000ff",
    "Cyan": "#00ffff",
    "Magenta": "#ff00ff",
    "Yellow": "#ffff00",
    "Gray": "#ffffff",
}
"""By the name of a channel's lookup table."""


def find_lif_images(path: Path) -> list[FoundImage]:
    """Return the images of a LIF file, and of one that was taken at several positions each of them.

    Raises
    ------
    InputError
        If the file is of another kind, cut off or damaged, or the library for it is missing.
    OSError
        If it cannot be read at all.
    """
    check_kind(path, (LIF,), KIND)
    liffile = library("liffile", path)
    with reading_as(path, KIND), liffile.LifFile(path) as lif:
        found = []
        for image in lif.images:
            _check_whole(path, image)
            positions = 1 if image.is_flim else image.sizes.get(_MOSAIC, 1)
            for position in range(positions):
                name = image.path if positions == 1 else f"{image.path}, position {position}"
                found.append(found_image(name, partial(_open_image, path, image, name, position)))
        if not found:
            raise InputError(f"{path} holds no image. Export the stack again.")
        return found


def _open_image(path: Path, image: Any, name: str, position: int) -> StackFile:
    """Map the voxels of an image into memory."""
    stack = stack_name(path)
    if image.is_flim:
        raise InputError(f"{name} of {stack} holds lifetimes of photons; intensities are needed.")
    with reading_as(path, KIND):
        check_axes(
            {_FURTHER.get(axis, axis): n for axis, n in image.sizes.items() if axis != _MOSAIC}, image.dtype, stack
        )
        block = image.memory_block
        if image.nbytes > block.size:
            raise InputError(
                f"{path} keeps {block.size} bytes of {name}, {image.nbytes} are needed. Export it again, as OME-TIFF."
            )
        voxels = np.memmap(path, image.dtype, "r", block.offset, image.shape)
        places = tuple(slice(position, position + 1) if axis == _MOSAIC else slice(None) for axis in image.sizes)
        data = StackView(voxels[places], "".join(image.sizes), name=stack)
        about = _metadata(image.xml_element, position, data.shape[1])
        return StackFile(path, stack, data, *about, position=name)


def _check_whole(path: Path, image: Any) -> None:
    """Refuse a file that ends before the voxels of an image, whichever it is: it was not copied whole."""
    size = path.stat().st_size
    try:
        block = image.memory_block
    except KeyError as error:
        raise cut_off(path, size) from error
    if block.offset + block.size > size:
        raise cut_off(path, size)


def _metadata(element: Element, position: int, n_channels: int) -> Metadata:
    described = element.findall("./Data/Image/ImageDescription/Dimensions/DimensionDescription")
    dimensions = {each.get("DimID"): each for each in described}
    along = [dimensions.get(_DIMENSIONS[letter], Element("DimensionDescription")) for letter in "ZYX"]
    sizes = [length_um(_step(each), each.get("Unit")) for each in along]
    time = dimensions.get(_DIMENSIONS["T"])
    origin = [length_um(each.get("Origin"), each.get("Unit")) or 0.0 for each in along]
    tiles = element.findall("./Data/Image/Attachment[@Name='TileScanInfo']/Tile")
    if position < len(tiles):
        stage = [length_um(tiles[position].get(f"Pos{letter}"), "m") or 0.0 for letter in "ZYX"]
        origin = [a + b for a, b in zip(origin, stage, strict=True)]
    found = element.findall("./Data/Image/ImageDescription/Channels/ChannelDescription")
    channels = sorted(found, key=lambda each: int(each.get("BytesInc") or 0))
    settings = element.findall("./Data/Image/Attachment[@Name='HardwareSetting']")
    filters = [each for setting in settings for each in setting.iter("WideFieldChannelInfo")]
    filters = filters if len(filters) == n_channels else [Element("WideFieldChannelInfo")] * n_channels
    return Metadata(
        spacing_or_none(sizes),
        origin_or_zero(origin),
        tuple(_channel_name(*both) for both in zip(channels, filters, strict=False)),
        tuple(_COLORS.get(channel.get("LUTName", ""), "") for channel in channels),
        notices=backwards(sizes),
        time_step_s=None if time is None else step_s(_step(time), time.get("Unit")),
        optics=_optics(settings, filters),
    )


def _step(dimension: Element) -> float | None:
    """From one voxel to the next: the length is that from the first one to the last."""
    n = int(dimension.get("NumberOfElements") or 1)
    return float(dimension.get("Length") or 0) / (n - 1) if n > 1 else None


def _channel_name(channel: Element, used: Element) -> str:
    """Name of the dye, else of the filter as the user or Leica calls it, else of the colour."""
    properties = {each.findtext("Key"): each.findtext("Value") for each in channel.findall("ChannelProperty")}
    dye = (properties.get("DyeName") or "").strip().removeprefix("Leica/")
    return dye or used.get("UserDefName") or used.get("FluoCubeName") or channel.get("LUTName") or ""


def _optics(settings: list[Element], filters: list[Element]) -> Optics:
    """Aperture and immersion of the first settings that tell them."""
    kinds = ("ATLCameraSettingDefinition", "ATLConfocalSettingDefinition")
    told = (each for setting in settings for kind in kinds for each in setting.iter(kind))
    used = next((each for each in told if each.get("NumericalAperture")), Element("None"))
    return stated_optics(
        used.get("NumericalAperture"),
        used.get("RefractionIndex"),
        (used.get("Immersion"),),
        [each.get("EmissionWavelength") for each in filters],
    )
