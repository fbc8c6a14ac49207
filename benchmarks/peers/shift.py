"""Registration of other programs: a shift alone; needs numpy and the program that is measured alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.clock import Clock, measure, versions
from benchmarks.peers.given import CONFOCAL, SPACING_UM, WIDEFIELD

SAMPLED = 100_000
"""Voxels that SimpleITK compares; all would take minutes."""
SHRINK = (4, 2, 1)
"""Its resolutions, from coarse to fine."""


def of_shift(shift: Iterable[float]) -> dict[str, Any]:
    """The shift that was found, in voxels Z, Y, X, as a measurement tells it."""
    return {"shift": " ".join(f"{value:.3f}" for value in shift)}


def images(folder: Path) -> list[Any]:
    """Confocal and wide-field stack, float32, axes (Z, Y, X)."""
    return [np.load(folder / name).astype(np.float32) for name in (CONFOCAL, WIDEFIELD)]


def scikit_image(folder: Path, clock: Clock) -> dict[str, Any]:
    from skimage.registration import phase_cross_correlation

    confocal, widefield = images(folder)
    clock.start()
    found = phase_cross_correlation(confocal, widefield, upsample_factor=20, normalization="phase")[0]
    return of_shift(-np.asarray(found))


def simpleitk(folder: Path, clock: Clock) -> dict[str, Any]:
    """Correlation of randomly chosen voxels, at a quarter, half and all of the resolution."""
    import SimpleITK as sitk  # noqa: N813  (as its documentation has it)

    fixed, moving = (sitk.GetImageFromArray(image) for image in images(folder))
    for image in (fixed, moving):
        image.SetSpacing(SPACING_UM[::-1])
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.RANDOM)
    shares = [min(1.0, SAMPLED * shrink**3 / fixed.GetNumberOfPixels()) for shrink in SHRINK]
    method.SetMetricSamplingPercentagePerLevel(shares, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(SHRINK)
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetInitialTransform(sitk.TranslationTransform(3), inPlace=False)
    clock.start()
    moved_um = method.Execute(fixed, moving).GetParameters()
    return of_shift(np.array(moved_um)[::-1] / SPACING_UM)


def elastix(folder: Path, clock: Clock) -> dict[str, Any]:
    """Its own parameters for a translation: mutual information, four resolutions."""
    import itk  # type: ignore[import-not-found]

    fixed, moving = (itk.image_view_from_array(image) for image in images(folder))
    for image in (fixed, moving):
        image.SetSpacing(SPACING_UM[::-1])
    parameters = itk.ParameterObject.New()
    parameters.AddParameterMap(parameters.GetDefaultParameterMap("translation"))
    clock.start()
    _, found = itk.elastix_registration_method(fixed, moving, parameter_object=parameters, log_to_console=False)
    moved_um = [float(value) for value in found.GetParameter(0, "TransformParameters")]
    return of_shift(np.array(moved_um)[::-1] / SPACING_UM)


RUNS = {"scikit-image": scikit_image, "simpleitk": simpleitk, "itk-elastix": elastix}

if __name__ == "__main__":
    variant, place, seconds = sys.argv[1:]
    measure(lambda clock: RUNS[variant](Path(place), clock), float(seconds), versions(variant, "numpy"))
