"""What can be told of a stack without a confocal one: resolution, sharpness, contrast, spectra.

None of them says whether what is sharp is true: a network that draws fine structure scores well. Read them beside the
pictures, and beside those of the wide-field stack.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from napari_deep3d.core import DoubleArray, NoData, Spacing, Stack, Steps, mapped
from napari_deep3d.core.evaluation.contrast import measure_contrast_to_noise
from napari_deep3d.core.evaluation.resolution import Resolution, measure_resolution
from napari_deep3d.core.evaluation.sharpness import Sharpness, measure_sharpness
from napari_deep3d.core.evaluation.spectrum import (
    AxialSpectrum,
    LateralSpectrum,
    measure_axial_spectrum,
    measure_lateral_spectrum,
)

T = TypeVar("T")


@dataclass(frozen=True)
class StackMeasures:
    """Measures of one stack by itself; each is defined in the module of its name.

    Attributes
    ----------
    resolution : Resolution
        By decorrelation analysis, in um.
    sharpness : Sharpness
        Of signal and background by plane, in intensity per pixel.
    contrast_to_noise : float
        No unit.
    lateral, axial : LateralSpectrum, AxialSpectrum
        Power spectra, in intensity squared.
    """

    resolution: Resolution
    sharpness: Sharpness = field(repr=False)
    contrast_to_noise: float
    lateral: LateralSpectrum = field(repr=False)
    axial: AxialSpectrum = field(repr=False)

    def figures(self) -> dict[str, float]:
        """The single numbers by name; names end in their unit where there is one."""
        signal, background = (_mean(values) for values in self.sharpness)
        return {
            "resolution_xy_um": self.resolution.lateral_um,
            "resolution_z_um": self.resolution.axial_um,
            "contrast_to_noise": self.contrast_to_noise,
            "sharpness_signal": signal,
            "sharpness_background": background,
            "high_frequency_sum": self.lateral.high_frequency_sum(),
            "high_frequency_share": self.lateral.high_frequency_share(),
        }


def measure_stack(
    stack: Stack,
    spacing_um: Spacing,
    no_data: NoData | None = None,
    structures_of: Stack | None = None,
) -> Steps[StackMeasures]:
    """Measure a stack (Z, Y, X) by itself, read plane by plane.

    Parameters
    ----------
    stack : Stack, axes (Z, Y, X)
        Intensities on a scale from 0 to 1, every voxel finite; what is no image filled.
    spacing_um : tuple of float
        Voxel size (Z, Y, X).
    no_data : NoData or None
        What is no image; left out where a measure looks at single voxels.
    structures_of : Stack or None
        Stack that tells which voxels are structures, for the contrast; the stack itself by default.
    """
    resolution = yield from _part(measure_resolution(stack, spacing_um), 0.0, 0.3)
    sharpness = yield from _part(measure_sharpness(stack, no_data), 0.3, 0.5)
    contrast = yield from _part(measure_contrast_to_noise(stack, structures_of, no_data), 0.5, 0.7)
    lateral = yield from _part(measure_lateral_spectrum(stack), 0.7, 0.9)
    axial = yield from _part(measure_axial_spectrum(stack), 0.9, 1.0)
    return StackMeasures(resolution, sharpness, contrast, lateral, axial)


def _part(steps: Steps[T], first: float, last: float) -> Steps[T]:
    """Steps as a part of longer ones: their share is that from ``first`` to ``last``."""
    return mapped(steps, lambda share: first + (last - first) * share)


def _mean(values: DoubleArray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
