"""Packings of generic bodies: polyhedra, boxes, ellipsoids, rods and plates; lines; and trees of no kind."""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.spatial.transform import Rotation

from napari_deep3d.core.simulation.bounds import (
    Bounds,
    CountRange,
    PositiveRange,
    Range,
    Share,
    ShareRange,
    happens,
    log_uniform,
)
from napari_deep3d.core.simulation.samples.canvas import Canvas, Growth, Stems, Tubes, directions

MAX_BODIES, MAX_LINES, MAX_STEMS = 300, 1500, 40
MAX_OF_FIELD = 0.25
"""Largest size as a share of the field's median side, unless the bounds ask for more."""
THICKEST = 8.0
"""Largest radius of lines and branches in lateral voxels: thicker ones take long to draw."""
MAX_VOXELS = 25_000_000
"""Voxels of all boxes around bodies together."""


class BodiesBounds(Bounds):
    """Bounds of the random choices in packings of bodies, lines and trees."""

    body_um: PositiveRange = Field((0.4, 10.0), description="radius of a sample's bodies, log")
    body_stretch: PositiveRange = Field(
        (0.2, 1.8), description="size of each body along each of its axes in that, log: rods and plates"
    )
    packing: ShareRange = Field((0.02, 0.7), description="volume of all bodies in that of the field, overlaps twice")
    faces: CountRange = Field((3, 9), description="pairs of faces of a polyhedron; three make a box")
    polyhedra: ShareRange = Field((0.0, 1.0), description="share of a sample's bodies that have faces")
    body_brightness: PositiveRange = Field((0.2, 1.0), description="brightness of each body, log")
    shell_chance: Share = Field(0.3, description="share of the samples whose bodies are shells")
    body_shell_um: PositiveRange = Field((0.15, 1.0), description="thickness of these shells, log")
    line_um: PositiveRange = Field((0.04, 0.8), description="radius of lines, log; each of its own")
    line_length_um: PositiveRange = Field((3.0, 60.0), description="length of lines, log")
    um3_per_line: PositiveRange = Field((20.0, 3_000.0), description="volume per line, log")
    line_bend: Range = Field((0.0, 0.6), description="how strongly lines turn")
    line_persistence_um: PositiveRange = Field((2.0, 20.0), description="distance between turns")
    line_flatness: PositiveRange = Field((0.2, 2.0), description="below 1, lines turn towards the plane")
    um3_per_stem: PositiveRange = Field((1_000.0, 50_000.0), description="volume per tree, log")
    stem_um: PositiveRange = Field((0.2, 3.0), description="radius of a tree where it begins, log")
    stem_length_um: PositiveRange = Field((4.0, 25.0), description="length of its first branch, log")
    levels: CountRange = Field((2, 6), description="generations of branches after the first")
    forks: CountRange = Field((1, 3), description="branches that leave each branch")
    taper: ShareRange = Field((0.6, 1.0), description="radius of a branch at its end in that at its start")
    fork_radius: ShareRange = Field((0.55, 0.95), description="radius of a branch in its parent's at the fork")
    spread: Range = Field((0.2, 1.2), description="how far branches part")
    shrink: ShareRange = Field((0.6, 0.95), description="length of each generation in that of the one before")


def draw_bodies(canvas: Canvas, bounds: BodiesBounds) -> None:
    """Bodies of about one size that lie anywhere, each turned and stretched in its own way; solid, or shells."""
    rng, field_um = canvas.rng, canvas.field_um
    low, high = bounds.body_um
    high = min(high, max(low, MAX_OF_FIELD * float(np.median(field_um))))
    size_um = max(float(log_uniform(rng, (low, high))), canvas.spacing_um[1])
    to_fill = rng.uniform(*bounds.packing) * float(np.prod(canvas.shape))
    faced = rng.uniform(*bounds.polyhedra)
    faces = int(rng.integers(*bounds.faces, endpoint=True))
    shell_um = np.inf
    if happens(rng, bounds.shell_chance):
        shell_um = float(log_uniform(rng, bounds.body_shell_um))
    width_um, drawn, filled = float(np.mean(canvas.spacing_um)), 0, 0.0
    places = canvas.places(MAX_BODIES, size_um)
    for index, centre in enumerate(places):
        if drawn > MAX_VOXELS or (index and filled >= to_fill):
            break
        semi = size_um * log_uniform(rng, bounds.body_stretch, 3)
        normals = Rotation.random(rng=rng).as_matrix()
        has_faces = rng.random() < faced
        if has_faces and faces > 3:
            normals = np.concatenate([normals, directions(rng, faces - 3)])
        bright = float(log_uniform(rng, bounds.body_brightness))
        box = canvas.box_around(centre, float(semi.max()) * (1.5 if has_faces else 1.05) + width_um)
        if box is None:
            continue
        # The depth under each face, or under an ellipsoid whose axes are the normals.
        z, y, x = np.ix_(
            *(
                (np.arange(s.start, s.stop) * d - c).astype(np.float32)
                for s, d, c in zip(box, canvas.spacing_um, centre, strict=True)
            )
        )
        drawn += z.size * y.size * x.size
        along = [np.float32(n[0]) * z + np.float32(n[1]) * y + np.float32(n[2]) * x for n in normals]
        if has_faces:
            heights = np.append(semi, np.full(len(normals) - 3, semi.mean()))
            depth_um = np.minimum.reduce([np.float32(h) - np.abs(a) for h, a in zip(heights, along, strict=True)])
        else:
            from_centre = np.sqrt(sum((a / np.float32(s)) ** 2 for a, s in zip(along, semi, strict=True)))
            depth_um = (1 - from_centre) * np.float32(semi.min())
        solid = np.clip(depth_um / width_um + 0.5, 0, 1)
        filled += float(solid.sum())
        shell = solid - np.clip((depth_um - shell_um) / width_um + 0.5, 0, 1)
        canvas.lighten(box, (bright * shell).astype(np.float32))


def draw_lines(canvas: Canvas, bounds: BodiesBounds) -> None:
    """Straight or winding lines anywhere, of any thickness and length."""
    rng = canvas.rng
    count = int(np.clip(canvas.field_um.prod() / log_uniform(rng, bounds.um3_per_line), 3, MAX_LINES))
    away = directions(rng, count, float(log_uniform(rng, bounds.line_flatness)))
    length = log_uniform(rng, bounds.line_length_um, count)
    begin = canvas.places(count) - 0.5 * length[:, None] * away
    path = canvas.paths(begin, away, length, rng.uniform(*bounds.line_bend), rng.uniform(*bounds.line_persistence_um))
    radii = np.minimum(log_uniform(rng, bounds.line_um, (len(path), 1)), THICKEST * canvas.spacing_um[1])
    bright = log_uniform(rng, bounds.body_brightness, len(path))
    canvas.tubes(Tubes(path, np.repeat(radii, path.shape[1], axis=1), bright))


def draw_bushes(canvas: Canvas, bounds: BodiesBounds) -> None:
    """Trees that branch again and again, each sample by rules of its own."""
    rng = canvas.rng
    count = int(np.clip(canvas.field_um.prod() / log_uniform(rng, bounds.um3_per_stem), 1, MAX_STEMS))
    length = float(log_uniform(rng, bounds.stem_length_um))
    radius = np.minimum(log_uniform(rng, bounds.stem_um, count), THICKEST * canvas.spacing_um[1])
    forks, taper = int(rng.integers(*bounds.forks, endpoint=True)), rng.uniform(*bounds.taper)
    narrower = rng.uniform(*bounds.fork_radius)
    levels = int(rng.integers(*bounds.levels, endpoint=True))
    growth = Growth(
        length_um=(0.7 * length, 1.3 * length),
        levels=min(levels, 4 if forks > 2 else 5),
        forks=(forks, forks + 1),
        forks_at_end=rng.random(),
        fork_place=(0.2, 1.0),
        taper=(taper, taper),
        fork_radius=(narrower, narrower),
        bend=rng.uniform(*bounds.line_bend),
        persistence_um=rng.uniform(*bounds.line_persistence_um),
        spread=rng.uniform(*bounds.spread),
        shrink=rng.uniform(*bounds.shrink),
    )
    bright = log_uniform(rng, bounds.body_brightness, count)
    for tubes in canvas.trees(Stems(canvas.places(count), directions(rng, count), radius, bright), growth):
        canvas.tubes(tubes)
