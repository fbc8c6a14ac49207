"""What the generator learns from: the losses of WFCON-Net (Li et al., Deep-3D microscope, 2021, Eq. 1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (the name everybody uses)
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_deep3d.data import VGG16

VGG_LAYERS = ("1_1", "1_2", "pool", "2_1", "2_2", "pool", "3_1", "3_2", "3_3")
RGB_MEAN = (123.68, 116.779, 103.939)
WHITE = 255.0
FLAT = 1e-4
"""Variance of intensities of 0 to 1 below which a patch has hardly any structure."""


def l1_loss(prediction: Tensor, confocal: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (prediction - confocal).abs().mean()


def l2_loss(prediction: Tensor, confocal: Tensor) -> Tensor:
    """Mean squared difference.

    Where a stack leaves open what was there, it makes a network give the mean of what may have been, L1 the median.
    """
    return (prediction - confocal).square().mean()


def correlation_loss(prediction: Tensor, confocal: Tensor) -> Tensor:
    """``sqrt(1 - r^2)``, r the correlation (Pearson) of each patch (N, 1, Z, Y, X) with its confocal one, on average.

    It is the RMSE that the best scale and offset leave, as a share of the confocal patch's standard deviation. So dim
    patches count as much as bright ones; those without any structure do not count.
    """
    voxels = (1, 2, 3, 4)
    made, true = (side - side.mean(voxels, keepdim=True) for side in (prediction, confocal))
    spread_made, spread_true = (side.square().mean(voxels) for side in (made, true))
    square = (made * true).mean(voxels).square() / ((spread_made + FLAT) * (spread_true + FLAT))
    left_open = (1 - square).clamp_min(FLAT).sqrt()
    return (left_open * spread_true / (spread_true + FLAT)).mean()


def generator_loss(verdict: Tensor) -> Tensor:
    """``[D(G(x)) - 1]^2``: the least-squares GAN's loss of the generator."""
    return ((verdict - 1) ** 2).mean()


def discriminator_loss(on_prediction: Tensor, on_confocal: Tensor) -> Tensor:
    """``[D(G(x))]^2 + [D(y) - 1]^2``: the least-squares GAN's loss of the discriminator."""
    return (on_prediction**2).mean() + ((on_confocal - 1) ** 2).mean()


class PerceptualLoss(nn.Module):
    """Mean squared difference of VGG16's features relu3_3, plane by plane (Johnson et al. 2016).

    The weights come with the package, so it works offline. The paper names neither layer nor scale; here the
    features are divided by 255, as they would be if VGG saw intensities of 0 to 1.
    """

    def __init__(self) -> None:
        super().__init__()
        for name, value in load_file(VGG16).items():
            self.register_buffer(name.replace(".", "_"), value.float())
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(1, 3, 1, 1))

    def features(self, planes: Tensor) -> Tensor:
        """Features (N, 256, Y / 4, X / 4) of grey planes (N, 1, Y, X) with intensities of about 0 to 1."""
        x = planes * WHITE - self.mean
        x = x.contiguous(memory_format=torch.channels_last)
        for name in VGG_LAYERS:
            if name == "pool":
                x = F.max_pool2d(x, 2)
            else:
                weight, bias = self.get_buffer(f"conv{name}_weight"), self.get_buffer(f"conv{name}_bias")
                x = F.relu(F.conv2d(x, weight, bias, padding=1))
        return x.float() / WHITE

    def forward(self, prediction: Tensor, confocal: Tensor) -> Tensor:
        """Compare stacks (N, 1, Z, Y, X)."""
        with torch.no_grad():
            wanted = self.features(as_planes(confocal))
        return F.mse_loss(self.features(as_planes(prediction)), wanted)


def as_planes(stacks: Tensor) -> Tensor:
    """Make planes (N * Z, 1, Y, X) of stacks (N, 1, Z, Y, X)."""
    return stacks.transpose(1, 2).flatten(0, 1)
