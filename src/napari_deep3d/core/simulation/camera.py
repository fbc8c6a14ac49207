"""From light to counts: what camera, lamp and stage do to a stack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_deep3d.core.types import FloatArray

Counts = NDArray[np.uint16]
BRIGHT_PERCENTILE = 99.9
HOT_ELECTRONS = 300.0
"""Mean of the light that a hot pixel adds, exponentially distributed."""


@dataclass(frozen=True)
class Camera:
    """How a stack is recorded.

    Attributes
    ----------
    photons
        Of the brightest voxels (99.9th percentile).
    background
        Even light that comes on top, as a share of these.
    read_noise
        Standard deviation in electrons.
    gain_spread
        Standard deviation of the pixels' gains, as a share.
    hot_pixels
        Share of the camera's pixels that are hot in every plane.
    vignetting
        Share of the light that the field's corners lose.
    uneven
        Largest change of the illumination from one side of the field to the other, as a share.
    saturated
        Share of the voxels that are cut off at the camera's largest value.
    bits
        Of the counts.
    offset
        Counts without light, as a share of the range.
    fill
        Share of the range that the brightest voxels reach.
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


@dataclass(frozen=True)
class Stage:
    """What happens while a stack is taken, plane after plane.

    Attributes
    ----------
    bleached
        Share of the light that is gone at the last plane.
    jitter
        Standard deviation of the planes' heights, as a share of their distance.
    drift_px
        Standard deviation of the sideways position, in pixels, at the end of a random walk.
    """

    bleached: float = 0.0
    jitter: float = 0.0
    drift_px: float = 0.0


def move(rng: np.random.Generator, image: FloatArray, stage: Stage) -> FloatArray:
    """The stack (Z, Y, X) as an imperfect stage and bleaching sample deliver it."""
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
    """Relative light by place in the field (Y, X): a tilt, and a fall towards the corners."""
    y, x = (np.linspace(-1, 1, n) for n in shape)
    angle = rng.uniform(0, 2 * np.pi)
    tilt = 1 + 0.5 * camera.uneven * (np.sin(angle) * y[:, None] + np.cos(angle) * x[None, :]) / np.sqrt(2)
    corner = 1 - camera.vignetting * (y[:, None] ** 2 + x[None, :] ** 2) / 2
    return np.asarray(tilt * corner, dtype=np.float32)


def expose(rng: np.random.Generator, image: FloatArray, camera: Camera) -> Counts:
    """Counts (uint16) of a noise-free image, axes (Z, Y, X)."""
    field = (image.shape[1], image.shape[2])
    light = image * illumination(rng, field, camera)
    bright = max(float(np.percentile(light, BRIGHT_PERCENTILE)), float(np.finfo(np.float32).tiny))
    electrons = rng.poisson(camera.photons * (light / bright + camera.background)).astype(np.float32)
    electrons *= 1 + camera.gain_spread * rng.standard_normal(field, dtype=np.float32)
    electrons += camera.read_noise * rng.standard_normal(image.shape, dtype=np.float32)
    hot = rng.random(field) < camera.hot_pixels
    electrons[:, hot] += rng.exponential(HOT_ELECTRONS, int(hot.sum())).astype(np.float32)
    return _counts(electrons, camera)


def _counts(electrons: FloatArray, camera: Camera) -> Counts:
    largest = 2**camera.bits - 1
    if camera.saturated:
        top = max(float(np.quantile(electrons, 1 - camera.saturated)), 1.0)
    else:
        top = max(float(electrons.max()), 1.0) / camera.fill
    offset = camera.offset * largest
    counts = offset + electrons * ((largest - offset) / top)
    return np.asarray(np.clip(np.rint(counts), 0, largest), dtype=np.uint16)
