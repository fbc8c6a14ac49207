"""How to register: settings with their bounds."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_deep3d.core import Spacing
from napari_deep3d.core.config.base import Config

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

    @model_validator(mode="after")
    def _one_method(self) -> Self:
        if self.preset == "paper" and self.method != "psf":
            raise ValueError(f"preset 'paper' is a method of its own; leave method {self.method!r} or the preset out")
        return self

    @property
    def resolved_method(self) -> RegisterMethod | Literal["psf (paper)"]:
        """What the lag is found by: ``method``, or ``psf (paper)``, Eq. 3 as printed, for the preset ``paper``."""
        return "psf (paper)" if self.preset == "paper" else self.method
