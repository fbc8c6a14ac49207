"""A thick scattering sample seen by two microscopes: the pair of stacks that a laboratory would have to acquire.

Image formation, in the order in which the code does it:

1. A sample (:mod:`~napari_deep3d.core.simulation.samples`) of some thickness is drawn in a field wider and deeper than
   the stack, because a wide-field image also holds the blur of what lies above, below and beside it. Autofluorescence
   is added.
2. Wide-field: the tissue scatters and absorbs light by depth (:mod:`~napari_deep3d.core.simulation.scattering`); the
   image is the convolution with the wide-field PSF, which changes with depth where refractive indices differ
   (:mod:`~napari_deep3d.core.simulation.psf`); light from far outside is added
   (:mod:`~napari_deep3d.core.simulation.glow`); stage, lamp and camera do the rest
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

from napari_deep3d.core import Box, DoubleArray, FloatArray, InputError, Shape, Spacing, Volume, zyx
from napari_deep3d.core.simulation import samples
from napari_deep3d.core.simulation.camera import expose, move
from napari_deep3d.core.simulation.glow import add_glow
from napari_deep3d.core.simulation.psf import (
    MeasuredPsf,
    confocal_from_widefield,
    confocal_psf,
    convolve,
    widefield_psf,
)
from napari_deep3d.core.simulation.samples import SampleBounds
from napari_deep3d.core.simulation.scattering import confocal_loss, depths_um, scatter
from napari_deep3d.core.simulation.scene import SampleKind, Scene, SceneBounds

__all__ = ["MeasuredPsf", "SampleKind", "Scene", "SceneBounds", "SimulatedPair", "simulate_pair", "take_images"]

DrawSample = Callable[[Shape], FloatArray]

MARGIN_UM = (6.0, 5.0, 5.0)
MAX_MARGIN = (16, 24, 24)
"""Voxels at most; fields wrap round sideways, so there is light from outside in any case."""
CONFOCAL_REACH_UM = 12.0
"""The confocal PSF ends here; what lies beyond is less than a thousandth."""
DEPTH_NODES = (0.15, 0.85)
"""Depths, as shares of the sample's thickness, at which PSFs are computed; between them images are blended."""
SAME_INDEX = 0.003
"""Refractive indices that differ by less count as the same: one PSF serves all depths."""
MAX_DRAWS = 20
"""Samples drawn until one is visible in the stack."""
BRIGHT, MIN_BRIGHT_SHARE = 0.3, 2e-5
"""A visible sample has at least this share of the stack's voxels above this share of its own 99.95th percentile."""


@dataclass(frozen=True)
class SimulatedPair:
    """A simulated pair: what is at an index of one stack is at the same index of the other.

    Attributes
    ----------
    widefield, confocal : array of uint16, axes (Z, Y, X)
        Camera counts.
    clean : array of float32, axes (Z, Y, X)
        The confocal image without noise.
    scene : Scene
        All that was drawn for the pair except the sample's shape and the noise.
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
    seed : sequence of int
        Numbers that fix every random choice; the same seed gives the same pair.
    shape : tuple of int
        Voxels (Z, Y, X) of the pair.
    confocal_stacks, measured_psfs
        Real confocal stacks, and measured wide-field PSFs, that a part of the pairs is made with.
    kind : str, optional
        Kind of sample; drawn if not given.
    bounds : SceneBounds, optional
        Bounds of the random choices.

    Raises
    ------
    InputError
        If samples of real stacks are asked for and none is given, or nothing but black is drawn.
    """
    rng = np.random.default_rng(seed)
    bounds = bounds or SceneBounds()
    scene = bounds.draw(rng, kind or bounds.draw_kind(rng, bool(confocal_stacks)))
    if scene.kind == "confocal" and not confocal_stacks:
        raise InputError("samples of the kind 'confocal' need a real confocal stack to be taken from. Give one.")
    measured = None
    if measured_psfs and rng.random() < bounds.optics.measured:
        measured = measured_psfs[int(rng.integers(len(measured_psfs)))]
        spacing_um = bounds.optics.draw_measured_spacing(rng, measured.spacing_um)
        scene = replace(scene, spacing_um=spacing_um, measured_psf=True)
    own = bounds.samples
    return take_images(
        rng, scene, shape, lambda field: draw_sample(rng, scene, field, confocal_stacks, own), measured, own
    )


def take_images(
    rng: np.random.Generator,
    scene: Scene,
    shape: Shape,
    draw: DrawSample,
    measured: MeasuredPsf | None = None,
    bounds: SampleBounds | None = None,
) -> SimulatedPair:
    """Take both images of a sample of some voxels (Z, Y, X), which ``draw`` draws on a field of the given shape.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the sample's place and of the noise.
    scene, shape, draw
        Microscopes, tissue and light; the pair's voxels; what draws the sample.
    measured : MeasuredPsf, optional
        A measured wide-field PSF instead of a computed one.
    bounds : SampleBounds, optional
        Bounds of the autofluorescence that is added.
    """
    field, inner = field_of(shape, scene.spacing_um)
    sample, depths = place_sample(rng, scene, field, inner, draw, bounds or SampleBounds())
    widefield, clean = form_images(sample, scene, depths, measured)
    seen = add_glow(rng, widefield[inner], scene.glow, scene.spacing_um)
    return SimulatedPair(
        widefield=expose(rng, move(rng, seen, scene.stage), scene.camera),
        confocal=expose(rng, clean[inner], scene.confocal),
        clean=clean[inner],
        scene=scene,
    )


def field_of(shape: Shape, spacing_um: Spacing) -> tuple[Shape, Box]:
    """The field to draw, wider than a stack (Z, Y, X) by its blur, and the box of the stack within it."""
    margin = [min(most, round(um / step)) for most, um, step in zip(MAX_MARGIN, MARGIN_UM, spacing_um, strict=True)]
    field = zyx(scipy.fft.next_fast_len(n + 2 * m, real=True) for n, m in zip(shape, margin, strict=True))
    return field, Box.at(margin, shape)


def draw_sample(
    rng: np.random.Generator, scene: Scene, field: Shape, stacks: Sequence[Volume], bounds: SampleBounds
) -> FloatArray:
    """Draw the sample of a scene on a field of voxels (Z, Y, X), or take a piece of a real stack; then change it."""
    if scene.kind == "confocal":
        stack = stacks[int(rng.integers(len(stacks)))]
        image = np.asarray(stack.data)
        sample = samples.from_confocal(rng, field, scene.spacing_um, image, stack.spacing_um, bounds.confocal)
    else:
        sample = samples.draw(rng, scene.kind, field, scene.spacing_um, bounds)
    if scene.kind == "beads":
        return sample  # which are known to be balls
    return samples.change(rng, sample, scene.spacing_um, bounds.changes)


def place_sample(
    rng: np.random.Generator,
    scene: Scene,
    field: Shape,
    inner: Box,
    draw: DrawSample,
    bounds: SampleBounds,
) -> tuple[FloatArray, DoubleArray]:
    """Put a slab of the scene's thickness somewhere into a field (Z, Y, X) around the box of the stack.

    A slab thicker than the field fills it, and the field may then lie anywhere within it.

    Returns
    -------
    sample : array of float32, axes (Z, Y, X)
        Density over the field, with autofluorescence within ``bounds``.
    depths : array of float64, axis (Z,)
        Depth of every plane of the field below the sample's surface in um.

    Raises
    ------
    InputError
        If nothing but black is drawn again and again.
    """
    step = scene.spacing_um[0]
    thick = max(4, round(scene.thickness_um / step))
    planes = min(thick, field[0])

    # 1. Draw the slab, its middle within the stack, until some of its bright voxels are.
    for _ in range(MAX_DRAWS):
        first = int(rng.integers(inner.z.start, inner.z.stop)) - planes // 2
        first = int(np.clip(first, 0, field[0] - planes))
        sample = np.zeros(field, dtype=np.float32)
        sample[first : first + planes] = draw((planes, field[1], field[2]))
        bright = BRIGHT * float(np.percentile(sample[::2, ::2, ::2], 99.95))
        if bright > 0 and float((sample[inner] > bright).mean()) > MIN_BRIGHT_SHARE:
            break
    else:
        raise InputError(f"nothing but black was drawn in {MAX_DRAWS} samples of {scene.kind}. Choose a larger shape.")

    # 2. Add the light of the tissue itself.
    if scene.tissue.autofluorescence:
        slab = (planes, field[1], field[2])
        light = samples.draw_autofluorescence(rng, slab, scene.spacing_um, bounds.autofluorescence)
        sample[first : first + planes] += scene.tissue.autofluorescence * light

    # 3. Find each plane's depth; some of the sample may lie above the field.
    above = float(rng.uniform(0, max(0.0, thick * step - planes * step)))
    surface = first if scene.tissue.deep_end_last else field[0] - (first + planes)
    depths = depths_um(field[0], step, scene.tissue.deep_end_last) - surface * step + above
    return sample, np.clip(depths, 0, above + planes * step)


def form_images(
    sample: FloatArray, scene: Scene, depths: DoubleArray, measured: MeasuredPsf | None = None
) -> tuple[FloatArray, FloatArray]:
    """Noise-free wide-field and confocal images of a sample, both of its shape, axes (Z, Y, X).

    ``depths`` are those of the planes below the surface in um, axis (Z,); a measured wide-field PSF takes the place of
    a computed one.
    """
    scope, spacing_um, planes = scene.microscope, scene.spacing_um, len(sample)
    emerging = scatter(sample, scene.tissue, spacing_um, depths)

    # 1. Choose the depths whose PSFs are computed, and the weight of each plane's light in each of them.
    shallow, deep = (float(depths.min() + share * np.ptp(depths)) for share in DEPTH_NODES)
    if measured is not None or abs(scope.sample_index - scope.immersion_index) < SAME_INDEX or shallow == deep:
        nodes = [(float(depths.mean()), np.ones_like(depths))]
    else:
        weights = np.clip((depths - shallow) / (deep - shallow), 0, 1)
        nodes = [(shallow, 1 - weights), (deep, weights)]

    # 2. Blur the light of each depth; the wide-field PSF reaches over twice the stack's depth.
    widefield, confocal = np.zeros_like(sample), np.zeros_like(sample)
    reach = min(2 * planes - 1, 2 * round(CONFOCAL_REACH_UM / spacing_um[0]) + 1, planes - 1 + planes % 2)
    for depth, weights in nodes:
        there = replace(scope, depth_um=scope.depth_um + depth)
        narrow = replace(scope, depth_um=0.0, aberrations=()) if scene.confocal_corrected else there
        if measured is None:
            wide_psf = widefield_psf(there, spacing_um, 2 * planes - 1)
            narrow_psf = confocal_psf(narrow, spacing_um, reach)
        else:
            wide_psf = measured.on_grid(spacing_um, 2 * planes - 1)
            narrow_psf = confocal_from_widefield(wide_psf, there, spacing_um)
        share = weights.astype(np.float32)[:, None, None]
        widefield += convolve(emerging * share, wide_psf, open_ended=True)
        confocal += convolve(sample * share, narrow_psf)
    return widefield, confocal * confocal_loss(scene.tissue, scene.compensated, depths)[:, None, None]
