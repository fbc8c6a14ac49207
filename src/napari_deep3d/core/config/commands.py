"""How to predict, register, adapt, evaluate and simulate: settings with their bounds."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_deep3d.core.config.base import Config, Deepest, Device, Patch, Percentiles, Precision, Quality
from napari_deep3d.core.types import Shape, Spacing
from napari_deep3d.core.volume import check_spacing

DEFAULT_MODEL = "generalist"
RegisterMethod = Literal["psf", "cross-correlation", "plain-cross-correlation"]
TransformKind = Literal["shift", "similarity", "affine"]
FrameLayout = Literal["auto", "time", "channel", "zap", "azp", "apz"]


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
    quality: Quality = Field(
        "fast", description="best: the mean of four predictions, the stack turned for each, 3 to 4 times as long"
    )
    deepest: Deepest = Field(
        "last", description="which plane lies deepest in the sample: light is lost and blurred on the way from there"
    )
    uncertainty: bool = Field(
        False, description="tell for every voxel what error to expect, which takes the four predictions of best quality"
    )
    scheduler: str | None = Field(
        None, description="address of a dask scheduler, such as tcp://host:8786, whose workers compute and write"
    )

    @field_validator("scheduler")
    @classmethod
    def _scheduler(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(tcp|tls|ws|wss)://\S+:\d+", value):
            raise ValueError("an address such as tcp://host:8786 is allowed, as dask scheduler tells it when it starts")
        return value

    @field_validator("spacing_um")
    @classmethod
    def _spacing(cls, value: Spacing | None) -> Spacing | None:
        return None if value is None else check_spacing(value)

    @property
    def resolved_quality(self) -> Quality:
        """``quality``, but ``best`` where the uncertainty is asked for: the same four predictions tell it."""
        return "best" if self.uncertainty else self.quality


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


class AdaptConfig(Config):
    """What adapting a model to a stack needs to know, and how long it may take."""

    model: str = Field(DEFAULT_MODEL, description="name of the model to adapt, or a model file")
    spacing_um: Spacing | None = Field(None, description="voxel size Z,Y,X in um, if the stack has none or a wrong one")
    numerical_aperture: float = Field(ge=0.1, le=1.6, description="NA, as it is written on the objective")
    immersion_index: float = Field(
        ge=1.0, le=1.6, description="refractive index of the immersion: air 1.0, water 1.333, glycerol 1.46, oil 1.518"
    )
    emission_nm: float = Field(ge=350, le=900, description="wavelength of the emitted light in nm, such as 520 for GFP")
    deepest: Deepest = Field("last", description="which plane lies deepest in the sample")
    minutes: float = Field(20.0, gt=0, le=60 * 24, description="how long it may take")
    device: Device = Field("auto", description="where to compute")
    seed: int = Field(0, ge=0, description="start of the random numbers")

    @field_validator("spacing_um")
    @classmethod
    def _spacing(cls, value: Spacing | None) -> Spacing | None:
        return None if value is None else check_spacing(value)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.numerical_aperture >= self.immersion_index:
            raise ValueError(
                f"numerical_aperture {self.numerical_aperture:g} is not below immersion_index "
                f"{self.immersion_index:g}, as it is for every lens; air has 1.0, water 1.333, oil 1.518"
            )
        return self


class EvaluateConfig(Config):
    """How to compare a stack with its confocal one."""

    percentiles: Percentiles = Field((0.1, 99.9), description="percentiles of the confocal stack that become 0 and 1")
    spacing_um: Spacing | None = Field(
        None, description="voxel size Z,Y,X in um, if the stacks have none or a wrong one"
    )
    micro_ssim: bool = Field(False, description="tell MicroSSIM, too; needs the package microssim")

    @field_validator("spacing_um")
    @classmethod
    def _spacing(cls, value: Spacing | None) -> Spacing | None:
        return None if value is None else check_spacing(value)


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


class GridFramesConfig(Config):
    """How frames that were taken through a grid lie in a file, and how they become a pair."""

    phases: int = Field(3, ge=3, le=99, description="positions of the grid, in equal steps over one period")
    angles: int = Field(1, ge=1, le=99, description="directions of the grid")
    layout: FrameLayout = Field(
        "auto",
        description="what the frames of a plane are in the file: time points, channels, or planes in the order of z, "
        "angle (a) and phase (p), slowest first; auto takes the first that fits",
    )
    even_brightness: bool = Field(
        True, description="bring the frames of a plane to one brightness, against flicker and bleaching"
    )
    spacing_um: Spacing | None = Field(None, description="voxel size Z,Y,X in um, if the stack has none or a wrong one")

    @field_validator("spacing_um")
    @classmethod
    def _spacing(cls, value: Spacing | None) -> Spacing | None:
        return None if value is None else check_spacing(value)

    @property
    def frames(self) -> int:
        """Number of frames of a plane."""
        return self.angles * self.phases
