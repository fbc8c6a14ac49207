"""The losses: what Eq. 1 says, by hand; VGG16 as its weights say."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from napari_deep3d.data import VGG16
from napari_deep3d.nn.losses import (
    PerceptualLoss,
    as_planes,
    correlation_loss,
    discriminator_loss,
    generator_loss,
    l1_loss,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def perceptual() -> PerceptualLoss:
    return PerceptualLoss()


def test_absolute_difference() -> None:
    a, b = torch.tensor([[0.0, 1.0], [2.0, -3.0]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    assert l1_loss(a, b) == (1 + 0 + 2 + 3) / 4


def test_correlation_is_the_rmse_that_scale_and_offset_leave() -> None:
    a, b = noise(2, 1, 4, 8, 8), noise(2, 1, 4, 8, 8, seed=1)
    made = a + 2 * b
    expected = []
    for x, y in zip(made.numpy(), a.numpy(), strict=True):
        slope, offset = np.polyfit(x.ravel(), y.ravel(), 1)
        expected.append(np.sqrt(np.mean((slope * x + offset - y) ** 2)) / y.std())
    assert correlation_loss(made, a) == pytest.approx(np.mean(expected), rel=0.01)


def test_correlation_knows_no_scale_nor_offset_and_skips_what_is_flat() -> None:
    a, b = noise(1, 1, 4, 8, 8), noise(1, 1, 4, 8, 8, seed=1)
    assert correlation_loss(a + b, a) == pytest.approx(float(correlation_loss(5 * (a + b) - 3, a)), rel=0.01)
    assert correlation_loss(a, a) < 0.06
    assert correlation_loss(-b, torch.full_like(a, 0.3)) < 1e-6


@settings(deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=4), st.lists(st.floats(-3, 3), min_size=1, max_size=4))
def test_least_squares_gan(on_prediction: list[float], on_confocal: list[float]) -> None:
    """The generator wants a verdict of 1 on what it made; the discriminator wants 0 there and 1 on confocal."""
    made, real = torch.tensor(on_prediction).double(), torch.tensor(on_confocal).double()
    wanted = sum((v - 1) ** 2 for v in made.tolist()) / len(made)
    assert generator_loss(made).item() == pytest.approx(wanted)
    wanted = sum(v**2 for v in made.tolist()) / len(made) + sum((v - 1) ** 2 for v in real.tolist()) / len(real)
    assert discriminator_loss(made, real).item() == pytest.approx(wanted)


def test_planes_of_stacks_come_one_after_the_other() -> None:
    stacks = noise(2, 1, 3, 4, 5)
    planes = as_planes(stacks)
    assert planes.shape == (6, 1, 4, 5)
    for index in range(6):
        torch.testing.assert_close(planes[index, 0], stacks[index // 3, 0, index % 3])


def vgg16(planes: torch.Tensor) -> torch.Tensor:
    """relu3_3 of VGG16 (Simonyan and Zisserman 2014) on grey planes, layer by layer from the weight file."""
    weights = {name: value.float() for name, value in load_file(VGG16).items()}
    rgb = 255 * planes.expand(-1, 3, -1, -1) - torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1)
    first = weights["conv1_1.weight"]
    x = rgb.to(first.dtype) if first.shape[1] == 3 else None
    assert x is not None
    for names in (("1_1", "1_2"), ("2_1", "2_2"), ("3_1", "3_2", "3_3")):
        x = x if names[0] == "1_1" else F.max_pool2d(x, 2)
        for name in names:
            x = F.relu(F.conv2d(x, weights[f"conv{name}.weight"], weights[f"conv{name}.bias"], padding=1))
    return x / 255


@torch.no_grad()
def test_features_are_those_of_the_weight_file(perceptual: PerceptualLoss) -> None:
    planes = noise(2, 1, 24, 20)
    found = perceptual.features(planes)
    assert found.shape == (2, 256, 6, 5)
    torch.testing.assert_close(found, vgg16(planes), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_features_tell_structure(perceptual: PerceptualLoss) -> None:
    """ImageNet's VGG16 has learned edges: blur changes its features more than an offset of the same size does."""
    image = (noise(1, 1, 1, 32, 32) > 0.7).float()
    blurred = F.avg_pool3d(image, (1, 3, 3), stride=1, padding=(0, 1, 1))
    size = (blurred - image).pow(2).mean().sqrt()
    assert perceptual(blurred, image) > 3 * perceptual(image + size, image)


@torch.no_grad()
def test_perceptual_loss_is_the_mean_squared_difference_of_the_features(perceptual: PerceptualLoss) -> None:
    a, b = noise(2, 1, 3, 16, 16), noise(2, 1, 3, 16, 16, seed=1)
    wanted = (vgg16(as_planes(a)) - vgg16(as_planes(b))).pow(2).mean()
    torch.testing.assert_close(perceptual(a, b), wanted, rtol=1e-4, atol=1e-6)
    assert perceptual(a, b) > 0
    assert perceptual(a, a.clone()) == 0


@torch.no_grad()
def test_perceptual_loss_goes_plane_by_plane(perceptual: PerceptualLoss) -> None:
    """Planes of both stacks may change places together; those of one alone may not."""
    a, b = noise(1, 1, 4, 16, 16), noise(1, 1, 4, 16, 16, seed=1)
    a *= torch.tensor([0.1, 0.4, 0.7, 1.0]).view(1, 1, 4, 1, 1)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(perceptual(a[:, :, order], b[:, :, order]), perceptual(a, b))
    assert not torch.isclose(perceptual(a[:, :, order], a), perceptual(a, a), atol=1e-3)
    mean = torch.stack([perceptual(a[:, :, z : z + 1], b[:, :, z : z + 1]) for z in range(4)]).mean()
    torch.testing.assert_close(perceptual(a, b), mean)


def test_gradient_flows_to_the_prediction_alone(perceptual: PerceptualLoss) -> None:
    prediction, confocal = noise(1, 1, 2, 16, 16).requires_grad_(), noise(1, 1, 2, 16, 16, seed=1).requires_grad_()
    perceptual(prediction, confocal).backward()
    assert prediction.grad is not None
    assert prediction.grad.abs().amax(dim=(3, 4)).min() > 0
    assert confocal.grad is None
    assert list(perceptual.parameters()) == []


def test_weights_come_with_the_package() -> None:
    """So training works offline; half-precision halves the download."""
    assert files("napari_deep3d").joinpath("data", VGG16.name).is_file()
    weights = load_file(VGG16)
    shapes = {name.removeprefix("conv"): tuple(value.shape) for name, value in weights.items() if "weight" in name}
    assert shapes == {
        "1_1.weight": (64, 3, 3, 3),
        "1_2.weight": (64, 64, 3, 3),
        "2_1.weight": (128, 64, 3, 3),
        "2_2.weight": (128, 128, 3, 3),
        "3_1.weight": (256, 128, 3, 3),
        "3_2.weight": (256, 256, 3, 3),
        "3_3.weight": (256, 256, 3, 3),
    }
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert VGG16.stat().st_size < 4e6
