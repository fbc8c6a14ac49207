"""Predict from file to file, lazily read and written tile by tile."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from napari_deep3d.core import InputError, Job, PredictConfig, Stop, never
from napari_deep3d.io import StackFile, StackWriter, check_output, open_stack, readable
from napari_deep3d.jobs.predict import Output, Prediction
from napari_deep3d.jobs.predict_series import predict_series, prepare_series

Times = int | Literal["all"] | None
SHOWN = ("confocal-like", "uncertainty")
"""What the files show, in the order in which they are written."""


@dataclass(frozen=True)
class FilePrediction:
    """Where a prediction was written, and how it was made.

    ``shape`` is (Z, Y, X) or (T, Z, Y, X); ``prediction`` is without voxels, of a series as
    :func:`~napari_deep3d.jobs.predict_series.predict_series` returns it; ``uncertainty`` is the file beside it, if it
    was asked for.
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
        (T, Z, Y, X), each time point predicted by itself; those that show nothing are left out, and 0.
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
    StoppedError
        If it was stopped before there was anything to keep.
    """
    source = open_stack(stack, position, axes)
    times = range(source.n_times) if time == "all" else [time]
    volumes = [
        replace(source.volume(channel, index), name=_name(source, channel, index if time != "all" else None))
        for index in times
    ]
    targets = _targets(output, config, overwrite, source.path)
    # 1. Prepare every time point: what cannot be used is refused before anything is written.
    series = yield from prepare_series(volumes, config, stop)
    plan, first = next(iter(series.usable.values())).plan, volumes[0]
    # 2. Predict one after the other into the open files.
    shape = first.shape if time != "all" else (len(volumes), *first.shape)
    about: dict[str, object] = {
        "made_by": "napari-deep3d",
        "model": plan.model.name,
        "quality": plan.quality,
        "deepest": config.deepest,
        "input": readable(source.path.name),
    }
    if series.skipped:
        about["skipped"] = [asdict(skipped) for skipped in series.skipped]
    if config.uncertainty:
        is_calibrated = plan.model.uncertainty is not None
        about["uncertainty"] = "expected absolute error" if is_calibrated else "spread of predictions, not calibrated"
    with ExitStack() as files:
        writers = [
            files.enter_context(
                StackWriter(
                    target, shape, plan.spacing_um, first.origin_um, f"{source.name} ({shown})", overwrite, about
                )
            )
            for target, shown in zip(targets, SHOWN, strict=False)
        ]
        into = Output(writers[0].data, writers[1].data if config.uncertainty else None)
        made = yield from predict_series(series, into, stop)
        if not made.complete:
            for writer in writers:
                writer.path = incomplete_path(writer.path)
    paths = [writer.path for writer in writers]
    made = replace(made, data=None, uncertainty=None)
    return FilePrediction(paths[0], shape, made, paths[1] if config.uncertainty else None)


def _name(source: StackFile, channel: int | None, time: int | None) -> str:
    """What to call one stack of a file that holds several, in an error."""
    of = [f"channel {channel}"] if channel is not None and source.n_channels > 1 else []
    of += [f"time point {time}"] if time is not None and source.n_times > 1 else []
    return f"{source.name} ({', '.join(of)})" if of else source.name


def _targets(output: str | Path, config: PredictConfig, overwrite: bool, stack: Path) -> list[Path]:
    """The files to write, checked: of the prediction and, where it is asked for, of the uncertainty."""
    targets = [check_output(output, overwrite)]
    if config.uncertainty:
        targets.append(check_output(uncertainty_path(targets[0]), overwrite))
    for path in targets:
        if path.resolve() == stack.resolve():
            raise InputError(f"{path} is the input itself; it is never overwritten. Give another output.")
    return targets


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
