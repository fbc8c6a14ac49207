"""Every choice a user can make, with its bounds: they stand here once, in modules by step.

The configs are frozen; the command line, the form in the window and the Python functions all build them, so a
value out of bounds gets the same message everywhere.
"""

from napari_deep3d.core.config.base import (
    Config,
    Deepest,
    Device,
    Patch,
    Percentiles,
    Precision,
    Quality,
    SectionedConfig,
    merge,
    parse_assignments,
    read_toml,
)
from napari_deep3d.core.config.commands import (
    DEFAULT_MODEL,
    AdaptConfig,
    EvaluateConfig,
    FrameLayout,
    GridFramesConfig,
    PredictConfig,
    RegisterConfig,
    RegisterMethod,
    SimulateConfig,
    TransformKind,
)
from napari_deep3d.core.config.train import PRESETS, TrainConfig
