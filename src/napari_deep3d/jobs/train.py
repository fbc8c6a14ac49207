"""Train a generator on a pairs folder, in a run folder that can be resumed."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_deep3d.core.config import TrainConfig, read_toml
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Event, Job, Metrics, Stop, never, tap
from napari_deep3d.jobs.models import check_name
from napari_deep3d.jobs.pairs import read_pairs
from napari_deep3d.jobs.simulate import check_folder

if TYPE_CHECKING:
    from napari_deep3d.core.volume import Spacing
    from napari_deep3d.nn.model_file import ModelInfo
    from napari_deep3d.nn.patches import TrainingPair
    from napari_deep3d.nn.training import Trained

COLUMNS = ("step", "loss", "learning_rate", "validation_rmse", "validation_ssim")
CONFIG_FILE, METRICS_FILE, MODEL_FILE, CHECKPOINTS = (
    "config.toml",
    "metrics.csv",
    "model.safetensors",
    "checkpoints",
)


@dataclass(frozen=True)
class TrainResult:
    """A finished or stopped training: where the model is, and its last figures."""

    model: Path
    iterations: int
    seconds: float
    iterations_per_second: float
    loss: float
    validation: dict[str, float]
    complete: bool


def train_model(
    pairs: str | Path,
    run: str | Path,
    config: TrainConfig,
    *,
    name: str = "",
    resume: bool = False,
    stop: Stop = never,
) -> Job[TrainResult]:
    """Train on a pairs folder and leave ``model.safetensors`` in the run folder.

    Parameters
    ----------
    pairs
        Folder with ``widefield`` and ``confocal``.
    run
        Run folder; made if it is not there. Without ``resume`` it must be empty.
    config
        Ignored with ``resume``, which goes on with the config of the run.
    name
        Name of the model; the run folder's by default.
    resume
        Continue from the newest checkpoint.
    stop
        Asked between steps; the model as it stands is then saved.

    Raises
    ------
    InputError
        If pairs, run folder or config cannot be used.
    """
    from napari_deep3d.nn.devices import choose_device
    from napari_deep3d.nn.model_file import save_model
    from napari_deep3d.nn.training import train_generator, training_precision

    folder = Path(run)
    if resume:
        config = _config_of(folder)
        name = name or _name_of(folder)
    name = check_name(name or folder.resolve().name)
    training_precision(choose_device(config.device), config)
    opened = read_pairs(pairs, config.percentiles)
    spacings = _spacings(opened)
    if not resume:
        folder = check_folder(run, overwrite=False)
        (folder / CONFIG_FILE).write_text(config.to_toml(), encoding="utf-8")
    (folder / CHECKPOINTS).mkdir(exist_ok=True)
    job = train_generator(opened, config, folder / CHECKPOINTS, stop=stop)
    trained = yield from tap(job, _MetricsFile(folder / METRICS_FILE))
    info = _describe(trained, opened, config, name, spacings)
    path = save_model(folder / MODEL_FILE, trained.generator, info)
    return TrainResult(
        model=path,
        iterations=trained.step,
        seconds=trained.seconds,
        iterations_per_second=trained.steps_made / max(trained.seconds, 1e-9),
        loss=trained.loss,
        validation=trained.validation,
        complete=trained.step >= config.iterations,
    )


def _config_of(run: Path) -> TrainConfig:
    path = run / CONFIG_FILE
    if not path.is_file():
        raise InputError(
            f"{run} is not a run folder to resume: it has no {CONFIG_FILE}. Give the folder of an earlier training, "
            "or leave --resume out to start a new one."
        )
    return TrainConfig.checked(**read_toml(path))


def _name_of(run: Path) -> str:
    """The name of the model that a run has left, if it has."""
    from napari_deep3d.nn.model_file import read_info

    path = run / MODEL_FILE
    return read_info(path).name if path.exists() else ""


class _MetricsFile:
    """Appends metrics to a CSV file, a row per event; rows of steps that a crash lost and that are made again go."""

    def __init__(self, path: Path) -> None:
        self._path, self._started = path, False

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Metrics):
            return
        if not self._started:
            _begin_rows(self._path, event.step)
            self._started = True
        with self._path.open("a", newline="", encoding="utf-8") as file:
            values = {name: f"{value:.6g}" for name, value in event.values.items()}
            csv.DictWriter(file, COLUMNS, restval="").writerow({"step": event.step, **values})


def _begin_rows(path: Path, step: int) -> None:
    """Start the metrics file, or drop rows of steps that a crash lost and that are made again."""
    kept: list[dict[str, str]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            kept = [row for row in csv.DictReader(file) if int(row["step"]) < step]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS, restval="")
        rows.writeheader()
        rows.writerows(kept)


def _describe(
    trained: Trained,
    pairs: Sequence[TrainingPair],
    config: TrainConfig,
    name: str,
    spacings: tuple[Spacing, Spacing, Spacing],
) -> ModelInfo:
    from napari_deep3d.nn.model_file import ModelInfo

    low, middle, high = spacings
    settings: dict[str, Any] = config.model_dump(mode="json")
    return ModelInfo(
        name=name,
        width=config.width,
        percentiles=config.percentiles,
        spacing_um=middle,
        spacing_min_um=low,
        spacing_max_um=high,
        halo=_halo(trained, pairs),
        training={
            "program": f"napari-deep3d {version('napari-deep3d')}",
            "pairs": len(pairs),
            "steps": trained.step,
            "config": settings,
        },
        scores={f"validation_{key}": round(value, 4) for key, value in trained.validation.items()},
    )


def _spacings(pairs: Sequence[TrainingPair]) -> tuple[Spacing, Spacing, Spacing]:
    """Smallest, middle and largest voxel size of the pairs, axis by axis."""
    known = [pair.spacing_um for pair in pairs if pair.spacing_um is not None]
    if not known:
        raise InputError(
            "no pair states its voxel size; without it the model cannot be used on other stacks. "
            "Save the stacks with their voxel size in um (OME-TIFF, or ImageJ TIFF with unit micron)."
        )
    sizes = np.array(known)
    low, middle, high = (
        (float(v[0]), float(v[1]), float(v[2])) for v in (sizes.min(0), np.median(sizes, 0), sizes.max(0))
    )
    return low, middle, high


def _halo(trained: Trained, pairs: Sequence[TrainingPair]) -> tuple[int, int, int]:
    import torch

    from napari_deep3d.nn.frozen import FrozenNetwork
    from napari_deep3d.nn.receptive_field import measure_halo

    everything = (slice(None), slice(None), slice(None))
    stacks = [pair.crop(everything)[0][:96, :192, :192] for pair in list(pairs)[:2]]
    lateral = range(16, 81, 16)
    halos = []
    for stack in stacks:
        network = FrozenNetwork(trained.generator, [stack], torch.device("cpu"), torch.float32)
        halos.append(measure_halo(network, stack, (range(4, 33, 4), lateral, lateral)))
    z, y, x = (max(halo[axis] for halo in halos) for axis in range(3))
    return z, y, x
