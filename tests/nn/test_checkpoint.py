"""Checkpoints: all of a training comes back from them, and none is lost to a full disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.nn import checkpoint
from napari_deep3d.nn.checkpoint import (
    KEPT,
    BestWeights,
    TrainingState,
    checkpoints,
    load_newest,
    save_checkpoint,
    write_tensors,
)
from napari_deep3d.nn.patches import TrainingPair
from napari_deep3d.nn.trainer import Trainer
from tests.helpers.nn import changed, same_state, state

Pairs = list[TrainingPair]


def at(step: int) -> TrainingState:
    return TrainingState(step=step)


@pytest.mark.parametrize("best", [None, BestWeights(3, "the running mean of the weights", 0.0512345678901234, 0.75)])
def test_all_of_a_training_comes_back(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, best: BestWeights | None
) -> None:
    """Both networks, what their optimisers remember, the running mean, and how far it had come."""
    trainer, other = Trainer(config, pairs), Trainer(changed(config, seed=5), pairs)
    for step in range(2):
        trainer.step(step)
    standing = TrainingState(2, best, is_best=best is None, voxels_at_once=12345)
    path = save_checkpoint(tmp_path, standing, trainer)
    assert path == tmp_path / "step_0000002.safetensors"
    assert not same_state(state(other), state(trainer))
    assert load_newest(tmp_path, other) == standing
    assert same_state(state(other), state(trainer))
    for optimiser, original in zip(other.optimisers, trainer.optimisers, strict=True):
        assert optimiser.state_dict()["param_groups"] == original.state_dict()["param_groups"]


def test_restored_training_goes_on_as_if_nothing_had_been(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    trainer, other = Trainer(config, pairs), Trainer(config, pairs)
    trainer.step(0)
    save_checkpoint(tmp_path, at(1), trainer)
    load_newest(tmp_path, other)
    for one in (trainer, other):
        one.step(1)
    assert same_state(state(other), state(trainer))


def test_no_checkpoint_is_a_fresh_start(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    trainer = Trainer(config, pairs)
    before = state(trainer)
    assert load_newest(tmp_path, trainer) == TrainingState()
    assert same_state(state(trainer), before)


def test_no_more_checkpoints_than_needed_stay_and_no_part(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    trainer = Trainer(config, pairs)
    for step in (1, 5, 9, 10, 100):
        save_checkpoint(tmp_path, at(step), trainer)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step_0000010.safetensors",
        "step_0000100.safetensors",
    ]
    assert len(checkpoints(tmp_path)) == KEPT


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    write_tensors(path, {"weight": torch.ones(3)}, {"format": "pt"})


def without_metadata(path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(3)}, path)


def of_a_later_version(path: Path) -> None:
    write_tensors(path, {"weight": torch.ones(3)}, {"standing": '{"step": 2, "epoch": 1, "best": null}'})


@pytest.mark.parametrize(
    "damage", [half, empty, foreign, without_metadata, of_a_later_version], ids=lambda damage: damage.__name__
)
def test_damaged_newest_checkpoint_falls_back_to_the_one_before(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    trainer, other = Trainer(config, pairs), Trainer(config, pairs)
    trainer.step(0)
    save_checkpoint(tmp_path, at(1), trainer)
    before = state(trainer)
    trainer.step(1)
    damage(save_checkpoint(tmp_path, at(2), trainer))
    assert load_newest(tmp_path, other) == at(1)
    assert same_state(state(other), before)


def test_only_damaged_checkpoints_are_an_error(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    for step in (1, 2):
        (tmp_path / f"step_{step:07d}.safetensors").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"none of the 2 checkpoints .* can be read.*Start a new run"):
        load_newest(tmp_path, Trainer(config, pairs))


@pytest.mark.parametrize("change", [{"width": 3}, {"weight_gan": 0.0, "dimensions": 2}, {"discriminator_width": 0.04}])
def test_checkpoint_of_another_network_is_an_error(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, change: dict[str, object]
) -> None:
    trainer = Trainer(config, pairs)
    trainer.step(0)
    save_checkpoint(tmp_path, at(1), trainer)
    with pytest.raises(InputError, match="of another network"):
        load_newest(tmp_path, Trainer(changed(config, **change), pairs))


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), SafetensorError("Error while serializing: I/O error: No space left")],
    ids=["system", "safetensors"],
)
def test_checkpoint_that_cannot_be_written_leaves_the_others(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    trainer = Trainer(config, pairs)
    old = save_checkpoint(tmp_path, at(1), trainer)
    before = old.read_bytes()

    def breaks(_tensors: object, part: Path, **_more: object) -> None:
        Path(part).write_bytes(b"half")
        raise error

    monkeypatch.setattr(checkpoint, "save_file", breaks)
    with pytest.raises(InputError, match=r"cannot write .*step_0000002\.safetensors: .*No space left.*--resume"):
        save_checkpoint(tmp_path, at(2), trainer)
    assert list(tmp_path.iterdir()) == [old]
    assert old.read_bytes() == before


FULL_DISK = """
import resource, sys
from pathlib import Path
import torch
from napari_deep3d.core.errors import InputError
from napari_deep3d.nn.checkpoint import write_tensors
folder = Path(sys.argv[1])
write_tensors(folder / "step_0000001.safetensors", {"w": torch.ones(1000)}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_tensors(folder / "step_0000002.safetensors", {"w": torch.ones(100_000)}, {})
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no limit for the size of a file")
def test_system_that_refuses_more_bytes_leaves_the_others(tmp_path: Path) -> None:
    words = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "cannot write" in done.stdout
    assert "step_0000002.safetensors" in done.stdout
    assert "make room, then go on with --resume" in done.stdout
    assert done.stdout.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["step_0000001.safetensors"]
