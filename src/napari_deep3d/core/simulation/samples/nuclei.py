"""Stained cell nuclei."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from napari_deep3d.core import DoubleArray, FloatArray, Spacing
from napari_deep3d.core.simulation.bounds import (
    CountRange,
    Positive,
    PositiveRange,
    Range,
    Share,
    ShareRange,
    log_uniform,
)
from napari_deep3d.core.simulation.samples.canvas import BodyBounds, Canvas

MAX_NUCLEI = 700
MARGIN_RADII = 0.5
"""Nuclei may lie so far outside the field, in radii."""
SINGLE_ROOM = 60.0
"""A field that holds more nuclei than this never shows a single one."""
MAX_DENT = 0.35
"""Largest dent or lobe, in radii."""


class NucleiBounds(BodyBounds):
    """Bounds of the random choices in samples of nuclei."""

    radius_um: PositiveRange = Field((2.0, 7.0), description="radius of a sample's nuclei")
    stretch: PositiveRange = Field((0.75, 1.3), description="semi-axes of each nucleus in that radius")
    semi_um: PositiveRange = Field((1.2, 11.0), description="semi-axes are cut to this")
    flattening: PositiveRange = Field((1.0, 3.0), description="the semi-axis along Z is divided by this")
    elongation: PositiveRange = Field((1.0, 2.2), description="semi-axis along X in the radius, where elongated")
    elongated_chance: Share = Field(0.35, description="share of the samples whose nuclei are elongated")
    filling: ShareRange = Field((0.03, 0.9), description="number of nuclei in that of closely packed ones")
    single_chance: Share = Field(0.15, description="share of the samples of a small field that show a single nucleus")
    cluster_chance: Share = Field(0.35, description="share of the samples whose nuclei lie in clusters")
    per_cluster: CountRange = Field((3, 24), description="nuclei in a cluster")
    cluster_spread: Positive = Field(
        1.1, description="standard deviation of the places in a cluster, in the radius of all its nuclei together"
    )
    overlap: ShareRange = Field(
        (0.01, 0.3), description="share of a nucleus that may lie in others; beyond it, the nucleus is left out"
    )
    brightness: PositiveRange = Field((0.15, 1.0), description="of the nuclei, log")
    even_chance: Share = Field(0.3, description="share of the samples whose nuclei are about equally bright")
    even_brightness: Share = Field(0.7, description="least brightness of these in the largest")
    dent_grain_um: PositiveRange = Field((1.5, 3.5), description="size of dents and lobes")
    dent: Range = Field((0.0, 0.16), description="standard deviation of the dents and lobes, in radii")
    fine_grain_um: PositiveRange = Field((0.15, 0.5), description="fine grain of the chromatin")
    coarse_grain_um: PositiveRange = Field((0.5, 1.5), description="its coarse grain")
    contrast: Range = Field(
        (0.1, 0.6), description="standard deviation of its density's logarithm, for each grain size"
    )
    spot_chance: Share = Field(0.4, description="share of the samples with heterochromatin spots (chromocentres)")
    spot_grain_um: PositiveRange = Field((0.25, 0.5), description="size of the spots")
    spot_strength: PositiveRange = Field((0.5, 2.0), description="density of the spots above the rest's")
    rim_chance: Share = Field(0.5, description="share of the nuclei with heterochromatin under the envelope")
    rim_strength: PositiveRange = Field((0.2, 1.2), description="its density above the rest's")
    rim_width_um: PositiveRange = Field((0.15, 0.4), description="its depth")
    max_nucleoli: int = Field(4, ge=0, description="nucleoli in a nucleus, at most")
    nucleolus_place: Range = Field((-0.5, 0.5), description="where it lies along each axis, in that semi-axis")
    nucleolus_radius: PositiveRange = Field((0.12, 0.3), description="radius of a nucleolus in the smallest semi-axis")
    nucleolus_loss: ShareRange = Field((0.4, 0.95), description="share of the density that a nucleolus lacks")
    mitosis: ShareRange = Field((0.0, 0.08), description="share of a sample's nuclei that are in mitosis")
    anaphase_chance: Share = Field(0.5, description="share of these whose chromosomes lie on two plates")
    plate_um: PositiveRange = Field((0.6, 1.1), description="half the thickness of a plate of chromosomes")
    plate_radius: PositiveRange = Field((0.6, 1.0), description="radius of a plate in that of a nucleus")
    plate_width: PositiveRange = Field((0.7, 1.0), description="its smaller radius in its larger one")
    plate_gap_um: PositiveRange = Field((1.5, 4.0), description="half the gap of two plates")
    plate_brightness: PositiveRange = Field((1.0, 1.8), description="brightness of a plate")


@dataclass(frozen=True)
class _Appearance:
    """What all nuclei of a sample share; arrays have axes (Z, Y, X) over the field."""

    texture: FloatArray
    dents: FloatArray
    radius_um: float
    flattening: float
    elongation: float
    overlap: float
    brightness: tuple[float, float]
    mitosis: float


def draw_nuclei(canvas: Canvas, bounds: NucleiBounds) -> None:
    """Stained cell nuclei: flat, elongated or lobed bodies with chromatin, nucleoli and bright rims; some in mitosis.

    Their number ranges from one to dense tissue; they lie evenly or in clusters that touch; their brightness varies.
    """
    rng = canvas.rng

    # 1. What all of them share.
    dents = canvas.noise(rng.uniform(*bounds.dent_grain_um))
    dents *= np.float32(rng.uniform(*bounds.dent))
    even = rng.random() < bounds.even_chance
    low, high = bounds.brightness
    look = _Appearance(
        texture=chromatin(canvas, bounds),
        dents=1 + np.clip(dents, -MAX_DENT, MAX_DENT),
        radius_um=rng.uniform(*bounds.radius_um),
        flattening=rng.uniform(*bounds.flattening),
        elongation=rng.uniform(*bounds.elongation) if rng.random() < bounds.elongated_chance else 1.0,
        overlap=rng.uniform(*bounds.overlap),
        brightness=(bounds.even_brightness * high, high) if even else (low, high),
        mitosis=rng.uniform(*bounds.mitosis),
    )

    # 2. Their centres: a single one, evenly spread ones, or clusters.
    margin = MARGIN_RADII * look.radius_um
    room = np.prod(canvas.field_um + 2 * margin) / (4 * look.radius_um**3)
    if room < SINGLE_ROOM and rng.random() < bounds.single_chance:
        centres = canvas.places(1)
    else:
        count = int(np.clip(rng.uniform(*bounds.filling) * room, 1, MAX_NUCLEI))
        centres = canvas.places(count, margin)
        if count > 2 and rng.random() < bounds.cluster_chance:
            per_cluster = int(rng.integers(*bounds.per_cluster, endpoint=True))
            middles = canvas.places(max(1, count // per_cluster))
            spread = bounds.cluster_spread * look.radius_um * per_cluster ** (1 / 3) * rng.standard_normal((count, 3))
            centres[1:] = middles[rng.integers(0, len(middles), count)][1:] + spread[1:]

    # 3. Draw one after the other, as far as there is room.
    for centre in centres:
        draw = _draw_mitosis if rng.random() < look.mitosis else _draw_nucleus
        draw(canvas, look, centre, bounds)


def chromatin(canvas: Canvas, bounds: NucleiBounds) -> FloatArray:
    """Positive random texture over the field, axes (Z, Y, X), mean 1: grains of two sizes, often spots."""
    rng = canvas.rng
    log_density = np.zeros(canvas.shape, dtype=np.float32)
    for grain_um in (bounds.fine_grain_um, bounds.coarse_grain_um):
        strength = np.float32(rng.uniform(*bounds.contrast))
        log_density += strength * canvas.noise(rng.uniform(*grain_um))
    texture = np.exp(log_density)
    if rng.random() < bounds.spot_chance:
        spots = canvas.noise(rng.uniform(*bounds.spot_grain_um))
        texture *= 1 + np.float32(rng.uniform(*bounds.spot_strength)) * np.clip(spots - 1.2, 0, 1.2)
    return np.asarray(texture / texture.mean(dtype=np.float64), dtype=np.float32)


def _draw_nucleus(canvas: Canvas, look: _Appearance, centre_um: DoubleArray, bounds: NucleiBounds) -> None:
    """Draw a nucleus at a centre (Z, Y, X), unless it would lie in others by too much."""
    rng = canvas.rng
    semi = look.radius_um * rng.uniform(*bounds.stretch, 3) * (1 / look.flattening, 1, look.elongation)
    semi = np.clip(semi, *bounds.semi_um)
    smallest = float(semi.min())
    box = canvas.box_around(centre_um, 1.4 * float(semi.max()))
    if box is None:
        return

    # 1. Its body, if it fits among what stands.
    from_centre = canvas.ellipsoid(box, centre_um, semi, bounds) * look.dents[box]
    inside = _filled(from_centre, smallest, canvas.spacing_um)
    body = inside > 0.5
    if np.count_nonzero(canvas.density[box][body] > 0.02) > look.overlap * np.count_nonzero(body):
        return

    # 2. Chromatin, denser under the envelope in some.
    profile = inside * look.texture[box]
    if rng.random() < bounds.rim_chance:
        depth = (1 - from_centre) * np.float32(smallest / rng.uniform(*bounds.rim_width_um))
        profile *= 1 + np.float32(rng.uniform(*bounds.rim_strength)) * np.exp(-(depth**2))
    profile *= np.float32(log_uniform(rng, look.brightness))
    canvas.lighten(box, profile)

    # 3. Nucleoli, which are darker.
    for _ in range(rng.integers(0, bounds.max_nucleoli + 1)):
        place_um = centre_um + rng.uniform(*bounds.nucleolus_place, 3) * semi
        radius = rng.uniform(*bounds.nucleolus_radius) * smallest
        around = canvas.box_around(place_um, 1.4 * radius)
        if around is not None:
            distance = canvas.ellipsoid(around, place_um, np.full(3, radius), bounds)
            hole = np.clip((1.2 - distance) / np.float32(0.3), 0, 1)
            canvas.density[around] *= 1 - np.float32(rng.uniform(*bounds.nucleolus_loss)) * hole


def _filled(from_centre: FloatArray, smallest_um: float, spacing_um: Spacing) -> FloatArray:
    """1 inside a body, 0 outside; the step is as wide as a lateral voxel, of which the body fills a part."""
    width = np.float32(np.clip(spacing_um[1] / smallest_um, 0.05, 0.5))
    return np.asarray(np.clip((1 - from_centre) / width + np.float32(0.5), 0, 1), dtype=np.float32)


def _draw_mitosis(canvas: Canvas, look: _Appearance, centre_um: DoubleArray, bounds: NucleiBounds) -> None:
    """Draw chromosomes on one plate (metaphase) or on two that part (anaphase)."""
    rng = canvas.rng
    flat = look.radius_um * rng.uniform(*bounds.plate_radius)
    semi = np.array((rng.uniform(*bounds.plate_um), flat, flat * rng.uniform(*bounds.plate_width)))
    tilt = rng.uniform(0, np.pi)
    box = canvas.box_around(centre_um, 1.3 * flat + bounds.plate_gap_um[1])
    if box is None:
        return
    gap = rng.uniform(*bounds.plate_gap_um) if rng.random() < bounds.anaphase_chance else 0.0
    seed = int(rng.integers(2**32))
    brightness = np.float32(rng.uniform(*bounds.plate_brightness))
    for side in (-gap, gap) if gap else (0.0,):
        own = np.random.default_rng(seed)  # both plates are turned alike
        angle = np.random.default_rng(seed).uniform(0, np.pi)
        axis = np.array((np.cos(tilt), -np.sin(tilt) * np.sin(angle), -np.sin(tilt) * np.cos(angle)))
        centre = centre_um + side * axis
        body = replace(canvas, rng=own).ellipsoid(box, centre, semi, bounds, tilt)
        plate = _filled(body * look.dents[box] ** 2, float(semi.min()), canvas.spacing_um)
        canvas.lighten(box, plate * np.sqrt(look.texture[box]) * brightness)
