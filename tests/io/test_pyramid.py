"""Levels of an OME-Zarr: each voxel the mean of those of the finest that it stands for, wherever boxes were written."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.layers import Image
from yaozarrs import validate_ome_uri

from napari_deep3d import contributions
from napari_deep3d.io import StackView, StackWriter, open_stack, pyramid, write_stack
from napari_deep3d.io.pyramid import MAX_COARSEST, block_means, coarser_shapes

SPACING_UM = (0.5, 0.2, 0.1)
sizes = st.integers(1, 5000)


@given(shape=st.tuples(sizes, sizes, sizes))
def test_the_coarsest_level_fits_a_graphics_card_and_is_still_a_picture(shape: tuple[int, int, int]) -> None:
    levels = [shape, *coarser_shapes(shape)]
    assert max(levels[-1]) <= MAX_COARSEST
    for finest, coarsest in zip(shape, levels[-1], strict=True):
        assert coarsest == finest or coarsest >= MAX_COARSEST // 2
    for finer, coarser in pairwise(levels):
        assert all(m in (n, -(-n // 2)) for n, m in zip(finer, coarser, strict=True))


def test_short_axes_stay_as_they_are() -> None:
    assert coarser_shapes((76, 2048, 2000)) == [(76, 1024, 1000), (76, 512, 500)]
    assert coarser_shapes((3, 76, 400, 300)) == []


def test_means_of_blocks() -> None:
    values = np.arange(12, dtype=np.float32).reshape(1, 2, 6)[..., :5]
    np.testing.assert_allclose(block_means(values, (1, 2, 2)), [[[3.5, 5.5, 7.0]]])


@pytest.fixture
def _small_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyramid, "MAX_COARSEST", 8)
    monkeypatch.setattr(pyramid, "_PIECE_VOXELS", 500)


@pytest.mark.usefixtures("_small_levels")
@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
@settings(deadline=None, max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=st.tuples(st.integers(4, 20), st.integers(16, 40), st.integers(16, 40)), seed=st.integers(0, 99))
def test_levels_follow_boxes(tmp_path: Path, dtype: Any, shape: tuple[int, int, int], seed: int) -> None:
    rng, path = np.random.default_rng(seed), tmp_path / f"{np.dtype(dtype)}{seed}{shape}.zarr"
    with StackWriter(path, (2, *shape), SPACING_UM, dtype=dtype, overwrite=True) as writer:
        for _ in range(4):
            starts = [int(rng.integers(0, n)) for n in shape]
            box = tuple(slice(a, int(rng.integers(a + 1, n + 1))) for a, n in zip(starts, shape, strict=True))
            place = (int(rng.integers(2)), *box)
            writer.data[place] = rng.integers(0, 999, [span.stop - span.start for span in box]).astype(dtype)
            writer.data.flush(place)
    group = zarr.open_group(path, mode="r")
    levels = [np.asarray(group[str(number)]) for number in range(len(coarser_shapes(shape)) + 1)]
    assert len(levels) > 1
    for finer, coarser in pairwise(levels):
        factors = [-(-n // m) for n, m in zip(finer.shape, coarser.shape, strict=True)]
        expected = block_means(finer, factors)
        np.testing.assert_allclose(coarser, np.rint(expected) if dtype is np.uint16 else expected, rtol=1e-5)


@pytest.mark.usefixtures("_small_levels")
def test_levels_lie_on_each_other(tmp_path: Path) -> None:
    # A ramp along each axis: the mean of a block is the ramp's value where the block's middle lies.
    shape, origin_um = (16, 32, 32), (10.0, -3.0, 5.0)
    places = [o + s * np.arange(n) for o, s, n in zip(origin_um, SPACING_UM, shape, strict=True)]
    ramp = np.add.outer(np.add.outer(places[0], places[1]), places[2]).astype(np.float32)
    path = write_stack(tmp_path / "a.zarr", ramp, SPACING_UM, origin_um)
    datasets = validate_ome_uri(path).attributes.ome.multiscales[0].datasets
    assert len(datasets) == 3
    for dataset in datasets:
        scale, shift = dataset.coordinateTransformations
        voxels = np.asarray(zarr.open_group(path, mode="r")[dataset.path])
        at = [t + s * np.arange(n) for t, s, n in zip(shift.translation, scale.scale, voxels.shape, strict=True)]
        np.testing.assert_allclose(voxels, np.add.outer(np.add.outer(at[0], at[1]), at[2]), rtol=1e-5)


@pytest.mark.usefixtures("_small_levels")
def test_levels_are_handed_out_for_showing(tmp_path: Path) -> None:
    data = np.arange(4 * 32 * 20, dtype=np.uint16).reshape(4, 32, 20)
    opened = open_stack(write_stack(tmp_path / "a.zarr", data, SPACING_UM))
    assert [level.shape for level in opened.coarser] == [(1, 1, 4, 16, 10), (1, 1, 4, 8, 5)]
    np.testing.assert_array_equal(opened.coarser[0][0, 0], np.rint(block_means(data, (1, 2, 2))))


@pytest.mark.usefixtures("_small_levels")
def test_a_large_file_opens_in_napari_in_its_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_stack(tmp_path / "a.zarr", np.ones((4, 32, 20), np.uint16), SPACING_UM)
    monkeypatch.setattr(contributions, "LOADED_BYTES", 0)
    levels, properties, _ = contributions.read_stacks(str(path))[0]
    assert properties["multiscale"]
    assert [level.shape for level in levels] == [(4, 32, 20), (4, 16, 10), (4, 8, 5)]


@pytest.mark.usefixtures("_small_levels")
def test_napari_reads_one_plane_to_show_one_plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planes = np.arange(4 * 32 * 20, dtype=np.uint16).reshape(4, 32, 20)
    path = write_stack(tmp_path / "a.zarr", planes, SPACING_UM)
    monkeypatch.setattr(contributions, "LOADED_BYTES", 0)
    depths, read = list[int](), StackView._read

    def noted(view: StackView, box: tuple[slice, ...]) -> Any:
        depths.append(box[-3].stop - box[-3].start)
        return read(view, box)

    monkeypatch.setattr(StackView, "_read", noted)
    levels, properties, _ = contributions.read_stacks(str(path))[0]
    layer = Image(levels, contrast_limits=(0, 1), **properties)
    layer.refresh()
    assert set(depths) == {1}
    np.testing.assert_array_equal(levels[0], planes)
