"""Simulated pairs of one microscope and of samples like one stack: what a model is adapted to that stack with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from napari_deep3d.core import AdaptConfig, DoubleArray, FloatArray, Shape, Spacing, Volume
from napari_deep3d.core.novelty.detector import NoveltyModel
from napari_deep3d.core.novelty.features import Features, measure_features, representative_part
from napari_deep3d.core.simulation.camera import Camera, expose
from napari_deep3d.core.simulation.imaging import (
    SceneBounds,
    SimulatedPair,
    draw_sample,
    take_images,
)
from napari_deep3d.core.simulation.microscope import ObjectiveBounds

Origin = Literal["own", "generic", "usual"]
"""Of a pair's sample: the stack's own prediction, the generic kinds, or these through any microscope."""

PLAY = 0.04
"""Share by which aperture and wavelength may differ from what they are said to be."""
HIGHEST_APERTURE = 0.99
"""As a share of the immersion's index."""
CAMERAS = 8
"""Cameras that are tried on each scene; the one is taken whose stack looks most like the own one."""
NOISELESS = Camera(photons=1e7, background=0.0, read_noise=0.0, offset=0.0, fill=1.0)


def bounds_of_microscope(config: AdaptConfig, bounds: SceneBounds | None = None) -> SceneBounds:
    """Bounds of scenes narrowed to the microscope that took a stack; the index of the sample stays free."""
    bounds = bounds or SceneBounds()
    aperture, index, emission_um = config.numerical_aperture, config.immersion_index, config.emission_nm / 1000
    highest = HIGHEST_APERTURE * index
    own = ObjectiveBounds(
        share=1,
        immersion_index=index,
        numerical_aperture=(min((1 - PLAY) * aperture, highest), min((1 + PLAY) * aperture, highest)),
    )
    wavelength = ((1 - PLAY) * emission_um, (1 + PLAY) * emission_um)
    return bounds.changed(optics={"objectives": {"own": own}, "emission_um": wavelength})


@dataclass(frozen=True)
class Look:
    """How a stack looks to a model: its features as normal scores, and how far others are from them."""

    model: NoveltyModel
    scores: DoubleArray

    @classmethod
    def of(cls, stack: FloatArray, spacing_um: Spacing, model: NoveltyModel) -> Look:
        """Measure a stack, axes (Z, Y, X)."""
        return cls(model, scores_of(measure_features(representative_part(stack), spacing_um), model))

    def distance(self, stack: FloatArray, spacing_um: Spacing) -> float:
        """Mahalanobis distance of a stack, axes (Z, Y, X), over the root of the number of features."""
        other = scores_of(measure_features(representative_part(stack), spacing_um), self.model)
        difference = np.clip(other - self.scores, -6, 6)
        measured = np.isfinite(difference)
        difference = difference[measured]
        correlation = np.array(self.model.correlation)[np.ix_(measured, measured)]
        square = float(difference @ np.linalg.solve(correlation, difference))
        return float(np.sqrt(square / max(1, difference.size)))


def scores_of(features: Features, model: NoveltyModel) -> DoubleArray:
    """The normal scores of a stack's features."""
    return np.array(list(model.compare(features).deviations.values()))


@dataclass(frozen=True)
class Candidate:
    """A pair that was simulated, where its sample comes from, and how far it looks from the own stack."""

    pair: SimulatedPair
    origin: Origin
    distance: float


class PairMaker:
    """Simulates pairs like those that a microscope would take of samples like the one it has taken."""

    def __init__(
        self,
        look: Look,
        samples: Sequence[Volume],
        spacing_um: Spacing,
        bounds: SceneBounds,
        shape: Shape,
        seed: int,
    ) -> None:
        self._look, self._samples, self._spacing_um = look, samples, spacing_um
        self._own, self._shape, self._seed = bounds, shape, seed
        self._usual = SceneBounds()

    def make(self, index: int, origin: Origin) -> Candidate:
        """Simulate the pair of a number."""
        rng = np.random.default_rng((self._seed, index))
        bounds = self._usual if origin == "usual" else self._own
        kind = "confocal" if origin == "own" else bounds.draw_kind(rng, with_confocal=False)
        scene = bounds.draw(rng, kind)
        if origin == "usual":
            draw = lambda field: draw_sample(rng, scene, field, (), bounds.samples)
            return Candidate(take_images(rng, scene, self._shape, draw, None, bounds.samples), origin, float("nan"))
        scene = replace(scene, spacing_um=self._spacing_um)
        if origin == "own":  # the slab holds all of it
            scene = replace(scene, thickness_um=max(scene.thickness_um, 2 * self._shape[0] * self._spacing_um[0]))
        quiet = replace(scene, camera=NOISELESS)
        pair = take_images(
            rng, quiet, self._shape, lambda f: draw_sample(rng, scene, f, self._samples, bounds.samples), None, bounds.samples
        )
        light = pair.widefield.astype(np.float32)
        best = None
        for _ in range(CAMERAS):
            camera = bounds.camera.draw(rng)
            counts = expose(rng, light, camera)
            distance = self._look.distance(counts.astype(np.float32), self._spacing_um)
            if best is None or distance < best.distance:
                found = replace(pair, widefield=counts, scene=replace(scene, camera=camera))
                best = Candidate(found, origin, distance)
        assert best is not None
        return best
