"""A stack that is sent to another computer as the name of its file, and read there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import LazyStack, Shape, Stack
from napari_deep3d.io.reader import open_stack


@dataclass(frozen=True)
class FileChoice:
    """A stack in a file: which channel, time point and image of it, as of :func:`~napari_deep3d.io.open_stack`."""

    path: Path
    channel: int | None = None
    time: int | None = None
    position: int | None = None
    axes: str | None = None


class StackInFile(LazyStack):
    """A stack of a file, axes (Z, Y, X), opened where it is first read; pickled, it is but the file's name.

    Parameters
    ----------
    choice : FileChoice
        Where it is.
    shape, dtype : tuple of int, dtype
        As the file was when it was opened first.
    """

    def __init__(self, choice: FileChoice, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.choice, self._shape, self._dtype = choice, shape, np.dtype(dtype)

    def __reduce__(self) -> tuple[type[StackInFile], tuple[FileChoice, Shape, np.dtype[Any]]]:
        return type(self), (self.choice, self._shape, self._dtype)

    @property
    def shape(self) -> Shape:
        """Number of voxels along each axis."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number."""
        return self._dtype

    @cached_property
    def _data(self) -> Stack:
        choice = self.choice
        return open_stack(choice.path, choice.position, choice.axes).volume(choice.channel, choice.time).data

    def _read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        return np.asarray(self._data[box])
