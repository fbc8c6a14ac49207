"""Find the voxels of a stack that are no image.

A camera's voxels are never exactly alike over any length, except where light is clipped (background subtracted, or
overexposed) or where there is nothing: beyond the edge of a stack that was shifted, turned, sheared, stitched, warped
or padded, and in dead lines and planes. What tells nothing from a clipped or noiseless background is its edge: it is
straight, and beyond it there is image at once, at another level or with noise of its own, while light fades and clipped
noise frays.

1. Candidates are voxels in a row or column of at least 8 equal ones of a plane, and what is connected to them.
2. Whole rows and columns of candidates are taken out, so that the others can be looked at as if they were not there.
3. An area of candidates that is left is no image if its edge is straight (or its shape a rectangle) and a step.
4. Whole rows and columns are no image if their edge is a step; whole planes, if the step is between planes.
5. Where edges are blurred by interpolation, one voxel more counts as no image.

What is not finite over as many voxels is always no image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_deep3d.core.no_data.candidates import Candidates, find_candidates
from napari_deep3d.core.no_data.edges import BEYOND, Edge, look_at_edge
from napari_deep3d.core.no_data.mask import Mask, NoData
from napari_deep3d.core.types import DoubleArray
from napari_deep3d.core.volume import Stack, shape_of

MAX_DENSITY_BETWEEN = 0.9
"""Share of a neighbouring plane that may have the value of a whole plane, where there is image on both sides."""
AGREED = 0.8
"""Share of the edges of a value, by length, which those follow that are too short to be judged alone."""
DISAGREED = 0.5
"""The share up to which none of them is taken for the edge of the image."""
MIN_SHARE = 0.001
"""Share of the stack that areas of a value are, or they are plateaus of a noiseless image."""
LONG_EDGE = 64
"""Places from which on an edge is judged alone."""
MIN_MIXED = 0.25
"""Share of edges that are a mixture of both sides, from which on they are interpolated."""
COMPARED = 64
"""About how many rows and columns of a plane are compared with other planes."""


def find_no_data(stack: Stack, on_plane: Callable[[NDArray[Any]], None] | None = None) -> NoData | None:
    """Find the voxels of a stack that are no image.

    Parameters
    ----------
    stack : Stack, axes (Z, Y, X)
        Read plane by plane, once.
    on_plane : callable or None
        Called with each plane (Y, X), the first one first: for what else is to be measured, so that it is read once.

    Returns
    -------
    NoData or None
        None if all of it is image, or all of it one number.
    """
    shape = shape_of(stack)
    rows, columns = (slice(None, None, max(1, n // COMPARED)) for n in shape[1:])
    planes: list[Candidates] = []
    thinned = np.empty((shape[0], len(range(shape[1])[rows]), len(range(shape[2])[columns])))
    for z in range(shape[0]):
        plane = np.asarray(stack[z])
        if on_plane is not None:
            on_plane(plane)
        planes.append(find_candidates(plane))
        thinned[z] = plane[rows, columns]
    if all(plane.is_blameless for plane in planes):
        return None
    if len({plane.value for plane in planes}) == 1 and planes[0].value is not None and not planes[0].has_gaps:
        return None
    # 1. What is no image within planes, and then whole planes.
    planes = _also_between_planes(planes, thinned, (rows, columns))
    verdict = _Verdict(planes)
    within = [verdict.mask(plane)[rows, columns] for plane in planes]
    whole = _whole_planes([plane.value for plane in planes], thinned, np.stack(within), verdict)
    # 2. The masks, plane by plane.
    not_finite = sum(int(np.count_nonzero(plane.not_finite)) for plane in planes if plane.has_gaps)
    found = NoData.of(_masks(planes, whole, verdict), _values(planes, whole, verdict), not_finite)
    return found if found.share else None


def _values(planes: Sequence[Candidates], whole: NDArray[np.bool_], verdict: _Verdict) -> tuple[float, ...]:
    """What the file holds where there is no image, the most frequent first, counted by edges and planes."""
    found: Counter[str] = Counter()  # NaN is unlike itself
    for plane, is_whole in zip(planes, whole, strict=True):
        if is_whole and plane.value is not None:
            found[repr(plane.value)] += sum(plane.shape)
        for line in plane.lines:
            found[repr(line.edge.value)] += verdict.on_line(line.edge) * plane.shape[1 - line.axis]
        for edge in plane.areas:
            found[repr(edge.value)] += verdict.on_area(edge) * edge.places
        found["nan"] += plane.has_gaps
    return tuple(float(value) for value, count in found.most_common() if count)


class _Verdict:
    """Which candidates are no image, by what all edges of the same value say."""

    def __init__(self, planes: Sequence[Candidates]) -> None:
        lines = [line.edge for plane in planes for line in plane.lines]
        areas = [edge for plane in planes for edge in plane.areas]
        least = MIN_SHARE * sum(plane.shape[0] * plane.shape[1] for plane in planes)
        self._of_lines, self._of_areas = _agreement(lines), _agreement(areas, least)
        self._of_both = _agreement([*lines, *areas])
        edges = [edge for edge in (*lines, *areas) if edge.is_edge_of_image]
        self.is_interpolated = sum(e.mixed for e in edges) >= MIN_MIXED * max(1, sum(e.places for e in edges))

    def on_line(self, edge: Edge) -> bool:
        """Whether whole rows or columns with this edge are no image."""
        return self._is_none(edge, self._of_lines)

    def on_area(self, edge: Edge) -> bool:
        """Whether an area with this edge is no image."""
        return self._is_none(edge, self._of_areas)

    def on_value(self, value: float) -> bool:
        """Whether what has this value, and an edge that says nothing, is no image."""
        return self._of_both.get(value, 0.0) >= AGREED

    def _is_none(self, edge: Edge, agreement: Mapping[float, float]) -> bool:
        if not edge.places:
            return self.on_value(edge.value)
        share = agreement.get(edge.value, 0.0)
        if share <= DISAGREED or edge.places >= LONG_EDGE:
            return edge.is_edge_of_image and share > DISAGREED
        return edge.is_edge_of_image or share >= AGREED

    def mask(self, plane: Candidates) -> Mask:
        """What of a plane (Y, X) that has image is none."""
        mask = plane.not_finite.copy()
        if plane.areas:
            mask |= np.array([False, *map(self.on_area, plane.areas)])[plane.labels]
        for number, line in enumerate(plane.lines):
            if self.on_line(line.edge):
                mask |= plane.line(number)
        return mask


def _agreement(edges: Iterable[Edge], least: float = 0.0) -> dict[float, float]:
    """For each value with ``least`` voxels the share of the edges, by length, that are edges of the image."""
    places, agreed, voxels = Counter[float](), Counter[float](), Counter[float]()
    for edge in edges:
        places[edge.value] += edge.places
        agreed[edge.value] += edge.places * edge.is_edge_of_image
        voxels[edge.value] += edge.voxels * edge.is_edge_of_image
    return {value: agreed[value] / count for value, count in places.items() if count and voxels[value] >= least}


def _also_between_planes(
    planes: Sequence[Candidates], thinned: DoubleArray, part: tuple[slice, slice]
) -> list[Candidates]:
    """The candidates, also those as no image whose edge is a step from plane to plane.

    Where a stack was turned about an axis within its planes, and interpolated, the edge is a long slope within them.

    Parameters
    ----------
    planes : sequence of Candidates
        As they are by what lies within each plane.
    thinned : array, axes (Z, Y, X)
        Some rows and columns of each plane: the ``part``.
    """
    lines, areas, possible = [], [], []
    for plane in planes:
        lines.append([plane.line(number)[part] for number in range(len(plane.lines))])
        areas.append(plane.labels[part])
        here = [areas[-1] > 0, plane.not_finite[part], np.full(areas[-1].shape, plane.value is not None)]
        possible.append(np.logical_or.reduce([*here, *lines[-1]]))

    not_image = np.stack(possible)

    def is_step(z: int, here: Mask, others: Sequence[Mask]) -> Edge:
        """What the edge of a candidate of plane z says that meets none of ``others`` in the next plane."""
        values, beyond = [thinned[z, :0, 0]], [np.empty((0, BEYOND))]
        for step in (-1, 1):
            following = [z + step * number for number in range(1, BEYOND + 1)]
            if 0 <= following[-1] < len(planes):
                there = here & ~others[following[0]]
                values.append(thinned[z][there])
                beyond.append(np.where(not_image[following], np.nan, thinned[following])[:, there].T)
        return look_at_edge(np.concatenate(values), np.concatenate(beyond))

    def updated(edge: Edge, seen: Edge) -> Edge:
        if edge.is_edge_of_image or not seen.is_edge_of_image:
            return edge
        return replace(edge, places=max(edge.places, seen.places), is_edge_of_image=True, mixed=seen.mixed)

    any_line = [np.logical_or.reduce([*each, np.zeros_like(mask)]) for each, mask in zip(lines, possible, strict=True)]
    found = []
    for z, plane in enumerate(planes):
        new_lines = tuple(
            replace(line, edge=updated(line.edge, is_step(z, lines[z][number], any_line)))
            for number, line in enumerate(plane.lines)
        )
        new_areas = tuple(
            updated(edge, is_step(z, areas[z] == number, possible)) if edge.is_straight else edge
            for number, edge in enumerate(plane.areas, start=1)
        )
        found.append(replace(plane, lines=new_lines, areas=new_areas))
    return found


def _whole_planes(
    values: Sequence[float | None], thinned: DoubleArray, within: Mask, verdict: _Verdict
) -> NDArray[np.bool_]:
    """Planes that are wholly without image, and at the ends of the stack those that are a mixture with image.

    Parameters
    ----------
    values : sequence of float or None
        Of each plane, what all its voxels are.
    thinned, within : arrays, axes (Z, Y, X)
        Some rows and columns of each plane, and what of them is no image.
    """
    whole = np.zeros(len(values), bool)
    mixed: list[int] = []
    others = np.array([value is None for value in values])
    for z, value in enumerate(values):
        if value is None:
            continue
        whole[z] = np.isnan(value) or not others.any()
        sides = [side for side in (np.flatnonzero(others[z:]) + z, np.flatnonzero(others[:z])[::-1]) if side.size]
        edges, natural = [], []
        for side in sides:
            nearest = side[:BEYOND]
            image = ~within[nearest].any(axis=0)
            beyond = thinned[nearest][:, image].T
            natural.append(float((beyond[:, 0] == value).mean()) if len(beyond) else 0.0)
            if len(nearest) == BEYOND:
                edges.append(look_at_edge(np.full(len(beyond), value), beyond))
        between = len(sides) == 2 and max(natural) <= MAX_DENSITY_BETWEEN
        if len(sides) == 1 and edges and edges[0].is_edge_of_image and edges[0].mixed >= MIN_MIXED * edges[0].places:
            mixed.append(int(sides[0][0]))
        judged = [edge.is_edge_of_image for edge in edges if edge.places]
        whole[z] |= between or (all(judged) if judged else verdict.on_value(value))
    whole[mixed] = True
    return whole


def _masks(planes: Sequence[Candidates], whole: NDArray[np.bool_], verdict: _Verdict) -> Iterator[Mask]:
    """The mask (Y, X) of each plane; one voxel wider on every side where edges are interpolated."""
    kept: dict[int, Mask] = {}

    def within(z: int) -> Mask:
        if z not in kept:
            kept[z] = verdict.mask(planes[z])
            kept.pop(z - BEYOND, None)
        return kept[z]

    for z, plane in enumerate(planes):
        if whole[z]:
            yield np.ones(plane.shape, bool)
            continue
        mask = within(z)
        if verdict.is_interpolated:
            near = [mask, *(within(other) for other in (z - 1, z + 1) if 0 <= other < len(planes))]
            mask = ndi.binary_dilation(np.logical_or.reduce(near), np.ones((3, 3), bool))
        yield mask
