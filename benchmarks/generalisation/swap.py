"""Write pairs of our samples in the foreign simulator's light, or the other way round, to see which is the gap.

Usage: python -m benchmarks.generalisation.swap light -o data/foreign-light [--pairs 24] [--seed 900] [--bounds FILE]
       python -m benchmarks.generalisation.swap samples -o data/foreign-samples [--pairs 40]

A model is then trained on with them for a short time (configs/widening.toml) and scored by
:mod:`benchmarks.generalisation.foreign`. For studies alone: what is bundled never learns from the foreign simulator.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common.real_files import ROOT
from benchmarks.generalisation.foreign_light import SCOPES, expose, images
from benchmarks.generalisation.foreign_samples import KINDS
from benchmarks.generalisation.foreign_samples import draw_sample as draw_foreign
from benchmarks.generalisation.foreign_simulator import HAZES, MARGIN, SHAPE, ForeignPair, draw_light, write_pair
from napari_deep3d.core import FloatArray, InputError, Shape, read_toml
from napari_deep3d.core.config import merge
from napari_deep3d.core.simulation import samples
from napari_deep3d.core.simulation.imaging import SceneBounds, take_images
from napari_deep3d.jobs.pairs import PairsFolder

OWN_SHAPE: Shape = (64, 128, 128)


def in_foreign_light(seed: int, number: int, bounds: SceneBounds) -> ForeignPair:
    """A pair of one of the program's samples, imaged by the foreign simulator."""
    rng = np.random.default_rng((seed, number))
    scope = SCOPES[number % len(SCOPES)]
    light = draw_light(rng, scope, HAZES[(number + number // len(SCOPES)) % len(HAZES)])
    field = (SHAPE[0] + 2 * MARGIN[0], SHAPE[1] + 2 * MARGIN[1], SHAPE[2] + 2 * MARGIN[2])
    inner = tuple(slice(m, m + n) for m, n in zip(MARGIN, SHAPE, strict=True))
    sample = np.zeros(field, np.float32)
    while not sample[inner].any():
        kind = bounds.draw_kind(rng, with_confocal=False)
        if kind != "confocal":
            drawn = samples.draw(rng, kind, field, scope.spacing_um, bounds.samples)
            sample = samples.change(rng, drawn, scope.spacing_um, bounds.samples.changes)
    widefield, confocal = images(sample, light, first_plane=MARGIN[0])
    return ForeignPair(kind, light, expose(rng, widefield[inner], light), confocal[inner])


def of_foreign_samples(seed: int, pairs: int, bounds: SceneBounds, folder: PairsFolder) -> Iterator[str]:
    """Write pairs of the foreign simulator's samples, imaged by the program; yield what each is of."""
    for number in range(pairs):
        rng = np.random.default_rng((seed, number))
        scene = bounds.draw(rng, "shapes")
        kind, turn = KINDS[number % len(KINDS)], number // len(KINDS)

        def draw(field: Shape) -> FloatArray:
            return draw_foreign(rng, kind, field, scene.spacing_um, turn)  # noqa: B023 (called before the next turn)

        try:
            pair = take_images(rng, scene, OWN_SHAPE, draw, bounds=bounds.samples)
        except InputError as error:  # nothing of a thin slab lies in the stack
            yield str(error)
            continue
        folder.write(f"pair_{number:03d}", pair.widefield, pair.confocal, scene.spacing_um, overwrite=True)
        yield kind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("foreign", choices=("light", "samples"))
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=900)
    parser.add_argument("--bounds", type=Path, default=ROOT / "configs" / "simulate" / "usual.toml")
    chosen = parser.parse_args()
    bounds = merge(SceneBounds, read_toml(chosen.bounds))
    if chosen.foreign == "samples":
        for kind in of_foreign_samples(chosen.seed, chosen.pairs, bounds, PairsFolder(chosen.output)):
            print(kind, flush=True)
        return
    for number in range(chosen.pairs):
        pair = in_foreign_light(chosen.seed, number, bounds)
        write_pair(chosen.output, f"pair_{number:03}", pair)
        print(pair.about, flush=True)


if __name__ == "__main__":
    main()
