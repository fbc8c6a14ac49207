"""What of a plane may be no image: whole rows and columns, and areas, of equal voxels; and what their edges say."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_deep3d.core.no_data.edges import BEYOND, Edge, look_at_edge
from napari_deep3d.core.no_data.mask import Mask
from napari_deep3d.core.types import DoubleArray, FloatArray

RUN = 8
"""Equal voxels in a row or column that are no chance."""
MAX_VALUES = 3
"""Values of a plane, the most frequent first, that may mark what is no image."""
SAMPLED, MAX_PIECES = 100_000, 1000
"""Voxels that such values are told by, and pieces that runs of one may be in."""
MAX_AREAS = 100
"""Areas of a plane, the largest first, that may be no image."""
WINDOW = 11
"""Side in voxels of the square within which an edge should be straight."""
MAX_BEND = 0.015
"""How far from half of the square may be no image at the middle (median) of all places of an edge: it is less where
what may be none bulges into the image, as overexposed nuclei do, and more around a sample that was cut out."""
MAX_FRAYING = 0.045
"""How far it may be in either direction, for edges that are straight only by and large."""
MIN_FILLED = 0.95
"""Share of its bounding box that a rectangle fills."""


@dataclass(frozen=True)
class Lines:
    """Neighbouring rows (axis 0) or columns (axis 1) of a plane that may be no image, from ``start`` up to ``stop``."""

    axis: int
    start: int
    stop: int
    edge: Edge


@dataclass(frozen=True)
class Candidates:
    """What of a plane may be no image.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the plane.
    value : float or None
        That of all of the plane's finite voxels, if they are alike; NaN if none is finite. There are no parts then.
    lines : tuple of Lines
        Whole rows and columns.
    areas : tuple of Edge
        What the edge of each area says.
    """

    shape: tuple[int, int]
    value: float | None = None
    lines: tuple[Lines, ...] = ()
    areas: tuple[Edge, ...] = ()
    _labels: bytes | None = None
    _not_finite: bytes | None = None

    @property
    def is_blameless(self) -> bool:
        """Whether all of the plane is image."""
        return self.value is None and not (self.lines or self.areas or self._not_finite)

    @property
    def has_gaps(self) -> bool:
        """Whether more than a few voxels of the plane are not finite."""
        return self._not_finite is not None

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Which voxel (Y, X) belongs to which area: 0 to none, n to the n-th one."""
        return _unpacked(self._labels, self.shape)

    def line(self, number: int) -> Mask:
        """Where the lines of a number are (Y, X)."""
        mask, line = np.zeros(self.shape, bool), self.lines[number]
        mask[(slice(None),) * line.axis + (slice(line.start, line.stop),)] = True
        return mask

    @property
    def not_finite(self) -> Mask:
        """What is not finite over more than a few voxels (Y, X)."""
        return _unpacked(self._not_finite, self.shape).view(bool)


def _packed(values: NDArray[Any]) -> bytes | None:
    """Bytes of an array, compressed; None if all are 0."""
    return zlib.compress(values.tobytes(), 1) if values.any() else None


def _unpacked(packed: bytes | None, shape: tuple[int, int]) -> NDArray[np.uint8]:
    if packed is None:
        return np.zeros(shape, np.uint8)
    return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(shape)


def find_candidates(plane: NDArray[Any]) -> Candidates:
    """What of a plane (Y, X) may be no image."""
    shape = (plane.shape[0], plane.shape[1])
    finite = np.isfinite(plane)
    gaps = _extended(~finite)
    not_finite = _packed(gaps)
    if not finite.any():
        return Candidates(shape, float("nan"), _not_finite=not_finite)
    flat = _flat(plane)
    if not_finite is None and not flat.any():
        return Candidates(shape)
    one = plane[finite][0]
    if (plane[finite] == one).all():
        return Candidates(shape, float(one), _not_finite=not_finite)
    possible, labels = _connected(plane, flat)
    possible |= gaps
    if not possible.any():
        return Candidates(shape)
    # 1. Areas, whole rows and columns left out.
    is_line: tuple[Mask, Mask] = np.all(possible, axis=1), np.all(possible, axis=0)
    if is_line[0].all():  # nothing but flat areas: no camera's image
        return Candidates(shape, _not_finite=not_finite)
    voxels = np.where(possible, np.nan, plane.astype(np.float64))
    kept = np.ix_(~is_line[0], ~is_line[1])
    areas, numbers = _areas(plane[kept], voxels[kept], labels[kept], possible[kept])
    every = np.zeros(shape, np.uint8)
    every[kept] = numbers
    # 2. Whole rows and columns, areas that are no image left out.
    left_out = np.array([False, *(edge.is_edge_of_image for edge in areas)])[every] | gaps
    lines = [Lines(0, *part) for part in _lines(plane, left_out, is_line[0], is_line[1])]
    lines += [Lines(1, *part) for part in _lines(plane.T, left_out.T, is_line[1], is_line[0])]
    return Candidates(shape, None, tuple(lines), areas, _packed(every), not_finite)


def _flat(plane: NDArray[Any]) -> Mask:
    """Voxels in a row or column of at least :data:`RUN` equal ones, or of as many as there are; never NaN."""
    return _runs(plane) | _runs(plane.T).T


def _runs(plane: NDArray[Any]) -> Mask:
    """The same for rows alone."""
    width = plane.shape[1]
    run = min(RUN, width)
    starts, reach = plane[:, 1:] == plane[:, :-1], 1  # so many steps on from here all voxels are equal
    while reach < run - 1:
        more = min(reach, run - 1 - reach)
        starts = starts[:, : starts.shape[1] - more] & starts[:, more:]
        reach += more
    flat = np.zeros(plane.shape, bool)
    if starts.any():
        for step in range(run):
            flat[:, step : step + starts.shape[1]] |= starts
    return flat


def _extended(gaps: Mask) -> Mask:
    """Those areas of a mask (Y, X) that have a run within; single voxels are a matter of the camera."""
    if not gaps.any():
        return gaps
    labels, number = ndi.label(gaps)
    has_run = np.zeros(number + 1, bool)
    has_run[labels[_flat(gaps) & gaps]] = True
    extended: Mask = has_run[labels]
    return extended


def _connected(plane: NDArray[Any], flat: Mask) -> tuple[Mask, NDArray[np.int32]]:
    """Voxels that are connected to flat ones of the same value, and their labels by connected area."""
    possible, labels, count = np.zeros(plane.shape, bool), np.zeros(plane.shape, np.int32), 0
    sample = plane[flat]
    values, counts = np.unique(sample[:: max(1, len(sample) // SAMPLED)], return_counts=True)
    for value in values[np.argsort(-counts, kind="stable")[:MAX_VALUES]]:
        equal = plane == value
        if ndi.label(flat & equal)[1] > MAX_PIECES:  # clipped noise
            continue
        found, number = ndi.label(equal)
        has_flat = np.zeros(number + 1, bool)
        has_flat[found[flat]] = True
        has_flat[0] = False
        chosen = has_flat[found]
        labels[chosen] = found[chosen] + count
        possible |= chosen
        count += number
    return possible, labels


def _lines(plane: NDArray[Any], left_out: Mask, is_line: Mask, is_crossing: Mask) -> Iterator[tuple[int, int, Edge]]:
    """Whole rows: the first, the one after the last, and the edge; what is ``left_out`` is no image either."""
    changes = np.diff(np.concatenate([[False], is_line, [False]]).astype(np.int8))
    for start, stop in zip(np.flatnonzero(changes == 1), np.flatnonzero(changes == -1), strict=True):
        values, beyond = [plane[start, :0].astype(np.float64)], [np.empty((0, BEYOND))]
        for last, step in ((stop - 1, 1), (start, -1)):
            places = last + step * np.arange(1, BEYOND + 1)
            if 0 <= places[-1] < len(plane) and not is_line[places].any():
                crossing = ~is_crossing & ~left_out[places].any(axis=0)
                values.append(plane[last, crossing].astype(np.float64))
                beyond.append(plane[places][:, crossing].T.astype(np.float64))
        edge = look_at_edge(np.concatenate(values), np.concatenate(beyond))
        if not edge.places:
            edge = Edge(float(np.median(plane[start])), 0, False)
        yield int(start), int(stop), edge


def _areas(
    plane: NDArray[Any], voxels: DoubleArray, labels: NDArray[np.int32], possible: Mask
) -> tuple[tuple[Edge, ...], NDArray[np.uint8]]:
    """What the edges of areas say, and which voxel belongs to which."""
    numbers, sizes = np.unique(labels[labels > 0], return_counts=True)
    chosen = numbers[np.argsort(-sizes, kind="stable")[:MAX_AREAS]]
    order = np.zeros(int(labels.max(initial=0)) + 1, np.uint8)
    order[chosen] = np.arange(1, len(chosen) + 1)
    areas = order[labels]
    if not len(chosen):
        return (), areas
    share: FloatArray = ndi.uniform_filter(possible.astype(np.float32), WINDOW, mode="nearest")
    boxes = ndi.find_objects(areas)
    edges = []
    for number, box in enumerate(boxes, start=1):
        wider = tuple(slice(max(0, part.start - BEYOND), part.stop + BEYOND) for part in box)
        inside = areas[wider] == number
        size = int(inside.sum())
        is_rectangle = size >= MIN_FILLED * areas[box].size
        if is_rectangle or any(part.start == 0 or part.stop == n for part, n in zip(box, areas.shape, strict=True)):
            edge = _edge_of_area(plane[wider], voxels[wider], inside, None if is_rectangle else share[wider])
        else:
            edge = Edge(float(plane[areas == number][0]), size, False, is_straight=False)
        edges.append(replace(edge, voxels=size))
    return tuple(edges), areas


def _edge_of_area(plane: NDArray[Any], voxels: DoubleArray, inside: Mask, share: FloatArray | None) -> Edge:
    """What the edge of an area says; its edge has to be straight by the ``share`` of candidates around each voxel."""
    values, beyond, sides = [], [], []
    for axis, backward in product((0, 1), (False, True)):
        turned, here, voxel, around = (
            None if each is None else np.moveaxis(each, axis, 0)[:: -1 if backward else 1]
            for each in (plane, inside, voxels, share)
        )
        assert turned is not None
        assert here is not None
        assert voxel is not None
        row, column = np.nonzero(here[:-BEYOND] & np.isfinite(voxel[1 : 1 - BEYOND]))
        values.append(turned[row, column].astype(np.float64))
        beyond.append(np.stack([voxel[row + step, column] for step in range(1, BEYOND + 1)], axis=1))
        if around is not None:
            sides.append((around[row, column] + around[row + 1, column]) / 2 - 0.5)
    edge = look_at_edge(np.concatenate(values), np.concatenate(beyond))
    if share is None:
        return edge
    bend = np.concatenate(sides)
    if not bend.size:
        return edge
    is_straight = abs(np.median(bend)) <= MAX_BEND and np.median(np.abs(bend)) <= MAX_FRAYING
    return replace(edge, is_edge_of_image=edge.is_edge_of_image and bool(is_straight), is_straight=bool(is_straight))
