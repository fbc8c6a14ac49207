"""Layers to stacks and back, without a viewer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels
from napari.layers._source import layer_source

from napari_deep3d.core.errors import InputError
from napari_deep3d.gui.shared.layers import (
    FileFacts,
    contrast_limits,
    file_facts,
    find_axes,
    is_likely_input,
    pick,
    place,
    place_at_index,
    set_spacing,
    spacing_of,
)
from napari_deep3d.io import METADATA_KEY
from tests.helpers.gui import PLACE, SPACING_UM


@pytest.mark.parametrize(
    ("shape", "labels", "zyx", "others"),
    [
        ((8, 32, 40), None, (0, 1, 2), {}),
        ((3, 8, 32, 40), None, (1, 2, 3), {0: "axis 1"}),
        ((8, 2, 32, 40), None, (0, 2, 3), {1: "axis 2"}),
        ((3, 2, 8, 32, 40), ("t", "c", "z", "y", "x"), (2, 3, 4), {0: "time point", 1: "channel"}),
        ((8, 2, 32, 40), ("Z", "Channel", "Y", "X"), (0, 2, 3), {1: "channel"}),
        ((8, 32, 40, 2), ("z", "y", "x", "c"), (0, 1, 2), {3: "channel"}),
        ((1, 8, 32, 40), ("time", "depth", "y", "x"), (1, 2, 3), {}),
    ],
)
def test_axes_are_told_by_labels_or_else_by_size(
    shape: tuple[int, ...], labels: Any, zyx: tuple[int, ...], others: dict[int, str]
) -> None:
    axes = find_axes(Image(np.zeros(shape, np.uint8), axis_labels=labels, rgb=False))
    assert axes.zyx == zyx
    assert axes.others == others


@pytest.mark.parametrize(
    ("noted", "may_be_predicted"),
    [
        ({}, True),
        ({"simulated": {"kind": "nuclei"}}, True),
        ({"registration": {"method": "psf"}}, True),
        ({"model": "generalist"}, False),
        ({"method": "by hand"}, False),
    ],
)
def test_a_stack_that_was_saved_or_is_of_a_pair_is_no_result(noted: dict[str, Any], may_be_predicted: bool) -> None:
    stack = np.zeros((8, 32, 40), np.uint8)
    assert is_likely_input(Image(stack, name="cell", metadata={METADATA_KEY: noted})) is may_be_predicted
    assert not is_likely_input(Image(stack, name="confocal", metadata={METADATA_KEY: noted}))


def opened(path: Path, voxels: Any) -> Image:
    with layer_source(path=str(path)):
        return Image(voxels)


def test_a_file_that_was_corrected_and_opened_again_gives_its_new_voxel_size(tmp_path: Path) -> None:
    voxels, path, found = np.zeros((8, 32, 40), np.uint16), tmp_path / "a.tif", []
    for size_um in (2.0, 0.5):
        metadata = {"axes": "ZYX", "unit": "um", "spacing": size_um}
        tifffile.imwrite(path, voxels, imagej=True, resolution=(1 / size_um, 1 / size_um), metadata=metadata)
        os.utime(path, ns=(0, 0))  # whatever the clock says
        layer = opened(path, voxels)
        found.append((layer, size_um))
        facts = file_facts(layer)
        assert facts is not None
        assert facts.spacing_um == pytest.approx((size_um,) * 3)
    first = file_facts(found[0][0])
    assert first is not None
    assert first.spacing_um == pytest.approx((2.0,) * 3)  # of what this layer shows
    found[1][0].data = np.zeros((8, 20, 20), np.uint16)
    assert file_facts(found[1][0]) is None


def test_the_file_settles_which_axis_is_z() -> None:
    layer = Image(np.zeros((5, 6, 32, 40), np.uint8))
    assert find_axes(layer).z_choices == (0, 1)
    axes = find_axes(layer, file=FileFacts((1, 6, 5, 32, 40), None))
    assert (axes.zyx, axes.z_choices, axes.others) == ((0, 2, 3), (0,), {1: "channel"})


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (Image(np.zeros((20, 20, 3), np.uint8), rgb=True), "colour"),
        (Image(np.zeros((20, 20), np.uint8)), "one plane"),
        (Image(np.zeros((9, 20, 20), np.uint8), axis_labels=("t", "y", "x")), "9 time points of one plane"),
        (Image(np.zeros((20, 20, 9), np.uint8), axis_labels=("x", "y", "z")), "order x, y, z"),
    ],
)
def test_what_is_no_stack_is_refused_with_a_sentence(layer: Image, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        find_axes(layer)


@pytest.mark.parametrize(
    ("scale", "units", "expected"),
    [
        ((0.5, 0.2, 0.2), ("um", "um", "um"), (0.5, 0.2, 0.2)),
        ((500, 200, 200), ("nm", "nm", "nm"), (0.5, 0.2, 0.2)),
        ((5e-4, 2e-4, 2e-4), ("mm", "mm", "mm"), (0.5, 0.2, 0.2)),
        ((0.5, 0.2, 0.2), ("pixel", "pixel", "pixel"), None),
        ((0.5, 0.2, 0.2), ("s", "um", "um"), None),
    ],
)
def test_voxel_size_comes_from_scale_and_units(scale: Any, units: Any, expected: Any) -> None:
    layer = Image(np.zeros((8, 32, 40), np.uint8), scale=scale, units=units)
    assert spacing_of(layer, find_axes(layer)) == (expected and pytest.approx(expected))


def test_voxel_size_in_the_affine_counts() -> None:
    layer = Image(np.zeros((8, 32, 40), np.uint8), units="um", affine=np.diag([0.5, 0.2, 0.2, 1]))
    assert spacing_of(layer, find_axes(layer)) == pytest.approx(SPACING_UM)


def test_a_stack_is_picked_without_reading_the_rest() -> None:
    class Lazy:
        shape, dtype, ndim = (3, 2, 8, 32, 40), np.dtype(np.uint8), 5
        keys: list[Any] = []  # noqa: RUF012

        def __getitem__(self, key: Any) -> Any:
            self.keys.append(key)
            return np.zeros(self.shape, np.uint8)[key]

    layer = Image(Lazy(), rgb=False, multiscale=False, contrast_limits=(0, 1))
    Lazy.keys.clear()
    picked = pick(layer, find_axes(layer), {0: 2, 1: 1})
    assert picked.shape == (8, 32, 40)
    assert picked[2:4, :, 5].shape == (2, 32)
    assert Lazy.keys == [(2, 1, slice(2, 4), slice(0, 32), slice(5, 6))]


def test_multiscale_gives_its_finest_level() -> None:
    data = np.arange(8 * 32 * 40).reshape(8, 32, 40)
    layer = Image([data, data[:, ::2, ::2]], multiscale=True)
    assert np.array_equal(pick(layer, find_axes(layer), {})[...], data)


@pytest.mark.parametrize(
    ("shape", "labels", "index"),
    [
        ((8, 32, 40), ("z", "y", "x"), {}),
        ((3, 2, 8, 32, 40), ("t", "c", "z", "y", "x"), {0: 2, 1: 1}),
        ((8, 2, 32, 40), ("z", "c", "y", "x"), {1: 1}),
    ],
)
def test_a_result_lies_where_its_stack_lies(
    shape: tuple[int, ...], labels: tuple[str, ...], index: dict[int, int]
) -> None:
    ndim = len(shape)
    rotation = np.eye(ndim)
    rotation[-2:, -2:] = [[0.8, -0.6], [0.6, 0.8]]
    affine = np.eye(ndim + 1)
    affine[-3, -1] = 7
    source = Image(
        np.zeros(shape, np.uint8),
        axis_labels=labels,
        units=["um" if label in "zyx" else "pixel" for label in labels],
        scale=[0.5 + i for i in range(ndim)],
        translate=[3 + i for i in range(ndim)],
        rotate=rotation,
        affine=affine,
    )
    axes = find_axes(source)
    result_shape, properties = place(source, axes, index)
    result = Image(np.zeros(result_shape), **properties)
    assert result.units == source.units[-result.ndim :]
    assert result.axis_labels == source.axis_labels[-result.ndim :]
    voxel = np.array([index.get(i, 4) for i in range(ndim)])
    in_result = [0 if i in axes.others else voxel[i] for i in range(axes.zyx[0], ndim)]
    expected = np.asarray(source.data_to_world(voxel))[-result.ndim :]
    assert np.allclose(result.data_to_world(in_result), expected)


def test_setting_the_voxel_size_keeps_overlays_together() -> None:
    layer = Image(np.zeros((8, 32, 40), np.uint8), translate=(2, 0, 0))
    outline, other = Labels(np.zeros((8, 32, 40), np.uint8)), Image(np.zeros((9, 9, 9), np.uint8))
    set_spacing(layer, find_axes(layer), SPACING_UM, [layer, outline, other])
    assert tuple(layer.scale) == tuple(outline.scale) == SPACING_UM
    assert layer.translate[0] == 1.0
    assert {str(unit) for unit in (*layer.units, *outline.units)} == {"micrometer"}
    assert tuple(other.scale) == (1, 1, 1)


def test_contrast_limits_pass_over_what_is_not_finite() -> None:
    data = np.linspace(0, 1, 8 * 32 * 40, dtype=np.float32).reshape(8, 32, 40)
    data[0] = np.nan
    low, high = contrast_limits(data, (0, 100))
    assert (low, high) == pytest.approx((data[1, 0, 0], 1.0))
    assert contrast_limits(np.full((8, 32, 40), np.nan, np.float32)) == (0.0, 1.0)
    assert contrast_limits(np.full((8, 32, 40), 3.0, np.float32)) == (3.0, 4.0)


def test_a_layer_with_place_is_known() -> None:
    layer = Image(np.zeros((8, 32, 40), np.uint8), **PLACE)
    assert spacing_of(layer, find_axes(layer)) == SPACING_UM


def test_a_result_lies_at_its_index_whatever_the_transforms() -> None:
    random = np.random.default_rng(0)
    affine = np.eye(5)
    affine[:4] += random.normal(0, 0.2, (4, 5))
    data = np.zeros((3, 5, 20, 24), np.uint8)
    source = Image(data, scale=(30, 0.5, 0.2, 0.2), translate=(1, 2, 3, 4), shear=[0.1] * 6, affine=affine)
    axes = find_axes(source)
    for time, whole in ((2, None), (0, 0)):
        shape, properties = place_at_index(source, axes, {0: time}, whole)
        result = Image(np.zeros(shape, np.float32), **properties)
        assert shape == ((1, 5, 20, 24) if whole is None else data.shape)
        for voxel in ((0, 0, 0, 0), (0, 4, 7, 9)):
            expected = source.data_to_world(np.add(voxel, (time, 0, 0, 0)))
            np.testing.assert_allclose(result.data_to_world(voxel), expected)
