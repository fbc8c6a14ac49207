"""OME-Zarr: 0.4 and 0.5 read lazily, 0.5 written."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from napari_deep3d.core import InputError, reason
from napari_deep3d.io.pyramid import Pyramid, coarser_shapes, level_name
from napari_deep3d.io.stack_file import (
    MADE_BY,
    FoundImage,
    StackFacts,
    StackFile,
    StackView,
    found_image,
    stack_axes,
    stack_name,
)
from napari_deep3d.io.units import backwards, length_um, origin_or_zero, spacing_or_none, step_s

if TYPE_CHECKING:
    import zarr
    from yaozarrs import v04, v05

# zarr and yaozarrs take most of a second to import: they are imported where they are used.

CHUNK = (1, 512, 512)
"""Z, Y, X: a plane is shown without reading its neighbours, and one along Z without reading whole planes."""


def find_ome_zarr_images(path: Path) -> list[FoundImage]:
    """Return the images of an OME-Zarr folder: one, those of a converted file of several, or the fields of a plate.

    Raises
    ------
    InputError
        If the folder is no OME-Zarr, or holds no image.
    """
    group = _group(path)
    metadata = _ome_attributes(group)
    if "multiscales" in metadata:
        return [found_image("", lambda: _open_image(path, "", path))]
    if "plate" in metadata:
        names = list(_fields_of_plate(path, metadata["plate"]))
    else:
        names = _series(path, group) if "bioformats2raw.layout" in metadata else []
    if not names:
        raise InputError(f"{path} holds no image; one OME-Zarr image is needed. Give the folder of an image inside it.")
    return [found_image(name, partial(_open_image, path, name, path / name)) for name in names]


def _series(path: Path, group: zarr.Group) -> list[str]:
    """Names of the folders of a converted file's images: those listed, else all whose name is a number."""
    listed = _ome_attributes(_group(path / "OME")).get("series") if (path / "OME").is_dir() else None
    if isinstance(listed, list) and listed:
        return [str(name) for name in listed if _is_inside(str(name))]
    return sorted((name for name in group.group_keys() if name.isdigit()), key=int)


def _fields_of_plate(path: Path, plate: object) -> Iterator[str]:
    """Folders of a plate's fields of view, well by well: ``A/1/0``."""
    wells = plate.get("wells") if isinstance(plate, Mapping) else None
    for well in wells if isinstance(wells, list) else []:
        folder = str(well.get("path", "")) if isinstance(well, Mapping) else ""
        if not folder or not _is_inside(folder) or not (path / folder).is_dir():
            continue  # a plate lists wells that were not acquired
        about = _ome_attributes(_group(path / folder)).get("well")
        fields = about.get("images") if isinstance(about, Mapping) else None
        for field in fields if isinstance(fields, list) else []:
            name = f"{folder}/{field.get('path', '')}" if isinstance(field, Mapping) else ""
            if name and _is_inside(name):
                yield name


def _is_inside(name: str) -> bool:
    """Whether a path from a file's metadata stays in its folder."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _open_image(path: Path, position: str, folder: Path) -> StackFile:
    """Open the finest level of the image in a folder.

    Raises
    ------
    InputError
        If it is of another version, damaged, or no z-stack of real numbers.
    """
    import zarr

    # 1. The image and its finest level.
    name, group = stack_name(path), _group(folder)
    metadata = _ome_attributes(group)
    multiscale = _multiscale(path, metadata)
    level = multiscale.datasets[0]
    level_name = reprlib.repr(level.path)  # damaged metadata may hold anything, of any length
    try:
        array = group[level.path]
    except KeyError as error:
        raise _damaged(path, f"its level {level_name} is missing") from error
    except Exception as error:  # zarr raises many kinds for metadata that makes no sense
        raise _damaged(path, f"its level {level_name} cannot be read ({reason(error)})") from error
    if not isinstance(array, zarr.Array) or array.ndim != len(multiscale.axes):
        raise _damaged(path, f"its level {level_name} does not have the {len(multiscale.axes)} axes listed")
    axes = "".join(axis.name[:1].upper() for axis in multiscale.axes)  # z, y, x, c, t; also "channel"
    axes_of_stack = stack_axes(axes, array.shape, array.dtype, name)
    data = StackView(array, axes_of_stack, name=name)
    coarser = tuple(StackView(each, axes_of_stack, name=name) for each in _coarser(group, multiscale, array))

    # 2. Voxel size and position. A level's transformations come first, then those of the whole image:
    #    position p = s2 (s1 i + t1) + t2.
    scale, shift = np.ones(array.ndim), np.zeros(array.ndim)
    for step in (*level.coordinateTransformations, *(multiscale.coordinateTransformations or ())):
        if step.type == "scale":
            scale, shift = scale * step.scale, shift * step.scale
        else:
            shift = shift + step.translation
    along = [(axes.index(letter), multiscale.axes[axes.index(letter)].unit) for letter in "ZYX"]
    sizes = [length_um(scale[i], unit) for i, unit in along]
    origin_um = origin_or_zero([length_um(shift[i], unit) for i, unit in along])

    t = axes.find("T")
    time_step_s = step_s(scale[t], multiscale.axes[t].unit) if t >= 0 and multiscale.axes[t].unit else None

    # 3. Names and colours of channels; how this package made it.
    omero = metadata.get("omero")
    listed = omero.get("channels") if isinstance(omero, Mapping) else None
    channels = [c if isinstance(c, Mapping) else {} for c in listed] if isinstance(listed, list) else []
    names = tuple(str(channel.get("label") or "") for channel in channels)
    colors = tuple(f"#{str(c['color']).lstrip('#').lower()}" if c.get("color") else "" for c in channels)
    about = group.attrs.get(MADE_BY)
    if about is not None and not names and multiscale.name:
        names = (str(multiscale.name),)
    return StackFile(
        path,
        name,
        data,
        spacing_or_none(sizes),
        origin_um,
        names,
        colors,
        dict(about) if isinstance(about, Mapping) else None,
        backwards(sizes),
        time_step_s,
        position=position,
        coarser=coarser,
    )


def _coarser(
    group: zarr.Group, multiscale: v04.Multiscale | v05.Multiscale, finest: zarr.Array[Any]
) -> Iterator[zarr.Array[Any]]:
    """The levels below the finest one, as far as they can be read and are no longer than the one before."""
    import zarr

    before = finest
    for level in multiscale.datasets[1:]:
        try:
            array = group[level.path]
        except Exception:  # zarr raises many kinds; a level that is only for showing is done without
            return
        if not isinstance(array, zarr.Array) or array.ndim != finest.ndim or array.dtype != finest.dtype:
            return
        if any(n > m for n, m in zip(array.shape, before.shape, strict=True)):
            return
        yield array
        before = array


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
    if not isinstance(found, list) or not found:
        raise InputError(f"{path} holds no image; one OME-Zarr image is needed. Give the folder of an image inside it.")
    version = metadata.get("version") or (isinstance(found[0], Mapping) and found[0].get("version")) or "0.4"
    models: dict[object, type[v04.Multiscale | v05.Multiscale]] = {"0.4": v04.Multiscale, "0.5": v05.Multiscale}
    if not isinstance(version, str) or version not in models:
        raise InputError(f"{path} is OME-Zarr {str(version)[:40]}; 0.4 and 0.5 are read. Export the stack as OME-TIFF.")
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


def create_ome_zarr(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], facts: StackFacts) -> Pyramid:
    """Make an OME-Zarr 0.5 folder, all zero, axes as in ``facts``, with levels down to one that napari shows in 3D."""
    import zarr
    from yaozarrs import v05
    from yaozarrs.write.v05 import prepare_image

    kinds = {"T": v05.TimeAxis(name="t", unit="second" if facts.time_step_s else None), "C": v05.ChannelAxis(name="c")}
    kinds |= {axis: v05.SpaceAxis(name=axis.lower(), unit="micrometer") for axis in "ZYX"}
    axes, further = [kinds[axis] for axis in facts.axes], facts.axes[:-3]
    steps = [facts.time_step_s or 1.0 if axis == "T" else 1.0 for axis in further]
    shapes = [shape, *coarser_shapes(shape)]
    levels = []
    for number, voxels in enumerate(shapes):
        # A voxel of a coarser level lies in the middle of those that it is the mean of.
        factors = [2 ** round(np.log2(n / m)) for n, m in zip(shape[-3:], voxels[-3:], strict=True)]
        sizes = [factor * size for factor, size in zip(factors, facts.spacing_um, strict=True)]
        places = [
            origin + (factor - 1) / 2 * size
            for origin, factor, size in zip(facts.origin_um, factors, facts.spacing_um, strict=True)
        ]
        transformations = [
            v05.ScaleTransformation(scale=steps + sizes),
            v05.TranslationTransformation(translation=[0.0] * len(further) + places),
        ]
        levels.append(v05.Dataset(path=level_name(number), coordinateTransformations=transformations))
    image = v05.Image(multiscales=[v05.Multiscale(name=facts.channel_name or None, axes=axes, datasets=levels)])
    _, arrays = prepare_image(
        path,
        image,
        [(voxels, dtype) for voxels in shapes],
        extra_attributes={MADE_BY: dict(facts.description)},
        chunks=(1,) * len(further) + CHUNK,
        writer="zarr",
    )
    if "C" in further:  # without the intensities to show, which yaozarrs asks for and nobody knows yet
        names = facts.channel_names(shape[facts.axes.index("C")])
        group = zarr.open_group(path, mode="r+")
        group.attrs["ome"] = _ome_attributes(group) | {
            "omero": {"channels": [{"label": name, "color": "FFFFFF"} for name in names]}
        }
    return Pyramid(path, list(arrays.values()))


def reopen_ome_zarr(path: Path) -> Pyramid:
    """Open a folder that :func:`create_ome_zarr` made, to go on writing; OSError or ValueError if it is damaged."""
    import zarr

    group = zarr.open_group(path, mode="r+")
    found = (group[level_name(number)] for number in range(len(list(group.array_keys()))))
    return Pyramid(path, [array for array in found if isinstance(array, zarr.Array)])
