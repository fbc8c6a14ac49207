"""What a pair must be: each refusal says which stack it is about and what to do."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.registration.common_grid import check_pair
from napari_deep3d.core.types import Spacing
from napari_deep3d.core.volume import Volume

SPACING: Spacing = (0.5, 0.2, 0.2)


def good(dtype: str = "uint16") -> NDArray[np.generic]:
    return np.random.default_rng(0).gamma(4, 15, (8, 40, 40)).clip(0, 250).astype(dtype)


def overexposed(share: float) -> NDArray[np.uint16]:
    """A good stack with a share of its voxels, here and there, at the camera's largest value."""
    data = good().astype(np.uint16)
    data[np.random.default_rng(1).random(data.shape) < share] = 65_535
    return data


def refusal(kind: str, data: NDArray[np.generic], spacing: Spacing | None = SPACING) -> str:
    """The message about a bad stack in one of the two places, the other being good."""
    bad, fine = Volume(data, spacing, name="bad.tif"), Volume(good(), SPACING, name="fine.tif")
    with pytest.raises(InputError) as caught:
        check_pair(*((bad, fine) if kind == "confocal" else (fine, bad)))
    message = str(caught.value)
    assert f"{kind} stack bad.tif" in message
    assert "fine.tif" not in message
    return message


kinds = pytest.mark.parametrize("kind", ["confocal", "wide-field"])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_good_stacks_pass_without_a_word(dtype: str) -> None:
    assert check_pair(Volume(good(dtype), SPACING), Volume(good(), (0.3, 0.1, 0.1))).notices == []


@kinds
def test_missing_voxel_size(kind: str) -> None:
    message = refusal(kind, good(), None)
    assert "no voxel size in micrometres" in message
    assert "Give it as Z,Y,X in um" in message


@kinds
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_voxel_that_is_no_number_is_filled(kind: str, value: float) -> None:
    data = good("float32")
    data[5, 3, 7] = value
    bad, fine = Volume(data, SPACING), Volume(good(), SPACING)
    pair = check_pair(*((bad, fine) if kind == "confocal" else (fine, bad)))
    seen = np.asarray((pair.confocal if kind == "confocal" else pair.widefield).volume.data)
    changed = np.argwhere(seen != data)
    np.testing.assert_array_equal(changed, [(5, 3, 7)])
    assert np.isfinite(seen).all()
    (notice,) = pair.notices
    assert notice.startswith(f"The {kind} stack: ")
    assert notice.endswith("they are left out.")


@kinds
@pytest.mark.parametrize("value", [0, 65_535, np.nan])
def test_borders_are_cut_off_and_gaps_filled(kind: str, value: float) -> None:
    data = good("float32")
    data[:, :5] = data[:, :, -7:] = data[:, 20] = value
    bad, fine = Volume(data, SPACING), Volume(good(), SPACING)
    pair = check_pair(*((bad, fine) if kind == "confocal" else (fine, bad)))
    part = pair.confocal if kind == "confocal" else pair.widefield
    assert part.start == (0, 5, 0)
    assert part.volume.shape == (8, 35, 33)
    kept = np.arange(35) != 15
    np.testing.assert_array_equal(np.asarray(part.volume.data)[:, kept], data[:, 5:, :-7][:, kept])
    assert np.abs(np.asarray(part.volume.data)).max() <= 250
    (notice,) = pair.notices
    assert "are no image" in notice
    whole = check_pair(*((bad, fine) if kind == "confocal" else (fine, bad)), crop=False)
    assert (whole.confocal.volume.shape, whole.confocal.start) == ((8, 40, 40), (0, 0, 0))


@kinds
def test_stack_without_image(kind: str) -> None:
    message = refusal(kind, np.full((8, 40, 40), np.nan, np.float32))
    assert "holds no image, only blank planes (NaN)" in message


@kinds
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_constant_stack(kind: str, dtype: str) -> None:
    message = refusal(kind, np.full((8, 40, 40), 7, dtype))
    assert "constant (every voxel is 7)" in message
    assert "Choose another channel or file" in message


@kinds
def test_mostly_saturated_stack(kind: str) -> None:
    data = overexposed(0.5)
    message = refusal(kind, data)
    assert int(message.split("%")[0]) == pytest.approx(50, abs=3)
    assert "at its largest value, 65535" in message
    assert "at most 20% is allowed" in message
    assert "less light or exposure" in message


@kinds
def test_a_few_saturated_voxels_are_told_and_allowed(kind: str) -> None:
    data = overexposed(0.1)
    some, fine = Volume(data, SPACING), Volume(good(), SPACING)
    (notice,) = check_pair(*((some, fine) if kind == "confocal" else (fine, some))).notices
    assert re.fullmatch(rf"\d+\.\d% of the {kind} stack is saturated; structure is lost there\.", notice)
    assert float(notice.split("%")[0]) == pytest.approx(10, abs=2)


def test_both_stacks_are_told_of() -> None:
    data = overexposed(0.1)
    assert [("confocal" in notice) for notice in check_pair(*[Volume(data, SPACING)] * 2).notices] == [True, False]


def test_bright_spot_is_not_saturation() -> None:
    data = good()
    data[4, 20, 20] = 65_535
    assert check_pair(Volume(data, SPACING), Volume(good(), SPACING)).notices == []


@kinds
def test_saturation_in_a_deep_stack_is_found_in_whatever_plane(kind: str) -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 4000, (100, 16, 16)).astype(np.uint16)
    data[40:80][rng.random((40, 16, 16)) < 0.8] = 65_535
    share = int(refusal(kind, data).split("%")[0])
    assert share == pytest.approx(32, abs=4)


def test_little_light_is_not_constant() -> None:
    data = np.zeros((8, 40, 40), np.uint16)
    data[4, 20:24, 20:24] = 1
    assert check_pair(Volume(data, SPACING), Volume(good(), SPACING)).notices == []


def test_a_large_offset_is_taken_off() -> None:
    small = np.random.default_rng(3).integers(0, 1000, (16, 64, 64))
    volume = Volume((small + 4_000_000_000).astype(np.uint32), (0.5, 0.2, 0.2))
    for checked in check_pair(volume, volume)[:2]:
        np.testing.assert_array_equal(np.diff(np.asarray(checked.volume.data)), np.diff(small))
