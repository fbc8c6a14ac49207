"""A picture of stacks side by side, in x-y and x-z."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core.types import Spacing

WIDTH_INCHES = 3.2
MAX_RATIO = 1.4


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
        Voxel size (Z, Y, X) in um.
    plane, row
        Index of the plane and of the row that the cross section goes through.
    title
        Line above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    z_um, y_um, x_um = (n * s for n, s in zip(stacks[0][1].shape, spacing_um, strict=True))
    heights = [min(MAX_RATIO, y_um / x_um), min(MAX_RATIO, z_um / x_um)]
    size = (WIDTH_INCHES * len(stacks), WIDTH_INCHES * sum(heights) + 0.9)
    figure = Figure(figsize=size, layout="constrained", facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(stacks), squeeze=False, height_ratios=heights)
    for column, (caption, voxels) in enumerate(stacks):
        limits = {"vmin": float(np.percentile(voxels, 0.1)), "vmax": float(np.percentile(voxels, 99.9))}
        sections = ((voxels[plane], (0, x_um, y_um, 0)), (voxels[:, row], (0, x_um, z_um, 0)))
        for line, (section, extent) in enumerate(sections):
            axis = axes[line, column]
            axis.imshow(section, cmap="gray", extent=extent, aspect="equal", interpolation="nearest", **limits)
            axis.set_xticks([])
            axis.set_yticks([])
        axes[0, column].set_title(caption, color="white", fontsize=10)
        axes[0, column].axhline((row + 0.5) * spacing_um[1], color="#ffd34d", linewidth=0.6, linestyle=":")
    _label(axes, x_um, y_um, z_um)
    figure.suptitle(title, color="white", fontsize=10)
    figure.savefig(path, dpi=110, facecolor="black")
    return path


def _label(axes: Any, x_um: float, y_um: float, z_um: float) -> None:
    """Name the sections and draw a scale bar into each."""
    length = _round_length(x_um / 4)
    for axis, name, depth in ((axes[0, 0], "x-y", y_um), (axes[1, 0], "x-z", z_um)):
        axis.set_ylabel(name, color="white", fontsize=10)
        axis.plot([0.05 * x_um, 0.05 * x_um + length], [0.93 * depth] * 2, color="white", linewidth=2.5)
        axis.text(0.05 * x_um, 0.90 * depth, f"{length:g} um", color="white", fontsize=8, va="bottom")


def _round_length(um: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above ``um``."""
    power = 10.0 ** np.floor(np.log10(um))
    return float(max(step for step in (1, 2, 5) if step * power <= um) * power)
