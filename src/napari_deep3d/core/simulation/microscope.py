"""The two microscopes that look at one sample, and the bounds within which they are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from napari_deep3d.core import FloatArray, InputError, Spacing
from napari_deep3d.core.simulation.bounds import (
    Bounds,
    PositiveRange,
    Range,
    Share,
    choose,
    happens,
    log_uniform,
    uniform,
)
from napari_deep3d.core.simulation.pupil import MODES, point_image

FINE_PIXELS = 189
"""Lateral window, in pixels fine enough for the lens; odd, so that the peak lies on a pixel."""


@dataclass(frozen=True)
class Microscope:
    """What the two microscopes share: they look at one sample through objectives of the same kind.

    Attributes
    ----------
    numerical_aperture : float
        Of the objective; below the refractive index of its immersion.
    immersion_index, sample_index : float
        Refractive indices: 1.0 air, 1.33 water, 1.518 oil; 1.33 to 1.47 for cells and tissue.
    excitation_um, emission_um : float
        Vacuum wavelengths in um.
    pinhole_airy : float
        Diameter of the confocal pinhole in Airy units.
    depth_um : float
        Depth of the focus in um, counted from the depth for which the objective is corrected; may be negative.
    aberrations : tuple of float
        RMS in waves of low Zernike modes, see :data:`napari_deep3d.core.simulation.pupil.MODES`.
    vectorial : bool
        Whether PSFs are computed by vectorial theory, or by scalar theory.

    Raises
    ------
    InputError
        If the aperture is not below the immersion's refractive index.
    """

    numerical_aperture: float = 1.2
    immersion_index: float = 1.333
    sample_index: float = 1.37
    excitation_um: float = 0.488
    emission_um: float = 0.52
    pinhole_airy: float = 1.0
    depth_um: float = 0.0
    aberrations: tuple[float, ...] = ()
    vectorial: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.numerical_aperture < self.immersion_index:
            raise InputError(
                f"NA {self.numerical_aperture} does not fit an immersion of refractive index "
                f"{self.immersion_index}; it must be above 0 and below that index. Correct one of them."
            )

    def fine_psf(self, spacing_um: Spacing, planes: int, excitation: bool = False) -> FloatArray:
        """Emission or excitation PSF on pixels fine enough for the lens, axes (Z, Y, X), every plane with sum 1."""
        heights = (np.arange(planes) - planes // 2) * spacing_um[0]
        return point_image(
            FINE_PIXELS,
            min(spacing_um[1:]) / self.fineness(spacing_um),
            heights,
            numerical_aperture=self.numerical_aperture,
            immersion_index=self.immersion_index,
            sample_index=self.sample_index,
            wavelength_um=self.excitation_um if excitation else self.emission_um,
            depth_um=self.depth_um,
            aberrations=self.aberrations,
            excitation=excitation,
            vectorial=self.vectorial,
        )

    def fineness(self, spacing_um: Spacing) -> int:
        """Odd number of fine pixels to a pixel: enough for the lens's finest detail, lambda / (4 NA), almost."""
        finest = min(self.emission_um, self.excitation_um) / (3.2 * self.numerical_aperture)
        least = ceil(min(spacing_um[1:]) / finest)
        return least + 1 - least % 2


class ObjectiveBounds(Bounds):
    """A kind of wide-field objective."""

    share: Share = Field(description="share of scenes")
    immersion_index: float = Field(ge=1.0, le=1.6, description="refractive index of the immersion")
    numerical_aperture: PositiveRange = Field(description="its range, below that index")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.numerical_aperture[1] >= self.immersion_index:
            raise ValueError(f"a numerical aperture below the immersion's index, {self.immersion_index:g}, is allowed")
        return self


class OpticsBounds(Bounds):
    """Bounds of the random choices in the microscopes and in the voxels that people choose for them."""

    objectives: dict[str, ObjectiveBounds] = Field(
        {
            "air": ObjectiveBounds(share=0.25, immersion_index=1.0, numerical_aperture=(0.4, 0.95)),
            "water": ObjectiveBounds(share=0.35, immersion_index=1.333, numerical_aperture=(0.8, 1.25)),
            "oil": ObjectiveBounds(share=0.4, immersion_index=1.518, numerical_aperture=(1.1, 1.45)),
        },
        min_length=1,
        description="wide-field objectives; given anew, all of them are",
    )
    pixel: PositiveRange = Field((0.3, 2.2), description="pixel as a share of the resolution lambda / (2 NA), log")
    pixel_um: Range = Field((0.06, 0.8), description="the same in um: cut to this")
    step: PositiveRange = Field((0.25, 1.3), description="distance of planes as a share of lambda n / NA^2, log")
    step_um: Range = Field((0.15, 2.0), description="the same in um: cut to this")
    sample_index: Range = Field((1.33, 1.47), description="refractive index of the sample")
    emission_um: Range = Field((0.45, 0.67), description="wavelength of the emitted light")
    stokes_shift_um: Range = Field((0.02, 0.07), description="by how much the exciting light is shorter")
    pinhole_airy: Range = Field((0.5, 1.5), description="diameter of the confocal pinhole in Airy units")
    corrected_um: Range = Field((-10.0, 20.0), description="depth below the surface for which the lens is corrected")
    aberrated: Share = Field(0.7, description="share of scenes with random aberrations")
    aberration_waves: Range = Field((0.0, 0.12), description="their RMS in waves, over all modes")
    scalar: Share = Field(0.3, description="share of scenes whose PSFs are computed by scalar theory")
    confocal_corrected: Share = Field(0.0, description="share of scenes whose confocal image has no aberrations")
    measured: Share = Field(0.15, description="share of scenes with a measured PSF, where one is given")
    measured_voxel: Range = Field((0.7, 2.0), description="their voxel size as a share of that PSF's")

    @field_validator("objectives")
    @classmethod
    def _some(cls, value: dict[str, ObjectiveBounds]) -> dict[str, ObjectiveBounds]:
        if not any(objective.share for objective in value.values()):
            raise ValueError("at least one share above 0 is needed")
        return value

    def draw(self, rng: np.random.Generator) -> Microscope:
        """Draw the microscopes, focused on the sample's surface."""
        # 1. The objective, the light and the pinhole.
        objective = self.objectives[choose(rng, {name: each.share for name, each in self.objectives.items()})]
        emission_um = uniform(rng, self.emission_um)
        scope = Microscope(
            numerical_aperture=uniform(rng, objective.numerical_aperture),
            immersion_index=objective.immersion_index,
            sample_index=uniform(rng, self.sample_index),
            emission_um=emission_um,
            excitation_um=emission_um - uniform(rng, self.stokes_shift_um),
            pinhole_airy=uniform(rng, self.pinhole_airy),
            depth_um=-uniform(rng, self.corrected_um),
            vectorial=not happens(rng, self.scalar),
        )

        # 2. A random mixture of Zernike modes.
        if not happens(rng, self.aberrated):
            return scope
        modes = rng.standard_normal(len(MODES))
        modes *= uniform(rng, self.aberration_waves) / np.linalg.norm(modes)
        return replace(scope, aberrations=tuple(float(waves) for waves in modes))

    def draw_spacing(self, rng: np.random.Generator, scope: Microscope) -> Spacing:
        """Draw a voxel size (Z, Y, X) in um as people choose it: around what the lens resolves, often coarser."""
        lateral = float(log_uniform(rng, self.pixel)) * scope.emission_um / (2 * scope.numerical_aperture)
        lateral = float(np.clip(lateral, *self.pixel_um))
        step = float(log_uniform(rng, self.step)) * scope.emission_um * scope.sample_index / scope.numerical_aperture**2
        return max(lateral, float(np.clip(step, *self.step_um))), lateral, lateral

    def draw_measured_spacing(self, rng: np.random.Generator, psf_spacing_um: Spacing) -> Spacing:
        """Draw a voxel size (Z, Y, X) in um near that of a measured PSF."""
        z, lateral = (size * rng.uniform(*self.measured_voxel) for size in psf_spacing_um[:2])
        return z, lateral, lateral
