"""The discriminator: its sizes and its verdicts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from napari_deep3d.nn.discriminator import CHANNELS, SLOPE, Discriminator


def normal_noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def discriminator() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(0.05)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 12, 17])
@pytest.mark.parametrize("pixels", [(16, 16), (33, 20)])
@torch.no_grad()
def test_one_number_for_each_stack_of_any_size(
    discriminator: Discriminator, depth: int, pixels: tuple[int, int]
) -> None:
    verdict = discriminator(normal_noise(3, 1, depth, *pixels))
    assert verdict.shape == (3,)
    assert torch.isfinite(verdict).all()


@torch.no_grad()
def test_stacks_of_a_batch_are_judged_each_by_itself(discriminator: Discriminator) -> None:
    x = normal_noise(3, 1, 4, 16, 16)
    together = discriminator(x)
    for index in range(3):
        torch.testing.assert_close(together[index : index + 1], discriminator(x[index : index + 1]))


def test_literal_width_has_the_published_layers() -> None:
    """Six blocks of two convolutions, 48/96 up to 1536/3072, then two dense layers (Wu et al. 2019)."""
    with torch.device("meta"):
        network = Discriminator(1.0)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv3d)]
    expected, before = [], 1
    for channels in CHANNELS:
        expected += [(before, channels, 1), (channels, 2 * channels, 2)]
        before = 2 * channels
    assert CHANNELS == (48, 96, 192, 384, 768, 1536)
    assert [(c.in_channels, c.out_channels, c.stride[0]) for c in convolutions] == expected
    assert {c.kernel_size for c in convolutions} == {(3, 3, 3)}
    dense = [(layer.in_features, layer.out_features) for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert dense == [(3072, 3072), (3072, 1)]
    assert 250e6 < sum(p.numel() for p in network.parameters()) < 270e6
    assert not [layer for layer in network.modules() if "Norm" in type(layer).__name__]


def test_width_scales_the_channels() -> None:
    with torch.device("meta"):
        narrow = Discriminator(0.125)
    assert [block.first.out_channels for block in narrow.blocks] == [6, 12, 24, 48, 96, 192]


def test_least_width_has_a_channel_at_least() -> None:
    assert Discriminator(1e-6)(normal_noise(1, 1, 4, 16, 16)).shape == (1,)


@torch.no_grad()
def test_it_is_what_its_layers_say(discriminator: Discriminator) -> None:
    x = y = normal_noise(2, 1, 6, 32, 32)
    for block in discriminator.blocks:
        y = F.leaky_relu(F.conv3d(y, block.first.weight, block.first.bias, padding=1), SLOPE)
        y = F.leaky_relu(F.conv3d(y, block.second.weight, block.second.bias, stride=2, padding=1), SLOPE)
    y = F.leaky_relu(discriminator.hidden(y.mean(dim=(2, 3, 4))), SLOPE)
    torch.testing.assert_close(discriminator(x), discriminator.verdict(y)[:, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
@torch.no_grad()
def test_verdict_does_not_fade_with_the_layers(seed: int) -> None:
    """With torch's own initialisation all stacks get the same verdict, and nobody learns anything from it."""
    torch.manual_seed(seed)
    network = Discriminator(0.125)
    x = torch.rand(3, 1, 24, 96, 96, generator=torch.Generator().manual_seed(seed))
    x *= torch.linspace(0.2, 1.5, 3).view(3, 1, 1, 1, 1)
    assert network(x).std() > 1e-3
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d | nn.Linear):
            layer.reset_parameters()
    assert network(x).std() < 5e-6
