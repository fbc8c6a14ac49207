"""A step of training on wide-field and confocal stacks of different fields: there and back again.

After Zhu et al., Unpaired image-to-image translation using cycle-consistent adversarial networks, ICCV 2017, with a
blur as the way back (Lim et al., CycleGAN with a blur kernel, 2020). The blur is not learned from the cycle, but from
spectra: what comes out of a network that is not sharp enough would need too little of it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 (the name everybody uses)
from torch import Tensor

from napari_deep3d.core import TrainConfig
from napari_deep3d.nn.blur_kernel import BlurKernel
from napari_deep3d.nn.losses import l1_loss
from napari_deep3d.nn.patches import TrainingPair, UnpairedBatch, draw_unpaired_batch
from napari_deep3d.nn.processes import Processes
from napari_deep3d.nn.trainer import Trainer

BLUR_RATE = 0.05
"""Largest learning rate of the blur: its numbers are logarithms, and it must be there before the generator follows."""
POOLED, FAINT, WEIGHT_MEAN = 3, 1e-6, 10.0
"""Frequencies along each axis that are taken together; a power that is none; and the weight of the mean intensity."""


class UnpairedTrainer(Trainer):
    """Learns from stacks that share no field; ``pairs`` are the wide-field, ``confocal`` the confocal stacks.

    Confocal stacks are blurred and get noise, as the wide-field microscope would show them, and the generator learns
    the way back, where what is wanted is known voxel by voxel. With a discriminator, or a weight of the cycle, it also
    learns from wide-field stacks: what it makes of them must look like confocal, and blurred again like they did.
    """

    def __init__(
        self,
        config: TrainConfig,
        pairs: Sequence[TrainingPair],
        confocal: Sequence[TrainingPair],
        processes: Processes | None = None,
        voxels_at_once: int = sys.maxsize,
    ) -> None:
        super().__init__(config, pairs, processes, voxels_at_once)
        self.confocal = confocal
        self.blur = BlurKernel().to(self.device)
        self._update_too(self.blur, BLUR_RATE, weight_decay=0)

    def _draw(self, step: int) -> UnpairedBatch:
        return draw_unpaired_batch(self.pairs, self.confocal, self.config, step, self.processes.rank)

    def _accumulate(self, sides: Sequence[Tensor], planes: Tensor, share: float) -> dict[str, Tensor]:
        """Add the gradients of some patches to all networks; one after the other, to save memory."""
        widefield, confocal, noise = sides
        # 1. The blur.
        blurred = self.blur(confocal) + noise_level(widefield) * noise
        losses = {"blur": spectrum_loss(blurred, widefield)}
        self._backward(losses, share)
        # 2. The generator: from confocal, as the wide-field microscope would show it, back to confocal.
        with self._forward_pass():
            back = self.generator(blurred.detach()).float()
            differences = self._differences(back, confocal, planes)
        if differences:
            losses |= differences | {"loss": self._backward(differences, share)}
        # 3. The same from wide-field to confocal-like and back.
        weight = self.config.losses.weight_cycle
        if weight or self.discriminator is not None:
            with self._forward_pass():
                prediction = self.generator(widefield)
                other = self._realism(prediction.float())
            if weight:
                self.blur.requires_grad_(False)
                other["cycle"] = weight * l1_loss(self.blur(prediction.float()), widefield)
            total = self._backward(other, share)
            self.blur.requires_grad_(True)
            losses |= other | {"loss": losses.get("loss", 0.0) + total}
            losses |= self._teach_discriminator(prediction.detach().float(), confocal, share)
        return losses


def make_trainer(
    config: TrainConfig,
    pairs: Sequence[TrainingPair],
    confocal: Sequence[TrainingPair] = (),
    processes: Processes | None = None,
    voxels_at_once: int = sys.maxsize,
) -> Trainer:
    """A trainer on pairs, or, where there are confocal stacks by themselves, on unpaired stacks."""
    if confocal:
        return UnpairedTrainer(config, pairs, confocal, processes, voxels_at_once)
    return Trainer(config, pairs, processes, voxels_at_once)


def spectrum_loss(made: Tensor, widefield: Tensor) -> Tensor:
    """How much the power spectra of stacks (N, 1, Z, Y, X) differ in their logarithm, and the stacks in their mean.

    Stacks of different fields of one kind of sample have the same spectrum, up to chance, if they are blurred alike.
    """
    mean = (made.mean() - widefield.mean()).square()
    return (_log_power(made) - _log_power(widefield)).abs().mean() + WEIGHT_MEAN * mean


def _log_power(stacks: Tensor) -> Tensor:
    axes = (2, 3, 4)
    windows = [torch.hann_window(size, device=stacks.device) for size in stacks.shape[2:]]
    window = windows[0][:, None, None] * windows[1][:, None] * windows[2]
    even = stacks - stacks.mean(axes, keepdim=True)
    power = torch.fft.rfftn(even * window, dim=axes).abs().square()
    return torch.log(F.avg_pool3d(power, POOLED) + FAINT)


def noise_level(stacks: Tensor) -> Tensor:
    """Standard deviation of the noise of stacks (N, 1, Z, Y, X), (N, 1, 1, 1, 1), told from planes alone.

    The mask gives nothing where intensities are even, rise evenly or bend evenly (Immerkaer, Fast noise variance
    estimation, Comput. Vis. Image Underst. 1996).
    """
    line = torch.tensor([1.0, -2.0, 1.0], device=stacks.device)
    mask = (line[:, None] * line).view(1, 1, 1, 3, 3)
    return F.conv3d(stacks, mask).abs().mean((1, 2, 3, 4), keepdim=True) * (math.sqrt(math.pi / 2) / 6)
