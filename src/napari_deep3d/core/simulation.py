"""A thick scattering sample seen by two microscopes: the pair of stacks that a laboratory would have to acquire.

Image formation, in the order in which the code does it:

1. A sample (:mod:`napari_deep3d.core.samples`) is drawn in a field wider and deeper than the stack, because a
   wide-field image also holds the blur of what lies above, below and beside it.
2. Scattering. From depth d the fraction T = exp(-d / l) of the emitted light arrives unscattered (Beer-Lambert,
   scattering mean free path l, 25 to 200 um in tissue: Jacques, Phys. Med. Biol. 58, R37, 2013). Scattered light
   keeps to its direction (anisotropy g about 0.9), so on the camera it looks as if it came from a blurred source
   at the same depth: a lateral Gaussian whose width grows with d. A part of it misses the objective.
3. Wide-field image: convolution with the wide-field PSF, even background, photon (Poisson) noise, read noise.
4. Confocal image: convolution with the confocal PSF, whose pinhole refuses scattered light; a little noise of
   its own. Its loss with depth is taken to be compensated by laser power, as is usual.

All random choices are bounded by the constants of this module; one seed gives one pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import optics, samples
from napari_deep3d.core.optics import Microscope
from napari_deep3d.core.volume import Shape, Spacing

Array = NDArray[np.float32]
Kind = Literal["nuclei", "neurons", "confocal"]

SPACING_Z_UM = (0.25, 0.6)
SPACING_XY_UM = (0.10, 0.27)
EMISSION_UM = (0.45, 0.62)
STOKES_SHIFT_UM = (0.02, 0.07)
PINHOLE_AIRY = (0.8, 1.5)
IMMERSIONS = {1.0: (0.7, 0.95), 1.333: (0.9, 1.25), 1.518: (1.0, 1.42)}
"""Refractive index of the immersion, and the range of numerical apertures of such objectives."""
SAMPLE_INDEX = (1.33, 1.47)
FOCUS_DEPTH_UM = (0.0, 10.0)
MEAN_FREE_PATHS_UM = (25.0, 60.0, 200.0, np.inf)
SCATTER_SLOPE = (0.1, 0.35)
"""Width of the scattered light's blur per depth, um per um."""
SCATTER_COLLECTED = (0.4, 0.9)
PHOTONS = (100.0, 3000.0)
BACKGROUND = (0.0, 0.3)
READ_NOISE_ELECTRONS = (0.5, 3.0)
CONFOCAL_PHOTONS = (100.0, 600.0)
CAMERA_OFFSET = 100.0
CONFOCAL_SHARE = 0.25
"""Share of the pairs whose sample is a real confocal stack, where one is given."""
NUCLEI_SHARE = 0.6
"""Share of the drawn samples that are nuclei; the others are neurons."""
MARGIN_UM = (6.0, 5.0, 5.0)


@dataclass(frozen=True)
class Scene:
    """Everything random about a pair except the sample's own shape and the noise.

    Lengths in um; ``mean_free_path_um`` infinite means a clear sample; ``photons`` are those of the brightest
    wide-field voxels (99.9th percentile), ``background`` is a share of them.
    """

    kind: Kind
    spacing_um: Spacing
    microscope: Microscope
    mean_free_path_um: float
    scatter_slope: float
    scatter_collected: float
    photons: float
    background: float
    read_noise: float
    confocal_photons: float
    deep_end_last: bool

    def description(self) -> dict[str, object]:
        """As plain values, for a file."""
        return asdict(replace(self, mean_free_path_um=min(self.mean_free_path_um, 1e6)))


@dataclass(frozen=True)
class Pair:
    """A simulated pair: what is at an index of one stack is at the same index of the other, axes (Z, Y, X).

    ``widefield`` and ``confocal`` are camera counts (uint16); ``clean`` is the confocal image without noise.
    """

    widefield: NDArray[np.uint16]
    confocal: NDArray[np.uint16]
    clean: Array
    scene: Scene


def draw_scene(rng: np.random.Generator, kind: Kind) -> Scene:
    """Draw the microscope, the tissue and the light of a pair."""
    index = float(rng.choice(list(IMMERSIONS)))
    emission = rng.uniform(*EMISSION_UM)
    lateral = rng.uniform(*SPACING_XY_UM)
    scope = Microscope(
        numerical_aperture=rng.uniform(*IMMERSIONS[index]),
        immersion_index=index,
        sample_index=rng.uniform(*SAMPLE_INDEX) if index > 1 else 1.0,
        emission_um=emission,
        excitation_um=emission - rng.uniform(*STOKES_SHIFT_UM),
        pinhole_airy=rng.uniform(*PINHOLE_AIRY),
        depth_um=rng.uniform(*FOCUS_DEPTH_UM),
    )
    return Scene(
        kind=kind,
        spacing_um=(rng.uniform(*SPACING_Z_UM), lateral, lateral),
        microscope=scope,
        mean_free_path_um=float(rng.choice(MEAN_FREE_PATHS_UM)),
        scatter_slope=rng.uniform(*SCATTER_SLOPE),
        scatter_collected=rng.uniform(*SCATTER_COLLECTED),
        photons=float(np.exp(rng.uniform(*np.log(PHOTONS)))),
        background=rng.uniform(*BACKGROUND),
        read_noise=rng.uniform(*READ_NOISE_ELECTRONS),
        confocal_photons=rng.uniform(*CONFOCAL_PHOTONS),
        deep_end_last=bool(rng.random() < 0.5),
    )


def simulate_pair(
    seed: Sequence[int],
    shape: Shape,
    *,
    confocal_stacks: Sequence[NDArray[np.generic]] = (),
    kind: Kind | None = None,
) -> Pair:
    """Simulate one pair.

    Parameters
    ----------
    seed
        Numbers that fix every random choice; the same seed gives the same pair.
    shape
        Voxels (Z, Y, X) of the pair.
    confocal_stacks
        Real confocal stacks, axes (Z, Y, X), to take a quarter of the samples from.
    kind
        Kind of sample; drawn if not given.
    """
    rng = np.random.default_rng(seed)
    scene = draw_scene(rng, kind or _draw_kind(rng, bool(confocal_stacks)))
    return take_images(rng, scene, shape, lambda field: draw_sample(rng, scene, field, confocal_stacks))


def take_images(rng: np.random.Generator, scene: Scene, shape: Shape, draw: Callable[[Shape], Array]) -> Pair:
    """Take both images of a sample.

    Parameters
    ----------
    rng, scene
        Random numbers; microscopes, tissue and light.
    shape
        Voxels (Z, Y, X) of the pair.
    draw
        Draws the sample on a field of the given shape, which is wider than the pair by its blur.
    """
    margin = tuple(round(m / s) for m, s in zip(MARGIN_UM, scene.spacing_um, strict=True))
    field = even_shape(tuple(n + 2 * m for n, m in zip(shape, margin, strict=True)))
    sample = draw(field)
    inner = tuple(slice(m, m + n) for m, n in zip(margin, shape, strict=True))
    widefield, clean = (image[inner] for image in form_images(sample, scene))
    return Pair(
        widefield=expose(rng, widefield, scene.photons, scene.background, scene.read_noise),
        confocal=expose(rng, clean, scene.confocal_photons, 0.005, 0.5),
        clean=clean,
        scene=scene,
    )


def _draw_kind(rng: np.random.Generator, with_confocal: bool) -> Kind:
    if with_confocal and rng.random() < CONFOCAL_SHARE:
        return "confocal"
    return "nuclei" if rng.random() < NUCLEI_SHARE else "neurons"


def even_shape(shape: tuple[int, ...]) -> Shape:
    """Sizes rounded up to even numbers."""
    z, y, x = (n + n % 2 for n in shape)
    return z, y, x


def draw_sample(rng: np.random.Generator, scene: Scene, field: Shape, stacks: Sequence[NDArray[np.generic]]) -> Array:
    """Draw the sample of a scene on a field of voxels (Z, Y, X), or take a piece of a real confocal stack."""
    if scene.kind == "confocal":
        return samples.from_confocal(rng, field, scene.spacing_um, stacks[int(rng.integers(len(stacks)))], None)
    draw = samples.nuclei if scene.kind == "nuclei" else samples.neurons
    sample = draw(rng, field, scene.spacing_um)
    while not sample.any():
        sample = draw(rng, field, scene.spacing_um)
    return sample


def form_images(sample: Array, scene: Scene) -> tuple[Array, Array]:
    """Noise-free wide-field and confocal images of a sample, axes (Z, Y, X), same shape as the sample."""
    planes = sample.shape[0] - 1
    widefield_psf = optics.widefield_psf(scene.microscope, scene.spacing_um, planes)
    confocal_psf = optics.confocal_psf(scene.microscope, scene.spacing_um, planes)
    widefield = optics.convolve(scatter(sample, scene), optics.centre_psf(widefield_psf, confocal_psf))
    confocal = optics.convolve(sample, optics.centre_psf(confocal_psf, confocal_psf))
    return widefield, confocal


def scatter(sample: Array, scene: Scene) -> Array:
    """The sample as its light leaves the tissue: each plane part sharp, part blurred and part lost, by depth."""
    if not np.isfinite(scene.mean_free_path_um):
        return sample
    depth_um = np.arange(sample.shape[0]) * scene.spacing_um[0]
    if not scene.deep_end_last:
        depth_um = depth_um[::-1]
    ballistic = np.exp(-depth_um / scene.mean_free_path_um).astype(np.float32)[:, None, None]
    sigma_px = scene.scatter_slope * depth_um / scene.spacing_um[1]
    scattered = optics.blur_planes(sample * (1 - ballistic), sigma_px)
    return np.asarray(sample * ballistic + scene.scatter_collected * scattered, dtype=np.float32)


def expose(
    rng: np.random.Generator, image: Array, photons: float, background: float, read_noise: float
) -> NDArray[np.uint16]:
    """Expose a noise-free image: ``photons`` at its 99.9th percentile, gain and offset of a 16-bit camera."""
    bright = float(np.percentile(image, 99.9))
    expected = photons * (image / bright + background)
    electrons = rng.poisson(expected) + rng.normal(0, read_noise, image.shape)
    gain = min(20.0, 50_000 / (photons * max(2.0, float(image.max()) / bright)))
    return np.clip(np.rint(electrons * gain) + CAMERA_OFFSET, 0, 65_535).astype(np.uint16)
