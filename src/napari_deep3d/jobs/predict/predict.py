"""Predict a confocal-like stack: the job behind the command, the Python function and the panel."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_deep3d.core import (
    Box,
    Clock,
    Deepest,
    Event,
    Job,
    Notice,
    PredictConfig,
    Progress,
    Quality,
    Shape,
    Spacing,
    Stop,
    StoppedError,
    TileDone,
    Volume,
    WritableStack,
    mapped,
    never,
    tap,
)
from napari_deep3d.core.novelty.explain import Novelty
from napari_deep3d.core.tiling import TilePlan, blend_weight
from napari_deep3d.jobs.models.store import model_sha256, open_model
from napari_deep3d.jobs.predict.network_input import Prepared, prepare

if TYPE_CHECKING:
    import torch

    from napari_deep3d.jobs.predict.plan import PredictionPlan
    from napari_deep3d.nn.folded_network import FoldedNetwork, Measured
    from napari_deep3d.nn.generator import Generator
    from napari_deep3d.nn.inference import BoxPredictor, TilingSummary


@dataclass(frozen=True)
class Output:
    """Where the voxels of a prediction go: arrays, layers' data or open files; float32, and zero at first.

    Axes are (Z, Y, X), or (T, Z, Y, X) where ``time`` is the time point that is predicted. ``uncertainty`` takes the
    error to expect in each voxel; None where it was not asked for.
    """

    prediction: WritableStack
    uncertainty: WritableStack | None = None
    time: int | None = None

    @classmethod
    def in_memory(cls, shape: Shape, uncertainty: bool) -> Output:
        """Arrays for a stack of ``shape`` (Z, Y, X), with or without its uncertainty."""
        return cls(np.zeros(shape, np.float32), np.zeros(shape, np.float32) if uncertainty else None)

    @property
    def tiles_done(self) -> int:
        """Number of tiles that are in it already."""
        return 0

    def place(self, region: Box) -> tuple[int | slice, ...]:
        """The index of a box of the stack (Z, Y, X) within the arrays."""
        return tuple(region) if self.time is None else (self.time, *region)

    def add(self, tile: TileDone) -> None:
        """Add a finished tile."""
        box = self.place(tile.region)
        for stack, values in ((self.prediction, tile.values), (self.uncertainty, tile.uncertainty)):
            if stack is not None and values is not None:
                stack[box] = stack[box] + values

    def even_out(self, layout: TilePlan, tiles: int) -> None:
        """Bring the edge of the first ``tiles`` tiles of a plan to its full value, where no tile follows.

        Tiles are added as they blend with their neighbours; without one, their edge would fade to 0.
        """
        weight_of = blend_weight(layout, tiles)
        for tile in layout:
            weight = weight_of(tile.core)
            faded = (weight > 0) & (weight < 1 - 1e-4)
            if not faded.any():
                continue
            box = self.place(tile.core)
            for stack in (self.prediction, self.uncertainty):
                if stack is not None:
                    values = np.asarray(stack[box])
                    stack[box] = np.divide(values, weight, out=values.copy(), where=faded)


@dataclass(frozen=True)
class Skipped:
    """A time point, counted from 0, that shows nothing: it is left out of a series and 0 in its result.

    ``reason`` is the rest of a sentence about it, such as ``is constant``.
    """

    time: int
    reason: str

    @property
    def notice(self) -> str:
        """A sentence for the user."""
        return f"Time point {self.time} (counted from 0) {self.reason}: it is left out, and 0 in the result."


@dataclass(frozen=True)
class Prediction:
    """A confocal-like stack and how it was made.

    Attributes
    ----------
    data : array, axes (Z, Y, X)
        float32, 0 to about 1; of another kind where an output of another kind was given, None if it is in a file.
    spacing_um, origin_um : tuple of float
        Voxel size and position of the first voxel (Z, Y, X).
    model, quality, deepest, device, precision : str
        What it was computed with; ``quality`` is ``best`` wherever there is an uncertainty, ``deepest`` the plane
        that was taken for the deepest.
    tile, halo : tuple of int
        Voxels (Z, Y, X) computed at a time, and what the network saw around them.
    seconds, voxels_per_second : float
        Time that it took.
    tile_mismatch : float
        How much neighbouring tiles differ where they overlap, relative to the standard deviation of the result.
    notices : tuple of str
        Sentences that the user should read.
    complete : bool
        False if it was stopped; tiles that were not computed are then 0.
    intensity_range : tuple of float
        Intensities of the wide-field stack that became 0 and 1.
    uncertainty, mean_uncertainty : array and float, or None
        The absolute error to expect in each voxel, axes and unit of ``data``, where it was asked for, and its mean; no
        more than the spread of the predictions if ``is_calibrated`` is false.
    novelty : Novelty or None
        How far the stack is from those that the model was trained on; None if the model does not say.
    skipped : tuple of Skipped
        Time points of a series that show nothing.
    model_sha256 : str
        Checksum of the model's file.
    """

    data: Any = field(repr=False)
    spacing_um: Spacing
    origin_um: Spacing
    model: str
    quality: Quality
    deepest: Deepest
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
    skipped: tuple[Skipped, ...] = ()
    model_sha256: str = ""

    def provenance(self) -> dict[str, object]:
        """Everything but the voxels, as plain values."""
        about: dict[str, object] = {
            "model": self.model,
            "model_sha256": self.model_sha256,
            "quality": self.quality,
            "deepest": self.deepest,
            "device": self.device,
            "precision": self.precision,
            "tile": list(self.tile),
            "halo": list(self.halo),
            "seconds": round(self.seconds, 2),
            "voxels_per_second": round(self.voxels_per_second),
            "tile_mismatch": round(self.tile_mismatch, 5),
            "warnings": list(self.notices),
            "skipped": [asdict(skipped) for skipped in self.skipped],
            "complete": self.complete,
            "input_intensities_of_0_and_1": list(self.intensity_range),
            "likeness": None if self.novelty is None else self.novelty.report(),
        }
        if self.mean_uncertainty is not None:
            about["mean_uncertainty"] = round(self.mean_uncertainty, 5)
            about["uncertainty_is_calibrated"] = self.is_calibrated
        return about


def predict_volume(
    volume: Volume, config: PredictConfig, into: Output | None = None, stop: Stop = never
) -> Job[Prediction]:
    """Prepare a stack and predict it.

    Parameters
    ----------
    volume, config : Volume, PredictConfig
        The wide-field stack; model, device, tile and the like.
    into : Output or None
        Where the voxels go; arrays in memory if not given.
    stop : callable
        Asked for every plane that is read, and after every slab of a layer; the tiles that are finished are kept.

    Yields
    ------
    TileDone, Progress, Notice

    Raises
    ------
    InputError
        If the stack, model or device cannot be used.
    """
    yield Progress(0, 1, "reading the stack")
    prepared = prepare(volume, config, stop)
    if into is None:
        into = Output.in_memory(volume.shape, config.uncertainty)
    return (yield from predict(prepared, into, stop))


def predict(prepared: Prepared, into: Output, stop: Stop = never) -> Job[Prediction]:
    """Predict a prepared stack; otherwise as :func:`predict_volume`."""
    plan, clock = prepared.plan, Clock()
    notices: list[str] = []
    tiles = into.tiles_done

    def keep(event: Event) -> None:
        nonlocal tiles
        if isinstance(event, TileDone):
            into.add(event)
            tiles += 1
        elif isinstance(event, Notice):
            notices.append(event.message)

    try:
        summary = yield from tap(_compute(prepared, stop, into.tiles_done), keep)
    except Exception:
        if isinstance(into.prediction, np.ndarray):  # the window keeps the finished part; a file goes
            into.even_out(plan.layout, tiles)
        raise
    if summary.stopped:
        into.even_out(plan.layout, tiles)
    made = described(prepared, summary, tuple(notices), clock.seconds)
    return replace(made, data=into.prediction, uncertainty=into.uncertainty)


def described(prepared: Prepared, summary: TilingSummary, notices: tuple[str, ...], seconds: float) -> Prediction:
    """A prediction, without its voxels, that took some seconds, as its plan and what it found out describe it."""
    plan = prepared.plan
    return Prediction(
        data=None,
        spacing_um=plan.spacing_um,
        origin_um=prepared.volume.origin_um,
        model=plan.model.name,
        model_sha256=model_sha256(prepared.config.model),
        quality=plan.quality,
        deepest=prepared.config.deepest,
        device=plan.device,
        precision=plan.precision,
        tile=plan.tile,
        halo=plan.halo,
        seconds=seconds,
        voxels_per_second=summary.tiles_done / max(1, plan.tiles) * float(prod(plan.layout.shape)) / seconds,
        tile_mismatch=summary.mismatch,
        notices=notices,
        complete=not summary.stopped,
        intensity_range=prepared.intensity_range,
        mean_uncertainty=summary.mean_uncertainty,
        is_calibrated=plan.model.uncertainty is not None,
        novelty=prepared.novelty,
    )


def _compute(prepared: Prepared, stop: Stop, tiles_done: int) -> Job[TilingSummary]:
    """Yield what the user should know, and then tile after tile, without the first ones that are done."""
    from napari_deep3d.nn.folded_network import MEASURING
    from napari_deep3d.nn.inference import TilingSummary, predict_tiles

    plan = prepared.plan
    for notice in prepared.notices:
        yield Notice(notice)
    if tiles_done == len(plan.layout):
        return TilingSummary()
    # 1. The network, with the norm statistics of this stack.
    clock, measuring = Clock(), plan.measuring_share

    def tell(start: float, end: float, event: Event) -> Event:
        """Progress of a part of the work as that of the whole."""
        if not isinstance(event, Progress):
            return event
        return clock.progress(start + (end - start) * event.fraction, 1, event.message)

    yield clock.progress(0, 1, MEASURING)
    try:
        folded = yield from mapped(measure_stack(prepared, stop), partial(tell, 0.0, measuring))
    except StoppedError:
        return TilingSummary(stopped=True)
    # 2. Tile by tile.
    predicting = predict_tiles(box_predictor(folded, prepared), plan.layout, tiles_done=tiles_done, stop=stop)
    tiles = mapped(predicting, partial(tell, measuring, 1.0))
    summary = yield from tiles if prepared.no_data is None else _on_image(tiles, prepared)
    folded.release()
    return summary


def measure_stack(prepared: Prepared, stop: Stop = never) -> Job[FoldedNetwork]:
    """The network with the norm statistics of a prepared stack; left by a StoppedError."""
    from napari_deep3d.nn.folded_network import fold_stack

    plan = prepared.plan
    fold = fold_stack(
        _generator(prepared.config),
        prepared.network_input,
        plan.grid.model_shape,
        *_place(plan),
        stop,
        max_voxels=plan.measured_voxels,
        is_image=prepared.is_image if prepared.has_gaps else None,
    )
    return (yield from fold)


def with_statistics(prepared: Prepared, measured: Measured) -> FoldedNetwork:
    """The same network, of statistics that were measured elsewhere."""
    from napari_deep3d.nn.folded_network import FoldedNetwork

    return FoldedNetwork.of_measured(_generator(prepared.config), measured, *_place(prepared.plan))


def box_predictor(folded: FoldedNetwork, prepared: Prepared) -> BoxPredictor:
    """What predicts any box of a prepared stack's region, in the quality that was asked for."""
    from napari_deep3d.nn.inference import BoxPredictor
    from napari_deep3d.nn.tta import AugmentedNetwork

    plan, network = prepared.plan, folded.steps
    if plan.quality == "best":
        turned = AugmentedNetwork(folded, plan.model.uncertainty)
        network = turned.steps if prepared.config.uncertainty else turned.mean_steps
    return BoxPredictor(network, prepared.network_input, plan.grid, plan.seen_halo, folded.stride)


def _generator(config: PredictConfig) -> Generator:
    from napari_deep3d.nn.tta import UPSIDE_DOWN, augmented

    generator: Generator = open_model(config.model)[0]
    return augmented(generator, UPSIDE_DOWN) if config.deepest == "first" else generator


def _place(plan: PredictionPlan) -> tuple[torch.device, torch.dtype]:
    import torch

    from napari_deep3d.nn.devices import DTYPES

    return torch.device(plan.device), DTYPES[plan.precision]


def _on_image(tiles: Job[TilingSummary], prepared: Prepared) -> Job[TilingSummary]:
    """Pass tiles of the region on as tiles of the whole stack, 0 where there is no image."""
    uncertainty = 0.0

    def blanked(event: Event) -> Event:
        nonlocal uncertainty
        if not isinstance(event, TileDone):
            return event
        image = ~prepared.is_blank(event.region)
        spread = None if event.uncertainty is None else event.uncertainty * image
        if spread is not None:
            uncertainty += float(spread.sum(dtype=np.float64))
        return TileDone(event.region.shifted(prepared.region.start), event.values * image, spread)

    summary = yield from mapped(tiles, blanked)
    if summary.mean_uncertainty is None or summary.stopped or prepared.no_data is None:
        return summary
    return replace(summary, mean_uncertainty=uncertainty / prepared.image_voxels)
