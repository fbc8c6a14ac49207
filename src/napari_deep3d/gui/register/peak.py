"""The shift as it stands: what was estimated, and how far it was moved by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from napari_deep3d.core.registration.confidence import FAIR, HIGH
from napari_deep3d.core.registration.result import Registration, moved_by_hand
from napari_deep3d.core.registration.transform import Transform
from napari_deep3d.core.types import Spacing, Vector

NEARLY_SURE = 0.995


@dataclass(frozen=True, eq=False)
class Peak:
    """A registration and what a person did to it.

    Attributes
    ----------
    estimate
        What was found, or read from a file.
    widefield_um
        Voxel size of the wide-field stack.
    by_um
        How far it was moved by hand, (Z, Y, X) in um.
    """

    estimate: Registration
    widefield_um: Spacing
    by_um: Vector = (0.0, 0.0, 0.0)

    @property
    def is_by_hand(self) -> bool:
        """Whether it was moved."""
        return any(self.by_um)

    @cached_property
    def registration(self) -> Registration:
        """The registration as it stands."""
        if not self.is_by_hand:
            return self.estimate
        return moved_by_hand(self.estimate, self.by_um, self.widefield_um)

    @property
    def has_profiles(self) -> bool:
        """Whether the estimate came with a PSF, which a file does not keep."""
        return self.estimate.psf.values.size > 1

    def moved_to(self, axis: int, shift_um: float) -> Peak:
        """The peak at another shift along an axis (0, 1, 2 for Z, Y, X)."""
        by = list(self.by_um)
        by[axis] = round(shift_um - self.estimate.shift_um[axis], 6)  # so that there and back again is no move
        return replace(self, by_um=(by[0], by[1], by[2]))

    def nudged(self, axis: int, voxels: float) -> Peak:
        """The peak some wide-field voxels further along an axis."""
        return self.moved_to(axis, self.registration.shift_um[axis] + voxels * self.widefield_um[axis])

    def back(self) -> Peak:
        """The estimate again."""
        return replace(self, by_um=(0.0, 0.0, 0.0))

    def text(self) -> str:
        """One line: ``Shift z -1.12 um, y 0.00 um, x 0.93 um; confidence high (0.97)``."""
        shift = ", ".join(f"{a} {_signed(um)} um" for a, um in zip("zyx", self.registration.shift_um, strict=True))
        more = "" if self.estimate.transform.is_shift else f"; {linear_text(self.estimate.transform)}"
        end = "set by hand" if self.registration.method == "by hand" else _confidence_text(self.estimate.confidence)
        return f"Shift {shift}{more}; {end}"


def _signed(um: float) -> str:
    return f"{round(um, 2) + 0.0:.2f}"  # + 0.0: no minus before zero


def _confidence_text(confidence: float) -> str:
    word = "high" if confidence >= HIGH else "fair" if confidence >= FAIR else "low"
    return f"confidence {word} ({'> 0.99' if confidence > NEARLY_SURE else f'{confidence:.2f}'})"


def linear_text(transform: Transform) -> str:
    """Rotation and magnification for people: ``turned by 0.5 degrees, magnified 1.012``."""
    left, sizes, right = np.linalg.svd(transform.matrix[:3, :3])
    turn = left @ right
    degrees = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    stretch = np.diag(right.T @ np.diag(sizes) @ right)
    same = np.ptp(stretch) < 5e-4
    sizes_text = (
        f"{stretch[0]:.3f}" if same else ", ".join(f"{a} {size:.3f}" for a, size in zip("zyx", stretch, strict=True))
    )
    return f"turned by {degrees:.1f} degrees, magnified {sizes_text}"
