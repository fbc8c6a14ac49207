"""Checkpoints of a training: weights, optimiser and step in one safetensors file, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from napari_deep3d.core.errors import InputError

KEPT = 2
"""The newest checkpoints that stay: one may be damaged by a failing disk."""


def save_checkpoint(folder: Path, step: int, network: nn.Module, optimiser: torch.optim.Optimizer) -> Path:
    """Write ``step_NNNNNNN.safetensors`` and remove all but the newest checkpoints."""
    tensors = {f"network/{name}": value.contiguous() for name, value in network.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{name}": torch.as_tensor(value) for name, value in state.items()}
    path = folder / f"step_{step:07d}.safetensors"
    part = folder / f".{path.name}.part-{os.getpid()}"
    try:
        save_file({name: _own(value) for name, value in tensors.items()}, part, metadata={"step": str(step)})
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink()
    return path


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step_*.safetensors"))


def load_newest(folder: Path, network: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Restore the newest readable checkpoint and return its step; 0 if there is none.

    Raises
    ------
    InputError
        If there are checkpoints, but none can be read.
    """
    found = checkpoints(folder)
    for path in reversed(found):
        try:
            tensors = load_file(path)
            with safe_open(path, framework="pt") as file:
                step = int(file.metadata()["step"])
            _restore(tensors, network, optimiser)
        except (SafetensorError, OSError, KeyError, ValueError, RuntimeError):
            continue
        return step
    if found:
        raise InputError(
            f"none of the {len(found)} checkpoints in {folder} can be read, or they are of another network. "
            "Start a new run in another folder."
        )
    return 0


def _restore(tensors: dict[str, Tensor], network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    weights = {name.removeprefix("network/"): v for name, v in tensors.items() if name.startswith("network/")}
    network.load_state_dict(weights)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "optimiser":
            index, _, field = rest.partition("/")
            state.setdefault(int(index), {})[field] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
