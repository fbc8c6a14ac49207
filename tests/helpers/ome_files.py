"""OME-TIFF files as microscopes write them: in sets, with any OME-XML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tifffile
from numpy.typing import NDArray

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def uuid(number: int) -> str:
    """The id of a file."""
    return f"urn:uuid:00000000-0000-4000-8000-{number:012d}"


def block(ifd: int = 0, file: str = "", number: int = 0, **first: int) -> str:
    """Where one plane lies: ``first`` its Z, C, T; ``file`` and its number, or this very file."""
    places = " ".join(f'First{axis}="{index}"' for axis, index in first.items())
    named = f'<UUID FileName="{file}">{uuid(number)}</UUID>' if file else ""
    return f'<TiffData IFD="{ifd}" PlaneCount="1" {places}>{named}</TiffData>'


def image(
    sizes: Sequence[int],
    blocks: Iterable[str] = ("<TiffData/>",),
    *,
    spacing_um: Sequence[float] = (0.5, 0.2, 0.2),
    name: str = "",
    order: str = "XYZCT",
    more: str = "",
) -> str:
    """An image of sizes T, C, Z, Y, X and voxel size Z, Y, X."""
    size = " ".join(f'Size{axis}="{n}"' for axis, n in zip("TCZYX", sizes, strict=True))
    physical = " ".join(f'PhysicalSize{axis}="{um}"' for axis, um in zip("ZYX", spacing_um, strict=True))
    channels = '<Channel ID="Channel:0" SamplesPerPixel="1"/>' * sizes[1]
    return (
        f'<Image ID="Image:0" Name="{name}"><Pixels ID="Pixels:0" DimensionOrder="{order}" Type="uint16" {size} '
        f"{physical} {more}>{channels}{''.join(blocks)}</Pixels></Image>"
    )


def ome(*contents: str, number: int = 0) -> str:
    """A whole OME-XML text."""
    body = "".join(contents)
    return f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{NAMESPACE}" UUID="{uuid(number)}">{body}</OME>'


def write_pages(path: Path, pages: Iterable[NDArray[Any]], description: str | bytes = "", **options: Any) -> Path:
    """Write pages one by one, the first one with a description."""
    with tifffile.TiffWriter(path, ome=False) as tif:
        for index, page in enumerate(pages):
            text = (description.encode() if isinstance(description, str) else description) if index == 0 else None
            tif.write(page, description=text or None, metadata=None, contiguous=False, **options)
    return path
