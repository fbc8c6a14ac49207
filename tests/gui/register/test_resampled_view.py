"""A stack as it is seen on another one's voxels; without a viewer."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_deep3d.gui.register.resampled_view import ResampledView, square_edges

EYE = np.eye(4)


def view_of(data: Any, **changes: Any) -> ResampledView:
    return ResampledView(data, **({"shape": data.shape, "zyx_axes": (0, 1, 2), "empty": -1.0} | changes))


def test_planes_are_resampled_linearly_and_empty_outside() -> None:
    data = np.arange(6 * 8 * 10, dtype=np.float32).reshape(6, 8, 10)
    matrix = np.eye(4)
    matrix[:3, 3] = (1, 0, 0.5)
    view = view_of(data)
    assert view.change(matrix, None, shows_odd_squares=False)
    assert not view.change(matrix.copy(), None, shows_odd_squares=False)
    assert np.array_equal(view[2][:, :9], data[3, :, :9] + 0.5)
    assert np.all(view[2][:, 9] == -1)
    assert np.array_equal(view[:, 4, 3], [*(data[1:, 4, 3] + 0.5), -1])
    assert np.all(view[5] == -1)
    assert view_of(data, shape=(6, 1, 8, 10), zyx_axes=(0, 2, 3))[2, 0].shape == (8, 10)


def test_squares_of_two_stacks_fill_the_plane() -> None:
    ones = np.ones((6, 8, 10), np.uint8)
    even, odd = view_of(ones, empty=0.0), view_of(ones, empty=0.0)
    for view in (even, odd):
        view.change(EYE, (2.0, 3.0, 3.0), shows_odd_squares=view is odd)
    for key in (0, 1, np.s_[:, 4], np.s_[:, :, 7]):
        assert np.all(even[key] + odd[key] == 1)
        assert 0 < even[key].mean() < 1
    assert not even[:, :, :].any()  # nothing is computed for 3D


def test_fine_detail_is_seen_without_haze() -> None:
    """A line on a slow slope: the slope goes, the line stays; where the other stack ends nothing is made up."""
    data = np.broadcast_to(np.linspace(0, 1000, 200, dtype=np.float32), (20, 8, 200)).copy()
    data[:, :, 100] += 50
    matrix = np.eye(4)
    matrix[2, 3] = -60  # the first 60 columns are outside
    view = view_of(data)
    assert view.change(matrix, None, shows_odd_squares=False, is_detail=True)
    assert not view.change(matrix, None, shows_odd_squares=False, is_detail=True)
    for plane in (view[:, 4], view[10]):
        assert plane.min() == 0
        assert np.all(plane[:, :60] == 0)
        assert np.all(plane[:, 160] > 5)
        assert np.all(plane[:, 90:140] < 1)
    assert 5 < view.detail_limit() < 50
    assert view.change(matrix, None, shows_odd_squares=False)
    assert np.all(view[10][:, :60] == -1)


def test_squares_are_as_wide_in_um_along_each_axis() -> None:
    assert square_edges((40, 160, 320), (0.5, 0.25, 0.25)) == (10.0, 20.0, 20.0)
    assert square_edges((40, 16, 16), (0.5, 0.25, 0.25)) == (2.0, 2.0, 2.0)


def test_large_planes_are_seen_coarsely() -> None:
    data = np.broadcast_to(np.arange(10, dtype=np.float32), (6, 8, 10))
    plane = view_of(data, max_voxels=30)[2]
    assert plane.shape == (8, 10)
    assert set(np.unique(plane)) < set(range(10))
