"""The generator: sizes, symmetries, and its norm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_deep3d.core.events import finish
from napari_deep3d.nn.folded_network import fold_norms, predict_and_measure
from napari_deep3d.nn.generator import (
    EPSILON,
    KERNEL,
    POOLING,
    STRIDE,
    Convolution,
    Generator,
    ResidualBlock,
    StackNorm,
    enlarge_linear,
    enlarge_nearest,
    norms,
    pad_to_stride,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.tuples(st.integers(4, 14), st.integers(17, 40), st.integers(17, 40)))
@torch.no_grad()
def test_any_size_comes_out_as_it_went_in(generator: Generator, size: tuple[int, int, int]) -> None:
    out = generator(noise(1, 1, *size))
    assert out.shape == (1, 1, *size)
    assert torch.isfinite(out).all()


@torch.no_grad()
def test_smallest_stack_that_is_allowed_can_be_predicted(generator: Generator) -> None:
    assert torch.isfinite(generator(noise(1, 1, 4, 16, 16))).all()


def test_stride_is_the_product_of_the_pooling() -> None:
    for axis in range(3):
        product = 1
        for factor in POOLING:
            product *= factor[axis]
        assert product == STRIDE[axis]


@torch.no_grad()
def test_channels_last_gives_the_same(generator: Generator) -> None:
    x = noise(2, 1, 9, 33, 40)
    expected = generator(x)
    last = generator.to(memory_format=torch.channels_last_3d)(x.contiguous(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(last, expected, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_items_of_a_batch_do_not_see_each_other(generator: Generator) -> None:
    x = noise(3, 1, 8, 32, 32) * torch.tensor([1.0, 5.0, 0.1]).view(3, 1, 1, 1, 1)
    together = generator(x)
    for index in range(3):
        torch.testing.assert_close(together[index], generator(x[index : index + 1])[0], rtol=1e-3, atol=1e-3)


@settings(deadline=None, max_examples=20)
@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6)),
    factor=st.tuples(st.sampled_from((1, 2)), st.sampled_from((1, 2)), st.sampled_from((1, 2))),
)
def test_linear_enlarging_is_trilinear_interpolation(size: tuple[int, int, int], factor: tuple[int, int, int]) -> None:
    x = noise(2, 3, *size).contiguous(memory_format=torch.channels_last_3d)
    enlarged = enlarge_linear(x, factor)
    expected = F.interpolate(x, scale_factor=tuple(float(f) for f in factor), mode="trilinear")
    torch.testing.assert_close(enlarged, expected, rtol=1e-5, atol=1e-5)
    assert enlarged.is_contiguous(memory_format=torch.channels_last_3d)


@torch.no_grad()
def test_the_grid_of_the_pooling_does_not_show_in_what_the_decoder_enlarges() -> None:
    """With nothing from the encoder but a smooth ramp below, steps within and between coarse voxels are alike."""
    ramp = torch.arange(8.0).view(1, 1, 1, 1, 8).expand(1, 2, 2, 4, 8)
    for enlarge, is_smooth in ((enlarge_linear, True), (enlarge_nearest, False)):
        steps = enlarge(ramp, (2, 2, 2))[0, 0, 0, 0].diff()[1:-1]
        assert bool(torch.allclose(steps, steps[0])) is is_smooth


def test_padding_repeats_the_last_voxels_up_to_the_stride() -> None:
    x = noise(1, 1, 5, 16, 30)
    padded = pad_to_stride(x)
    assert padded.shape[2:] == (8, 16, 32)
    torch.testing.assert_close(padded[:, :, :5, :, :30], x)
    torch.testing.assert_close(padded[:, :, 7, :, 31], x[:, :, 4, :, 29])
    aligned = noise(1, 1, 8, 16, 32)
    assert pad_to_stride(aligned) is aligned


def test_norm_is_instance_norm_with_weight_and_bias() -> None:
    layer = StackNorm(3)
    torch.nn.init.uniform_(layer.weight)
    torch.nn.init.uniform_(layer.bias)
    x = noise(4, 3, 5, 6, 7) * 3 + 2
    expected = F.instance_norm(x, weight=layer.weight, bias=layer.bias, eps=EPSILON)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer(x[:1]), expected[:1], rtol=1e-4, atol=1e-5)


def test_norm_keeps_channels_last() -> None:
    x = noise(2, 4, 4, 8, 8).contiguous(memory_format=torch.channels_last_3d)
    for batch in (x, x[:1]):
        assert StackNorm(4)(batch).is_contiguous(memory_format=torch.channels_last_3d)


@torch.no_grad()
def test_pooled_norm_takes_its_statistics_over_the_whole_batch() -> None:
    layer = StackNorm(2)
    layer.pooled = True
    x = noise(3, 2, 4, 5, 6) * torch.tensor([1.0, 4.0, 9.0]).view(3, 1, 1, 1, 1)
    y = layer(x)
    mean, variance = x.mean(dim=(0, 2, 3, 4)), x.var(dim=(0, 2, 3, 4), unbiased=False)
    expected = (x - mean.view(1, 2, 1, 1, 1)) / torch.sqrt(variance.view(1, 2, 1, 1, 1) + EPSILON)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)
    assert layer.measured is not None
    torch.testing.assert_close(layer.measured[0], mean, rtol=1e-4, atol=1e-5)
    # The variance it was normalised with, not the unbiased estimate: they differ much in the small lowest level.
    torch.testing.assert_close(layer.measured[1], variance, rtol=1e-4, atol=1e-5)


def test_norm_measures_nothing_unless_asked() -> None:
    layer = StackNorm(2)
    layer(noise(1, 2, 4, 4, 4))
    assert layer.measured is None


def test_number_of_weights_follows_the_width() -> None:
    """Counted by hand: 3x3x3 convolutions, 1x1x1 shortcuts and merges, one norm a block."""

    def block(a: int, b: int) -> int:
        return (27 * a * b + b) + (27 * b * b + b) + 2 * b + (0 if a == b else a * b + b)

    for width in (2, 5):
        c = [width * factor for factor in (1, 2, 4, 8, 8)]
        expected = block(1, c[0]) + sum(block(c[i], c[i + 1]) for i in range(4))
        expected += sum(c[i + 1] * c[i] + c[i] + block(2 * c[i], c[i]) for i in range(4))
        expected += c[0] + 1
        assert sum(p.numel() for p in Generator(width).parameters()) == expected


def test_every_weight_takes_part(generator: Generator) -> None:
    generator(noise(1, 1, 8, 32, 32)).square().sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        # An offset before a norm has no effect, by definition of the norm.
        if not name.endswith("second.bias"):
            assert parameter.grad.abs().max() > 0, name


def test_blocks_of_the_way_up_see_the_way_down(generator: Generator) -> None:
    generator(noise(1, 1, 8, 32, 32)).square().sum().backward()
    for up in generator.ups:
        grad = up.block.first.weight.grad.abs().amax(dim=(0, 2, 3, 4))
        enlarged, skip = grad.chunk(2)
        assert enlarged.max() > 0
        assert skip.max() > 0


def test_one_norm_per_block(generator: Generator) -> None:
    assert len(norms(generator)) == 1 + 2 * len(POOLING)


# The two-dimensional one, for comparison


def flat(channels_in: int = 1) -> Generator:
    torch.manual_seed(0)
    network = Generator(2, 2, channels_in)
    for layer in norms(network):
        torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
        torch.nn.init.uniform_(layer.bias, -0.5, 0.5)
    return network.eval()


def changed_planes(network: torch.nn.Module, x: torch.Tensor, plane: int) -> list[int]:
    """The planes of the output that another input plane changes."""
    other = x.clone()
    other[:, :, plane] += noise(*x.shape[3:], seed=1)
    difference = (network(other) - network(x)).abs().amax(dim=(0, 1, 3, 4))
    return np.flatnonzero(difference.numpy()).tolist()


@torch.no_grad()
def test_two_dimensional_network_mixes_nothing_between_planes() -> None:
    x = noise(1, 1, 9, 32, 32)
    network = fold_norms(flat(), finish(predict_and_measure(flat(), x))[1])
    for plane in (0, 4, 8):
        assert changed_planes(network, x, plane) == [plane]


@torch.no_grad()
def test_three_dimensional_network_mixes_planes(generator: Generator) -> None:
    x = noise(1, 1, 9, 32, 32)
    network = fold_norms(generator, finish(predict_and_measure(generator, x))[1])
    assert set(changed_planes(network, x, 4)) > {3, 4, 5}


@torch.no_grad()
def test_norms_of_the_two_dimensional_network_see_the_whole_stack() -> None:
    """So that planes keep their relative brightness: a dim plane must not come out as bright as the others."""
    assert changed_planes(flat(), noise(1, 1, 8, 32, 32), 4) == list(range(8))


@torch.no_grad()
def test_order_of_planes_does_not_matter_to_the_two_dimensional_network() -> None:
    x, order = noise(1, 1, 8, 32, 32), torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    torch.testing.assert_close(flat()(x[:, :, order]), flat()(x)[:, :, order], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dimensions", [2, 3])
@torch.no_grad()
def test_second_input_channel_takes_part(dimensions: int) -> None:
    network = Generator(2, dimensions, 2).eval()
    x = noise(2, 2, 5, 20, 33)
    assert network(x).shape == (2, 1, 5, 20, 33)
    for channel in (0, 1):
        other = x.clone()
        other[:, channel, 0] += 1
        assert not torch.allclose(network(other), network(x))
    with pytest.raises(RuntimeError, match="channels"):
        network(x[:, :1])


# Convolutions


@pytest.mark.parametrize("kernel", [KERNEL, (1, 3, 3)])
@torch.no_grad()
def test_convolution_of_stride_one_keeps_the_size(kernel: tuple[int, int, int]) -> None:
    assert Convolution(1, 2, kernel)(noise(1, 1, 2, 5, 4)).shape == (1, 2, 2, 5, 4)


def gradients(layer: torch.nn.Module, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    layer.zero_grad()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        y = layer(x).float()
    (y * noise(*y.shape, seed=3)).sum().backward()
    return torch.cat([p.grad.ravel() for p in layer.parameters() if p.grad is not None])


@pytest.mark.parametrize("size", [(1, 12, 12), (2, 12, 12), (3, 12, 12), (1, 1, 1), (2, 1, 1), (3, 1, 6), (4, 6, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_bfloat16_convolution_has_the_gradient_of_float32(size: tuple[int, int, int], stride: int) -> None:
    """Also where the input is two planes deep, or a column: oneDNN's bfloat16 convolution returns garbage there."""
    torch.manual_seed(0)
    layer = Convolution(8, 16, stride=stride)
    x = noise(2, 8, *size).to(memory_format=torch.channels_last_3d)
    exact = gradients(layer, x, torch.float32)
    for _ in range(3):
        coarse = gradients(layer, x, torch.bfloat16)
        assert torch.nn.functional.cosine_similarity(exact, coarse, dim=0) > 0.999


@pytest.mark.parametrize("planes", [4, 8, 12])
def test_bfloat16_network_has_the_gradient_of_float32(planes: int) -> None:
    """Also where the lowest level is two planes deep."""
    torch.manual_seed(0)
    network = Generator(8).to(memory_format=torch.channels_last_3d)
    x = noise(1, 1, planes, 32, 32)
    exact = gradients(network, x, torch.float32)
    for _ in range(2):
        coarse = gradients(network, x, torch.bfloat16)
        assert torch.isfinite(coarse).all()
        assert torch.nn.functional.cosine_similarity(exact, coarse, dim=0) > 0.9


@pytest.mark.parametrize("channels_in", [3, 4])
def test_block_is_as_the_paper_says(channels_in: int) -> None:
    """Two convolutions, one norm, two ReLUs, and a residual mapping across."""
    block = ResidualBlock(channels_in, 4)
    x = noise(1, channels_in, 3, 8, 8)
    first = F.relu(F.conv3d(x, block.first.weight, block.first.bias, padding=1))
    inner = block.norm(F.conv3d(first, block.second.weight, block.second.bias, padding=1))
    expected = F.relu(inner + block.shortcut(x))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)
    assert isinstance(block.shortcut, torch.nn.Identity) == (channels_in == 4)
