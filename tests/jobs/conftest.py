"""Fixtures of the jobs' tests: a very small model with a life of its own, and folders of pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.io import write_stack

SPACING_UM = (0.5, 0.2, 0.2)


@pytest.fixture(autouse=True)
def _no_collection_of_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking through everything that pytest holds takes a second after each training."""
    from napari_deep3d.nn import devices

    monkeypatch.setattr(devices, "release_memory", lambda: None)


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Write a model file: two channels, random norm weights; keywords replace what its header says."""

    def make(path: Path | None = None, **header: object) -> Path:
        import torch

        from napari_deep3d.nn.generator import Generator, norms
        from napari_deep3d.nn.model_file import ModelInfo, save_model

        torch.manual_seed(0)
        network = Generator(2)
        for layer in norms(network):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.uniform_(layer.bias, -0.5, 0.5)
        values = {
            "name": "small",
            "width": 2,
            "percentiles": (0.0, 100.0),
            "spacing_um": SPACING_UM,
            "spacing_min_um": SPACING_UM,
            "spacing_max_um": SPACING_UM,
            "halo": (16, 64, 64),
        }
        return save_model(path or tmp_path / "small.safetensors", network, ModelInfo(**(values | header)))

    return make


@pytest.fixture
def smooth() -> np.ndarray:
    """A smooth random stack of counts, axes Z, Y, X, all voxels different from background."""
    rng = np.random.default_rng(0)
    coarse = rng.random((4, 8, 8), dtype=np.float32)
    fine = np.kron(coarse, np.ones((4, 8, 8), np.float32)) + 0.1 * rng.random((16, 64, 64), dtype=np.float32)
    return (1000 * fine).astype(np.float32)


@pytest.fixture
def pairs_folder(tmp_path: Path) -> Path:
    """Three pairs of 8 x 32 x 32 voxels whose voxel sizes differ."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "pairs"
    for kind in ("widefield", "confocal"):
        (folder / kind).mkdir(parents=True)
    for index in range(3):
        widefield = rng.integers(0, 1000, (8, 32, 32)).astype(np.uint16)
        size = (0.3 + 0.1 * index, 0.2, 0.2)
        write_stack(folder / "widefield" / f"{index}.tif", widefield, size)
        write_stack(folder / "confocal" / f"{index}.tif", 1000 - widefield, size)
    return folder


@pytest.fixture
def train_config() -> TrainConfig:
    return TrainConfig.checked(
        iterations=4,
        batch_size=1,
        patch=(8, 32, 32),
        width=2,
        discriminator_width=0.02,
        ema=0.5,
        precision="float32",
        device="cpu",
        checkpoint_every=2,
        validate_every=2,
        log_every=1,
        percentiles=(0.0, 100.0),
    )
