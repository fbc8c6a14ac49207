"""Registering files: one pair, two folders, what is written and what is not."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.core.config import RegisterConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Event, Notice, Progress, StoppedError, drain
from napari_deep3d.core.registration.transform import Transform
from napari_deep3d.core.volume import Volume
from napari_deep3d.io import open_stack, write_stack
from napari_deep3d.jobs import register
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.jobs.register import RegisteredFolder, StackSource, align_stacks, register_folders, register_pair

SHIFT = (2, -3, 4)
SPACING_UM = (0.5, 0.2, 0.2)
Files = tuple[Path, Path]


def sources(files: Files) -> tuple[StackSource, StackSource]:
    return StackSource(files[0]), StackSource(files[1])


def written(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folders(pair_files: Files, tmp_path: Path) -> tuple[StackSource, StackSource]:
    """Two folders: a pair that matches, one that is noise, one that is blank, and a file without a partner."""
    sides = tmp_path / "c", tmp_path / "w"
    rng = np.random.default_rng(1)
    for side, file in zip(sides, pair_files, strict=True):
        side.mkdir()
        shutil.copy(file, side / "good.ome.tif")
        write_stack(side / "noise.ome.tif", rng.poisson(50, (16, 48, 48)).astype(np.uint16), SPACING_UM)
        write_stack(side / "blank.ome.tif", np.full((16, 48, 48), 7, np.uint16), SPACING_UM)
    shutil.copy(pair_files[1], sides[1] / "alone.ome.tif")
    return StackSource(sides[0]), StackSource(sides[1])


def test_a_pair_is_written_aligned(pair_files: Files, tmp_path: Path) -> None:
    made = drain(register_pair(*sources(pair_files), tmp_path / "pairs", RegisterConfig()))
    assert made.registration.shift_voxels == pytest.approx(SHIFT, abs=0.1)
    assert written(tmp_path / "pairs") == {
        "confocal/cell.ome.tif",
        "widefield/cell.ome.tif",
        "registration/cell.json",
        "registration/cell.png",
    }
    confocal, widefield = (open_stack(tmp_path / "pairs" / kind / "cell.ome.tif") for kind in ("confocal", "widefield"))
    assert confocal.volume().shape == widefield.volume().shape
    assert widefield.spacing_um == pytest.approx(SPACING_UM)
    original = np.asarray(open_stack(pair_files[1]).volume().data)
    start = [round(o / s) for o, s in zip(widefield.origin_um, SPACING_UM, strict=True)]
    box = tuple(slice(a, a + n) for a, n in zip(start, widefield.volume().shape, strict=True))
    np.testing.assert_array_equal(np.asarray(widefield.volume().data), original[box])
    values = json.loads((tmp_path / "pairs" / "registration" / "cell.json").read_text())
    assert Transform.from_dict(values) == made.registration.transform


def test_what_is_written_can_be_trained_on(pair_files: Files, tmp_path: Path) -> None:
    drain(register_pair(*sources(pair_files), tmp_path / "pairs", RegisterConfig()))
    assert [pair.name for pair in prepare_pairs(PairsFolder(tmp_path / "pairs").load(), (0.1, 99.9))] == [
        "cell.ome.tif"
    ]


@pytest.mark.parametrize("value", [0, np.nan])
def test_borders_that_are_no_image_are_cropped_or_known_again(pair_files: Files, tmp_path: Path, value: float) -> None:
    spoilt = tuple(tmp_path / name for name in ("c.ome.tif", "cell.ome.tif"))
    for file, path in zip(pair_files, spoilt, strict=True):
        data = np.asarray(open_stack(file).volume().data).astype(np.float32) + 50
        data[:, :6] = data[:, :, 33] = value
        write_stack(path, data, SPACING_UM)
    events = list[Event]()
    made = drain(register_pair(*sources((spoilt[0], spoilt[1])), tmp_path / "pairs", RegisterConfig()), events.append)
    assert made.registration.shift_voxels == pytest.approx(SHIFT, abs=0.1)
    told = [event.message for event in events if isinstance(event, Notice) and "are no image" in event.message]
    assert len(told) == 2
    (pair,) = prepare_pairs(PairsFolder(tmp_path / "pairs").load(), (0.1, 99.9))
    assert pair.no_data is not None
    rows, columns = pair.no_data.empty[1:]
    assert not rows.any()
    assert 2 <= columns.sum() <= 4, "the two columns, where they came to lie; the confocal one between two voxels"


def test_channels_are_cropped_alike(pair_files: Files) -> None:
    """Whatever is no image in the one or the other: their layers are laid on each other."""
    confocal, widefield = (source.volume() for source in sources(pair_files))
    framed = np.pad(np.asarray(confocal.data)[:, 5:-5, 5:-5], [(0, 0), (5, 5), (5, 5)], constant_values=65_535)
    stacks = [Volume(framed, SPACING_UM), confocal]
    for first, second in (stacks, stacks[::-1]):
        pairs = drain(
            align_stacks([first, second], widefield, Transform.shift(np.multiply(SHIFT, SPACING_UM).tolist()))
        )
        assert pairs[0].region == pairs[1].region


def test_a_pair_is_never_replaced_unless_asked(pair_files: Files, tmp_path: Path) -> None:
    drain(register_pair(*sources(pair_files), tmp_path / "pairs", RegisterConfig()))
    with pytest.raises(InputError, match=r"exists and is not replaced.*--overwrite"):
        drain(register_pair(*sources(pair_files), tmp_path / "pairs", RegisterConfig()))
    drain(register_pair(*sources(pair_files), tmp_path / "pairs", RegisterConfig(), overwrite=True))


def test_a_second_pair_joins_the_first(pair_files: Files, tmp_path: Path) -> None:
    drain(register_pair(*sources(pair_files), tmp_path / "pairs", RegisterConfig()))
    other = pair_files[1].with_name("other.ome.tif")
    shutil.copy(pair_files[1], other)
    drain(register_pair(StackSource(pair_files[0]), StackSource(other), tmp_path / "pairs", RegisterConfig()))
    assert {"widefield/cell.ome.tif", "widefield/other.ome.tif"} <= written(tmp_path / "pairs")


def test_stopped_it_writes_nothing(pair_files: Files, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        drain(register_pair(*sources(pair_files), tmp_path / "pairs", RegisterConfig(), stop=lambda: True))
    assert not (tmp_path / "pairs").exists()


def test_a_failure_while_writing_leaves_nothing(
    pair_files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(register, "draw_registration", full)
    with pytest.raises(InputError, match="No space left on device"):
        drain(register_pair(*sources(pair_files), tmp_path / "pairs", RegisterConfig()))
    assert written(tmp_path / "pairs") == set()


def test_folders_go_on_past_failures(folders: tuple[StackSource, StackSource], tmp_path: Path) -> None:
    events: list[Event] = []
    done = drain(register_folders(*folders, tmp_path / "pairs", RegisterConfig()), events.append)
    assert (len(done.rows), done.failed, done.complete) == (3, 2, True)
    assert done.rows[-1].name == "good"
    problems = {row.name: row.problem for row in done.rows}
    assert problems["good"] == ""
    assert "No alignment was found" in problems["noise"]
    assert "constant" in problems["blank"]
    told = " ".join(event.message for event in events if isinstance(event, Notice))
    assert "alone.ome.tif has no partner" in told
    shares = [event.fraction for event in events if isinstance(event, Progress)]
    assert all(0 <= share <= 1 for share in shares)
    assert {path for path in written(tmp_path / "pairs") if path.startswith("w")} == {"widefield/good.ome.tif"}


def test_the_summary_has_the_least_sure_first(folders: tuple[StackSource, StackSource], tmp_path: Path) -> None:
    drain(register_folders(*folders, tmp_path / "pairs", RegisterConfig()))
    with (tmp_path / "pairs" / "registration" / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows][-1] == "good"
    assert float(rows[-1]["shift_z_um"]) == pytest.approx(1.0, abs=0.05)
    assert all(row["problem"] for row in rows[:-1])


def test_a_stopped_folder_keeps_what_is_done(folders: tuple[StackSource, StackSource], tmp_path: Path) -> None:
    asked = False

    def note(event: Event) -> None:
        nonlocal asked
        asked = asked or (isinstance(event, Progress) and event.message.startswith("pair 2 of 3: aligning"))

    done: RegisteredFolder = drain(
        register_folders(*folders, tmp_path / "pairs", RegisterConfig(), stop=lambda: asked), note
    )
    assert not done.complete
    assert [row.name for row in done.rows] == ["blank"]
    assert written(tmp_path / "pairs") == {"registration/summary.csv"}


def test_folders_without_a_common_name(tmp_path: Path, pair_files: Files) -> None:
    for side, name in (("c", "a"), ("w", "b")):
        (tmp_path / side).mkdir()
        shutil.copy(pair_files[0], tmp_path / side / f"{name}.tif")
    with pytest.raises(InputError, match=r"no two stacks of the same name \(1 and 1 stacks\)"):
        drain(
            register_folders(
                StackSource(tmp_path / "c"), StackSource(tmp_path / "w"), tmp_path / "pairs", RegisterConfig()
            )
        )


def test_channels_are_aligned_alike(pair_files: Files) -> None:
    confocal, widefield = (StackSource(file).volume() for file in pair_files)
    transform = Transform.shift([voxels * um for voxels, um in zip(SHIFT, SPACING_UM, strict=True)])
    events: list[Event] = []
    first, second = drain(align_stacks([confocal, confocal], widefield, transform), events.append)
    assert first.region == second.region
    assert np.array_equal(first.confocal, second.confocal)
    done = [event.fraction for event in events if isinstance(event, Progress)]
    assert done == sorted(done)
    assert done[-1] == 1
