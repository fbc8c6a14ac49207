"""How to train: settings with their bounds, in sections, and the presets that they start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_deep3d.core.config.base import Config, Device, Patch, Percentiles, Precision, SectionedConfig
from napari_deep3d.core.types import Shape, Spacing


class DataConfig(Config):
    """What is drawn from the pairs, and which of them are kept for testing."""

    patch: tuple[Patch, ...] = Field(
        ((12, 96, 96), (24, 96, 96), (48, 96, 96)),
        description="patch size Z,Y,X, or several to draw from: mixed depths let a whole stack be predicted at once",
    )
    percentiles: Percentiles = Field((0.1, 99.9), description="percentiles of a stack that become 0 and 1")
    blank_share: float = Field(
        0.02,
        ge=0,
        le=0.5,
        description="share of patches that hold noise alone and must give nothing, so that nothing is made of noise",
    )
    flip_z: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of patches whose planes are put in reverse order; at 0 the network can learn what depth "
        "does to the light, as long as all stacks start at the same end",
    )
    z_step: Literal[1, 2, 4] = Field(
        1, description="keep every 2nd or 4th wide-field plane and interpolate between: for stacks of few planes"
    )
    misregistration_um: Spacing | None = Field(
        None, description="largest shift Z,Y,X in um put between the stacks of a pair, for comparison"
    )
    validation_share: float = Field(0.1, ge=0, le=0.5, description="share of the pairs held out for testing")
    held_out: tuple[str, ...] = Field((), description="names of the pairs held out, instead of a share at random")

    @field_validator("patch", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = tuple(int(part) for part in value.split(","))
        is_one = isinstance(value, list | tuple) and value and isinstance(value[0], int)
        return (tuple(value),) if is_one else value

    @field_validator("patch")
    @classmethod
    def _sizes(cls, value: tuple[Shape, ...]) -> tuple[Shape, ...]:
        if not value or any(z < 4 or min(y, x) < 16 for z, y, x in value):
            raise ValueError("patches of at least 4 planes of 16 x 16 are allowed")
        return value

    @field_validator("misregistration_um")
    @classmethod
    def _shift(cls, value: Spacing | None) -> Spacing | None:
        if value is not None and not all(0 <= size <= 1000 for size in value):
            raise ValueError("three sizes Z,Y,X in um from 0 to 1000 are allowed")
        return value

    def number_held_out(self, pairs: int) -> int:
        """How many of so many pairs are kept for testing: those named, else a share; none of fewer than three."""
        if self.held_out:
            return len(self.held_out)
        return max(1, round(self.validation_share * pairs)) if self.validation_share and pairs >= 3 else 0


class NetworkConfig(Config):
    """How large the networks are, and what the generator sees."""

    width: int = Field(16, ge=2, le=128, description="channels of the network's first level")
    dimensions: Literal[2, 3] = Field(3, description="2 lets the network see each plane by itself, for comparison")
    network_input: Literal["stack", "plane"] = Field(
        "stack", description="plane: one wide-field plane and the distance from it (DeepZ+), for comparison"
    )
    discriminator_width: float = Field(
        0.125, gt=0, le=1, description="channels of the discriminator as a share of those of Wu et al. 2019"
    )


class LossConfig(Config):
    """The parts of the generator's loss (Li et al. 2021, Eq. 1); a weight of 0 leaves one out."""

    weight_l1: float = Field(2.0, ge=0, le=1e3, description="weight of the absolute difference")
    weight_l2: float = Field(
        0.0, ge=0, le=1e3, description="weight of the squared difference, which the paper does not have"
    )
    weight_correlation: float = Field(
        0.0, ge=0, le=1e3, description="weight of what the correlation leaves open, which the paper does not have"
    )
    weight_gan: float = Field(1.0, ge=0, le=1e3, description="weight of the discriminator's verdict; 0 trains without")
    weight_vgg: float = Field(
        0.01, ge=0, le=1e3, description="weight of the difference in perceptual (VGG) features; 0 trains without"
    )
    weight_cycle: float = Field(
        0.0,
        ge=0,
        le=1e3,
        description="weight of what the blurred prediction leaves open; for unpaired stacks",
    )
    vgg_share: float = Field(0.25, gt=0, le=1, description="share of a patch's planes that the VGG loss looks at")


class OptimizerConfig(Config):
    """How many steps are made, and how large they are."""

    iterations: int = Field(3000, ge=1, le=1_000_000, description="steps of training")
    batch_size: int = Field(
        1,
        ge=1,
        le=256,
        description="patches per step and process, of the largest patch size; if memory is short "
        "they are taken one after another",
    )
    learning_rate: float = Field(1e-3, gt=0, le=0.1, description="largest learning rate of the generator")
    discriminator_learning_rate: float = Field(
        1e-4, gt=0, le=0.1, description="largest learning rate of the discriminator"
    )
    ema: float = Field(
        0.999, ge=0, lt=1, description="decay of the running mean of the weights that is tested beside them; 0: none"
    )


class RuntimeConfig(Config):
    """Where a training runs, and how often it writes."""

    device: Device = Field("auto", description="where to compute")
    precision: Precision = Field("auto", description="number format of the network while training")
    seed: int = Field(0, ge=0, description="start of the random numbers")
    checkpoint_every: int = Field(100, ge=1, description="steps between checkpoints")
    validate_every: int = Field(500, ge=1, description="steps between tests on the held-out pairs")
    log_every: int = Field(10, ge=1, description="steps between rows of metrics.csv")


class TrainConfig(SectionedConfig):
    """How to train a generator on a folder of pairs.

    A setting may be given by its own name, ``width=8``, or in its section, ``network={"width": 8}``.
    """

    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    losses: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.network.network_input == "plane" and self.network.dimensions == 3:
            raise ValueError("one plane has no third dimension: network_input=plane needs dimensions=2")
        losses = self.losses
        if not any(value for name, value in losses if name.startswith("weight_")):
            raise ValueError("all weights of the losses are 0: there is nothing to learn from")
        return self


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "laptop": {},
    "paper": {"patch": (12, 256, 256), "batch_size": 24, "iterations": 6000, "vgg_share": 1.0, "blank_share": 0.0},
}
"""Where the settings of a training start from; both have the paper's losses and their weights (Eq. 1)."""
