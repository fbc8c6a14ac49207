"""The choices made for a prediction, and the request they make up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_deep3d.core import Volume
from napari_deep3d.core.config import DEFAULT_MODEL, PredictConfig
from napari_deep3d.gui.shared.stack_selection import StackSelection


@dataclass(frozen=True)
class Request:
    """What a prediction works on, fixed and checked before its thread starts."""

    volume: Volume
    config: PredictConfig


class Session(StackSelection):
    """The stack to predict from, and how.

    Attributes
    ----------
    model : str
        Name of a model, or a model file.
    uncertainty : bool
        Whether to tell as well how far to trust the result.
    advanced : dict
        Further fields of :class:`PredictConfig` that differ from their defaults.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model = DEFAULT_MODEL
        self.uncertainty = False
        self.advanced: dict[str, Any] = {}

    def request(self) -> Request:
        """Return all choices as one checked request.

        Raises
        ------
        InputError
            If a choice is missing or wrong.
        """
        volume = self.volume()
        volume.require_spacing_um()
        chosen = {"model": self.model, "uncertainty": self.uncertainty} | self.advanced
        return Request(volume, PredictConfig.checked(**chosen))
