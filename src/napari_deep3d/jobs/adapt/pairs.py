"""Simulated pairs of one microscope and of samples like those of one stack: what a model is adapted to it with.

Of the microscope aperture, immersion, wavelength and voxel size are known. How much light there is, from where, and
what the camera adds is not: it is drawn again and again, and what looks most like the stack is kept (approximate
Bayesian computation by rejection: Pritchard et al., Mol. Biol. Evol. 16, 1791, 1999), as measured by the features of
:mod:`~napari_deep3d.core.novelty.features`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import count, product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import (
    AdaptConfig,
    Box,
    Clock,
    DoubleArray,
    FloatArray,
    InputError,
    Job,
    Shape,
    Spacing,
    Stop,
    StoppedError,
    TimeLimit,
    Volume,
    zyx,
)
from napari_deep3d.core.novelty.detector import NoveltyModel
from napari_deep3d.core.novelty.features import Features, measure_features, representative_part
from napari_deep3d.core.simulation.camera import Camera, expose
from napari_deep3d.core.simulation.imaging import SceneBounds, draw_sample, take_images
from napari_deep3d.core.simulation.microscope import ObjectiveBounds
from napari_deep3d.core.simulation.samples.real import ConfocalBounds
from napari_deep3d.jobs.pairs import LoadedPair

Origin = Literal["own", "generic", "usual"]
"""Of a pair: pieces of what a model made of the stack, or samples of the generic kinds, through the own microscope; or
any sample through any microscope."""
TURNS: tuple[Origin, ...] = ("own", "generic", "own", "generic", "usual")
"""In which pairs are made."""
PAIR: Shape = (48, 112, 112)
"""Voxels of a pair; fewer where the stack has fewer."""
LEAST_SHAPE: Shape = (12, 48, 48)
"""A smaller stack says too little of its samples."""
PART: Shape = (64, 192, 192)
"""Voxels of each part of the stack that samples are taken from."""
PARTS = 2
"""Of them, along Y and X, where the stack is larger."""
PLAY = 0.04
"""Share by which aperture and wavelength may differ from what they are said to be."""
HIGHEST_APERTURE = 0.99
"""Share of the immersion's index that an aperture reaches at most."""
OWN_SAMPLES = ConfocalBounds(magnification=(0.85, 1.2), background_percentile=(0.0, 10.0), gamma=(0.8, 1.4))
"""Of pieces of a prediction, whose background is dark already, and whose faint structures are not to be lost."""
AT_ITS_BEST = {"compensated": (1.0, 1.0), "noise_free": 1.0}
"""Confocal stacks without noise and without loss of light with depth, from which the bundled model has learned, too."""
THICK = {
    "thick": 0.9,
    "thick_um": (30.0, 100.0),
    "scattering": 0.85,
    "mean_free_path_um": (12.0, 120.0),
    "absorption_um": (200.0, 10000.0),
    "blurred": 0.6,
    "autofluorescent": 0.15,
    "deep_end_last": 1.0,
    "corrected_um": (-8.0, 8.0),
    "aberrated": 0.3,
    "pinhole_airy": (0.4, 1.1),
    "glowing": 0.15,
    "veiled": 0.1,
    "patterned": 0.1,
    "lit_unevenly": 0.2,
}
"""The light of most thick samples, surface first: rare faults of microscopes in many pairs make a model cautious."""
CAMERAS = 6
"""Tried on each scene; the one is taken that makes it look most like the stack."""
NOISELESS = Camera(photons=1e6, background=0.0, read_noise=0.0, offset=0.0, fill=1.0)
"""For the light of a scene, which cameras then record."""
KEPT_SHARE = 0.6
"""Of the pairs of each origin, those that look most like the stack."""
HELD_OUT_EVERY = 6
"""One of so many pairs through the own microscope is held out."""
MIN_PAIRS = 12
"""So many are simulated at least, whatever the time."""
MAX_PAIRS = 240
"""More bring nothing, and must all be held in memory."""
FARTHEST = 6.0
"""Difference of a feature, in standard deviations, beyond which a larger one counts no more."""


def check_size(volume: Volume) -> None:
    """Refuse (InputError) a stack that is too small to adapt to."""
    if any(size < least for size, least in zip(volume.shape, LEAST_SHAPE, strict=True)):
        have, need = (f"{z} planes of {y} x {x}" for z, y, x in (volume.shape, LEAST_SHAPE))
        raise InputError(
            f"{volume.name} has {have} pixels; at least {need} are needed to adapt a model to it. Give a larger stack "
            "of the same microscope, or predict without adapting."
        )


def parts_of(volume: Volume) -> list[Volume]:
    """Parts of a stack that together stand for it, evenly spread, in memory: all of it if it is small."""
    size = zyx(map(min, PART, volume.shape))
    first = (volume.shape[0] - size[0]) // 2
    tops, lefts = (
        sorted({(whole - part) * number // (PARTS - 1) for number in range(PARTS)})
        for whole, part in zip(volume.shape[1:], size[1:], strict=True)
    )
    boxes = [Box.at((first, top, left), size) for top, left in product(tops, lefts)]
    return [replace(volume, data=np.asarray(volume.data[box])) for box in boxes]


def bounds_of(config: AdaptConfig) -> SceneBounds:
    """Bounds of scenes as the microscope that took a stack sees them; the index of the sample stays free."""
    aperture, index = config.numerical_aperture, config.immersion_index
    lowest, highest = (min(share * aperture, HIGHEST_APERTURE * index) for share in (1 - PLAY, 1 + PLAY))
    own = ObjectiveBounds(share=1, immersion_index=index, numerical_aperture=(lowest, highest))
    emission_um = tuple(share * config.emission_nm / 1000 for share in (1 - PLAY, 1 + PLAY))
    return SceneBounds.checked(
        objectives={"own": own}, emission_um=emission_um, samples={"confocal": OWN_SAMPLES}, **AT_ITS_BEST, **THICK
    )


@dataclass(frozen=True)
class Look:
    """How a stack looks, to tell how far others are from it."""

    scores: DoubleArray
    spacing_um: Spacing
    novelty: NoveltyModel

    @classmethod
    def of(cls, volume: Volume, novelty: NoveltyModel) -> Look:
        """Measure a stack; ``novelty`` says in which units features differ."""
        spacing_um = volume.require_spacing_um()
        features = measure_features(representative_part(volume.data), spacing_um)
        return cls(_scores(features, novelty), spacing_um, novelty)

    def distance(self, stack: FloatArray) -> float:
        """How far a stack of the same voxel size, axes (Z, Y, X), is from it.

        Mahalanobis distance over the root of the number of features, of those that both have.
        """
        scores = _scores(measure_features(representative_part(stack), self.spacing_um), self.novelty)
        difference = np.clip(scores - self.scores, -FARTHEST, FARTHEST)
        both = np.isfinite(difference)
        correlation = np.array(self.novelty.correlation)[np.ix_(both, both)]
        square = difference[both] @ np.linalg.solve(correlation, difference[both])
        return float(np.sqrt(square / max(1, int(both.sum()))))


def _scores(features: Features, novelty: NoveltyModel) -> DoubleArray:
    return np.array(list(novelty.compare(features).deviations.values()))


@dataclass(frozen=True)
class Candidate:
    """A pair that was simulated, and how far it looks from the stack."""

    number: int
    origin: Origin
    widefield: NDArray[np.uint16]
    confocal: NDArray[np.uint16]
    spacing_um: Spacing
    distance: float

    @property
    def pair(self) -> LoadedPair:
        """The pair, by its origin and number."""
        name = f"{self.origin}_{self.number:04d}"
        volumes = (Volume(voxels, self.spacing_um, name=name) for voxels in (self.widefield, self.confocal))
        return LoadedPair(name, *volumes)


@dataclass(frozen=True)
class OwnPairs:
    """The pairs to adapt a model with, and the names of those of them that are held out."""

    pairs: list[LoadedPair]
    held_out: tuple[str, ...]


class PairMaker:
    """Simulates pairs of one microscope.

    Parameters
    ----------
    look : Look or None
        How its stack looks; None if the model does not say in which units looks differ: then the first camera is taken.
    samples : sequence of Volume
        What is taken as samples like those of the stack.
    spacing_um, shape
        Voxel size (Z, Y, X) of the stack, and the voxels of a pair.
    config : AdaptConfig
        What is known of the microscope, and the seed.
    """

    def __init__(
        self, look: Look | None, samples: Sequence[Volume], spacing_um: Spacing, shape: Shape, config: AdaptConfig
    ) -> None:
        self._look, self._samples, self._spacing_um, self._shape = look, samples, spacing_um, shape
        self._seed, self._own = config.seed, bounds_of(config)
        self._usual = SceneBounds.checked(**AT_ITS_BEST, **THICK)

    def make(self, number: int, origin: Origin) -> Candidate:
        """Simulate a pair, confocal without noise; it depends on number, origin and seed alone."""
        rng = np.random.default_rng((self._seed, number))
        bounds = self._usual if origin == "usual" else self._own
        kind = "confocal" if origin == "own" else bounds.draw_kind(rng, with_confocal=False)
        scene = bounds.draw(rng, kind)
        if origin != "usual":
            scene = replace(scene, spacing_um=self._spacing_um)
        if origin == "own":  # the piece is to fill the stack, as it did
            scene = replace(scene, thickness_um=max(scene.thickness_um, 2 * self._shape[0] * self._spacing_um[0]))
        is_compared = origin != "usual" and self._look is not None
        pair = take_images(
            rng,
            replace(scene, camera=NOISELESS) if is_compared else scene,
            self._shape,
            lambda field: draw_sample(rng, scene, field, self._samples, bounds.samples),
            None,
            bounds.samples,
        )
        if self._look is None or not is_compared:
            return Candidate(number, origin, pair.widefield, pair.confocal, scene.spacing_um, 0.0)
        light = pair.widefield.astype(np.float32)
        exposures = [expose(rng, light, bounds.camera.draw(rng)) for _ in range(CAMERAS)]
        distances = [self._look.distance(counts.astype(np.float32)) for counts in exposures]
        best = int(np.argmin(distances))
        return Candidate(number, origin, exposures[best], pair.confocal, scene.spacing_um, distances[best])


def simulate_own_pairs(
    volume: Volume,
    samples: Sequence[Volume],
    config: AdaptConfig,
    novelty: NoveltyModel | None,
    time: TimeLimit,
    stop: Stop,
) -> Job[OwnPairs]:
    """Simulate pairs of the microscope that took a stack for some time, and choose among them.

    Parameters
    ----------
    volume : Volume
        The stack.
    samples : sequence of Volume
        What a model made of parts of it.
    config : AdaptConfig
        What is known of the microscope, and the seed.
    novelty : NoveltyModel or None
        In which units looks differ.
    time : TimeLimit
        How long pairs are made; a few are made in any case.

    Raises
    ------
    StoppedError
        If it was stopped.
    """
    usable = novelty is not None and novelty.can_compare
    look = Look.of(volume, novelty) if novelty is not None and usable else None
    maker = PairMaker(look, samples, volume.require_spacing_um(), zyx(map(min, PAIR, volume.shape)), config)
    made, clock = list[Candidate](), Clock()
    numbers = count()
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        running = set[Future[Candidate]]()
        while len(made) < MIN_PAIRS or (len(made) < MAX_PAIRS and not time.is_over()):
            while len(running) < (os.cpu_count() or 1):
                number = next(numbers)
                running.add(pool.submit(maker.make, number, TURNS[number % len(TURNS)]))
            done, running = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
            if stop():
                raise StoppedError
            made += [future.result() for future in done]
            if done:
                yield clock.progress(len(made), 0, f"simulated {len(made)} pairs of this microscope")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return chosen(made)


def chosen(made: Sequence[Candidate]) -> OwnPairs:
    """Of own and generic samples those pairs that look most like the stack, some of them held out; all usual ones."""
    pairs, held_out = list[LoadedPair](), list[str]()
    for origin in ("own", "generic", "usual"):
        ranked = sorted((each for each in made if each.origin == origin), key=lambda each: (each.distance, each.number))
        if origin == "usual":
            pairs += [each.pair for each in ranked]
            continue
        kept = [each.pair for each in ranked[: max(2, round(KEPT_SHARE * len(ranked)))]]
        held_out += [pair.name for pair in kept[1::HELD_OUT_EVERY]]
        pairs += kept
    return OwnPairs(pairs, tuple(held_out))
