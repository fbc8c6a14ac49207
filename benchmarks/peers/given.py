"""Names and scale of the files that every worker is given; needs no package."""

from __future__ import annotations

SPACING_UM = (0.4, 0.2, 0.2)
"""Voxel size of all stacks, Z, Y, X."""
STACK, PSF = "stack.npy", "psf.npy"
CONFOCAL, WIDEFIELD = "confocal.npy", "widefield.npy"
