"""Writing stacks: OME-TIFF and OME-Zarr, box by box, whole under their name or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_deep3d.core import (
    Clock,
    InputError,
    Job,
    Spacing,
    Stack,
    Stop,
    StoppedError,
    check_spacing,
    drain,
    never,
    part_path,
    reason,
    zyx,
)
from napari_deep3d.io.ome_zarr import create_ome_zarr, reopen_ome_zarr
from napari_deep3d.io.output import check_output, publish, remove
from napari_deep3d.io.pyramid import Pyramid
from napari_deep3d.io.stack_file import StackFacts
from napari_deep3d.io.tiff import MappedArray, create_ome_tiff, reopen_ome_tiff

_PLANES_AT_ONCE = 16


class StackWriter:
    """A stack written box by box, which appears under its name only if the ``with`` block ends well.

    Until then it lies in a hidden file or folder beside that name; an exception, Ctrl-C included, removes it.
    The suffix decides: ``.tif`` and ``.tiff`` give OME-TIFF (BigTIFF from 4 GB), ``.zarr`` OME-Zarr 0.5.

    Parameters
    ----------
    path : str | Path
        The name of the result.
    shape : tuple[int, ...]
        Number of voxels along (Z, Y, X) or (T, Z, Y, X), or along ``axes``.
    spacing_um, origin_um : Spacing
        Voxel size, and position of the first voxel, in um along (Z, Y, X).
    channel_name : str
        What the voxels show.
    overwrite : bool
        Whether a stack of that name may be replaced.
    description : Mapping[str, object] | None
        How the result came about: values that JSON can hold.
    dtype : DTypeLike
        Kind of number.
    axes : str
        ``ZYX``, ``TZYX``, ``CZYX`` or ``TCZYX``; by default told from the number of axes.
    time_step_s : float | None
        Seconds between time points.
    grows_as : Path | None
        A name of the caller's under which it grows instead, and where it stays if the ``with`` block ends badly, or
        after :meth:`leave`. A stack of that name is gone on with.

    Attributes
    ----------
    data
        The voxels, axes as in ``shape``, within the ``with`` block: 0 at first, read and assigned in boxes.
        What is read is a copy: write ``data[box] += values`` or ``data[box] = values``. ``data.flush(box)`` has the
        disk hold what was assigned to a box, so that no power cut can take it.

    Raises
    ------
    InputError
        If the name cannot be written, the shape or voxel size makes no sense, or the disk is full.
    """

    data: Pyramid | MappedArray

    def __init__(
        self,
        path: str | Path,
        shape: tuple[int, ...],
        spacing_um: Spacing,
        origin_um: Spacing = (0.0, 0.0, 0.0),
        channel_name: str = "",
        overwrite: bool = False,
        description: Mapping[str, object] | None = None,
        dtype: DTypeLike = np.float32,
        axes: str = "",
        time_step_s: float | None = None,
        grows_as: Path | None = None,
    ) -> None:
        self.path = check_output(path, overwrite)
        self._axes = axes or "TZYX"[-len(shape) :]
        if len(shape) not in (3, 4, 5) or min(shape) < 1 or len(self._axes) != len(shape):
            raise InputError(f"cannot write a stack of shape {shape}; Z, Y, X or T, Z, Y, X are needed.")
        self._time_step_s = time_step_s
        self._shape, self._dtype = tuple(int(n) for n in shape), np.dtype(dtype)
        self._spacing_um = check_spacing(spacing_um)
        self._origin_um: Spacing = zyx(float(place) for place in origin_um)
        self._channel_name, self._overwrite = channel_name, overwrite
        # Through JSON and back now: better than an error when the work is done.
        self._description: dict[str, object] = json.loads(json.dumps(dict(description or {})))
        self._part, self._stays = grows_as or part_path(self.path), grows_as is not None
        self._is_left = False

    def __enter__(self) -> Self:
        goes_on = self._stays and self._part.exists()
        with ExitStack() as on_error:
            if not goes_on:
                on_error.callback(remove, self._part)
            try:
                if goes_on:
                    self.data = self._reopen()
                else:
                    remove(self._part)  # left by a process that was killed
                    self.data = self._create()
            except OSError as error:
                raise self._unwritable(error) from error
            on_error.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as on_error:
            if not self._stays:
                on_error.callback(remove, self._part)
            try:
                self._close()
            except OSError as failure:
                raise self._unwritable(failure) from failure
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise self._unwritable(error) from error
            if error is None and not self._is_left:
                on_error.pop_all()
                publish(self._part, self.path, self._overwrite)

    def leave(self) -> None:
        """Let the stack lie under the name that it grows as when the ``with`` block ends: it is not whole."""
        self._is_left = True

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(f"cannot write {self.path}: {reason(error)}. Make room, or give a folder on another disk.")

    def _create(self) -> Pyramid | MappedArray:
        about = StackFacts(
            self._axes, self._spacing_um, self._origin_um, self._channel_name, self._time_step_s, self._description
        )
        if self._is_zarr:
            return create_ome_zarr(self._part, self._shape, self._dtype, about)
        # The file is sparse: a disk that fills up later would end the program without a word.
        needed = int(np.prod(self._shape, dtype=np.int64)) * self._dtype.itemsize
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise InputError(
                f"cannot write {self.path}: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free. "
                "Make room, or give a folder on another disk."
            )
        return create_ome_tiff(self._part, self._shape, self._dtype, about)

    def _reopen(self) -> Pyramid | MappedArray:
        try:
            if self._is_zarr:
                return reopen_ome_zarr(self._part)
            return reopen_ome_tiff(self._part, self._shape)
        except Exception as error:  # the libraries raise many kinds for a file that is damaged
            raise InputError(
                f"{self._part} is damaged ({reason(error)}) and cannot be gone on with. Delete it, and begin anew."
            ) from error

    @property
    def _is_zarr(self) -> bool:
        return self.path.suffix.lower() == ".zarr"

    def _close(self) -> None:
        if isinstance(self.data, MappedArray):
            self.data.close()
            if self._stays and not self._part.exists():
                return  # somebody removed it: that is told elsewhere
            with self._part.open("rb+") as file:
                os.fsync(file.fileno())


def write_stack(
    path: str | Path,
    data: Stack,
    spacing_um: Spacing,
    origin_um: Spacing = (0.0, 0.0, 0.0),
    *,
    channel_name: str = "",
    overwrite: bool = False,
    description: Mapping[str, object] | None = None,
) -> Path:
    """Write a stack in one call, a few planes at a time.

    Parameters
    ----------
    path, spacing_um, origin_um, channel_name, overwrite, description
        As for :class:`StackWriter`.
    data
        The voxels, axes (Z, Y, X) or (T, Z, Y, X), real numbers. Half-precision is written as float32 and
        64-bit integers as float64, exact below 2**53: OME-TIFF has neither.

    Returns
    -------
    Path
        The file or folder written.

    Raises
    ------
    InputError
        As for :class:`StackWriter`, and for complex, boolean or non-numeric voxels.
    """
    facts = StackFacts("TZYX"[-len(data.shape) :], spacing_um, origin_um, channel_name, description=description or {})
    return drain(save_stack(path, data, facts, overwrite=overwrite))


def save_stack(
    path: str | Path, data: Stack, facts: StackFacts, *, overwrite: bool = False, stop: Stop = never
) -> Job[Path]:
    """Write a stack of any of the axes that ``facts`` names; otherwise as :func:`write_stack`.

    Yields
    ------
    Progress

    Raises
    ------
    StoppedError
        If it was stopped; nothing is written then.
    """
    dtype, clock = _stored_dtype(np.dtype(data.dtype)), Clock()
    writer = StackWriter(
        path,
        tuple(data.shape),
        facts.spacing_um,
        facts.origin_um,
        facts.channel_name,
        overwrite,
        facts.description,
        dtype,
        facts.axes,
        facts.time_step_s,
    )
    planes = data.shape[-3]
    done, total = 0, int(np.prod(data.shape[:-2]))
    with writer:
        for index in np.ndindex(*data.shape[:-3]):
            for start in range(0, planes, _PLANES_AT_ONCE):
                if stop():
                    raise StoppedError
                box = (*index, slice(start, min(start + _PLANES_AT_ONCE, planes)))
                block: NDArray[Any] = np.asarray(data[box]).astype(dtype, copy=False)
                writer.data[box] = block
                done += len(block)
                yield clock.progress(done, total, "saving")
    return writer.path


def _stored_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind not in "uif":
        raise InputError(f"cannot write {dtype} voxels; integers or floating-point numbers are allowed. Convert them.")
    if dtype.kind == "f":
        return np.dtype(np.float32 if dtype.itemsize <= 4 else np.float64)
    return np.dtype(np.float64) if dtype.itemsize == 8 else dtype.newbyteorder("=")
