"""Every choice a user can make, with its bounds: they stand here once.

The configs are frozen; the command line, the form in the window and the Python functions all build them, so a
value out of bounds gets the same message everywhere.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args, get_origin

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.types import Shape, Spacing
from napari_deep3d.core.volume import check_spacing

DEFAULT_MODEL = "generalist"

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
RegisterMethod = Literal["psf", "cross-correlation", "plain-cross-correlation"]
TransformKind = Literal["shift", "similarity", "affine"]
Positive = Annotated[int, Field(ge=1)]
Patch = tuple[Positive, Positive, Positive]
C = TypeVar("C", bound="Config")


class Config(BaseModel):
    """A frozen set of choices; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Build the config, or raise an InputError that names each wrong value, what is allowed and the remedy."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError(_explain(cls, error)) from None

    @classmethod
    def known_names(cls) -> list[str]:
        """All names that may be given, in alphabetical order."""
        return sorted(cls.model_fields)

    @classmethod
    def nested(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as given, arranged as the config nests them; they are not checked."""
        return dict(values)

    def to_toml(self) -> str:
        """The config as text that :func:`read_toml` reads back."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def _explain(cls: type[Config], error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        path = [part for part in problem["loc"] if part != "[key]"]  # pydantic's mark of a wrong name in a table
        name = ".".join(str(part) for part in path)
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown name {name!r}; known are: {_known_names(cls, problem['loc'][:-1])}")
        elif problem["type"] == "model_type":
            known = _known_names(cls, problem["loc"])
            lines.append(f"{name} is {problem['input']!r}: a table is allowed, of these names: {known}")
        else:
            found = f"{name} is {problem['input']!r}: " if name else ""
            lines.append(found + problem["msg"].removeprefix("Value error, "))
    return "; ".join(line.rstrip(".") for line in lines) + ". Correct it and try again."


def _known_names(cls: type[Config], path: tuple[int | str, ...]) -> str:
    """The names of a config's fields, or of those of the config that a path of names leads to."""
    inner: Any = cls
    for name in path:
        inner = get_args(inner)[1] if get_origin(inner) is dict else inner.model_fields[str(name)].annotation
    return ", ".join(inner.known_names())


def read_toml(path: Path) -> dict[str, Any]:
    """Read a config file.

    Raises
    ------
    InputError
        If there is no such file, or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the config file {path}: {error.strerror}. Give an existing TOML file.") from None
    except ValueError as error:
        raise InputError(f"{path} is not a TOML file: {error}. Give lines such as: iterations = 500") from None


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """Turn ``NAME=VALUE`` words into values, VALUE in TOML's notation (a bare word is text).

    A dotted name is one within a table, as in TOML.
    """
    values: dict[str, Any] = {}
    for word in assignments:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise InputError(f"--set got {word!r}; NAME=VALUE is needed, such as --set iterations=500.")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        for part in reversed(name.split(".")):
            value = {part: value}
        values = _merged(values, value)
    return values


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both; where both have one, the new one wins, but tables are merged in turn."""
    values = {**old, **new}
    for name in old.keys() & new.keys():
        if isinstance(old[name], Mapping) and isinstance(new[name], Mapping):
            values[name] = _merged(old[name], new[name])
    return values


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


class TrainConfig(Config):
    """How to train a generator on a folder of pairs."""

    iterations: int = Field(3000, ge=1, le=1_000_000, description="steps of training")
    batch_size: int = Field(
        1,
        ge=1,
        le=256,
        description="patches per step and process, of the largest patch size; if memory is short "
        "they are taken one after another",
    )
    patch: tuple[Patch, ...] = Field(
        ((12, 96, 96), (24, 96, 96), (48, 96, 96)),
        description="patch size Z,Y,X, or several to draw from: mixed depths let a whole stack be predicted at once",
    )
    width: int = Field(16, ge=2, le=128, description="channels of the network's first level")
    dimensions: Literal[2, 3] = Field(3, description="2 lets the network see each plane by itself, for comparison")
    network_input: Literal["stack", "plane"] = Field(
        "stack", description="plane: one wide-field plane and the distance from it (DeepZ+), for comparison"
    )
    z_step: Literal[1, 2, 4] = Field(
        1, description="keep every 2nd or 4th wide-field plane and interpolate between: for stacks of few planes"
    )
    misregistration_um: Spacing | None = Field(
        None, description="largest shift Z,Y,X in um put between the stacks of a pair, for comparison"
    )
    blank_share: float = Field(
        0.02,
        ge=0,
        le=0.5,
        description="share of patches that hold noise alone and must give nothing, so that nothing is made of noise",
    )
    learning_rate: float = Field(1e-3, gt=0, le=0.1, description="largest learning rate of the generator")
    weight_l1: float = Field(2.0, ge=0, le=1e3, description="weight of the absolute difference")
    weight_gan: float = Field(1.0, ge=0, le=1e3, description="weight of the discriminator's verdict; 0 trains without")
    weight_vgg: float = Field(
        0.01, ge=0, le=1e3, description="weight of the difference in perceptual (VGG) features; 0 trains without"
    )
    vgg_share: float = Field(0.25, gt=0, le=1, description="share of a patch's planes that the VGG loss looks at")
    discriminator_width: float = Field(
        0.125, gt=0, le=1, description="channels of the discriminator as a share of those of Wu et al. 2019"
    )
    discriminator_learning_rate: float = Field(
        1e-4, gt=0, le=0.1, description="largest learning rate of the discriminator"
    )
    ema: float = Field(
        0.999, ge=0, lt=1, description="decay of the running mean of the weights that is tested beside them; 0: none"
    )
    percentiles: tuple[float, float] = Field((0.1, 99.9), description="percentiles of a stack that become 0 and 1")
    precision: Precision = Field("auto", description="number format of the network while training")
    device: Device = Field("auto", description="where to compute")
    validation_share: float = Field(0.1, ge=0, le=0.5, description="share of the pairs held out for testing")
    held_out: tuple[str, ...] = Field((), description="names of the pairs held out, instead of a share at random")
    checkpoint_every: int = Field(100, ge=1, description="steps between checkpoints")
    validate_every: int = Field(500, ge=1, description="steps between tests on the held-out pairs")
    log_every: int = Field(10, ge=1, description="steps between rows of metrics.csv")
    seed: int = Field(0, ge=0, description="start of the random numbers")

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

    @field_validator("percentiles")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] < value[1] <= 100:
            raise ValueError("two rising percentiles between 0 and 100 are allowed")
        return value

    @field_validator("misregistration_um")
    @classmethod
    def _shift(cls, value: Spacing | None) -> Spacing | None:
        if value is not None and not all(0 <= size <= 1000 for size in value):
            raise ValueError("three sizes Z,Y,X in um from 0 to 1000 are allowed")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.network_input == "plane" and self.dimensions == 3:
            raise ValueError("one plane has no third dimension: network_input=plane needs dimensions=2")
        if self.weight_l1 == self.weight_gan == self.weight_vgg == 0:
            raise ValueError("weight_l1, weight_gan and weight_vgg are all 0: there is nothing to learn from")
        return self


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "laptop": {},
    "paper": {"patch": (12, 256, 256), "batch_size": 24, "iterations": 6000, "vgg_share": 1.0, "blank_share": 0.0},
}
"""Where the settings of a training start from; both have the paper's losses and their weights (Eq. 1)."""


def merge(cls: type[C], *sources: Mapping[str, Any]) -> C:
    """Build a config from several sources, later ones winning, name by name in tables, too."""
    values: dict[str, Any] = {}
    for source in sources:
        values = _merged(values, cls.nested(source))
    return cls.checked(**values)
