"""What the user chose in napari under File > Preferences > napari-deep3d (``configurations`` in ``napari.yaml``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_deep3d.core import Config, Device, Precision

PLUGIN = "napari-deep3d"


class Preferences(Config):
    """napari's preferences for this plugin.

    ``memory_gb`` is 0 where predictions work it out themselves, ``models_folder`` empty for the usual one.
    """

    device: Device = "auto"
    precision: Precision = "auto"
    memory_gb: float = 0.0
    models_folder: str = ""

    @property
    def models_path(self) -> Path | None:
        """The folder of the user's models, None for the usual one; ``~`` and relative names count from home."""
        given = self.models_folder.strip()
        return Path.home() / Path(given).expanduser() if given else None


def plugin_settings() -> Any:
    """What napari keeps of this plugin; its ``events.changed`` tells of changes. None where the plugin is turned off.

    Loads napari (without Qt), which takes a second.
    """
    from napari.settings import get_plugin_settings

    return get_plugin_settings().get(PLUGIN)


def read_preferences() -> Preferences:
    """The preferences as they are now; the defaults where napari does not know the plugin."""
    settings = plugin_settings()
    if settings is None:
        return Preferences()
    return Preferences(**settings.computing.model_dump(), models_folder=settings.models.folder)
