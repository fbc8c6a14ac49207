"""How to predict: settings with their bounds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from napari_deep3d.core import Spacing, check_spacing
from napari_deep3d.core.config.base import Config, Device, Patch, Precision

DEFAULT_MODEL = "generalist"


class PredictConfig(Config):
    """How to predict a confocal-like stack."""

    model: str = Field(DEFAULT_MODEL, description="name of a model, or a model file")
    spacing_um: Spacing | None = Field(None, description="voxel size Z,Y,X in um, if the stack has none or a wrong one")
    device: Device = Field("auto", description="where to compute")
    precision: Precision = Field("auto", description="number format of the network")
    tile: Literal["auto"] | Patch = Field(
        "auto", description="voxels Z,Y,X predicted at a time; auto works it out from free memory"
    )
    memory_bytes: int | None = Field(
        None, ge=128_000_000, description="memory to stay within, in bytes (at least 128 MB)"
    )
    uncertainty: bool = Field(False, description="predict four times, and tell for every voxel what error to expect")

    @field_validator("spacing_um")
    @classmethod
    def _spacing(cls, value: Spacing | None) -> Spacing | None:
        return None if value is None else check_spacing(value)
