"""Pictures of stacks, in x-y and x-z and true to scale: side by side, or a registered pair over each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import Box, Spacing, Volume, writing, zyx
from napari_deep3d.core.registration import AlignedPair, Registration, Transform, resample

DOTS_PER_INCH = 110
COMPARED_INCHES = 3.2
"""Width of each of the stacks side by side."""
MAX_RATIO = 1.4
"""Of the height of a section to its width, beyond which it is drawn smaller."""
SECTION_INCHES, CURVES_INCHES = 2.6, 2.5
"""Width of each section of a registered pair, and height of the curves below."""
MAX_PIXELS = 700
"""Longest side of a section of a registered pair; every n-th pixel is drawn beyond."""
PSF_COLOUR, CORRELATION_COLOUR, SHIFT_COLOUR = "#d81b60", "#777777", "#1e88e5"


def draw_comparison(
    path: Path,
    stacks: Sequence[tuple[str, NDArray[Any]]],
    spacing_um: Spacing,
    *,
    plane: int,
    row: int,
    title: str = "",
) -> Path:
    """Draw stacks of one shape side by side: above a plane (x-y), below a cross section (x-z), true to scale.

    Parameters
    ----------
    path
        Picture to write; its ending gives the format.
    stacks
        Caption and voxels, axes (Z, Y, X), of each.
    spacing_um
        Voxel size (Z, Y, X).
    plane, row
        Index of the plane and of the row that the cross section goes through.
    title
        Line above the picture.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    z_um, y_um, x_um = _size_um(stacks[0][1], spacing_um)
    heights = [min(MAX_RATIO, y_um / x_um), min(MAX_RATIO, z_um / x_um)]
    figure = new_figure(COMPARED_INCHES * len(stacks), COMPARED_INCHES * sum(heights) + 0.9, facecolor="black")
    axes = figure.subplots(2, len(stacks), squeeze=False, height_ratios=heights)

    # 1. A column for each stack.
    for column, (caption, voxels) in enumerate(stacks):
        limits = {"vmin": float(np.percentile(voxels, 0.1)), "vmax": float(np.percentile(voxels, 99.9))}
        for axis, section, depth in zip(axes[:, column], (voxels[plane], voxels[:, row]), (y_um, z_um), strict=True):
            show_section(axis, section, (x_um, depth), cmap="gray", **limits)
            axis.set_xticks([])
            axis.set_yticks([])
        axes[0, column].set_title(caption, color="white", fontsize=10)
        axes[0, column].axhline((row + 0.5) * spacing_um[1], color="#ffd34d", linewidth=0.6, linestyle=":")

    # 2. Names of the sections, and scale bars of 1, 2 or 5 times a power of ten, up to a quarter of the width.
    power = 10.0 ** np.floor(np.log10(x_um / 4))
    length = float(max(step for step in (1, 2, 5) if step * power <= x_um / 4) * power)
    for axis, name, depth in ((axes[0, 0], "x-y", y_um), (axes[1, 0], "x-z", z_um)):
        axis.set_ylabel(name, color="white", fontsize=10)
        axis.plot([0.05 * x_um, 0.05 * x_um + length], [0.93 * depth] * 2, color="white", linewidth=2.5)
        axis.text(0.05 * x_um, 0.90 * depth, f"{length:g} um", color="white", fontsize=8, va="bottom")
    figure.suptitle(title, color="white", fontsize=10)
    return _save(figure, path, facecolor="black")


def draw_registration(
    path: Path, registration: Registration, pair: AlignedPair, confocal: Volume, widefield: Volume, name: str
) -> Path:
    """Draw a registration: wide-field green, confocal magenta, in x-y and x-z, before and after; curves below.

    ``pair`` are the stacks after it, ``confocal`` and ``widefield`` those before it, ``name`` is what they are called.
    InputError if it cannot be written.
    """
    z_um, y_um, x_um = _size_um(pair.confocal, pair.spacing_um)
    height = float(np.clip(SECTION_INCHES * max(y_um, z_um) / x_um, 1.2, 5.0)) + 0.7
    figure = new_figure(4 * SECTION_INCHES + 1, height + CURVES_INCHES + 0.4)
    above, below = figure.subfigures(2, 1, height_ratios=(height, CURVES_INCHES))

    # 1. The plane and the row with most light, before and after: green and magenta, grey where both are.
    plane, row = (int(pair.confocal.mean(axis=axes).argmax()) for axes in ((1, 2), (0, 2)))
    whole = Box.whole(pair.confocal.shape)
    in_plane, in_row = whole.with_axis(0, plane, plane + 1), whole.with_axis(1, row, row + 1)
    axes = iter(above.subplots(1, 4))
    for view, box, depth_um in (("x-y", in_plane, y_um), ("x-z", in_row, z_um)):
        before = _as_acquired(confocal, widefield, box.shifted(pair.region.start))
        for when, moved in (("before", before), ("after", pair.confocal[box])):
            sections = [np.squeeze(pair.widefield[box]), np.squeeze(moved)]
            thin = max(1, max(sections[0].shape) // MAX_PIXELS)
            thin_rows = thin if view == "x-y" else 1
            green, magenta = (_from_0_to_1(section[::thin_rows, ::thin]) for section in sections)
            axis = next(axes)
            show_section(axis, np.stack([magenta, green, magenta], axis=-1), (x_um, depth_um))
            axis.set_title(f"{view} {when}", fontsize=10)
            axis.set_xlabel("x (um)", fontsize=8)
            axis.set_ylabel("y (um)" if view == "x-y" else "z (um)", fontsize=8)
            axis.tick_params(labelsize=7)

    # 2. The PSF and the cross-correlations along each axis, through the shift.
    kinds = (
        ("PSF", registration.psf, {"color": PSF_COLOUR, "linewidth": 2}),
        ("cross-correlation, filtered", registration.filtered_correlation, {"color": CORRELATION_COLOUR}),
        ("cross-correlation, plain", registration.plain_correlation, {"color": CORRELATION_COLOUR, "linestyle": ":"}),
    )
    curves = below.subplots(1, 3)
    for number, (axis, letter) in enumerate(zip(curves, "zyx", strict=True)):
        for label, shifts, style in kinds:
            curve = shifts.profile(number, registration.shift_um)
            axis.plot(curve.shift_um, curve.values, label=label, **style)
        axis.axvline(registration.shift_um[number], color=SHIFT_COLOUR, linewidth=1, label="the shift")
        axis.set_xlabel(f"shift along {letter} (um)", fontsize=9)
        axis.tick_params(labelsize=8)
    below.legend(*curves[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    figure.suptitle(f"{name}: {registration.in_words()} (wide-field green, confocal magenta)", fontsize=11)
    return _save(figure, path)


def _as_acquired(confocal: Volume, widefield: Volume, box: Box) -> NDArray[Any]:
    """The confocal stack on a box of the wide-field stack as if their first voxels lay on each other; 0 beyond it."""
    confocal_um, widefield_um = confocal.require_spacing_um(), widefield.require_spacing_um()
    ends = zyx(int(n * (a / b)) for n, a, b in zip(confocal.shape, confocal_um, widefield_um, strict=True))
    if any(first >= end for first, end in zip(box.start, ends, strict=True)):
        return np.zeros(box.shape)
    stops = (min(stop, max(first + 1, end)) for first, stop, end in zip(box.start, box.stop, ends, strict=True))
    inside = Box.spanning(box.start, stops)
    matrix = Transform.shift((0, 0, 0)).index_matrix(widefield_um, confocal_um)
    missing = [(0, n - m) for n, m in zip(box.shape, inside.shape, strict=True)]
    return np.pad(resample(confocal, matrix, inside), missing)


def _from_0_to_1(section: NDArray[Any]) -> NDArray[Any]:
    """Intensities between the 1st and the 99.7th percentile brought to 0 and 1, others cut; 0 for what is no number."""
    finite = np.isfinite(section)
    low, high = np.percentile(section[finite], (1, 99.7)) if finite.any() else (0.0, 1.0)
    section = np.where(finite, section, low)
    return np.asarray(np.clip((section - low) / max(float(high - low), 1e-9), 0, 1), dtype=np.float64)


def _size_um(voxels: NDArray[Any], spacing_um: Spacing) -> Spacing:
    return zyx(n * step for n, step in zip(voxels.shape, spacing_um, strict=True))


def new_figure(width_inches: float, height_inches: float, **style: Any) -> Any:
    """A figure that needs no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), layout="constrained", **style)
    FigureCanvasAgg(figure)
    return figure


def show_section(axis: Any, section: NDArray[Any], size_um: tuple[float, float], **style: Any) -> None:
    """Show a section, its size along x and down given in um."""
    extent = (0, size_um[0], size_um[1], 0)
    axis.imshow(section, extent=extent, aspect="equal", interpolation="nearest", **style)


def _save(figure: Any, path: Path, **style: Any) -> Path:
    with writing(path, "Give a folder that you may write to.") as part:
        figure.savefig(part, dpi=DOTS_PER_INCH, **style)
    return path
