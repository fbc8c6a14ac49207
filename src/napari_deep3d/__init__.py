"""Confocal-like volumes from a wide-field microscope.

The public functions are loaded when they are first used, so that importing the package stays light: it imports
neither torch nor Qt nor napari.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_deep3d.api import (
        adapt,
        evaluate,
        export_model,
        pairs_from_sim,
        predict,
        predict_folder,
        register,
        simulate,
        train,
    )
    from napari_deep3d.core import InputError

__all__ = [
    "InputError",
    "adapt",
    "evaluate",
    "export_model",
    "pairs_from_sim",
    "predict",
    "predict_folder",
    "register",
    "simulate",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "InputError":
        from napari_deep3d.core import InputError

        return InputError
    if name in __all__:
        from napari_deep3d import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
