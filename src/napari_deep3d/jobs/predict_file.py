"""Predict from file to file, lazily read and written tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Job, Notice, Stop, never
from napari_deep3d.core.volume import Volume
from napari_deep3d.io import StackFile, StackWriter, check_output, open_stack
from napari_deep3d.jobs.plan import plan_prediction
from napari_deep3d.jobs.predict import Prediction, predict_volume, usable_range

Times = int | Literal["all"] | None


@dataclass(frozen=True)
class FilePrediction:
    """Where a prediction was written, its shape, and how it was made (of the last time point, times summed)."""

    output: Path
    shape: tuple[int, ...]
    prediction: Prediction


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
        How to predict.
    channel, time
        Which one, counted from 0, where the file holds several; ``time="all"`` gives a result with axes
        (T, Z, Y, X), each time point predicted by itself.
    overwrite
        Whether ``output`` may be replaced.
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
    if target.resolve() == source.path.resolve():
        raise InputError(f"{target} is the input itself; it is never overwritten. Give another output.")
    plan = plan_prediction(volumes[0], config)
    for volume in volumes:
        usable_range(volume, plan.model)
    shape = volumes[0].shape if time != "all" else (len(volumes), *volumes[0].shape)
    about: dict[str, object] = {"made_by": "napari-deep3d", "model": plan.model.name, "input": source.path.name}
    with _writer(target, shape, volumes[0], plan.spacing_um, overwrite, about) as writer:
        parts: list[Prediction] = []
        for index, volume in enumerate(volumes):
            out = writer.data if time != "all" else _Frame(writer.data, index)
            if len(volumes) > 1:
                yield Notice(f"time point {index + 1} of {len(volumes)}")
            parts.append((yield from predict_volume(volume, config, out, stop)))
            if not parts[-1].complete:
                writer.path = incomplete_path(target)
                break
    return FilePrediction(writer.path, shape, _together(parts))


def _volumes(source: StackFile, channel: int | None, time: Times) -> list[Volume]:
    if time == "all":
        return [source.volume(channel, index) for index in range(source.n_times)]
    return [source.volume(channel, time)]


@contextmanager
def _writer(
    target: Path, shape: tuple[int, ...], volume: Volume, spacing_um: Any, overwrite: bool, about: dict[str, object]
) -> Iterator[StackWriter]:
    name = f"{volume.name} (confocal-like)"
    with StackWriter(target, shape, spacing_um, volume.origin_um, name, overwrite, about) as writer:
        yield writer


def incomplete_path(path: Path) -> Path:
    """A free name beside ``path`` for a result that was stopped."""
    suffix = "".join(s for s in path.suffixes[-2:] if s.lower() in (".ome", ".tif", ".tiff", ".zarr"))
    stem = path.name.removesuffix(suffix)
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
        seconds=seconds,
        voxels_per_second=voxels / seconds,
        tile_mismatch=float(np.max([part.tile_mismatch for part in parts])),
        notices=tuple(dict.fromkeys(notice for part in parts for notice in part.notices)),
    )
