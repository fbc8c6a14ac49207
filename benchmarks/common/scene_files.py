"""Simulated files: their voxels, and the scene they were made from, read as JSON from their OME description."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_deep3d.core import FloatArray, Spacing, check_spacing
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.io import open_stack

CLEAR_UM = 1e5
"""A mean free path from here on is no scattering; files say 1e6."""
HAZES = (("strong, < 50 um", 50.0), ("medium, 50-150 um", 150.0), ("weak, >= 150 um", CLEAR_UM))
"""Names of haze, each with the mean free path that it stays below."""
SAME_INDEX = 0.003
DEPTHS = (0.15, 0.5, 0.85)
"""Shares of the sample's thickness at which PSFs are computed."""
THICKNESSES = (("< 10 um", 10.0), ("10-20 um", 20.0), ("20-40 um", 40.0))


@dataclass(frozen=True)
class SceneFile:
    """The scene of a simulated file.

    Attributes
    ----------
    kind
        Kind of sample, such as ``nuclei``.
    spacing_um
        Voxel size (Z, Y, X) in um.
    thickness_um
        Of the sample, which may be thicker than the stack.
    mean_free_path_um
        Of scattering; 1e6 means clear.
    microscope
        The values of :class:`~napari_deep3d.core.simulation.microscope.Microscope`, as in the file; its depth is that
        of the sample's surface.
    measured_psf
        Whether the wide-field image was made with a measured PSF.
    """

    kind: str
    spacing_um: Spacing
    thickness_um: float
    mean_free_path_um: float
    microscope: dict[str, Any]
    measured_psf: bool = False

    @property
    def haze(self) -> str:
        """``clear``, or ``weak``, ``medium``, ``strong`` with the limits of the mean free path."""
        return next((name for name, limit in HAZES if self.mean_free_path_um < limit), "clear")

    @property
    def thickness(self) -> str:
        """Band of the sample's thickness."""
        return next((name for name, limit in THICKNESSES if self.thickness_um < limit), ">= 40 um")

    @property
    def groups(self) -> dict[str, str]:
        """What the stack is grouped by in tables."""
        return {"kind": self.kind, "haze": self.haze, "thickness": self.thickness}


def read_voxels(path: Path) -> FloatArray:
    """Voxels of a file with one stack, axes (Z, Y, X)."""
    return np.asarray(open_stack(path).volume().data[:, :, :], dtype=np.float32)


def read_scene(path: Path) -> SceneFile:
    """Read the scene of a simulated OME-TIFF.

    Raises
    ------
    ValueError
        If the file does not describe a simulated scene.
    """
    with tifffile.TiffFile(path) as file:
        xml = file.ome_metadata
    text = ElementTree.fromstring(xml).findtext(".//{*}Image/{*}Description") if xml else None
    described = json.loads(text) if text and text.lstrip().startswith("{") else {}
    if "simulated" not in described:
        raise ValueError(f"{path} does not say how it was simulated; a file written by 'simulate' is needed")
    scene = described["simulated"]
    return SceneFile(
        kind=str(scene["kind"]),
        spacing_um=check_spacing(scene["spacing_um"]),
        thickness_um=float(scene["thickness_um"]),
        mean_free_path_um=float(scene["tissue"]["mean_free_path_um"]),
        microscope=dict(scene["microscope"]),
        measured_psf=bool(scene.get("measured_psf")),
    )


def microscopes_of(scene: SceneFile) -> list[Microscope]:
    """The true microscope of a scene, focused near the top, to the middle and near the bottom of the sample.

    One where the depth does not matter because the refractive indices are the same. Every value of the file is used:
    one that the microscope does not know would make its PSF a false one.

    Raises
    ------
    ValueError
        If the wide-field PSF was a measured one.
    """
    if scene.measured_psf:
        raise ValueError("the stack was made with a measured PSF, which is not in the file; simulate without --psf")
    scope = Microscope(**{name: _frozen(value) for name, value in scene.microscope.items()})
    same = abs(scope.sample_index - scope.immersion_index) < SAME_INDEX
    shares = (0.5,) if same else DEPTHS
    return [replace(scope, depth_um=scope.depth_um + share * scene.thickness_um) for share in shares]


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value
