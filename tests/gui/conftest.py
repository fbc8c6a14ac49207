"""A real viewer with the dock in it, and a prediction that goes on when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.helpers.gui import FakePrediction


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePrediction:
    """Take the place of the real prediction, its plan and its models; layers are off limits to threads."""
    monkeypatch.setenv("NAPARI_ENSURE_PLUGIN_MAIN_THREAD", "1")
    prediction = FakePrediction()
    plan = SimpleNamespace(
        model=SimpleNamespace(title="Trained on simulated nuclei", description="A longer text."),
        device_label="CPU (float32)",
        seconds=23.0,
        notices=("The planes are far apart.",),
    )
    models = [SimpleNamespace(name="generalist", path=Path("generalist.safetensors"), bundled=True)]
    monkeypatch.setattr("napari_deep3d.gui.predict.run.predict_volume", prediction)
    monkeypatch.setattr("napari_deep3d.gui.predict.panel.plan_prediction", lambda *_: plan)
    monkeypatch.setattr("napari_deep3d.gui.predict.model_selector.list_models", lambda: models)
    return prediction


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
def dock(viewer: Any, fake: FakePrediction) -> Any:
    """The dock with the fake prediction; it gets the viewer as plugins do, without its private parts."""
    from napari.utils._proxies import PublicOnlyProxy

    from napari_deep3d.gui.widget import Deep3DWidget

    widget = Deep3DWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget, name="Deep3D")
    return widget


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    yield
    from qtpy.QtCore import QThreadPool

    assert QThreadPool.globalInstance().waitForDone(3000), "a worker still runs"
