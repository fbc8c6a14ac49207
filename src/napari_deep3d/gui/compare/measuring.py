"""How close stacks are to a reference, on the voxels of the reference that all of them show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pyqtgraph as pg

from napari_deep3d.core import (
    Box,
    Clock,
    CroppedStack,
    DoubleArray,
    FloatArray,
    Job,
    LazyStack,
    NoData,
    NormalisedStack,
    Progress,
    Stack,
    Stop,
    check_stack,
    is_flat,
    measure_intensities,
    read_box,
    told,
)
from napari_deep3d.core.evaluation.agreement import Agreement, measure_agreement
from napari_deep3d.core.evaluation.contrast import measure_contrast_to_noise
from napari_deep3d.core.evaluation.metrics import scale_and_offset
from napari_deep3d.core.evaluation.resolution import measure_resolution
from napari_deep3d.core.no_data.image_part import cropped, either, find_no_image, image_part
from napari_deep3d.gui.compare.roles import DIFFERENCE
from napari_deep3d.gui.compare.stacks import TABLE_SIZE, ComparedStack, OnVoxelsOf, shared_box

PERCENTILES = (0.1, 99.9)
"""Of the reference: they become 0 and 1."""
FIT_VOXELS = 1_000_000
"""The difference's scale and offset are those of about so many voxels, evenly spread over the planes."""
LIMIT_PERCENTILE = 99.9
ALONE = ("resolution x-y (um)", "resolution z (um)", "contrast to noise")
"""What is told of a stack without a reference."""
DIVERGING = "CET-CBD1"
"""Blue over white to yellow-brown (Kovesi): centred, and readable with any kind of colour blindness."""


@dataclass(frozen=True)
class Measured:
    """How close a stack is to the reference.

    Attributes
    ----------
    title : str
        What the stack is called.
    agreement : Agreement
    depth_um : array (Z,)
        Position of the planes along Z.
    """

    title: str
    agreement: Agreement
    depth_um: DoubleArray = field(repr=False)


@dataclass(frozen=True)
class Alone:
    """What stacks say by themselves: by title, figures by name, which ends in the unit."""

    figures: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Numbers:
    """Measures of all stacks against one reference, over a share of its voxels; and what each says by itself."""

    reference: str
    measured: tuple[Measured, ...]
    share: float
    alone: Alone


@dataclass(frozen=True)
class Scaled:
    """The reference from 0 to 1 in the box of its voxels that all stacks show, and what is no image in one of them."""

    truth: Stack
    region: Box
    no_data: NoData | None


def measure(stacks: Sequence[ComparedStack], reference: ComparedStack, stop: Stop) -> Job[Numbers]:
    """Measure stacks against a reference, and all by themselves; a job. InputError if they share too little."""
    scaled = scale_reference(stacks, reference)
    depth_um = reference.matrix[0, 3] + reference.matrix[0, 0] * np.arange(scaled.region.z.start, scaled.region.z.stop)
    clock, found = Clock(), list[Measured]()
    for number, stack in enumerate(stacks):
        image = NormalisedStack(OnVoxelsOf(stack, reference, scaled.region), (0.0, 1.0))  # what is not finite becomes 0
        steps = measure_agreement(image, scaled.truth, scaled.no_data)

        def tell(share: float, done: int = number) -> Progress:
            return clock.progress(done + share, 2 * len(stacks) + 1, "measuring")

        agreement = yield from told(steps, tell, stop)
        found.append(Measured(stack.title, agreement, np.asarray(depth_um)))
    share = float(np.prod(scaled.region.shape) / np.prod(reference.data.shape))
    alone = yield from _alone([*stacks, reference], stop, clock, len(stacks))
    return Numbers(reference.title, tuple(found), share, alone)


def measure_alone(stacks: Sequence[ComparedStack], stop: Stop) -> Job[Alone]:
    """Measure what can be told of stacks without a reference; a job. InputError if one is too small, or no numbers."""
    for stack in stacks:
        check_stack(stack.data, stack.title)
    return (yield from _alone(stacks, stop, Clock(), 0))


def _alone(stacks: Sequence[ComparedStack], stop: Stop, clock: Clock, before: int) -> Job[Alone]:
    """What stacks say by themselves, after ``before`` other pieces of work; those without image are left out."""
    found = dict[str, dict[str, float]]()
    for number, stack in enumerate(stacks, before):
        no_data = find_no_image(stack.data)
        if no_data is not None and no_data.is_everything:
            continue
        part = image_part(stack.data, no_data)
        no_data = cropped(no_data, part.region)
        limits, _ = measure_intensities(part.data, PERCENTILES, no_data)
        if is_flat(limits, part.data.dtype):
            found[stack.title] = dict.fromkeys(ALONE, float("nan"))
            continue
        image = NormalisedStack(part.data, limits)

        def tell(share: float, done: float = number) -> Progress:
            return clock.progress(done + share / 2, before + len(stacks), "measuring")

        fineness = yield from told(measure_resolution(image, stack.spacing_um), tell, stop)
        contrast = yield from told(
            measure_contrast_to_noise(image, None, no_data), partial(tell, done=number + 0.5), stop
        )
        found[stack.title] = dict(zip(ALONE, (fineness.lateral_um, fineness.axial_um, contrast), strict=True))
    return Alone(found)


def scale_reference(stacks: Sequence[ComparedStack], reference: ComparedStack) -> Scaled:
    """Bring a reference to the scale on which its percentiles are 0 and 1, on what all stacks show."""
    region = shared_box(stacks, reference)
    truth = CroppedStack(reference.data, region)
    no_data = find_no_image(truth)
    for stack in stacks:
        no_data = either(no_data, find_no_image(OnVoxelsOf(stack, reference, region)))
    limits, _ = measure_intensities(truth, PERCENTILES, no_data)
    return Scaled(NormalisedStack(truth, limits), region, no_data)


class Difference(LazyStack):
    """A stack, brought to the scale of a reference by ``scale`` and ``offset``, minus that reference (0 to 1)."""

    def __init__(self, stack: Stack, truth: Stack, scale: float, offset: float, is_array: bool) -> None:
        self._stack, self._truth, self.scale, self.offset = stack, truth, scale, offset
        self.is_array = is_array
        """Whether a box costs next to nothing."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along Z, Y, X."""
        return tuple(self._truth.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number."""
        return np.dtype(np.float32)

    def _read(self, box: tuple[slice, ...]) -> FloatArray:
        part = Box(*box)
        scaled = np.float32(self.scale) * read_box(self._stack, part) + np.float32(self.offset)
        return np.asarray(scaled - read_box(self._truth, part), dtype=np.float32)


def fit_scale_and_offset(image: Stack, truth: Stack) -> tuple[float, float]:
    """The a and b with which a x + b is closest to the truth by least squares, from voxels spread over the stack."""
    planes, rows, columns = truth.shape
    step = max(1, int(np.ceil((planes * rows * columns / FIT_VOXELS) ** (1 / 3))))
    parts = [
        [np.asarray(stack[z], np.float64)[::step, ::step].ravel() for z in range(0, planes, step)]
        for stack in (image, truth)
    ]
    x, y = (np.concatenate(part) for part in parts)
    kept = np.isfinite(x) & np.isfinite(y)
    x, y = x[kept], y[kept]
    return scale_and_offset(x, y) if x.size else (0.0, 0.0)


def differences(stacks: Sequence[ComparedStack], reference: ComparedStack) -> list[ComparedStack]:
    """What each stack has more (above zero) and less (below) than the reference, in shares of its range; one scale."""
    scaled = scale_reference(stacks, reference)
    matrix = reference.matrix.copy()
    matrix[:3, 3] += matrix[:3, :3] @ scaled.region.start
    made, limit = list[Difference](), 0.0
    for stack in stacks:
        image = OnVoxelsOf(stack, reference, scaled.region)
        is_array = image.is_array and reference.is_at_hand
        made.append(Difference(image, scaled.truth, *fit_scale_and_offset(image, scaled.truth), is_array))
        chosen = np.unique(np.linspace(0, scaled.region.shape[0] - 1, 9).round().astype(int))
        sizes = [np.abs(made[-1][int(z)]) for z in chosen]
        limit = max(limit, float(np.nanpercentile(np.concatenate(sizes), LIMIT_PERCENTILE)))
    colours = pg.colormap.get(DIVERGING).getLookupTable(nPts=TABLE_SIZE)[:, :3].astype(np.uint8)
    limit = limit or 1.0
    return [
        replace(
            reference,
            title=f"{stack.title} - {reference.title}",
            role=DIFFERENCE,
            data=data,
            matrix=matrix,
            limits=(-limit, limit),
            colours=colours,
            layer=None,
        )
        for stack, data in zip(stacks, made, strict=True)
    ]
