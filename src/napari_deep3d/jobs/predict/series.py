"""Predict a series: each time point by itself, those that show nothing left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_deep3d.core import (
    Clock,
    Event,
    InputError,
    Job,
    NoImageError,
    Notice,
    PredictConfig,
    Progress,
    Stop,
    StoppedError,
    Volume,
    mapped,
    never,
)
from napari_deep3d.jobs.predict.network_input import Prepared, prepare
from napari_deep3d.jobs.predict.predict import Output, Prediction, Skipped, predict


@dataclass(frozen=True)
class PreparedSeries:
    """Time points that are ready to be predicted, by their index, and those that show nothing.

    At least one is ready; ``count`` is the number of all. Stopped while it was prepared, the rest is in neither.
    """

    usable: Mapping[int, Prepared]
    skipped: tuple[Skipped, ...]
    count: int


def prepare_series(volumes: Sequence[Volume], config: PredictConfig, stop: Stop = never) -> Job[PreparedSeries]:
    """Prepare every time point: what cannot be used is known before anything is written.

    Parameters
    ----------
    volumes : sequence of Volume
        The time points, stacks of one shape.
    config : PredictConfig
        How to predict.
    stop : callable
        Asked after every plane that is read.

    Raises
    ------
    InputError
        As :func:`~napari_deep3d.jobs.predict.network_input.prepare`, or if no time point shows anything.
    StoppedError
        If it was stopped before a time point was ready.
    """
    usable, faults = dict[int, Prepared](), dict[int, NoImageError]()
    for time, volume in enumerate(volumes):
        yield Progress(time, len(volumes), "reading the stack")
        try:
            usable[time] = prepare(volume, config, stop)
        except NoImageError as error:
            faults[time] = error
        if stop():
            break
    return series_of(volumes, usable, faults)


def series_of(
    volumes: Sequence[Volume], usable: Mapping[int, Prepared], faults: Mapping[int, NoImageError]
) -> PreparedSeries:
    """The time points that are ready and why others are not, by their index; errors as of :func:`prepare_series`."""
    if not usable and len(volumes) == 1:
        raise faults[0]
    if not usable and len(faults) < len(volumes):
        raise StoppedError
    if not usable:
        first = faults[0]
        raise InputError(f"none of the {len(volumes)} time points shows anything; the first: {first}")
    skipped = tuple(Skipped(time, error.fault) for time, error in faults.items())
    return PreparedSeries(usable, skipped, len(volumes))


def predict_volumes(
    volumes: Sequence[Volume], config: PredictConfig, into: Output, stop: Stop = never
) -> Job[Prediction]:
    """Prepare the time points of a series and predict them; as :func:`prepare_series` and :func:`predict_series`."""
    series = yield from prepare_series(volumes, config, stop)
    return (yield from predict_series(series, into, stop))


def predict_series(series: PreparedSeries, into: Output, stop: Stop = never) -> Job[Prediction]:
    """Predict one time point after the other.

    Parameters
    ----------
    series : PreparedSeries
        The time points.
    into : Output
        Where the voxels go, axes (T, Z, Y, X); (Z, Y, X) of a single time point. Time points left out stay as they are.
    stop : callable
        Asked between layers of the network; what is finished is kept.

    Returns
    -------
    Prediction
        Described as the last time point, with times summed, the worst mismatch, and the notices of all of them.
    """
    parts, clock, is_series = dict[int, Prediction](), Clock(), len(into.prediction.shape) == 4
    for skipped in series.skipped:
        yield Notice(skipped.notice)
    for number, (time, prepared) in enumerate(series.usable.items()):
        where = ""
        if series.count > 1:
            where = f"time point {time + 1} of {series.count}"
            yield Notice(where)
        job = predict(prepared, replace(into, time=time if is_series else None), stop)

        def overall(event: Event, number: int = number, where: str = where) -> Event:
            if isinstance(event, Progress) and where:
                return clock.progress(number + event.fraction, len(series.usable), f"{where}, {event.message}")
            return event

        parts[time] = yield from mapped(job, overall)
        if not parts[time].complete:
            break
    return combined(parts, series)


def combined(parts: Mapping[int, Prediction], series: PreparedSeries) -> Prediction:
    """The predictions of time points, by their index, as one: see :func:`predict_series`."""
    last = list(parts.values())[-1]
    seconds = sum(part.seconds for part in parts.values())
    voxels = sum(part.voxels_per_second * part.seconds for part in parts.values())
    uncertainties = [part.mean_uncertainty for part in parts.values() if part.mean_uncertainty is not None]
    return replace(
        last,
        mean_uncertainty=float(np.mean(uncertainties)) if uncertainties else None,
        seconds=seconds,
        voxels_per_second=voxels / seconds,
        tile_mismatch=float(np.max([part.tile_mismatch for part in parts.values()])),
        notices=(*(skipped.notice for skipped in series.skipped), *_notices(parts, series.count)),
        complete=last.complete and len(parts) + len(series.skipped) == series.count,
        skipped=series.skipped,
    )


def _notices(parts: Mapping[int, Prediction], count: int) -> list[str]:
    """Sentences about the time points, once each; with their numbers, where they are not about all of them."""
    of = dict[str, list[int]]()
    for time, part in parts.items():
        for notice in part.notices:
            of.setdefault(notice, []).append(time)
    if count == 1:
        return list(of)
    return [
        notice if len(times) == len(parts) else f"Time point {', '.join(map(str, times))} (counted from 0): {notice}"
        for notice, times in of.items()
    ]
