"""Sample data for napari's File > Open Sample."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pooch

from napari_deep3d.core import InputError, Volume, drain
from napari_deep3d.data import THICK_CONFOCAL, THICK_WIDEFIELD
from napari_deep3d.io import layer_stack, open_stack, save_stack

LayerData = tuple[Any, dict[str, Any], str]
"""What napari makes a layer of: the voxels, the layer's properties, and the kind of layer."""

NUCLEUS_URL = (
    "https://github.com/NEUBIAS/training-resources/raw/8bbaa51d4df0edb61b36bf6a437c695bae1fe3ef/"
    "image_data/xyzc_16bit__dna_conf_wf.tif"
)
NUCLEUS_SHA256 = "3fe86325a5bb812450bab4ee8e18274c7732caff341114009bb2b56544208bb4"
TIMEOUT_SECONDS = 20


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
