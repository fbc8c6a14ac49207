"""Stacks in files: the only package that knows file formats.

Read: OME-TIFF, ImageJ, Micro-Manager and plain multi-page TIFF, OME-Zarr 0.4 and 0.5, all lazily. Written: OME-TIFF and
OME-Zarr 0.5, whole under their name or not at all.
"""

from napari_deep3d.io.output import check_folder, check_output
from napari_deep3d.io.reader import open_stack, open_stacks
from napari_deep3d.io.stack_file import StackFile, readable, stack_name
from napari_deep3d.io.units import um_per_unit
from napari_deep3d.io.writer import StackWriter, write_stack

__all__ = [
    "StackFile",
    "StackWriter",
    "check_folder",
    "check_output",
    "open_stack",
    "open_stacks",
    "readable",
    "stack_name",
    "um_per_unit",
    "write_stack",
]
