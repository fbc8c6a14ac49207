"""The generator of WFCON-Net: a residual 3D U-Net (Li et al., Deep-3D microscope, 2021, Fig. 2b)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 (the name everybody uses)
from torch import Tensor, nn

from napari_deep3d.core import Shape, zyx

Enlarging = Literal["linear", "nearest"]

POOLING: tuple[Shape, ...] = ((2, 2, 2), (2, 2, 2), (1, 2, 2), (1, 2, 2))
"""Down-sampling Z, Y, X of the four levels. Patches may be 12 planes deep, so planes are halved only twice."""
STRIDE = (4, 16, 16)
"""Product of the pooling: a tile must start at a multiple of it to see the same grid as the whole stack."""
KERNEL: Shape = (3, 3, 3)
ONE: Shape = (1, 1, 1)
SAFE_PIXELS = 4
CHANNELS_IN = {"stack": 1, "plane": 2}
"""Input channels by what the network sees: a stack, or a plane and the distance from it."""
MAX_CHANNEL_FACTOR = 8
EPSILON = 1e-5


class Convolution(nn.Conv3d):
    """A convolution that keeps the size, and is computed in float32 where bfloat16 cannot be trusted.

    On a processor oneDNN's bfloat16 convolutions return garbage, or write where they must not, for some small inputs:
    two planes deep, fewer than four rows or columns, a single channel of a single plane (seen with torch 2.13 and
    AVX-512; all other sizes agreed with float32).
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: Shape = KERNEL, stride: int = 1) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, padding=zyx(k // 2 for k in kernel))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, Z, Y, X)."""
        depth, lateral = x.shape[2], min(x.shape[3:])
        is_small = depth == 2 or lateral < SAFE_PIXELS or (depth == 1 and x.shape[1] == 1)
        if is_small and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float())
        return super().forward(x)


class StackNorm(nn.Module):
    """Instance norm whose statistics can be pooled over a batch: over several pieces of one stack.

    With ``pooled``, mean and variance are those of the whole batch instead of each item; ``measured`` holds them
    then, one per channel. They are taken over the voxels that are ``image``, if that is given: 1 where there is image
    and 0 elsewhere, (N, 1, Z, Y, X) before any pooling; a pooled voxel counts if at least half of it is image.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.pooled = False
        self.image: Tensor | None = None
        self.measured: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, Z, Y, X)."""
        if not self.pooled:
            # Batch norm of one item is instance norm; unlike F.instance_norm it keeps channels_last_3d.
            return torch.cat([self._norm(item) for item in torch.split(x, 1)]) if len(x) > 1 else self._norm(x)
        if self.image is not None:
            mean, variance = self.measured = _masked_statistics(x, self.image)
            weight, bias = self.weight.float(), self.bias.float()
            return F.batch_norm(x, mean, variance, weight, bias, eps=EPSILON)
        mean = torch.zeros_like(self.weight, dtype=torch.float32)
        variance = torch.ones_like(mean)
        y = self._norm(x, mean, variance)  # with momentum 1 these buffers then hold this pass's statistics
        values = x.numel() // x.shape[1]
        self.measured = (mean, variance * (values - 1) / values)  # torch keeps the unbiased variance
        return y

    def _norm(self, x: Tensor, mean: Tensor | None = None, variance: Tensor | None = None) -> Tensor:
        weight, bias = self.weight.float(), self.bias.float()
        if x.numel() == x.shape[1]:  # a single value is its own mean; torch refuses to normalise it
            if mean is not None:
                mean.copy_(x.flatten())
            return torch.zeros_like(x) + bias.to(x.dtype).view(1, -1, 1, 1, 1)
        return F.batch_norm(x, mean, variance, weight, bias, training=True, momentum=1.0, eps=EPSILON)


def _masked_statistics(x: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel of (N, C, Z, Y, X) over the voxels that are image; over all, if none is."""
    inside = F.adaptive_avg_pool3d(image, zyx(x.shape[2:])) >= 0.5
    if not inside.any():
        inside = torch.ones_like(inside)
    # Plane by plane: no second copy of all channels is made.
    planes = [(x[:, :, z], inside[:, :, z]) for z in range(x.shape[2])]
    count = inside.sum()
    mean = sum((plane * where).float().sum((0, 2, 3)) for plane, where in planes) / count
    centre = mean.view(1, -1, 1, 1)
    variance = sum(((plane.float() - centre).square() * where).sum((0, 2, 3)) for plane, where in planes) / count
    return mean, variance


class ResidualBlock(nn.Module):
    """Two 3x3x3 convolutions, two ReLUs and one norm, with a residual mapping across."""

    def __init__(self, channels_in: int, channels_out: int, kernel: Shape = KERNEL) -> None:
        super().__init__()
        self.first = Convolution(channels_in, channels_out, kernel)
        self.second = Convolution(channels_out, channels_out, kernel)
        self.norm: nn.Module = StackNorm(channels_out)
        self.shortcut = nn.Identity() if channels_in == channels_out else Convolution(channels_in, channels_out, ONE)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, Z, Y, X) to the same size."""
        y = self.norm(self.second(F.relu(self.first(x), inplace=True)))
        return F.relu(y.add_(self.shortcut(x)), inplace=True)


class Up(nn.Module):
    """Enlargement by interpolation and a stride-1 convolution: no checkerboard as with transposed ones.

    The paper gives no kernel size. A 1x1x1 kernel commutes with the enlargement, so it runs first, on the small
    grid; the 3x3x3 convolutions of the block that follows merge the result with the encoder's.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        factor: Shape,
        kernel: Shape = KERNEL,
        enlarging: Enlarging = "linear",
    ) -> None:
        super().__init__()
        self.factor = factor
        self.enlarge = enlarge_linear if enlarging == "linear" else enlarge_nearest
        self.convolution = Convolution(channels_in, channels_out, ONE)
        self.block = ResidualBlock(2 * channels_out, channels_out, kernel)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Enlarge ``x`` to the size of ``skip`` and merge them."""
        enlarged = self.enlarge(self.convolution(x), self.factor)
        return self.block(torch.cat([enlarged, skip], dim=1))  # type: ignore[no-any-return]


def enlarge_nearest(x: Tensor, factor: Shape) -> Tensor:
    """Repeat every voxel of (N, C, Z, Y, X) 1 or 2 times along each axis."""
    return F.interpolate(x, scale_factor=tuple(float(f) for f in factor), mode="nearest")


def enlarge_linear(x: Tensor, factor: Shape) -> Tensor:
    """Interpolate (N, C, Z, Y, X) linearly to 1 or 2 times the size along each axis, channels last.

    What ``F.interpolate(mode="trilinear")`` gives, in two thirds of its time on a processor, and on devices that
    have no gradient for it.
    """
    y = x.permute(0, 2, 3, 4, 1)
    for axis, times in enumerate(factor, start=1):
        if times == 2:
            y = _doubled(y, axis)
    return y.permute(0, 4, 1, 2, 3)


def _doubled(y: Tensor, axis: int) -> Tensor:
    """New values a quarter of the way to the neighbours on both sides; the ends are their own neighbours."""
    most = y.shape[axis] - 1
    before = torch.cat([y.narrow(axis, 0, 1), y.narrow(axis, 0, most)], axis)
    after = torch.cat([y.narrow(axis, 1, most), y.narrow(axis, most, 1)], axis)
    return torch.stack([y.lerp(before, 0.25), y.lerp(after, 0.25)], axis + 1).flatten(axis, axis + 1)


class Generator(nn.Module):
    """Wide-field stack in, confocal-like stack out.

    Parameters
    ----------
    width
        Channels of the first level; doubled on each level down to eightfold (the paper gives no widths).
    dimensions
        3, or 2 for the paper's comparison: convolutions and pooling then stay within a plane. The norms take their
        statistics over the stack either way, so that its planes keep their relative brightness.
    channels_in
        Channels of the input: 1, or 2 for a plane and a distance (DeepZ+).
    enlarging
        How the decoder enlarges. "nearest" is what models before format 3 were trained with: where the stack has
        nothing to show, the grid of the pooling shows.
    """

    def __init__(
        self, width: int = 16, dimensions: int = 3, channels_in: int = 1, enlarging: Enlarging = "linear"
    ) -> None:
        super().__init__()
        self.width, self.dimensions, self.channels_in = width, dimensions, channels_in
        kernel = KERNEL if dimensions == 3 else (1, 3, 3)
        self.pooling = POOLING if dimensions == 3 else ((1, 2, 2),) * len(POOLING)
        channels = [width * min(2**level, MAX_CHANNEL_FACTOR) for level in range(len(POOLING) + 1)]
        self.stem = ResidualBlock(channels_in, channels[0], kernel)
        self.downs = nn.ModuleList(ResidualBlock(a, b, kernel) for a, b in pairwise(channels))
        self.ups = nn.ModuleList(
            Up(channels[level + 1], channels[level], self.pooling[level], kernel, enlarging)
            for level in reversed(range(len(POOLING)))
        )
        self.head = Convolution(channels[0], 1, ONE)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised wide-field (N, C, Z, Y, X) of any size to normalised confocal (N, 1, Z, Y, X)."""
        size = x.shape[2:]
        x = pad_to_stride(x)
        levels = [self.stem(x)]
        for factor, down in zip(self.pooling, self.downs, strict=True):
            levels.append(down(F.max_pool3d(levels[-1], factor)))
        y = levels.pop()
        for up in self.ups:
            y = up(y, levels.pop())
        return self.head(y.to(self.head.weight.dtype))[..., : size[0], : size[1], : size[2]]  # type: ignore[no-any-return]


def pad_to_stride(x: Tensor) -> Tensor:
    """Repeat the last voxels so that every axis of (N, C, Z, Y, X) is a multiple of :data:`STRIDE`."""
    short = [-size % stride for size, stride in zip(x.shape[2:], STRIDE, strict=True)]
    if not any(short):
        return x
    return F.pad(x, (0, short[2], 0, short[1], 0, short[0]), mode="replicate")


def norms(generator: nn.Module) -> list[StackNorm]:
    """All norm layers, in order."""
    return [module for module in generator.modules() if isinstance(module, StackNorm)]
