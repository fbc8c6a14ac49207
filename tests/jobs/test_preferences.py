"""napari's preferences for the plugin: the manifest's and the code's are the same, and they are kept and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from npe2 import PluginManager, PluginManifest

import napari_deep3d
from napari_deep3d.core.config import PredictConfig
from napari_deep3d.jobs import preferences
from napari_deep3d.jobs.info import describe_machine
from napari_deep3d.jobs.models.store import missing_folder, user_folder
from napari_deep3d.jobs.preferences import Preferences, read_preferences

MANIFEST = PluginManifest.from_file(Path(napari_deep3d.__file__).with_name("napari.yaml"))


@pytest.fixture
def settings(plugin_settings: None, npe2pm: PluginManager, monkeypatch: pytest.MonkeyPatch) -> Any:
    """napari's settings of the plugin, kept in the folder of the test."""
    monkeypatch.delenv("NAPARI_DEEP3D_MODELS", raising=False)
    npe2pm.register(MANIFEST)
    return preferences.plugin_settings()


def test_the_manifest_offers_what_the_settings_take() -> None:
    found = MANIFEST.contributions.configurations["computing"].properties
    for name in ("device", "precision"):
        assert tuple(found[name].enum or ()) == get_args(PredictConfig.model_fields[name].annotation)
        assert found[name].default == PredictConfig.model_fields[name].default


def test_defaults_are_those_of_the_manifest(settings: Any) -> None:
    assert read_preferences() == Preferences()


def test_what_is_chosen_is_read_and_kept(settings: Any) -> None:
    settings.computing.device = "cpu"
    settings.computing.memory_gb = 1.5
    assert read_preferences() == Preferences(device="cpu", memory_gb=1.5)
    assert "device: cpu" in settings.config_path.read_text()
    told = describe_machine()["napari_preferences"]
    assert told == {"device": "cpu", "precision": "auto", "memory_gb": 1.5, "models_folder": ""}


def test_what_no_device_is_is_refused(settings: Any) -> None:
    with pytest.raises(ValueError, match="not one of the allowed"):
        settings.computing.device = "abacus"
    assert read_preferences() == Preferences()


def test_a_plugin_that_is_turned_off_has_the_defaults(settings: Any, npe2pm: PluginManager) -> None:
    settings.computing.device = "cpu"
    npe2pm.disable(MANIFEST.name)
    assert read_preferences() == Preferences()


def test_the_folder_of_models(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = user_folder()
    assert missing_folder() == ""
    settings.models.folder = str(tmp_path / "ours")
    assert user_folder() == tmp_path / "ours" != usual
    assert str(tmp_path / "ours") in missing_folder()
    (tmp_path / "ours").mkdir()
    assert missing_folder() == ""
    monkeypatch.setenv("NAPARI_DEEP3D_MODELS", str(tmp_path / "of the environment"))
    assert user_folder() == tmp_path / "of the environment"
    assert missing_folder() == ""


@pytest.mark.parametrize("typed", ["~/deep3d", "deep3d", " deep3d "])
def test_a_folder_counts_from_home(typed: str) -> None:
    assert Preferences(models_folder=typed).models_path == Path.home() / "deep3d"
