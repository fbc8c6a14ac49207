"""The Python functions: arrays or paths in, results out, the same options as the commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core.config import PRESETS, PredictConfig, SimulateConfig, TrainConfig, merge
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Event, Stop, drain, never
from napari_deep3d.core.volume import Shape, Volume
from napari_deep3d.io import check_output, open_stack, write_stack
from napari_deep3d.jobs.predict import Prediction, predict_volume
from napari_deep3d.jobs.predict_file import FilePrediction, Times, predict_file
from napari_deep3d.jobs.simulate import Simulated, simulate_pairs
from napari_deep3d.jobs.train import TrainResult, train_model

OnEvent = Callable[[Event], object]


@overload
def predict(stack: NDArray[np.generic] | str | Path, output: None = None, **options: Any) -> Prediction: ...
@overload
def predict(
    stack: NDArray[np.generic] | str | Path, output: str | Path, **options: Any
) -> Prediction | FilePrediction: ...
def predict(
    stack: NDArray[np.generic] | str | Path,
    output: str | Path | None = None,
    *,
    channel: int | None = None,
    time: Times = None,
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Any,
) -> Prediction | FilePrediction:
    """Predict a confocal-like stack.

    Parameters
    ----------
    stack
        Wide-field stack: an array with axes (Z, Y, X), or a file.
    output
        File to write. From a file it is written tile by tile and a FilePrediction is returned; in all other cases
        the result is returned in ``.data``.
    channel, time
        Which one of a file that holds several, counted from 0; ``time="all"`` needs an ``output``.
    overwrite
        Whether ``output`` may be replaced.
    on_event
        Called with every event: progress, notices, finished tiles.
    stop
        Asked all the time; true ends the prediction and keeps what is finished.
    **settings
        ``model``, ``spacing_um`` (Z, Y, X; needed for an array), ``device``, ``precision``, ``tile``,
        ``memory_bytes``.

    Raises
    ------
    InputError
        If something given cannot be used; the message says what and what to do.
    """
    config = PredictConfig.checked(**settings)
    if isinstance(stack, str | Path):
        if output is not None:
            job = predict_file(stack, output, config, channel=channel, time=time, overwrite=overwrite, stop=stop)
            return drain(job, on_event)
        if time == "all":
            raise InputError("time='all' makes a series too large to return; give an output file for it.")
        return drain(predict_volume(open_stack(stack).volume(channel, time), config, stop=stop), on_event)
    if channel is not None or time is not None:
        raise InputError("channel and time choose from a file; an array has axes Z, Y, X: choose by indexing it.")
    if output is not None:
        check_output(output, overwrite)
    volume = Volume(np.asarray(stack), config.spacing_um)
    result = drain(predict_volume(volume, config, stop=stop), on_event)
    if output is not None and result.complete:
        write_stack(output, result.data, result.spacing_um, overwrite=overwrite, description=result.provenance())
    return result


def simulate(
    output: str | Path,
    *,
    pairs: int = 8,
    shape: Shape = (48, 160, 160),
    seed: int = 0,
    confocal_stacks: Sequence[str | Path] = (),
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
) -> Simulated:
    """Write a folder of simulated wide-field/confocal pairs.

    Parameters
    ----------
    output
        The pairs folder: ``widefield/NAME`` and ``confocal/NAME``.
    pairs, shape, seed
        Number of pairs, voxels (Z, Y, X) of each, and start of the random numbers.
    confocal_stacks
        Files of real confocal stacks to take samples from.
    overwrite
        Whether files of a folder in use may be replaced.
    on_event, stop
        As in :func:`predict`.
    """
    config = SimulateConfig.checked(pairs=pairs, shape=shape, seed=seed)
    job = simulate_pairs(output, config, confocal_stacks=confocal_stacks, overwrite=overwrite, stop=stop)
    return drain(job, on_event)


def train(
    pairs: str | Path,
    run: str | Path,
    *,
    preset: str = "laptop",
    name: str = "",
    resume: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Any,
) -> TrainResult:
    """Train a generator on a pairs folder.

    Parameters
    ----------
    pairs, run
        Pairs folder to read, run folder to write.
    preset
        ``laptop`` or ``paper``: where the settings start from.
    name
        Name of the model; the run folder's by default.
    resume
        Continue a run from its newest checkpoint with its own settings.
    on_event, stop
        As in :func:`predict`.
    **settings
        Any field of :class:`napari_deep3d.core.config.TrainConfig`.
    """
    config = train_config(preset, settings)
    return drain(train_model(pairs, run, config, name=name, resume=resume, stop=stop), on_event)


def train_config(preset: str, *settings: Mapping[str, Any]) -> TrainConfig:
    """Settings of a preset, changed by further ones, later ones winning."""
    if preset not in PRESETS:
        raise InputError(f"there is no preset {preset!r}; {', '.join(PRESETS)} are allowed. Choose one of them.")
    return merge(TrainConfig, PRESETS[preset], *settings)
