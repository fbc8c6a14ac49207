"""A folder of simulated pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deep3d.core.config import SimulateConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Event, Notice, Progress, drain
from napari_deep3d.core.simulation.imaging import simulate_pair
from napari_deep3d.io import open_stack, write_stack
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.jobs.simulate import Simulated, simulate_pairs

SHAPE = (8, 32, 32)
NAMES = ["pair_0000.ome.tif", "pair_0001.ome.tif"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Simulated, list[Event]]:
    events: list[Event] = []
    folder = tmp_path_factory.mktemp("simulated") / "new" / "pairs"
    return drain(simulate_pairs(folder, SimulateConfig(pairs=2, shape=SHAPE, seed=5)), events.append), events


def test_files_of_the_same_name_lie_in_both_folders(made: tuple[Simulated, list[Event]]) -> None:
    result, _ = made
    assert result.pairs == 2
    assert sorted(path.name for path in result.output.iterdir()) == ["confocal", "widefield"]
    for kind in ("widefield", "confocal"):
        assert sorted(path.name for path in (result.output / kind).iterdir()) == NAMES


def test_files_hold_the_pair_of_seed_and_number(made: tuple[Simulated, list[Event]]) -> None:
    result, _ = made
    pair = simulate_pair((5, 1), SHAPE)
    for kind, expected in (("widefield", pair.widefield), ("confocal", pair.confocal)):
        file = open_stack(result.output / kind / NAMES[1])
        np.testing.assert_array_equal(np.asarray(file.volume().data), expected)
        assert file.spacing_um == pytest.approx(pair.scene.spacing_um, rel=1e-6)
    assert result.spacing_um[1] == pair.scene.spacing_um


def test_folder_can_be_trained_on(made: tuple[Simulated, list[Event]]) -> None:
    pairs = prepare_pairs(PairsFolder(made[0].output).load(), (0.1, 99.9))
    assert [pair.name for pair in pairs] == NAMES
    assert all(pair.shape == SHAPE for pair in pairs)


def test_progress_is_told_pair_by_pair(made: tuple[Simulated, list[Event]]) -> None:
    _, events = made
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2]
    assert events[-1].fraction == 1  # type: ignore[union-attr]


def test_folder_with_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match=r"already holds files; an empty or new folder is needed.*--overwrite"):
        drain(simulate_pairs(tmp_path, SimulateConfig(pairs=1, shape=SHAPE)))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_overwrite_replaces_files_of_the_same_name(tmp_path: Path) -> None:
    for kind in ("widefield", "confocal"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / NAMES[0]).write_text("old")
    drain(simulate_pairs(tmp_path, SimulateConfig(pairs=1, shape=SHAPE), overwrite=True))
    assert open_stack(tmp_path / "widefield" / NAMES[0]).volume().shape == SHAPE


def test_stop_keeps_the_finished_pairs(tmp_path: Path) -> None:
    events: list[Event] = []
    config = SimulateConfig(pairs=30, shape=SHAPE)
    result = drain(simulate_pairs(tmp_path, config, stop=lambda: len(events) >= 1), events.append)
    assert 1 <= result.pairs == len(result.spacing_um) < 30  # those under way are finished
    assert len(list((tmp_path / "confocal").iterdir())) == result.pairs


def test_kind_is_that_of_all_samples_and_must_be_known(tmp_path: Path) -> None:
    drain(simulate_pairs(tmp_path / "out", SimulateConfig(pairs=2, shape=SHAPE, kind="puncta")))
    for path in (tmp_path / "out" / "widefield").iterdir():
        assert '"kind": "puncta"' in (tifffile.TiffFile(path).ome_metadata or "").replace("&quot;", '"')
    with pytest.raises(InputError, match=r"no kind of sample 'cats'; nuclei, .*confocal are allowed"):
        drain(simulate_pairs(tmp_path / "no", SimulateConfig(pairs=1, shape=SHAPE, kind="cats")))
    assert not (tmp_path / "no").exists()


def test_real_confocal_stacks_are_read_from_files(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).gamma(0.5, 500.0, (20, 40, 40)).astype(np.uint16)
    file = write_stack(tmp_path / "real.tif", stack, (0.3, 0.1, 0.1))
    config = SimulateConfig(pairs=1, shape=SHAPE)
    assert drain(simulate_pairs(tmp_path / "out", config, confocal_stacks=[file])).pairs == 1


@pytest.mark.parametrize("value", [0, 65_535, np.nan])
def test_borders_of_a_confocal_stack_are_no_sample(tmp_path: Path, value: float) -> None:
    """Frame, column and planes without image leave the pair what it is without them, but for the filled column."""
    stack = (100 + np.random.default_rng(0).gamma(0.5, 500.0, (20, 40, 40))).astype(np.float32)
    spoilt = np.pad(stack, [(2, 3), (9, 4), (5, 0)], constant_values=value)
    files = [write_stack(tmp_path / f"{i}.tif", each, (0.3, 0.1, 0.1)) for i, each in enumerate((stack, spoilt))]
    config, events = SimulateConfig(pairs=1, shape=SHAPE, kind="confocal"), list[Event]()
    made = []
    for file in files:
        out = drain(simulate_pairs(tmp_path / file.stem, config, confocal_stacks=[file]), events.append).output
        made.append([open_stack(out / side / NAMES[0]).volume().data[:] for side in ("confocal", "widefield")])
    np.testing.assert_array_equal(made[0], made[1])
    (notice,) = [event.message for event in events if isinstance(event, Notice)]
    assert notice.startswith("1: ")
    assert "are no image" in notice
    spoilt[:, :, 30] = value
    file = write_stack(tmp_path / "column.tif", spoilt, (0.3, 0.1, 0.1))
    out = drain(simulate_pairs(tmp_path / "column", config, confocal_stacks=[file])).output
    found = open_stack(out / "confocal" / NAMES[0]).volume().data[:]
    assert np.corrcoef(found.ravel(), made[0][0].ravel())[0, 1] > 0.8


def test_confocal_stack_without_image_is_refused(tmp_path: Path) -> None:
    file = write_stack(tmp_path / "blank.tif", np.full((20, 40, 40), np.nan, np.float32), (0.3, 0.1, 0.1))
    with pytest.raises(InputError, match=r"blank holds no image, only blank planes \(NaN\)"):
        drain(simulate_pairs(tmp_path / "out", SimulateConfig(pairs=1, shape=SHAPE), confocal_stacks=[file]))
    assert not (tmp_path / "out").exists()


def test_missing_confocal_stack_is_told_before_anything_is_made(tmp_path: Path) -> None:
    job = simulate_pairs(tmp_path / "out", SimulateConfig(pairs=1, shape=SHAPE), confocal_stacks=[tmp_path / "no.tif"])
    with pytest.raises(InputError, match=r"no\.tif"):
        drain(job)
    assert not (tmp_path / "out").exists()
