"""The script for HZDR's real pairs, on stand-ins in both layouts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.study.hzdr import PATCH, REPEATED, measured, pairs_of, patches, scores
from napari_deep3d.core import FloatArray, InputError, Volume


def as_it_is(volume: Volume) -> FloatArray:
    """A prediction that changes nothing."""
    return np.asarray(volume.data[:, :, :], dtype=np.float32)


def test_files_are_paired_by_what_is_alike_in_their_names(tmp_path: Path) -> None:
    for name in (
        "Wide-field/a.tif",
        "confocal/a.tif",
        "b_widefield.tif",
        "b_confocal.tif",
        "widefield/alone.tif",
        "confocal/a.txt",
        "wf/20x/c_01.tif",
        "conf/20x/c_01.tif",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    found = {widefield.name: confocal.name for widefield, confocal in pairs_of(tmp_path)}
    assert found == {"a.tif": "a.tif", "b_widefield.tif": "b_confocal.tif", "c_01.tif": "c_01.tif"}


def test_scores_are_of_patches_brought_to_one_range() -> None:
    truth = np.zeros((64, 64), np.float32)
    truth[:32] = 1
    image = truth.copy()
    image[40:48] = 0.5  # an eighth of the patch is off by a half
    psnr, ssim_of_two, ssim_of_one = scores(200 + 50 * image, truth)
    assert psnr == pytest.approx(-10 * np.log10(0.25 / 8), abs=1e-4)
    assert ssim_of_one < ssim_of_two < 1
    assert scores(3 * truth - 7, truth)[1:] == pytest.approx((1, 1))


def test_patches_are_whole() -> None:
    assert [patch.shape for patch in patches(np.zeros((2 * PATCH + 5, PATCH), np.float32))] == [(PATCH, PATCH)] * 2
    assert [patch.shape for patch in patches(np.zeros((40, 50), np.float32))] == [(40, 50)]


def test_stacks_are_registered_before_they_are_scored(
    pair_files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    confocal, widefield = pair_files
    record = tmp_path / "record"
    for kind, path in (("confocal", confocal), ("widefield", widefield)):
        (record / kind).mkdir(parents=True)
        shutil.copy(path, record / kind / "field.ome.tif")
    (record / "confocal" / "damaged.ome.tif").write_bytes(b"no image")
    shutil.copy(widefield, record / "widefield" / "damaged.ome.tif")
    before, after = measured(record, None, as_it_is)
    assert "damaged.ome.tif is left out" in capsys.readouterr().out
    assert (before["image"], after["image"]) == ("wide-field", "prediction")
    assert after["psnr"] == pytest.approx(before["psnr"])
    shifted = measured(_unregistered(confocal, widefield, tmp_path), (1.0, 1.0, 1.0), as_it_is)[1]
    assert after["psnr"] > shifted["psnr"] + 1


def test_planes_are_predicted_each_by_itself(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    seen, truth = rng.random((3, 32, 32, 1)), rng.random((3, 32, 32, 1))
    np.savez(tmp_path / "w_c.npz", w=seen, o=truth)
    shapes = []

    def right(volume: Volume) -> FloatArray:
        shapes.append(volume.shape)
        return np.repeat(truth[len(shapes) - 1, None, :, :, 0], REPEATED, axis=0).astype(np.float32)

    before, after = measured(tmp_path, (1.0, 0.3, 0.3), right)
    assert shapes == [(REPEATED, 32, 32)] * 3
    assert before["patches"] == after["patches"] == 3
    assert after["ssim"] == pytest.approx(1)
    assert before["ssim"] < 0.5


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pair: 0 files are called wide-field"):
        measured(tmp_path, None, as_it_is)
    np.savez(tmp_path / "x.npz", w=np.zeros((2, 32, 32)), gt=np.zeros((2, 32, 32)))
    with pytest.raises(InputError, match="--spacing"):
        measured(tmp_path, None, as_it_is)
    with pytest.raises(InputError, match="has the arrays w, gt"):
        measured(tmp_path, (1.0, 0.3, 0.3), as_it_is)


def _unregistered(confocal: Path, widefield: Path, tmp_path: Path) -> Path:
    """The planes of a pair as they lie, as patches."""
    from napari_deep3d.io import open_stack

    folder = tmp_path / "planes"
    folder.mkdir()
    stacks = (np.asarray(open_stack(path).volume().data[:, :, :]) for path in (widefield, confocal))
    np.savez(folder / "planes.npz", **dict(zip(("w_img", "o"), stacks, strict=True)))
    return folder
