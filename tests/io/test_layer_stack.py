"""From a layer of napari to a stack that a file can hold; napari itself says where the voxels lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image

from napari_deep3d.core import InputError, drain
from napari_deep3d.io import SavableStack, layer_stack, open_stack, save_stack

UM = ("um",) * 3
DATA = np.random.default_rng(0).integers(0, 4000, (5, 20, 24), dtype=np.uint16)


def of(layer: Image) -> SavableStack:
    data, properties, _ = layer.as_layer_data_tuple()
    return layer_stack(data, properties)


def check_places(layer: Image, stack: SavableStack) -> None:
    """The file says of each value where napari draws it."""
    (*place,) = np.argwhere(np.asarray(stack.voxels) == DATA.max())[0]
    said = np.array(stack.facts.origin_um) + np.array(place) * stack.facts.spacing_um
    drawn = layer.data_to_world(np.argwhere(layer.data == DATA.max())[0])
    np.testing.assert_allclose(said, drawn, rtol=1e-6, atol=1e-6)


def test_a_voxel_size_in_the_affine() -> None:
    affine = np.diag([0.5, 0.2, 0.2, 1.0])
    affine[:3, 3] = 10, 20, 30
    stack = of(Image(DATA, affine=affine, units=UM))
    assert stack.facts.spacing_um == pytest.approx((0.5, 0.2, 0.2))
    assert stack.facts.origin_um == pytest.approx((10, 20, 30))
    assert stack.notice == ""
    affine[:3] *= 1000
    scaled = of(Image(DATA, affine=affine, scale=(2, 1, 1), translate=(1, 0, 0), units=("nm",) * 3))
    assert scaled.facts.spacing_um == pytest.approx((1, 0.2, 0.2))
    assert scaled.facts.origin_um == pytest.approx((10.5, 20, 30))


@settings(deadline=None, max_examples=40)
@given(
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    in_affine=st.booleans(),
    turns=st.integers(0, 3),
    plane=st.sampled_from([(0, 1), (0, 2), (1, 2)]),
)
def test_flips_and_quarter_turns_are_kept(signs: Any, in_affine: bool, turns: int, plane: Any) -> None:
    turn = np.eye(3)
    for _ in range(turns):
        quarter = np.eye(3)
        quarter[np.ix_(plane, plane)] = [[0, -1], [1, 0]]
        turn = quarter @ turn
    scale, affine = np.array(signs) * (0.5, 0.2, 0.3), np.eye(4)
    affine[:3, :3] = turn @ np.diag(scale) if in_affine else turn
    affine[:3, 3] = 7, -5, 3
    layer = Image(DATA, scale=(1, 1, 1) if in_affine else scale, affine=affine, units=UM)
    stack = of(layer)
    assert stack.notice == ""
    assert min(stack.facts.spacing_um) > 0
    check_places(layer, stack)


@pytest.mark.parametrize("way", [{"rotate": (10, 0, 0)}, {"shear": (0.2, 0, 0)}])
def test_what_no_file_holds_is_said(way: dict[str, Any]) -> None:
    layer = Image(DATA, name="cell", scale=(0.5, 0.2, 0.2), translate=(1, 2, 3), units=UM, **way)
    stack = of(layer)
    assert "cell is rotated or sheared in napari" in stack.notice
    assert "have no place for it" in stack.notice
    np.testing.assert_array_equal(stack.voxels, DATA)
    np.testing.assert_allclose(stack.facts.origin_um, layer.data_to_world((0, 0, 0)))
    matrix = np.array(stack.facts.description["napari_matrix_um"])
    np.testing.assert_allclose(matrix @ [4, 3, 2, 1], layer.data_to_world((4, 3, 2)))


@pytest.mark.parametrize(
    ("shape", "labels", "axes", "saved", "guess"),
    [
        ((5, 1, 20, 24), None, "ZYX", (5, 20, 24), ""),
        ((5, 1, 20, 24), ("z", "c", "y", "x"), "ZYX", (5, 20, 24), ""),
        ((3, 1, 5, 20, 24), None, "TZYX", (3, 5, 20, 24), "saved as time points"),
        ((3, 1, 5, 20, 24), ("t", "c", "z", "y", "x"), "TZYX", (3, 5, 20, 24), ""),
        ((1, 1, 5, 20, 24), None, "ZYX", (5, 20, 24), ""),
        ((5, 2, 20, 24), ("z", "c", "y", "x"), "CZYX", (2, 5, 20, 24), ""),
        ((5, 2, 20, 24), None, "CZYX", (2, 5, 20, 24), "saved as channels"),
        ((2, 5, 20, 24), ("channel", "z", "y", "x"), "CZYX", (2, 5, 20, 24), ""),
        ((3, 2, 5, 20, 24), ("time", "ch", "depth", "y", "x"), "TCZYX", (3, 2, 5, 20, 24), ""),
        ((20, 24, 5), ("y", "x", "z"), "ZYX", (5, 20, 24), ""),
    ],
)
def test_axes_of_every_order(shape: Any, labels: Any, axes: str, saved: Any, guess: str) -> None:
    units = ["um"] * len(shape)
    layer = Image(np.zeros(shape, np.uint8), axis_labels=labels, units=units)
    stack = of(layer)
    assert (stack.facts.axes, stack.voxels.shape) == (axes, saved)
    assert guess in stack.notice
    assert bool(guess) == bool(stack.notice)


@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
def test_a_series_of_channels_is_written_and_read_back(tmp_path: Path, ending: str) -> None:
    data = np.random.default_rng(1).integers(0, 99, (2, 5, 3, 20, 24), dtype=np.uint8)
    labels, units = ("t", "z", "c", "y", "x"), ("s", "um", "pixel", "um", "um")
    layer = Image(da.from_array(data), scale=(30, 0.5, 1, 0.2, 0.2), axis_labels=labels, units=units, name="cell")
    stack = of(layer)
    assert (stack.facts.time_step_s, stack.notice) == (30, "")
    path = drain(save_stack(tmp_path / f"a{ending}", stack.voxels, stack.facts))
    opened = open_stack(path)
    np.testing.assert_array_equal(opened.data[...], data.transpose(0, 2, 1, 3, 4))
    assert opened.spacing_um == pytest.approx((0.5, 0.2, 0.2))
    assert opened.channel_names == ("cell 0", "cell 1", "cell 2")


@pytest.mark.parametrize(
    ("shape", "more", "words"),
    [
        ((5, 20, 24), {}, "no voxel size in um"),
        ((20, 24), {"units": ("um",) * 2}, "one plane"),
        ((5, 20, 24, 3), {"rgb": True, "units": UM}, "colour"),
        ((2, 3, 5, 20, 24), {"units": ("um",) * 5}, "more than time, channel"),
    ],
)
def test_what_cannot_be_saved_says_why(shape: Any, more: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        of(Image(np.zeros(shape, np.uint8), name="cell", **more))
