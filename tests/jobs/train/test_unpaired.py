"""Folders of stacks that are no pairs: what is read of them, what is refused, and a training from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from safetensors.numpy import load_file

from napari_deep3d.core import InputError, Notice, TrainConfig, drain
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.models.store import model_info
from napari_deep3d.jobs.train.run_folder import read_run
from napari_deep3d.jobs.train.train import train_model
from napari_deep3d.jobs.train.unpaired import UnpairedFolders, check_unpaired, read_unpaired

SPACING_UM = (0.5, 0.2, 0.2)


def stack(path: Path, shape: tuple[int, int, int] = (8, 32, 32), spacing_um: tuple | None = SPACING_UM) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    voxels = rng.integers(0, 1000, shape).astype(np.uint16)
    if spacing_um is None:
        tifffile.imwrite(path, voxels, metadata={"axes": "ZYX"})
    else:
        write_stack(path, voxels, spacing_um)


@pytest.fixture
def folders(tmp_path: Path) -> UnpairedFolders:
    """Two wide-field stacks, and three confocal ones that are larger."""
    for name in ("w1.tif", "w2.tif"):
        stack(tmp_path / "wide" / name)
    for name in ("c1.tif", "c2.tif", "c3.tif"):
        stack(tmp_path / "confocal" / name, (10, 40, 36))
    return UnpairedFolders(tmp_path / "wide", tmp_path / "confocal")


def read(folders: UnpairedFolders) -> object:
    return read_unpaired(folders, (0.0, 100.0), 1e9)


def test_confocal_stacks_are_brought_to_the_voxels_of_the_wide_field_stacks(folders: UnpairedFolders) -> None:
    stack(folders.confocal / "finer.tif", (16, 40, 40), (0.25, 0.1, 0.1))
    _, confocal = folders.facts()
    assert {each.spacing_um for each in confocal} == {SPACING_UM}
    assert next(each.shape for each in confocal if each.name == "finer.tif") == (8, 20, 20)


def test_a_stack_that_shows_nothing_is_left_out_and_named(folders: UnpairedFolders) -> None:
    write_stack(folders.widefield / "black.tif", np.zeros((8, 32, 32), np.uint16), SPACING_UM)
    found = read_unpaired(folders, (0.0, 100.0), 1e9)
    assert [pair.name for pair in found.widefield] == ["w1.tif", "w2.tif"]
    assert len(found.confocal) == 3
    assert found.notices[0].startswith("Stack widefield/black.tif is left out: ")


def test_time_that_is_over_leaves_stacks_unread_but_one_of_each(folders: UnpairedFolders) -> None:
    found = read_unpaired(folders, (0.0, 100.0), 1e9, lambda: True)
    assert (len(found.widefield), len(found.confocal), found.unread) == (1, 1, 3)


def test_the_same_names_in_both_folders_are_told(folders: UnpairedFolders) -> None:
    assert folders.notices() == []
    stack(folders.confocal / "w1.tif")
    assert "such as w1.tif) are in both folders" in folders.notices()[0]


def test_a_folder_given_twice_is_refused(folders: UnpairedFolders) -> None:
    with pytest.raises(InputError, match=r"both folders are .* Give the second one"):
        read(UnpairedFolders(folders.widefield, folders.widefield / ".." / folders.widefield.name))


def test_an_empty_or_missing_folder_is_refused(folders: UnpairedFolders, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no stack; confocal stacks.*are needed"):
        read(UnpairedFolders(folders.widefield, tmp_path / "empty"))
    with pytest.raises(InputError, match="nowhere is no folder; a folder of widefield stacks"):
        read(UnpairedFolders(tmp_path / "nowhere", folders.confocal))


@pytest.mark.parametrize(
    ("file", "shape", "spacing_um", "words"),
    [
        (
            "wide/other.tif",
            (8, 32, 32),
            (1.0, 0.2, 0.2),
            "wide-field stacks differ: 0.5 x 0.2 x 0.2 to 1",
        ),
        ("confocal/coarse.tif", (8, 32, 32), (2.0, 0.2, 0.2), "between a third and three times"),
        ("confocal/none.tif", (8, 32, 32), None, "none.tif has no voxel size in micrometres"),
        ("confocal/small.tif", (8, 20, 20), (0.5, 0.1, 0.1), "small.tif is too small: 8 planes of 10 x 10"),
        ("wide/small.tif", (3, 32, 32), SPACING_UM, "too small: 3 planes"),
    ],
)
def test_stacks_that_do_not_fit_are_refused(
    folders: UnpairedFolders, file: str, shape: tuple[int, int, int], spacing_um: tuple | None, words: str
) -> None:
    stack(folders.widefield.parent / file, shape, spacing_um)
    with pytest.raises(InputError, match=words):
        read(folders)


def test_blank_stacks_alone_are_refused(folders: UnpairedFolders) -> None:
    for path in folders.confocal.iterdir():
        path.unlink()
    write_stack(folders.confocal / "black.tif", np.zeros((8, 32, 32), np.uint16), SPACING_UM)
    with pytest.raises(InputError, match="none of the confocal stacks can be trained on"):
        read(folders)


@pytest.mark.parametrize("values", [{"z_step": 2}, {"held_out": ("a",)}, {"dimensions": 2}])
def test_settings_of_pairs_are_refused(values: dict[str, object]) -> None:
    check_unpaired(TrainConfig())
    with pytest.raises(InputError, match=f"{next(iter(values))} cannot be set"):
        check_unpaired(TrainConfig.checked(**values))


@pytest.mark.slow
def test_a_stopped_run_is_resumed_bit_for_bit_from_its_folder_alone(
    folders: UnpairedFolders, train_config: TrainConfig, tmp_path: Path
) -> None:
    config = train_config.changed(weight_cycle=1.0)
    told: list[object] = []
    whole = drain(train_model(folders, tmp_path / "whole", config, start="scratch"), told.append)
    assert any(isinstance(event, Notice) and "2 wide-field and 3 confocal stacks" in event.message for event in told)
    assert whole.complete
    assert not whole.validation
    rows = (tmp_path / "whole" / "metrics.csv").read_text().splitlines()
    assert {"cycle", "blur"} <= set(rows[0].split(","))
    steps: list[object] = []
    stop = lambda: len(steps) >= 2  # noqa: E731
    part = train_model(folders, tmp_path / "part", config, start="scratch", stop=stop)
    drain(part, lambda event: steps.append(event) if "loss" in getattr(event, "values", {}) else None)
    assert read_run(tmp_path / "part").confocal == folders.confocal
    with pytest.raises(InputError, match="learns from a wide-field and a confocal folder"):
        drain(train_model(tmp_path, tmp_path / "part", config, resume=True))
    rest = drain(train_model(None, tmp_path / "part", config, resume=True))
    assert rest.complete
    a, b = load_file(whole.model), load_file(rest.model)
    assert all(np.array_equal(a[name], b[name]) for name in a)
    training = model_info(str(whole.model)).training
    assert (training["widefield_stacks"], training["confocal_stacks"], training["start"]) == (2, 3, "scratch")
