"""Predict to a file, lazily read and written tile by tile; what was interrupted is gone on with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from napari_deep3d.core import InputError, Job, Notice, PredictConfig, Stop, StoppedError, Volume, never
from napari_deep3d.io import FileChoice, StackFile, StackInFile, StackWriter, check_output, open_stack, readable
from napari_deep3d.jobs.models.store import model_sha256
from napari_deep3d.jobs.predict.predict import Prediction
from napari_deep3d.jobs.predict.series import PreparedSeries, predict_series, prepare_series
from napari_deep3d.jobs.predict.unfinished import GrowingOutput, Unfinished, incomplete_path, split_name

if TYPE_CHECKING:
    from napari_deep3d.jobs.predict.cluster import Cluster

Times = int | Literal["all"] | None
SHOWN = ("confocal-like", "uncertainty")
"""What the files show, in the order in which they are written."""


@dataclass(frozen=True)
class FilePrediction:
    """Where a prediction was written, and how it was made.

    ``shape`` is (Z, Y, X) or (T, Z, Y, X); ``prediction`` is without voxels, of a series as
    :func:`~napari_deep3d.jobs.predict.series.predict_series` returns it; ``uncertainty`` is the file beside it, if it
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
        Asked all the time. What is finished is then kept beside ``output``, with ``-incomplete`` in its name, as it is
        after an error, or when the computer goes off: the same call goes on from there.

    Raises
    ------
    InputError
        If input, output or config cannot be used, or an unfinished prediction of something else is in the way; nothing
        is written then. If something fails later, what is finished is kept.
    StoppedError
        If it was stopped before there was anything to keep.
    """
    source = open_stack(stack, position, axes)
    times = range(source.n_times) if time == "all" else [time]
    volumes = [
        replace(source.volume(channel, index), name=_name(source, channel, index if time != "all" else None))
        for index in times
    ]
    if config.scheduler is not None:  # workers open the file themselves
        choices = [FileChoice(Path(stack).absolute(), channel, index, position, axes) for index in times]
        volumes = [
            replace(volume, data=StackInFile(choice, volume.shape, volume.data.dtype))
            for volume, choice in zip(volumes, choices, strict=True)
        ]
    about = About(source.name, readable(source.path.name), source.path, source.time_step_s)
    return (yield from predict_to_file(volumes, output, config, about, time == "all", overwrite, stop))


@dataclass(frozen=True)
class About:
    """What is told in a result of the stack that it was predicted from.

    ``name`` is what it is called, ``input`` its file or layer; ``path`` is its file, if it is one; ``time_step_s`` are
    the seconds between its time points, if they are known.
    """

    name: str
    input: str
    path: Path | None = None
    time_step_s: float | None = None


def predict_to_file(
    volumes: Sequence[Volume],
    output: str | Path,
    config: PredictConfig,
    about: About,
    is_series: bool = False,
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[FilePrediction]:
    """Predict a stack, or the time points of a series, into a file; otherwise as :func:`predict_file`.

    The file grows tile by tile as :func:`~napari_deep3d.jobs.predict.unfinished.incomplete_path`, and stays there when
    the prediction is interrupted; called again in the same way, it goes on with the tiles that are missing.
    """
    targets = _targets(output, config, overwrite, about.path)
    unfinished = Unfinished(targets, about.path)
    with ExitStack() as connected:
        cluster = None
        if config.scheduler is not None:
            from napari_deep3d.jobs.predict.cluster import open_cluster

            cluster = connected.enter_context(open_cluster(config.scheduler, unfinished))
        return (yield from _predict(volumes, targets, config, about, is_series, overwrite, stop, unfinished, cluster))


def _predict(
    volumes: Sequence[Volume],
    targets: Sequence[Path],
    config: PredictConfig,
    about: About,
    is_series: bool,
    overwrite: bool,
    stop: Stop,
    unfinished: Unfinished,
    cluster: Cluster | None,
) -> Job[FilePrediction]:
    # 1. Prepare every time point: what cannot be used is refused before anything is written.
    prepare = prepare_series if cluster is None else cluster.prepare
    series = yield from prepare(volumes, config, stop)
    if any(not prepared.digest for prepared in series.usable.values()):
        raise StoppedError
    first = volumes[0]
    shape = (len(volumes), *first.shape) if is_series else first.shape
    made_of = _made_of(series, config, first)
    # 2. Predict one after the other into the open files.
    with unfinished.under_way(series, made_of, overwrite) as series:
        plan = next(iter(series.usable.values())).plan
        begun = unfinished.tiles_done
        if begun:
            total = sum(prepared.plan.tiles for prepared in series.usable.values())
            yield Notice(f"Going on with {unfinished.paths[0].name}: {begun} of {total} tiles are done.")
        with ExitStack() as opened:
            files = [
                opened.enter_context(
                    StackWriter(
                        target,
                        shape,
                        plan.spacing_um,
                        first.origin_um,
                        f"{about.name} ({shown})",
                        overwrite,
                        _description(series, config, about),
                        time_step_s=about.time_step_s if is_series else None,
                        grows_as=path,
                    )
                )
                for target, path, shown in zip(targets, unfinished.paths, SHOWN, strict=False)
            ]
            if cluster is None:
                made = yield from predict_series(series, GrowingOutput.of(files, unfinished), stop)
            else:
                made = yield from cluster.predict(series, files, unfinished, stop)
            if not made.complete:
                if not unfinished.tiles_done:
                    raise StoppedError
                for file in files:
                    file.leave()
    paths = targets if made.complete else unfinished.paths
    if begun and config.uncertainty:  # that of the tiles that were done before counts, too
        voxels = sum(prepared.image_voxels for prepared in series.usable.values())
        made = replace(made, mean_uncertainty=unfinished.uncertainty_sum / voxels)
    made = replace(made, data=None, uncertainty=None)
    return FilePrediction(paths[0], shape, made, paths[1] if config.uncertainty else None)


def _description(series: PreparedSeries, config: PredictConfig, about: About) -> dict[str, object]:
    """How a result came about, for its file."""
    plan = next(iter(series.usable.values())).plan
    told: dict[str, object] = {
        "made_by": "napari-deep3d",
        "model": plan.model.name,
        "model_sha256": model_sha256(config.model),
        "quality": plan.quality,
        "deepest": config.deepest,
        "input": about.input,
    }
    if series.skipped:
        told["skipped"] = [asdict(skipped) for skipped in series.skipped]
    if config.uncertainty:
        is_calibrated = plan.model.uncertainty is not None
        told["uncertainty"] = "expected absolute error" if is_calibrated else "spread of predictions, not calibrated"
    return told


def _made_of(series: PreparedSeries, config: PredictConfig, first: Volume) -> dict[str, JsonValue]:
    """All that a result depends on, by its name for people; as :func:`json.loads` gives it back."""
    plan = next(iter(series.usable.values())).plan
    made_of = {
        "the stack": [f"{time}: {prepared.digest}" for time, prepared in series.usable.items()],
        "its voxel size": plan.spacing_um,
        "its position": first.origin_um,
        "the model": model_sha256(config.model),
        "quality": plan.quality,
        "deepest": config.deepest,
        "uncertainty": config.uncertainty,
        "device": plan.device,
        "precision": plan.precision,
        "tile": config.tile,
        "memory": config.memory_bytes,
        "where it is computed": "on this computer" if config.scheduler is None else "on a cluster",
        "version of napari-deep3d": version("napari-deep3d"),
    }
    plain: dict[str, JsonValue] = json.loads(json.dumps(made_of))
    return plain


def _name(source: StackFile, channel: int | None, time: int | None) -> str:
    """What to call one stack of a file that holds several, in an error."""
    of = [f"channel {channel}"] if channel is not None and source.n_channels > 1 else []
    of += [f"time point {time}"] if time is not None and source.n_times > 1 else []
    return f"{source.name} ({', '.join(of)})" if of else source.name


def _targets(output: str | Path, config: PredictConfig, overwrite: bool, stack: Path | None) -> list[Path]:
    """The files to write, checked: of the prediction and, where it is asked for, of the uncertainty."""
    targets = [check_output(output, overwrite)]
    if config.scheduler is not None and targets[0].suffix.lower() != ".zarr":
        raise InputError(
            f"the workers of {config.scheduler} cannot write {targets[0]}: several computers write only OME-Zarr "
            "together. Give an output that ends in .ome.zarr."
        )
    if config.uncertainty:
        targets.append(check_output(uncertainty_path(targets[0]), overwrite))
    for path in targets:
        if stack is not None and stack.resolve() in (path.resolve(), incomplete_path(path).resolve()):
            raise InputError(f"{path} is the input itself; it is never overwritten. Give another output.")
    return targets


def uncertainty_path(path: Path) -> Path:
    """Name of the file of the uncertainty of the prediction in ``path``."""
    stem, suffix = split_name(path)
    return path.with_name(f"{stem}-uncertainty{suffix}")
