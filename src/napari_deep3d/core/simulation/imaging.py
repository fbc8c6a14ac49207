"""A thick scattering sample seen by two microscopes: the pair of stacks that a laboratory would have to acquire.

Image formation, in the order in which the code does it:

1. A sample (:mod:`~napari_deep3d.core.simulation.samples`) of some thickness is drawn in a field wider and deeper than
   the stack, because a wide-field image also holds the blur of what lies above, below and beside it. Autofluorescence
   is added.
2. Wide-field: the tissue scatters and absorbs light by depth (:mod:`~napari_deep3d.core.simulation.scattering`); the
   image is the convolution with the wide-field PSF, which changes with depth where refractive indices differ
   (:mod:`~napari_deep3d.core.simulation.psf`); stage, lamp and camera do the rest
   (:mod:`~napari_deep3d.core.simulation.camera`).
3. Confocal: convolution with the confocal PSF, whose pinhole refuses scattered light; a loss with depth of which laser
   power makes up a part; a detector's noise.

Both PSFs of a depth are centred on its best focus, so a pair is registered. All random choices are bounded by
:class:`~napari_deep3d.core.simulation.scene.SceneBounds`, those in the samples' shapes by its field ``samples``; one
seed gives one pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_deep3d.core.box import Box
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.simulation import psf as optics
from napari_deep3d.core.simulation import samples
from napari_deep3d.core.simulation.camera import expose, move
from napari_deep3d.core.simulation.psf import MeasuredPsf
from napari_deep3d.core.simulation.samples import SampleBounds
from napari_deep3d.core.simulation.scattering import confocal_loss, depths_um, scatter
from napari_deep3d.core.simulation.scene import SampleKind, Scene, SceneBounds, draw_kind, draw_scene
from napari_deep3d.core.types import DoubleArray, FloatArray, Shape, Spacing
from napari_deep3d.core.volume import Volume

DrawSample = Callable[[Shape], FloatArray]

MARGIN_UM = (6.0, 5.0, 5.0)
MAX_MARGIN = (16, 24, 24)
"""Voxels at most; fields wrap round sideways, so there is light from outside in any case."""
CONFOCAL_REACH_UM = 12.0
"""The confocal PSF ends here; what lies beyond is less than a thousandth."""
DEPTH_NODES = (0.15, 0.85)
"""Depths, as shares of the sample's thickness, at which PSFs are computed; between them images are blended."""
SAME_INDEX = 0.003
MAX_DRAWS = 20


@dataclass(frozen=True)
class SimulatedPair:
    """A simulated pair: what is at an index of one stack is at the same index of the other, axes (Z, Y, X).

    ``widefield`` and ``confocal`` are camera counts (uint16); ``clean`` is the confocal image without noise.
    """

    widefield: NDArray[np.uint16]
    confocal: NDArray[np.uint16]
    clean: FloatArray
    scene: Scene


def simulate_pair(
    seed: Sequence[int],
    shape: Shape,
    *,
    confocal_stacks: Sequence[Volume] = (),
    measured_psfs: Sequence[MeasuredPsf] = (),
    kind: SampleKind | None = None,
    bounds: SceneBounds | None = None,
) -> SimulatedPair:
    """Simulate one pair.

    Parameters
    ----------
    seed
        Numbers that fix every random choice; the same seed gives the same pair.
    shape
        Voxels (Z, Y, X) of the pair.
    confocal_stacks
        Real confocal stacks to take a part of the samples from.
    measured_psfs
        Measured wide-field PSFs that a part of the scenes has.
    kind
        SampleKind of sample; drawn if not given.
    bounds
        Of the random choices.

    Raises
    ------
    InputError
        If samples of real stacks are asked for and none is given, or nothing but black is drawn.
    """
    rng = np.random.default_rng(seed)
    bounds = bounds or SceneBounds()
    scene = draw_scene(rng, kind or draw_kind(rng, bounds, bool(confocal_stacks)), bounds)
    if scene.kind == "confocal" and not confocal_stacks:
        raise InputError("samples of the kind 'confocal' need a real confocal stack to be taken from. Give one.")
    measured = None
    if measured_psfs and rng.random() < bounds.measured:
        measured = measured_psfs[int(rng.integers(len(measured_psfs)))]
        scene = _like_measured(rng, scene, measured, bounds)
    own = bounds.samples
    return take_images(
        rng, scene, shape, lambda field: draw_sample(rng, scene, field, confocal_stacks, own), measured, own
    )


def _like_measured(rng: np.random.Generator, scene: Scene, psf: MeasuredPsf, bounds: SceneBounds) -> Scene:
    z, xy = (size * rng.uniform(*bounds.measured_voxel) for size in psf.spacing_um[:2])
    return replace(scene, spacing_um=(z, xy, xy), measured_psf=True)


def take_images(
    rng: np.random.Generator,
    scene: Scene,
    shape: Shape,
    draw: DrawSample,
    measured: MeasuredPsf | None = None,
    bounds: SampleBounds | None = None,
) -> SimulatedPair:
    """Take both images of a sample.

    Parameters
    ----------
    rng, scene
        Random numbers; microscopes, tissue and light.
    shape
        Voxels (Z, Y, X) of the pair.
    draw
        Draws the sample on a field of the given shape.
    measured
        A measured wide-field PSF instead of a computed one.
    bounds
        Of the autofluorescence that is added.
    """
    field, inner = field_of(shape, scene.spacing_um)
    sample, depths = place_sample(rng, scene, field, inner, draw, bounds or SampleBounds())
    widefield, clean = form_images(sample, scene, depths, measured)
    return SimulatedPair(
        widefield=expose(rng, move(rng, widefield[inner], scene.stage), scene.camera),
        confocal=expose(rng, clean[inner], scene.confocal),
        clean=clean[inner],
        scene=scene,
    )


def field_of(shape: Shape, spacing_um: Spacing) -> tuple[Shape, Box]:
    """The field to draw, wider than a stack (Z, Y, X) by its blur, and the box of the stack within it."""
    margin = [min(most, round(um / step)) for most, um, step in zip(MAX_MARGIN, MARGIN_UM, spacing_um, strict=True)]
    z, y, x = (scipy.fft.next_fast_len(n + 2 * m, real=True) for n, m in zip(shape, margin, strict=True))
    return (z, y, x), Box.at(margin, shape)


def draw_sample(
    rng: np.random.Generator, scene: Scene, field: Shape, stacks: Sequence[Volume], bounds: SampleBounds
) -> FloatArray:
    """Draw the sample of a scene on a field of voxels (Z, Y, X), or take a piece of a real confocal stack."""
    if scene.kind == "confocal":
        stack = stacks[int(rng.integers(len(stacks)))]
        image = np.asarray(stack.data)
        return samples.from_confocal(rng, field, scene.spacing_um, image, stack.spacing_um, bounds.confocal)
    return samples.draw(rng, scene.kind, field, scene.spacing_um, bounds)


def place_sample(
    rng: np.random.Generator,
    scene: Scene,
    field: Shape,
    inner: Box,
    draw: DrawSample,
    bounds: SampleBounds,
) -> tuple[FloatArray, DoubleArray]:
    """A slab of the scene's thickness somewhere in the field, and the depth in um of every plane of the field.

    A slab thicker than the field fills it, and the field may then lie anywhere within it.
    """
    step = scene.spacing_um[0]
    thick = max(4, round(scene.thickness_um / step))
    planes = min(thick, field[0])
    low, high = inner.z.start, inner.z.stop
    for _ in range(MAX_DRAWS):
        first = _place(rng, planes, field[0], low, high)
        sample = np.zeros(field, dtype=np.float32)
        sample[first : first + planes] = draw((planes, field[1], field[2]))
        if _is_visible(sample, inner):
            break
    else:
        raise InputError(f"nothing but black was drawn in {MAX_DRAWS} samples of {scene.kind}. Choose a larger shape.")
    if scene.tissue.autofluorescence:
        box = (planes, field[1], field[2])
        glow = samples.autofluorescence(rng, box, scene.spacing_um, bounds.autofluorescence)
        sample[first : first + planes] += scene.tissue.autofluorescence * glow
    above = float(rng.uniform(0, max(0.0, thick * step - planes * step)))
    surface = first if scene.tissue.deep_end_last else field[0] - (first + planes)
    depths = depths_um(field[0], step, scene.tissue.deep_end_last) - surface * step + above
    return sample, np.clip(depths, 0, above + planes * step)


def _place(rng: np.random.Generator, planes: int, field: int, low: int, high: int) -> int:
    """First plane of a slab: anywhere with its middle within the stack."""
    first = int(rng.integers(low, high)) - planes // 2
    return int(np.clip(first, 0, field - planes))


def _is_visible(sample: FloatArray, inner: Box) -> bool:
    """Whether the stack holds some of the sample's bright voxels."""
    bright = 0.3 * float(np.percentile(sample[::2, ::2, ::2], 99.95))
    return bright > 0 and float((sample[inner] > bright).mean()) > 2e-5


def form_images(
    sample: FloatArray, scene: Scene, depths: DoubleArray, measured: MeasuredPsf | None = None
) -> tuple[FloatArray, FloatArray]:
    """Noise-free wide-field and confocal images of a sample, axes (Z, Y, X), same shape as the sample.

    Parameters
    ----------
    sample
        Density, axes (Z, Y, X).
    scene
        Microscopes and tissue.
    depths
        Depth of each plane below the surface in um.
    measured
        A measured wide-field PSF instead of a computed one.
    """
    emerging = scatter(sample, scene.tissue, scene.spacing_um, depths)
    widefield, confocal = np.zeros_like(sample), np.zeros_like(sample)
    for depth, weights in _nodes(scene, depths, measured):
        scope = replace(scene.microscope, depth_um=scene.microscope.depth_um + depth)
        blurs = _psfs(scope, scene.spacing_um, sample.shape[0], measured)
        share = weights.astype(np.float32)[:, None, None]
        widefield += optics.convolve(emerging * share, blurs[0], open_ended=True)
        confocal += optics.convolve(sample * share, blurs[1])
    return widefield, confocal * confocal_loss(scene.tissue, scene.compensated, depths)[:, None, None]


def _nodes(scene: Scene, depths: DoubleArray, measured: MeasuredPsf | None) -> list[tuple[float, DoubleArray]]:
    """Depths whose PSFs are computed, and the weight of each plane's light in each."""
    scope = scene.microscope
    ends = [float(depths.min() + share * np.ptp(depths)) for share in DEPTH_NODES]
    if measured is not None or abs(scope.sample_index - scope.immersion_index) < SAME_INDEX or ends[0] == ends[1]:
        return [(float(depths.mean()), np.ones_like(depths))]
    deep = np.clip((depths - ends[0]) / (ends[1] - ends[0]), 0, 1)
    return [(ends[0], 1 - deep), (ends[1], deep)]


def _psfs(
    scope: optics.Microscope, spacing_um: Spacing, planes: int, measured: MeasuredPsf | None
) -> tuple[FloatArray, FloatArray]:
    """Wide-field and confocal PSF, the first over twice the depth."""
    reach = min(2 * planes - 1, 2 * round(CONFOCAL_REACH_UM / spacing_um[0]) + 1, planes - 1 + planes % 2)
    if measured is not None:
        widefield = measured.on_grid(spacing_um, 2 * planes - 1)
        return widefield, optics.confocal_from_widefield(widefield, scope, spacing_um)
    return optics.widefield_psf(scope, spacing_um, 2 * planes - 1), optics.confocal_psf(scope, spacing_um, reach)
