"""OME-Zarr: 0.4 and 0.5 read lazily, 0.5 written."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from napari_deep3d.core import InputError, Spacing, reason
from napari_deep3d.io.stack_file import StackFile, StackView, stack_axes, stack_name
from napari_deep3d.io.units import length_um, origin_or_zero, spacing_or_none

if TYPE_CHECKING:
    import zarr
    from yaozarrs import v04, v05

# zarr and yaozarrs take most of a second to import: they are imported where they are used.

_CHUNK = (16, 256, 256)
_LEVEL = "0"


def open_ome_zarr(path: Path) -> StackFile:
    """Open the finest level of an OME-Zarr folder's first image, reading no voxel.

    Raises
    ------
    InputError
        If the folder is no OME-Zarr, of another version, a plate, damaged, or no z-stack of real numbers.
    """
    import zarr

    # 1. The image and its finest level.
    name, group = stack_name(path), _group(path)
    metadata = _ome_attributes(group)
    if "bioformats2raw.layout" in metadata and "multiscales" not in metadata:
        group = _group(path / "0")
        metadata = _ome_attributes(group)
    multiscale = _multiscale(path, metadata)
    level = multiscale.datasets[0]
    try:
        array = group[level.path]
    except KeyError as error:
        raise _damaged(path, f"its level {level.path!r} is missing") from error
    except Exception as error:  # zarr raises many kinds for metadata that makes no sense
        raise _damaged(path, f"its level {level.path!r} cannot be read ({reason(error)})") from error
    if not isinstance(array, zarr.Array) or array.ndim != len(multiscale.axes):
        raise _damaged(path, f"its level {level.path!r} does not have the {len(multiscale.axes)} axes listed")
    axes = "".join(axis.name[:1].upper() for axis in multiscale.axes)  # z, y, x, c, t; also "channel"
    data = StackView(array, stack_axes(axes, array.shape, array.dtype, name), name=name)

    # 2. Voxel size and position. A level's transformations come first, then those of the whole image:
    #    position p = s2 (s1 i + t1) + t2.
    scale, shift = np.ones(array.ndim), np.zeros(array.ndim)
    for step in (*level.coordinateTransformations, *(multiscale.coordinateTransformations or ())):
        if step.type == "scale":
            scale, shift = scale * step.scale, shift * step.scale
        else:
            shift = shift + step.translation
    along = [(axes.index(letter), multiscale.axes[axes.index(letter)].unit) for letter in "ZYX"]
    spacing_um = spacing_or_none([length_um(scale[i], unit) for i, unit in along])
    origin_um = origin_or_zero([length_um(shift[i], unit) for i, unit in along])

    # 3. Names of channels.
    omero = metadata.get("omero")
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    channels = channels if isinstance(channels, list) else []
    names = tuple(str(c.get("label") or "") if isinstance(c, Mapping) else "" for c in channels)
    return StackFile(path, name, data, spacing_um, origin_um, names)


def _group(path: Path) -> zarr.Group:
    import zarr

    try:
        return zarr.open_group(path, mode="r")
    except Exception as error:  # zarr raises many kinds for metadata that is missing or unreadable
        raise InputError(
            f"{path} is a folder, but no OME-Zarr that can be read; a TIFF file or an OME-Zarr folder is "
            "needed. Planes in single files: open them as one stack in Fiji (File > Import > Image Sequence) "
            "and save it as TIFF."
        ) from error


def _ome_attributes(group: zarr.Group) -> dict[str, Any]:
    """Read the OME part of a group's attributes, which 0.5 keeps under a name of its own."""
    attributes = dict(group.attrs)
    ome = attributes.get("ome")
    return {**ome} if isinstance(ome, Mapping) else attributes


def _multiscale(path: Path, metadata: dict[str, Any]) -> v04.Multiscale | v05.Multiscale:
    from yaozarrs import v04, v05

    found = metadata.get("multiscales")
    if "plate" in metadata or not isinstance(found, list) or not found:
        what = "a plate of many images" if "plate" in metadata else "no image"
        raise InputError(f"{path} holds {what}; one OME-Zarr image is needed. Give the folder of an image inside it.")
    version = metadata.get("version") or (isinstance(found[0], Mapping) and found[0].get("version")) or "0.4"
    models: dict[object, type[v04.Multiscale | v05.Multiscale]] = {"0.4": v04.Multiscale, "0.5": v05.Multiscale}
    if version not in models:
        raise InputError(f"{path} is OME-Zarr {version}; 0.4 and 0.5 are read. Export the stack as OME-TIFF.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a unit outside the standard; units.py decides about those
            return models[version].model_validate(found[0])
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise _damaged(path, f"{where} in its metadata: {problem['msg']}") from error


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is not valid OME-Zarr: {reason}. Copy or export it again.")


def create_ome_zarr(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    spacing_um: Spacing,
    origin_um: Spacing,
    channel_name: str,
    description: Mapping[str, object],
) -> zarr.Array[Any]:
    """Make an OME-Zarr 0.5 folder of one level, all zero, and return its Zarr array, axes ([T,] Z, Y, X)."""
    import zarr
    from yaozarrs import v05

    time = len(shape) - 3
    space = [v05.SpaceAxis(name=axis, unit="micrometer") for axis in "zyx"]
    level = v05.Dataset(
        path=_LEVEL,
        coordinateTransformations=[
            v05.ScaleTransformation(scale=[1.0] * time + list(spacing_um)),
            v05.TranslationTransformation(translation=[0.0] * time + list(origin_um)),
        ],
    )
    axes = [v05.TimeAxis(name="t")] * time + space
    image = v05.Image(multiscales=[v05.Multiscale(name=channel_name or None, axes=axes, datasets=[level])])
    attributes = {"ome": image.model_dump(mode="json", exclude_none=True), "napari-deep3d": dict(description)}
    group = zarr.create_group(path, zarr_format=3, attributes=attributes)
    chunks = (1,) * time + tuple(min(n, c) for n, c in zip(shape[time:], _CHUNK, strict=True))
    names = [axis.name for axis in axes]
    return group.create_array(_LEVEL, shape=shape, dtype=dtype, chunks=chunks, dimension_names=names)
