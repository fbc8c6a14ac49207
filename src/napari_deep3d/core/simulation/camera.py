"""From light to counts: what camera, lamp and stage do to a stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from pydantic import Field

from napari_deep3d.core import FloatArray
from napari_deep3d.core.simulation.bounds import (
    Bounds,
    NonNegative,
    PositiveRange,
    Range,
    Share,
    Shares,
    choose,
    happens,
    log_uniform,
    uniform,
)

Counts = NDArray[np.uint16]
BRIGHT_PERCENTILE = 99.9
DROWNED = 30.0
"""Photons to one of background, at least, that bright voxels have where a background is strong: with fewer, noise alone
would be left."""
HOT_ELECTRONS = 300.0
"""Mean of the light that a hot pixel adds, exponentially distributed."""


@dataclass(frozen=True)
class Camera:
    """How a stack is recorded.

    Attributes
    ----------
    photons : float
        Photons that the brightest voxels (99.9th percentile) receive.
    background : float
        Even light that comes on top, as a share of these photons.
    read_noise : float
        Standard deviation in electrons.
    gain_spread : float
        Standard deviation of the pixels' gains, as a share.
    hot_pixels : float
        Share of the camera's pixels that are hot in every plane.
    vignetting : float
        Share of the light that the field's corners lose.
    uneven : float
        Largest change of the illumination from one side of the field to the other, as a share.
    saturated : float
        Share of the voxels that are cut off at the camera's largest value.
    bits : int
        Bits of each count: the largest is 2**bits - 1.
    offset : float
        Counts without light, as a share of the largest count.
    fill : float
        Share of the largest count that the brightest voxels reach.
    pattern : float
        Standard deviation in electrons of offsets that every row, column and pixel has in all planes.
    noise_free : bool
        Whether light is counted without noise, but for that of the last bit.
    """

    photons: float
    background: float
    read_noise: float
    gain_spread: float = 0.0
    hot_pixels: float = 0.0
    vignetting: float = 0.0
    uneven: float = 0.0
    saturated: float = 0.0
    bits: int = 16
    offset: float = 0.002
    fill: float = 0.7
    pattern: float = 0.0
    noise_free: bool = False


@dataclass(frozen=True)
class Stage:
    """What happens while a stack is taken, plane after plane.

    Attributes
    ----------
    bleached : float
        Share of the light that is gone at the last plane.
    jitter : float
        Standard deviation of the planes' heights, as a share of their distance.
    drift_px : float
        Standard deviation of the sideways position, in pixels, at the end of a random walk.
    """

    bleached: float = 0.0
    jitter: float = 0.0
    drift_px: float = 0.0


class CameraBounds(Bounds):
    """Bounds of the random choices in the wide-field camera and its light."""

    photons: PositiveRange = Field((50.0, 5000.0), description="photons of the brightest wide-field voxels, log")
    background: Range = Field((0.0, 0.3), description="even background as a share of these")
    veiled: Share = Field(0.2, description="share of scenes with a background far above that")
    veil: PositiveRange = Field((0.3, 10.0), description="that background as a share of these photons, log")
    read_noise: Range = Field((0.5, 4.0), description="read noise, electrons")
    gain_spread: Range = Field((0.0, 0.01), description="standard deviation of the pixels' gains, as a share")
    bits: Shares[Literal["8", "12", "16"]] = Field(
        {"8": 0.15, "12": 0.35, "16": 0.5},
        description="share of cameras with so many bits; given anew, all of them are",
    )
    hot: Share = Field(0.3, description="share of cameras with hot pixels")
    hot_pixels: PositiveRange = Field((1e-5, 2e-4), description="share of their pixels that are hot, log")
    lit_unevenly: Share = Field(0.5, description="share of scenes with vignetting and a tilt of the light")
    vignetting: Range = Field((0.0, 0.3), description="share of the light lost in the corners")
    uneven: Range = Field((0.0, 0.4), description="change of the light across the field")
    overexposed: Share = Field(0.1, description="share of scenes that are overexposed")
    saturated: PositiveRange = Field((1e-4, 5e-3), description="share of their voxels that are saturated, log")
    patterned: Share = Field(0.25, description="share of cameras with a fixed pattern")
    pattern: PositiveRange = Field(
        (0.2, 3.0), description="standard deviation of that pattern's offsets, electrons, log"
    )

    def draw(self, rng: np.random.Generator) -> Camera:
        """Draw the camera."""
        lit_unevenly = happens(rng, self.lit_unevenly)
        photons = float(log_uniform(rng, self.photons))
        background = uniform(rng, self.background)
        if happens(rng, self.veiled):
            background = max(background, min(float(log_uniform(rng, self.veil)), photons / DROWNED))
        return Camera(
            photons=photons,
            background=background,
            read_noise=uniform(rng, self.read_noise),
            gain_spread=uniform(rng, self.gain_spread),
            hot_pixels=float(log_uniform(rng, self.hot_pixels)) if happens(rng, self.hot) else 0.0,
            vignetting=uniform(rng, self.vignetting) if lit_unevenly else 0.0,
            uneven=uniform(rng, self.uneven) if lit_unevenly else 0.0,
            saturated=float(log_uniform(rng, self.saturated)) if happens(rng, self.overexposed) else 0.0,
            bits=int(choose(rng, self.bits)),
            pattern=float(log_uniform(rng, self.pattern)) if happens(rng, self.patterned) else 0.0,
        )


class StageBounds(Bounds):
    """Bounds of the random choices in what happens while a stack is taken."""

    bleaching: Share = Field(0.4, description="share of scenes that bleach while the stack is taken")
    bleached: Range = Field((0.02, 0.4), description="share of the light that is lost at the last plane")
    unsteady: Share = Field(0.4, description="share of stages that jitter and drift")
    jitter: Range = Field((0.0, 0.12), description="error of the planes' heights, as a share of their distance")
    drift_px: Range = Field((0.0, 0.4), description="drift sideways at the end of the stack, pixels")

    def draw(self, rng: np.random.Generator) -> Stage:
        """Draw the stage."""
        unsteady = happens(rng, self.unsteady)
        return Stage(
            bleached=uniform(rng, self.bleached) if happens(rng, self.bleaching) else 0.0,
            jitter=uniform(rng, self.jitter) if unsteady else 0.0,
            drift_px=uniform(rng, self.drift_px) if unsteady else 0.0,
        )


class DetectorBounds(Bounds):
    """Bounds of the random choices in the confocal microscope's detector and laser."""

    confocal_photons: PositiveRange = Field(
        (100.0, 1500.0), description="photons of the brightest confocal voxels, log"
    )
    confocal_background: Range = Field((0.0, 0.02), description="even background as a share of these")
    confocal_read_noise: NonNegative = Field(0.5, description="read noise of the confocal detector, electrons")
    compensated: Range = Field((0.7, 1.0), description="share of the confocal loss with depth made up by laser power")
    noise_free: Share = Field(0.0, description="share of scenes whose confocal stack is without noise")

    def draw(self, rng: np.random.Generator) -> Camera:
        """Draw the detector."""
        return Camera(
            photons=float(log_uniform(rng, self.confocal_photons)),
            background=uniform(rng, self.confocal_background),
            read_noise=self.confocal_read_noise,
            noise_free=happens(rng, self.noise_free),
        )


def move(rng: np.random.Generator, image: FloatArray, stage: Stage) -> FloatArray:
    """The stack, axes (Z, Y, X), as an imperfect stage and a bleaching sample deliver it."""
    planes = len(image)
    if stage.jitter > 0:
        height = np.clip(np.arange(planes) + stage.jitter * rng.standard_normal(planes), 0, planes - 1)
        below = np.minimum(height.astype(int), planes - 2)
        share = (height - below).astype(np.float32)[:, None, None]
        image = (1 - share) * image[below] + share * image[below + 1]
    if stage.drift_px > 0:
        walk = np.cumsum(rng.standard_normal((planes, 2)), axis=0) * stage.drift_px / np.sqrt(planes)
        walk -= walk.mean(axis=0)
        image = np.stack([ndi.shift(plane, by, order=1, mode="nearest") for plane, by in zip(image, walk, strict=True)])
    left = (1 - stage.bleached) ** (np.arange(planes) / max(1, planes - 1))
    return np.asarray(image * left.astype(np.float32)[:, None, None], dtype=np.float32)


def illumination(rng: np.random.Generator, shape: tuple[int, int], camera: Camera) -> FloatArray:
    """Relative light in a field of ``shape`` (Y, X): tilted towards a random side, less in the corners."""
    y, x = (np.linspace(-1, 1, n) for n in shape)
    angle = rng.uniform(0, 2 * np.pi)
    tilt = 1 + 0.5 * camera.uneven * (np.sin(angle) * y[:, None] + np.cos(angle) * x[None, :]) / np.sqrt(2)
    corner = 1 - camera.vignetting * (y[:, None] ** 2 + x[None, :] ** 2) / 2
    return np.asarray(tilt * corner, dtype=np.float32)


def _detected(rng: np.random.Generator, photons: FloatArray, camera: Camera) -> FloatArray:
    """Electrons that photons, axes (Z, Y, X), make in a camera."""
    field = (photons.shape[1], photons.shape[2])
    electrons = rng.poisson(photons).astype(np.float32)
    electrons *= 1 + camera.gain_spread * rng.standard_normal(field, dtype=np.float32)
    electrons += camera.read_noise * rng.standard_normal(photons.shape, dtype=np.float32)
    hot = rng.random(field) < camera.hot_pixels
    electrons[:, hot] += rng.exponential(HOT_ELECTRONS, int(hot.sum())).astype(np.float32)
    if camera.pattern:
        offsets = sum(rng.standard_normal(size, dtype=np.float32) for size in ((field[0], 1), (1, field[1]), field))
        electrons += np.float32(camera.pattern / np.sqrt(3)) * np.asarray(offsets, dtype=np.float32)
    return electrons


def expose(rng: np.random.Generator, image: FloatArray, camera: Camera) -> Counts:
    """Counts of a noise-free image, axes (Z, Y, X), whose light is in any unit: ``camera.photons`` set its scale."""
    field = (image.shape[1], image.shape[2])
    light = image * illumination(rng, field, camera)
    bright = max(float(np.percentile(light, BRIGHT_PERCENTILE)), float(np.finfo(np.float32).tiny))
    photons = camera.photons * (light / bright + camera.background)
    electrons = np.asarray(photons, np.float32) if camera.noise_free else _detected(rng, photons, camera)
    # Gain and offset of the camera's analogue-digital converter.
    largest = 2**camera.bits - 1
    if camera.saturated:
        top = max(float(np.quantile(electrons, 1 - camera.saturated)), 1.0)
    else:
        top = max(float(electrons.max()), 1.0) / camera.fill
    offset = camera.offset * largest
    counts = offset + electrons * ((largest - offset) / top)
    if camera.noise_free:
        counts += rng.standard_normal(image.shape, dtype=np.float32)  # even planes would pass for none
    return np.asarray(np.clip(np.rint(counts), 0, largest), dtype=np.uint16)
