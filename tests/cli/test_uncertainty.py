"""The predict command with --uncertainty: a second file beside the first, whole or not at all."""

from __future__ import annotations

import html
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deep3d.io import open_stack, write_stack
from napari_deep3d.nn.inference import SeamMeter
from tests.helpers.cli import ORIGIN_UM, SPACING_UM, Run, names, voxels


@pytest.mark.parametrize(
    ("name", "beside"), [("out.ome.tif", "out-uncertainty.ome.tif"), ("out.zarr", "out-uncertainty.zarr")]
)
def test_a_second_file_beside_the_first(
    run: Run, recording: Path, tiny_model: Path, tmp_path: Path, name: str, beside: str
) -> None:
    before = names(tmp_path)
    done = run("predict", recording, "-o", tmp_path / name, "--model", tiny_model, "--uncertainty", "--json")
    assert done.code == 0, done.err
    told = done.json
    assert told["output"] == str(tmp_path / name)
    assert told["uncertainty"] == str(tmp_path / beside)
    assert told["uncertainty_is_calibrated"] is False
    assert told["quality"] == "best"
    assert any("not calibrated" in warning for warning in told["warnings"])
    assert names(tmp_path) == before | {name, beside}
    opened = open_stack(tmp_path / beside)
    assert opened.spacing_um == pytest.approx(SPACING_UM)
    assert opened.origin_um == pytest.approx(ORIGIN_UM)
    data = voxels(tmp_path / beside)
    assert (data.shape, data.dtype) == ((16, 48, 96), np.float32)
    assert told["mean_uncertainty"] == pytest.approx(data.mean(), abs=1e-4)


def test_without_the_option_there_is_one_file(run: Run, recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    before = names(tmp_path)
    done = run("predict", recording, "-o", tmp_path / "out.tif", "--model", tiny_model, "--json")
    assert "uncertainty" not in done.json
    assert names(tmp_path) == before | {"out.tif"}


def test_best_quality_needs_no_second_file(run: Run, recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    before = names(tmp_path)
    words = ("predict", recording, "--model", tiny_model, "--json")
    told = [
        run(*words, "-o", tmp_path / f"{quality}.ome.tif", "--quality", quality).json for quality in ("fast", "best")
    ]
    assert [each["quality"] for each in told] == ["fast", "best"]
    assert names(tmp_path) == before | {"fast.ome.tif", "best.ome.tif"}
    assert np.abs(voxels(tmp_path / "best.ome.tif") - voxels(tmp_path / "fast.ome.tif")).max() > 0.01
    with tifffile.TiffFile(tmp_path / "best.ome.tif") as file:
        assert '"quality": "best"' in html.unescape(file.ome_metadata or "")


def test_overwrite_replaces_both(run: Run, recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    for name in ("out.tif", "out-uncertainty.tif"):
        write_stack(tmp_path / name, np.full((5, 20, 20), 7.0), SPACING_UM)
    words = ("predict", recording, "-o", tmp_path / "out.tif", "--model", tiny_model, "--uncertainty", "--overwrite")
    assert run(*words).code == 0
    for name in ("out.tif", "out-uncertainty.tif"):
        assert voxels(tmp_path / name).shape == (16, 48, 96)


def test_interrupted_both_parts_are_kept(
    run: Run, recording: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, signals = SeamMeter.add, [int(signal.SIGINT)]

    def pressed(*arguments: object) -> None:
        add(*arguments)  # type: ignore[arg-type]
        while signals:
            signal.raise_signal(signals.pop())

    monkeypatch.setattr(SeamMeter, "add", pressed)
    before = names(tmp_path)
    words = ("predict", recording, "-o", tmp_path / "out.tif", "--model", tiny_model, "--tile", "16,32,32")
    done = run(*words, "--uncertainty", "--json")
    assert done.code == 130
    kept = "out-incomplete.tif", "out-uncertainty-incomplete.tif"
    assert [done.json["output"], done.json["uncertainty"]] == [str(tmp_path / name) for name in kept]
    assert names(tmp_path) == before | {*kept, ".out.tif.unfinished"}
    for name in kept:
        assert np.any(voxels(tmp_path / name)[:, :20, :28])
        assert not np.any(voxels(tmp_path / name)[:, 36:, 44:])
