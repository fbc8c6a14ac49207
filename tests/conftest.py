"""Fixtures that several parts of the tests share."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage as ndi
from numpy.typing import NDArray

os.environ["NAPARI_CONFIG"] = ""  # napari reads and writes no preferences of the user's

NEEDS_SCREEN = {"make_napari_viewer", "qtbot", "qapp"}
NO_SCREEN = "no screen: neither a display nor Xvfb with pytest-xvfb"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the window: slow where napari is opened, skipped without a screen; those of a GPU skipped without one.

    Qt would abort the whole run where there is no screen, real or virtual.
    """
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            for item in items:
                if item.get_closest_marker("gpu"):
                    item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU that torch can use; make gpu runs it"))
    has_screen = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if NEEDS_SCREEN & fixtures and not has_screen:
            item.add_marker(pytest.mark.skip(reason=NO_SCREEN))
        if "make_napari_viewer" in fixtures:
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Take what is there by now out of the garbage collector's rounds, of which napari's fixture makes many."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def stack() -> NDArray[np.uint16]:
    """A small stack of a bright box on noise, axes Z, Y, X."""
    rng = np.random.default_rng(0)
    data = rng.integers(100, 120, size=(8, 32, 40), dtype=np.uint16)
    data[2:5, 8:20, 10:25] += 1000
    return data


@pytest.fixture
def pair_files(tmp_path: Path) -> tuple[Path, Path]:
    """A confocal and a wide-field file, 24 x 72 x 64: what is at i in the first is at i + (2, -3, 4) in the second."""
    from napari_deep3d.io import write_stack

    folder = tmp_path / "pair"
    folder.mkdir()
    rng = np.random.default_rng(0)
    spots = np.zeros((24, 72, 64), np.float32)
    spots.ravel()[rng.integers(0, spots.size, 250)] = rng.uniform(0.3, 1, 250)
    paths = folder / "confocal.ome.tif", folder / "cell.ome.tif"
    for path, blur, shift in zip(paths, ((1, 1, 1), (3, 2, 2)), ((0, 0, 0), (2, -3, 4)), strict=True):
        image = np.roll(ndi.gaussian_filter(spots, blur, mode="wrap"), shift, axis=(0, 1, 2))
        write_stack(path, rng.poisson(image * (300 / image.max()) + 20).astype(np.uint16), (0.5, 0.2, 0.2))
    return paths


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """A model file with a very small network, not trained, whose every prediction is above zero."""
    import torch

    from napari_deep3d.nn.generator import Generator
    from napari_deep3d.nn.model_file import ModelInfo, save_model

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        generator = Generator(width=2)
        generator.head.weight.abs_()
        generator.head.bias.fill_(0.1)
    sizes = {f"spacing_{kind}um": (0.5, 0.2, 0.2) for kind in ("", "min_", "max_")}
    info = ModelInfo(name="tiny", title="Untrained", width=2, **sizes)
    return save_model(tmp_path / "tiny.safetensors", generator, info)
