"""Stacks in files: the only package that knows file formats.

Read: OME-TIFF, ImageJ, Micro-Manager and plain multi-page TIFF, OME-Zarr 0.4 and 0.5, and with libraries that are an
extra Nikon ND2, Leica LIF, Zeiss CZI and Imaris, all lazily. Written: OME-TIFF and OME-Zarr 0.5, whole under their name
or not at all.
"""

from napari_deep3d.io.layer_stack import AXIS_NAMES, METADATA_KEY, SavableStack, layer_stack
from napari_deep3d.io.output import check_folder, check_output, remove
from napari_deep3d.io.reader import STACK_SUFFIXES, find_stacks, open_stack, open_stacks
from napari_deep3d.io.shown_levels import shown_levels
from napari_deep3d.io.stack_file import (
    STACK_AXES,
    FoundImage,
    StackFacts,
    StackFile,
    StackView,
    readable,
    stack_name,
)
from napari_deep3d.io.stack_in_file import FileChoice, StackInFile
from napari_deep3d.io.units import um_per_unit
from napari_deep3d.io.writer import StackWriter, save_stack, write_stack

__all__ = [
    "AXIS_NAMES",
    "METADATA_KEY",
    "STACK_AXES",
    "STACK_SUFFIXES",
    "FileChoice",
    "FoundImage",
    "SavableStack",
    "StackFacts",
    "StackFile",
    "StackInFile",
    "StackView",
    "StackWriter",
    "check_folder",
    "check_output",
    "find_stacks",
    "layer_stack",
    "open_stack",
    "open_stacks",
    "readable",
    "remove",
    "save_stack",
    "shown_levels",
    "stack_name",
    "um_per_unit",
    "write_stack",
]
