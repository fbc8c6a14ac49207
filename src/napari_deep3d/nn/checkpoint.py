"""Checkpoints of a training: both networks, their optimisers, the EMA of the weights, and how far it has come.

All of it is one safetensors file, written whole or not at all. The learning rates and the random numbers of a step
depend on its number and the seed alone, so they need no state of their own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_deep3d.core import InputError, writing
from napari_deep3d.nn.trainer import Trainer

KEPT = 2
"""The newest checkpoints that stay: one may be damaged by a failing disk."""
STATE_KEY, WEIGHTS_KEY = "standing", "of"
"""What the state of a training is called in the header of a checkpoint, and in it the kind of the best weights."""
REMEDY = "What was written before is kept: make room, then go on with --resume (Resume in the window)."


@dataclass(frozen=True)
class BestWeights:
    """The weights that did best on the held-out pairs, and their scores.

    ``step`` is the one after which they were tested, ``kind`` says in words whether they are its own or their EMA.
    """

    step: int
    kind: str
    rmse: float
    ssim: float


@dataclass(frozen=True)
class TrainingState:
    """How far a training has come.

    ``best`` are the best weights so far, in a file of their own; ``is_best`` says whether the newest test was the best
    one, made after the step ``tested``. ``voxels_at_once`` of a batch are taken at a time: sums in another order would
    round otherwise.
    """

    step: int = 0
    best: BestWeights | None = None
    is_best: bool = True
    tested: int = 0
    voxels_at_once: int = sys.maxsize

    def to_json(self) -> str:
        """The state as the text that :meth:`from_json` reads."""
        values = asdict(self)
        if self.best is not None:
            values["best"][WEIGHTS_KEY] = values["best"].pop("kind")
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> TrainingState:
        """Read the text; other names than those of this version raise KeyError or TypeError."""
        values = json.loads(text)
        best = values.pop("best")
        if best is not None:
            best = BestWeights(kind=best.pop(WEIGHTS_KEY), **best)
        return cls(**values, best=best)


def save_checkpoint(folder: Path, state: TrainingState, trainer: Trainer) -> Path:
    """Write ``step_NNNNNNN.safetensors``, then remove all but the newest; InputError if it cannot be written."""
    path = folder / f"step_{state.step:07d}.safetensors"
    tensors: dict[str, Tensor] = {}
    for index, (network, optimiser) in enumerate(zip(trainer.networks, trainer.optimisers, strict=True)):
        tensors |= {f"network/{index}/{name}": value for name, value in network.state_dict().items()}
        for number, entries in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{index}/{number}/{name}": torch.as_tensor(v) for name, v in entries.items()}
    if trainer.ema is not None:
        tensors |= {f"average/{name}": value for name, value in trainer.ema.state_dict().items()}
    write_tensors(path, tensors, {STATE_KEY: state.to_json()})
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink()
    if state.best is not None:
        older = [file for file in sorted(folder.glob("best_*.safetensors")) if file < best_file(folder, state.best)]
        for file in older[: 1 - KEPT]:  # the one before belongs to the checkpoint before
            file.unlink()
    return path


def best_file(folder: Path, best: BestWeights) -> Path:
    """Where the best weights are kept."""
    return folder / f"best_{best.step:07d}.safetensors"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file that appears whole under its name or not at all; InputError if it cannot be written."""
    own = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with writing(path, REMEDY, SafetensorError) as part:
        save_file(own, part, metadata=dict(metadata))


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step_*.safetensors"))


def load_newest(folder: Path, trainer: Trainer) -> TrainingState:
    """Restore the newest readable checkpoint and return how far it had come; a fresh start if there is none.

    InputError if there are checkpoints, but none can be read.
    """
    found = checkpoints(folder)
    for path in reversed(found):
        try:
            tensors = load_file(path)
            with safe_open(path, framework="pt") as file:
                state = TrainingState.from_json(file.metadata()[STATE_KEY])
            _restore(tensors, trainer)
            return state
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError):
            continue
    if found:
        raise InputError(
            f"none of the {len(found)} checkpoints in {folder} can be read, or they are of another network or version. "
            "Start a new run in another folder."
        )
    return TrainingState()


def _restore(tensors: dict[str, Tensor], trainer: Trainer) -> None:
    def below(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    for index, (network, optimiser) in enumerate(zip(trainer.networks, trainer.optimisers, strict=True)):
        network.load_state_dict(below(f"network/{index}/"))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in below(f"optimiser/{index}/").items():
            number, _, entry = name.partition("/")
            state.setdefault(int(number), {})[entry] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    if trainer.ema is not None:
        trainer.ema.load_state_dict(below("average/"))
