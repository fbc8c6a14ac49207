"""Frames taken through a grid (ApoTome, OS-SIM, 3D-SIM): their wide-field and their optically sectioned image."""

from napari_deep3d.core.structured_light.brightness import even_brightness
from napari_deep3d.core.structured_light.demodulation import section, wide_field
from napari_deep3d.core.structured_light.report import FramesReport, examine

__all__ = ["FramesReport", "even_brightness", "examine", "section", "wide_field"]
