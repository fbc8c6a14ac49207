"""A step of training on wide-field and confocal stacks of different fields: there and back again, both ways round.

After Zhu et al., Unpaired image-to-image translation using cycle-consistent adversarial networks, ICCV 2017, with a
blur as the way back (Lim et al. 2020).
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

BLUR_LEARNING_RATE = 0.05
"""Largest learning rate of the blur: its numbers are logarithms, and it must be there before the generator follows."""


class UnpairedTrainer(Trainer):
    """Learns from stacks that share no field; ``pairs`` are the wide-field, ``confocal`` the confocal stacks.

    From wide-field to confocal-like and back by the blur, which is so learned; and from confocal, blurred and with
    noise, back to confocal, where what is wanted is known voxel by voxel.
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
        self._update_too(self.blur, BLUR_LEARNING_RATE, weight_decay=0)

    def _draw(self, step: int) -> UnpairedBatch:
        return draw_unpaired_batch(self.pairs, self.confocal, self.config, step, self.processes.rank)

    def _accumulate(self, sides: Sequence[Tensor], planes: Tensor, share: float) -> dict[str, Tensor]:
        """Add the gradients of some patches to all networks; one half of the cycle after the other, to save memory."""
        widefield, confocal, noise = sides
        # 1. Confocal, as the wide-field microscope would show it, and back.
        with torch.no_grad():
            blurred = self.blur(confocal) + noise_level(widefield) * noise
        with self._forward_pass():
            back = self.generator(blurred).float()
            losses = self._differences(back, confocal, planes)
        loss = self._backward(losses, share)
        # 2. Wide-field to confocal-like, and back.
        with self._forward_pass():
            prediction = self.generator(widefield)
            made = prediction.float()
            other = self._realism(made)
        other["cycle"] = self.config.losses.weight_cycle * l1_loss(self.blur(made), widefield)
        losses |= other | {"loss": loss.detach() + self._backward(other, share)}
        return losses | self._teach_discriminator(prediction.detach().float(), confocal, share)


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


def noise_level(stacks: Tensor) -> Tensor:
    """Standard deviation of the noise of stacks (N, 1, Z, Y, X), (N, 1, 1, 1, 1), told from planes alone.

    The mask gives nothing where intensities are even, rise evenly or bend evenly (Immerkaer, Fast noise variance
    estimation, Comput. Vis. Image Underst. 1996).
    """
    line = torch.tensor([1.0, -2.0, 1.0], device=stacks.device)
    mask = (line[:, None] * line).view(1, 1, 1, 3, 3)
    return F.conv3d(stacks, mask).abs().mean((1, 2, 3, 4), keepdim=True) * (math.sqrt(math.pi / 2) / 6)
