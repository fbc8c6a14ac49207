"""Stacks whose voxels a library hands out piece by piece: microscopes' own files."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_deep3d.core import InputError, LazyStack
from napari_deep3d.io.stack_file import STACK_AXES, stack_axes
from napari_deep3d.io.tiff_planes import MAX_PLANES

ReadPlane = Callable[[int, int, int, slice, slice], NDArray[Any]]
"""Time point, channel, plane, rows and columns to voxels, axes (Y, X)."""
ReadBox = Callable[[int, int, tuple[slice, slice, slice]], NDArray[Any]]
"""Time point, channel and box to voxels, axes (Z, Y, X)."""


class LibraryStack(LazyStack):
    """A stack of axes T, C, Z, Y, X in a file that a library holds open.

    Parameters
    ----------
    shape, dtype
        As of an array.
    read : callable
        Reads a box of one channel; called by one thread at a time, since the libraries' files are for one only.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, read: ReadBox) -> None:
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._read_box, self._lock = read, threading.Lock()

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along T, C, Z, Y, X."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number."""
        return self._dtype

    def _read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        times, channels, z, y, x = box
        voxels = np.empty([span.stop - span.start for span in box], self._dtype)
        if not voxels.size:
            return voxels
        for i, time in enumerate(range(times.start, times.stop)):
            for j, channel in enumerate(range(channels.start, channels.stop)):
                with self._lock:
                    voxels[i, j] = self._read_box(time, channel, (z, y, x))
        return voxels


def by_planes(read: ReadPlane) -> ReadBox:
    """Read a box of a file that is read plane by plane."""

    def read_box(time: int, channel: int, box: tuple[slice, slice, slice]) -> NDArray[Any]:
        z, y, x = box
        return np.stack([read(time, channel, plane, y, x) for plane in range(z.start, z.stop)])

    return read_box


def check_axes(sizes: Mapping[str, int], dtype: DTypeLike, name: str) -> None:
    """Refuse (InputError) an image that is no z-stack of grey values, or has further axes than a stack.

    ``sizes`` are its axes with their lengths: T, C, Z, Y, X, samples S, and any other by a word.
    """
    further = [axis for axis, n in sizes.items() if n > 1 and axis not in (*STACK_AXES, "S")]
    if further:
        raise InputError(
            f"{name} varies along {' and '.join(further)}, too; time, channel and planes are allowed. Save what is of "
            "interest as a stack of its own, in the microscope's software."
        )
    usual = {axis: n for axis, n in sizes.items() if axis in (*STACK_AXES, "S")}
    stack_axes("".join(usual), tuple(usual.values()), dtype, name)


def finished_times(
    path: Path, present: Collection[tuple[int, int, int]], counts: tuple[int, int, int]
) -> tuple[int, dict[tuple[int, int], str], tuple[str, ...]]:
    """What there is of an image that may have been stopped before its end.

    Parameters
    ----------
    path : Path
        The file.
    present : collection of (time point, channel, plane)
        The planes that it holds.
    counts : (int, int, int)
        How many time points, channels and planes it lists.

    Returns
    -------
    int
        How many time points to read: later ones are not finished.
    dict
        By time point and channel, why a stack within them cannot be read.
    tuple of str
        What to tell the user.

    Raises
    ------
    InputError
        If no stack is whole.
    """
    if math.prod(counts) > MAX_PLANES:
        raise InputError(f"{path} lists {math.prod(counts)} planes; no file holds so many. Export the stack again.")
    held = np.zeros(counts, dtype=bool)
    for place in present:
        held[place] = True
    whole: NDArray[np.bool_] = np.asarray(held.all(axis=2))
    if not whole.any():
        raise InputError(
            f"{path} lacks planes of every stack that its metadata list: the acquisition was stopped before its end, "
            "or goes on in other files. Export it as OME-TIFF from the microscope's software."
        )
    finished = whole[:, whole.any(axis=0)].all(axis=1)
    n_times = int(np.flatnonzero(finished if finished.any() else whole.any(axis=1))[-1]) + 1
    why = "it was not acquired as the metadata list it"
    missing = {(int(time), int(channel)): why for time, channel in np.argwhere(~whole[:n_times])}
    if n_times == counts[0]:
        return n_times, missing, ()
    text = f"{path.name} has {n_times} of the {counts[0]} time points that its metadata list; these are read."
    return n_times, missing, (text,)
