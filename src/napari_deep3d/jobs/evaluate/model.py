"""What a report tells of the model that made a prediction: how it was trained, and its file's checksum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from napari_deep3d.core import InputError, format_spacing
from napari_deep3d.jobs.models.store import model_info, model_sha256

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo

NOT_STATED = "not stated"
CHECKSUM = "SHA-256 of its file"


def model_facts(name: str) -> dict[str, str]:
    """Facts of the model that has a name now, by what they are called; empty if there is none on this computer."""
    try:
        info, checksum = model_info(name), model_sha256(name)
    except (InputError, OSError):
        return {}
    return {"name": info.name, **_training(info), **_scores(info), CHECKSUM: checksum}


def _training(info: ModelInfo) -> dict[str, str]:
    """What it learned from, and how; of a model that was trained on from another one, of the last training."""
    made = info.training
    low, high = info.spacing_min_um, info.spacing_max_um
    return {
        "what it is": " ".join(filter(None, (info.title, info.description))) or NOT_STATED,
        "trained on from": str(made.get("start", NOT_STATED)),
        "pairs": str(made.get("pairs", NOT_STATED)),
        "steps": str(made.get("steps", NOT_STATED)),
        "loss": _losses(made.get("config")),
        "weights kept": str(made.get("weights", NOT_STATED)),
        "network": f"{info.dimensions}D, width {info.width}, sees a {info.network_input}",
        "voxel sizes trained on": f"{format_spacing(low)} to {format_spacing(high)}",
        "trained with": str(made.get("program", NOT_STATED)),
    }


def _losses(config: object) -> str:
    """The losses that counted, each with its weight."""
    if not isinstance(config, Mapping):
        return NOT_STATED
    weights = {str(key).removeprefix("weight_"): config[key] for key in config if str(key).startswith("weight_")}
    told = [f"{name} {value:g}" for name, value in weights.items() if isinstance(value, int | float) and value]
    return ", ".join(told) or NOT_STATED


def _scores(info: ModelInfo) -> dict[str, str]:
    scores = [
        f"{name.removeprefix('validation_')} {value:.4g}"
        for name, value in info.scores.items()
        if isinstance(value, int | float)
    ]
    return {"scores on its held-out pairs": ", ".join(scores) or NOT_STATED}
