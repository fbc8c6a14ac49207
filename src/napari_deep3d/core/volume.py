"""A stack with its voxel size and position: what every other part of the package works on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.types import Box, FloatArray, Shape, Spacing, zyx

MIN_PLANES = 4
MIN_LATERAL = 16
MAX_SIDE, MAX_VOXELS = 10**6, 10**13
"""Voxels along one axis and in all beyond which a header is damaged: no microscope records so many."""


class Stack(Protocol):
    """Anything that hands out boxes of voxels: a NumPy array, a memory map, a Zarr array, a dask array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along Z, Y, X."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number."""

    def __getitem__(self, key: Any, /) -> Any:
        """Read a box."""


class WritableStack(Stack, Protocol):
    """A stack that takes boxes as well as handing them out."""

    def __setitem__(self, key: Any, value: Any, /) -> None:
        """Write a box."""


class LazyStack(ABC):
    """Base of stacks whose voxels are read or made when a box of them is asked for.

    A subclass says its ``shape`` and ``dtype`` (any number of axes) and reads plain boxes; here an index as NumPy
    takes it (integers, slices with steps, an ellipsis, axes left out) becomes one.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Kind of number."""

    @abstractmethod
    def _read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        """The voxels of a box: for each axis a slice that has a start and a stop, and no step."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        spans = _spans(key, self.shape)
        return self._read(tuple(span for span, _ in spans))[tuple(taken for _, taken in spans)]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return self[...].astype(self.dtype if dtype is None else dtype, copy=False)


def spans_of(key: Any, shape: Sequence[int]) -> tuple[slice, ...]:
    """The box of an array of ``shape`` that an index as NumPy takes it falls into: for each axis start and stop."""
    return tuple(span for span, _ in _spans(key, shape))


def _spans(key: Any, shape: Sequence[int]) -> list[tuple[slice, int | slice]]:
    """For each axis the stretch that an index needs, and what to take of it."""
    parts, axes = list(key) if isinstance(key, tuple) else [key], len(shape)
    if any(part is Ellipsis for part in parts):
        place = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts[place : place + 1] = [slice(None)] * (axes - len(parts) + 1)
    if len(parts) > axes:
        raise IndexError(f"too many indices: {len(parts)} for {axes} axes")
    parts += [slice(None)] * (axes - len(parts))
    return [_span(part, size) for part, size in zip(parts, shape, strict=True)]


def _span(part: Any, size: int) -> tuple[slice, int | slice]:
    """Of one axis the stretch to read, and what to take of it."""
    if isinstance(part, slice):
        # No file format reads steps backwards: read the stretch, then step within it.
        wanted = range(*part.indices(size))
        low, high = (min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1]) + 1) if wanted else (0, 0)
        return slice(low, high), slice(None, None, wanted.step)
    index = range(size)[part]  # raises as a list does: IndexError out of range, TypeError for no integer
    return slice(index, index + 1), 0


@dataclass(frozen=True)
class Volume:
    """A stack of planes.

    Attributes
    ----------
    data : Stack, axes (Z, Y, X)
        The voxels, read lazily, box by box.
    spacing_um : tuple of float or None
        Voxel size (Z, Y, X); None where the file or layer does not know it.
    origin_um : tuple of float
        Position of the centre of the first voxel (Z, Y, X).
    name : str
        What the user calls it.
    notices : tuple of str
        What the user should know of how it was read.

    Raises
    ------
    InputError
        If the data are not a stack of planes of real numbers, or the voxel size is not positive and finite.
    """

    data: Stack = field(repr=False)
    spacing_um: Spacing | None
    origin_um: Spacing = (0.0, 0.0, 0.0)
    name: str = "stack"
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_stack(self.data, self.name)
        if self.spacing_um is not None:
            object.__setattr__(self, "spacing_um", check_spacing(self.spacing_um))

    @property
    def shape(self) -> Shape:
        """Number of voxels along Z, Y, X."""
        return zyx(self.data.shape)

    def require_spacing_um(self) -> Spacing:
        """The voxel size (Z, Y, X); InputError if it is not known."""
        if self.spacing_um is None:
            raise InputError(
                f"{self.name} has no voxel size in micrometres. The model needs it to tell blur from structure: "
                "give it as Z,Y,X in um (--spacing 0.5,0.108,0.108, spacing_um=..., or the fields in the panel)."
            )
        return self.spacing_um


def shape_of(stack: Stack) -> Shape:
    """Number of voxels of a stack along Z, Y, X."""
    return zyx(stack.shape)


def check_stack(data: Stack, name: str = "stack") -> None:
    """Refuse what is not a stack of planes of real numbers, and say why.

    InputError for other than three axes, too few voxels along one or more than there can be, or complex, boolean or
    non-numeric voxels.
    """
    shape, dtype = tuple(data.shape), np.dtype(data.dtype)
    if len(shape) != 3:
        axes = "one plane" if len(shape) == 2 else f"{len(shape)} axes"
        raise InputError(
            f"{name} has {axes} (shape {shape}); a z-stack of planes, axes Z, Y, X, is needed. "
            "Choose one channel and time point, or load all planes as one stack."
        )
    if dtype.kind not in "uif":
        raise InputError(
            f"{name} holds {dtype} voxels; integers or floating-point numbers are needed. "
            "Save it as 8-bit, 16-bit or 32-bit grey values."
        )
    if shape[0] < MIN_PLANES or min(shape[1:]) < MIN_LATERAL:
        raise InputError(
            f"{name} is too small: {shape[0]} planes of {shape[1]} x {shape[2]}; at least {MIN_PLANES} planes of "
            f"{MIN_LATERAL} x {MIN_LATERAL} pixels are needed. Acquire more planes or a larger field."
        )
    if max(shape) > MAX_SIDE or math.prod(shape) > MAX_VOXELS:
        raise InputError(
            f"{name} says that it has {shape[0]} planes of {shape[1]} x {shape[2]} pixels, more than any microscope "
            "records: the file is damaged. Copy or export it again."
        )


def check_spacing(spacing_um: Sequence[float]) -> Spacing:
    """Return the voxel size as three floats, or say what is wrong with it."""
    values = tuple(float(v) for v in spacing_um)
    if len(values) != 3 or not all(np.isfinite(v) and 0.001 <= v <= 100 for v in values):
        raise InputError(
            f"voxel size {values} is not usable; three sizes Z,Y,X in um between 0.001 and 100 are needed, "
            "such as 0.5,0.108,0.108 (108 nm are 0.108 um)."
        )
    return zyx(values)


def format_spacing(spacing_um: Spacing) -> str:
    """Voxel size for people: ``0.50 x 0.108 x 0.108 um``."""
    z, y, x = spacing_um
    return f"{z:.3g} x {y:.3g} x {x:.3g} um"


def all_finite(data: Stack) -> bool:
    """Whether a stack holds no NaN or infinity; read plane by plane."""
    if np.dtype(data.dtype).kind != "f":
        return True
    return all(bool(np.isfinite(data[z]).all()) for z in range(data.shape[0]))


def read_box(data: Stack, region: Box) -> FloatArray:
    """Read a box of a stack as float32, axes (Z, Y, X)."""
    return np.asarray(data[region], dtype=np.float32)
