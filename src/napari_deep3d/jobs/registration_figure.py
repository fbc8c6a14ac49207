"""A picture of a registration: the stacks over each other before and after, and the curves behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core.box import Box
from napari_deep3d.core.registration.result import Registration
from napari_deep3d.core.registration.transform import Transform
from napari_deep3d.core.registration.warp import AlignedPair, resample
from napari_deep3d.core.types import DoubleArray
from napari_deep3d.core.volume import Volume

PSF_COLOUR, CORRELATION_COLOUR, MARKER_COLOUR = "#d81b60", "#777777", "#1e88e5"
LONGEST_PIXELS = 700
PANEL_INCHES, CURVES_INCHES = 2.6, 2.5


def draw_registration(
    path: Path, registration: Registration, pair: AlignedPair, confocal: Volume, widefield: Volume, name: str
) -> Path:
    """Draw a registration: wide-field green, confocal magenta, in x-y and x-z, before and after; curves below.

    Parameters
    ----------
    path
        Picture to write.
    registration
        What was found.
    pair
        The stacks after it.
    confocal, widefield
        The stacks before it.
    name
        What the pair is called.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    z_um, y_um, x_um = (n * step for n, step in zip(pair.confocal.shape, pair.spacing_um, strict=True))
    height = float(np.clip(PANEL_INCHES * max(y_um, z_um) / x_um, 1.2, 5.0)) + 0.7
    figure = Figure(figsize=(4 * PANEL_INCHES + 1, height + CURVES_INCHES + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    parts: Any = figure.subfigures(2, 1, height_ratios=(height, CURVES_INCHES))
    above, below = parts
    plane, row = _brightest(pair.confocal)
    axes = above.subplots(1, 4)
    whole = Box.whole(pair.confocal.shape)
    boxes = {"x-y": whole.with_axis(0, plane, plane + 1), "x-z": whole.with_axis(1, row, row + 1)}
    for column, (title, box) in enumerate((t, b) for t in boxes.items() for b in ("before", "after")):
        section, (view, part) = box, title
        seen = pair.widefield[part]
        if section == "after":
            moved = pair.confocal[part]
        else:
            moved = _unregistered(confocal, widefield, part.shifted(pair.region.start))
        _overlay(axes[column], np.squeeze(seen), np.squeeze(moved), view, section, pair)
    curves = below.subplots(1, 3)
    _curves(curves, registration)
    below.legend(*curves[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    figure.suptitle(f"{name}: {registration.in_words()} (wide-field green, confocal magenta)", fontsize=11)
    figure.savefig(path, dpi=110)
    return path


def _brightest(stack: NDArray[Any]) -> tuple[int, int]:
    """Plane and row with the most light."""
    return int(stack.mean(axis=(1, 2)).argmax()), int(stack.mean(axis=(0, 2)).argmax())


def _unregistered(confocal: Volume, widefield: Volume, box: Box) -> NDArray[Any]:
    """The confocal stack on a box of the wide-field stack as if their first voxels lay on each other."""
    matrix = Transform.shift((0, 0, 0)).index_matrix(widefield.require_spacing_um(), confocal.require_spacing_um())
    scale = np.array(confocal.require_spacing_um()) / widefield.require_spacing_um()
    ends = [int(n * s) for n, s in zip(confocal.shape, scale, strict=True)]
    stops = [min(part.stop, max(part.start + 1, end)) for part, end in zip(box, ends, strict=True)]
    if any(part.start >= end for part, end in zip(box, ends, strict=True)):
        return np.zeros(box.shape)
    seen = resample(confocal, matrix, Box.spanning(box.start, stops))
    return np.pad(seen, [(0, n - m) for n, m in zip(box.shape, seen.shape, strict=True)])


def _overlay(
    axis: Any, widefield: NDArray[Any], confocal: NDArray[Any], view: str, section: str, pair: AlignedPair
) -> None:
    """One section, true to scale: green and magenta, grey where both are."""
    step_z, step_y, step_x = pair.spacing_um
    step = step_y if view == "x-y" else step_z
    thin = max(1, max(widefield.shape) // LONGEST_PIXELS)
    thin_rows = thin if view == "x-y" else 1
    green, magenta = (_scaled(image[::thin_rows, ::thin]) for image in (widefield, confocal))
    extent = (0, widefield.shape[1] * step_x, widefield.shape[0] * step, 0)
    axis.imshow(np.stack([magenta, green, magenta], axis=-1), extent=extent, aspect="equal", interpolation="nearest")
    axis.set_title(f"{view} {section}", fontsize=10)
    axis.set_xlabel("x (um)", fontsize=8)
    axis.set_ylabel("y (um)" if view == "x-y" else "z (um)", fontsize=8)
    axis.tick_params(labelsize=7)


def _scaled(image: NDArray[Any]) -> DoubleArray:
    low, high = np.percentile(image, (1, 99.7))
    return np.asarray(np.clip((image - low) / max(float(high - low), 1e-9), 0, 1), dtype=np.float64)


def _curves(axes: Any, registration: Registration) -> None:
    """Profiles of the PSF and of the cross-correlations through the shift."""
    kinds = (
        ("PSF", registration.psf, {"color": PSF_COLOUR, "linewidth": 2}),
        ("cross-correlation, filtered", registration.filtered_correlation, {"color": CORRELATION_COLOUR}),
        ("cross-correlation, plain", registration.plain_correlation, {"color": CORRELATION_COLOUR, "linestyle": ":"}),
    )
    for number, (axis, name) in enumerate(zip(axes, "zyx", strict=True)):
        for label, shifts, style in kinds:
            curve = shifts.profile(number, registration.shift_um)
            axis.plot(curve.shift_um, curve.values, label=label, **style)
        axis.axvline(registration.shift_um[number], color=MARKER_COLOUR, linewidth=1, label="the shift")
        axis.set_xlabel(f"shift along {name} (um)", fontsize=9)
        axis.tick_params(labelsize=8)
