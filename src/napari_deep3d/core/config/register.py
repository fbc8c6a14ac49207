"""How to register: settings with their bounds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from napari_deep3d.core.config.base import Config
from napari_deep3d.core.types import Spacing

RegisterMethod = Literal["psf", "cross-correlation", "plain-cross-correlation"]
TransformKind = Literal["shift", "similarity", "affine"]


class RegisterConfig(Config):
    """How to find where a confocal stack lies in a wide-field stack."""

    method: RegisterMethod = Field("psf", description="what the alignment is told by")
    preset: Literal["default", "paper"] = Field(
        "default", description="paper: Eq. 3 as printed, whole voxels; it fails on thick samples and is for comparison"
    )
    transform: TransformKind = Field("shift", description="what may differ between the stacks besides blur")
    max_shift_um: Spacing | None = Field(
        None, description="largest shift Z,Y,X in um; by default all that leaves a third of the stacks in common"
    )

    @field_validator("max_shift_um")
    @classmethod
    def _max_shift(cls, value: Spacing | None) -> Spacing | None:
        if value is not None and not all(0 < size <= 10_000 for size in value):
            raise ValueError("three sizes Z,Y,X in um above 0 and up to 10000 are allowed")
        return value
