"""Pictures of an evaluation: sections and their difference, line profiles, curves by depth, spectra."""

from __future__ import annotations

from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from napari_deep3d.core import FloatArray, Stop, StoppedError, never
from napari_deep3d.core.evaluation.profile import Profile
from napari_deep3d.jobs.evaluate.evaluate import CONFOCAL, PREDICTION, TITLES, WIDEFIELD, Evaluation
from napari_deep3d.jobs.figures import new_figure, show_section

COLOURS = {WIDEFIELD: "#e69f00", PREDICTION: "#0072b2", CONFOCAL: "#555555"}
"""Told apart by people with any colour vision (Okabe and Ito)."""
COLUMN_INCHES = 3.1
MAX_RATIO = 1.3
MAX_PIXELS = 700
DOTS_PER_INCH = 100


class Picture(NamedTuple):
    """A picture as PNG, and what it shows."""

    caption: str
    png: bytes


def draw_evaluation(found: Evaluation, stop: Stop = never) -> list[Picture]:
    """Draw sections, profiles, curves by depth and spectra of an evaluation; StoppedError if stopped in between."""
    pictures = list[Picture]()
    for draw in (_draw_sections, _draw_profiles, _draw_depth, _draw_spectra):
        if stop():
            raise StoppedError
        pictures.append(draw(found))
    return pictures


def _draw_sections(found: Evaluation) -> Picture:
    columns = [(TITLES[role], list(found.sections[role]), "gray", 0.0, 1.0) for role in found.sections]
    if CONFOCAL in found.sections:
        pair = zip(found.sections[PREDICTION], found.sections[CONFOCAL], strict=True)
        differences = [a - b for a, b in pair]
        limit = max(1e-3, float(max(np.percentile(np.abs(part), 99.5) for part in differences)))
        columns.append(("prediction - confocal", differences, "RdBu_r", -limit, limit))
    z_um, y_um, x_um = (n * step for n, step in zip(found.region.shape, found.spacing_um, strict=True))
    heights = [min(MAX_RATIO, y_um / x_um), max(0.2, min(MAX_RATIO, z_um / x_um))]
    figure = new_figure(COLUMN_INCHES * len(columns) + 0.6, COLUMN_INCHES * sum(heights) + 1.0)
    axes = figure.subplots(2, len(columns), squeeze=False, height_ratios=heights)
    plane, row = found.place
    for column, (title, sections, colours, low, high) in enumerate(columns):
        for axis, section, down_um in zip(axes[:, column], sections, (y_um, z_um), strict=True):
            show_section(axis, _thinned(section), (x_um, down_um), cmap=colours, vmin=low, vmax=high)
            axis.tick_params(labelsize=7)
        axes[0, column].set_title(title, fontsize=10)
        axes[1, column].set_xlabel("x (um)", fontsize=8)
    axes[0, 0].set_ylabel("y (um)", fontsize=8)
    axes[1, 0].set_ylabel("z (um)", fontsize=8)
    if CONFOCAL in found.sections:
        bar = figure.colorbar(axes[0, -1].images[0], ax=axes[:, -1], shrink=0.6)
        bar.ax.tick_params(labelsize=7)
    figure.suptitle(f"plane {plane} (x-y), row {row} (x-z), counted from 0", fontsize=9)
    shown = "All are shown from 0 (black) to 1 (white) on their own percentiles"
    if CONFOCAL not in found.sections:
        return Picture(
            f"The sharpest plane of the prediction and its brightest row, true to scale. {shown}.", _png(figure)
        )
    return Picture(
        f"The sharpest plane of the confocal stack and its brightest row, true to scale. {shown}, the prediction after "
        "the fit; right, where the prediction is too bright (red) or too dark (blue).",
        _png(figure),
    )


def _draw_profiles(found: Evaluation) -> Picture:
    """Line profiles along x and z through the brightest voxel of the row that the sections show."""
    across, along = new_figure(11, 3.0).subplots(1, 2)
    z_um, _, x_um = found.spacing_um
    row = found.place[1] - found.region.y.start
    column = int(found.sections[list(found.sections)[-1]].plane[row].argmax())
    for role, (section, cross) in found.sections.items():
        for axis, values, start, step_um in (
            (across, section[row], found.region.x.start, x_um),
            (along, cross[:, column], found.region.z.start, z_um),
        ):
            places_um = step_um * (start + np.arange(len(values)))
            profile = Profile(places_um, np.asarray(values, dtype=np.float64))
            width_um = profile.fwhm_um
            width = f", FWHM {width_um:.2f} um" if np.isfinite(width_um) else ""
            axis.plot(profile.distance_um, profile.values, color=COLOURS[role], label=f"{TITLES[role]}{width}")
    for axis, name in ((across, "x"), (along, "z")):
        axis.set_xlabel(f"{name} (um)", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.legend(fontsize=8)
    across.set_ylabel("dark 0, bright 1", fontsize=9)
    return Picture(
        f"Line profiles along x and z through the brightest voxel of that row (plane {found.place[0]}, row "
        f"{found.place[1]}, column {column + found.region.x.start}), a voxel wide. FWHM is the full width at half "
        "maximum of the highest peak, half way down to the lowest point: of the structure and the blur together.",
        _png(across.figure),
    )


def _draw_depth(found: Evaluation) -> Picture:
    *compared, sharpness = (new_figure(11, 3.2) if CONFOCAL in found.stacks else new_figure(5, 3.2)).subplots(
        1, 3 if CONFOCAL in found.stacks else 1, squeeze=False
    )[0]
    figure = sharpness.figure
    for role, stack in found.stacks.items():
        style = {"color": COLOURS[role], "label": TITLES[role]}
        if role != CONFOCAL:
            for axis, name in zip(compared, ("rmse_fit", "ssim_fit"), strict=False):
                axis.plot(found.z_um, stack.by_depth[name], **style)
        sharpness.semilogy(found.z_um, _positive(stack.by_depth["sharpness_signal"]), **style)
        sharpness.semilogy(found.z_um, _positive(stack.by_depth["sharpness_background"]), color=style["color"], ls=":")
    for axis, label in zip(compared, ("RMSE after the fit", "SSIM after the fit"), strict=False):
        axis.set_ylabel(label, fontsize=9)
    sharpness.set_ylabel("sharpness (1/px)", fontsize=9)
    for axis in (*compared, sharpness):
        axis.set_xlabel("z (um)", fontsize=9)
        axis.tick_params(labelsize=8)
    figure.legend(*sharpness.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return Picture(
        (
            "By depth: distance from the confocal stack, likeness to it, and sharpness"
            if compared
            else "Sharpness by depth,"
        )
        + " of the sharpest (signal, solid) and the least sharp patch (background, dotted) of each plane.",
        _png(figure),
    )


def _draw_spectra(found: Evaluation) -> Picture:
    figure = new_figure(3.6 + 2.6 * len(found.stacks), 3.2)
    curve, *maps = figure.subplots(1, 1 + len(found.stacks), width_ratios=[1.4] + [1] * len(found.stacks))
    for role, stack in found.stacks.items():
        frequency, power = stack.lateral
        curve.loglog(frequency / (2 * found.spacing_um[1]), _positive(power), color=COLOURS[role], label=TITLES[role])
    curve.set_xlabel("lateral frequency (1/um)", fontsize=9)
    curve.set_ylabel("mean power", fontsize=9)
    curve.legend(fontsize=8)
    logs = {role: np.log10(_positive(stack.axial.power)) for role, stack in found.stacks.items()}
    highest = max(float(np.nanmax(values)) for values in logs.values())
    extent = (0, 1 / (2 * found.spacing_um[1]), 0, 1 / (2 * found.spacing_um[0]))
    for axis, (role, values) in zip(maps, logs.items(), strict=True):
        axis.imshow(
            values, origin="lower", extent=extent, aspect="auto", cmap="viridis", vmin=highest - 6, vmax=highest
        )
        axis.set_title(TITLES[role], fontsize=9)
        axis.set_xlabel("across z (1/um)", fontsize=8)
        axis.tick_params(labelsize=7)
    maps[0].set_ylabel("along z (1/um)", fontsize=8)
    curve.tick_params(labelsize=8)
    return Picture(
        "Power spectra on the scale where the percentiles are 0 and 1: in planes, and of the volume, averaged around "
        "the optical axis (six powers of ten from yellow to dark).",
        _png(figure),
    )


def _positive(values: Any) -> Any:
    """Values that a logarithm can be taken of; NaN for the others."""
    return np.where(values > 0, values, np.nan)


def _thinned(section: FloatArray) -> FloatArray:
    rows, columns = (max(1, n // MAX_PIXELS) for n in section.shape)
    return section[::rows, ::columns]


def _png(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()
