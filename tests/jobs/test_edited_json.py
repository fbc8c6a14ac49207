"""Small files that people edit, or that were damaged: read, or refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from safetensors.numpy import save_file

from napari_deep3d.core import InputError, TrainConfig, Volume, parse_assignments, read_toml
from napari_deep3d.jobs.register import load_transform
from napari_deep3d.jobs.train.run_folder import list_unfinished, read_metrics, read_run, write_run
from napari_deep3d.nn.model_file import read_info

quick = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=8), inside, max_size=4),
    max_leaves=8,
)
WHOLE = {
    "format": "napari-deep3d transform",
    "version": 1,
    "matrix_um": np.eye(4).tolist(),
    "confidence": 0.9,
    "method": "psf",
    "refusal": "",
    "notices": [],
    "seconds": 1.0,
}
STACK = Volume(np.zeros((4, 16, 16), np.uint8), (0.5, 0.2, 0.2))


@quick
@given(name=st.sampled_from(sorted(WHOLE)), value=VALUES)
def test_a_registration_with_one_value_changed(tmp_path: Path, name: str, value: object) -> None:
    path, refusal = tmp_path / "a.json", ""
    path.write_text(json.dumps(WHOLE | {name: value}), encoding="utf-8")
    try:
        found = load_transform(path, STACK, STACK)
        assert np.isfinite(found.shift_um).all()
        assert 0 <= found.confidence <= 1
    except InputError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert len(refusal) < 1000


@quick
@given(data=st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_files_that_are_no_registration(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.json").write_bytes(data)
    refusal = ""
    try:
        load_transform(tmp_path / "a.json", STACK, STACK)
    except InputError as error:
        refusal = str(error)
    assert refusal
    assert "\n" not in refusal


@quick
@given(
    name=st.sampled_from(["config.toml", "run.toml", "metrics.csv"]),
    place=st.floats(0, 1),
    data=st.binary(max_size=12) | st.sampled_from([b"[", b'"', b"\n", b"= 1e400", b"=[[[", b"9" * 400]),
)
def test_a_run_folder_with_bytes_put_in(tmp_path: Path, name: str, place: float, data: bytes) -> None:
    """The window lists what can be gone on with; a damaged run must not keep it from opening."""
    run, refusal = tmp_path / "run", ""
    run.mkdir(exist_ok=True)
    write_run(run, TrainConfig(), "cells", tmp_path / "pairs", "")
    (run / "metrics.csv").write_text("step,loss\n1,0.5\n2,0.4\n", encoding="utf-8")
    text = (run / name).read_bytes()
    at = int(place * len(text))
    (run / name).write_bytes(text[:at] + data + text[at:])
    (run / "checkpoints" / "step_0000002.safetensors").touch()
    assert len(list_unfinished(tmp_path)) <= 1
    assert all(row.step <= 2 for row in read_metrics(run, 2))
    try:
        read_run(run)
    except InputError as error:
        refusal = str(error)
    assert len(refusal) < 1500


@quick
@given(data=st.binary(max_size=80))
def test_settings_that_are_no_toml(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.toml").write_bytes(data)
    refusal = ""
    try:
        assert isinstance(read_toml(tmp_path / "a.toml"), dict)
    except InputError as error:
        refusal = str(error)
    assert len(refusal) < 1000


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_brackets_without_end(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match="no registration"):
        load_transform(path, STACK, STACK)
    (tmp_path / "a.toml").write_text(f"x = {text}")
    with pytest.raises(InputError, match="not a TOML file"):
        read_toml(tmp_path / "a.toml")
    save_file({"weight": np.ones(3)}, tmp_path / "a.safetensors", metadata={"napari-deep3d": text})
    with pytest.raises(InputError, match="damaged header"):
        read_info(tmp_path / "a.safetensors")
    assert parse_assignments([f"x={text}"]) == {"x": text}  # a bare word
