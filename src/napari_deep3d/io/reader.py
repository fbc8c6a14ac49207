"""Opening any stack that can be read."""

from __future__ import annotations

from pathlib import Path

from napari_deep3d.core import InputError
from napari_deep3d.io.ome_zarr import open_ome_zarr
from napari_deep3d.io.stack_file import StackFile
from napari_deep3d.io.tiff import open_tiff

TIFF_SUFFIXES = (".tif", ".tiff")


def open_stack(path: str | Path) -> StackFile:
    """Open a TIFF file (OME-TIFF, ImageJ, plain multi-page) or an OME-Zarr folder (0.4, 0.5), lazily.

    A file of several images gives its first one, an image of several resolutions its finest.

    Parameters
    ----------
    path : str or Path
        A ``.tif`` or ``.tiff`` file, or a folder that holds OME-Zarr.

    Returns
    -------
    StackFile
        Its voxels with the axes T, C, Z, Y, X, and what the file says of voxel size, position and channels.

    Raises
    ------
    InputError
        If there is no such file, it is of another kind, damaged, a single plane, RGB, complex or boolean.
    """
    path = Path(path)
    if path.is_dir():
        return open_ome_zarr(path)
    if not path.exists():
        raise InputError(f"there is no file {path}. Check the name and the folder.")
    if path.suffix.lower() == ".zarr":
        raise InputError(f"{path} is a file; OME-Zarr is a folder. Unpack it, or give a .tif or .tiff file.")
    if path.suffix.lower() not in TIFF_SUFFIXES:
        raise InputError(
            f"{path} is no stack that can be opened; TIFF (.tif, .tiff) and OME-Zarr (.zarr) are read. "
            "Export it as OME-TIFF from the microscope's software, or with Fiji and Bio-Formats."
        )
    try:
        return open_tiff(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}. Check that you may read it.") from error
