"""Whether stacks of a kind that a model does not know are called unlike more often than those of one that it knows.

Usage: python -m benchmarks.novelty.held_out data/usual [--table docs/data/novelty_held_out.csv]

For each group of ``benchmarks.generalisation.held_out_groups`` it is learned from a folder's wide-field stacks how they
look, once without the group and once with it. Judged are stacks that were not learned from: those of the group in both
cases (with it, fold by fold), and all others.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.scene_files import read_voxels
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from benchmarks.generalisation.held_out_groups import GROUPS, describe
from napari_deep3d.core.novelty.detector import NoveltyModel
from napari_deep3d.core.novelty.features import Features, measure_features, representative_part
from napari_deep3d.jobs.pairs import WIDEFIELD

FOLDS = 8
COLUMNS = {
    "held out": "{group}",
    "stacks": "{stacks}",
    "called unlike where it is unknown": "{unknown:.1%}",
    "where it is known": "{known:.1%}",
    "other stacks": "{others:.1%}",
}


def unlike(judged: Sequence[Features], learned: Sequence[Features]) -> int:
    """How many stacks are called unlike those that were learned from."""
    model = NoveltyModel.fit(learned)
    return sum(model.compare(features).is_unlike for features in judged)


def held_out_row(group: str, features: Sequence[Features], within: Sequence[bool]) -> Row:
    """How often stacks are called unlike, with and without the group that they are within."""
    inside = [one for one, belongs in zip(features, within, strict=True) if belongs]
    outside = [one for one, belongs in zip(features, within, strict=True) if not belongs]
    known = others = 0
    for fold in range(FOLDS):
        rest = [one for number, one in enumerate(inside) if number % FOLDS != fold]
        known += unlike(inside[fold::FOLDS], rest + outside)
        others += unlike(outside[fold::FOLDS], [one for number, one in enumerate(outside) if number % FOLDS != fold])
    return {
        "group": group,
        "stacks": len(inside),
        "unknown": unlike(inside, outside) / len(inside),
        "known": known / len(inside),
        "others": others / len(outside),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="pairs that simulate wrote")
    add_table_option(parser)
    chosen = parser.parse_args()
    pairs = describe(chosen.folder)
    features = [
        measure_features(representative_part(read_voxels(chosen.folder / WIDEFIELD / pair.name)), pair.scene.spacing_um)
        for pair in pairs
    ]
    rows = [held_out_row(group, features, [within(pair) for pair in pairs]) for group, within in GROUPS.items()]
    for kind in sorted({pair.scene.kind for pair in pairs} - set(GROUPS)):
        rows.append(held_out_row(kind, features, [pair.scene.kind == kind for pair in pairs]))
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
