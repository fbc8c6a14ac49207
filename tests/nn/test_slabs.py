"""A pass slab by slab: what the generator gives at once, in any slabs, for any box; left within a layer."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from napari_deep3d.core.events import StoppedError, finish
from napari_deep3d.core.types import Box
from napari_deep3d.nn import slabs
from napari_deep3d.nn.folded_network import fold_norms, predict_and_measure
from napari_deep3d.nn.generator import Generator, norms

small = settings(deadline=None, max_examples=20)


def structured(shape: tuple[int, int, int], channels: int = 1) -> torch.Tensor:
    """A batch of one stack with structure of several sizes."""
    grid = np.meshgrid(*(np.linspace(0, 3, n) for n in shape), indexing="ij")
    rng = np.random.default_rng(0)
    stack = np.sin(sum(5 * axis for axis in grid)) + np.cos(7 * grid[1]) + 0.1 * rng.normal(size=shape)
    return torch.from_numpy(np.stack([stack] * channels)[None].astype(np.float32))


def folded(**kind: object) -> Generator:
    """A generator of random weights that predicts something, norms folded."""
    torch.manual_seed(0)
    generator = Generator(4, **kind)  # type: ignore[arg-type]
    x = structured((12, 32, 32), generator.channels_in)
    return fold_norms(generator, finish(predict_and_measure(generator, x))[1])


@pytest.fixture(scope="module")
def generator() -> Generator:
    return folded()


@torch.no_grad()
def at_once(generator: Generator, x: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = generator(x)
    return result


@pytest.mark.parametrize("slab", [10**9, 20_000, 1])
@pytest.mark.parametrize("shape", [(8, 32, 32), (21, 70, 53), (5, 16, 130)])
@pytest.mark.parametrize("kind", [{}, {"dimensions": 2}, {"channels_in": 2}, {"enlarging": "nearest"}])
def test_slabs_give_what_a_pass_at_once_gives(slab: int, shape: tuple[int, int, int], kind: dict[str, object]) -> None:
    generator = folded(**kind)
    x = structured(shape, generator.channels_in)
    expected = at_once(generator, x)
    got = finish(slabs.run(generator, x, slab=slab))
    assert expected.std() > 1e-3
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@small
@given(st.data())
def test_a_wanted_box_is_that_part_of_the_whole(generator: Generator, data: st.DataObject) -> None:
    shape = (13, 50, 75)
    bounds = [sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True))) for n in shape]
    wanted = Box(*(slice(*each) for each in bounds))
    x = structured(shape)
    expected = at_once(generator, x)[(slice(None), slice(None), *wanted)]
    got = finish(slabs.run(generator, x, wanted, slab=data.draw(st.sampled_from([500, 20_000]))))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * float(expected.abs().max() + 1))


def test_less_is_computed_for_a_smaller_box(generator: Generator) -> None:
    shape = (24, 256, 256)
    whole = slabs.work(generator, shape, Box.whole(shape))
    core = slabs.work(generator, shape, Box.centred((24, 96, 96), shape))
    assert 0.3 * whole < core < 0.8 * whole


@pytest.mark.parametrize("slab", [10**9, 3_000])
@pytest.mark.parametrize("pieces", [1, 3])
def test_norms_are_measured_as_in_a_pass_at_once(slab: int, pieces: int) -> None:
    torch.manual_seed(0)
    generator = Generator(4)
    x = torch.cat([structured((10, 40, 36)) * (1 + n) for n in range(pieces)])
    for norm in norms(generator):
        norm.pooled = True
    expected = at_once(generator, x)
    statistics = [norm.measured for norm in norms(generator)]
    got = finish(slabs.run(generator, x, slab=slab))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4 * float(expected.std()))
    for norm, measured in zip(norms(generator), statistics, strict=True):
        assert norm.measured is not None
        assert measured is not None
        for one, other in zip(norm.measured, measured, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_pass_is_left_within_a_layer(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked to stop in the middle of the first block, it computes no further slab of it."""
    x, computed = structured((16, 96, 96)), 0
    convolve = slabs._convolve

    def counted(layer: nn.Conv3d, *others: object) -> object:
        nonlocal computed
        computed += 1
        return convolve(layer, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(slabs, "_convolve", counted)
    finish(slabs.run(generator, x, slab=20_000))
    all_of_them, computed = computed, 0
    with pytest.raises(StoppedError):
        finish(slabs.run(generator, x, slab=20_000), lambda: computed >= 4)
    assert computed == 4
    assert all_of_them > 40


def test_shares_rise_to_one_in_small_steps(generator: Generator) -> None:
    shares = list(slabs.run(generator, structured((16, 96, 96)), slab=10_000))
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert max(np.diff([0, *shares])) < 0.1


@small
@given(st.tuples(*[st.integers(1, 90)] * 3), st.integers(1, 40_000))
def test_slabs_fill_a_box_and_are_not_larger_than_allowed(shape: tuple[int, int, int], limit: int) -> None:
    box = Box.at((3, 5, 7), shape)
    owners = np.zeros((100, 100, 100), np.uint8)
    for slab in slabs.divide(box, limit):
        owners[slab] += 1
        assert prod(slab.shape) <= limit or max(slab.shape) < 2 * slabs.MIN_SIDE
    assert (owners[box] == 1).all()
    assert owners.sum() == prod(shape)


def test_memory_of_a_pass_does_not_hold_what_lies_between(generator: Generator) -> None:
    """No tensor of all voxels has more channels than the first level: neither the inner layers nor the skip
    connection beside what is enlarged."""
    x, largest = structured((16, 128, 128)), 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.untyped_storage().nbytes())
            return result

    with Watch():
        finish(slabs.run(generator, x, slab=30_000))
    assert largest <= generator.width * x.numel() * 4
