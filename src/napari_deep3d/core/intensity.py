"""Intensities brought to one scale: two percentiles of a stack become 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_deep3d.core.no_data import NoData
from napari_deep3d.core.types import FloatArray
from napari_deep3d.core.volume import LazyStack, Stack

SAMPLED_VOXELS = 8_000_000
"""Percentiles are those of at most about so many voxels."""
MAX_OFFSET = 1000.0
"""Intensities over their range up to which float32 keeps differences of 1/16000 of the range."""
MAX_SATURATED = 0.2
"""Share of saturated voxels beyond which a stack is of no use for registration or training."""
MOSTLY_SATURATED = 0.5
"""Share of saturated voxels beyond which a stack is of no use at all."""


class SampledIntensities:
    """Voxels that stand for a stack of ``shape`` (Z, Y, X), taken from its planes one after the other.

    Beyond eight million voxels every n-th row and column of every plane stand for the whole, so that no more than one
    plane is in memory at a time.

    Attributes
    ----------
    not_finite : int
        Number of voxels so far, not only of the sample, that are NaN or infinite.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._step = max(1, int(np.ceil(np.sqrt(np.prod(shape) / SAMPLED_VOXELS))))
        self._planes: list[NDArray[Any]] = []
        self.not_finite = 0

    def add(self, plane: NDArray[Any]) -> None:
        """Take in the next plane (Y, X)."""
        self._planes.append(plane[:: self._step, :: self._step].copy())
        if plane.dtype.kind == "f":
            self.not_finite += int((~np.isfinite(plane)).sum())

    def values(self, no_data: NoData | None = None) -> NDArray[Any]:
        """The voxels that are finite and image."""
        planes = self._planes
        if no_data is not None:
            part = slice(None, None, self._step)
            planes = [plane[~no_data.plane(z, part)[:, part]] for z, plane in enumerate(planes)]
        values: NDArray[Any] = np.concatenate([plane.ravel() for plane in planes])
        finite: NDArray[Any] = values[np.isfinite(values)]
        return finite

    def range(self, percentiles: tuple[float, float], no_data: NoData | None = None) -> tuple[float, float]:
        """Intensities at two percentiles of what is finite and image, as :func:`measure_intensities` gives them."""
        values = self.values(no_data)
        if not values.size:
            return float("nan"), float("nan")
        low, high = (float(v) for v in np.percentile(values, percentiles))
        if low == high:
            low, high = float(values.min()), float(values.max())
        exact = np.float32 if _fits_float32(values.dtype) else np.float64
        return low, max(high, float(np.nextafter(exact(low), exact(np.inf))))

    def saturated_share(self, no_data: NoData | None = None) -> float:
        """Share of what is finite and image that has the largest value; 0 if nothing is."""
        values = self.values(no_data)
        return float(np.mean(values == values.max())) if values.size else 0.0


def measure_intensities(
    stack: Stack, percentiles: tuple[float, float], no_data: NoData | None = None
) -> tuple[tuple[float, float], int]:
    """Intensities at two percentiles and the number of voxels that are not finite; every voxel is read once.

    Parameters
    ----------
    stack : Stack, axes (Z, Y, X)
        Read plane by plane.
    percentiles : tuple of float
        The lower and the upper one, 0 to 100, of the voxels of :class:`SampledIntensities` that are finite.
    no_data : NoData or None
        The voxels that are no image and do not count.

    Returns
    -------
    intensities : tuple of float
        Those of the percentiles, the upper one the larger. Where both are the same, as with a few spots on black, the
        smallest and the largest intensity take their place. ``(nan, nan)`` if no voxel is finite.
    not_finite : int
        Number of voxels that are NaN or infinite.
    """
    sampled = SampledIntensities(stack.shape)
    for z in range(stack.shape[0]):
        sampled.add(np.asarray(stack[z]))
    return sampled.range(percentiles, no_data), sampled.not_finite


def intensity_range(
    stack: Stack, percentiles: tuple[float, float], no_data: NoData | None = None
) -> tuple[float, float]:
    """Intensities of a stack (Z, Y, X) at two percentiles, as :func:`measure_intensities` gives them."""
    return measure_intensities(stack, percentiles, no_data)[0]


def is_flat(bounds: tuple[float, float], dtype: DTypeLike = np.float32) -> bool:
    """Whether two intensities are too alike, for their size, to bring one to 0 and the other to 1; or not numbers.

    ``dtype`` is the kind of number of the stack that they come from, which may tell finer differences apart.
    """
    low, high = bounds
    resolution = 1e-6 if _fits_float32(np.dtype(dtype)) else 1e-14
    least = max(resolution * max(abs(low), abs(high)), float(np.finfo(np.float32).tiny))
    return not high - low > least


def _fits_float32(dtype: np.dtype[Any]) -> bool:
    """Whether float32 holds every number of a kind."""
    return np.can_cast(dtype, np.float32)


def has_large_offset(bounds: tuple[float, float], dtype: DTypeLike) -> bool:
    """Whether float32 would not tell the intensities between two bounds apart, while the stack's own numbers do."""
    low, high = bounds
    return not _fits_float32(np.dtype(dtype)) and bool(max(abs(low), abs(high)) > MAX_OFFSET * (high - low))


def without_offset(data: NDArray[Any], offset: float) -> FloatArray:
    """Take an offset off in the voxels' own kind of number, then float32."""
    if data.dtype.kind == "f":
        return np.asarray(data - data.dtype.type(offset), dtype=np.float32)
    whole = int(np.floor(offset))
    if data.dtype.itemsize < 8:
        difference = data.astype(np.int64) - whole
    else:  # modulo 2^64, which is right as long as the difference itself is within 63 bits
        difference = (data.astype(np.uint64) - np.uint64(whole % 2**64)).view(np.int64)
    return (difference - (offset - whole)).astype(np.float32)


def saturated_share(stack: Stack, largest: float, no_data: NoData | None = None) -> float:
    """Share of the image voxels (Z, Y, X) that have the largest value, from every fourth row and column.

    Of at most 32 planes where all is image; of every plane where ``no_data`` says that some is not.
    """
    if no_data is None:
        planes = np.unique(np.linspace(0, stack.shape[0] - 1, 32).round().astype(int))
        return float(np.mean([np.mean(np.asarray(stack[int(z)])[::4, ::4] >= largest) for z in planes]))
    saturated = voxels = 0
    for z in range(stack.shape[0]):
        image = ~no_data.plane(z)[::4, ::4]
        saturated += int(np.count_nonzero((np.asarray(stack[z])[::4, ::4] >= largest) & image))
        voxels += int(np.count_nonzero(image))
    return saturated / max(1, voxels)


def normalise(data: NDArray[np.generic], bounds: tuple[float, float]) -> FloatArray:
    """Bring intensities linearly from ``bounds`` to 0 and 1, float32; values beyond them stay beyond."""
    low, high = bounds
    if has_large_offset(bounds, data.dtype):
        return np.asarray(without_offset(data, low) / np.float32(high - low), dtype=np.float32)
    return ((np.asarray(data, dtype=np.float32) - np.float32(low)) / np.float32(high - low)).astype(np.float32)


@dataclass(frozen=True)
class _AsFloat32(LazyStack):
    """A stack that is read as float32."""

    stack: Stack

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return tuple(self.stack.shape)

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Kind of number that is read."""
        return np.dtype(np.float32)


@dataclass(frozen=True)
class OffsetStack(_AsFloat32):
    """A stack from which an offset is taken off in its own kind of number; read as float32."""

    offset: float

    def _read(self, box: tuple[slice, ...]) -> FloatArray:
        return without_offset(np.asarray(self.stack[box]), self.offset)


@dataclass(frozen=True)
class NormalisedStack(_AsFloat32):
    """A stack whose intensities are brought from ``bounds`` to 0 and 1; what is not finite becomes 0."""

    bounds: tuple[float, float]

    def _read(self, box: tuple[slice, ...]) -> FloatArray:
        voxels = normalise(np.asarray(self.stack[box]), self.bounds)
        return np.nan_to_num(voxels, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
