"""Transforms in um: inverse, composition with voxel sizes, and the file format."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.registration.transform import Transform, centre_um, corners_um

few = settings(deadline=None, max_examples=60)
spacings = st.tuples(*[st.floats(0.05, 2)] * 3)
vectors = st.tuples(*[st.floats(-50, 50)] * 3)


@st.composite
def transforms(draw: st.DrawFn) -> Transform:
    matrix = np.eye(4)
    matrix[:3, :3] += np.array(draw(st.lists(st.floats(-0.2, 0.2), min_size=9, max_size=9))).reshape(3, 3)
    matrix[:3, 3] = draw(vectors)
    return Transform.from_array(matrix)


@few
@given(transforms(), vectors)
def test_inverse_leads_back(transform, place) -> None:
    there = transform.apply(np.array(place))
    np.testing.assert_allclose(transform.inverse.apply(there), place, atol=1e-8)
    np.testing.assert_allclose(transform.inverse.inverse.matrix, transform.matrix, atol=1e-8)


@few
@given(transforms(), vectors)
def test_apply_is_the_homogeneous_product_at_every_place(transform, place) -> None:
    expected = (transform.matrix @ [*place, 1])[:3]
    places = np.tile(place, (2, 5, 1))
    np.testing.assert_allclose(transform.apply(places), np.broadcast_to(expected, (2, 5, 3)), atol=1e-9)
    np.testing.assert_allclose(transform.shift_at(place), expected - place, atol=1e-9)


@few
@given(transforms(), vectors, vectors)
def test_moved_adds_a_shift_after_the_map(transform, by, place) -> None:
    moved = transform.moved(by)
    np.testing.assert_allclose(moved.apply(np.array(place)), transform.apply(np.array(place)) + by, atol=1e-9)
    np.testing.assert_array_equal(moved.matrix[:3, :3], transform.matrix[:3, :3])


@few
@given(transforms(), spacings, spacings, st.tuples(*[st.integers(0, 500)] * 3))
def test_index_matrix_is_the_map_between_voxels(transform, confocal_um, widefield_um, index) -> None:
    place = transform.apply(np.array(index) * confocal_um)
    found = (transform.index_matrix(confocal_um, widefield_um) @ [*index, 1])[:3]
    np.testing.assert_allclose(found * widefield_um, place, atol=1e-6)


@few
@given(transforms())
def test_round_trip_through_json_is_exact(transform) -> None:
    assert Transform.from_dict(json.loads(json.dumps(transform.to_dict()))) == transform


def test_only_a_shift_is_a_shift() -> None:
    shift = Transform.shift((1.5, -2, 0.25))
    assert shift.is_shift
    assert shift.shift_at((100, 20, 3)) == pytest.approx((1.5, -2, 0.25))
    matrix = shift.matrix
    matrix[1, 2] = 1e-4
    assert not Transform.from_array(matrix).is_shift


def test_other_entries_of_a_file_are_ignored() -> None:
    transform = Transform.shift((1, 2, 3))
    assert Transform.from_dict({**transform.to_dict(), "confidence": 0.9, "notices": []}) == transform


@pytest.mark.parametrize("values", [{}, {"format": "elastix", "version": 1}, [1, 2], "text", None])
def test_what_is_not_ours_is_refused(values: Any) -> None:
    with pytest.raises(InputError, match=r"no registration of napari-deep3d; give a \.json"):
        Transform.from_dict(values)


@pytest.mark.parametrize("version", [2, "1", None])
def test_another_version_is_refused(version: object) -> None:
    values = {**Transform.shift((1, 2, 3)).to_dict(), "version": version}
    with pytest.raises(InputError, match=rf"format version {version!r}; version 1 is read here. Update"):
        Transform.from_dict(values)


SINGULAR = np.diag([1.0, 1.0, 0.0, 1.0]).tolist()
NOT_AFFINE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
NOT_FINITE = np.diag([1.0, np.nan, 1.0, 1.0]).tolist()


@pytest.mark.parametrize(
    "matrix", [SINGULAR, NOT_AFFINE, NOT_FINITE, np.eye(3).tolist(), [[1, 2], [3]], [["a"] * 4] * 4, {}, None]
)
def test_matrix_that_is_no_transform_is_refused(matrix: Any) -> None:
    values = {**Transform.shift((1, 2, 3)).to_dict(), "matrix_um": matrix}
    with pytest.raises(InputError, match=r"invertible 4 x 4 matrix .* Estimate the registration again"):
        Transform.from_dict(values)


def test_file_without_a_matrix_is_refused() -> None:
    values = Transform.shift((1, 2, 3)).to_dict()
    del values["matrix_um"]
    with pytest.raises(InputError, match="invertible 4 x 4 matrix"):
        Transform.from_dict(values)


@few
@given(st.tuples(*[st.integers(2, 50)] * 3), spacings)
def test_corners_are_the_outermost_voxels_around_the_middle(shape, spacing) -> None:
    corners = corners_um(shape, spacing)
    assert len(np.unique(corners, axis=0)) == 8
    np.testing.assert_array_equal(corners.min(axis=0), 0)
    np.testing.assert_allclose(corners.max(axis=0), (np.array(shape) - 1) * spacing)
    np.testing.assert_allclose(corners.mean(axis=0), centre_um(shape, spacing))


def test_corners_come_with_z_first_and_x_fastest() -> None:
    corners = corners_um((3, 4, 5), (1.0, 1.0, 1.0)).reshape(2, 2, 2, 3)
    for index in np.ndindex(2, 2, 2):
        np.testing.assert_array_equal(corners[index], np.array(index) * (2, 3, 4))
