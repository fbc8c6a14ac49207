"""The tile plan: what it promises for any stack, tile and blend."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.tiling import blend_weight, choose_tile, plan_tiles
from napari_deep3d.core.types import Box

sizes = st.tuples(*[st.integers(1, 23)] * 3)
blends = st.tuples(*[st.integers(0, 9)] * 3)
multiples = st.tuples(*[st.integers(1, 8)] * 3)
small = settings(deadline=None, max_examples=60)


@small
@given(sizes, sizes, blends)
def test_windows_sum_to_one_everywhere(shape, tile, blend) -> None:
    total = np.zeros(shape)
    for one in plan_tiles(shape, tile, blend):
        assert one.window.min() > 0
        total[one.write] += one.window
    np.testing.assert_allclose(total, 1, atol=1e-6)


@small
@given(sizes, sizes, blends, st.integers(0, 40))
def test_weight_of_the_first_tiles_is_the_sum_of_their_windows(shape, tile, blend, tiles) -> None:
    plan, total = plan_tiles(shape, tile, blend), np.zeros(shape)
    for one in list(plan)[:tiles]:
        total[one.write] += one.window
    weight_of = blend_weight(plan, tiles)
    np.testing.assert_allclose(weight_of(Box.whole(shape)), total, atol=1e-5)
    part = list(plan)[-1].core
    np.testing.assert_allclose(weight_of(part), total[part], atol=1e-5)


@small
@given(sizes, sizes, blends)
def test_every_voxel_lies_in_exactly_one_core(shape, tile, blend) -> None:
    plan = plan_tiles(shape, tile, blend)
    owners = np.zeros(shape, int)
    for one in plan:
        owners[one.core] += 1
    assert (owners == 1).all()
    assert len(plan) == len(list(plan))


@small
@given(sizes, sizes, blends)
def test_a_tile_writes_its_core_and_stays_within_the_stack(shape, tile, blend) -> None:
    for one in plan_tiles(shape, tile, blend):
        for core, write, size in zip(one.core, one.write, shape, strict=True):
            assert 0 <= write.start <= core.start < core.stop <= write.stop <= size


@small
@given(sizes, sizes, blends)
def test_only_direct_neighbours_overlap(shape, tile, blend) -> None:
    for axis in plan_tiles(shape, tile, blend).axes:
        for segment, after_next in zip(axis, axis[2:], strict=False):
            assert segment.write[1] <= after_next.write[0]


def test_blend_is_a_linear_ramp_around_the_border_of_two_cores() -> None:
    first, second = plan_tiles((16, 1, 1), (8, 1, 1), (2, 0, 0)).axes[0]
    assert (first.core, first.write, second.core, second.write) == ((0, 8), (0, 10), (8, 16), (6, 16))
    np.testing.assert_allclose(first.ramp[-4:], [0.875, 0.625, 0.375, 0.125])
    np.testing.assert_allclose(second.ramp[:4], [0.125, 0.375, 0.625, 0.875])
    assert (first.ramp[:-4] == 1).all()
    assert (second.ramp[4:] == 1).all()


def test_tile_larger_than_the_stack_is_one_tile_that_owns_it() -> None:
    (only,) = plan_tiles((5, 7, 9), (100, 100, 100), (2, 8, 8))
    assert only.write == only.core == (slice(0, 5), slice(0, 7), slice(0, 9))
    assert (only.window == 1).all()


def test_remainder_too_narrow_to_blend_joins_the_tile_before() -> None:
    cores = [segment.core for segment in plan_tiles((19, 1, 1), (8, 1, 1), (2, 0, 0)).axes[0]]
    assert cores == [(0, 8), (8, 19)]
    cores = [segment.core for segment in plan_tiles((20, 1, 1), (8, 1, 1), (2, 0, 0)).axes[0]]
    assert cores == [(0, 8), (8, 16), (16, 20)]


def test_tiles_come_row_by_row() -> None:
    indices = [tile.index for tile in plan_tiles((4, 4, 4), (2, 4, 2), (0, 0, 0))]
    assert indices == [(0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1)]


@pytest.mark.parametrize("tile", [(0, 16, 16), (4, -1, 16)])
def test_tile_without_voxels_is_refused(tile: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match=r"has no voxels; three positive numbers Z,Y,X"):
        plan_tiles((8, 32, 32), tile, (0, 0, 0))


@small
@given(sizes, st.tuples(*[st.integers(0, 6)] * 3), multiples, st.integers(1, 20_000))
def test_chosen_tile_is_on_the_grid_and_reads_no_more_than_allowed(shape, margin, multiple, max_voxels) -> None:
    core = choose_tile(shape, margin, multiple, max_voxels)
    if core is None:
        assert read_by(plan_tiles(shape, multiple), margin)[0] > max_voxels
        return
    assert all(c % m == 0 and c >= m for c, m in zip(core, multiple, strict=True))
    largest, cost = read_by(plan_tiles(shape, core), margin)
    assert largest <= max_voxels
    # Where the whole stack may be read at once, tiles never cost much more.
    if prod(shape) <= max_voxels:
        assert cost <= 1.3 * prod(shape)


def read_by(plan, margin) -> tuple[int, int]:
    """Voxels that the largest tile of a plan reads, and all tiles together."""
    reads = [
        [min(size, s.core[1] + half) - max(0, s.core[0] - half) for s in axis]
        for size, half, axis in zip(plan.shape, margin, plan.axes, strict=True)
    ]
    return prod(max(axis) for axis in reads), prod(sum(axis) for axis in reads)


def test_chosen_tile_is_the_whole_stack_where_it_fits() -> None:
    core = choose_tile((30, 100, 120), (8, 32, 32), (4, 16, 16), 30 * 100 * 120)
    assert core is not None
    assert all(c >= n for c, n in zip(core, (30, 100, 120), strict=True))


def test_chosen_tile_needs_the_least_computing() -> None:
    # A long row: cutting it along x repeats the halo over the smallest face.
    z, y, x = choose_tile((16, 32, 512), (4, 8, 8), (4, 16, 16), 16 * 32 * 160) or (0, 0, 0)
    assert z >= 16
    assert y >= 32
    assert 0 < x < 160


def test_smaller_tiles_are_chosen_where_they_cost_hardly_more() -> None:
    core = choose_tile((76, 4096, 4096), (20, 80, 80), (4, 16, 16), 76 * 4096 * 4096)
    assert core is not None
    plan = plan_tiles((76, 4096, 4096), core)
    assert 4 <= len(plan) <= 16
    assert read_by(plan, (20, 80, 80))[1] <= 1.2 * 76 * 4096**2


def test_no_tile_is_chosen_where_none_fits() -> None:
    assert choose_tile((64, 256, 256), (8, 32, 32), (4, 16, 16), 10) is None


def test_cores_are_as_large_as_asked_except_the_last() -> None:
    edges = [segment.core for segment in plan_tiles((1, 1, 50), (1, 1, 16), (0, 0, 4)).axes[2]]
    assert [stop - start for start, stop in edges[:-1]] == [16] * (len(edges) - 1)
    assert all(a[1] == b[0] for a, b in pairwise(edges))
