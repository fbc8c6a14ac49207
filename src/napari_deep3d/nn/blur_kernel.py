"""What a wide-field microscope makes of a confocal image: a blur that is the same everywhere, haze, gain and offset.

It is the way back in an unpaired training (Lim et al., CycleGAN with a blur kernel for deconvolution microscopy, IEEE
Trans. Comput. Imaging 2020): a few hundred numbers that mean something, where CycleGAN has a second generator.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 (the name everybody uses)
from torch import Tensor, nn

DEPTH, RADIUS = 8, 16
"""Reach of the blur in voxels, up and down, and sideways; what goes further is the haze."""
START_WIDTH = (2.0, 1.5)
"""Standard deviation of the blur at first, in voxels along z and across."""


class BlurKernel(nn.Module):
    """Blurs stacks by a kernel that is positive, sums to 1 and is round across; all of it is learned.

    What comes out is ``gain * (kernel * confocal) + haze * mean + offset``, of intensities of about 0 to 1: ``mean`` is
    that of the patch, since light from far away is even over so small a part of a field.
    """

    def __init__(self) -> None:
        super().__init__()
        z, r = torch.arange(-DEPTH, DEPTH + 1.0), torch.arange(RADIUS + 1.0)
        start = -0.5 * ((z / START_WIDTH[0]).square()[:, None] + (r / START_WIDTH[1]).square())
        # As far out as this, nothing would be learned of a kernel that falls off like a Gaussian.
        self.profile = nn.Parameter(torch.logaddexp(start, torch.tensor(math.log(1e-3))))
        self.gain, self.haze, self.offset = (nn.Parameter(torch.tensor(value)) for value in (1.0, 0.0, 0.0))
        y = torch.arange(-RADIUS, RADIUS + 1.0)
        across = torch.hypot(y[:, None], y)
        self.across: Tensor
        self.register_buffer("across", across, persistent=False)

    def kernel(self) -> Tensor:
        """The blur, axes (Z, Y, X), an odd number of voxels along each."""
        inner = self.across.clamp(max=RADIUS - 1e-3)
        below = inner.floor().long()
        profile = torch.lerp(self.profile[:, below], self.profile[:, below + 1], inner - below)
        profile = profile.masked_fill(self.across > RADIUS, -torch.inf)
        return profile.flatten().softmax(0).view_as(profile)

    def forward(self, confocal: Tensor) -> Tensor:
        """Blur stacks (N, 1, Z, Y, X); beyond their borders they go on as they end."""
        padded = F.pad(confocal, (RADIUS,) * 4 + (DEPTH,) * 2, mode="replicate")
        size, axes = padded.shape[2:], (2, 3, 4)
        spectrum = torch.fft.rfftn(padded, dim=axes) * torch.fft.rfftn(self.kernel(), s=size)
        blurred = torch.fft.irfftn(spectrum, s=size, dim=axes)[..., 2 * DEPTH :, 2 * RADIUS :, 2 * RADIUS :]
        made: Tensor = self.gain * blurred + self.haze * confocal.mean(axes, keepdim=True) + self.offset
        return made
