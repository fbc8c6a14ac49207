"""Simulated pairs with a known sub-voxel shift, rotation and magnification, for the studies of registration.

The wide-field image is shifted before its noise is added: by phases in Fourier space, which is exact, or, where it is
also turned or stretched, by cubic splines. Tuning and tests use different seeds, and the tests also real confocal
volumes as samples, a kind that the tuning never saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage as ndi
from scipy.spatial.transform import Rotation

from benchmarks.common.real_files import SHARED
from napari_deep3d.core import DoubleArray, FloatArray, Shape, Spacing, Volume
from napari_deep3d.core.registration.transform import Transform
from napari_deep3d.core.simulation import imaging as simulation
from napari_deep3d.core.simulation.camera import expose
from napari_deep3d.core.simulation.samples import SampleBounds
from napari_deep3d.core.simulation.scattering import depths_um
from napari_deep3d.core.simulation.scene import SampleKind, Scene, SceneBounds
from napari_deep3d.io import open_stack

REAL_SAMPLES = ("cells3d/nuclei.tif", "neuron_fly_confocal.tif")
MEAN_FREE_PATHS_UM = (25.0, 60.0, 200.0, np.inf)
PHOTONS = (100.0, 300.0, 1000.0, 3000.0)
TUNING_SEED, TEST_SEED = 100, 9000
PIXEL_UM = (0.10, 0.27)
THIN_UM = 3.0
DENSE = 0.05
"""Share of bright voxels from which a sample counts as dense."""


@dataclass(frozen=True)
class KnownPair:
    """A pair of which the registration is known.

    Attributes
    ----------
    confocal, widefield
        Stacks, axes (Z, Y, X).
    truth
        From confocal to wide-field positions.
    facts
        What the pair is like: kind, haze, photons, density, thickness, whether the shift is halfway between planes.
    """

    confocal: Volume
    widefield: Volume
    truth: Transform
    facts: dict[str, Any]

    @property
    def shift_voxels(self) -> DoubleArray:
        """The shift of a pair that is only shifted, (Z, Y, X)."""
        return np.asarray(self.truth.matrix[:3, 3] / self.widefield.require_spacing_um())


def real_samples() -> list[Volume]:
    """Real confocal volumes to take samples from, voxel by voxel; those that are there."""
    stacks = [np.asarray(open_stack(SHARED / name).volume().data) for name in REAL_SAMPLES if (SHARED / name).exists()]
    return [Volume(stack, None) for stack in stacks]


def known_pair(
    seed: Sequence[int],
    kind: SampleKind,
    shape: Shape = (76, 192, 192),
    *,
    mean_free_path_um: float,
    photons: float,
    step_um: float = 0.5,
    pixel_um: float | None = None,
    thin: bool = False,
    halfway: bool = False,
    turn_deg: float = 0.0,
    tilt_deg: float = 0.0,
    magnification: float = 1.0,
    stacks: Sequence[Volume] = (),
    bounds: SceneBounds | None = None,
) -> KnownPair:
    """Simulate one pair.

    Parameters
    ----------
    seed, kind, shape, stacks, bounds
        As in :func:`napari_deep3d.core.simulation.imaging.simulate_pair`.
    mean_free_path_um, photons
        Haze (less is more; infinite is none) and light.
    step_um, pixel_um
        Distance of planes; pixel size, drawn if not given.
    thin
        Only 3 um of the sample, in the middle of the stack, hold any light.
    halfway
        Whether the shift lies halfway between two planes.
    turn_deg, tilt_deg, magnification
        Of the wide-field stack against the confocal one, about their middle.
    """
    rng = np.random.default_rng(seed)
    drawn = (bounds or SceneBounds()).draw(rng, kind)
    pixel = pixel_um or float(rng.uniform(*PIXEL_UM))
    spacing: Spacing = (step_um, pixel, pixel)
    scene = replace(
        drawn,
        spacing_um=spacing,
        tissue=replace(drawn.tissue, mean_free_path_um=mean_free_path_um),
        camera=replace(drawn.camera, photons=photons),
    )
    field, inner = simulation.field_of(shape, spacing)
    margin = tuple(box.start for box in inner)
    sample = simulation.draw_sample(rng, scene, field, stacks, SampleBounds())
    if thin:
        sample = _slab(sample, step_um)
    shift = rng.uniform(-1, 1, 3) * (min(4, shape[0] / 6), 10, 10)
    if halfway:
        shift[0] = np.floor(shift[0]) + 0.5
    depths = depths_um(field[0], step_um, scene.tissue.deep_end_last)
    wide, clean = simulation.form_images(sample, scene, depths)
    linear = Rotation.from_rotvec(np.deg2rad((turn_deg, tilt_deg, 0))).as_matrix() * magnification
    wide = _shifted(wide, shift) if np.allclose(linear, np.eye(3)) else _turned(wide, linear, shift, spacing)
    confocal = expose(rng, clean[inner], scene.confocal)
    widefield = expose(rng, wide[inner], scene.camera)
    facts = _facts(scene, clean[inner]) | {"thin": thin, "halfway": halfway}
    truth = _truth(linear, shift, spacing, field, (margin[0], margin[1], margin[2]))
    return KnownPair(Volume(confocal, spacing), Volume(widefield, spacing), truth, facts)


def _facts(scene: Scene, clean: FloatArray) -> dict[str, Any]:
    density = float((clean > 0.1 * np.percentile(clean, 99.9)).mean())
    return {
        "kind": scene.kind,
        "mean_free_path_um": scene.tissue.mean_free_path_um,
        "photons": scene.camera.photons,
        "numerical_aperture": scene.microscope.numerical_aperture,
        "dense": density > DENSE,
    }


def _slab(sample: FloatArray, step_um: float) -> FloatArray:
    """Keep the brightest 3 um of a sample, moved to its middle."""
    half, middle = round(THIN_UM / 2 / step_um), sample.shape[0] // 2
    moved = np.roll(sample, middle - int(sample.sum(axis=(1, 2)).argmax()), axis=0)
    out = np.zeros_like(sample)
    out[middle - half : middle + half] = moved[middle - half : middle + half]
    return out


def _shifted(image: FloatArray, shift: DoubleArray) -> FloatArray:
    spectrum = ndi.fourier_shift(scipy.fft.rfftn(image, workers=-1), shift, n=image.shape[-1])
    return np.maximum(scipy.fft.irfftn(spectrum, s=image.shape, workers=-1), 0).astype(np.float32)


def _middle_um(field: Shape, spacing: Spacing) -> DoubleArray:
    return (np.array(field) - 1) / 2 * spacing


def _turned(image: FloatArray, linear: DoubleArray, shift: DoubleArray, spacing: Spacing) -> FloatArray:
    """What is at p lies at middle + shift + linear (p - middle) afterwards."""
    back, step = np.linalg.inv(linear), np.array(spacing)
    middle = (np.array(image.shape) - 1) / 2 * step
    offset = (middle - back @ (middle + shift * step)) / step
    turned = ndi.affine_transform(image, back * step[None, :] / step[:, None], offset, order=3, mode="nearest")
    return np.maximum(turned, 0).astype(np.float32)


def _truth(linear: DoubleArray, shift: DoubleArray, spacing: Spacing, field: Shape, margin: Shape) -> Transform:
    """The map between positions in the two cropped stacks."""
    step = np.array(spacing)
    middle = _middle_um(field, spacing) - np.array(margin) * step
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = middle + shift * step - linear @ middle
    return Transform.from_array(matrix)


def thick_pairs(seed: int, count: int, stacks: Sequence[Volume] = ()) -> Any:
    """Yield thick pairs over kinds, haze and light; every fourth one is shifted halfway between planes.

    With ``stacks``, a third of the samples are real confocal volumes.
    """
    kinds: tuple[SampleKind, ...] = ("neurons", "nuclei", "confocal") if stacks else ("neurons", "nuclei")
    for index in range(count):
        yield known_pair(
            (seed, index),
            kinds[index % len(kinds)],
            mean_free_path_um=MEAN_FREE_PATHS_UM[(index // len(kinds)) % 4],
            photons=PHOTONS[(index // 4) % 4],
            halfway=index % 4 == 3,
            stacks=stacks,
        )


def thin_pairs(seed: int, count: int) -> Any:
    """Yield pairs of thin (3 um) samples in 24 planes of 0.25 um."""
    for index in range(count):
        yield known_pair(
            (seed, 1000 + index),
            ("neurons", "nuclei")[index % 2],
            (24, 192, 192),
            mean_free_path_um=(60.0, np.inf)[(index // 2) % 2],
            photons=PHOTONS[(index // 2) % 4],
            step_um=0.25,
            thin=True,
            halfway=index % 4 == 3,
        )
