"""The Train panel with a training that goes on when told to, on a viewer without a window or in the dock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_deep3d.gui.train.panel import TrainPanel
from napari_deep3d.io import write_stack
from tests.helpers.gui import SPACING_UM, FakeTraining
from tests.helpers.train_panel import add_folder


@pytest.fixture
def training() -> FakeTraining:
    """Takes the place of the real training."""
    return FakeTraining()


@pytest.fixture
def make_panel(training: FakeTraining) -> Callable[..., TrainPanel]:
    """Makes the panel with the fake training and a plan that is there at once."""
    plan = SimpleNamespace(
        device_label="CPU (bfloat16)",
        memory_bytes=2_100_000_000,
        free_bytes=18_000_000_000,
        iterations=1900,
        seconds_per_step=0.5,
        seconds=900.0,
        notices=("There are few pairs.",),
    )
    return partial(TrainPanel, train=training, plan=lambda *_, **__: plan)


@pytest.fixture
def open_panel(make_panel: Callable[..., TrainPanel], model: ViewerModel, qtbot: Any) -> Iterator[Callable[..., Any]]:
    """Opens the panel on a viewer without a window, with further fakes by name."""
    opened = []

    def opens(**fakes: Any) -> TrainPanel:
        opened.append(make_panel(model, **fakes))
        qtbot.addWidget(opened[-1])
        return opened[-1]

    yield opens
    for panel in opened:
        panel.shut_down()


@pytest.fixture
def panel(open_panel: Callable[..., Any]) -> Any:
    """The panel on a viewer without a window."""
    return open_panel()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three pairs."""
    rng = np.random.default_rng(0)
    for number in range(3):
        for kind in ("widefield", "confocal"):
            (tmp_path / "pairs" / kind).mkdir(parents=True, exist_ok=True)
            data = rng.integers(0, 999, (8 + number, 32, 40), dtype=np.uint16)
            write_stack(tmp_path / "pairs" / kind / f"{'abc'[number]}.ome.tif", data, SPACING_UM)
    return tmp_path / "pairs"


@pytest.fixture
def ready(panel: Any, qtbot: Any, folder: Path) -> Any:
    """The panel with the pairs of the folder on its list."""
    add_folder(qtbot, panel, folder)
    return panel
