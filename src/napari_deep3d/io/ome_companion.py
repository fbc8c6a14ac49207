"""The companion file of a set of OME-TIFF files, which describes all of their images and holds no voxel."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from napari_deep3d.core import InputError
from napari_deep3d.io.file_kind import reading_as
from napari_deep3d.io.ome_xml import inside
from napari_deep3d.io.stack_file import FoundImage, StackFile, size_in_words
from napari_deep3d.io.tiff import find_tiff_images

COMPANION = ".companion.ome"
KIND = "an OME companion file"


def find_companion_images(path: Path) -> list[FoundImage]:
    """Return the images of a set, each through the first of its files.

    Raises
    ------
    InputError
        If the companion file is damaged or describes no image. An image that cannot be read, such as one whose file is
        not there, says so when it is opened, so that the others keep their numbers.
    OSError
        If it cannot be read at all.
    """
    with reading_as(path, KIND, (OSError,)):
        root = ElementTree.fromstring(path.read_text(encoding="utf-8", errors="replace"))
        images = root.findall("{*}Image")
        files = [_files(image) for image in images]
        sizes = [_size(image) for image in images]
    if not images:
        raise InputError(f"{path} describes no image; the companion file of a set of OME-TIFF files is needed.")
    opened = dict[str, list[FoundImage]]()
    found = []
    for index, image in enumerate(images):
        name = image.get("Name") or f"image {index}"
        try:
            found.append(_image(path, index, name, files, opened))
        except InputError as error:
            found.append(FoundImage(name, sizes[index], None, partial(_fail, error)))
    return found


def _image(
    path: Path, index: int, name: str, files: list[list[str]], opened: dict[str, list[FoundImage]]
) -> FoundImage:
    """Find an image in the first of its files that is there; ``opened`` keeps the images of each file."""
    named = files[index]
    first = next((file for file in named if (path.parent / inside(file)).is_file()), None)
    if first is None:
        missing = (
            f"{', '.join(named[:3])} {'is' if len(named) == 1 else 'are'}" if named else "the file of its planes is"
        )
        raise InputError(
            f"{name} of {path} cannot be read: {missing} not there. Put the other files of the set beside the "
            "companion file."
        )
    if first not in opened:
        opened[first] = find_tiff_images(path.parent / inside(first), in_set=True)
    # The file gives those images that it holds planes of, in the companion's order.
    if len(opened[first]) != sum(first in each for each in files):
        raise InputError(
            f"{first} does not hold the images that {path} lists for it. Give {first} itself, or export the set again."
        )
    return opened[first][sum(first in earlier for earlier in files[:index])]


def _fail(error: InputError) -> StackFile:
    raise error


def _files(image: Element) -> list[str]:
    """Names of the files that hold an image's planes, each once."""
    named = image.findall("{*}Pixels/{*}TiffData/{*}UUID")
    return list(dict.fromkeys(each.get("FileName", "") for each in named))


def _size(image: Element) -> str:
    pixels = image.find("{*}Pixels")
    sizes = {} if pixels is None else pixels.attrib
    return size_in_words("TCZYX", [int(sizes.get(f"Size{axis}", 1)) for axis in "TCZYX"])
