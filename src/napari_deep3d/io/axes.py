"""From a file's axes, in whatever order, to T, C, Z, Y, X, without reading a voxel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_deep3d.core import InputError, LazyStack, Stack

STACK_AXES = "TCZYX"
_UNNAMED = "IQ"  # tifffile's letters for pages of which the file does not say what they are


class StackView(LazyStack):
    """A stored array seen with other axes; indexing reads just the box asked for, as a new array.

    Parameters
    ----------
    source : array
        The stored array: a memory map or a Zarr array.
    axes : str
        A letter for each axis of ``source``.
    order : str
        The letters of this view's axes; one that ``source`` lacks has length 1.
    fixed : mapping of str to int, optional
        Index along each axis of ``source`` that is not in ``order``; 0 if not given.
    name : str
        What to call the stack in an error.
    """

    def __init__(
        self,
        source: Stack,
        axes: str,
        order: str = STACK_AXES,
        *,
        fixed: Mapping[str, int] | None = None,
        name: str = "stack",
    ) -> None:
        self._source, self._axes, self._order = source, axes, order
        self._fixed, self._name = dict(fixed or {}), name

    @property
    def source(self) -> Stack:
        """The stored array."""
        return self._source

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis of the order."""
        sizes = dict(zip(self._axes, self._source.shape, strict=True))
        return tuple(sizes.get(axis, 1) for axis in self._order)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number, in the processor's byte order."""
        return np.dtype(self._source.dtype).newbyteorder("=")

    def at(self, **fixed: int) -> StackView:
        """Hold each named axis at an index, and drop it."""
        order = "".join(axis for axis in self._order if axis not in fixed)
        return StackView(self._source, self._axes, order, fixed=self._fixed | fixed, name=self._name)

    def _read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        """Read a box, axes as in the order, as a new array."""
        by_axis = {axis: slice(index, index + 1) for axis, index in self._fixed.items()}
        by_axis |= dict(zip(self._order, box, strict=True))
        try:
            stored = np.asarray(self._source[tuple(by_axis.get(axis, slice(0, 1)) for axis in self._axes)])
        except MemoryError:
            raise
        except Exception as error:  # a damaged chunk raises whatever its decoder raises
            raise InputError(
                f"a part of {self._name} cannot be read ({error}). The file may be damaged: "
                "copy it again from where it was acquired, or export it again."
            ) from error
        kept = [self._axes.index(axis) for axis in self._order if axis in self._axes]
        dropped = tuple(i for i in range(stored.ndim) if i not in kept)
        voxels = stored.transpose(*kept, *dropped).reshape([span.stop - span.start for span in box])
        return np.array(voxels, dtype=self.dtype, order="C")


def stack_axes(axes: str, shape: Sequence[int], dtype: DTypeLike, name: str) -> str:
    """Say which letter of a file's axes is Z, or why the file is no z-stack of grey values.

    Parameters
    ----------
    axes : str
        A letter for each axis, as tifffile names them.
    shape : sequence of int
        Number of voxels along each.
    dtype : dtype
        Kind of number.
    name : str
        What the user calls the file.

    Returns
    -------
    str
        The letters, with Z for pages that the file does not name. Axes of length 1 keep any other letter.

    Raises
    ------
    InputError
        For RGB, a single plane, planes said to be time points or channels, axes of no known meaning, and
        voxels that are complex, boolean or no numbers.
    """
    long = [axis for axis, size in zip(axes, shape, strict=True) if size > 1]
    if "S" in long:
        raise InputError(
            f"{name} is an RGB photo; one grey value per voxel is needed. "
            "Split its colours (Fiji: Image > Color > Split Channels) and save the one with the signal."
        )
    if np.dtype(dtype).kind not in "uif":
        raise InputError(
            f"{name} holds {np.dtype(dtype)} voxels; integers or floating-point numbers are needed. "
            "Save it as 8-bit, 16-bit or 32-bit grey values."
        )
    unnamed = [i for i, axis in enumerate(axes) if axis in _UNNAMED and shape[i] > 1]
    if len(unnamed) == 1 and "Z" not in long:
        long[long.index(axes[unnamed[0]])] = "Z"
        axes = axes.replace("Z", "z")  # one of length 1, if any
        axes = axes[: unnamed[0]] + "Z" + axes[unnamed[0] + 1 :]
    unknown = [axis for axis in long if axis not in STACK_AXES]
    if unknown or len(set(long)) < len(long):
        raise InputError(
            f"{name} has axes {axes} of {tuple(shape)} voxels, of which {', '.join(unknown)} cannot be used; "
            "time T, channel C and Z, Y, X are allowed. Save one position as OME-TIFF with its axes named."
        )
    if "Z" not in long:
        raise InputError(_no_stack(axes, shape, name))
    return axes


def _no_stack(axes: str, shape: Sequence[int], name: str) -> str:
    sizes = dict(zip(axes, shape, strict=True))
    for axis, word in (("T", "time points"), ("C", "channels")):
        if sizes.get(axis, 1) > 1:
            return (
                f"{name} holds {sizes[axis]} {word} of a single plane; a z-stack is needed. If these are the "
                "planes of a stack, enter them as Slices (Fiji: Image > Properties) and save the file."
            )
    return (
        f"{name} is a single plane of {sizes.get('Y', 1)} x {sizes.get('X', 1)} pixels; a z-stack of planes "
        "is needed. Give the file that holds all planes."
    )
