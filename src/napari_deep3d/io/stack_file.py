"""An opened file: its voxels, still on disk, brought from whatever order of axes to T, C, Z, Y, X."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_deep3d.core import InputError, LazyStack, Spacing, Stack, Volume
from napari_deep3d.io.optics import NO_OPTICS, Optics

STACK_AXES = "TCZYX"
MADE_BY = "napari-deep3d"
"""Who wrote a file whose description is ours; in OME-Zarr, the name of the attribute that holds it."""
_UNNAMED = "IQ"  # tifffile's letters for pages of which the file does not say what they are


class StackView(LazyStack):
    """A stored array seen with other axes; indexing reads just the box asked for, as a new array.

    Parameters
    ----------
    source, axes
        The stored array (a memory map or a Zarr array), and a letter for each of its axes.
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

    @property
    def chunks(self) -> tuple[int, ...]:
        """Number of voxels along each axis of the order that the file holds together; all, if that is not known."""
        stored = getattr(self._source, "chunks", None) or self._source.shape
        sizes = dict(zip(self._axes, stored, strict=True))
        return tuple(sizes.get(axis, 1) for axis in self._order)

    def at(self, **fixed: int) -> StackView:
        """Hold each named axis at an index, and drop it."""
        order = "".join(axis for axis in self._order if axis not in fixed)
        return StackView(self._source, self._axes, order, fixed=self._fixed | fixed, name=self._name)

    def mapped(self) -> NDArray[Any] | None:
        """Return the voxels as a view of a memory-mapped file, or None if they lie in it in another way."""
        if not isinstance(self._source, np.memmap) or not self._source.dtype.isnative:
            return None
        kept = [axis for axis in self._axes if axis in self._order]
        key = (slice(None) if axis in kept else self._fixed.get(axis, 0) for axis in self._axes)
        view: NDArray[Any] = self._source[tuple(key)]
        return view.transpose([kept.index(axis) for axis in self._order if axis in kept]).reshape(self.shape)

    def _read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        """Read a box, axes as in the order, as a new array."""
        by_axis = {axis: slice(index, index + 1) for axis, index in self._fixed.items()}
        by_axis |= dict(zip(self._order, box, strict=True))
        self._check_mapped()
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

    def _check_mapped(self) -> None:
        """Refuse (InputError) a mapped file that has become shorter: to read beyond its end would end the program."""
        source = self._source
        if not isinstance(source, np.memmap) or source.filename is None:
            return
        try:
            size = Path(source.filename).stat().st_size
        except OSError:
            return  # deleted: its voxels are there as long as it is mapped
        if size < source.offset + source.nbytes:
            raise InputError(f"{self._name} was cut off while it was read. Copy it again from where it was acquired.")


@dataclass(frozen=True)
class StackFacts:
    """What is written of a stack beside its voxels.

    Attributes
    ----------
    axes : str
        ``ZYX``, ``TZYX``, ``CZYX`` or ``TCZYX``.
    spacing_um, origin_um : (float, float, float)
        Voxel size, and position of the first voxel, in um along Z, Y, X.
    channel_name : str
        What the voxels show.
    time_step_s : float or None
        Seconds between time points.
    description : mapping
        How the stack came about: values that JSON can hold.
    """

    axes: str
    spacing_um: Spacing
    origin_um: Spacing = (0.0, 0.0, 0.0)
    channel_name: str = ""
    time_step_s: float | None = None
    description: Mapping[str, object] = field(default_factory=dict)

    def channel_names(self, count: int) -> list[str]:
        """A name for each of ``count`` channels."""
        return [self.channel_name] if count == 1 else [f"{self.channel_name} {i}".strip() for i in range(count)]


@dataclass(frozen=True)
class StackFile:
    """An opened file, its voxels still on disk.

    Attributes
    ----------
    path : Path
        The file, or the OME-Zarr folder.
    name : str
        Its name without the ending.
    data : StackView
        The voxels, always with the five axes T, C, Z, Y, X; indexing reads just the box asked for.
    spacing_um : (float, float, float) or None
        Voxel size in um along Z, Y, X; None if the file does not state all of it.
    origin_um : (float, float, float)
        Position of the first voxel in um along Z, Y, X; 0 where the file states none.
    channel_names, channel_colors : tuple of str
        A name, and a colour such as ``#00ff00``, for each channel; empty where the file has none.
    description : dict or None
        How the stack came about, if this package wrote it.
    notices : tuple of str
        What the user should know of how the file was read.
    time_step_s : float or None
        Seconds between time points, if the file says so.
    optics : Optics
        What the file says of the microscope.
    position : str
        Name of this image, where the file holds several.
    missing : dict
        By time point and channel, each counted from 0: why this stack of those that the file lists cannot be read.
    coarser : tuple of StackView
        The same voxels in fewer and fewer, axes T, C, Z, Y, X, where the file holds such levels: for showing.
    """

    path: Path
    name: str
    data: StackView = field(repr=False)
    spacing_um: Spacing | None
    origin_um: Spacing
    channel_names: tuple[str, ...]
    channel_colors: tuple[str, ...] = ()
    description: dict[str, object] | None = field(default=None, repr=False)
    notices: tuple[str, ...] = ()
    time_step_s: float | None = None
    optics: Optics = NO_OPTICS
    position: str = ""
    missing: Mapping[tuple[int, int], str] = field(default_factory=dict, repr=False)
    coarser: tuple[StackView, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for name in ("channel_names", "channel_colors"):
            given = getattr(self, name)[: self.n_channels]
            object.__setattr__(self, name, given + ("",) * (self.n_channels - len(given)))

    @property
    def n_times(self) -> int:
        """Number of time points."""
        return self.data.shape[0]

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return self.data.shape[1]

    def known_optics(self, channel: int | None = None) -> dict[str, float]:
        """What the file says of the microscope: ``numerical_aperture``, ``immersion_index``, ``emission_nm``.

        Only what it does say; the wavelength is that of a channel, which may be left out where there is only one.
        """
        aperture, index, emissions = self.optics
        number = 0 if channel is None and self.n_channels == 1 else channel
        emission = emissions[number] if number is not None and 0 <= number < len(emissions) else None
        found = {"numerical_aperture": aperture, "immersion_index": index, "emission_nm": emission}
        return {name: value for name, value in found.items() if value is not None}

    def volume(self, channel: int | None = None, time: int | None = None) -> Volume:
        """One channel and time point as a stack, axes Z, Y, X, its voxels still on disk.

        Each is counted from 0, and may be left out where there is only one.

        Raises
        ------
        InputError
            If there are several and none was chosen, or there is no such channel or time point, or it is missing.
        """
        missing = [
            option
            for option, choice, count in (("channel", channel, self.n_channels), ("time", time, self.n_times))
            if choice is None and count > 1
        ]
        if missing:
            raise InputError(
                f"{self.name} holds {self._contents()}: choose one "
                f"with {' and '.join(f'--{option} ({option}=...)' for option in missing)}, counted from 0."
            )
        at = {
            "C": self._checked("channel", channel or 0, self.n_channels),
            "T": self._checked("time", time or 0, self.n_times),
        }
        absent = self.missing.get((at["T"], at["C"]))
        if absent is not None:
            raise InputError(
                f"time point {at['T']}, channel {at['C']} of {self.name} cannot be read: {absent}. Put the other files "
                "of the acquisition beside it, or choose another one."
            )
        return Volume(self.data.at(**at), self.spacing_um, self.origin_um, self.name, self.notices)

    def _checked(self, option: str, choice: int, count: int) -> int:
        if not 0 <= choice < count:
            allowed = "0 is" if count == 1 else f"0 to {count - 1} are"
            raise InputError(
                f"{option} {choice} was chosen, but {self.name} holds {self._contents()}: {allowed} allowed."
            )
        return choice

    def _contents(self) -> str:
        names = ", ".join(f"{i}: {name}" if name else f"{i}" for i, name in enumerate(self.channel_names))
        channels = f"{self.n_channels} channels ({names})" if self.n_channels > 1 else "1 channel"
        return f"{channels} and {self.n_times} time point{'s' if self.n_times > 1 else ''}"


class Metadata(NamedTuple):
    """What a file says of an image: as in :class:`StackFile`."""

    spacing_um: Spacing | None = None
    origin_um: Spacing = (0.0, 0.0, 0.0)
    channel_names: tuple[str, ...] = ()
    channel_colors: tuple[str, ...] = ()
    description: dict[str, object] | None = None
    notices: tuple[str, ...] = ()
    time_step_s: float | None = None
    optics: Optics = NO_OPTICS


@dataclass(frozen=True)
class FoundImage:
    """An image in a file, its voxels not touched yet.

    Attributes
    ----------
    name : str
        What the file calls it; may be empty.
    size : str
        Its axes and their lengths, for people.
    problem : InputError or None
        Why it is no z-stack of grey values.
    open : callable
        Makes it a StackFile; InputError if it cannot be read.
    files : tuple of Path
        The files that hold its planes, where these are several.
    """

    name: str
    size: str
    problem: InputError | None
    open: Callable[[], StackFile] = field(repr=False)
    files: tuple[Path, ...] = ()


def found_image(name: str, open_image: Callable[[], StackFile]) -> FoundImage:
    """Open an image, which reads no voxel, or keep the reason why it is no stack."""
    try:
        stack = open_image()
    except InputError as error:
        problem = error

        def fail() -> StackFile:
            raise problem

        return FoundImage(name, "", problem, fail)
    return FoundImage(name, size_in_words(STACK_AXES, stack.data.shape), None, lambda: stack)


def size_in_words(axes: str, shape: Sequence[int]) -> str:
    """``2 channels, 16 planes of 64 x 48 pixels`` for axes CZYX."""
    sizes = dict(zip(axes, shape, strict=True))
    parts = [(sizes.get("T", 1), "time points"), (sizes.get("C", 1), "channels"), (sizes.get("Z", 1), "planes")]
    words = [f"{size} {word}" for size, word in parts if size > 1 or word == "planes"]
    return f"{', '.join(words)} of {sizes.get('Y', 1)} x {sizes.get('X', 1)} pixels"


def stack_axes(axes: str, shape: Sequence[int], dtype: DTypeLike, name: str, *, is_rgb: bool = True) -> str:
    """A file's axes with Z for pages that it does not name, or an InputError why it is no z-stack of grey values.

    Samples of a pixel are channels, unless they are the colours of a photo. Refused are RGB, a single
    plane, planes said to be time points or channels, axes of no known meaning, and voxels that are complex, boolean or
    no numbers. Axes of length 1 keep any other letter.

    Parameters
    ----------
    axes, shape
        A letter for each axis, as tifffile names them, and the number of voxels along each.
    dtype : DTypeLike
        Kind of number.
    name : str
        What the user calls the file.
    is_rgb : bool
        Whether the samples of a pixel are colours.
    """
    long = [axis for axis, size in zip(axes, shape, strict=True) if size > 1]
    if "S" in long and "C" not in long and not is_rgb:
        axes = axes.replace("C", "c").replace("S", "C")
        long = [axis if axis != "S" else "C" for axis in long]
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
            "time T, channel C and Z, Y, X are allowed. Say what its pages are, slowest first, such as "
            "--axes T3,C2,Z (axes=...), or save it as OME-TIFF with its axes named."
        )
    if "Z" not in long:
        sizes = dict(zip(axes, shape, strict=True))
        for axis, word in (("T", "time points"), ("C", "channels")):
            if sizes.get(axis, 1) > 1:
                raise InputError(
                    f"{name} holds {sizes[axis]} {word} of a single plane; a z-stack is needed. If these are the "
                    "planes of a stack, enter them as Slices (Fiji: Image > Properties) and save the file."
                )
        raise InputError(
            f"{name} is a single plane of {sizes.get('Y', 1)} x {sizes.get('X', 1)} pixels; a z-stack of planes "
            "is needed. Give the file that holds all planes."
        )
    return axes


def stack_name(path: Path) -> str:
    """Drop the ending of a file's name: ``cell`` for ``cell.ome.tif``.

    A name that is no Unicode, as disks of older systems hold, is read as Latin-1, so that it can be shown and written.
    """
    stem = readable(path.stem)
    ending = next((ending for ending in (".ome", ".companion") if stem.lower().endswith(ending)), "")
    return stem.removesuffix(stem[-len(ending) :]) if ending else stem


def readable(name: str) -> str:
    """Return the name of a file as text that can be printed and encoded, whatever its bytes are."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("latin-1")
    return name
