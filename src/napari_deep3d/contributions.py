"""What napari calls: sample data, and a reader and a writer of stacks that keep size and place."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pooch

from napari_deep3d.core import InputError, Volume, drain
from napari_deep3d.data import THICK_CONFOCAL, THICK_WIDEFIELD
from napari_deep3d.io import METADATA_KEY, StackFile, layer_stack, open_stack, open_stacks, save_stack, shown_levels

LayerData = tuple[Any, dict[str, Any], str]
"""What napari makes a layer of: the voxels, the layer's properties, and the kind of layer."""

NUCLEUS_URL = (
    "https://github.com/NEUBIAS/training-resources/raw/8bbaa51d4df0edb61b36bf6a437c695bae1fe3ef/"
    "image_data/xyzc_16bit__dna_conf_wf.tif"
)
NUCLEUS_SHA256 = "3fe86325a5bb812450bab4ee8e18274c7732caff341114009bb2b56544208bb4"
TIMEOUT_SECONDS = 20
LOADED_BYTES = 2**28
"""Larger stacks stay on disk; a loaded one is an ordinary array, and keeps no file open."""
COLORMAPS = ("green", "magenta", "cyan", "yellow", "red", "blue")
"""Of channels without a colour of their own."""
NAPARIS = (".tif", ".tiff", ".zarr")
"""Endings of files of which napari reads photos and planes."""


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]]:
    """Return the function that opens a file for napari; of several files as one stack, napari's own."""
    return read_stacks if isinstance(path, str) else _read_as_napari


def read_stacks(path: str | list[str]) -> list[LayerData]:
    """Open a file with voxel size, position, units and names: a layer for each position and channel.

    A stack that this package wrote comes back as it was. What is no stack, such as a photo, is left to napari, if it
    knows files of that kind.

    Raises
    ------
    InputError
        If the file is damaged, it is unclear what its pages are, or the library for it is missing; or if a microscope's
        own file holds no stack.
    """
    stacks = open_stacks(str(path))
    if not stacks and Path(str(path)).suffix.lower() in NAPARIS:
        return _read_as_napari(path)
    if not stacks:
        raise _no_stack(str(path))
    notices = dict.fromkeys(notice for stack in stacks for notice in stack.notices)
    if notices:
        from napari.utils.notifications import show_info

        show_info("\n".join(notices))
    layers = []
    for index, stack in enumerate(stacks):
        name = stack.name if len(stacks) == 1 else f"{stack.name}, {stack.position or index}"
        layers += [
            _channel_layer(stack, name, channel)
            for channel in range(stack.n_channels)
            if any((time, channel) not in stack.missing for time in range(stack.n_times))
        ]
    return layers


def _channel_layer(stack: StackFile, name: str, channel: int) -> LayerData:
    """One channel of a stack, axes (Z, Y, X), or (T, Z, Y, X) if there are several time points."""
    times = stack.n_times > 1
    fixed = {"C": channel} if times else {"C": channel, "T": 0}
    view = stack.data.at(**fixed)
    size = int(np.prod(view.shape)) * view.dtype.itemsize
    if size <= LOADED_BYTES:
        data: Any = view[...]
    else:
        mapped = view.mapped()
        data = view if mapped is None else mapped
    label = stack.channel_names[channel]
    if stack.n_channels > 1:
        name = f"{label or f'channel {channel}'} of {name}"
    elif label and stack.description is not None:
        name = label
    if size > LOADED_BYTES and stack.coarser:
        data = shown_levels([view, *(level.at(**fixed) for level in stack.coarser)])
    properties: dict[str, Any] = {"name": name, "axis_labels": ("t", "z", "y", "x")[not times :], "colormap": "gray"}
    properties["multiscale"] = isinstance(data, list)
    if stack.n_channels > 1:
        color = stack.channel_colors[channel]
        plain = color in ("", "#000000", "#ffffff")
        properties["colormap"] = COLORMAPS[channel % len(COLORMAPS)] if plain else color
        properties["blending"] = "additive"
    if stack.spacing_um is not None:
        properties["scale"] = (stack.time_step_s or 1.0,) * times + stack.spacing_um
        properties["translate"] = (0.0,) * times + stack.origin_um
        properties["units"] = ("s" if stack.time_step_s else "pixel",) * times + ("um",) * 3
    if stack.description is not None:
        properties["metadata"] = {METADATA_KEY: stack.description}
    return data, properties, "image"


def _read_as_napari(path: str | list[str]) -> list[LayerData]:
    from napari_builtins.io import napari_get_reader  # type: ignore[import-untyped]

    layers: list[LayerData] = napari_get_reader(path)(path)
    return layers


def _no_stack(path: str) -> InputError:
    """Return the error of a file that holds no z-stack: what its first image is instead."""
    try:
        open_stack(path, position=0)
    except InputError as error:
        return error
    return InputError(f"{path} cannot be opened here.")


def thick_pair() -> list[LayerData]:
    """Return a simulated thick sample: wide-field, then confocal, axes (Z, Y, X), with voxel size in um."""
    widefield = open_stack(THICK_WIDEFIELD).volume()
    confocal = open_stack(THICK_CONFOCAL).volume()
    return [_layer(widefield, "thick sample, wide-field"), _layer(confocal, "thick sample, confocal", visible=False)]


def nucleus_pair() -> list[LayerData]:
    """Return one nucleus, wide-field and confocal, downloaded once (NEUBIAS training resources, CC BY 4.0).

    The stacks are not registered: the wide-field one lies about 1.1 um off in z and 1.8 um in x. The voxel size is
    that of the file's tags; its notes of the acquisition give half as much laterally, from before it was reduced.

    Raises
    ------
    InputError
        If the file can be neither found in the cache nor downloaded whole.
    """
    stack = open_stack(_download(NUCLEUS_URL, NUCLEUS_SHA256, "nucleus_confocal_widefield.tif"))
    widefield, confocal = stack.volume(channel=1), stack.volume(channel=0)
    return [_layer(widefield, "nucleus, wide-field"), _layer(confocal, "nucleus, confocal", visible=False)]


def write_image(path: str, data: Any, properties: dict[str, Any]) -> list[str]:
    """Save an image layer as OME-TIFF or OME-Zarr with voxel size and position, which napari's own writer drops.

    Warns, which napari shows, of what the file cannot hold: a rotation, say.

    Parameters
    ----------
    path : str
        File to write; napari has asked whether it may be replaced.
    data : array of voxels, or of a pyramid a list of arrays
        Axes Z, Y, X, and time, channel and axes of length 1.
    properties : dict
        The layer's, as napari gives them.

    Raises
    ------
    OSError
        If the layer is no stack or has no voxel size, or the file cannot be written; napari drops an InputError, since
        it takes a ValueError for a writer that is missing.
    """
    try:
        stack = layer_stack(data, properties)
        drain(save_stack(path, stack.voxels, stack.facts, overwrite=True))
    except InputError as error:
        raise OSError(str(error)) from error
    if stack.notice:
        warnings.warn(stack.notice, stacklevel=2)
    return [path]


def _layer(volume: Volume, name: str, *, visible: bool = True) -> LayerData:
    properties = {
        "name": name,
        "scale": volume.require_spacing_um(),
        "units": ("um",) * 3,
        "axis_labels": ("z", "y", "x"),
        "colormap": "gray",
        "visible": visible,
    }
    return np.asarray(volume.data[:, :, :]), properties, "image"


def _download(url: str, sha256: str, name: str) -> Path:
    """Download a file once, or return it from the cache; it is checked either way."""
    folder = pooch.os_cache("napari-deep3d")
    downloader = pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS)
    try:
        return Path(pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder, downloader=downloader))
    except OSError as error:  # requests' errors are OSErrors too
        raise InputError(
            f"The sample could not be downloaded ({type(error).__name__}). It needs the internet, once. "
            "Connect and try again, or open the simulated pair instead, which works offline, or fetch\n"
            f"{url}\non another computer and save it as {Path(folder) / name}."
        ) from error
    except ValueError as error:  # the checksum is another
        raise InputError(
            f"What was downloaded from {url} is not the expected file (another checksum); it was not kept. "
            "A proxy or a login page may have answered instead: try again on another network."
        ) from error
