"""What some planes of raw frames show of the grid and of the images that they will give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.structured_light.brightness import brightness_variation, even_brightness
from napari_deep3d.core.structured_light.demodulation import section, wide_field
from napari_deep3d.core.structured_light.grid import Grid, check_directions, check_frames, check_grid, find_grid
from napari_deep3d.core.structured_light.stripes import residual_stripes
from napari_deep3d.core.types import FloatArray, Spacing

VISIBLE_STRIPES = 0.03
"""Residual stripes, as a share of the brightness, above which the user is told: a network learns them."""
BRIGHT_PERCENTILE = 99.9
MIN_SIGNAL = 4.0
"""Brightest structures of the section over its noise; noise alone has 3.7 (99.9 % of a Rayleigh distribution)."""
FAINT_SIGNAL = 10.0
"""Below it the section of simulated stacks was farther from the confocal image than the wide-field image, or hardly
closer (docs/grid_frames.md)."""


@dataclass(frozen=True)
class FramesReport:
    """The grids of all angles, and what is left of them.

    Attributes
    ----------
    grids : tuple of Grid
        One for each angle.
    stripes_widefield, stripes_confocal : float
        Amplitude of residual stripes in the two images, as a share of their mean brightness.
    signal_to_noise : float
        The 99.9th percentile of the sectioned image over the standard deviation of its noise.
    brightness_variation : float
        Standard deviation of the frames' brightness within a plane, as a share of it, before any correction.
    """

    grids: tuple[Grid, ...]
    stripes_widefield: float
    stripes_confocal: float
    signal_to_noise: float
    brightness_variation: float

    def values(self, spacing_um: Spacing) -> dict[str, object]:
        """Plain values; the grid's period is in um, for a voxel size (Z, Y, X)."""
        waves = [np.linalg.norm(np.divide(grid.frequency, spacing_um[1:])) for grid in self.grids]
        return {
            "modulation": [grid.modulation for grid in self.grids],
            "period_um": [1 / float(wave) for wave in waves],
            "phases_deg": [list(grid.phases_deg) for grid in self.grids],
            "phase_error_deg": max(grid.phase_error_deg for grid in self.grids),
            "stripes_widefield": self.stripes_widefield,
            "stripes_confocal": self.stripes_confocal,
            "signal_to_noise": self.signal_to_noise,
            "brightness_variation": self.brightness_variation,
        }

    def notices(self) -> Iterator[str]:
        """Sentences about what the user should look at."""
        if max(self.stripes_widefield, self.stripes_confocal) > VISIBLE_STRIPES:
            yield (
                f"stripes of {self.stripes_widefield:.1%} of the brightness are left in the wide-field and of "
                f"{self.stripes_confocal:.1%} in the sectioned image; up to {VISIBLE_STRIPES:.0%} hardly shows. A "
                "network may learn them: look at both before training."
            )
        if self.signal_to_noise < FAINT_SIGNAL:
            yield (
                f"the brightest structures of the sectioned image are only {self.signal_to_noise:.1f} times its noise; "
                f"below {FAINT_SIGNAL:.0f} it may be no better than the wide-field image. A longer exposure, or a "
                "coarser grid, which cuts thicker sections, helps."
            )


def examine(planes: FloatArray, name: str, *, even: bool = True) -> FramesReport:
    """Find the grids and the residual stripes in some planes, axes (Z, angle, phase, Y, X).

    ``even`` says whether frames are brought to one brightness. InputError, which calls the frames ``name``, if they
    cannot be demodulated.
    """
    several = planes.shape[1] > 1
    names = [f"angle {angle} of {name}" if several else name for angle in range(planes.shape[1])]
    for angle, called in enumerate(names):
        check_frames(planes[:, angle], called)
    used = np.stack([even_brightness(plane) for plane in planes]) if even else planes
    grids = tuple(find_grid(used[:, angle]) for angle in range(used.shape[1]))
    for grid, called in zip(grids, names, strict=True):
        check_grid(grid, called)
    check_directions(used, grids, name)
    frequencies = [grid.frequency for grid in grids]
    widefield, confocal = (np.stack([make(plane) for plane in used]) for make in (wide_field, section))
    noise = float(np.linalg.norm([grid.noise for grid in grids])) / len(grids)
    signal = float(np.percentile(confocal, BRIGHT_PERCENTILE)) / max(noise, float(np.finfo(np.float32).tiny))
    if signal < MIN_SIGNAL:
        raise InputError(
            f"the stripes in {name} drown in noise: the brightest structures of the section are {signal:.1f} times its "
            f"noise; at least {MIN_SIGNAL:.0f} times are needed. Expose longer, or take a coarser grid."
        )
    return FramesReport(
        grids=grids,
        stripes_widefield=residual_stripes(widefield, frequencies),
        stripes_confocal=residual_stripes(confocal, frequencies),
        signal_to_noise=signal,
        brightness_variation=brightness_variation(planes),
    )
