"""A registration as it stands: what was estimated, and how far a person moved it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from napari_deep3d.core import DoubleArray, Spacing, Vector, zyx
from napari_deep3d.core.registration import FAIR, HIGH, Registration, moved_by_hand

NEARLY_CERTAIN = 0.995
"""A confidence above it is shown as ``> 0.99``."""


@dataclass(frozen=True, eq=False)
class AdjustedRegistration:
    """What was found or read from a file, and how far it was moved by hand; (Z, Y, X) in um."""

    estimate: Registration
    widefield_um: Spacing  # voxel size of the wide-field stack
    by_um: Vector = (0.0, 0.0, 0.0)

    @property
    def is_adjusted(self) -> bool:
        """Whether it was moved."""
        return any(self.by_um)

    @cached_property
    def registration(self) -> Registration:
        """The registration as it stands."""
        return moved_by_hand(self.estimate, self.by_um, self.widefield_um) if self.is_adjusted else self.estimate

    @property
    def is_usable(self) -> bool:
        """Whether stacks may be aligned by it: it was found with some confidence, or is set by hand."""
        return not self.registration.refusal

    @property
    def has_profiles(self) -> bool:
        """Whether the estimate came with a PSF, which a file does not keep."""
        return self.estimate.psf.values.size > 1

    def with_shift(self, axis: int, shift_um: float) -> AdjustedRegistration:
        """The same with another shift along an axis (0, 1, 2 for Z, Y, X)."""
        by_um = list(self.by_um)
        by_um[axis] = round(shift_um - self.estimate.shift_um[axis], 6)  # so that there and back again is no move
        return replace(self, by_um=zyx(by_um))

    def nudged(self, axis: int, voxels: float) -> AdjustedRegistration:
        """The same, some wide-field voxels further along an axis (0, 1, 2 for Z, Y, X)."""
        return self.with_shift(axis, self.registration.shift_um[axis] + voxels * self.widefield_um[axis])

    def unadjusted(self) -> AdjustedRegistration:
        """The estimate again."""
        return replace(self, by_um=(0.0, 0.0, 0.0))

    def text(self) -> str:
        """One line: ``Shift z -1.12 um, y 0.00 um, x 0.93 um; confidence high (0.97)``."""
        sizes = (round(um, 2) + 0.0 for um in self.registration.shift_um)  # + 0.0: no minus before zero
        shift = ", ".join(f"{axis} {um:.2f} um" for axis, um in zip("zyx", sizes, strict=True))
        linear = "" if self.estimate.transform.is_shift else f"; {linear_text(self.estimate.transform.matrix)}"
        if self.registration.method == "by hand":
            return f"Shift {shift}{linear}; set by hand"
        confidence = self.estimate.confidence
        word = "high" if confidence >= HIGH else "fair" if confidence >= FAIR else "low"
        number = "> 0.99" if confidence > NEARLY_CERTAIN else f"{confidence:.2f}"
        return f"Shift {shift}{linear}; confidence {word} ({number})"


def linear_text(matrix: DoubleArray) -> str:
    """Rotation and magnification for people: ``turned by 0.5 degrees, magnified 1.012``."""
    left, sizes, right = np.linalg.svd(matrix[:3, :3])
    rotation = left @ right
    degrees = np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))
    stretch = np.diag(right.T @ np.diag(sizes) @ right)
    is_uniform = np.ptp(stretch) < 5e-4
    each_axis = ", ".join(f"{axis} {size:.3f}" for axis, size in zip("zyx", stretch, strict=True))
    return f"turned by {degrees:.1f} degrees, magnified {f'{stretch[0]:.3f}' if is_uniform else each_axis}"
