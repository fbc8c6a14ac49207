"""The grid as the frames show it: its frequency, how far it moved between frames, how deep its stripes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.structured_light.demodulation import first_harmonic
from napari_deep3d.core.structured_light.spectrum import Frequency, coefficient, window
from napari_deep3d.core.types import FloatArray

MIN_STRIPES = 8
"""Stripes across the field below which they cannot be told from the sample's own shades."""
MIN_CONTRAST = 10.0
"""Power of the stripes over that of any other frequency; the largest of noise reaches about 5."""
MIN_MODULATION = 0.002
"""Share of the light that the grid must modulate; in thick samples it is a few hundredths."""
MAX_PHASE_ERROR_DEG = 20.0
"""Largest departure from equal steps; with it stripes of about a tenth of the section are left."""
MAX_CROSS_POWER = 0.35
"""Power at another angle's frequency over that at the own one; a field of a few points reaches 0.2."""
MAX_UNREST = 0.3
"""Power of what else differs between frames over that of the grid; frames of several planes have 0.35 or more."""
LENS_GAIN = 4.0
"""Power that a lens passes at low frequencies over that at twice the grid's, which is half its cutoff or less."""
WINDOW_BINS = 2
"""A frequency reaches so far through the window."""


@dataclass(frozen=True)
class Grid:
    """The grid of one angle.

    Attributes
    ----------
    frequency : (float, float)
        Cycles per pixel along Y and X.
    phases_deg : tuple of float
        Phase of each frame in degrees, the first one 0; within -180 and 180.
    modulation : float
        Amplitude of the stripes as a share of the mean brightness, over the whole field.
    contrast : float
        Power at the grid's frequency over the median power of all.
    noise : float
        Standard deviation of the noise in the section, where it is far brighter than that.
    unrest : float
        Highest power of low frequencies in what differs between frames, above what the moved spectrum of the sample
        has there, over the power of the grid.
    """

    frequency: Frequency
    phases_deg: tuple[float, ...]
    modulation: float
    contrast: float
    noise: float
    unrest: float

    @property
    def phase_error_deg(self) -> float:
        """Largest departure of a phase from equal steps, in degrees."""
        ideal = 360 * np.arange(len(self.phases_deg)) / len(self.phases_deg)
        turns = np.exp(1j * np.deg2rad(np.array(self.phases_deg) - ideal))
        return float(np.rad2deg(np.abs(np.angle(turns * np.conj(turns.sum()))).max()))


def find_grid(planes: FloatArray) -> Grid:
    """Find the grid of one angle in some planes, axes (Z, phase, Y, X), of one brightness.

    The highest peak in the spectrum of the first harmonic lies at the grid's frequency: the sample's own spectrum is
    moved there. At that frequency the frames of a plane lie on a circle in the complex plane, whatever the
    sample is, and the angle on that circle is the frame's phase.
    """
    rows, columns = planes.shape[-2:]
    power = _spectrum(planes)
    distance = np.hypot(scipy.fft.fftfreq(rows, 1 / rows)[:, None], scipy.fft.fftfreq(columns, 1 / columns))
    low = (distance >= WINDOW_BINS) & (distance < MIN_STRIPES - WINDOW_BINS)
    grids = np.where(distance < MIN_STRIPES, 0, power)  # without the sample's own shades, where frames differ
    top, typical = float(grids.max()), float(np.median(power))
    # The sample's spectrum is symmetric about the grid's frequency, but for the lens, which passes low ones better.
    place = np.unravel_index(int(grids.argmax()), grids.shape)
    mirrored = np.roll(power, (-2 * int(place[0]), -2 * int(place[1])), axis=(0, 1))
    unrest = max(0.0, float(power[low].max() - LENS_GAIN * mirrored[low].max()))
    frequency = _peak(grids)
    coefficients = coefficient(planes, frequency)
    centred = coefficients - coefficients.mean(axis=1, keepdims=True)
    _, strengths, shapes = np.linalg.svd(centred, full_matrices=False)  # planes differ by one complex factor
    centre, radius = _circle(shapes[0])
    phases = np.angle((shapes[0] - centre) * np.conj(shapes[0][0] - centre))
    brightness = float(np.linalg.norm(coefficient(planes, (0.0, 0.0)).real.mean(axis=1)))
    modulation = 2 * float(strengths[0]) * radius / brightness if brightness > 0 else 0.0
    return Grid(
        frequency,
        tuple(float(phase) for phase in np.rad2deg(phases)),
        modulation,
        contrast=top / typical if typical > 0 else np.inf if top > 0 else 0.0,
        noise=_noise(typical, planes),
        unrest=unrest / top if top > 0 else 0.0,
    )


def check_frames(planes: FloatArray, name: str) -> None:
    """Refuse frames of one angle, axes (Z, phase, Y, X), that hold no numbers or are the same; InputError."""
    if not np.isfinite(planes).all():
        raise InputError(
            f"{name} holds values that are no numbers (NaN or infinite); finite ones are needed. Export the raw "
            "frames again."
        )
    count = planes.shape[1]
    for first in range(count):
        for second in range(first + 1, count):
            if np.array_equal(planes[:, first], planes[:, second]):
                raise InputError(
                    f"frames {first} and {second} of {name} are the same (counted from 0); every frame needs another "
                    "phase of the grid. Give the raw frames, not the processed image, and check --phases and --layout."
                )


def check_grid(grid: Grid, name: str) -> None:
    """Refuse a grid that cannot be demodulated: too faint, or not moved in equal steps; InputError."""
    count = len(grid.phases_deg)
    if grid.modulation < MIN_MODULATION or grid.contrast < MIN_CONTRAST:
        raise InputError(
            f"no grid is found in {name}: the strongest stripes have {grid.modulation:.1%} of the brightness and "
            f"{grid.contrast:.0f} times the power of other frequencies; at least {MIN_MODULATION:.0%} and "
            f"{MIN_CONTRAST:.0f} times are needed, and {MIN_STRIPES} stripes across the field. Check that these are "
            f"raw frames, and --phases ({count}), --angles and --layout; else take a coarser grid or longer exposure."
        )
    if grid.phase_error_deg > MAX_PHASE_ERROR_DEG:
        found = ", ".join(f"{phase % 360:.0f}" for phase in grid.phases_deg)
        raise InputError(
            f"the phases of the grid in {name} are {found} degrees; equal steps of {360 / count:.0f} degrees are "
            f"needed, none off by more than {MAX_PHASE_ERROR_DEG:.0f}. Check --phases, --angles and --layout; if they "
            "are right, calibrate the grid's movement and take the stack again."
        )
    if grid.unrest > MAX_UNREST:
        raise InputError(
            f"the frames in {name} differ in more than the grid: what changes between them at low frequencies has "
            f"{grid.unrest:.1f} times the power of the stripes; at most {MAX_UNREST} is allowed. Check --phases, "
            f"--angles and --layout, that the sample did not move, and that at least {MIN_STRIPES} stripes cross the "
            "field."
        )


def check_directions(frames: FloatArray, grids: Sequence[Grid], name: str) -> None:
    """Refuse angles, axes of the frames (Z, angle, phase, Y, X), of which one shows the grid of another; InputError.

    So it looks where planes were taken for angles: each of these may well have the phases that it should have.
    """
    for own, planes in enumerate(np.moveaxis(frames, 1, 0)):
        power = [_moved_power(planes, grid.frequency) for grid in grids]
        for other in range(len(grids)):
            if other != own and power[other] > MAX_CROSS_POWER * power[own]:
                raise InputError(
                    f"the frames of angle {own} of {name} show the grid of angle {other} as well (counted from 0); "
                    "every angle needs a direction of its own. Check --angles, and the order of the frames with "
                    "--layout: zap, azp or apz."
                )


def _moved_power(planes: FloatArray, frequency: Frequency) -> float:
    """Power at a frequency of what differs between the phases, axes (Z, phase, Y, X)."""
    coefficients = coefficient(planes, frequency)
    return float(np.sum(np.abs(coefficients - coefficients.mean(axis=1, keepdims=True)) ** 2))


def _spectrum(planes: FloatArray) -> NDArray[np.float64]:
    """Power of the windowed first harmonic, summed over planes, axes (Z, phase, Y, X) to (Y, X) as the FFT has them."""
    shown = window(*planes.shape[-2:])
    return np.asarray(sum(np.abs(scipy.fft.fft2(each * shown)) ** 2 for each in first_harmonic(planes)), dtype=float)


def _peak(power: NDArray[np.float64]) -> Frequency:
    """The frequency of the highest peak, to a part of a bin."""
    top = np.unravel_index(int(power.argmax()), power.shape)
    y, x = (
        (
            scipy.fft.fftfreq(size, 1 / size)[top[axis]]
            + _vertex(np.take(power, top[1 - axis], 1 - axis), int(top[axis]))
        )
        / size
        for axis, size in enumerate(power.shape)
    )
    return float(y), float(x)


def _noise(typical: float, planes: FloatArray) -> float:
    """Standard deviation of the section's noise from the median of the spectrum of planes (Z, phase, Y, X).

    Noise of light and camera is alike at all frequencies, where the sample's spectrum ends sooner or later.
    """
    each = typical / (len(planes) - 1 / 3)  # the mean of one plane, from the median of a sum of exponential variates
    gain = float(np.sum(window(*planes.shape[-2:]).astype(np.float64) ** 2))
    return float(np.sqrt(2 * each / gain) / planes.shape[1])


def _vertex(power: NDArray[np.float64], top: int) -> float:
    """Where, from a periodic line's highest bin, the parabola through its logarithm and its neighbours' peaks."""
    around = power[(top + np.arange(-1, 2)) % len(power)]
    if around.min() <= 0:
        return 0.0
    left, middle, right = np.log(around)
    bend = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _circle(points: NDArray[np.complexfloating]) -> tuple[complex, float]:
    """Centre and radius of the circle nearest to points (Kasa, IEEE Trans. Instrum. Meas. 25, 8, 1976)."""
    parts = np.stack([2 * points.real, 2 * points.imag, np.ones(len(points))], axis=1)
    (x, y, rest), *_ = np.linalg.lstsq(parts, np.abs(points) ** 2, rcond=None)
    return complex(x, y), float(np.sqrt(max(0.0, rest + x * x + y * y)))
