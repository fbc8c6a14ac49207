"""Shapes cut from random and periodic fields: level sets, shells, threads, clouds and triply periodic surfaces.

All are generic: they stand for no tissue. A field is computed on a grid as coarse as its finest detail allows; random
ones by their spectrum, so that they wrap round at the ends of that grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.fft
from pydantic import Field
from scipy.spatial.transform import Rotation

from napari_deep3d.core import DoubleArray, FloatArray, zyx
from napari_deep3d.core.simulation.bounds import (
    Bounds,
    PositiveRange,
    Range,
    Share,
    ShareRange,
    happens,
    log_uniform,
    uniform,
)
from napari_deep3d.core.simulation.samples.canvas import Canvas, interpolate

COARSE = 8.0
"""Points of the coarse grid to the shortest wave length of a field; with fewer, slopes and thicknesses are wrong."""
MIN_WAVE = 6.0
"""Shortest wave length in lateral voxels: finer ones would be an even grey."""

Spectrum = Callable[[DoubleArray], DoubleArray]
Frame = tuple[DoubleArray, DoubleArray]
"""Axes (3, 3) of a turned frame, as rows, and the stretch (3,) along each."""


class FieldsBounds(Bounds):
    """Bounds of the random choices in shapes cut from random and periodic fields."""

    wave_um: PositiveRange = Field((1.0, 16.0), description="wave length of fields, log")
    anisotropy: PositiveRange = Field((0.4, 2.5), description="wave length along each turned axis in that, log")
    band: PositiveRange = Field(
        (0.08, 0.8), description="width of a random field's band of frequencies in their mean, log: low is regular"
    )
    filling: ShareRange = Field((0.02, 0.6), description="share of the sample that solid level sets fill")
    shell_um: PositiveRange = Field((0.1, 1.5), description="thickness of shells and threads, log")
    level: Range = Field((-1.0, 1.0), description="level of shells in standard deviations of the field")
    warp: Range = Field((0.0, 0.4), description="shift that bends periodic fields, in their wave length")
    graded_chance: Share = Field(0.3, description="share of the level sets whose brightness grows inwards")
    fall: Range = Field((1.2, 3.0), description="fall of fractal noise's amplitude with frequency: its power")
    contrast: Range = Field((0.5, 2.0), description="standard deviation of the logarithm of fractal noise's brightness")
    cut_chance: Share = Field(0.5, description="share of the fractal samples that are dark below a threshold")


@dataclass(frozen=True)
class _Smooth:
    """A field over the sample, and how steep it is.

    Attributes
    ----------
    values : array of float32, axes (Z, Y, X)
        The field: mean 0, standard deviation 1.
    slope : array of float32, axes (Z, Y, X)
        Its change per um, never 0.
    voxel_um : float
        Mean width of a voxel.
    """

    values: FloatArray
    slope: FloatArray
    voxel_um: np.float32

    @classmethod
    def of(cls, canvas: Canvas, coarse: FloatArray, step: DoubleArray) -> _Smooth:
        """From values on a coarse grid with a step (3,) in um."""
        coarse = (coarse - coarse.mean()) / max(float(coarse.std()), 1e-6)
        steep = np.sqrt(sum(np.square(part) for part in np.gradient(coarse, *step))).astype(np.float32)
        floor = 0.3 * float(steep.mean()) + 1e-6
        places = [np.arange(n) * d / s for n, d, s in zip(canvas.shape, canvas.spacing_um, step, strict=True)]
        slope = np.maximum(interpolate(steep, places), np.float32(floor))
        return cls(interpolate(coarse.astype(np.float32), places), slope, np.float32(np.mean(canvas.spacing_um)))

    def from_level_um(self, level: float) -> FloatArray:
        """About the distance from where the field has a value, in um, above 0 where it is larger; axes (Z, Y, X)."""
        return np.asarray((self.values - np.float32(level)) / self.slope, dtype=np.float32)

    def shell(self, level: float, thickness_um: float) -> FloatArray:
        """Share of each voxel that a shell around a level fills, axes (Z, Y, X)."""
        width, thickness = self.voxel_um, np.float32(thickness_um)
        covered = (thickness / 2 + width / 2 - np.abs(self.from_level_um(level))) / width
        return np.asarray(np.clip(covered, 0, min(np.float32(1), thickness / width)), dtype=np.float32)


def draw_level_set(canvas: Canvas, bounds: FieldsBounds) -> None:
    """Where a random field is above a level: scattered lumps, worms, labyrinths, or all but holes."""
    _solid(canvas, _random(canvas, bounds), bounds)


def draw_shells(canvas: Canvas, bounds: FieldsBounds) -> None:
    """Where a random field is near a level: closed or winding surfaces."""
    field = _random(canvas, bounds)
    canvas.density[:] = field.shell(canvas.rng.uniform(*bounds.level), float(log_uniform(canvas.rng, bounds.shell_um)))


def draw_threads(canvas: Canvas, bounds: FieldsBounds) -> None:
    """Where two random fields are near a level at once: winding threads."""
    rng = canvas.rng
    thickness_um, least = float(log_uniform(rng, bounds.shell_um)), 1.5 * float(np.mean(canvas.spacing_um))
    shells = [_random(canvas, bounds).shell(rng.uniform(*bounds.level), max(thickness_um, least)) for _ in range(2)]
    canvas.density[:] = shells[0] * shells[1]


def draw_periodic(canvas: Canvas, bounds: FieldsBounds) -> None:
    """A triply periodic surface (gyroid, Schwarz's P and D, Schoen's I-WP), turned and bent: a shell, or one side."""
    rng = canvas.rng
    wave_um = _wave(canvas, bounds)
    turn, stretch = _turned(canvas, bounds)
    step, shape = _grid(canvas, wave_um * float(stretch.min()))
    coarse = Canvas.blank(rng, shape, zyx(step.tolist()))
    bend = wave_um * uniform(rng, bounds.warp)
    along = [(np.arange(n) * d).astype(np.float32) for n, d in zip(shape, step, strict=True)]
    places = [p + np.float32(bend) * coarse.noise(wave_um) for p in np.ix_(*along)]
    u, v, w = (
        np.float32(2 * np.pi / wave_um / s) * sum(np.float32(t) * p for t, p in zip(row, places, strict=True))
        for row, s in zip(turn, stretch, strict=True)
    )
    surfaces: tuple[Callable[[], FloatArray], ...] = (
        lambda: np.sin(u) * np.cos(v) + np.sin(v) * np.cos(w) + np.sin(w) * np.cos(u),
        lambda: np.cos(u) + np.cos(v) + np.cos(w),
        lambda: np.cos(u) * np.cos(v) * np.cos(w) - np.sin(u) * np.sin(v) * np.sin(w),
        lambda: (
            2 * (np.cos(u) * np.cos(v) + np.cos(v) * np.cos(w) + np.cos(w) * np.cos(u))
            - (np.cos(2 * u) + np.cos(2 * v) + np.cos(2 * w))
        ),
    )
    field = _Smooth.of(canvas, surfaces[int(rng.integers(len(surfaces)))](), step)
    if happens(rng, 0.5):
        _solid(canvas, field, bounds)
    else:
        canvas.density[:] = field.shell(rng.uniform(*bounds.level), float(log_uniform(rng, bounds.shell_um)))


def draw_fractal(canvas: Canvas, bounds: FieldsBounds) -> None:
    """Clouds: the exponential of noise whose amplitude falls by a power of the frequency; often cut off below."""
    rng = canvas.rng
    fall = uniform(rng, bounds.fall)
    step = np.array(canvas.spacing_um)
    longest = float(canvas.field_um.max())
    frame = _turned(canvas, bounds)
    values = _spectral(canvas, step, canvas.shape, lambda k: np.maximum(k, 1 / longest) ** -fall, frame)
    values /= max(float(values.std()), 1e-6)
    density = np.exp(np.float32(uniform(rng, bounds.contrast)) * values)
    if happens(rng, bounds.cut_chance):
        density -= np.float32(np.quantile(density[::2, ::3, ::3], 1 - rng.uniform(*bounds.filling)))
    canvas.density[:] = np.maximum(density, 0)


def _random(canvas: Canvas, bounds: FieldsBounds) -> _Smooth:
    """A random field of one wave length, more or less."""
    rng = canvas.rng
    wave_um, band = _wave(canvas, bounds), float(log_uniform(rng, bounds.band))
    frame = _turned(canvas, bounds)
    step, shape = _grid(canvas, wave_um * float(frame[1].min()))
    values = _spectral(canvas, step, shape, lambda k: np.exp(-(((k * wave_um - 1) / band) ** 2)), frame)
    return _Smooth.of(canvas, values, step)


def _solid(canvas: Canvas, field: _Smooth, bounds: FieldsBounds) -> None:
    """Draw where a field is large, as much of the sample as the bounds say."""
    rng = canvas.rng
    level = float(np.quantile(field.values[::2, ::3, ::3], 1 - rng.uniform(*bounds.filling)))
    canvas.density[:] = np.clip(field.from_level_um(level) / field.voxel_um + np.float32(0.5), 0, 1)
    if happens(rng, bounds.graded_chance):
        canvas.density[:] *= np.maximum(field.values - np.float32(level), 0)


def _wave(canvas: Canvas, bounds: FieldsBounds) -> float:
    """A wave length in um that the voxels resolve and of which the field shows a few."""
    low, high = bounds.wave_um
    high = min(high, max(low, 0.6 * float(np.median(canvas.field_um))))
    return max(float(log_uniform(canvas.rng, (low, high))), MIN_WAVE * canvas.spacing_um[1])


def _grid(canvas: Canvas, wave_um: float) -> tuple[DoubleArray, tuple[int, int, int]]:
    """Step (3,) in um and points of a coarse grid over the sample that holds waves of that length."""
    step = np.maximum(canvas.spacing_um, wave_um / COARSE)
    return step, zyx(np.ceil(canvas.field_um / step).astype(int) + 2)


def _turned(canvas: Canvas, bounds: FieldsBounds) -> Frame:
    """A random frame."""
    return Rotation.random(rng=canvas.rng).as_matrix(), log_uniform(canvas.rng, bounds.anisotropy, 3)


def _spectral(
    canvas: Canvas, step: DoubleArray, shape: tuple[int, ...], spectrum: Spectrum, frame: Frame
) -> FloatArray:
    """Gaussian noise on a grid whose amplitude is a function of the frequency in 1/um, axes (Z, Y, X), mean 0.

    The frequency is that in a turned and stretched frame.
    """
    turn, stretch = frame
    waves = [scipy.fft.fftfreq(n, d) for n, d in zip(shape[:2], step[:2], strict=True)]
    grid = np.ix_(*waves, scipy.fft.rfftfreq(shape[2], step[2]))
    frequency = np.sqrt(
        sum((s * (r[0] * grid[0] + r[1] * grid[1] + r[2] * grid[2])) ** 2 for r, s in zip(turn, stretch, strict=True))
    )
    white = scipy.fft.rfftn(canvas.rng.standard_normal(shape, dtype=np.float32))
    white *= spectrum(frequency).astype(np.float32)
    white[0, 0, 0] = 0
    return np.asarray(scipy.fft.irfftn(white, s=shape), dtype=np.float32)
