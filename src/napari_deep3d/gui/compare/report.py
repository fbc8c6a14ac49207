"""The report of a comparison: what the command ``evaluate`` writes, of the stacks on show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from napari_deep3d.core import (
    Box,
    Clock,
    CroppedStack,
    Event,
    Job,
    Progress,
    Stack,
    Stop,
    StoppedError,
    Vector,
    Volume,
    mapped,
    zyx,
)
from napari_deep3d.gui.compare.stacks import ComparedStack, OnVoxelsOf, shared_box
from napari_deep3d.jobs.evaluate.evaluate import evaluate_volumes
from napari_deep3d.jobs.evaluate.figures import draw_evaluation
from napari_deep3d.jobs.evaluate.report import write_report


@dataclass(frozen=True)
class ReportRequest:
    """What is to be reported: predictions against a reference if there is one, beside a wide-field stack likewise.

    ``provenance`` is what the layer of each prediction says of how it was made, by its title.
    """

    predictions: Sequence[ComparedStack]
    reference: ComparedStack | None
    widefield: ComparedStack | None = None
    provenance: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def report_paths(path: Path, titles: Sequence[str]) -> list[Path]:
    """A file for each prediction: ``path`` itself, or names with the predictions' titles if there are several."""
    return [path] if len(titles) == 1 else [path.with_name(f"{path.stem}-{title}{path.suffix}") for title in titles]


def write_reports(path: Path, request: ReportRequest, stop: Stop) -> Job[list[Path]]:
    """Evaluate and write the reports; a job.

    Stacks with other voxels than the reference, else the prediction, are resampled on what they share with it.
    InputError as of :func:`evaluate_volumes`, or if they share too little.
    """
    widefield = request.widefield
    paths = report_paths(path, [prediction.title for prediction in request.predictions])
    for number, (prediction, own_path) in enumerate(zip(request.predictions, paths, strict=True)):
        reference = request.reference or prediction
        others = [prediction] if widefield is None else [prediction, widefield]
        region = shared_box(others, reference)
        volumes = []
        for stack in others:
            data = yield from _on_voxels(stack, reference, region, stop)
            volumes.append(_volume(stack.title, data, reference, region))
        truth = None
        if request.reference is not None:
            truth = _volume(reference.title, CroppedStack(reference.data, region), reference, region)
        raw = volumes[1] if widefield is not None else None
        about = request.provenance.get(prediction.title)
        job = evaluate_volumes(volumes[0], truth, raw, provenance=about, stop=stop)
        found = yield from mapped(job, partial(_as_part, done=number, total=len(paths)))
        write_report(own_path, found, draw_evaluation(found))
    return paths


def _volume(title: str, data: Stack, reference: ComparedStack, region: Box) -> Volume:
    spacing = reference.spacing_um
    origin: Vector = zyx(first * step for first, step in zip(region.start, spacing, strict=True))
    return Volume(data, spacing, origin, title)


def _on_voxels(stack: ComparedStack, reference: ComparedStack, region: Box, stop: Stop) -> Job[Stack]:
    """The voxels of a stack on a region of the reference: as they are, or resampled once, in memory."""
    moved = OnVoxelsOf(stack, reference, region)
    if stack.is_on_voxels_of(reference):
        return CroppedStack(stack.data, region)
    planes, clock = list[np.ndarray](), Clock()
    for z in range(region.shape[0]):
        if stop():
            raise StoppedError
        planes.append(moved[z])
        yield clock.progress(z + 1, region.shape[0], f"resampling {stack.title}")
    return np.stack(planes)


def _as_part(event: Event, done: int, total: int) -> Event:
    """An event of one report as one of all."""
    if isinstance(event, Progress) and total > 1:
        return Progress(done + event.fraction, total, event.message)
    return event
