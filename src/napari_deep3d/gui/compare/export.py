"""What a comparison shows, as files: the picture as PNG or SVG, the curves and the table as CSV. No window needed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from napari_deep3d.core import DoubleArray, FloatArray, Vector, writing
from napari_deep3d.core.evaluation.profile import Profile
from napari_deep3d.gui.compare.measuring import Alone, Numbers
from napari_deep3d.gui.compare.roles import DIFFERENCE
from napari_deep3d.gui.compare.sections import (
    AXES,
    BAR_SHARE,
    CROSS_COLOUR,
    LINE_COLOUR,
    Bounds,
    Placement,
    nice_length,
)
from napari_deep3d.gui.compare.stacks import ComparedStack, Section

PICTURE_INCHES, DOTS_PER_INCH = 3.4, 250
REMEDY = "Choose a folder that you may write to."


@dataclass(frozen=True)
class Scene:
    """All that is on show.

    Attributes
    ----------
    stacks : sequence of ComparedStack
    sections : sequence of sequence of Section or None
        Of each stack, by placement.
    placements : sequence of Placement
    bounds : Bounds
    point_um : tuple of float
        The crosshair.
    line_um : pair of tuple of float, or None
    seen_um : tuple of float
        First row, first column, last row, last column on the screen.
    columns : int
        Pictures in a row.
    """

    stacks: Sequence[ComparedStack]
    sections: Sequence[Sequence[Section | None]] = field(repr=False)
    placements: Sequence[Placement]
    bounds: Bounds
    point_um: Vector
    line_um: tuple[Vector, Vector] | None
    seen_um: tuple[float, float, float, float]
    columns: int


def draw_scene(path: Path, scene: Scene) -> Path:
    """Draw the pictures as they stand, each with title, scale bar and the intensities that are black and white.

    The ending of ``path`` gives the format, such as ``.png`` or ``.svg``. InputError if it cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    top, left, bottom, right = scene.seen_um
    rows = -(-len(scene.stacks) // scene.columns)
    height = PICTURE_INCHES * (bottom - top) / (right - left) + 0.45
    size = (PICTURE_INCHES * scene.columns, height * rows + 0.3)
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, scene.columns, squeeze=False).ravel()
    for axis in axes[len(scene.stacks) :]:
        axis.set_visible(False)
    for axis, stack, sections in zip(axes, scene.stacks, scene.sections, strict=False):
        _draw_picture(axis, scene, stack, sections)
    place = ", ".join(f"{name} {value:.2f}" for name, value in zip(AXES, scene.point_um, strict=True))
    names = ", ".join(placement.name for placement in scene.placements)
    figure.supxlabel(f"{names}; crosshair at {place} {_unit(scene.stacks)}", fontsize=8)
    with writing(path, REMEDY) as part, mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(part, dpi=DOTS_PER_INCH, format=path.suffix.lstrip(".").lower())
    return path


def _draw_picture(axis: Any, scene: Scene, stack: ComparedStack, sections: Sequence[Section | None]) -> None:
    top, left, bottom, right = scene.seen_um
    axis.set_facecolor("black")
    axis.set_xticks([])
    axis.set_yticks([])
    for section, placement in zip(sections, scene.placements, strict=True):
        if section is not None:
            first_row, first_column, height, width = section.rectangle
            first_row, first_column = first_row + placement.shift[0], first_column + placement.shift[1]
            frame = (first_column, first_column + width, first_row + height, first_row)
            axis.imshow(_coloured(section, stack), extent=frame, interpolation="nearest", origin="upper")
        row, column = placement.to_screen(scene.point_um)
        low_row, low_column, high_row, high_column = placement.frame(scene.bounds)
        axis.plot([low_column, high_column], [row, row], color=CROSS_COLOUR, linewidth=0.5)
        axis.plot([column, column], [low_row, high_row], color=CROSS_COLOUR, linewidth=0.5)
        if scene.line_um is not None:
            ends = [placement.to_screen(end) for end in scene.line_um]
            axis.plot([end[1] for end in ends], [end[0] for end in ends], color=LINE_COLOUR, linewidth=1)
    axis.set_xlim(left, right)
    axis.set_ylim(bottom, top)
    axis.set_aspect("equal")
    length = nice_length(BAR_SHARE * (right - left))
    x, y = left + 0.04 * (right - left), bottom - 0.05 * (bottom - top)
    for colour, width in (("black", 5), ("white", 2.5)):
        axis.plot([x, x + length], [y, y], color=colour, linewidth=width, solid_capstyle="butt")
    shade = {"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 1}
    text = f"{length:g} {_unit([stack])}"
    axis.text(x, y - 0.03 * (bottom - top), text, color="white", fontsize=8, va="bottom", bbox=shade)
    kinds = ("blue, darker:", "brown, brighter:") if stack.role == DIFFERENCE else ("dark", "bright")
    low, high = stack.limits
    axis.set_title(f"{stack.title}\n{kinds[0]} {low:.5g}, {kinds[1]} {high:.5g}", fontsize=8)


def _coloured(section: Section, stack: ComparedStack) -> FloatArray:
    """Red, green, blue from 0 to 1 of a section's pixels, as they are drawn."""
    low, high = stack.limits
    shares = (np.nan_to_num(section.pixels.astype(np.float32), nan=low) - low) / (high - low)
    chosen = np.clip(shares * (len(stack.colours) - 1), 0, len(stack.colours) - 1).astype(np.uint8)
    return np.asarray(stack.colours[chosen] / 255, dtype=np.float32)


def write_tables(path: Path, profiles: Mapping[str, Profile], numbers: Numbers | Alone | None) -> list[Path]:
    """Write ``NAME.csv``, a line for each stack, and beside it ``NAME-profile.csv`` and ``NAME-depth.csv``.

    The last ones only where there are such curves. InputError if a file cannot be written.
    """
    measured = {each.title: each.agreement.score for each in numbers.measured} if isinstance(numbers, Numbers) else {}
    alone = {} if numbers is None else (numbers.alone if isinstance(numbers, Numbers) else numbers).figures
    names = list(next(iter(alone.values()), {}))
    rows = [
        [
            "stack",
            "FWHM (um)",
            "contrast",
            *(["RMSE", "SSIM", "reference"] if isinstance(numbers, Numbers) else []),
            *names,
        ]
    ]
    for title in dict.fromkeys([*profiles, *measured, *alone]):
        profile, score = profiles.get(title), measured.get(title)
        line = ["", ""] if profile is None else [_text(profile.fwhm_um), _text(profile.contrast)]
        if isinstance(numbers, Numbers):
            line += ["", "", ""] if score is None else [_text(score.rmse_fit), _text(score.ssim_fit), numbers.reference]
        line += [_text(alone[title][name]) if title in alone else "" for name in names]
        rows.append([title, *line])
    written = [_write(path, rows)]
    if profiles:
        head = [name for title in profiles for name in (f"distance (um), {title}", f"intensity, {title}")]
        columns = [values for each in profiles.values() for values in (each.distance_um, each.values)]
        written.append(_write(path.with_name(f"{path.stem}-profile.csv"), [head, *_lines(columns)]))
    if isinstance(numbers, Numbers):
        head, columns = list[str](), list[DoubleArray]()
        for each in numbers.measured:
            head += [f"z (um), {each.title}", f"RMSE, {each.title}", f"SSIM, {each.title}"]
            columns += [each.depth_um, each.agreement.by_plane.rmse_fit, each.agreement.by_plane.ssim_fit]
        written.append(_write(path.with_name(f"{path.stem}-depth.csv"), [head, *_lines(columns)]))
    return written


def table_paths(path: Path) -> list[Path]:
    """The files that :func:`write_tables` may write."""
    return [path, *(path.with_name(f"{path.stem}-{kind}.csv") for kind in ("profile", "depth"))]


def _lines(columns: Sequence[DoubleArray]) -> list[list[str]]:
    return [list(line) for line in zip_longest(*([_text(value) for value in each] for each in columns), fillvalue="")]


def _text(value: float) -> str:
    return f"{value:.6g}" if np.isfinite(value) else ""


def _write(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    with writing(path, REMEDY) as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def _unit(stacks: Sequence[ComparedStack]) -> str:
    return "um" if all(stack.has_um for stack in stacks) else "voxels"
