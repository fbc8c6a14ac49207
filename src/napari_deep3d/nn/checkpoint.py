"""Checkpoints of a training: both networks, their optimisers, the running mean, and how far it has come.

All of it is one safetensors file, written whole or not at all. The learning rates and the random numbers of a step
depend on its number and the seed alone, so they need no state of their own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_deep3d.core.errors import InputError
from napari_deep3d.nn.trainer import Trainer

KEPT = 2
"""The newest checkpoints that stay: one may be damaged by a failing disk."""


@dataclass(frozen=True)
class BestWeights:
    """The weights that did best on the held-out pairs: after which step, which ones, and their scores."""

    step: int
    of: str
    rmse: float
    ssim: float


@dataclass(frozen=True)
class TrainingState:
    """How far a training has come.

    Attributes
    ----------
    step
        Steps that are done.
    best
        The best weights so far, kept in a file of their own; None before the first test.
    is_best
        Whether the newest test was the best one.
    tested
        The step after which the newest test was made; 0 before the first.
    voxels_at_once
        Voxels of a batch that are taken at a time: sums in another order would round otherwise.
    """

    step: int = 0
    best: BestWeights | None = None
    is_best: bool = True
    tested: int = 0
    voxels_at_once: int = sys.maxsize


def save_checkpoint(folder: Path, standing: TrainingState, trainer: Trainer) -> Path:
    """Write ``step_NNNNNNN.safetensors`` and remove all but the newest checkpoints.

    Raises
    ------
    InputError
        If it cannot be written; the older ones are kept.
    """
    path = folder / f"step_{standing.step:07d}.safetensors"
    write_tensors(path, _state(trainer), {"standing": json.dumps(asdict(standing))})
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink()
    if standing.best is not None:
        older = [file for file in sorted(folder.glob("best_*.safetensors")) if file < best_file(folder, standing.best)]
        for file in older[: 1 - KEPT]:  # the one before belongs to the checkpoint before
            file.unlink()
    return path


def best_file(folder: Path, best: BestWeights) -> Path:
    """Where the best weights are kept."""
    return folder / f"best_{best.step:07d}.safetensors"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file that appears whole under its name, or not at all."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        save_file({name: _own(value) for name, value in tensors.items()}, part, metadata=dict(metadata))
        part.replace(path)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot write {path}: {_reason(error)}. What was written before is kept: make room, then go on with "
            "--resume (Resume in the window)."
        ) from None
    finally:
        part.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error).splitlines()[0]


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def _state(trainer: Trainer) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for index, (network, optimiser) in enumerate(zip(trainer.networks, trainer.optimisers, strict=True)):
        tensors |= {f"network/{index}/{name}": value for name, value in network.state_dict().items()}
        for number, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{index}/{number}/{name}": torch.as_tensor(v) for name, v in state.items()}
    if trainer.average is not None:
        tensors |= {f"average/{name}": value for name, value in trainer.average.state_dict().items()}
    return tensors


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step_*.safetensors"))


def load_newest(folder: Path, trainer: Trainer) -> TrainingState:
    """Restore the newest readable checkpoint and return how far it had come; a fresh start if there is none.

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
                values = json.loads(file.metadata()["standing"])
            _restore(tensors, trainer)
            best = values.pop("best")
            return TrainingState(**values, best=best and BestWeights(**best))
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError):
            continue
    if found:
        raise InputError(
            f"none of the {len(found)} checkpoints in {folder} can be read, or they are of another network or version. "
            "Start a new run in another folder."
        )
    return TrainingState()


def _restore(tensors: dict[str, Tensor], trainer: Trainer) -> None:
    for index, (network, optimiser) in enumerate(zip(trainer.networks, trainer.optimisers, strict=True)):
        network.load_state_dict(_below(tensors, f"network/{index}/"))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(tensors, f"optimiser/{index}/").items():
            number, _, entry = name.partition("/")
            state.setdefault(int(number), {})[entry] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    if trainer.average is not None:
        trainer.average.load_state_dict(_below(tensors, "average/"))


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
