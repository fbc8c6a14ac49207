"""The discriminator: that of Deep-Z in 3D (after Wu et al., Nat. Methods 2019; Li et al. 2021, Fig. 2c)."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 (the name everybody uses)
from torch import Tensor, nn

from napari_deep3d.nn.generator import Convolution

CHANNELS = (48, 96, 192, 384, 768, 1536)
"""Channels of the first convolution of each block; the second one doubles them."""
SLOPE = 0.01


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
