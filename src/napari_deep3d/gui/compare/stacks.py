"""Stacks of a comparison: each with its place in space, so that unlike voxel sizes and positions do not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from napari.layers import Image
from numpy.typing import NDArray

from napari_deep3d.core import (
    Box,
    DoubleArray,
    FloatArray,
    InputError,
    LazyStack,
    Spacing,
    Stack,
    Vector,
    Volume,
    shape_of,
    zyx,
)
from napari_deep3d.core.evaluation.profile import Profile, line_profile
from napari_deep3d.core.registration import Transform, resample
from napari_deep3d.core.registration.warp import shared_region
from napari_deep3d.gui.compare.roles import role, titles
from napari_deep3d.gui.compare.sections import Bounds, Placement
from napari_deep3d.gui.shared import contrast_limits, find_axes, full_data, pick
from napari_deep3d.gui.shared.layers import layer_matrix
from napari_deep3d.io import um_per_unit

TABLE_SIZE = 256
LIMIT_PIXELS = 100_000
"""Of each plane that contrast limits are found from, about: the window waits for them."""
STRAIGHT = 1e-6
"""Share of a voxel's side by which an axis may lean and still count as straight."""


@dataclass(frozen=True)
class Section:
    """A section of a stack: pixels (rows, columns), and first row, first column, height and width in um in space."""

    pixels: NDArray[Any] = field(repr=False)
    rectangle: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class ComparedStack:
    """A stack, and where it lies.

    Attributes
    ----------
    title, role : str
        What it is called in the pictures, and what it is (see :mod:`.roles`).
    data : Stack, axes (Z, Y, X)
    matrix : array, (4, 4)
        From indices to positions in um.
    limits : tuple of float
        Intensities that are drawn darkest and brightest.
    colours : array of uint8, (256, 3)
        From darkest to brightest.
    has_um : bool
        Whether the voxel size is known; else a voxel counts as 1 um.
    layer : Image or None
        From which it comes.
    index : tuple of int
        Where it lies along all axes of the layer; 0 along its own.
    """

    title: str
    role: str
    data: Stack = field(repr=False)
    matrix: DoubleArray = field(repr=False)
    limits: tuple[float, float]
    colours: NDArray[np.uint8] = field(repr=False)
    has_um: bool = True
    layer: Image | None = field(default=None, repr=False)
    index: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from another stack, or the same one elsewhere."""
        data = self.data if self.layer is None else self.layer.data
        return id(self.layer), id(data), self.index, self.matrix.tobytes()

    @property
    def spacing_um(self) -> Spacing:
        """Voxel size."""
        return zyx(float(side) for side in np.linalg.norm(self.matrix[:3, :3], axis=0))

    @property
    def is_straight(self) -> bool:
        """Whether its axes run along Z, Y and X, and none backwards."""
        linear = self.matrix[:3, :3]
        rest = np.abs(linear - np.diag(np.diag(linear))).max()
        return bool(rest <= STRAIGHT * min(self.spacing_um) and (np.diag(linear) > 0).all())

    @property
    def is_at_hand(self) -> bool:
        """Whether its voxels are in memory or a memory map, so that a section costs next to nothing."""
        return isinstance(self.data, np.ndarray) or bool(getattr(self.data, "is_array", False))

    @property
    def bounds(self) -> Bounds:
        """The box in space that holds it."""
        ends = np.array(np.meshgrid(*((-0.5, n - 0.5) for n in self.data.shape), indexing="ij")).reshape(3, -1)
        corners = self.matrix[:3, :3] @ ends + self.matrix[:3, 3:]
        return Bounds(zyx(corners.min(axis=1).tolist()), zyx(corners.max(axis=1).tolist()))

    def index_of(self, point_um: Vector) -> DoubleArray:
        """Indices (3,), between voxels too, of a point."""
        return np.asarray(np.linalg.inv(self.matrix)[:3] @ [*point_um, 1.0])

    def value_at(self, point_um: Vector) -> float | None:
        """Intensity of the voxel that holds a point; None outside."""
        index = np.floor(self.index_of(point_um) + 0.5).astype(int)
        if np.any(index < 0) or np.any(index >= self.data.shape):
            return None
        return float(self.data[tuple(index.tolist())])

    def section(self, placement: Placement, point_um: Vector) -> Section | None:
        """The section through a point; None where it misses the stack.

        Voxels as they are, not interpolated; of a stack that is turned in space the nearest ones on a straight grid.
        """
        if not self.is_straight:
            return self._turned_section(placement, point_um)
        normal, steps = placement.normal, self.spacing_um
        index = int(np.floor(self.index_of(point_um)[normal] + 0.5))
        if not 0 <= index < self.data.shape[normal]:
            return None
        pixels = np.asarray(self.data[tuple(index if axis == normal else slice(None) for axis in range(3))])
        if placement.rows > placement.columns:
            pixels = pixels.T
        low = self.bounds.low_um
        sizes = [self.data.shape[axis] * steps[axis] for axis in (placement.rows, placement.columns)]
        return Section(pixels, (low[placement.rows], low[placement.columns], sizes[0], sizes[1]))

    def _turned_section(self, placement: Placement, point_um: Vector) -> Section | None:
        bounds, step = self.bounds, min(self.spacing_um)
        axes = (placement.rows, placement.columns)
        if not bounds.low_um[placement.normal] <= point_um[placement.normal] <= bounds.high_um[placement.normal]:
            return None
        counts = [max(1, round((bounds.high_um[axis] - bounds.low_um[axis]) / step)) for axis in axes]
        start = np.array([*point_um, 1.0])
        start[list(axes)] = [bounds.low_um[axis] + step / 2 for axis in axes]
        inverse = np.linalg.inv(self.matrix)
        along = inverse[:3, list(axes)] * step  # voxels from pixel to pixel
        index = (inverse[:3] @ start)[:, None, None] + np.tensordot(along, np.indices(counts), axes=1)
        pixels = ndi.map_coordinates(np.asarray(self.data), index, np.float32, order=0, cval=np.nan)
        low = (bounds.low_um[axes[0]], bounds.low_um[axes[1]])
        return Section(pixels, (*low, counts[0] * step, counts[1] * step))

    def profile(self, start_um: Vector, end_um: Vector, width_um: float, normal: int | None) -> Profile:
        """Intensities along a line in space, averaged over a width: see :func:`line_profile`."""
        steps = self.spacing_um
        start, end = (zyx((self.index_of(point) * steps).tolist()) for point in (start_um, end_um))
        return line_profile(self.data, start, end, steps, width_um=width_um, section=normal)

    def shares(self, values: DoubleArray) -> DoubleArray:
        """Intensities between the darkest (0) and the brightest (1) that is drawn."""
        low, high = self.limits
        return (values - low) / (high - low)

    def is_on_voxels_of(self, other: ComparedStack) -> bool:
        """Whether both have the same voxels in space."""
        same_size = shape_of(self.data) == shape_of(other.data)
        return same_size and bool(np.abs(self.matrix - other.matrix).max() <= 1e-3 * min(other.spacing_um))


class OnVoxelsOf(LazyStack):
    """A stack resampled on a box of another one's voxels, by cubic splines; boxes are made when asked for.

    Where it ends its last voxels go on: see :func:`shared_box` for what both show.
    """

    def __init__(self, stack: ComparedStack, other: ComparedStack, region: Box) -> None:
        self._region, self._is_same = region, stack.is_on_voxels_of(other)
        self._volume = Volume(stack.data, stack.spacing_um)
        self._matrix = np.asarray(np.linalg.inv(stack.matrix) @ other.matrix, dtype=np.float64)
        self.is_array = self._is_same and stack.is_at_hand
        """Whether a box costs next to nothing."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along Z, Y, X."""
        return self._region.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number."""
        return np.dtype(np.float32)

    def _read(self, box: tuple[slice, ...]) -> FloatArray:
        wanted = Box(*box).shifted(self._region.start)
        voxels = self._volume.data[wanted] if self._is_same else resample(self._volume, self._matrix, wanted)
        return np.asarray(voxels, dtype=np.float32)


def shared_box(stacks: Sequence[ComparedStack], reference: ComparedStack) -> Box:
    """The box of voxels of a reference that all stacks show whole.

    InputError if it is smaller than a stack must be, or if where a stack lies is not known.
    """
    shared = Box.whole(reference.data.shape)
    own = Volume(reference.data, reference.spacing_um, name=reference.title)
    for stack in stacks:
        if stack.has_um != reference.has_um:
            names = [each.title for each in sorted((stack, reference), key=lambda each: each.has_um)]
            raise InputError(
                f"{names[0]} has no voxel size, so how it lies on {names[1]} is not known. "
                "Choose it in Predict and type its voxel size there."
            )
        if stack.is_on_voxels_of(reference):
            continue
        moved = np.linalg.inv(reference.matrix) @ stack.matrix @ np.diag([*(1 / np.array(stack.spacing_um)), 1.0])
        transform = Transform.from_array(np.diag([*reference.spacing_um, 1.0]) @ moved)
        other = Volume(stack.data, stack.spacing_um, name=stack.title)
        shared = shared_region(other, own, transform, (Box.whole(other.shape), shared))
    return shared


def compared_stacks(
    layers: Sequence[Image], steps: Sequence[int], limits: Mapping[Image, tuple[float, float]]
) -> list[ComparedStack]:
    """Stacks of layers where the sliders of their other axes stand.

    Parameters
    ----------
    layers : sequence of Image
    steps : sequence of int
        Positions of napari's sliders, lined up from the last axis.
    limits : mapping
        Contrast limits of a layer; by percentiles of its stack where none are given.

    Raises
    ------
    InputError
        If a layer is no stack.
    """
    named, found = titles(layers), []
    for layer in layers:
        axes, shape = find_axes(layer), full_data(layer).shape
        own = [0] * max(0, layer.ndim - len(steps)) + list(steps[-layer.ndim :])
        index = {axis: min(own[axis], shape[axis] - 1) for axis in range(layer.ndim)}
        stack, order = pick(layer, axes, index), list(axes.zyx)
        whole = layer_matrix(layer)
        units = [um_per_unit(layer.units[axis]) for axis in order]
        chosen = np.array([0 if axis in order else index[axis] for axis in range(layer.ndim)])
        matrix = np.eye(4)
        matrix[:3, :3] = whole[np.ix_(order, order)]
        matrix[:3, 3] = (whole[:-1, :-1] @ chosen + whole[:-1, -1])[order]
        matrix[:3] *= np.array([unit or 1.0 for unit in units])[:, None]
        colours = layer.colormap.map(np.linspace(0, 1, TABLE_SIZE) ** layer.gamma)[:, :3]
        found.append(
            ComparedStack(
                named[layer],
                role(layer) or named[layer].rstrip(" 0123456789"),
                stack,
                matrix,
                limits.get(layer) or _limits(stack),
                np.asarray(np.round(colours * 255), dtype=np.uint8),
                None not in units,
                layer,
                tuple(int(place) for place in chosen),
            )
        )
    return found


def _limits(stack: Stack) -> tuple[float, float]:
    """Contrast limits of a stack by percentiles; of one in memory from every n-th pixel, n x n times as fast."""
    n = max(1, round((stack.shape[1] * stack.shape[2] / LIMIT_PIXELS) ** 0.5))
    return contrast_limits(stack[:, ::n, ::n] if isinstance(stack, np.ndarray) else stack)


def with_common_limits(stacks: Sequence[ComparedStack]) -> list[ComparedStack]:
    """The stacks with one contrast for all."""
    low, high = min(stack.limits[0] for stack in stacks), max(stack.limits[1] for stack in stacks)
    return [replace(stack, limits=(low, high)) for stack in stacks]
