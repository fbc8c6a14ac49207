"""Between a stack's grid and a model's: exact for linear ramps, and the same however it is cut into boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.resampling import ModelGrid, Resampled, grid_for, target_spacing
from napari_deep3d.core.types import Box

zooms = st.tuples(*[st.sampled_from([0.3, 0.4, 0.5, 0.8, 1.0, 1.3, 2.0, 2.7])] * 3)
shapes = st.tuples(st.integers(4, 14), st.integers(16, 30), st.integers(16, 30))
small = settings(deadline=None, max_examples=50)


def everything(shape: tuple[int, ...]) -> Box:
    return Box.whole(shape)


def ramp(shape: tuple[int, int, int]) -> np.ndarray:
    z, y, x = np.indices(shape, dtype=np.float32)
    return 3 * z + 2 * y - x


def test_identity_reads_and_returns_the_voxels_themselves() -> None:
    stack = np.random.default_rng(0).integers(0, 60_000, (6, 20, 24)).astype(np.uint16)
    grid, box = ModelGrid(stack.shape), Box(slice(1, 5), slice(3, 17), slice(0, 24))
    assert grid.is_identity
    assert grid.model_shape == stack.shape
    assert grid.to_model(box) == box
    voxels = grid.read(stack, box)
    assert voxels.dtype == np.float32
    np.testing.assert_array_equal(voxels, stack[box])
    inner = Box(slice(2, 4), slice(5, 6), slice(10, 20))
    np.testing.assert_array_equal(grid.back(voxels, box, inner), stack[inner])


@pytest.mark.parametrize("zoom", [(1.0, 0.5, 0.5), (2.0, 1.0, 1.3), (0.5, 1.7, 0.8)])
def test_linear_ramp_is_read_exactly_at_voxel_centres(zoom: tuple[float, float, float]) -> None:
    shape = (24, 40, 40)
    grid = ModelGrid(shape, zoom)
    model = grid.read(ramp(shape), everything(grid.model_shape))
    assert model.shape == grid.model_shape
    centres = [(np.arange(n) + 0.5) / f - 0.5 for n, f in zip(model.shape, zoom, strict=True)]
    expected = 3 * centres[0][:, None, None] + 2 * centres[1][:, None] - centres[2]
    inner = tuple(slice(n // 4, -(n // 4)) for n in model.shape)
    np.testing.assert_allclose(model[inner], expected[inner], atol=1e-3)


@pytest.mark.parametrize("zoom", [(1.0, 0.5, 0.5), (2.0, 1.0, 1.3), (0.5, 1.7, 0.8)])
def test_linear_ramp_survives_the_way_there_and_back(zoom: tuple[float, float, float]) -> None:
    shape = (24, 40, 40)
    grid, stack = ModelGrid(shape, zoom), ramp(shape)
    model_region = everything(grid.model_shape)
    back = grid.back(grid.read(stack, model_region), model_region, everything(shape))
    assert back.shape == shape
    inner = Box(slice(6, -6), slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(back[inner], stack[inner], atol=1e-3)


@small
@given(shapes, zooms, st.data())
def test_box_reads_the_same_as_the_whole_cut(shape, zoom, data) -> None:
    grid = ModelGrid(shape, zoom)
    stack = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    boxes = []
    for size in grid.model_shape:
        start = data.draw(st.integers(0, size - 1))
        boxes.append(slice(start, data.draw(st.integers(start + 1, size))))
    box = Box(*boxes)
    whole = grid.read(stack, everything(grid.model_shape))
    np.testing.assert_allclose(grid.read(stack, box), whole[box], atol=1e-4)


@small
@given(shapes, zooms, st.data())
def test_box_of_the_model_grid_covers_the_box_of_the_stack(shape, zoom, data) -> None:
    grid = ModelGrid(shape, zoom)
    boxes = []
    for size in shape:
        start = data.draw(st.integers(0, size - 1))
        boxes.append(slice(start, data.draw(st.integers(start + 1, size))))
    covered = grid.to_model(Box(*boxes))
    for box, out, factor, size in zip(boxes, covered, zoom, grid.model_shape, strict=True):
        assert 0 <= out.start < out.stop <= size
        assert out.start <= box.start * factor
        assert out.stop >= min(size, box.stop * factor)
        assert out.start > box.start * factor - 1 or out.start == size - 1
        assert out.stop < box.stop * factor + 1


def test_last_voxel_has_a_voxel_of_the_model_grid() -> None:
    # 11 voxels at a zoom of 0.4 are 4.4, so 4 model voxels: the last voxel starts where they end.
    last = ModelGrid((11, 20, 20), (0.4, 1.0, 1.0)).to_model(Box(slice(10, 11), slice(0, 20), slice(0, 20)))
    assert last[0] == slice(3, 4)


@small
@given(shapes, zooms)
def test_model_grid_spans_the_same_field(shape, zoom) -> None:
    for size, model, factor in zip(shape, ModelGrid(shape, zoom).model_shape, zoom, strict=True):
        assert model >= 1
        assert abs(model - size * factor) <= 0.5


@small
@given(zooms)
def test_constant_stays_constant(zoom) -> None:
    grid = ModelGrid((6, 20, 24), zoom)
    model_region = everything(grid.model_shape)
    model = grid.read(np.full(grid.shape, 7, np.uint8), model_region)
    np.testing.assert_allclose(model, 7, atol=1e-5)
    np.testing.assert_allclose(grid.back(model, model_region, everything(grid.shape)), 7, atol=1e-5)


def test_coarser_voxels_do_not_alias() -> None:
    stack = np.zeros((4, 64, 64), np.float32)
    stack[:, :, 1::4] = stack[:, :, 2::4] = 1  # too fine for the coarse grid, whose voxels all lie on the bright pairs
    grid = ModelGrid(stack.shape, (1.0, 1.0, 0.25))
    coarse = grid.read(stack, everything(grid.model_shape))
    np.testing.assert_allclose(coarse[:, :, 2:-2], 0.5, atol=0.1)


def test_only_the_source_of_a_box_is_read() -> None:
    class Watched:
        shape, dtype = (40, 400, 400), np.dtype(np.float32)
        largest = 0

        def __getitem__(self, key: Box) -> np.ndarray:
            size = [box.stop - box.start for box in key]
            self.largest = max(self.largest, int(np.prod(size)))
            return np.zeros(size, np.float32)

    stack = Watched()
    ModelGrid(stack.shape, (1.0, 0.5, 0.5)).read(stack, Box(slice(0, 4), slice(50, 60), slice(50, 60)))
    assert 0 < stack.largest <= 8 * 30 * 30


def test_voxel_size_within_the_models_range_is_kept() -> None:
    own = (0.3, 0.2, 0.1)
    assert target_spacing(own, (0.2, 0.1, 0.1), (0.4, 0.3, 0.1)) == own


def test_voxel_size_beyond_the_range_goes_to_its_nearest_end() -> None:
    assert target_spacing((1.0, 0.05, 0.2), (0.25, 0.1, 0.1), (0.6, 0.27, 0.27)) == (0.6, 0.1, 0.2)


def test_voxel_size_almost_in_range_is_not_resampled() -> None:
    assert target_spacing((0.609, 0.0985, 0.2), (0.25, 0.1, 0.1), (0.6, 0.27, 0.27)) == (0.609, 0.0985, 0.2)
    assert target_spacing((0.615, 0.2, 0.2), (0.25, 0.1, 0.1), (0.6, 0.27, 0.27))[0] == 0.6


def test_grid_zoom_is_own_size_over_wanted_size() -> None:
    grid = grid_for((10, 20, 30), (1.0, 0.1, 0.2), (0.5, 0.1, 0.4))
    assert grid.zoom == (2.0, 1.0, 0.5)
    assert grid.model_shape == (20, 20, 15)
    assert not grid.is_identity
    assert grid_for((10, 20, 30), (0.5, 0.1, 0.2), (0.5, 0.1, 0.2)).is_identity


# Stacks of few planes: the first planes lie on each other

planes = st.integers(4, 12)


@small
@given(planes, st.sampled_from([2, 3, 4]))
def test_planes_of_a_stack_of_few_planes_are_those_of_the_model_grid(depth: int, zoom: int) -> None:
    """Plane k of the stack is plane k * zoom, exactly; those between are interpolated; and back it is exact again."""
    stack = np.random.default_rng(depth).random((depth, 16, 17), dtype=np.float32)
    grid = ModelGrid(stack.shape, (float(zoom), 1.0, 1.0), first_on_first=True)
    assert grid.model_shape == ((depth - 1) * zoom + 1, 16, 17)
    region = everything(grid.model_shape)
    model = grid.read(stack, region)
    np.testing.assert_array_equal(model[::zoom], stack)
    for between in range(1, zoom):
        share = between / zoom
        np.testing.assert_allclose(model[between::zoom], (1 - share) * stack[:-1] + share * stack[1:], atol=1e-6)
    np.testing.assert_array_equal(grid.back(model, region, everything(stack.shape)), stack)


@small
@given(planes, st.sampled_from([2.0, 4.0, 1.6]), st.sampled_from([1.0, 0.7]), st.data())
def test_box_of_few_planes_reads_and_returns_the_same_as_the_whole_cut(
    depth: int, zoom: float, lateral: float, data: st.DataObject
) -> None:
    stack = np.random.default_rng(1).random((depth, 20, 24), dtype=np.float32)
    grid = ModelGrid(stack.shape, (zoom, lateral, lateral), first_on_first=True)
    start = data.draw(st.integers(0, depth - 1))
    box = Box(slice(start, data.draw(st.integers(start + 1, depth))), slice(3, 11), slice(0, 24))
    covered = grid.to_model(box)
    whole = grid.read(stack, everything(grid.model_shape))
    part = grid.read(stack, covered)
    np.testing.assert_allclose(part, whole[covered], atol=1e-5)
    inner = Box(slice(box[0].start, max(box[0].start + 1, box[0].stop - 1)), slice(4, 10), slice(4, 20))
    expected = grid.back(whole, everything(grid.model_shape), inner)
    np.testing.assert_allclose(grid.back(part, covered, inner), expected, atol=1e-5)


def test_first_planes_lie_on_each_other_only_where_planes_become_more() -> None:
    dense = grid_for((10, 20, 30), (0.5, 0.1, 0.2), (0.5, 0.1, 0.2), first_on_first=True)
    assert dense.is_identity
    assert dense == ModelGrid((10, 20, 30))
    assert not grid_for((10, 20, 30), (0.25, 0.1, 0.2), (0.5, 0.1, 0.2), first_on_first=True).first_on_first
    sparse = grid_for((10, 20, 30), (1.0, 0.1, 0.2), (0.5, 0.1, 0.2), first_on_first=True)
    assert (sparse.first_on_first, sparse.zoom, sparse.model_shape) == (True, (2.0, 1.0, 1.0), (19, 20, 30))
    assert grid_for((10, 20, 30), (1.0, 0.1, 0.2), (0.5, 0.1, 0.2)).model_shape == (20, 20, 30)


def test_distance_of_model_planes_follows_the_zoom() -> None:
    assert ModelGrid((10, 20, 20), (2.0, 1.0, 1.0), True).model_step_um((1.0, 0.2, 0.2)) == 0.5


@pytest.mark.parametrize("first_on_first", [False, True])
def test_stack_seen_on_another_grid_is_read_like_an_array(first_on_first: bool) -> None:
    stack = np.random.default_rng(0).integers(0, 99, (6, 20, 24)).astype(np.uint16)
    grid = ModelGrid(stack.shape, (2.0, 0.5, 1.3), first_on_first)
    seen = Resampled(stack, grid)
    whole = grid.read(stack, everything(grid.model_shape))
    assert (seen.shape, seen.dtype) == (whole.shape, np.float32)
    np.testing.assert_allclose(seen[:], whole, atol=1e-4)
    np.testing.assert_allclose(seen[3], whole[3], atol=1e-4)
    np.testing.assert_allclose(seen[2:5, 4, -6:], whole[2:5, 4, -6:], atol=1e-4)
