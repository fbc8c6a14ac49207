"""The bounds of every random choice in a simulated pair; all that is drawn except the sample's shape and the noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self, TypeVar

import numpy as np
from pydantic import Field, field_validator, model_validator

from napari_deep3d.core.config import Config
from napari_deep3d.core.simulation.bounds import PositiveRange, Range, Share
from napari_deep3d.core.simulation.camera import Camera, Stage
from napari_deep3d.core.simulation.psf import Microscope
from napari_deep3d.core.simulation.pupil import MODES
from napari_deep3d.core.simulation.samples import DrawnKind as DrawnKind
from napari_deep3d.core.simulation.samples import SampleBounds
from napari_deep3d.core.simulation.scattering import Tissue
from napari_deep3d.core.types import Spacing

SampleKind = Literal[DrawnKind, "confocal"]
T = TypeVar("T")


class ObjectiveBounds(Config):
    """A kind of wide-field objective."""

    share: Share = Field(description="share of scenes")
    immersion_index: float = Field(ge=1.0, le=1.6, description="refractive index of the immersion")
    numerical_aperture: PositiveRange = Field(description="its range, below that index")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.numerical_aperture[1] >= self.immersion_index:
            raise ValueError(f"a numerical aperture below the immersion's index, {self.immersion_index:g}, is allowed")
        return self


class SceneBounds(Config):
    """The bounds of every random choice; ranges are uniform, those marked *log* uniform in their logarithm."""

    kinds: dict[SampleKind, Share] = Field(
        {
            "nuclei": 0.26,
            "neurons": 0.16,
            "glia": 0.08,
            "filaments": 0.10,
            "membranes": 0.10,
            "puncta": 0.06,
            "tissue": 0.14,
            "confocal": 0.10,
            "beads": 0.0,
        },
        description="share of each kind of sample; confocal only where real stacks are given, beads only if asked for",
    )
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
    pinhole_airy: Range = Field((0.7, 1.5), description="diameter of the confocal pinhole in Airy units")
    corrected_um: Range = Field((-5.0, 15.0), description="depth below the surface for which the lens is corrected")
    aberrated: Share = Field(0.7, description="share of scenes with random aberrations")
    aberration_waves: Range = Field((0.0, 0.10), description="their RMS in waves, over all modes")
    measured: Share = Field(0.15, description="share of scenes with a measured PSF, where one is given")
    measured_voxel: Range = Field((0.7, 2.0), description="their voxel size as a share of that PSF's")
    thickness_um: PositiveRange = Field((3.0, 45.0), description="thickness of the sample, log")
    scattering: Share = Field(0.75, description="share of scenes that scatter")
    mean_free_path_um: PositiveRange = Field((25.0, 250.0), description="between two scatterings, log")
    anisotropy: Range = Field((0.85, 0.98), description="mean cosine of the angle of a scattering")
    collected: Range = Field((0.4, 1.0), description="share of the scattered light that reaches the camera")
    absorption_um: PositiveRange = Field(
        (200.0, 2000.0), description="depth of absorption where the sample scatters, log"
    )
    deep_end_last: Share = Field(0.5, description="share of scenes whose last plane is the deepest")
    autofluorescent: Share = Field(0.4, description="share of scenes with autofluorescence")
    autofluorescence: PositiveRange = Field((0.01, 0.15), description="its mean as a share of bright structures, log")
    photons: PositiveRange = Field((50.0, 5000.0), description="of the brightest wide-field voxels, log")
    background: Range = Field((0.0, 0.3), description="even background as a share of these")
    read_noise: Range = Field((0.5, 4.0), description="of the camera, electrons")
    gain_spread: Range = Field((0.0, 0.01), description="of the camera's pixels")
    bits: dict[Literal["8", "12", "16"], Share] = Field(
        {"8": 0.15, "12": 0.35, "16": 0.5},
        description="share of cameras with so many bits; given anew, all of them are",
    )
    hot: Share = Field(0.3, description="share of cameras with hot pixels")
    hot_pixels: PositiveRange = Field((1e-5, 2e-4), description="share of their pixels, log")
    lit_unevenly: Share = Field(0.5, description="share of scenes with vignetting and a tilt of the light")
    vignetting: Range = Field((0.0, 0.3), description="share of the light lost in the corners")
    uneven: Range = Field((0.0, 0.4), description="change of the light across the field")
    overexposed: Share = Field(0.1, description="share of scenes that are overexposed")
    saturated: PositiveRange = Field((1e-4, 5e-3), description="share of their voxels that are saturated, log")
    bleaching: Share = Field(0.4, description="share of scenes that bleach while the stack is taken")
    bleached: Range = Field((0.02, 0.4), description="light lost at the last plane")
    unsteady: Share = Field(0.4, description="share of stages that jitter and drift")
    jitter: Range = Field((0.0, 0.12), description="of the planes' heights, as a share of their distance")
    drift_px: Range = Field((0.0, 0.4), description="sideways, at the end of the stack, pixels")
    confocal_photons: PositiveRange = Field((100.0, 1500.0), description="of the brightest confocal voxels, log")
    confocal_background: Range = Field((0.0, 0.02), description="of the confocal detector, as a share of these")
    compensated: Range = Field((0.7, 1.0), description="share of the confocal loss with depth made up by laser power")
    samples: SampleBounds = Field(SampleBounds(), description="of the samples' own shapes, one table for each kind")

    @field_validator("kinds", "objectives", "bits")
    @classmethod
    def _some(cls, value: dict[Any, Any]) -> dict[Any, Any]:
        if not any(getattr(share, "share", share) for share in value.values()):
            raise ValueError("at least one share above 0 is needed")
        return value


@dataclass(frozen=True)
class Scene:
    """A sample's kind and thickness, the microscopes, the tissue, and how both stacks are recorded.

    Lengths in um. ``compensated`` is the share of the confocal microscope's loss with depth that is made up for;
    ``measured_psf`` whether the wide-field PSF is a measured one.
    """

    kind: SampleKind
    spacing_um: Spacing
    thickness_um: float
    microscope: Microscope
    tissue: Tissue
    camera: Camera
    stage: Stage
    confocal: Camera
    compensated: float
    measured_psf: bool = False

    def description(self) -> dict[str, object]:
        """As plain values, for a file; what is infinite is 1e6."""
        tissue = replace(
            self.tissue,
            mean_free_path_um=min(self.tissue.mean_free_path_um, 1e6),
            absorption_um=min(self.tissue.absorption_um, 1e6),
        )
        return asdict(replace(self, tissue=tissue))


def draw_scene(rng: np.random.Generator, kind: SampleKind, bounds: SceneBounds | None = None) -> Scene:
    """Draw the microscopes, the tissue and the light of a pair."""
    draw = _Draw(rng, bounds or SceneBounds())
    microscope = draw.microscope()
    return Scene(
        kind=kind,
        spacing_um=draw.spacing(microscope),
        thickness_um=draw.log("thickness_um"),
        microscope=microscope,
        tissue=draw.tissue(),
        camera=draw.camera(),
        stage=draw.stage(),
        confocal=draw.confocal(),
        compensated=draw.uniform("compensated"),
    )


def draw_kind(rng: np.random.Generator, bounds: SceneBounds, with_confocal: bool) -> SampleKind:
    """Draw a kind of sample."""
    return choose(rng, {kind: share for kind, share in bounds.kinds.items() if with_confocal or kind != "confocal"})


def choose(rng: np.random.Generator, shares: Mapping[T, float]) -> T:
    """Draw one of several that have a share each."""
    weights = np.array(list(shares.values()))
    return list(shares)[int(rng.choice(len(weights), p=weights / weights.sum()))]


class _Draw:
    """Random choices within bounds."""

    def __init__(self, rng: np.random.Generator, bounds: SceneBounds) -> None:
        self.rng, self.bounds = rng, bounds

    def uniform(self, name: str) -> float:
        return float(self.rng.uniform(*getattr(self.bounds, name)))

    def log(self, name: str) -> float:
        return float(np.exp(self.rng.uniform(*np.log(getattr(self.bounds, name)))))

    def happens(self, name: str) -> bool:
        return bool(self.rng.random() < getattr(self.bounds, name))

    def microscope(self) -> Microscope:
        objectives = self.bounds.objectives
        objective = objectives[choose(self.rng, {name: each.share for name, each in objectives.items()})]
        emission = self.uniform("emission_um")
        return Microscope(
            numerical_aperture=float(self.rng.uniform(*objective.numerical_aperture)),
            immersion_index=objective.immersion_index,
            sample_index=self.uniform("sample_index"),
            emission_um=emission,
            excitation_um=emission - self.uniform("stokes_shift_um"),
            pinhole_airy=self.uniform("pinhole_airy"),
            depth_um=-self.uniform("corrected_um"),
            aberrations=self.aberrations(),
        )

    def aberrations(self) -> tuple[float, ...]:
        if not self.happens("aberrated"):
            return ()
        mixed = self.rng.standard_normal(len(MODES))
        mixed *= self.uniform("aberration_waves") / np.linalg.norm(mixed)
        return tuple(float(waves) for waves in mixed)

    def spacing(self, scope: Microscope) -> Spacing:
        """Voxels as people choose them: around what the lens resolves, often coarser."""
        lateral = self.log("pixel") * scope.emission_um / (2 * scope.numerical_aperture)
        lateral = float(np.clip(lateral, *self.bounds.pixel_um))
        step = self.log("step") * scope.emission_um * scope.sample_index / scope.numerical_aperture**2
        return max(lateral, float(np.clip(step, *self.bounds.step_um))), lateral, lateral

    def tissue(self) -> Tissue:
        scattering = self.happens("scattering")
        return Tissue(
            mean_free_path_um=self.log("mean_free_path_um") if scattering else np.inf,
            anisotropy=self.uniform("anisotropy"),
            collected=self.uniform("collected"),
            absorption_um=self.log("absorption_um") if scattering else np.inf,
            autofluorescence=self.log("autofluorescence") if self.happens("autofluorescent") else 0.0,
            deep_end_last=self.happens("deep_end_last"),
        )

    def camera(self) -> Camera:
        lit_unevenly = self.happens("lit_unevenly")
        return Camera(
            photons=self.log("photons"),
            background=self.uniform("background"),
            read_noise=self.uniform("read_noise"),
            gain_spread=self.uniform("gain_spread"),
            hot_pixels=self.log("hot_pixels") if self.happens("hot") else 0.0,
            vignetting=self.uniform("vignetting") if lit_unevenly else 0.0,
            uneven=self.uniform("uneven") if lit_unevenly else 0.0,
            saturated=self.log("saturated") if self.happens("overexposed") else 0.0,
            bits=int(choose(self.rng, self.bounds.bits)),
        )

    def stage(self) -> Stage:
        unsteady = self.happens("unsteady")
        return Stage(
            bleached=self.uniform("bleached") if self.happens("bleaching") else 0.0,
            jitter=self.uniform("jitter") if unsteady else 0.0,
            drift_px=self.uniform("drift_px") if unsteady else 0.0,
        )

    def confocal(self) -> Camera:
        return Camera(
            photons=self.log("confocal_photons"), background=self.uniform("confocal_background"), read_noise=0.5
        )
