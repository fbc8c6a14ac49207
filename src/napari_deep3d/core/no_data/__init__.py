"""Voxels of a stack that are no image: borders left by shifting, turning, stitching or padding, dead lines, planes."""

from napari_deep3d.core.no_data.filling import CroppedStack, FilledStack
from napari_deep3d.core.no_data.finding import find_no_data
from napari_deep3d.core.no_data.mask import MaskStack, NoData

__all__ = ["CroppedStack", "FilledStack", "MaskStack", "NoData", "find_no_data"]
