"""Which voxels of a stack are no image, kept small: a mask in bits, compressed plane by plane."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core.types import Box, Shape
from napari_deep3d.core.volume import LazyStack

Mask = NDArray[np.bool_]
"""True where there is no image."""


@dataclass(frozen=True)
class NoData:
    """The voxels of a stack that are no image.

    Attributes
    ----------
    shape : Shape
        Voxels of the stack (Z, Y, X).
    values : tuple of float
        What the file holds there, the most frequent first; NaN for what is not finite.
    not_finite : int
        Number of those voxels that are NaN or infinite.
    """

    shape: Shape
    values: tuple[float, ...]
    not_finite: int
    _planes: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, masks: Iterable[Mask], values: tuple[float, ...], not_finite: int = 0) -> NoData:
        """From the mask (Y, X) of each plane, one after the other, and what was found there."""
        planes, rows, columns = [], 0, 0
        for mask in masks:
            rows, columns = mask.shape
            planes.append(zlib.compress(np.packbits(mask, axis=1).tobytes(), 1))
        return cls((len(planes), rows, columns), values, not_finite, tuple(planes))

    def plane(self, z: int, rows: slice = slice(None)) -> Mask:
        """The mask of a plane, or of some rows of it (Y, X)."""
        _, height, width = self.shape
        bits = np.frombuffer(zlib.decompress(self._planes[z]), np.uint8).reshape(height, -1)[rows]
        return np.unpackbits(bits, axis=1, count=width).view(bool)

    def mask(self, box: Box) -> Mask:
        """The mask of a box (Z, Y, X): True where there is no image."""
        found = np.empty(box.shape, bool)
        for place, z in enumerate(range(box.z.start, box.z.stop)):
            found[place] = self.plane(z, box.y)[:, box.x]
        return found

    @cached_property
    def _extent(self) -> tuple[int, Mask, Mask, Mask]:
        """Number of voxels without image; planes, rows and columns that have none at all."""
        count = 0
        planes, rows, columns = (np.ones(size, bool) for size in self.shape)
        for z in range(self.shape[0]):
            mask = self.plane(z)
            count += int(np.count_nonzero(mask))
            planes[z] = mask.all()
            rows &= mask.all(axis=1)
            columns &= mask.all(axis=0)
        return count, planes, rows, columns

    @property
    def count(self) -> int:
        """Number of voxels that are no image."""
        return self._extent[0]

    @property
    def share(self) -> float:
        """Share of the voxels that are no image, 0 to 1."""
        return self.count / float(np.prod(self.shape))

    @property
    def is_everything(self) -> bool:
        """Whether there is no image at all."""
        return bool(self._extent[1].all())

    @property
    def empty(self) -> tuple[Mask, Mask, Mask]:
        """Planes, rows and columns that are wholly without image: True for each one along Z, Y, X."""
        return self._extent[1:]

    @property
    def image_box(self) -> Box:
        """The smallest box that holds all of the image; the whole stack if there is none."""
        if self.is_everything:
            return Box.whole(self.shape)
        kept = [np.flatnonzero(~empty) for empty in self.empty]
        return Box.spanning([k[0] for k in kept], [k[-1] + 1 for k in kept])

    @property
    def values_text(self) -> str:
        """What the file holds there, for a sentence: ``0 and NaN``."""
        return " and ".join("NaN" if np.isnan(value) else f"{value:g}" for value in self.values[:3])

    @property
    def kind(self) -> str:
        """What it looks like, in a few words: ``black edges, 1 black plane``."""
        colour = " and ".join(_colour(value) for value in self.values[:2]) or "blank"
        box, parts = self.image_box, []
        whole, within = np.prod(self.shape), float(np.prod(box.shape))
        if within < whole:
            parts.append(f"{colour} edges")
        inside = [int(empty[part].sum()) for empty, part in zip(self.empty, box, strict=True)]
        for count, name in zip(inside, ("plane", "row", "column"), strict=True):
            if count:
                parts.append(f"{count} {colour} {name}" + ("s" if count > 1 else ""))
        lined = within - float(np.prod([n - i for n, i in zip(box.shape, inside, strict=True)]))
        if self._extent[0] > whole - within + lined:
            parts.append(f"{colour} corners or areas")
        return ", ".join(parts)

    @property
    def sentence(self) -> str:
        """For the user: how much of the stack is no image, and what it looks like; without a full stop."""
        percent = 100 * self.share
        amount = f"{percent:.0f} %" if percent >= 1 else f"{max(percent, 0.01):.1g} %"
        return f"{amount} of the voxels are no image ({self.kind})"


@dataclass(frozen=True)
class MaskStack(LazyStack):
    """The mask as a stack of its own, read box by box; axes (Z, Y, X)."""

    no_data: NoData

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return self.no_data.shape

    @property
    def dtype(self) -> np.dtype[np.bool_]:
        """Kind of number that is read."""
        return np.dtype(np.bool_)

    def _read(self, box: tuple[slice, ...]) -> Mask:
        return self.no_data.mask(Box(*box))


def _colour(value: float) -> str:
    if np.isnan(value):
        return "NaN"
    return "black" if value == 0 else f"constant ({value:g})"
