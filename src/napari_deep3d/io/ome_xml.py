"""OME-XML of TIFF files: the images of a file, and of the set that it belongs to.

A file of a set describes all images of the set. The ones read are those of which this file holds a plane; the others
are told of. Planes of such an image that lie in other files are read there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from tifffile import TiffFile

from napari_deep3d.core import InputError
from napari_deep3d.io.optics import Optics, stated_optics
from napari_deep3d.io.stack_file import MADE_BY, Metadata
from napari_deep3d.io.tiff_check import check_tiff
from napari_deep3d.io.tiff_planes import PLANE_AXES, Planes, TiffImage, unclear_axes
from napari_deep3d.io.units import backwards, length_um, origin_or_zero, spacing_or_none, step_s

_SIGNS = re.compile(r"<(\w+:)?OME[\s>]|openmicroscopy\.org/Schemas/OME")

_UTF16_SIGNS = ("\xff\xfe", "\xfe\xff")
"""How a text in UTF-16 begins."""


def description(tif: TiffFile) -> str:
    """Return the text that the first page of a file describes it with."""
    tag = tif.pages.first.tags.get(270)
    if tag is None:
        return ""
    if isinstance(tag.value, str) and tag.value[:2] not in _UTF16_SIGNS:
        return tag.value
    # Against the standard, and tifffile gives up at the first zero byte.
    tif.filehandle.seek(tag.valueoffset)
    raw = tif.filehandle.read(tag.valuebytecount)
    return raw.decode("utf-16" if raw[:2].decode("latin-1") in _UTF16_SIGNS else "latin-1", "replace").split("\0")[0]


def has_ome_xml(tif: TiffFile) -> bool:
    """Whether a file has OME-XML, be it damaged."""
    return _SIGNS.search(description(tif)) is not None


def ome_metadata(tif: TiffFile) -> Metadata:
    """What OME-XML says of a file's only image; nothing if it is damaged, has several, or does not fit the pages."""
    try:
        root = ElementTree.fromstring(description(tif))
    except (ElementTree.ParseError, ValueError):
        return Metadata()
    images, page = root.findall("{*}Image"), tif.pages.first
    pixels = images[0].find("{*}Pixels") if len(images) == 1 else None
    if pixels is None or (pixels.get("SizeY"), pixels.get("SizeX")) != (str(page.imagelength), str(page.imagewidth)):
        return Metadata()
    return _metadata(root, images[0], pixels)


def ome_images(path: Path, tif: TiffFile, in_set: bool = False) -> list[TiffImage]:
    """Return the images of which a file holds planes; ``in_set`` as in :func:`~napari_deep3d.io.tiff.find_tiff_images`.

    Raises
    ------
    InputError
        If the OME-XML cannot be read or does not fit the file's pages, the companion file that holds it is missing, or
        so are files without which no stack is whole.
    """
    source = _Source(path, len(tif.pages), tif.pages[len(tif.pages) - 1].aspage().samplesperpixel)
    own = _read_xml(source, description(tif), "OME-XML")
    root, uuid = own, own.get("UUID")
    elsewhere = own.find("{*}BinaryOnly")
    if elsewhere is not None:
        root = _companion(source, elsewhere.get("MetadataFile", ""))
    files = _Files(path, tif)
    images = root.findall("{*}Image")
    placed = [(image, list(_places(source, image))) for image in images]
    is_own = _ownership(path, uuid, [place for _, places in placed for place in places])
    if not images:
        raise source.unclear("its OME-XML describes no image")
    with ExitStack() as stack:
        stack.callback(files.close)
        found, claimed, others = [], set[int](), list[Element]()
        for image, places in placed:
            if not any(is_own(place) for place in places):
                others.append(image)
                continue
            planes = _planes(source, image, places, is_own, files, claimed)
            about = _metadata(root, image, _pixels(source, image))
            found.append((image, planes, about))
        if not found:
            names = list(dict.fromkeys(place.file for _, places in placed for place in places if place.file))
            raise InputError(
                f"the OME-XML of {path} names other files ({', '.join(names[:3]) or 'none'}) for all of its planes. "
                "Was it renamed? Give it the name that is listed, or say what its pages are: --axes Z (axes=...)."
            )
        _check_unclaimed(source, tif, claimed, found[0][1])
        notices = () if in_set else _others_in_words(path, others, placed)
        return [
            planes.image(path, about._replace(notices=about.notices + notices), image.get("Name") or "", "OME-XML")
            for image, planes, about in found
        ]


@dataclass(frozen=True)
class _Source:
    """The file that was opened."""

    path: Path
    n_pages: int
    samples_per_pixel: int

    def unclear(self, reason: str) -> InputError:
        """The error of OME-XML that does not tell what the pages are."""
        return unclear_axes(self.path, reason, self.n_pages)


def _read_xml(source: _Source, text: str, what: str) -> Element:
    try:
        # Python's reader takes a text as it is, whatever encoding its first line declares.
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise source.unclear(f"its {what} cannot be read ({error})") from error


def _companion(source: _Source, name: str) -> Element:
    """Read the OME-XML of a set from the file that holds it, a companion file or another TIFF."""
    path, file = source.path, source.path.parent / inside(name)
    if not name or not file.is_file():
        raise InputError(
            f"{path} holds voxels only: its voxel size and axes are in {name or 'another file'}, which is not there. "
            "Put that file beside it, or say what the pages are, such as --axes Z (axes=...), and give --spacing."
        )
    if file.suffix.lower() == ".ome":
        return _read_xml(source, file.read_text(encoding="utf-8", errors="replace"), f"OME-XML in {name}")
    check_tiff(file)
    with TiffFile(file) as tif:
        return _read_xml(source, description(tif), f"OME-XML in {name}")


def inside(name: str) -> PurePosixPath:
    """A file's name as a path below the folder of its set, never above it."""
    given = PurePosixPath(name.replace("\\", "/"))
    return PurePosixPath(given.name) if given.is_absolute() or ".." in given.parts else given


class _Place(NamedTuple):
    """A run of planes in a file: ``rank`` of the first one in its image, ``ifd`` of its page, how many (None: all)."""

    rank: int
    ifd: int
    length: int | None
    file: str
    uuid: str


def _pixels(source: _Source, image: Element) -> Element:
    pixels = image.find("{*}Pixels")
    if pixels is None:
        raise source.unclear("an image of its OME-XML has no pixels")
    return pixels


def _layout(source: _Source, image: Element) -> Planes:
    """The planes of an image, by its sizes and its order of dimensions; a page may hold several channels."""
    pixels = _pixels(source, image)
    order = pixels.get("DimensionOrder", "XYZCT")
    try:
        counts = {axis: int(pixels.get(f"Size{axis}", "")) for axis in PLANE_AXES}
        samples = [int(channel.get("SamplesPerPixel") or 1) for channel in pixels.findall("{*}Channel")]
    except ValueError as error:
        raise source.unclear(f"a size in its OME-XML is no number ({error})") from error
    if sorted(order[2:]) != sorted(PLANE_AXES) or min(counts.values()) < 1 or len(set(samples)) > 1:
        raise source.unclear(f"its OME-XML has the axes {order} of lengths {counts}")
    counts["C"] = max(counts["C"] // max([*samples, source.samples_per_pixel]), 1)
    return Planes(order[:1:-1], counts)


def _places(source: _Source, image: Element) -> Iterator[_Place]:
    """Where the planes of an image lie: all of its pages in order, unless it says otherwise."""
    planes = _layout(source, image)
    blocks = _pixels(source, image).findall("{*}TiffData")
    for block in blocks or [Element("TiffData")]:
        uuid = block.find("{*}UUID")
        try:
            ifd = int(block.get("IFD") or 0)
            stated = block.get("PlaneCount") or block.get("NumPlanes")
            count = int(stated) if stated else 1 if block.get("IFD") else None
            rank = planes.rank(**{axis: int(block.get(f"First{axis}") or 0) for axis in PLANE_AXES})
        except (ValueError, IndexError) as error:
            raise source.unclear(f"its OME-XML places a plane where none can be ({error})") from error
        name, text = ("", "") if uuid is None else (uuid.get("FileName") or "", (uuid.text or "").strip())
        yield _Place(rank, ifd, count, name, text)


def _ownership(path: Path, uuid: str | None, places: list[_Place]) -> Callable[[_Place], bool]:
    """A function that tells whether a place is in this file: by its name, or where no name is this file's by its id."""
    files = {(place.file, place.uuid) for place in places if place.file or place.uuid}
    named = {file for file in files if PurePosixPath(file[0]).name.casefold() == path.name.casefold()}
    by_id = {file for file in named or files if uuid is not None and file[1] == uuid}
    # Files of one name in several folders: the one whose folder is this one's too.
    near = {file for file in named if PurePosixPath(file[0]).parts[-2:-1] == path.absolute().parts[-2:-1]}
    own = named if len({file for file, _ in named}) < 2 else by_id or near or named
    if not named:
        # A file of its own that was renamed: the one that is named is not there.
        own = by_id or (files if len(files) == 1 and not _is_there(path, next(iter(files))[0]) else set())
    return lambda place: not (place.file or place.uuid) or (place.file, place.uuid) in own


def _is_there(path: Path, name: str) -> bool:
    return bool(name) and (path.parent / inside(name)).is_file()


class _Files:
    """The files of a set, opened when a plane of theirs is asked for."""

    def __init__(self, path: Path, tif: TiffFile) -> None:
        self.path, self.tif = path, tif
        self._others: dict[str, TiffFile | None] = {}

    def other(self, name: str) -> TiffFile | None:
        """Another file of the set by name, or None if it is not there."""
        if name not in self._others:
            file = self.path.parent / inside(name)
            if _is_there(self.path, name):
                check_tiff(file)
                self._others[name] = TiffFile(file)
            else:
                self._others[name] = None
        return self._others[name]

    def close(self) -> None:
        """Close the others; their pages open them again."""
        for tif in self._others.values():
            if tif is not None:
                tif.close()


def _planes(
    source: _Source,
    image: Element,
    places: list[_Place],
    is_own: Callable[[_Place], bool],
    files: _Files,
    claimed: set[int],
) -> Planes:
    """The pages that hold an image's planes; those of this file are added to ``claimed``."""
    planes, pixels = _layout(source, image), _pixels(source, image)
    size = f"{pixels.get('SizeY')} x {pixels.get('SizeX')}"
    for place in places:
        own = is_own(place)
        tif = files.tif if own else files.other(place.file)
        last = planes.n_planes - place.rank
        if tif is None:
            planes.put_elsewhere(place.rank, min(place.length or 1, last), place.file or place.uuid)
            continue
        count = place.length if place.length is not None else len(tif.pages) - place.ifd
        if count > last:
            raise source.unclear(f"its OME-XML lists {planes.in_words()}, and the file has more")
        for k in range(count):
            if not 0 <= place.ifd + k < len(tif.pages):
                break  # an acquisition that was stopped lists what it did not take
            page = tif.pages[place.ifd + k].aspage()
            actual = f"{page.imagelength} x {page.imagewidth}"
            if size != actual:
                raise source.unclear(f"its OME-XML speaks of {size} pixels, its pages have {actual}")
            planes.put(place.rank + k, page)
            if own:
                claimed.add(place.ifd + k)
    return planes


def _check_unclaimed(source: _Source, tif: TiffFile, claimed: set[int], planes: Planes) -> None:
    """Refuse a file whose OME-XML leaves pages over that are like those of an image; a preview is of another size."""
    kind = {tif.pages[i].hash for i in claimed}
    left = [i for i, page in enumerate(tif.pages) if i not in claimed and page.hash in kind]
    if left:
        raise source.unclear(f"its OME-XML lists {planes.in_words()}, which leaves {len(left)} pages over")


def _others_in_words(path: Path, others: list[Element], placed: list[tuple[Element, list[_Place]]]) -> tuple[str, ...]:
    if not others:
        return ()
    files = list(dict.fromkeys(place.file for image, places in placed if image in others for place in places))
    names = [file for file in files if file]
    where = f" in {', '.join(names[:3])}{' and others' if len(names) > 3 else ''}" if names else ""
    many = "another image" if len(others) == 1 else f"{len(others)} other images"
    return (f"{path.name} is one file of a set; its metadata also describe {many}{where}, not read here.",)


def _metadata(root: Element, image: Element, pixels: Element) -> Metadata:
    """Physical sizes, position of the first plane, names and colours of the channels."""
    sizes = [
        length_um(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "ZYX"
    ]
    first = next((p for p in pixels.findall("{*}Plane") if all(p.get(f"The{axis}") == "0" for axis in "TCZ")), None)
    # Without a unit a position counts in OME's "reference frame", which is no length.
    positions = [
        None if first is None else length_um(first.get(f"Position{axis}"), first.get(f"Position{axis}Unit"))
        for axis in "ZYX"
    ]
    channels = pixels.findall("{*}Channel")
    return Metadata(
        spacing_or_none(sizes),
        origin_or_zero(positions),
        tuple(channel.get("Name", "") for channel in channels),
        tuple(_color(channel.get("Color")) for channel in channels),
        _own_description(image) if root.get("Creator") == MADE_BY else None,
        backwards(sizes),
        step_s(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s")),
        _optics(root, image, channels),
    )


def _optics(root: Element, image: Element, channels: list[Element]) -> Optics:
    """Aperture and immersion of the image's objective, or of the only one there is, and wavelengths of its channels."""
    settings = image.find("{*}ObjectiveSettings")
    objectives = root.findall("{*}Instrument/{*}Objective")
    if settings is not None:
        objectives = [each for each in objectives if each.get("ID") == settings.get("ID")]
    objective = objectives[0] if len(objectives) == 1 else Element("Objective")
    used = Element("ObjectiveSettings") if settings is None else settings
    emissions_um = [
        length_um(each.get("EmissionWavelength"), each.get("EmissionWavelengthUnit", "nm")) for each in channels
    ]
    return stated_optics(
        objective.get("LensNA"),
        used.get("RefractiveIndex"),
        (used.get("Medium"), objective.get("Immersion")),
        (None if um is None else round(1000 * um, 3) for um in emissions_um),
    )


def _color(number: str | None) -> str:
    """``#rrggbb`` of a channel's colour, which OME packs into a signed number, red first and opacity last."""
    try:
        return f"#{(int(number or '') & 0xFFFFFFFF) >> 8:06x}"
    except ValueError:
        return ""


def _own_description(image: Element) -> dict[str, object] | None:
    try:
        found = json.loads(image.findtext("{*}Description") or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
