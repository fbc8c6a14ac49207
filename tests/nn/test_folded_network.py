"""Fixed norm statistics: the network as it is with them, and the same whatever the tile."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import StoppedError, finish
from napari_deep3d.core.types import Box
from napari_deep3d.nn import folded_network
from napari_deep3d.nn.folded_network import (
    MIN_PIECE,
    FoldedNetwork,
    fewer_pieces,
    fold_norms,
    on_device,
    predict_and_measure,
    sample_boxes,
)
from napari_deep3d.nn.generator import STRIDE, Generator, norms

CPU = torch.device("cpu")


def batch(*stacks: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(stacks)[:, None])


@pytest.mark.parametrize("shape", [(16, 48, 48), (8, 32, 32), (8, 16, 16)])
@torch.no_grad()
def test_folded_with_its_own_statistics_is_the_network_itself(
    generator: Generator, smooth: np.ndarray, shape: tuple[int, int, int]
) -> None:
    x = batch(smooth[tuple(slice(n) for n in shape)])
    expected = generator(x)
    got = fold_norms(generator, finish(predict_and_measure(generator, x))[1])(x)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)


def test_measuring_and_folding_leave_the_network_as_it_was(generator: Generator, smooth: np.ndarray) -> None:
    before = copy.deepcopy(generator.state_dict())
    fold_norms(generator, finish(predict_and_measure(generator, batch(smooth)))[1])
    assert not any(layer.pooled for layer in norms(generator))
    assert all(layer.measured is None for layer in norms(generator))
    for name, value in generator.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_measuring_that_fails_leaves_the_network_as_it_was(generator: Generator) -> None:
    with pytest.raises(RuntimeError):
        finish(predict_and_measure(generator, torch.zeros(1, 3, 8, 32, 32)))
    assert not any(layer.pooled for layer in norms(generator))


def test_folded_network_holds_no_norm(generator: Generator, smooth: np.ndarray) -> None:
    assert not norms(fold_norms(generator, finish(predict_and_measure(generator, batch(smooth)))[1]))


@torch.no_grad()
def test_folded_network_does_not_depend_on_its_input_statistics(generator: Generator, smooth: np.ndarray) -> None:
    """A change in one corner changes nothing far away, as it would with instance norm."""
    network = FoldedNetwork(generator, [smooth], CPU, torch.float32)
    long = np.concatenate([smooth] * 5, axis=2)
    changed = long.copy()
    changed[:, :, :48] *= 5
    far = slice(-48, None)
    np.testing.assert_allclose(network(changed)[:, :, far], network(long)[:, :, far], rtol=1e-4, atol=1e-5)
    usual = [generator(batch(stack))[0, 0].numpy()[:, :, far] for stack in (changed, long)]
    assert not np.allclose(*usual, rtol=1e-2)


def test_folded_network_measured_on_one_stack_predicts_it_like_the_network(
    generator: Generator, smooth: np.ndarray
) -> None:
    got = FoldedNetwork(generator, [smooth], CPU, torch.float32)(smooth)
    with torch.no_grad():
        expected = generator(batch(smooth))[0, 0].numpy()
    assert got.dtype == np.float32
    assert got.shape == smooth.shape
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_pieces_are_normalised_together(generator: Generator, smooth: np.ndarray) -> None:
    dim, bright = smooth, 5 * smooth[::-1] + 1
    both = FoldedNetwork(generator, [dim, bright], CPU, torch.float32)
    swapped = FoldedNetwork(generator, [bright, dim], CPU, torch.float32)
    alone = FoldedNetwork(generator, [dim], CPU, torch.float32)
    # A nearly constant channel is divided by its tiny deviation, which enlarges the rounding of sums.
    np.testing.assert_allclose(both(smooth), swapped(smooth), atol=1e-2)
    assert np.abs(both(smooth) - alone(smooth)).max() > 1
    twice = FoldedNetwork(generator, [dim, dim], CPU, torch.float32)
    np.testing.assert_allclose(twice(smooth), alone(smooth), atol=2e-3)


def test_bfloat16_is_close_to_float32(generator: Generator, smooth: np.ndarray) -> None:
    exact = FoldedNetwork(generator, [smooth], CPU, torch.float32)(smooth)
    coarse = FoldedNetwork(generator, [smooth], CPU, torch.bfloat16)(smooth)
    assert coarse.dtype == np.float32
    assert np.sqrt(((coarse - exact) ** 2).mean()) < 0.1 * exact.std()


def test_last_layer_stays_in_float32(generator: Generator) -> None:
    ready = on_device(generator, CPU, torch.bfloat16)
    assert ready.head.weight.dtype == torch.float32
    assert ready.stem.first.weight.dtype == torch.bfloat16
    assert generator.stem.first.weight.dtype == torch.float32


@pytest.mark.parametrize(("axis", "size", "reach"), [(0, 144, 60), (1, 272, 112), (2, 272, 112)])
def test_folded_network_moves_with_its_input(
    generator: Generator, smooth: np.ndarray, axis: int, size: int, reach: int
) -> None:
    """A shift by the stride shifts the result, beyond the reach of the borders: so tiles may start there."""
    network = FoldedNetwork(generator, [smooth], CPU, torch.float32)
    shape = [16, 16, 16]
    shape[axis] = size
    stack, stride = np.random.default_rng(1).random(shape, dtype=np.float32), STRIDE[axis]
    moved, expected = network(np.roll(stack, stride, axis)), np.roll(network(stack), stride, axis)
    inner = slice(reach + stride, -reach - stride)
    middle = np.moveaxis(expected, axis, 0)[inner]
    assert middle.std() > 0.01
    np.testing.assert_allclose(np.moveaxis(moved, axis, 0)[inner], middle, rtol=1e-3, atol=1e-4)
    half = np.roll(network(stack), stride // 2, axis)
    assert not np.allclose(network(np.roll(stack, stride // 2, axis)), half, atol=1e-2)


def test_small_stack_is_measured_whole() -> None:
    assert sample_boxes((30, 200, 250)) == [Box(slice(0, 30), slice(0, 200), slice(0, 250))]


large = st.tuples(st.integers(4, 600), st.integers(16, 4000), st.integers(16, 4000)).filter(
    lambda s: s[0] * s[1] * s[2] > folded_network.WHOLE_VOXELS
)


@settings(deadline=None, max_examples=150)
@given(large)
def test_large_stack_is_measured_in_equal_boxes_on_the_pooling_grid(shape: tuple[int, int, int]) -> None:
    boxes = sample_boxes(shape)
    sizes = {tuple(box.stop - box.start for box in region) for region in boxes}
    assert len(sizes) == 1
    for region in boxes:
        for box, size, stride in zip(region, shape, STRIDE, strict=True):
            assert 0 <= box.start < box.stop <= size
            assert box.start % stride == 0


@settings(deadline=None, max_examples=150)
@given(large)
@example((1000, 512, 512))
def test_boxes_together_hold_about_the_voxels_that_are_allowed(shape: tuple[int, int, int]) -> None:
    voxels = sum(int(np.prod([box.stop - box.start for box in region])) for region in sample_boxes(shape))
    assert voxels <= 2 * folded_network.SAMPLE_VOXELS


@settings(deadline=None, max_examples=150)
@given(large)
@example((130, 400, 400))
def test_no_box_is_measured_twice(shape: tuple[int, int, int]) -> None:
    corners = [tuple(box.start for box in region) for region in sample_boxes(shape)]
    assert len(set(corners)) == len(corners)


def test_boxes_are_spread_over_a_wide_stack() -> None:
    boxes = sample_boxes((40, 2000, 2000))
    assert len(boxes) >= 4
    for axis in (1, 2):
        centres = [(region[axis].start + region[axis].stop) / 2 for region in boxes]
        assert np.mean(centres) == pytest.approx(1000, abs=60)
        assert min(centres) < 500
        assert max(centres) > 1500


class Countdown:
    """Says stop at the n-th time of asking."""

    def __init__(self, after: int) -> None:
        self.asked, self.after = 0, after

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked > self.after


def test_measuring_can_be_stopped(generator: Generator, smooth: np.ndarray) -> None:
    with pytest.raises(StoppedError):
        FoldedNetwork(generator, [smooth], CPU, torch.float32, Countdown(3))


def test_half_of_the_pieces_or_the_middle_of_the_only_one() -> None:
    pieces = [np.full((4, 16, 16), i, np.float32) for i in range(5)]
    assert [piece[0, 0, 0] for piece in fewer_pieces(pieces)] == [0, 2, 4]
    single = np.arange(200, dtype=np.float32)[None, None].repeat(4, 0).repeat(16, 1)
    (half,) = fewer_pieces([single])
    assert half.shape == (4, 16, 100)
    assert half[0, 0, 0] == 50
    with pytest.raises(InputError, match=r"Not enough memory to measure the stack\. Close other programs"):
        fewer_pieces([np.zeros((4, 16, MIN_PIECE - 1), np.float32)])
