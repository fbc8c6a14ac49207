"""Files with any few bytes changed are read, or refused in a sentence."""

from __future__ import annotations

import struct
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings

from napari_deep3d.core.errors import InputError
from napari_deep3d.io import open_stack
from napari_deep3d.nn.model_file import read_info
from tests.helpers.damaged import TIFFS

quick = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 2, 127, 128, 255])), min_size=1, max_size=8)
STACK = np.random.default_rng(0).integers(0, 999, (5, 16, 16)).astype(np.uint16)


def edited(data: bytes, edits: list[tuple[float, int]], span: int) -> bytes:
    """The bytes with some of the first ``span`` replaced."""
    changed = bytearray(data)
    for share, value in edits:
        changed[int(share * (min(span, len(data)) - 1))] = value
    return bytes(changed)


@pytest.mark.parametrize("kind", TIFFS)
@quick
@given(edits=EDITS)
def test_tiff(tmp_path: Path, kind: str, edits: list[tuple[float, int]]) -> None:
    whole, path = tmp_path / "whole.tif", tmp_path / "a.tif"
    tifffile.imwrite(whole, STACK, **TIFFS[kind])
    path.write_bytes(edited(whole.read_bytes(), edits, 500))
    refusal = ""
    try:
        data = open_stack(path).data
        assert len(data.shape) == 5
        assert data[:1, :1, :1, :16, :16].dtype == data.dtype
    except InputError as error:
        refusal = str(error)
    assert not refusal or str(path) in refusal or "a " in refusal
    assert "\n" not in refusal


@quick
@given(edits=EDITS, length=st.none() | st.sampled_from([0, 1, 2**31, 2**60, 2**64 - 1]) | st.integers(0, 3000))
def test_model(tiny_model: Path, tmp_path: Path, edits: list[tuple[float, int]], length: int | None) -> None:
    path = tmp_path / "a.safetensors"
    data = edited(tiny_model.read_bytes(), edits, 2000)
    path.write_bytes(data if length is None else struct.pack("<Q", length) + data[8:])
    refusal = ""
    try:
        assert read_info(path).width >= 1
    except InputError as error:
        refusal = str(error)
    assert not refusal or str(path) in refusal
    assert len(refusal) < 1000
