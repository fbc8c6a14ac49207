"""How many pairs to simulate, and how large: settings with their bounds."""

from __future__ import annotations

from pydantic import Field, field_validator

from napari_deep3d.core import Shape
from napari_deep3d.core.config.base import Config, Patch


class SimulateConfig(Config):
    """Which simulated pairs to make."""

    pairs: int = Field(8, ge=1, le=10_000, description="number of pairs")
    shape: Patch = Field((48, 160, 160), description="voxels Z,Y,X of each pair")
    seed: int = Field(0, ge=0, description="start of the random numbers; the same seed gives the same pairs")
    kind: str = Field("", description="kind of all samples; by default a mixture")

    @field_validator("shape")
    @classmethod
    def _shape(cls, value: Shape) -> Shape:
        if value[0] < 8 or min(value[1:]) < 32 or value[0] * value[1] * value[2] > 2**28:
            raise ValueError("at least 8 planes of 32 x 32 and at most 268 million voxels are allowed")
        return value
