"""Where a confocal stack lies in a wide-field stack of the same sample."""

from napari_deep3d.core.registration.cross_spectrum import HIGH_PASS_SIGMA, LOW_PASS_SIGMA
from napari_deep3d.core.registration.register import register_volumes
from napari_deep3d.core.registration.result import FAIR, HIGH, Curve, Registration, ShiftMap, moved_by_hand
from napari_deep3d.core.registration.transform import Transform, centre_um
from napari_deep3d.core.registration.warp import AlignedPair, align_pair, resample

__all__ = [
    "FAIR",
    "HIGH",
    "HIGH_PASS_SIGMA",
    "LOW_PASS_SIGMA",
    "AlignedPair",
    "Curve",
    "Registration",
    "ShiftMap",
    "Transform",
    "align_pair",
    "centre_um",
    "moved_by_hand",
    "register_volumes",
    "resample",
]
