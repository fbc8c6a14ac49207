"""Planes of a TIFF image: which page holds which, and what is missing."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFile, TiffPage, TiffPageSeries

from napari_deep3d.core import InputError
from napari_deep3d.io.stack_file import Metadata

PLANE_AXES = "TCZ"
MAX_PLANES = 1_000_000
_COLOURS = (2, 5, 6, 8)
"""Photometric interpretations of pages that are pictures in colour: RGB, CMYK, YCbCr, CIELab."""


@dataclass(frozen=True)
class TiffImage:
    """An image of a TIFF file, as tifffile reads it.

    ``position`` is the index along tifffile's axis R, for images that lie in one series; ``missing`` as in
    :class:`~napari_deep3d.io.stack_file.StackFile`.
    """

    series: TiffPageSeries
    about: Metadata = field(default_factory=Metadata)
    name: str = ""
    position: int = 0
    missing: Mapping[tuple[int, int], str] = field(default_factory=dict)

    @property
    def is_rgb(self) -> bool:
        """Whether the samples of a pixel are the colours of a photo; 16 bits of three channels are none."""
        page = self.series.keyframe
        return page.photometric in _COLOURS and page.dtype is not None and page.dtype.itemsize == 1


class Planes:
    """Pages laid out along T, C and Z.

    Parameters
    ----------
    order : str
        The letters T, C, Z, that which changes slowest first.
    counts : mapping of str to int
        Number of time points, channels and planes.
    """

    def __init__(self, order: str, counts: Mapping[str, int]) -> None:
        self.order, self.counts = order, dict(counts)
        if math.prod(self._shape) > MAX_PLANES:
            raise InputError(f"{self.in_words()} are listed; no file holds so many. Export the stack again.")
        self._files: list[str] = []

    @cached_property
    def _pages(self) -> NDArray[np.object_]:
        return np.full(self._shape, None, dtype=object)

    @cached_property
    def _elsewhere(self) -> NDArray[np.int32]:
        """By plane: 1 + the index of the file that it should be in and that is not there."""
        return np.zeros(self._shape, dtype=np.int32)

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(self.counts[axis] for axis in self.order)

    @property
    def n_planes(self) -> int:
        """Number of planes that there should be."""
        return math.prod(self._shape)

    @property
    def n_present(self) -> int:
        """Number of planes that there are."""
        return int((self._pages != None).sum())  # noqa: E711  (element by element)

    def rank(self, **index: int) -> int:
        """Position of a plane in the order; IndexError if there is no such plane."""
        if any(not 0 <= index[axis] < self.counts[axis] for axis in self.order):
            raise IndexError(f"no plane {index} among {self.counts}")
        return int(np.ravel_multi_index([index[axis] for axis in self.order], self._shape))

    def put(self, rank: int, page: TiffPage) -> None:
        """Set the page that holds a plane."""
        self._pages.reshape(-1)[rank] = page

    def put_elsewhere(self, rank: int, count: int, file: str) -> None:
        """Note the file that some planes should be in, and that is not there."""
        if file not in self._files:
            self._files.append(file)
        self._elsewhere.reshape(-1)[rank : rank + count] = 1 + self._files.index(file)

    def in_words(self) -> str:
        """How many of what there should be."""
        words = zip(PLANE_AXES, ("time point", "channel", "plane"), strict=True)
        times, channels, planes = (f"{n} {word}{'s' * (n != 1)}" for n, word in ((self.counts[a], w) for a, w in words))
        return f"{times}, {channels} and {planes}"

    def image(self, path: Path, about: Metadata, name: str, what: str) -> TiffImage:
        """Return the image of the time points that are finished.

        Later ones that are not, of an acquisition that was stopped, are left out, with a notice; of others the stacks
        that are not whole are told in ``missing``. ``what`` lists the planes, such as "OME-XML".

        Raises
        ------
        InputError
            If no stack is whole, or planes are missing for another reason than these.
        """
        # 1. Which stacks are whole, by time point and channel, and how many time points to keep.
        along = [self.order.index(axis) for axis in PLANE_AXES]
        whole = (self._pages.transpose(along) != None).all(axis=2)  # noqa: E711
        files = self._files
        if not whole.any():
            if files:
                raise InputError(
                    f"{path} lacks planes that its {what} lists: {_absent(files)}. "
                    "Put the other files of the acquisition beside it, or export the stack as one file."
                )
            raise unclear_axes(path, f"its {what} lists {self.in_words()}", self.n_present)
        channels = whole.any(axis=0)
        finished = whole[:, channels].all(axis=1)
        n_times = int(np.flatnonzero(finished if finished.any() else whole.any(axis=1))[-1]) + 1

        # 2. What is not whole within them: in a file that is not there, or never taken.
        missing = {}
        for time, channel in np.argwhere(~whole[:n_times]):
            codes = np.unique(self._elsewhere.transpose(along)[time, channel])
            names = [files[code - 1] for code in codes if code]
            if not names and not files and what == "OME-XML":
                raise unclear_axes(path, f"its {what} lists {self.in_words()}", self.n_present)
            missing[int(time), int(channel)] = (
                _absent(names) if names else f"it was not acquired as its {what} lists it"
            )

        # 3. Say so.
        notices = list(about.notices)
        if n_times < self.counts["T"]:
            reason = _absent(files) or "the acquisition was stopped before its end, or the file is cut off"
            notices.append(
                f"{path.name} has {n_times} of the {self.counts['T']} time points that its {what} lists ({reason}); "
                "these are read."
            )
        elif files:
            notices.append(f"{path.name} is not all of its image: {_absent(files)}; that part cannot be chosen.")
        kept = np.take(self._pages, range(n_times), axis=self.order.index("T"))
        series = pages_as_series(path, list(kept.reshape(-1)), self.order, kept.shape)
        return TiffImage(series, about._replace(notices=tuple(notices)), name, missing=missing)


def pages_as_series(path: Path, pages: list[TiffPage | None], order: str, shape: Sequence[int]) -> TiffPageSeries:
    """Make an image of pages, laid out along axes; InputError if they differ in size or kind."""
    present = [page for page in pages if page is not None]
    first = present[0]
    if len({(page.shape, page.dtype) for page in present}) > 1:
        sizes = sorted({f"{page.imagelength} x {page.imagewidth}" for page in present})
        raise InputError(
            f"the planes of {path} differ ({' and '.join(sizes)} pixels, or another kind of number); those of one "
            "stack are alike. Export the stack again."
        )
    if len({page.hash for page in present}) > 1:
        raise InputError(f"the planes of {path} are stored in different ways. Export the stack again, as one file.")
    return TiffPageSeries(
        pages,
        (*shape, *first.shape),
        first.dtype,
        order + first.axes,
        parent=first.parent,
        multifile=len({id(page.parent) for page in present}) > 1,
        squeeze=False,
    )


class PageAxis(NamedTuple):
    """One of the axes along which pages follow each other; of length None if the number of pages tells it."""

    letter: str
    size: int | None


def parse_axes(text: str) -> tuple[PageAxis, ...]:
    """Read what a user says of the order of pages, slowest first: ``C2,Z16``, ``C2,Z`` or just ``Z``.

    Y and X may follow. InputError if it is something else.
    """
    compact = re.sub(r"[\s,;]", "", text).upper().removesuffix("YX")
    parts = re.findall(r"([TCZ])(\d*)", compact)
    axes = tuple(PageAxis(letter, int(size) if size else None) for letter, size in parts)
    letters, unknown = [axis.letter for axis in axes], [axis for axis in axes if axis.size is None]
    if "".join(letter + size for letter, size in parts) != compact or not axes or len(set(letters)) < len(letters):
        wrong = True
    else:
        wrong = len(unknown) > 1 or 0 in [axis.size for axis in axes]
    if wrong:
        raise InputError(
            f"--axes got {text!r}; the axes T, C, Z of the pages are needed, slowest first, each with its length but "
            "one: --axes Z (one stack), --axes C2,Z (channel after channel) or --axes Z,C2 (channels in turn)."
        )
    return axes


def pages_by_axes(path: Path, tif: TiffFile, axes: Sequence[PageAxis]) -> TiffPageSeries:
    """Make an image of a file's pages in their order, with the axes that a user gave.

    Pages of another size are left out. InputError if there are not so many.
    """
    whole = tif.series[0] if len(tif.pages) == 1 else None
    pages: list[TiffPage | None] = []
    if whole is None:
        pages = [*pages_of_one_kind(tif)]
        n_pages = len(pages)
    else:  # one directory for all planes, as ImageJ writes large files
        pages = [tif.pages.first]
        n_pages = math.prod(whole.shape) // math.prod(whole.keyframe.shape)
    known = math.prod(axis.size or 1 for axis in axes)
    rest = n_pages // known
    sizes = [axis.size or rest for axis in axes]
    if math.prod(sizes) != n_pages:
        given = ",".join(axis.letter + ("" if axis.size is None else str(axis.size)) for axis in axes)
        raise InputError(
            f"--axes {given} does not fit {path}, which has {n_pages} pages. Give lengths whose product is that number."
        )
    order = "".join(axis.letter for axis in axes)
    if whole is None:
        return pages_as_series(path, pages, order, sizes)
    first = tif.pages.first
    return TiffPageSeries(pages, (*sizes, *first.shape), first.dtype, order + first.axes, parent=tif, squeeze=False)


def pages_of_one_kind(tif: TiffFile) -> list[TiffPage]:
    """The pages of a file that are alike, the most there are; others are previews and labels."""
    pages = [page.aspage() for page in tif.pages]
    kind = Counter(page.hash for page in pages).most_common(1)[0][0]
    return [page for page in pages if page.hash == kind]


def unclear_axes(path: Path, reason: str, n_pages: int) -> InputError:
    """Return the error of a file whose metadata do not tell what its pages are."""
    half = f"C2,Z{n_pages // 2}" if n_pages % 2 == 0 else "C2,Z"
    return InputError(
        f"{path} does not tell what its {n_pages} pages are: {reason}. Export the stack again, or say how its pages "
        f"follow each other, slowest first: --axes Z (one stack), --axes {half} (channel after channel) or "
        f"--axes Z,C2 (channels in turn) (axes=...); and its voxel size with --spacing."
    )


def _absent(names: Sequence[str]) -> str:
    """That files are not there; empty if there are no names."""
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more} {'is' if len(names) == 1 else 'are'} not there"
