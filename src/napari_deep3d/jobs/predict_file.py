"""Predict from file to file, lazily read and written tile by tile."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from napari_deep3d.core import InputError, Job, Notice, PredictConfig, Progress, Stop, never
from napari_deep3d.io import StackWriter, check_output, open_stack, readable
from napari_deep3d.jobs.predict import Output, Prediction, predict
from napari_deep3d.jobs.predict_plan import Prepared, prepare

Times = int | Literal["all"] | None
SHOWN = ("confocal-like", "uncertainty")
"""What the files show, in the order in which they are written."""


@dataclass(frozen=True)
class FilePrediction:
    """Where a prediction was written, and how it was made.

    ``shape`` is (Z, Y, X) or (T, Z, Y, X); ``prediction`` is without voxels, of a series that of the last time point,
    times summed; ``uncertainty`` is the file beside it, if it was asked for.
    """

    output: Path
    shape: tuple[int, ...]
    prediction: Prediction
    uncertainty: Path | None = None


def predict_file(
    stack: str | Path,
    output: str | Path,
    config: PredictConfig,
    *,
    channel: int | None = None,
    time: Times = None,
    position: int | None = None,
    axes: str | None = None,
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[FilePrediction]:
    """Predict a stack in a file and write the result.

    Parameters
    ----------
    stack, output : str or Path
        TIFF or OME-Zarr.
    config : PredictConfig
        How to predict; with ``uncertainty`` a second file is written, ``-uncertainty`` in its name.
    channel, time : int, None, or "all" for the time
        Which one, counted from 0, where the file holds several; ``time="all"`` gives a result with axes
        (T, Z, Y, X), each time point predicted by itself.
    position, axes : int, str, optional
        Which image of a file of several, and what the pages of a TIFF file are: see
        :func:`~napari_deep3d.io.open_stack`.
    overwrite : bool
        Whether ``output``, and the file of its uncertainty, may be replaced.
    stop : callable
        Asked all the time. What is finished is then kept beside ``output``, with ``-incomplete`` in its name.

    Raises
    ------
    InputError
        If input, output or config cannot be used; nothing is written then.
    """
    source = open_stack(stack, position, axes)
    times = range(source.n_times) if time == "all" else [time]
    volumes = [source.volume(channel, index) for index in times]
    targets = _targets(output, config, overwrite, source.path)
    # 1. Prepare every time point: what cannot be used is refused before anything is written.
    yield Progress(0, len(volumes), "reading the stack")
    prepared: list[Prepared] = []
    for volume in volumes:
        prepared.append(prepare(volume, config))
        if stop():
            break  # the prediction of the first one then ends at once
    plan, first = prepared[0].plan, volumes[0]
    # 2. Predict one after the other into the open files.
    shape = first.shape if time != "all" else (len(volumes), *first.shape)
    about: dict[str, object] = {
        "made_by": "napari-deep3d",
        "model": plan.model.name,
        "input": readable(source.path.name),
    }
    if config.uncertainty:
        is_calibrated = plan.model.uncertainty is not None
        about["uncertainty"] = "expected absolute error" if is_calibrated else "spread of predictions, not calibrated"
    parts: list[Prediction] = []
    with ExitStack() as files:
        writers = [
            files.enter_context(
                StackWriter(
                    target, shape, plan.spacing_um, first.origin_um, f"{first.name} ({shown})", overwrite, about
                )
            )
            for target, shown in zip(targets, SHOWN, strict=False)
        ]
        for index, each in enumerate(prepared):
            if len(volumes) > 1:
                yield Notice(f"time point {index + 1} of {len(volumes)}")
            beside = writers[1].data if config.uncertainty else None
            into = Output(writers[0].data, beside, index if time == "all" else None)
            parts.append((yield from predict(each, into, stop)))
            if not parts[-1].complete:
                for writer in writers:
                    writer.path = incomplete_path(writer.path)
                break
    paths = [writer.path for writer in writers]
    return FilePrediction(paths[0], shape, _combined(parts), paths[1] if config.uncertainty else None)


def _targets(output: str | Path, config: PredictConfig, overwrite: bool, stack: Path) -> list[Path]:
    """The files to write, checked: of the prediction and, where it is asked for, of the uncertainty."""
    targets = [check_output(output, overwrite)]
    if config.uncertainty:
        targets.append(check_output(uncertainty_path(targets[0]), overwrite))
    for path in targets:
        if path.resolve() == stack.resolve():
            raise InputError(f"{path} is the input itself; it is never overwritten. Give another output.")
    return targets


def _combined(parts: list[Prediction]) -> Prediction:
    """How a series was made: as its last time point, with times summed and the worst mismatch; without voxels."""
    seconds = sum(part.seconds for part in parts)
    voxels = sum(part.voxels_per_second * part.seconds for part in parts)
    uncertainties = [part.mean_uncertainty for part in parts if part.mean_uncertainty is not None]
    return replace(
        parts[-1],
        data=None,
        uncertainty=None,
        mean_uncertainty=float(np.mean(uncertainties)) if uncertainties else None,
        seconds=seconds,
        voxels_per_second=voxels / seconds,
        tile_mismatch=float(np.max([part.tile_mismatch for part in parts])),
        notices=tuple(dict.fromkeys(notice for part in parts for notice in part.notices)),
    )


def uncertainty_path(path: Path) -> Path:
    """Name of the file of the uncertainty of the prediction in ``path``."""
    stem, suffix = _split(path)
    return path.with_name(f"{stem}-uncertainty{suffix}")


def _split(path: Path) -> tuple[str, str]:
    suffix = "".join(s for s in path.suffixes[-2:] if s.lower() in (".ome", ".tif", ".tiff", ".zarr"))
    return path.name.removesuffix(suffix), suffix


def incomplete_path(path: Path) -> Path:
    """A free name beside ``path`` for a result that was stopped."""
    stem, suffix = _split(path)
    names = (f"{stem}-incomplete{'' if n == 1 else n}{suffix}" for n in range(1, 10_000))
    return next(path.with_name(name) for name in names if not path.with_name(name).exists())
