"""Opening any stack that can be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_deep3d.core import InputError
from napari_deep3d.io.imaris_ims import find_ims_images
from napari_deep3d.io.leica_lif import find_lif_images
from napari_deep3d.io.nikon_nd2 import find_nd2_images
from napari_deep3d.io.ome_companion import COMPANION, find_companion_images
from napari_deep3d.io.ome_zarr import find_ome_zarr_images
from napari_deep3d.io.stack_file import FoundImage, StackFile, stack_name
from napari_deep3d.io.tiff import find_tiff_images
from napari_deep3d.io.zeiss_czi import find_czi_images

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".tf2")
"""The last three are BigTIFF's."""
_MICROSCOPES = {
    ".nd2": find_nd2_images,
    ".lif": find_lif_images,
    ".czi": find_czi_images,
    ".ims": find_ims_images,
}
"""By the ending of microscopes' own files: what finds their images."""
STACK_SUFFIXES = (*TIFF_SUFFIXES, ".zarr", *_MICROSCOPES)
"""Endings of the files that are read; of a set of OME-TIFF files also the companion, which is no stack by itself."""
_MAX_LISTED = 12


def open_stack(path: str | Path, position: int | None = None, axes: str | None = None) -> StackFile:
    """Open an image of a TIFF file (OME-TIFF, ImageJ, Micro-Manager, plain multi-page) or an OME-Zarr folder, lazily.

    Microscopes' own files (Nikon ND2, Leica LIF, Zeiss CZI, Imaris) are opened in the same way, where the libraries for
    them are installed. Of an image of several resolutions the finest is taken.

    Parameters
    ----------
    path : str or Path
        A file, the companion file of a set of OME-TIFF files, or a folder that holds OME-Zarr (0.4, 0.5).
    position : int, optional
        Which one of a file that holds several images, such as the positions of an acquisition, counted from 0.
    axes : str, optional
        What the pages of a TIFF file are, slowest first, where its metadata do not say so or are wrong: ``Z``,
        ``C2,Z16``.

    Returns
    -------
    StackFile
        Its voxels with the axes T, C, Z, Y, X, and what the file says of voxel size, position and channels.

    Raises
    ------
    InputError
        If there is no such file, it is of another kind, damaged, a single plane, RGB, complex or boolean, or the
        library for it is missing; or if it holds several images and none was chosen, or there is no such one.
    """
    path = Path(path)
    images = _find_images(path, axes)
    stacks = [image for image in images if image.problem is None] or images
    if position is None and len(stacks) > 1:
        raise InputError(
            f"{stack_name(path)} holds {_contents(stacks)}: choose one with --position (position=...), counted from 0."
        )
    index = position or 0
    if not 0 <= index < len(stacks):
        raise InputError(
            f"position {index} was chosen, but {stack_name(path)} holds {_contents(stacks)}; "
            f"{'0 is' if len(stacks) == 1 else f'0 to {len(stacks) - 1} are'} allowed."
        )
    return stacks[index].open()


def find_stacks(path: str | Path, axes: str | None = None) -> list[FoundImage]:
    """Find the stacks of a file without opening them; their order is that of ``position``.

    ``axes`` and errors are as of :func:`open_stack`; if no image is a stack, the error says what the first one is.
    """
    images = _find_images(Path(path), axes)
    problems = [image.problem for image in images if image.problem is not None]
    if problems and len(problems) == len(images):
        raise problems[0]
    return [image for image in images if image.problem is None]


def open_stacks(path: str | Path) -> list[StackFile]:
    """Open all stacks of a file, as :func:`open_stack` does one; none if its images are photos, planes and the like.

    InputError if the file or one of its stacks cannot be read.
    """
    return [image.open() for image in _find_images(Path(path), None) if image.problem is None]


def _contents(stacks: list[FoundImage]) -> str:
    if len(stacks) == 1:
        return f"1 image of {stacks[0].size}"
    listed = [
        f"{index}: {f'{stack.name}, ' if stack.name else ''}{stack.size}"
        for index, stack in enumerate(stacks[:_MAX_LISTED])
    ]
    more = f"; and {len(stacks) - _MAX_LISTED} more" if len(stacks) > _MAX_LISTED else ""
    return f"{len(stacks)} images ({'; '.join(listed)}{more})"


def _find_images(path: Path, axes: str | None) -> list[FoundImage]:
    if path.is_dir():
        if axes is not None:
            raise InputError(f"--axes says what the pages of a TIFF file are; {path} is a folder. Leave it out.")
        return find_ome_zarr_images(path)
    if not path.exists():
        raise InputError(f"there is no file {path}. Check the name and the folder.")
    if path.suffix.lower() == ".zarr":
        raise InputError(f"{path} is a file; OME-Zarr is a folder. Unpack it, or give a .tif or .tiff file.")
    find = _finder(path)
    if axes is not None and find is not find_tiff_images:
        raise InputError(f"--axes says what the pages of a TIFF file are; {path} is none. Leave it out.")
    try:
        return find_tiff_images(path, axes) if find is find_tiff_images else find(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}. Check that you may read it.") from error


def _finder(path: Path) -> Callable[[Path], list[FoundImage]]:
    """What finds the images of a file, by its ending."""
    suffix = path.suffix.lower()
    if path.name.lower().endswith(COMPANION):
        return find_companion_images
    if suffix in TIFF_SUFFIXES:
        return find_tiff_images
    if suffix in _MICROSCOPES:
        return _MICROSCOPES[suffix]
    raise InputError(
        f"{path} is no stack that can be opened; TIFF ({', '.join(TIFF_SUFFIXES)}), OME-Zarr (.zarr) and microscopes' "
        f"own files ({', '.join(_MICROSCOPES)}) are read. Export it as OME-TIFF from the microscope's software, or "
        "with Fiji and Bio-Formats."
    )
