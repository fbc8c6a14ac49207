from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deep3d.core.errors import InputError
from napari_deep3d.io import open_stack

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def real(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"real data not there: {path}")
    return path


def test_the_real_pair() -> None:
    path = real("neubias/nucleus_confocal_widefield.tif")
    opened = open_stack(path)
    assert opened.data.shape == (1, 2, 45, 130, 133)
    with pytest.raises(InputError, match="2 channels"):
        opened.volume()
    with tifffile.TiffFile(path) as tif:
        stored = tif.asarray()
    for channel in (0, 1):
        volume = opened.volume(channel)
        # What the file's own tags state; the acquisition's record inside it speaks of pixels half as large.
        assert volume.spacing_um == pytest.approx((0.4994, 0.5119, 0.5119), abs=1e-4)
        np.testing.assert_array_equal(volume.data[20:22, 30:40], stored[20:22, channel, 30:40])


def test_nuclei_with_a_voxel_size() -> None:
    volume = open_stack(real("cells3d/nuclei.tif")).volume()
    assert (volume.shape, volume.spacing_um) == ((60, 256, 256), (0.29, 0.26, 0.26))
    assert volume.data[30].std() > 0


def test_a_stack_without_a_voxel_size() -> None:
    volume = open_stack(real("neuron_fly_confocal.tif")).volume()
    assert (volume.shape, volume.spacing_um) == ((119, 415, 409), None)
    with pytest.raises(InputError, match="no voxel size"):
        _ = volume.require_spacing_um()


def test_escaped_micro_sign() -> None:
    opened = open_stack(real("psf/confocal_beads_z0.125um_xy0.0225um.tif"))
    assert opened.spacing_um == pytest.approx((0.125, 0.0225, 0.0225), rel=1e-3)
    assert opened.channel_names == ("ChS1",)


def test_a_plain_tiff_with_nonsense_for_a_size() -> None:
    assert open_stack(real("psf/widefield_na0.85_520nm_z0.3um_xy0.13um.tif")).spacing_um is None
