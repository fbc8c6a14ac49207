"""A real viewer with the dock in it, and a prediction that goes on when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.gui import FakePrediction


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePrediction:
    """Take the place of the real prediction, its plan and its models; layers are off limits to threads."""
    monkeypatch.setenv("NAPARI_ENSURE_PLUGIN_MAIN_THREAD", "1")
    return FakePrediction()


@pytest.fixture
def panels(fake: FakePrediction) -> dict[str, Any]:
    """What makes the dock's panels; a test module that overrides it hands further fakes to them."""
    from napari_deep3d.gui.predict.panel import PredictPanel

    return {
        "predict": partial(PredictPanel, plan=fake.plan, predict=fake, predict_series=fake.series, models=fake.models)
    }


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep models and trainings of the tests apart from the user's."""
    monkeypatch.setenv("NAPARI_DEEP3D_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("NAPARI_DEEP3D_RUNS", str(tmp_path / "runs"))


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    """A napari viewer."""
    return make_napari_viewer()


@pytest.fixture
def model(qapp: Any) -> Any:
    """A viewer without its window, which is slow to open."""
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.fixture
def dock(viewer: Any, panels: dict[str, Any]) -> Any:
    """The dock with the fakes; it gets the viewer as plugins do, without its private parts."""
    from napari.utils._proxies import PublicOnlyProxy

    from napari_deep3d.gui.widget import Deep3DWidget

    widget = Deep3DWidget(PublicOnlyProxy(viewer), **panels)
    viewer.window.add_dock_widget(widget, name="Deep3D")
    return widget


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    yield
    from qtpy.QtCore import QThreadPool

    assert QThreadPool.globalInstance().waitForDone(3000), "a worker still runs"
