"""Measure how good a prediction is: against its confocal stack, beside its wide-field stack, and by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import (
    MOSTLY_SATURATED,
    Box,
    Clock,
    DoubleArray,
    EvaluateConfig,
    FloatArray,
    InputError,
    Job,
    LazyStack,
    NoData,
    NoImageError,
    NormalisedStack,
    Notice,
    Progress,
    Spacing,
    Stack,
    Steps,
    Stop,
    StoppedError,
    Volume,
    doubt_spacing,
    format_spacing,
    intensity_range,
    is_flat,
    never,
    read_box,
    saturated_share,
    told,
)
from napari_deep3d.core.evaluation.agreement import measure_agreement
from napari_deep3d.core.evaluation.micro_ssim import check_micro_ssim, measure_micro_ssim
from napari_deep3d.core.evaluation.no_reference import measure_stack
from napari_deep3d.core.evaluation.ring_correlation import measure_ring_correlation, measure_shell_correlation
from napari_deep3d.core.evaluation.spectrum import AxialSpectrum
from napari_deep3d.core.no_data.image_part import cropped, either, find_no_image, image_part

T = TypeVar("T")

WIDEFIELD, PREDICTION, CONFOCAL = "widefield", "prediction", "confocal"
TITLES = {WIDEFIELD: "wide-field", PREDICTION: "prediction", CONFOCAL: "confocal"}
SAME_SPACING = 0.02
"""Voxel sizes that differ by no more than this share are those of one grid."""
USUAL = (-1.0, 3.0)
"""Where the 0.1st and 99.9th percentiles of a prediction lie that is on the scale from 0 to 1."""
HELD_BYTES = 1_000_000_000
"""Stacks up to this size together are held in memory while they are measured."""
SCORES = ("rmse", "ssim", "rmse_fit", "ssim_fit")


@dataclass(frozen=True)
class StackEvaluation:
    """What was measured of one stack.

    Attributes
    ----------
    figures : mapping
        Single numbers by name; names end in their unit where there is one.
    by_depth : mapping
        Of each plane of the part that is image, arrays (Z,), by name; NaN where there is nothing to tell.
    lateral : pair of arrays
        Lateral spectrum: share of the Nyquist frequency, and power.
    axial : AxialSpectrum
        3D spectrum, around the optical axis.
    """

    figures: Mapping[str, float]
    by_depth: Mapping[str, DoubleArray] = field(repr=False)
    lateral: tuple[DoubleArray, DoubleArray] = field(repr=False)
    axial: AxialSpectrum = field(repr=False)

    def report(self, z_um: DoubleArray) -> dict[str, object]:
        """Plain values for JSON."""
        depth = {"z_um": z_um.tolist()} | {name: values.tolist() for name, values in self.by_depth.items()}
        return {**self.figures, "by_depth": depth}


class Sections(NamedTuple):
    """A plane (Y, X) and a cross section (Z, X) of a stack, float32, on the scale that it was measured on."""

    plane: FloatArray
    cross: FloatArray


@dataclass(frozen=True)
class Evaluation:
    """How good a prediction is.

    Attributes
    ----------
    name : str
        Of the prediction.
    names : mapping
        Of all stacks, by their roles.
    stacks : mapping
        What was measured, by ``widefield``, ``prediction`` and ``confocal``; of those that were given.
    sections : mapping
        What to look at of each, through ``place``; of the prediction after the fit, if there is a confocal stack.
    place : (int, int)
        Plane and row of the sections.
    region : Box
        The part of the stacks that is image and was measured.
    spacing_um : Spacing
        Voxel size (Z, Y, X).
    config : EvaluateConfig
        The settings.
    notices : tuple of str
        Sentences for the user.
    provenance : mapping
        How the prediction came about, as its file says.
    seconds : float
        Time taken.
    """

    name: str
    names: Mapping[str, str]
    stacks: Mapping[str, StackEvaluation]
    sections: Mapping[str, Sections] = field(repr=False)
    place: tuple[int, int]
    region: Box
    spacing_um: Spacing
    config: EvaluateConfig
    notices: tuple[str, ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def z_um(self) -> DoubleArray:
        """Depth of the planes that were measured, from the first plane of the stacks."""
        return np.arange(self.region.z.start, self.region.z.stop) * self.spacing_um[0]

    def report(self) -> dict[str, object]:
        """Plain values for JSON: those of the prediction, and those of the other stacks under their names."""
        others = {role: found.report(self.z_um) for role, found in self.stacks.items() if role != PREDICTION}
        return {
            "name": self.name,
            **self.stacks[PREDICTION].report(self.z_um),
            **others,
            "shape": list(self.region.shape),
            "spacing_um": list(self.spacing_um),
            "percentiles": list(self.config.percentiles),
            "warnings": list(self.notices),
            "model": self.provenance.get("model"),
            "seconds": round(self.seconds, 2),
        }

    def lines(self) -> dict[str, object]:
        """The same for people, without what goes by depth."""
        return {TITLES[role]: dict(found.figures) for role, found in self.stacks.items()} | {"seconds": self.seconds}


@dataclass(frozen=True)
class _Watched(LazyStack):
    """A stack whose every reading asks ``stop``, and is left by a StoppedError when it is true."""

    stack: Stack
    stop: Stop

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return tuple(self.stack.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number."""
        return np.dtype(self.stack.dtype)

    def _read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        if self.stop():
            raise StoppedError
        return np.asarray(self.stack[box])


def evaluate_volumes(
    prediction: Volume,
    confocal: Volume | None = None,
    widefield: Volume | None = None,
    config: EvaluateConfig | None = None,
    *,
    provenance: Mapping[str, object] | None = None,
    stop: Stop = never,
) -> Job[Evaluation]:
    """Measure a prediction, read plane by plane.

    Parameters
    ----------
    prediction, confocal, widefield : Volume
        Voxel on voxel, of one shape. The prediction is taken as it is, on a scale from 0 to 1, and after a fit; of the
        others two percentiles become 0 and 1. What is no image in one of them does not count in any. Without a confocal
        stack the others are measured by themselves.
    config : EvaluateConfig or None
        The settings.
    provenance : mapping
        How the prediction came about.
    stop : callable
        Asked at every plane.

    Raises
    ------
    InputError
        If the stacks do not belong together, have no voxel size, or one shows nothing.
    StoppedError
        If it was stopped.
    """
    clock, config = Clock(), config or EvaluateConfig()
    given = {WIDEFIELD: widefield, PREDICTION: prediction, CONFOCAL: confocal}
    volumes = {role: volume for role, volume in given.items() if volume is not None}
    ready = yield from _prepare(volumes, config, stop)
    for notice in ready.notices:
        yield Notice(notice)

    # 1. The measures: each a part of the time.
    plan, judged = _Plan(clock, list(volumes), config.micro_ssim, stop), dict[str, StackEvaluation]()
    for role in volumes:
        judged[role] = yield from _measure(role, ready, config, plan)

    # 2. What to look at: the sharpest plane of the confocal stack, or else the prediction, and there the brightest row.
    region, shown = ready.region, list(volumes)[-1]
    plane = int(np.nanargmax(judged[shown].by_depth["sharpness_signal"]))
    row = int(np.asarray(ready.scaled[shown][plane]).mean(axis=1).argmax())
    sections = {role: _sections(stack, plane, row) for role, stack in ready.scaled.items()}
    if CONFOCAL in volumes:
        scale, offset = (np.float32(judged[PREDICTION].figures[name]) for name in ("scale", "offset"))
        as_it_is = _sections(ready.compared[PREDICTION], plane, row)
        sections[PREDICTION] = Sections(*(scale * section + offset for section in as_it_is))
    return Evaluation(
        name=prediction.name,
        names={role: volume.name for role, volume in volumes.items()},
        stacks=judged,
        sections=sections,
        place=(plane + region.z.start, row + region.y.start),
        region=region,
        spacing_um=ready.spacing_um,
        config=config,
        notices=tuple(ready.notices),
        provenance=dict(provenance or {}),
        seconds=clock.seconds,
    )


class _Ready(NamedTuple):
    """Stacks that can be measured, by their roles: the part that is image, what else is in it filled.

    ``scaled`` on their own percentiles; ``compared`` the same, but the prediction as it is. ``no_data`` is what does
    not count of the ``region`` of the stacks that they are.
    """

    scaled: Mapping[str, Stack]
    compared: Mapping[str, Stack]
    no_data: NoData | None
    region: Box
    spacing_um: Spacing
    notices: list[str]


def _prepare(volumes: Mapping[str, Volume], config: EvaluateConfig, stop: Stop) -> Job[_Ready]:
    """Check the stacks, find what is image in all of them, and bring them to one scale."""
    if config.micro_ssim:
        check_micro_ssim()
    spacing_um, notices = check_together(volumes, config.spacing_um)
    yield Progress(0, 1, "reading the stacks")
    watched, no_data = _held(volumes, stop), None
    for role, volume in volumes.items():
        found = find_no_image(watched[role])
        _check_image(volume.name, TITLES[role], watched[role], found)
        if found is not None:
            notices.append(f"The {TITLES[role]} stack: {found.sentence}; they do not count.")
        no_data = either(no_data, found)
        yield Progress(0, 1, "reading the stacks")
    if no_data is not None and no_data.is_everything:
        raise InputError("the stacks have no image in common: where one shows something, another is blank. Crop them.")
    parts = {role: image_part(stack, no_data) for role, stack in watched.items()}
    region = parts[PREDICTION].region
    no_data = cropped(no_data, region)
    bounds = {role: intensity_range(part.data, config.percentiles, no_data) for role, part in parts.items()}
    scaled: dict[str, Stack] = {role: NormalisedStack(part.data, bounds[role]) for role, part in parts.items()}
    low, high = bounds[PREDICTION]
    if CONFOCAL in volumes and not USUAL[0] <= low <= high <= USUAL[1]:
        notices.append(
            f"The prediction has values of about {low:.4g} to {high:.4g}, not 0 to 1: rmse and ssim take it as it is "
            "and say little; rmse_fit and ssim_fit do not depend on scale and offset."
        )
    compared = scaled | {PREDICTION: NormalisedStack(parts[PREDICTION].data, (0.0, 1.0))}
    return _Ready(scaled, compared, no_data, region, spacing_um, notices)


def _measure(role: str, ready: _Ready, config: EvaluateConfig, plan: _Plan) -> Job[StackEvaluation]:
    """All measures of one stack."""
    own, truth, title = ready.compared[role], ready.scaled.get(CONFOCAL), TITLES[role]
    figures, by_depth = dict[str, float](), dict[str, DoubleArray]()
    if truth is not None and role != CONFOCAL:
        close = yield from plan.told(measure_agreement(own, truth, ready.no_data), f"{title}: RMSE and SSIM", 5)
        figures |= {name: getattr(close.score, name) for name in SCORES}
        figures |= {"scale": close.scale, "offset": close.offset}
        by_depth |= {name: getattr(close.by_plane, name) for name in SCORES}
        ring = yield from plan.told(measure_ring_correlation(own, truth, ready.spacing_um), f"{title}: FRC", 1)
        shell = yield from plan.told(measure_shell_correlation(own, truth, ready.spacing_um), f"{title}: FSC", 1)
        figures |= {"frc_um": ring.resolution_um, "fsc_um": shell.resolution_um}
    if truth is not None and role != CONFOCAL and config.micro_ssim:
        planes = yield from plan.told(measure_micro_ssim(own, truth), f"{title}: MicroSSIM", 6)
        figures["micro_ssim"] = float(np.mean(planes[np.isfinite(planes)]))
        by_depth["micro_ssim"] = planes
    message = f"{title}: resolution, sharpness, spectra"
    alone = yield from plan.told(measure_stack(ready.scaled[role], ready.spacing_um, ready.no_data, truth), message, 4)
    figures |= alone.figures()
    by_depth |= {"sharpness_signal": alone.sharpness.signal, "sharpness_background": alone.sharpness.background}
    return StackEvaluation(figures, by_depth, alone.lateral.curve(), alone.axial)


def check_together(volumes: Mapping[str, Volume], spacing_um: Spacing | None = None) -> tuple[Spacing, list[str]]:
    """Refuse (InputError) stacks that do not lie voxel on voxel; return their voxel size, and sentences for the user.

    ``volumes`` by their roles; ``spacing_um`` (Z, Y, X) takes the place of what they say.
    """
    first, notices = CONFOCAL if CONFOCAL in volumes else PREDICTION, list[str]()
    other = volumes[first]
    remedy = "Voxel is compared with voxel: register the pair first (napari-deep3d register), or crop both alike."
    for role, volume in volumes.items():
        if volume.shape != other.shape:
            sizes = " and ".join(
                f"the {title} stack {each.name} has {' x '.join(map(str, each.shape))}"
                for title, each in ((TITLES[role], volume), (TITLES[first], other))
            )
            raise InputError(f"the stacks differ in size: {sizes} voxels (Z, Y, X). {remedy}")
    stated = {role: volume.spacing_um for role, volume in volumes.items() if volume.spacing_um is not None}
    if spacing_um is None:
        if not stated:
            other.require_spacing_um()
        spacing_um = stated.get(first) or next(iter(stated.values()))
        for role, size in stated.items():
            if any(abs(a / b - 1) > SAME_SPACING for a, b in zip(size, spacing_um, strict=True)):
                sizes = f"{format_spacing(size)} of the {TITLES[role]} stack {volumes[role].name}"
                raise InputError(
                    f"the voxel sizes differ: {sizes}, {format_spacing(spacing_um)} of the {TITLES[first]} stack "
                    f"{other.name}. {remedy} If a file is wrong about it, give the voxel size with --spacing "
                    "(spacing_um=...)."
                )
    for role, volume in volumes.items():
        apart = [abs(a - b) / step for a, b, step in zip(volume.origin_um, other.origin_um, spacing_um, strict=True)]
        if max(apart) > 0.5:
            notices.append(
                f"The files put the {TITLES[role]} stack elsewhere than the {TITLES[first]} stack; they are compared "
                "as if their first voxels lay on each other."
            )
    doubt = doubt_spacing(spacing_um)
    return spacing_um, [
        *dict.fromkeys(n for v in volumes.values() for n in v.notices),
        *([doubt] if doubt else []),
        *notices,
    ]


def _held(volumes: Mapping[str, Volume], stop: Stop) -> dict[str, Stack]:
    """The voxels, held in memory if they are few, so that packed files are read once; each reading asks ``stop``."""
    watched = {role: _Watched(volume.data, stop) for role, volume in volumes.items()}
    size = sum(prod(stack.shape) * stack.dtype.itemsize for stack in watched.values())
    if size > HELD_BYTES:
        return dict(watched)
    held = {role: np.stack([stack[z] for z in range(stack.shape[0])]) for role, stack in watched.items()}
    return {role: _Watched(voxels, stop) for role, voxels in held.items()}


def _check_image(name: str, title: str, stack: Stack, no_data: NoData | None) -> None:
    """Refuse (NoImageError) a stack without image or structure, or a recording that is mostly overexposed."""
    called = f"the {title} stack {name}"
    choose = "a stack with structure is needed. Check that the right channel and file were chosen."
    if no_data is not None and no_data.is_everything:
        raise NoImageError(called, f"holds no image, only blank planes ({no_data.values_text})", choose)
    low, high = intensity_range(stack, (0, 100), no_data)
    if is_flat((low, high), stack.dtype):
        raise NoImageError(called, f"is constant (every voxel about {low:g})", choose)
    share = 0.0 if title == TITLES[PREDICTION] else saturated_share(stack, high, no_data)
    if share > MOSTLY_SATURATED:
        raise NoImageError(
            called,
            f"is overexposed ({share:.0%} of it is at the largest value)",
            f"at most {MOSTLY_SATURATED:.0%} is allowed. Acquire it again with less light or exposure.",
        )


class _Plan:
    """The share of the work that each measure is, for the time left."""

    def __init__(self, clock: Clock, roles: Sequence[str], micro_ssim: bool, stop: Stop) -> None:
        self._clock, self._stop, self._done = clock, stop, 0.0
        compared = len(roles) - 1 if CONFOCAL in roles else 0
        self._total = 4.0 * len(roles) + (7.0 + 6.0 * micro_ssim) * compared

    def told(self, steps: Steps[T], message: str, work: float) -> Job[T]:
        """Run a measure that is so much work, in the units of all."""

        def tell(share: float) -> Progress:
            return self._clock.progress(self._done + share * work, self._total, message)

        yield tell(0.0)
        result = yield from told(steps, tell, self._stop)
        self._done += work
        return result


def _sections(stack: Stack, plane: int, row: int) -> Sections:
    whole = Box.whole(stack.shape)
    rows = whole.with_axis(1, row, row + 1)
    cross = [read_box(stack, rows.with_axis(0, z, z + 1))[0, 0] for z in range(stack.shape[0])]
    return Sections(read_box(stack, whole.with_axis(0, plane, plane + 1))[0], np.stack(cross))
