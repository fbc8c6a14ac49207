"""Training in several processes, on one machine or many, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from napari_deep3d.core import Stop


@dataclass(frozen=True)
class Processes:
    """The processes that train together; alone unless ``torchrun`` started several.

    ``rank`` is the number of this one, from 0; ``local_rank`` that on its machine: which of its GPUs is used.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and talks."""
        return self.rank == 0

    def place(self, device: torch.device) -> torch.device:
        """The device of this process: one GPU each."""
        return torch.device("cuda", self.local_rank) if device.type == "cuda" else device

    def mean(self, values: Tensor) -> Tensor:
        """Average a tensor over the processes, in place."""
        if self.count > 1:
            dist.all_reduce(values)
            values /= self.count
        return values

    def average_gradients(self, network: nn.Module) -> None:
        """Average the gradients of a network over the processes, all in one message."""
        if self.count == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        mean = self.mean(torch.cat([g.flatten() for g in gradients]))
        parts = torch.split(mean, [g.numel() for g in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def agreed(self, stop: Stop, device: torch.device) -> bool:
        """Whether any of the processes was asked to stop: all of them end at the same step."""
        asked = stop()
        if self.count == 1:
            return asked
        return bool(self.mean(torch.tensor(float(asked), device=device)) > 0)

    def share(self, items: Iterable[int]) -> list[int]:
        """Those of some numbered items that this process takes care of."""
        return list(items)[self.rank :: self.count]

    def wait_for_all(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, if it did, and leave them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), local)
    finally:
        dist.destroy_process_group()
