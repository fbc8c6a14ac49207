"""A model in one safetensors file: weights, and in the header everything needed to use them. Never a pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from safetensors import SafetensorError, safe_open

from napari_deep3d.core import InputError, Percentiles, Shape, Spacing, check_spacing, writing
from napari_deep3d.core.evaluation.uncertainty import Calibration
from napari_deep3d.core.novelty.detector import NoveltyModel

if TYPE_CHECKING:
    from torch import Tensor

    from napari_deep3d.nn.generator import Generator

FORMAT_VERSION = 3
READABLE_VERSIONS = (1, 2, 3)
"""Version 1 knew the three-dimensional network on whole stacks alone, which is what later ones take as default; up to
version 2 the network enlarged by nearest neighbours."""
HEADER_KEY = "napari-deep3d"
EXPORTED = (".onnx", ".zip")
"""Endings of models exported for other programs."""
SAVE_REMEDY = "Choose a folder that you may write to, or make room."


class ModelInfo(BaseModel):
    """What a model is and how it was made: the header of its file.

    ``spacing_um`` is the middle of the voxel sizes trained on, ``spacing_min_um`` and ``spacing_max_um`` their
    bounds; ``halo`` the voxels around a tile that its prediction depends on (the measured receptive field).
    ``novelty``, in the file ``known``, is how the stacks look that it learned from; older files do not say.
    ``dimensions``, ``network_input`` and ``z_step`` are as in :class:`napari_deep3d.core.config.TrainConfig`;
    ``enlarging`` is how the network's decoder enlarges.
    ``uncertainty`` turns the spread of its predictions into the error to expect, if it was calibrated.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=(), populate_by_name=True)

    format_version: int = FORMAT_VERSION
    name: str
    title: str = ""
    description: str = ""
    width: int = Field(ge=1, le=1024)
    dimensions: Literal[2, 3] = 3
    network_input: Literal["stack", "plane"] = "stack"
    z_step: Literal[1, 2, 4] = 1
    enlarging: Literal["linear", "nearest"] = "linear"
    percentiles: Percentiles = (0.1, 99.9)
    spacing_um: Spacing
    spacing_min_um: Spacing
    spacing_max_um: Spacing
    halo: Shape = (8, 32, 32)
    uncertainty: Calibration | None = None
    training: dict[str, Any] = Field(default_factory=dict)
    scores: dict[str, Any] = Field(default_factory=dict)
    novelty: NoveltyModel | None = Field(None, alias="known")

    @field_validator("spacing_um", "spacing_min_um", "spacing_max_um")
    @classmethod
    def _positive(cls, value: Spacing) -> Spacing:
        return check_spacing(value)

    @field_validator("halo")
    @classmethod
    def _not_negative(cls, value: Shape) -> Shape:
        if not all(0 <= voxels <= 512 for voxels in value):
            raise ValueError("a halo of 0 to 512 voxels is needed")
        return value


def save_model(path: str | Path, generator: Any, info: ModelInfo, remedy: str = SAVE_REMEDY) -> Path:
    """Write a model (``.safetensors``), float16 weights, whole or not at all; a file of that name is replaced.

    InputError, which ends with the sentence ``remedy``, if it cannot be written.
    """
    import torch
    from safetensors.torch import save_file

    path = Path(path)
    tensors = {
        name: value.detach().cpu().to(torch.float16).contiguous() for name, value in generator.state_dict().items()
    }
    with writing(path, remedy, SafetensorError) as part:
        save_file(tensors, part, metadata={HEADER_KEY: info.model_dump_json(by_alias=True)})
        part.chmod(0o644)  # safetensors writes files that only their owner may read
    return path


def read_info(path: str | Path) -> ModelInfo:
    """Read the header of a model file; torch is not imported.

    InputError if there is no such file, or it is a pickle, truncated, foreign or of another version.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no model file {path}. Give a .safetensors file, or a name from 'models list'.")
    if path.suffix.lower() in EXPORTED:
        raise InputError(
            f"{path} is no model file but looks like an exported one. Take it back with 'napari-deep3d models import', "
            "and use it by its name."
        )
    try:
        with safe_open(path, framework="numpy") as file:
            header = (file.metadata() or {}).get(HEADER_KEY)
    except (SafetensorError, OSError) as error:
        with path.open("rb") as damaged:
            start = damaged.read(4)
        if start.startswith((b"PK\x03\x04", b"\x80")):
            raise InputError(
                f"{path} is a pickle (a torch .pt or .pth file), which can run any program hidden in it and is never "
                "loaded. A .safetensors file saved by napari-deep3d is needed."
            ) from None
        raise InputError(
            f"{path} is truncated or not a safetensors file ({_first_line(error)}). Get the model file again; "
            "a .safetensors file saved by napari-deep3d is needed."
        ) from None
    if header is None:
        raise InputError(f"{path} is a safetensors file of another program; a model saved by napari-deep3d is needed.")
    return parse_header(path, header)


def parse_header(path: Path, header: str) -> ModelInfo:
    """What the header of a model says, in whichever file at ``path`` it was; InputError if it cannot be used."""
    try:
        values = json.loads(header)
        version = values.get("format_version")
        if version in READABLE_VERSIONS:
            return ModelInfo.model_validate({"enlarging": "nearest"} | values if version < 3 else values)
    except (ValidationError, AttributeError, ValueError, RecursionError) as error:
        raise InputError(f"{path} has a damaged header. Get the model file again. ({_first_line(error)})") from None
    known = ", ".join(str(number) for number in READABLE_VERSIONS)
    raise InputError(
        f"{path} has model format version {version}; this program reads versions {known}. "
        "Install the napari-deep3d that fits the model, or train it again."
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__


def _network(info: ModelInfo) -> Generator:
    from napari_deep3d.nn.generator import CHANNELS_IN, Generator

    return Generator(info.width, info.dimensions, CHANNELS_IN[info.network_input], info.enlarging)


def load_model(path: str | Path) -> tuple[Any, ModelInfo]:
    """Read a model: the generator (float32, evaluation mode) and its header.

    InputError as :func:`read_info`, or if weights are missing, of the wrong shape or not finite.
    """
    from safetensors.torch import load_file

    info = read_info(path)
    try:
        weights = load_file(path)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise _no_fit(path, error) from None
    return with_weights(Path(path), info, weights), info


def with_weights(path: Path, info: ModelInfo, weights: dict[str, Tensor]) -> Generator:
    """The generator (float32, evaluation mode) that a header describes, with the weights of the file at ``path``.

    InputError if weights are missing, of the wrong shape or not finite.
    """
    import torch

    try:
        with torch.device("meta"):  # a damaged header must not ask for more memory than the file has weights
            _network(info).load_state_dict(weights, assign=True)
        generator = _network(info)
        generator.load_state_dict({name: value.float() for name, value in weights.items()})
    except RuntimeError as error:
        raise _no_fit(path, error) from None
    if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
        raise InputError(f"the weights in {path} are not finite numbers. Get the model file again.")
    return generator.eval()


def _no_fit(path: str | Path, error: Exception) -> InputError:
    return InputError(
        f"the weights in {path} do not fit the network its header describes ({_first_line(error)}). "
        "Get the model file again."
    )
