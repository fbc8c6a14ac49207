"""Adapting in the Predict panel, in a real viewer with a job that goes on when it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_deep3d.core import AdaptConfig, Clock, Job, Stop, StoppedError, Volume, never
from napari_deep3d.core.novelty.explain import Novelty
from napari_deep3d.gui.predict.panel import PredictPanel
from napari_deep3d.jobs.adapt import AdaptResult
from napari_deep3d.jobs.models import list_models
from tests.helpers.gui import PLACE, FakePrediction, write_model

SHAPE = (16, 64, 64)


class FakeAdaptation:
    """An adaptation in four parts; it waits for ``gate`` before each."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(1000)
        self.kept = True
        self.error: Exception | None = None
        self.asked: list[tuple[Volume, AdaptConfig]] = []

    def hold(self) -> None:
        self.gate = threading.Semaphore(0)

    def __call__(
        self, volume: Volume, run: Path, config: AdaptConfig, *, name: str = "", stop: Stop = never
    ) -> Job[AdaptResult]:
        self.asked.append((volume, config))
        clock = Clock()
        for part in range(4):
            while not self.gate.acquire(timeout=0.01):
                if stop():
                    raise StoppedError
            yield clock.progress(part, 4, "learning")
        if self.error is not None:
            raise self.error
        after = 0.08 if self.kept else 0.1
        return AdaptResult(
            name=name if self.kept else "generalist",
            model=write_model(run / "model.safetensors", name),
            kept=self.kept,
            run=run,
            before={"rmse": 0.1, "ssim": 0.6},
            after={"rmse": after, "ssim": 0.7},
            widefield={"rmse": 0.2, "ssim": 0.2},
            pairs=30,
            held_out=4,
            iterations=100,
            seconds=600.0,
            iterations_per_second=1.0,
            loss=0.1,
            novelty_before=Novelty(0.9),
            novelty_after=Novelty(0.3),
            complete=True,
        )


@pytest.fixture
def adaptation() -> FakeAdaptation:
    return FakeAdaptation()


@pytest.fixture
def panels(fake: FakePrediction, adaptation: FakeAdaptation) -> dict[str, Any]:
    make = partial(PredictPanel, plan=fake.plan, predict=fake, predict_series=fake.series, models=list_models)
    return {"predict": partial(make, adapt=adaptation)}


@pytest.fixture
def panel(dock: Any, viewer: Any) -> Any:
    """The panel with a stack chosen."""
    data: NDArray[np.uint16] = np.random.default_rng(0).integers(0, 999, SHAPE, dtype=np.uint16)
    viewer.add_image(data, name="cell", **PLACE)
    return dock.predict_panel


def fill_in(panel: Any) -> None:
    panel.adapt.aperture.setValue(1.2)
    panel.adapt.immersion.setCurrentIndex(2)
    panel.adapt.emission.setValue(520)


def wait_for(qtbot: Any, condition: Callable[[], bool]) -> None:
    qtbot.waitUntil(condition, timeout=20_000)  # torch is imported for the model that is left


def test_it_asks_for_what_is_not_known_then_adapts_and_leads_back(
    panel: Any, adaptation: FakeAdaptation, qtbot: Any
) -> None:
    part = panel.adapt
    assert not part.hint.isVisibleTo(panel)
    part.opener.click()
    assert part.hint.isVisibleTo(panel)
    assert not part.run_button.button.isEnabled()
    assert part.problem.text() == "Tell your microscope's NA, immersion, emission."
    fill_in(panel)
    assert part.problem.text() == ""
    part.run_button.button.click()
    wait_for(qtbot, lambda: "does better" in part.message.text())
    ((volume, config),) = adaptation.asked
    assert volume.shape == SHAPE
    assert (config.numerical_aperture, config.immersion_index, config.emission_nm) == (1.2, 1.333, 520)
    assert (config.model, config.minutes) == ("generalist", 20)
    assert "RMSE 0.100, SSIM 0.60 before, RMSE 0.080, SSIM 0.70 after" in part.message.text()
    assert "0.90 before, 0.30 now" in part.likeness.text()
    assert panel.model.choice.currentText() == "adapted to cell"
    assert part.back.text() == "Back to 'generalist'"
    part.back.click()
    assert panel.model.choice.currentText() == "generalist"
    assert "adapted to cell" in [entry.name for entry in list_models()]


def test_nothing_gained_leaves_the_model_chosen(panel: Any, adaptation: FakeAdaptation, qtbot: Any) -> None:
    adaptation.kept = False
    fill_in(panel)
    panel.adapt.run_button.button.click()
    wait_for(qtbot, lambda: "Nothing was gained" in panel.adapt.message.text())
    assert panel.model.choice.currentText() == "generalist"
    assert panel.adapt.back.isHidden()
    assert "adapted to cell" not in [entry.name for entry in list_models()]


def test_stop_takes_less_than_a_second(dock: Any, panel: Any, adaptation: FakeAdaptation, qtbot: Any) -> None:
    adaptation.hold()
    fill_in(panel)
    panel.adapt.run_button.button.click()
    wait_for(qtbot, lambda: bool(adaptation.asked))
    assert "being adapted" in dock.under_way()
    start = time.monotonic()
    panel.adapt.run_button.button.click()
    wait_for(qtbot, lambda: "Stopped" in panel.adapt.message.text())
    assert time.monotonic() - start < 1
    assert "stays as it was" in panel.adapt.message.text()
    assert dock.under_way() == ""


def test_a_failure_is_told(panel: Any, adaptation: FakeAdaptation, qtbot: Any) -> None:
    adaptation.error = MemoryError()
    fill_in(panel)
    panel.adapt.run_button.button.click()
    wait_for(qtbot, lambda: "memory" in panel.adapt.message.text())
    assert panel.adapt.run_button.button.text() == "Adapt the model"


def test_a_lens_that_cannot_be_is_refused_at_once(panel: Any) -> None:
    fill_in(panel)
    panel.adapt.aperture.setValue(1.4)
    assert "1.4 is not below immersion_index 1.333" in panel.adapt.problem.text()
    assert not panel.adapt.run_button.button.isEnabled()


def test_a_stack_that_is_too_small_is_refused_at_once(panel: Any, viewer: Any) -> None:
    viewer.layers.clear()
    viewer.add_image(np.eye(40, dtype=np.uint16)[None].repeat(8, axis=0), **PLACE)
    fill_in(panel)
    assert "8 planes of 40 x 40" in panel.adapt.problem.text()


def test_what_the_file_says_is_filled_in(dock: Any, viewer: Any, tmp_path: Path) -> None:
    from tests.helpers.ome_files import image, ome, write_pages

    objective = '<Instrument ID="Instrument:0"><Objective ID="Objective:0" LensNA="1.3" Immersion="Oil"/></Instrument>'
    text = ome(objective, image((1, 1, *SHAPE))).replace("<Channel ", '<Channel EmissionWavelength="605" ')
    path = write_pages(tmp_path / "cell.ome.tif", np.ones(SHAPE, np.uint16), text)
    viewer.open(path, plugin="napari-deep3d")
    part = dock.predict_panel.adapt
    assert (part.aperture.value(), part.immersion.currentData(), part.emission.value()) == (1.3, 1.518, 605)
    assert part.origin.text() == "From the file: NA, immersion, emission. Correct what is wrong."
