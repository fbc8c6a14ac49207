"""The groups of pairs that are held out, and how a pairs folder is divided by them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.scene_files import SceneFile, read_scene, read_voxels
from benchmarks.common.scores import scaled
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder

WALLED = ("membranes", "vessels", "sheets")
STRONG_HAZE_UM = 50.0
AIR_INDEX = 1.1
BRIGHT, DENSE = 0.2, 0.3
"""A field is dense whose confocal stack is brighter than the first in more than the second of its voxels."""


@dataclass(frozen=True)
class DescribedPair:
    """The name of a pair, its scene, and the share of its confocal stack that is bright."""

    name: str
    scene: SceneFile
    density: float


GROUPS: dict[str, Callable[[DescribedPair], bool]] = {
    "neurons": lambda pair: pair.scene.kind == "neurons",
    "vessels or membranes": lambda pair: pair.scene.kind in WALLED,
    "air lenses": lambda pair: pair.scene.microscope["immersion_index"] < AIR_INDEX,
    "strong haze": lambda pair: pair.scene.mean_free_path_um < STRONG_HAZE_UM,
    "dense fields": lambda pair: pair.density > DENSE,
}


def describe(folder: Path) -> list[DescribedPair]:
    """The pairs of a folder that ``simulate`` wrote, by name."""
    return [
        DescribedPair(
            name,
            read_scene(folder / WIDEFIELD / name),
            float(np.mean(scaled(read_voxels(folder / CONFOCAL / name)) > BRIGHT)),
        )
        for name in PairsFolder(folder).names()
    ]


def training_sets(pairs: Collection[DescribedPair]) -> dict[str, list[str]]:
    """Names of the pairs to train on without each group, and on everything (an empty name); all equally many.

    Raises
    ------
    ValueError
        If all pairs belong to one group.
    """
    left = {group: [pair.name for pair in pairs if not within(pair)] for group, within in GROUPS.items()}
    sets = {"": [pair.name for pair in pairs]} | left
    count = min(len(names) for names in sets.values())
    if not count:
        raise ValueError(f"no pair is outside of {', '.join(g for g in left if not left[g])}; simulate more pairs")
    return {group: _spread(names, count) for group, names in sets.items()}


def link_pairs(folder: Path, names: Collection[str], output: Path) -> None:
    """Make a pairs folder of some pairs of another, by hard links."""
    for kind in (WIDEFIELD, CONFOCAL):
        (output / kind).mkdir(parents=True, exist_ok=True)
        for name in names:
            link = output / kind / name
            if not link.exists():
                link.hardlink_to(folder / kind / name)


def _spread(names: list[str], count: int) -> list[str]:
    """So many of the names, evenly from first to last."""
    return [names[index] for index in np.linspace(0, len(names) - 1, count).round().astype(int)]
