"""What follows napari's preferences while the dock is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from napari_deep3d.jobs.preferences import Preferences, plugin_settings, read_preferences


class PreferenceFollower:
    """Calls ``use`` with the preferences that are no defaults, and then with each that the user changes.

    ``use`` gets names and values of fields of :class:`Preferences`.
    """

    def __init__(self, use: Callable[[Mapping[str, Any]], None]) -> None:
        self._use, self._last = use, Preferences().model_dump()
        self._settings = plugin_settings()
        if self._settings is not None:
            self._settings.events.changed.connect(self._on_changed)
        self._on_changed()

    def shut_down(self) -> None:
        """Follow no more; napari's settings outlive the dock."""
        if self._settings is not None:
            self._settings.events.changed.disconnect(self._on_changed)

    def _on_changed(self, _event: object = None) -> None:
        now = read_preferences().model_dump()
        changed = {name: value for name, value in now.items() if value != self._last[name]}
        self._last = now
        if changed:
            self._use(changed)
