"""Sets of pairs without a group, and the gap that its absence leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.common.scene_files import SceneFile
from benchmarks.generalisation.held_out_groups import GROUPS, DescribedPair, link_pairs, training_sets
from benchmarks.generalisation.held_out_kinds import gaps
from napari_deep3d.jobs.pairs import PairsFolder


def described(name: str, kind: str, index: float = 1.33, haze_um: float = 100.0, density: float = 0.0) -> DescribedPair:
    scene = SceneFile(kind, (0.5, 0.2, 0.2), 10.0, haze_um, {"immersion_index": index})
    return DescribedPair(name, scene, density)


PAIRS = [
    *(described(f"{n}", "nuclei") for n in range(4)),
    described("4", "neurons", index=1.0),
    described("5", "membranes", haze_um=30.0),
    described("6", "nuclei", density=0.9),
    described("7", "neurons"),
]


def test_no_set_holds_its_group_and_all_are_as_large() -> None:
    sets = training_sets(PAIRS)
    assert list(sets) == ["", *GROUPS]
    assert {len(names) for names in sets.values()} == {6}
    for group, within in GROUPS.items():
        assert any(within(pair) for pair in PAIRS)
        assert not any(within(pair) for pair in PAIRS if pair.name in sets[group])
        assert len(set(sets[group])) == 6


def test_one_group_alone_cannot_be_held_out() -> None:
    with pytest.raises(ValueError, match="neurons; simulate more"):
        training_sets([described("0", "neurons")])


def test_linked_pairs_are_a_pairs_folder(tmp_path: Path) -> None:
    for kind in ("widefield", "confocal"):
        (tmp_path / "all" / kind).mkdir(parents=True)
        for name in ("a.tif", "b.tif"):
            (tmp_path / "all" / kind / name).write_bytes(b"")
    for _ in range(2):
        link_pairs(tmp_path / "all", ["b.tif"], tmp_path / "some")
    assert PairsFolder(tmp_path / "some").names() == ["b.tif"]


def test_the_gap_is_what_the_share_grows_by() -> None:
    facts = {"simulator": "today", "tests": "today", "budget": "1 min"}
    shares = {f"{group} share": "0.5" for group in GROUPS} | {f"{group} stacks": "3" for group in GROUPS}
    rows = [
        facts | shares | {"without": ""},
        facts | shares | {"without": "neurons", "neurons share": "0.6"},
        facts | shares | {"without": "neurons", "simulator": "before"},
    ]
    (line,) = gaps(rows)
    assert (line["group"], line["simulator"], line["stacks"]) == ("neurons", "today", "3")
    assert line["gap"] == pytest.approx(0.2)
