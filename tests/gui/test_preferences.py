"""The dock follows napari's preferences, and the user's own choice stays until that preference is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from npe2 import PluginManager, PluginManifest

import napari_deep3d
from napari_deep3d.gui.shared import PreferenceFollower
from napari_deep3d.jobs import preferences

MANIFEST = Path(napari_deep3d.__file__).with_name("napari.yaml")


@pytest.fixture
def settings(plugin_settings: None, npe2pm: PluginManager) -> Any:
    """napari's settings of the plugin, kept in the folder of the test, with a device chosen."""
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    found = preferences.plugin_settings()
    found.computing.device = "cpu"
    return found


def test_the_panels_begin_with_the_preferences_and_follow_them(settings: Any, dock: Any) -> None:
    predict, train = dock.predict_panel.advanced, dock.train_panel.options.advanced
    assert predict.values() == train.values() == {"device": "cpu"}
    assert dock.session.advanced == {"device": "cpu"}
    predict.fields["device"].value = "auto"  # for this once
    settings.computing.precision = "float16"
    settings.computing.memory_gb = 2.0
    assert predict.values() == {"precision": "float16", "memory_bytes": 2 * 10**9}
    assert train.values() == {"device": "cpu"}  # no training in float16
    settings.reset()
    assert predict.values() == train.values() == {}


def test_models_of_another_folder_are_listed_once_it_is_typed(
    settings: Any, dock: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NAPARI_DEEP3D_MODELS")
    hint = dock.predict_panel.model.folder_hint
    assert hint.text() == ""
    settings.models.folder = str(tmp_path / "our")
    settings.models.folder = str(tmp_path / "ours")
    qtbot.waitUntil(lambda: hint.text() != "", timeout=5000)
    assert f"{tmp_path / 'ours'} " in hint.text()


def test_a_closed_dock_follows_no_more(settings: Any) -> None:
    seen: list[Any] = []
    follower = PreferenceFollower(seen.append)
    follower.shut_down()
    settings.computing.device = "auto"
    assert seen == [{"device": "cpu"}]
