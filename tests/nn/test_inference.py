"""Tiled prediction with any callable: exact, blended, stoppable, unharmed by lack of memory; the halo is measured."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage as ndi
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.errors import InputError, is_out_of_memory
from napari_deep3d.core.events import Event, Notice, Progress, StoppedError, TileDone, drain, finish, never
from napari_deep3d.core.resampling import ModelGrid
from napari_deep3d.core.tiling import plan_tiles
from napari_deep3d.core.types import Box
from napari_deep3d.nn.inference import (
    BoxPredictor,
    SeamMeter,
    TilingSummary,
    at_once,
    measure_halo,
    predict_tiles,
)

CANDIDATES = (range(1, 9), range(1, 17), range(1, 17))
SHAPE, STRIDE = (16, 64, 80), (4, 16, 16)


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    return np.random.default_rng(0).random(SHAPE, dtype=np.float32)


def in_steps(function):
    """A function of a box as steps."""

    def steps(region):
        yield 0.5
        return function(region)

    return steps


def filled(predictor, plan, stop=never) -> tuple[np.ndarray, TilingSummary, list[Event]]:
    events: list[Event] = []
    steps = predictor if isinstance(predictor, BoxPredictor) else in_steps(predictor)
    outcome = drain(predict_tiles(steps, plan, stop=stop), events.append)
    out = np.zeros(plan.shape, np.float32)
    for event in events:
        if isinstance(event, TileDone):
            out[event.region] += event.values
    return out, outcome, events


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(*[st.integers(1, 20)] * 3),
    st.tuples(*[st.integers(1, 24)] * 3),
    st.tuples(*[st.integers(0, 5)] * 3),
)
def test_pointwise_function_is_exact_whatever_the_tiles(shape, tile, blend) -> None:
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    plan = plan_tiles(shape, tile, blend)
    out, outcome, _ = filled(lambda region: x[region] + 1, plan)
    np.testing.assert_allclose(out, x + 1, rtol=1e-6)
    assert outcome.tiles_done == len(plan)
    assert outcome.mismatch == 0
    assert not outcome.stopped


def box_filter(x: np.ndarray) -> np.ndarray:
    return ndi.uniform_filter(x, (3, 9, 9), mode="constant")


def predictor_of(network, stack: np.ndarray, halo=(1, 4, 4), grid: ModelGrid | None = None) -> BoxPredictor:
    return BoxPredictor(at_once(network), lambda region: stack[region], grid or ModelGrid(stack.shape), halo, STRIDE)


@pytest.mark.parametrize("tile", [(16, 64, 80), (4, 16, 16), (7, 33, 25), (16, 20, 80)])
def test_local_network_gives_the_same_whatever_the_tiles(stack: np.ndarray, tile: tuple[int, int, int]) -> None:
    out, outcome, _ = filled(predictor_of(box_filter, stack), plan_tiles(SHAPE, tile, (2, 8, 8)))
    np.testing.assert_allclose(out, box_filter(stack), atol=1e-6)
    assert outcome.mismatch < 1e-5


def test_too_small_a_halo_shows_as_tile_mismatch(stack: np.ndarray) -> None:
    plan = plan_tiles(SHAPE, (16, 24, 24), (2, 8, 8))
    _, outcome, _ = filled(predictor_of(box_filter, stack, halo=(0, 0, 0)), plan)
    assert outcome.mismatch > 0.01


def test_network_sees_boxes_on_its_pooling_grid(stack: np.ndarray) -> None:
    seen: list[Box] = []

    def read(region: Box) -> np.ndarray:
        seen.append(region)
        return stack[region]

    predictor = BoxPredictor(at_once(box_filter), read, ModelGrid(SHAPE), (3, 5, 5), STRIDE)
    filled(predictor, plan_tiles(SHAPE, (5, 21, 23), (2, 8, 8)))
    for region in seen:
        for box, stride, size in zip(region, STRIDE, SHAPE, strict=True):
            assert box.start % stride == 0
            assert box.stop % stride == 0 or box.stop == size


def test_prediction_is_never_below_zero(stack: np.ndarray) -> None:
    got = finish(predictor_of(lambda x: x - 0.5, stack)(Box(slice(0, 4), slice(0, 16), slice(0, 16))))
    np.testing.assert_allclose(got, np.maximum(stack[:4, :16, :16] - 0.5, 0))
    assert (got == 0).any()


def test_resampled_prediction_does_not_depend_on_the_tiles(stack: np.ndarray) -> None:
    grid = ModelGrid(SHAPE, (1.0, 0.8, 1.25))

    def predictor() -> BoxPredictor:
        return BoxPredictor(at_once(box_filter), lambda region: grid.read(stack, region), grid, (1, 4, 4), STRIDE)

    whole, _, _ = filled(predictor(), plan_tiles(SHAPE, SHAPE, (0, 0, 0)))
    tiled, _, _ = filled(predictor(), plan_tiles(SHAPE, (8, 30, 30), (2, 8, 8)))
    assert whole.shape == SHAPE
    np.testing.assert_allclose(tiled, whole, atol=1e-4)


class OutOfMemoryError(RuntimeError):
    """Named as torch's is."""


KINDS = {
    "numpy": MemoryError("Unable to allocate 3 GiB"),
    "processor": RuntimeError(
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    ),
    "windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
    "gpu": OutOfMemoryError("CUDA: tried to allocate"),
    "old gpu": RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    "mps": RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
    "library": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "c++": RuntimeError("std::bad_alloc"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_lack_of_memory_of_any_kind_is_answered_by_smaller_boxes(stack: np.ndarray, kind: str) -> None:
    sizes: list[int] = []

    def network(x: np.ndarray) -> np.ndarray:
        sizes.append(x.size)
        if x.size > 30_000:
            raise KINDS[kind]
        return box_filter(x)

    out, outcome, events = filled(predictor_of(network, stack), plan_tiles(SHAPE, SHAPE, (0, 0, 0)))
    np.testing.assert_allclose(out, box_filter(stack), atol=1e-6)
    assert max(sizes) > 30_000
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert notices
    assert all("smaller tiles" in notice for notice in notices)
    assert not outcome.stopped


def test_what_did_not_fit_once_is_not_tried_again(stack: np.ndarray) -> None:
    failed: list[int] = []

    def network(x: np.ndarray) -> np.ndarray:
        if x.size > 30_000:
            failed.append(x.size)
            raise MemoryError
        return x

    predictor = predictor_of(network, stack, halo=(0, 0, 0))
    filled(predictor, plan_tiles(SHAPE, (16, 64, 40), (0, 0, 0)))
    assert len(failed) == len(set(failed))
    assert predictor.limit == min(failed)


def test_lack_of_memory_for_the_smallest_box_is_the_users_to_solve(stack: np.ndarray) -> None:
    def network(x: np.ndarray) -> np.ndarray:
        raise MemoryError

    with pytest.raises(InputError, match=r"(?i)not enough memory even for the smallest tile\. Close other programs"):
        filled(predictor_of(network, stack), plan_tiles(SHAPE, SHAPE, (0, 0, 0)))


def test_halving_ends_when_the_halo_is_all_there_is(stack: np.ndarray) -> None:
    def network(x: np.ndarray) -> np.ndarray:
        raise MemoryError

    with pytest.raises(InputError, match=r"(?i)not enough memory"):
        finish(predictor_of(network, stack, halo=SHAPE)(Box(slice(0, 16), slice(0, 64), slice(0, 80))))


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory")]
)
def test_other_errors_are_not_hidden(stack: np.ndarray, error: Exception) -> None:
    def network(x: np.ndarray) -> np.ndarray:
        raise error

    assert not is_out_of_memory(error)
    with pytest.raises(type(error), match=str(error)):
        filled(predictor_of(network, stack), plan_tiles(SHAPE, SHAPE, (0, 0, 0)))


def test_mismatch_is_the_rms_in_the_overlap_over_the_deviation_of_the_result() -> None:
    """Two tiles that differ by 0.3 where they overlap."""
    shape = (4, 16, 64)
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    first, second = plan_tiles(shape, (4, 16, 32), (0, 0, 8))
    meter = SeamMeter()
    meter.add(first, x[first.write])
    assert meter.mismatch == 0
    meter.add(second, x[second.write] + np.float32(0.3))
    result = x.copy()
    result[second.core] += np.float32(0.3)
    assert meter.mismatch == pytest.approx(0.3 / result.std(), rel=1e-4)


def test_mismatch_counts_the_seams_of_every_axis() -> None:
    shape = (8, 32, 32)
    rng = np.random.default_rng(0)
    x = rng.random(shape, dtype=np.float32)
    for axis in range(3):
        tile = [*shape]
        tile[axis] //= 2
        meter = SeamMeter()
        for index, one in enumerate(plan_tiles(shape, (tile[0], tile[1], tile[2]), (2, 4, 4))):
            meter.add(one, x[one.write] + np.float32(index))
        expected = x.copy()
        np.moveaxis(expected, axis, 0)[shape[axis] // 2 :] += 1
        assert meter.mismatch == pytest.approx(1 / expected.std(), rel=1e-4), axis


def test_mismatch_compares_only_what_overlaps() -> None:
    """A tile that differs from all eight of its neighbours counts as often as there are overlaps with it."""
    shape = (4, 48, 48)
    plan = plan_tiles(shape, (4, 16, 16), (0, 2, 2))
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    meter, squares, count = SeamMeter(), 0.0, 0
    for one in plan:
        odd = one.index == (0, 1, 1)
        meter.add(one, x[one.write] + np.float32(odd))
        for other in plan:
            if other.index in ((0, one.index[1] + 1, one.index[2]), (0, one.index[1], one.index[2] + 1)):
                overlap = [
                    max(0, min(a.stop, b.stop) - max(a.start, b.start))
                    for a, b in zip(one.write, other.write, strict=True)
                ]
                count += int(np.prod(overlap))
                squares += float(np.prod(overlap)) * (odd or other.index == (0, 1, 1))
    result = x.copy()
    result[:, 16:32, 16:32] += 1
    assert meter.mismatch == pytest.approx(np.sqrt(squares / count) / result.std(), rel=1e-4)


def test_mismatch_of_a_constant_result_is_zero() -> None:
    meter = SeamMeter()
    for one in plan_tiles((4, 16, 32), (4, 16, 16), (0, 0, 4)):
        meter.add(one, np.ones((4, 16, one.write[2].stop - one.write[2].start), np.float32))
    assert meter.mismatch == 0


def test_stop_between_tiles_keeps_the_finished_ones(stack: np.ndarray) -> None:
    plan = plan_tiles(SHAPE, (16, 64, 20), (0, 0, 0))
    done: list[Box] = []

    def predictor(region: Box) -> np.ndarray:
        done.append(region)
        return stack[region] + 1

    out, outcome, _ = filled(predictor, plan, stop=lambda: len(done) >= 2)
    assert outcome.stopped
    assert outcome.tiles_done == 2
    np.testing.assert_allclose(out[:, :, :40], stack[:, :, :40] + 1)
    assert not out[:, :, 40:].any()


def test_tile_that_is_left_halfway_is_left_out(stack: np.ndarray) -> None:
    plan = plan_tiles(SHAPE, (16, 64, 20), (0, 0, 0))

    def predictor(region: Box) -> np.ndarray:
        if region[2].start == 40:
            raise StoppedError
        return stack[region]

    out, outcome, _ = filled(predictor, plan)
    assert outcome.stopped
    assert outcome.tiles_done == 2
    assert not out[:, :, 40:].any()


def test_progress_counts_every_tile(stack: np.ndarray) -> None:
    plan = plan_tiles(SHAPE, (8, 32, 40), (2, 8, 8))
    _, _, events = filled(lambda region: stack[region], plan)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in progress] == list(range(1, 9))
    assert progress[-1].fraction == 1
    assert all(event.total == len(plan) == 8 for event in progress)


@pytest.fixture(scope="module")
def random_stack() -> np.ndarray:
    return np.random.default_rng(0).random((32, 64, 64), dtype=np.float32)


@pytest.mark.parametrize("radius", [1, 3, 6])
def test_halo_of_a_box_filter_is_its_radius(random_stack: np.ndarray, radius: int) -> None:
    def network(x: np.ndarray) -> np.ndarray:
        return ndi.uniform_filter(x, 2 * radius + 1, mode="constant")

    assert measure_halo(network, random_stack, CANDIDATES) == (radius, radius, radius)


def test_each_axis_has_its_own_and_lateral_axes_share_the_larger(random_stack: np.ndarray) -> None:
    def network(x: np.ndarray) -> np.ndarray:
        return ndi.uniform_filter(x, (5, 7, 13), mode="constant")

    assert measure_halo(network, random_stack, CANDIDATES) == (2, 6, 6)


def test_halo_is_the_next_candidate_that_is_enough(random_stack: np.ndarray) -> None:
    def network(x: np.ndarray) -> np.ndarray:
        return ndi.uniform_filter(x, 11, mode="constant")

    assert measure_halo(network, random_stack, (range(4, 33, 4), range(4, 33, 4), range(4, 33, 4))) == (8, 8, 8)


def test_largest_candidate_where_none_is_enough(random_stack: np.ndarray) -> None:
    def network(x: np.ndarray) -> np.ndarray:
        return x - x.mean()  # every voxel depends on all

    rng = np.random.default_rng(1)
    uneven = random_stack + rng.random((32, 1, 1), dtype=np.float32) * 3 + np.linspace(0, 5, 64, dtype=np.float32)
    uneven += np.linspace(0, 5, 64, dtype=np.float32)[:, None] + np.linspace(0, 5, 32)[:, None, None]
    assert measure_halo(network, uneven.astype(np.float32), CANDIDATES) == (8, 16, 16)


def test_pointwise_network_needs_only_the_smallest(random_stack: np.ndarray) -> None:
    assert measure_halo(lambda x: 2 * x, random_stack, CANDIDATES) == (1, 1, 1)
