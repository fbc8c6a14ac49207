"""What the generator learns from: the losses of WFCON-Net (Li et al., Deep-3D microscope, 2021, Eq. 1).

The discriminator is that of Deep-Z in 3D (after Wu et al., Nat. Methods 2019; Li et al. 2021, Fig. 2c).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (the name everybody uses)
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_deep3d.data import VGG16
from napari_deep3d.nn.generator import Convolution

VGG_LAYERS = ("1_1", "1_2", "pool", "2_1", "2_2", "pool", "3_1", "3_2", "3_3")
RGB_MEAN = (123.68, 116.779, 103.939)
WHITE = 255.0
CHANNELS = (48, 96, 192, 384, 768, 1536)
"""Channels of the first convolution of each block; the second one doubles them."""
SLOPE = 0.01


def l1_loss(prediction: Tensor, confocal: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (prediction - confocal).abs().mean()


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


class StridedBlock(nn.Module):
    """A convolution of stride 1, one of stride 2, each with a LeakyReLU; no norm."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.first = Convolution(channels_in, channels)
        self.second = Convolution(channels, 2 * channels, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Halve (N, C, Z, Y, X), planes only while there are several."""
        return F.leaky_relu(self.second(F.leaky_relu(self.first(x), SLOPE)), SLOPE)


class Discriminator(nn.Module):
    """Tells confocal stacks (towards 1) from predicted ones (towards 0).

    ``width`` is the channels as a share of the published ones. In 3D those (1.0) make about 260 million parameters,
    which hardly any GPU trains with large batches; hence the smaller default.
    """

    def __init__(self, width: float = 0.125) -> None:
        super().__init__()
        channels = [max(1, round(c * width)) for c in CHANNELS]
        entries = [1, *(2 * c for c in channels)]
        self.blocks = nn.Sequential(*(StridedBlock(a, c) for a, c in zip(entries, channels, strict=False)))
        self.hidden = nn.Linear(entries[-1], entries[-1])
        self.verdict = nn.Linear(entries[-1], 1)
        # What distinguishes two stacks fades less over twelve layers without norms this way (He et al. 2015); with
        # torch's own initialisation so much that the verdict was seen to stay at one half for all stacks.
        for layer in self.modules():
            if isinstance(layer, nn.Conv3d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, a=SLOPE)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Judge stacks (N, 1, Z, Y, X): one number each, (N,)."""
        features = self.blocks(x).mean(dim=(2, 3, 4))
        return self.verdict(F.leaky_relu(self.hidden(features), SLOPE))[:, 0]  # type: ignore[no-any-return]
