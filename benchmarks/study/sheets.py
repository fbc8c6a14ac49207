"""Sheets of the study: sections and differences of a test pair (Fig. 3, 6), curves, spectra, and registration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage as ndi

from benchmarks.common.scores import scaled
from benchmarks.common.tables import Row
from benchmarks.study.study import BUNDLED, WIDE_FIELD
from benchmarks.study.trainings import BASE
from napari_deep3d import evaluate
from napari_deep3d.core import DoubleArray, FloatArray, Shape, Spacing, zyx
from napari_deep3d.core.evaluation.profile import line_profile
from napari_deep3d.core.evaluation.spectrum import AxialSpectrum
from napari_deep3d.core.registration.result import Curve
from napari_deep3d.jobs.evaluate.evaluate import PREDICTION, StackEvaluation
from napari_deep3d.jobs.figures import new_figure, show_section
from napari_deep3d.jobs.pairs import CONFOCAL

COLOURS = {
    WIDE_FIELD: "#e69f00",
    "DeepZ+": "#cc79a7",
    "2D": "#56b4e9",
    "L1": "#56b4e9",
    "L1+GAN": "#cc79a7",
    BASE: "#009e73",
    BUNDLED: "#0072b2",
    CONFOCAL: "#000000",
}
"""Told apart by people with any colour vision (Okabe and Ito)."""
INCHES = 2.1
DOTS_PER_INCH = 100
LARGEST_DIFFERENCE = 0.5
"""Of the scale from 0 to 1, at which the colours of a difference end."""
LINE_UM, ACROSS_UM = 24.0, 0.6
"""Length of the line profiles, and the width over which they are averaged."""
DEPTH_LABELS = {
    "rmse_fit": "RMSE after the best scale and offset",
    "sharpness_signal": "sharpness of signal (1/pixel)",
    "sharpness_background": "sharpness of background (1/pixel)",
}
ByDepth = Mapping[str, Mapping[str, DoubleArray]]
"""Of each stack by its title: ``z_um`` and the values of `DEPTH_LABELS` in each plane."""
REGISTRATION_COLOURS = {"PSF": "#0072b2", "cross-correlation": "#e69f00"}
SHELL = 1e-4
"""Of the largest power: what is above is inside the outline of a 3D spectrum."""


@dataclass(frozen=True)
class Shown:
    """A stack of a test pair, and what ``evaluate`` says of it.

    Attributes
    ----------
    title : str
        What it is called.
    voxels : FloatArray
        Axes (Z, Y, X), after the scale and offset that bring it closest to confocal.
    found : StackEvaluation
        Its measures.
    """

    title: str
    voxels: FloatArray
    found: StackEvaluation

    @classmethod
    def of(cls, title: str, image: FloatArray, confocal: FloatArray, spacing_um: Spacing) -> Shown:
        """A stack (Z, Y, X) on a scale from 0 to 1 beside the confocal one, as it was recorded."""
        found = evaluate(image, confocal, spacing_um=spacing_um).stacks[PREDICTION]
        return cls(title, np.float32(found.figures["scale"]) * image + np.float32(found.figures["offset"]), found)


def draw_sections(path: Path, stacks: Sequence[Shown], confocal: FloatArray, spacing_um: Spacing, title: str) -> Path:
    """Draw a plane, both cross sections through the brightest spot, and differences from confocal.

    A column for each stack; ``confocal`` (Z, Y, X) as it was recorded. Below are line profiles across and along z
    through the same spot.
    """
    truth = scaled(confocal)
    place, size_um = brightest(truth), zyx(n * step for n, step in zip(truth.shape, spacing_um, strict=True))
    z_um, y_um, x_um = size_um
    heights = [INCHES * ratio for ratio in (y_um / x_um, z_um / x_um, z_um / y_um, z_um / x_um)]
    figure = new_figure(INCHES * (len(stacks) + 1) + 0.8, sum(heights) + 3.6)
    figure.suptitle(title, fontsize=11)
    above, below = figure.subfigures(2, 1, height_ratios=(sum(heights) + 0.6, 2.8))
    axes = above.subplots(4, len(stacks) + 1, squeeze=False, height_ratios=heights)
    shown = {each.title: each.voxels for each in stacks} | {CONFOCAL: truth}
    for column, (name, voxels) in zip(axes.T, shown.items(), strict=True):
        column[0].set_title(name, fontsize=9)
        _draw_column(column, voxels, truth, place, size_um)
    for axis, name in zip(axes[:, 0], ("x-y", "x-z", "y-z", "x-z,\nless confocal"), strict=True):
        axis.set_ylabel(name, fontsize=9)
    axes[0, 0].plot([2, 12], [0.95 * y_um] * 2, color="white", linewidth=2.5)
    axes[0, 0].text(2, 0.92 * y_um, "10 um", color="white", fontsize=8, va="bottom")
    axes[3, -1].set_axis_off()
    beside = axes[3, -1].inset_axes((0.05, 0.05, 0.08, 0.9))
    above.colorbar(axes[3, 0].images[0], cax=beside, label="too dark - too bright")
    _draw_profiles(below, shown, place, spacing_um)
    return _save(figure, path)


def draw_curves(path: Path, by_depth: ByDepth, losses: Sequence[Shown], networks: Sequence[Shown]) -> Path:
    """Draw RMSE and sharpness by depth, lateral spectra of the losses and outlines of the networks' 3D spectra."""
    figure = new_figure(11, 6.6)
    axes = figure.subplots(2, 3)
    for axis, (name, label) in zip(axes[0], DEPTH_LABELS.items(), strict=True):
        _by_depth(axis, by_depth, name, label)
    for shown in losses:
        axes[1, 0].semilogy(*shown.found.lateral, color=COLOURS[shown.title], label=shown.title)
    axes[1, 0].set_xlabel("lateral frequency (share of Nyquist's)")
    axes[1, 0].set_ylabel("power")
    axes[1, 0].set_title("lateral spectrum", fontsize=10)
    _outlines(axes[1, 1], networks)
    axes[1, 2].set_axis_off()
    for axis in axes.flat:
        axis.tick_params(labelsize=8)
        axis.xaxis.label.set_size(9)
        axis.yaxis.label.set_size(9)
    axes[0, 2].legend(fontsize=8)
    axes[1, 0].legend(fontsize=8)
    axes[1, 2].legend(*axes[1, 1].get_legend_handles_labels(), loc="center left", fontsize=9)
    return _save(figure, path)


def draw_registration(path: Path, rows: Sequence[Row], curves: Mapping[str, Mapping[str, Curve]]) -> Path:
    """Draw errors along z of all pairs, and for one of each sample the curves that the shift is told by (Fig. 8).

    ``rows`` as of `registration_error.rows`; ``curves`` along z, around the true shift, by sample and method.
    """
    figure = new_figure(11, 3.4)
    axes = figure.subplots(1, 1 + len(curves))
    places = [(sample, method) for sample in curves for method in curves[sample]]
    for place, (sample, method) in enumerate(places):
        errors = [float(row["z_um"]) for row in rows if (row["sample"], row["method"]) == (sample, method)]
        aside = np.linspace(-0.25, 0.25, len(errors))
        axes[0].plot(place + aside, errors, ".", color=REGISTRATION_COLOURS[method])
        axes[0].plot([place - 0.35, place + 0.35], [np.median(errors)] * 2, color="black")
    labels = [f"{sample},\n{method}" for sample, method in places]
    axes[0].set_xticks(range(len(places)), labels, fontsize=7)
    axes[0].set_ylabel("error along z (um); line: median", fontsize=9)
    axes[0].set_yscale("symlog", linthresh=0.1)
    axes[0].set_ylim(bottom=0)
    axes[0].yaxis.set_major_formatter("{x:g}")
    for axis, (sample, by_method) in zip(axes[1:], curves.items(), strict=True):
        for method, curve in by_method.items():
            axis.plot(curve.shift_um, curve.values, color=REGISTRATION_COLOURS[method], label=method)
        axis.axvline(0, color="black", linewidth=0.7, linestyle=":")
        axis.set_title(f"{sample} sample", fontsize=10)
        axis.set_xlabel("shift along z from the true one (um)", fontsize=9)
        axis.legend(fontsize=8)
    for axis in axes:
        axis.tick_params(axis="y", labelsize=8)
    return _save(figure, path)


def brightest(truth: FloatArray) -> Shape:
    """Voxel (Z, Y, X) in the middle of the brightest cell: the largest mean over 3 x 9 x 9 voxels."""
    return zyx(int(i) for i in np.unravel_index(ndi.uniform_filter(truth, (3, 9, 9)).argmax(), truth.shape))


def sections(voxels: FloatArray, place: Shape) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sections (Y, X), (Z, X) and (Z, Y) of a stack (Z, Y, X) through a voxel."""
    z, y, x = place
    return voxels[z], voxels[:, y], voxels[:, :, x]


def outline(spectrum: AxialSpectrum, level: float = SHELL) -> tuple[DoubleArray, DoubleArray]:
    """Outline of a 3D spectrum, seen from the side: lateral and axial frequencies, as shares of the Nyquist ones.

    Of each row of equal axial frequency the highest lateral one with a share of the largest power; 0 where none is.
    """
    power = np.nan_to_num(spectrum.power)
    above = power >= level * power.max()
    last = above.shape[1] - 1 - above[:, ::-1].argmax(axis=1)
    return np.where(above.any(axis=1), spectrum.across[last], 0.0), spectrum.along


def _draw_column(axes: Any, voxels: FloatArray, truth: FloatArray, place: Shape, size_um: Spacing) -> None:
    z_um, y_um, x_um = size_um
    sizes_um = ((x_um, y_um), (x_um, z_um), (y_um, z_um))
    for axis, section, size in zip(axes[:3], sections(voxels, place), sizes_um, strict=True):
        show_section(axis, section, size, cmap="gray", vmin=0, vmax=1)
    if voxels is not truth:
        limits = {"vmin": -LARGEST_DIFFERENCE, "vmax": LARGEST_DIFFERENCE}
        show_section(axes[3], sections(voxels - truth, place)[1], (x_um, z_um), cmap="RdBu_r", **limits)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])


def _draw_profiles(figure: Any, stacks: Mapping[str, FloatArray], place: Shape, um: Spacing) -> None:
    middle = np.array(place) * um
    axes = figure.subplots(1, 2)
    for axis, along, name in ((axes[0], 2, "x"), (axes[1], 0, "z")):
        half = np.where(np.arange(3) == along, LINE_UM / 2, 0)
        start, end = zyx(middle - half), zyx(middle + half)
        for title, voxels in stacks.items():
            profile = line_profile(voxels, start, end, um, width_um=ACROSS_UM)
            width = f"{profile.fwhm_um:.1f} um" if np.isfinite(profile.fwhm_um) else "no width"
            axis.plot(
                profile.distance_um - LINE_UM / 2, profile.values, color=COLOURS[title], label=f"{title}: {width}"
            )
        axis.set_xlabel(f"along {name} (um), through the brightest cell", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1), title="width at half height", title_fontsize=7)


def _by_depth(axis: Any, by_depth: ByDepth, name: str, label: str) -> None:
    for title, curves in by_depth.items():
        if (title, name) != (CONFOCAL, "rmse_fit"):  # it is no distance from itself
            axis.plot(curves["z_um"], curves[name], color=COLOURS[title], label=title)
    axis.set_xlabel("depth (um)")
    axis.set_ylabel(label)
    axis.set_ylim(bottom=0)


def _outlines(axis: Any, stacks: Sequence[Shown]) -> None:
    for shown in stacks:
        axis.plot(*outline(shown.found.axial), color=COLOURS[shown.title], label=shown.title)
    axis.set_title(f"3D spectrum, down to {SHELL:g} of its largest power", fontsize=10)
    axis.set_xlabel("lateral frequency (share of Nyquist's)")
    axis.set_ylabel("axial frequency (share of Nyquist's)")


def _save(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path
