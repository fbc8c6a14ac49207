"""Making samples of volumes that are no images of fluorescence."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common.volumes import VOLUMES, membranes, read_end, read_nifti, some_filled, surfaces, window
from benchmarks.data.fetch_images import COMMITS, PACKAGES, check


def test_a_window_goes_from_black_to_white_either_way() -> None:
    values = np.arange(5).reshape(1, 1, 5)
    np.testing.assert_allclose(window(values, black=1, white=3).ravel(), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(window(values, black=3, white=1).ravel(), [1, 1, 0.5, 0, 0])


def test_surfaces_and_membranes_are_where_values_change() -> None:
    halves = np.ones((8, 8, 40), np.uint8)
    halves[:, :, 20:] = 2
    for found in (surfaces(halves, 0.8), membranes(halves)):
        assert set(np.argsort(found[4, 4])[-2:]) == {19, 20}
        assert found[:, :, [0, 10, 30, 39]].max() == 0


def test_of_the_labels_a_share_is_filled_but_neither_none_nor_the_largest() -> None:
    labels = np.zeros((20, 40, 100), np.int64)
    labels[:, :20, :] = 1000
    labels[:, 20:, :90] = np.repeat(np.arange(1, 10), 10)
    all_filled, some = some_filled(labels, 1.0), some_filled(labels, 0.5)
    assert all_filled[10, 30, 5:90:10].min() >= 0.3
    assert all_filled[10, 10].max() == all_filled[10, 30, 95] == 0
    assert 0 < np.count_nonzero(some[10, 30, 5:90:10]) < 9
    np.testing.assert_array_equal(some, some_filled(labels, 0.5))


def test_nifti_and_raw_voxels_are_read_in_order(tmp_path: Path) -> None:
    voxels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    header = bytearray(352)
    header[40:48] = np.array([3, 4, 3, 2], "<i2").tobytes()
    header[70:72] = np.array([2], "<i2").tobytes()
    header[108:112] = np.array([352], "<f4").tobytes()
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(bytes(header) + voxels.tobytes()))
    np.testing.assert_array_equal(read_nifti(path), voxels)
    (tmp_path / "a.raw").write_bytes(b"header" + voxels.astype(">u2").tobytes())
    np.testing.assert_array_equal(read_end(tmp_path / "a.raw", (2, 3, 4), ">u2"), voxels)


def test_each_volume_has_its_own_name_and_a_source_with_a_checksum() -> None:
    files = {name for members in PACKAGES.values() for name in members}
    files |= {f"github/{commit.split('@')[0]}/{name}" for commit, members in COMMITS.items() for name in members}
    assert {volume.file for volume in VOLUMES} <= files
    assert len({volume.name for volume in VOLUMES}) == len(VOLUMES)


def test_no_file_serves_two_uses() -> None:
    uses = {(volume.file, volume.use) for volume in VOLUMES}
    assert len({file for file, _ in uses}) == len(uses)


def test_another_file_than_the_one_meant_is_refused() -> None:
    with pytest.raises(SystemExit, match="not the file meant"):
        check(b"something", "name", "0" * 64)
