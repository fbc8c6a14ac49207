"""Predict from file to file, lazily read and written tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Job, Notice, Stop, never
from napari_deep3d.core.types import Spacing
from napari_deep3d.core.volume import Volume
from napari_deep3d.io import StackFile, StackWriter, check_output, open_stack
from napari_deep3d.jobs.network_input import usable_range
from napari_deep3d.jobs.predict import Prediction, predict_volume
from napari_deep3d.jobs.predict_plan import plan_prediction

Times = int | Literal["all"] | None
SHOWN = ("confocal-like", "uncertainty")
"""What the files show, in the order in which they are written."""


@dataclass(frozen=True)
class FilePrediction:
    """Where a prediction was written, its shape, and how it was made (of the last time point, times summed).

    ``uncertainty`` is the file beside it, if the uncertainty was asked for.
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
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[FilePrediction]:
    """Predict a stack in a file and write the result.

    Parameters
    ----------
    stack, output
        OME-TIFF, ImageJ TIFF or OME-Zarr.
    config
        How to predict; with ``uncertainty`` a second file is written, ``-uncertainty`` in its name.
    channel, time
        Which one, counted from 0, where the file holds several; ``time="all"`` gives a result with axes
        (T, Z, Y, X), each time point predicted by itself.
    overwrite
        Whether ``output``, and the file of its uncertainty, may be replaced.
    stop
        Asked all the time. What is finished is then kept beside ``output``, with ``-incomplete`` in its name.

    Raises
    ------
    InputError
        If input, output or config cannot be used; nothing is written then.
    """
    source = open_stack(stack)
    volumes = _volumes(source, channel, time)
    target = check_output(output, overwrite)
    beside = check_output(uncertainty_path(target), overwrite) if config.uncertainty else None
    for path in (target, beside):
        if path is not None and path.resolve() == source.path.resolve():
            raise InputError(f"{path} is the input itself; it is never overwritten. Give another output.")
    plan = plan_prediction(volumes[0], config)
    for volume in volumes:
        usable_range(volume, plan.model)
    shape = volumes[0].shape if time != "all" else (len(volumes), *volumes[0].shape)
    about: dict[str, object] = {"made_by": "napari-deep3d", "model": plan.model.name, "input": source.path.name}
    if config.uncertainty:
        about["uncertainty"] = "spread of predictions, not calibrated"
        if plan.model.uncertainty is not None:
            about["uncertainty"] = "expected absolute error"
    targets = [target] if beside is None else [target, beside]
    with _writers(targets, shape, volumes[0], plan.spacing_um, overwrite, about) as writers:
        parts: list[Prediction] = []
        for index, volume in enumerate(volumes):
            outs = [writer.data if time != "all" else _Frame(writer.data, index) for writer in writers]
            if len(volumes) > 1:
                yield Notice(f"time point {index + 1} of {len(volumes)}")
            parts.append((yield from predict_volume(volume, config, outs[0], stop, *outs[1:])))
            if not parts[-1].complete:
                for writer in writers:
                    writer.path = incomplete_path(writer.path)
                break
    return FilePrediction(writers[0].path, shape, _together(parts), None if beside is None else writers[1].path)


def _volumes(source: StackFile, channel: int | None, time: Times) -> list[Volume]:
    if time == "all":
        return [source.volume(channel, index) for index in range(source.n_times)]
    return [source.volume(channel, time)]


@contextmanager
def _writers(
    targets: list[Path],
    shape: tuple[int, ...],
    volume: Volume,
    spacing_um: Spacing,
    overwrite: bool,
    about: dict[str, object],
) -> Iterator[list[StackWriter]]:
    """Writers of the prediction and, if there is a second target, its uncertainty, in the same place."""
    place = spacing_um, volume.origin_um
    with ExitStack() as stack:
        yield [
            stack.enter_context(StackWriter(target, shape, *place, f"{volume.name} ({shown})", overwrite, about))
            for target, shown in zip(targets, SHOWN, strict=False)
        ]


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


@dataclass(frozen=True)
class _Frame:
    """One time point of a series, as a stack that can be read and written."""

    data: Any
    time: int

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape[1:])

    def __getitem__(self, region: Any) -> Any:
        return self.data[(self.time, *region)]

    def __setitem__(self, region: Any, values: Any) -> None:
        self.data[(self.time, *region)] = values


def _together(parts: list[Prediction]) -> Prediction:
    seconds = sum(part.seconds for part in parts)
    voxels = sum(part.voxels_per_second * part.seconds for part in parts)
    return replace(
        parts[-1],
        data=None,
        uncertainty=None,
        mean_uncertainty=_mean([part.mean_uncertainty for part in parts]),
        seconds=seconds,
        voxels_per_second=voxels / seconds,
        tile_mismatch=float(np.max([part.tile_mismatch for part in parts])),
        notices=tuple(dict.fromkeys(notice for part in parts for notice in part.notices)),
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
