"""What a pair must be: each refusal says which stack it is about and what to do."""

from __future__ import annotations

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
    assert check_pair(Volume(good(dtype), SPACING), Volume(good(), (0.3, 0.1, 0.1))) == []


@kinds
def test_missing_voxel_size(kind: str) -> None:
    message = refusal(kind, good(), None)
    assert "no voxel size in micrometres" in message
    assert "Give it as Z,Y,X in um" in message


@kinds
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers(kind: str, value: float) -> None:
    data = good("float32")
    data[5, 3, 7] = value
    message = refusal(kind, data)
    assert "NaN or infinite" in message
    assert "export the stack again" in message


@kinds
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_constant_stack(kind: str, dtype: str) -> None:
    message = refusal(kind, np.full((8, 40, 40), 7, dtype))
    assert "constant (every voxel is 7)" in message
    assert "Choose another channel or file" in message


@kinds
def test_mostly_saturated_stack(kind: str) -> None:
    data = good()
    data[:, :, :20] = 65_535
    message = refusal(kind, data)
    assert message.startswith("50% of the")
    assert "at its largest value, 65535" in message
    assert "at most 20% is allowed" in message
    assert "less light or exposure" in message


@kinds
def test_a_few_saturated_voxels_are_told_and_allowed(kind: str) -> None:
    data = good()
    data[:, :, :4] = 65_535
    some, fine = Volume(data, SPACING), Volume(good(), SPACING)
    (notice,) = check_pair(*((some, fine) if kind == "confocal" else (fine, some)))
    assert notice == f"10.0% of the {kind} stack is saturated; structure is lost there."


def test_both_stacks_are_told_of() -> None:
    data = good()
    data[:, :, :4] = 65_535
    assert [("confocal" in notice) for notice in check_pair(*[Volume(data, SPACING)] * 2)] == [True, False]


def test_bright_spot_is_not_saturation() -> None:
    data = good()
    data[4, 20, 20] = 65_535
    assert check_pair(Volume(data, SPACING), Volume(good(), SPACING)) == []


@kinds
def test_saturation_in_a_deep_stack_is_found_in_whatever_plane(kind: str) -> None:
    data = np.random.default_rng(0).integers(0, 4000, (100, 16, 16)).astype(np.uint16)
    data[40:80] = 65_535
    share = int(refusal(kind, data).split("%")[0])
    assert share == pytest.approx(40, abs=4)


def test_little_light_is_not_constant() -> None:
    data = np.zeros((8, 40, 40), np.uint16)
    data[4, 20:24, 20:24] = 1
    assert check_pair(Volume(data, SPACING), Volume(good(), SPACING)) == []
