"""A scene: the sample's kind and thickness, the microscopes, the tissue, and how both stacks are recorded."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
from pydantic import Field

from napari_deep3d.core import SectionedConfig, Spacing
from napari_deep3d.core.simulation.bounds import PositiveRange, Share, Shares, choose, happens, log_uniform, uniform
from napari_deep3d.core.simulation.camera import Camera, CameraBounds, DetectorBounds, Stage, StageBounds
from napari_deep3d.core.simulation.glow import Glow, GlowBounds
from napari_deep3d.core.simulation.microscope import Microscope, OpticsBounds
from napari_deep3d.core.simulation.samples import DrawnKind, SampleBounds
from napari_deep3d.core.simulation.scattering import ScatteringBounds, Tissue

SampleKind = Literal[DrawnKind, "confocal"]


@dataclass(frozen=True)
class Scene:
    """All that is drawn for a pair except the sample's shape and the noise.

    Attributes
    ----------
    kind, spacing_um, thickness_um
        Kind of sample, voxel size (Z, Y, X) and thickness of the sample in um.
    microscope, tissue, camera, stage
        Both microscopes, what the light passes through, and how the wide-field stack is recorded.
    confocal : Camera
        The confocal microscope's detector.
    compensated : float
        Share of the confocal microscope's loss with depth (of its logarithm) that laser power makes up for.
    measured_psf : bool
        Whether the wide-field PSF is a measured one.
    glow : Glow
        Light in the wide-field stack from far outside of it.
    confocal_corrected : bool
        Whether the confocal image has no aberrations.
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
    glow: Glow = field(default_factory=Glow)
    confocal_corrected: bool = False

    def description(self) -> dict[str, object]:
        """As plain values, for a file; what is infinite is 1e6."""
        tissue = {name: min(value, 1e6) for name, value in asdict(self.tissue).items()}
        return asdict(self) | {"tissue": tissue}


class SceneBounds(SectionedConfig):
    """The bounds of every random choice in a pair; ranges are uniform, those marked *log* uniform in their logarithm.

    A name within ``optics``, ``tissue``, ``glow``, ``camera``, ``stage`` or ``confocal`` may also be given without its
    section: ``photons=(500, 2000)`` is ``camera={"photons": (500, 2000)}``.
    """

    kinds: Shares[SampleKind] = Field(
        {
            "nuclei": 0.15,
            "neurons": 0.09,
            "glia": 0.05,
            "filaments": 0.06,
            "membranes": 0.06,
            "puncta": 0.03,
            "cells": 0.12,
            "vessels": 0.08,
            "sheets": 0.05,
            "shapes": 0.17,
            "tissue": 0.08,
            "confocal": 0.06,
            "beads": 0.0,
        },
        description="share of each kind of sample; confocal only where real stacks are given, beads only if asked for",
    )
    thickness_um: PositiveRange = Field((3.0, 45.0), description="thickness of the sample, log")
    thick: Share = Field(0.3, description="share of scenes whose sample is far thicker: most stacks lie wholly in it")
    thick_um: PositiveRange = Field((30.0, 70.0), description="thickness of these samples, log")
    optics: OpticsBounds = Field(OpticsBounds(), description="of the microscopes and the voxel size")
    tissue: ScatteringBounds = Field(ScatteringBounds(), description="of what the sample's light passes through")
    glow: GlowBounds = Field(GlowBounds(), description="of the light from far outside of the wide-field stack")
    camera: CameraBounds = Field(CameraBounds(), description="of the wide-field camera")
    stage: StageBounds = Field(StageBounds(), description="of stage and lamp while the wide-field stack is taken")
    confocal: DetectorBounds = Field(DetectorBounds(), description="of the confocal microscope's detector")
    samples: SampleBounds = Field(SampleBounds(), description="of the samples' own shapes, one table for each kind")

    def draw_kind(self, rng: np.random.Generator, with_confocal: bool) -> SampleKind:
        """Draw a kind of sample; pieces of real confocal stacks only if ``with_confocal``."""
        return choose(rng, {kind: share for kind, share in self.kinds.items() if with_confocal or kind != "confocal"})

    def draw(self, rng: np.random.Generator, kind: SampleKind) -> Scene:
        """Draw the microscopes, the tissue and the light of a pair."""
        microscope = self.optics.draw(rng)
        return Scene(
            kind=kind,
            spacing_um=self.optics.draw_spacing(rng, microscope),
            thickness_um=float(log_uniform(rng, self.thick_um if happens(rng, self.thick) else self.thickness_um)),
            microscope=microscope,
            tissue=self.tissue.draw(rng),
            camera=self.camera.draw(rng),
            stage=self.stage.draw(rng),
            confocal=self.confocal.draw(rng),
            compensated=uniform(rng, self.confocal.compensated),
            glow=self.glow.draw(rng),
            confocal_corrected=happens(rng, self.optics.confocal_corrected),
        )
