"""Every choice a user can make, with its bounds: they stand here once, a module for each step.

The configs are frozen; the command line, the form in the window and the Python functions all build them, so a
value out of bounds gets the same message everywhere.
"""

from napari_deep3d.core.config.base import (
    Config,
    Device,
    Patch,
    Percentiles,
    Precision,
    merge,
    parse_assignments,
    read_toml,
)
from napari_deep3d.core.config.predict import DEFAULT_MODEL, PredictConfig
from napari_deep3d.core.config.register import RegisterConfig, RegisterMethod, TransformKind
from napari_deep3d.core.config.sections import SectionedConfig
from napari_deep3d.core.config.simulate import SimulateConfig
from napari_deep3d.core.config.train import PRESETS, TrainConfig

__all__ = [
    "DEFAULT_MODEL",
    "PRESETS",
    "Config",
    "Device",
    "Patch",
    "Percentiles",
    "Precision",
    "PredictConfig",
    "RegisterConfig",
    "RegisterMethod",
    "SectionedConfig",
    "SimulateConfig",
    "TrainConfig",
    "TransformKind",
    "merge",
    "parse_assignments",
    "read_toml",
]
