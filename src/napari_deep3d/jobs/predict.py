"""Predict a confocal-like stack: the job behind the command, the Python function and the panel."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.evaluation.uncertainty import SPREAD_RADIUS
from napari_deep3d.core.events import Clock, Event, Job, Notice, Progress, Stop, StoppedError, TileDone, never, tap
from napari_deep3d.core.novelty.explain import Novelty
from napari_deep3d.core.types import FloatArray, Shape, Spacing
from napari_deep3d.core.volume import Volume
from napari_deep3d.jobs.models import find_model
from napari_deep3d.jobs.network_input import PlaneInput, StackInput, usable_range
from napari_deep3d.jobs.novelty import compare_with_training_data
from napari_deep3d.jobs.predict_plan import BLEND, PredictionPlan, plan_prediction

if TYPE_CHECKING:
    from napari_deep3d.nn.generator import Generator


MIN_PIECE = 64


@dataclass(frozen=True)
class Prediction:
    """A confocal-like stack and how it was made.

    ``data`` has axes (Z, Y, X), float32, 0 to about 1; ``complete`` is false if it was stopped, and tiles that were
    not computed are then 0. ``uncertainty``, where it was asked for, has the same axes and unit: the absolute error to
    expect in each voxel, or, if ``is_calibrated`` is false, no more than the spread of the predictions. ``novelty``
    says how far the stack is from those that the model knows; None if it does not say.
    """

    data: Any = field(repr=False)
    spacing_um: Spacing
    origin_um: Spacing
    model: str
    device: str
    precision: str
    tile: Shape
    halo: Shape
    seconds: float
    voxels_per_second: float
    tile_mismatch: float
    notices: tuple[str, ...]
    complete: bool
    intensity_range: tuple[float, float]
    uncertainty: Any = field(default=None, repr=False)
    mean_uncertainty: float | None = None
    is_calibrated: bool = False
    novelty: Novelty | None = None

    def provenance(self) -> dict[str, object]:
        """Everything but the voxels, as plain values."""
        about: dict[str, object] = {
            "model": self.model,
            "device": self.device,
            "precision": self.precision,
            "tile": list(self.tile),
            "halo": list(self.halo),
            "seconds": round(self.seconds, 2),
            "voxels_per_second": round(self.voxels_per_second),
            "tile_mismatch": round(self.tile_mismatch, 5),
            "warnings": list(self.notices),
            "complete": self.complete,
            "input_intensities_of_0_and_1": list(self.intensity_range),
            "likeness": None if self.novelty is None else self.novelty.report(),
        }
        if self.mean_uncertainty is not None:
            about["mean_uncertainty"] = round(self.mean_uncertainty, 5)
            about["uncertainty_is_calibrated"] = self.is_calibrated
        return about


def predict_volume(
    volume: Volume, config: PredictConfig, out: Any = None, stop: Stop = never, uncertainty: Any = None
) -> Job[Prediction]:
    """Predict a stack.

    Parameters
    ----------
    volume
        The wide-field stack.
    config
        Model, device, tile and the like.
    out
        FloatArray of the stack's shape, float32 and zero, to be filled; made if not given. Anything that reads and
        assigns boxes will do, such as a memory map.
    stop
        Asked between layers of the network; the tiles that are finished are kept.
    uncertainty
        As ``out``, for the expected errors, where the config asks for them.

    Yields
    ------
    TileDone, Progress, Notice

    Raises
    ------
    InputError
        If the stack, model or device cannot be used.
    """
    from napari_deep3d.nn.ensemble import TestTimeEnsemble
    from napari_deep3d.nn.generator import STRIDE
    from napari_deep3d.nn.inference import BoxPredictor, TilingSummary, predict_tiles
    from napari_deep3d.nn.model_file import load_model

    plan = plan_prediction(volume, config)
    notices = list(plan.notices)
    for notice in plan.notices:
        yield Notice(notice)
    yield Progress(0, plan.tiles, "reading the stack")
    bounds, bad = usable_range(volume, plan.model)
    if bad:
        notices.append(f"{bad} voxels are not finite numbers; they are taken as background.")
        yield Notice(notices[-1])
    novelty = compare_with_training_data(volume, plan.spacing_um, plan.model)
    if novelty is not None and novelty.is_unlike:
        notices.append(novelty.notice)
        yield Notice(novelty.notice)
    out = np.zeros(volume.shape, np.float32) if out is None else out
    if config.uncertainty and uncertainty is None:
        uncertainty = np.zeros(volume.shape, np.float32)
    take = partial(_take, out, uncertainty, notices)
    clock, outcome = Clock(), TilingSummary(stopped=True)
    generator, _ = load_model(find_model(config.model))
    reader = StackInput(volume, plan.grid, bounds)
    if plan.model.network_input == "plane":
        reader = PlaneInput(volume, plan.grid, bounds, plan.grid.model_step_um(plan.spacing_um))
    yield Progress(0, plan.tiles, "measuring the stack")
    try:
        network = yield from tap(_network(generator, reader, plan, stop), take)
        extra = 0
        if config.uncertainty:
            network, extra = TestTimeEnsemble(network, plan.model.uncertainty), SPREAD_RADIUS
        # The halo surrounds the core; the band in which tiles are blended lies within it.
        z, y, x = (
            max(0, h - ceil(b * zoom)) + extra for h, b, zoom in zip(plan.halo, BLEND, plan.grid.zoom, strict=True)
        )
        predictor = BoxPredictor(network, reader, plan.grid, (z, y, x), STRIDE)
        outcome = yield from tap(predict_tiles(predictor, plan.layout, stop=stop), take)
        network.release()
    except StoppedError:
        pass
    made = _result(volume, plan, out, outcome, clock.seconds, notices, bounds)
    return replace(made, uncertainty=uncertainty if config.uncertainty else None, novelty=novelty)


def _take(out: Any, uncertainty: Any, notices: list[str], event: Event) -> None:
    """Add a finished tile to the results, and a notice to the others."""
    if isinstance(event, TileDone):
        out[event.region] = out[event.region] + event.values
        if event.uncertainty is not None:
            uncertainty[event.region] = uncertainty[event.region] + event.uncertainty
    elif isinstance(event, Notice):
        notices.append(event.message)


def _network(generator: Generator, reader: StackInput, plan: PredictionPlan, stop: Stop) -> Job[Any]:
    """The generator with the stack's statistics frozen in; measured in part where memory runs out."""
    import torch

    from napari_deep3d.nn.devices import DTYPES
    from napari_deep3d.nn.folded_network import FoldedNetwork, sample_boxes
    from napari_deep3d.nn.inference import is_out_of_memory

    pieces = [reader(box) for box in sample_boxes(plan.grid.model_shape)]
    while True:
        try:
            return FoldedNetwork(generator, pieces, torch.device(plan.device), DTYPES[plan.precision], stop)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        pieces = fewer(pieces)
        yield Notice("Not enough memory to measure the whole stack; a part of it stands for the whole.")


def fewer(pieces: list[FloatArray]) -> list[FloatArray]:
    """Every second piece, or the middle half of a single one: what still fits where memory ran out.

    Raises
    ------
    InputError
        If the piece is too small to be halved.
    """
    if len(pieces) > 1:
        return pieces[::2]
    axis = int(np.argmax(pieces[0].shape))
    size = pieces[0].shape[axis]
    if size < MIN_PIECE:
        raise InputError(
            "Not enough memory to measure the stack. Close other programs, or choose the CPU as the device."
        )
    return [np.take(pieces[0], range(size // 4, size // 4 + size // 2), axis)]


def _result(
    volume: Volume,
    plan: PredictionPlan,
    out: Any,
    outcome: Any,
    seconds: float,
    notices: list[str],
    bounds: tuple[float, float],
) -> Prediction:
    return Prediction(
        data=out,
        spacing_um=plan.spacing_um,
        origin_um=volume.origin_um,
        model=plan.model.name,
        device=plan.device,
        precision=plan.precision,
        tile=plan.tile,
        halo=plan.halo,
        seconds=seconds,
        voxels_per_second=outcome.tiles_done / max(1, plan.tiles) * float(np.prod(volume.shape)) / seconds,
        tile_mismatch=outcome.mismatch,
        notices=tuple(notices),
        complete=not outcome.stopped,
        intensity_range=bounds,
        mean_uncertainty=outcome.mean_uncertainty,
        is_calibrated=plan.model.uncertainty is not None,
    )
