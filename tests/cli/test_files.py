"""Files that hold several images, or do not say what they hold, and names that are no Unicode."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_deep3d.io import open_stack
from tests.helpers.cli import SPACING_UM, Run, run_process
from tests.helpers.ome_files import block, image, ome, write_pages

Stack = NDArray[np.uint16]


@pytest.fixture
def positions(tmp_path: Path, stack: Stack) -> Path:
    """Two images in one file, 16 planes each, the second one coarser and brighter."""
    images = [
        image((1, 1, 16, 48, 96), [block(16 * i + z, Z=z) for z in range(16)], spacing_um=(0.5 + i, 0.2, 0.2))
        for i in range(2)
    ]
    return write_pages(tmp_path / "both.ome.tif", np.concatenate([stack, 3 * stack]), ome(*images))


def test_the_position_is_chosen(run: Run, positions: Path, tiny_model: Path, tmp_path: Path) -> None:
    words = ("predict", positions, "-o", tmp_path / "out.tif", "--model", tiny_model, "--json")
    assert "2 images (0: 16 planes of 48 x 96 pixels; 1: " in run(*words).message
    assert "0 to 1 are allowed" in run(*words, "--position", 2).message
    told = run(*words, "--position", 1).json
    assert told["spacing_um"] == [1.5, 0.2, 0.2]
    assert told["input_intensities_of_0_and_1"][0] > 250


def test_the_position_of_a_stack_to_register(run: Run, positions: Path, recording: Path, tmp_path: Path) -> None:
    words = ("register", positions, recording, "-o", tmp_path / "pairs", "--json")
    assert "--position" in run(*words).message
    done = run(*words, "--confocal-position", 0)
    assert done.code == 0, done.err
    assert done.json["shift_voxels"] == pytest.approx([0, 0, 0], abs=0.05)


def test_the_position_of_a_stack_to_simulate_from(run: Run, positions: Path, tmp_path: Path) -> None:
    words = ("simulate", "-o", tmp_path / "pairs", "--pairs", 1, "--shape", "8,32,32", "--from", positions, "--json")
    assert "--position" in run(*words).message
    assert run(*words, "--position", 0).json["pairs"] == 1


def test_damaged_metadata_merge_no_channels(run: Run, stack: Stack, tiny_model: Path, tmp_path: Path) -> None:
    xml = ome(image((1, 2, 16, 48, 96), name="R&D"))
    path = write_pages(tmp_path / "two.ome.tif", np.concatenate([stack, 3 * stack]), xml)
    words = ("predict", path, "-o", tmp_path / "out.tif", "--model", tiny_model, "--spacing", "0.5,0.2,0.2", "--json")
    message = run(*words).message
    assert "OME-XML cannot be read" in message
    assert "--axes C2,Z16" in message
    assert "2 channels" in run(*words, "--axes", "C2,Z").message
    told = run(*words, "--axes", "C2,Z", "--channel", 1).json
    assert told["shape"] == [16, 48, 96]
    assert told["input_intensities_of_0_and_1"][0] > 250


def test_what_a_file_says_of_its_set_is_told(run: Run, stack: Stack, tiny_model: Path, tmp_path: Path) -> None:
    images = [image((1, 1, 16, 48, 96), [block(z, f"{i}.ome.tif", i, Z=z) for z in range(16)]) for i in range(2)]
    path = write_pages(tmp_path / "1.ome.tif", stack, ome(*images, number=1))
    done = run("predict", path, "-o", tmp_path / "out.tif", "--model", tiny_model, "--json")
    assert "another image in 0.ome.tif" in done.json["warnings"][0]
    assert "note: 1.ome.tif is one file of a set" in done.err


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or os.uname().sysname != "Linux", reason="names of bytes are Linux's")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_names_that_are_no_unicode(
    recording: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")  # as on a terminal; in pipes of some systems errors are lax
    named, output = (recording.with_name(os.fsdecode(name)) for name in (b"caf\xe9.ome.tif", b"\xb5.ome.tif"))
    recording.rename(named)
    done = run_process("predict", named, "-o", output, "--model", tiny_model, *more)
    assert done.code == 0, done.err
    assert open_stack(output).spacing_um == pytest.approx(SPACING_UM)
    assert open_stack(output).channel_names == ("café (confocal-like)",)
    assert (open_stack(output).description or {})["input"] == "café.ome.tif"
    refused = run_process("predict", named.with_name(os.fsdecode(b"no\xe9.tif")), "-o", output)
    assert "there is no file" in refused.message
