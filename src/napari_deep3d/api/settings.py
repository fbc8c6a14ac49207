"""Settings and options that the functions take as keywords, for type checkers and editors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import (
    Deepest,
    Device,
    Event,
    FrameLayout,
    Precision,
    Quality,
    RegisterMethod,
    Shape,
    Spacing,
    Stop,
    TransformKind,
)
from napari_deep3d.jobs.predict.file import Times

Array = NDArray[np.generic]
File = str | Path
OnEvent = Callable[[Event], object]


class PredictSettings(TypedDict, total=False):
    """Settings of :func:`predict`: the fields of :class:`napari_deep3d.core.config.PredictConfig`."""

    model: str
    spacing_um: Spacing | None
    device: Device
    precision: Precision
    tile: Literal["auto"] | Shape
    memory_bytes: int | None
    scheduler: str | None
    quality: Quality
    deepest: Deepest
    uncertainty: bool


class RegisterSettings(TypedDict, total=False):
    """Settings of :func:`register`: the fields of :class:`napari_deep3d.core.config.RegisterConfig`."""

    method: RegisterMethod
    preset: Literal["default", "paper"]
    transform: TransformKind
    max_shift_um: Spacing | None


class GridFramesSettings(TypedDict, total=False):
    """Settings of :func:`pairs_from_sim`: the fields of :class:`napari_deep3d.core.config.GridFramesConfig`."""

    phases: int
    angles: int
    layout: FrameLayout
    even_brightness: bool
    spacing_um: Spacing | None


class TrainSettings(TypedDict, total=False):
    """Settings of :func:`train`: the fields of :class:`napari_deep3d.core.config.TrainConfig`."""

    iterations: int
    batch_size: int
    patch: Shape | tuple[Shape, ...]
    width: int
    dimensions: Literal[2, 3]
    network_input: Literal["stack", "plane"]
    z_step: Literal[1, 2, 4]
    misregistration_um: Spacing | None
    blank_share: float
    flip_z: float
    learning_rate: float
    weight_l1: float
    weight_l2: float
    weight_correlation: float
    weight_gan: float
    weight_vgg: float
    weight_cycle: float
    vgg_share: float
    discriminator_width: float
    discriminator_learning_rate: float
    ema: float
    percentiles: tuple[float, float]
    precision: Precision
    device: Device
    validation_share: float
    held_out: tuple[str, ...]
    checkpoint_every: int
    validate_every: int
    log_every: int
    seed: int


class EvaluateSettings(TypedDict, total=False):
    """Settings of :func:`evaluate`: the fields of :class:`napari_deep3d.core.config.EvaluateConfig`."""

    percentiles: tuple[float, float]
    spacing_um: Spacing | None
    micro_ssim: bool


class RunOptions(TypedDict, total=False):
    """Options of a run that are no settings."""

    overwrite: bool
    on_event: OnEvent | None
    stop: Stop


class PredictOptions(PredictSettings, RunOptions, total=False):
    """Keywords of :func:`predict`."""

    channel: int | None
    time: Times
    position: int | None
    axes: str | None


class RegisterOptions(RegisterSettings, RunOptions, total=False):
    """Keywords of :func:`register`."""

    confocal_channel: int | None
    widefield_channel: int | None
    confocal_position: int | None
    widefield_position: int | None
    confocal_axes: str | None
    widefield_axes: str | None
    confocal_spacing_um: Spacing | None
    widefield_spacing_um: Spacing | None


class EvaluateOptions(EvaluateSettings, RunOptions, total=False):
    """Keywords of :func:`evaluate`."""

    prediction_channel: int | None
    confocal_channel: int | None
    widefield_channel: int | None
    time: int | None
    axes: str | None
