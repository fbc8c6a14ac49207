"""ONNX files: the same network in standard layers, and what of a file is taken back. The export itself: tests/jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_deep3d.core.errors import InputError
from napari_deep3d.nn.generator import Generator, norms
from napari_deep3d.nn.model_file import HEADER_KEY, ModelInfo
from napari_deep3d.nn.onnx_file import library, read_onnx, standard_layers

onnx = pytest.importorskip("onnx", reason='needs pip install "napari-deep3d[export]"')
SPACING_UM = (0.5, 0.2, 0.2)
INFO = ModelInfo(name="mine", width=2, spacing_um=SPACING_UM, spacing_min_um=SPACING_UM, spacing_max_um=SPACING_UM)


def onnx_file(path: Path, generator: Generator, header: str | None = None, **changes: Any) -> Path:
    """A file with the weights and the header of a model, and no network; ``changes`` replace weights."""
    weights = {name: value.numpy() for name, value in generator.state_dict().items()} | changes
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items() if value is not None]
    model = onnx.helper.make_model(onnx.helper.make_graph([], "main", [], [], tensors))
    onnx.helper.set_model_props(model, {HEADER_KEY: INFO.model_dump_json(by_alias=True) if header is None else header})
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("kind", [{}, {"dimensions": 2}, {"enlarging": "nearest"}])
def test_standard_layers_compute_what_the_generator_does(kind: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = Generator(2, **kind).eval()
    for layer in norms(network):
        torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
        torch.nn.init.uniform_(layer.bias, -0.5, 0.5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.rand(2, 1, 8, 32, 48)
    with torch.no_grad():
        torch.testing.assert_close(standard_layers(network)(x), network(x), rtol=1e-4, atol=1e-5)
    assert standard_layers(network).state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_model_is_read_back_bit_for_bit(tmp_path: Path, generator: Generator) -> None:
    found, info = read_onnx(onnx_file(tmp_path / "a.onnx", generator))
    assert info == INFO
    assert not found.training
    assert found.state_dict().keys() == generator.state_dict().keys()
    assert all(torch.equal(value, generator.state_dict()[name]) for name, value in found.state_dict().items())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_truncated_file_is_refused(tmp_path: Path, generator: Generator, share: float) -> None:
    path = onnx_file(tmp_path / "a.onnx", generator)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"a\.onnx.*(Get the file again|one that napari-deep3d exported is needed)"):
        read_onnx(path)


@pytest.mark.parametrize("junk", [b"PK\x03\x04junk", b"\x80\x04junk", b"these are no weights", b"\xff" * 100])
def test_what_is_no_onnx_is_refused(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "a.onnx").write_bytes(junk)
    with pytest.raises(InputError, match="truncated or no ONNX file"):
        read_onnx(tmp_path / "a.onnx")


def test_onnx_of_another_program_is_refused(tmp_path: Path) -> None:
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "main", [], [])), tmp_path / "a.onnx")
    with pytest.raises(InputError, match="ONNX file of another program; one that napari-deep3d exported"):
        read_onnx(tmp_path / "a.onnx")


def test_a_package_is_named_instead_of_the_file_within(tmp_path: Path) -> None:
    (tmp_path / "inner.onnx").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"^outer\.zip is truncated"):
        read_onnx(tmp_path / "inner.onnx", Path("outer.zip"))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"head.bias": None}, "do not fit the network"),
        ({"head.bias": np.zeros(2, np.float32)}, "do not fit the network"),
        ({"head.other": np.zeros(1, np.float32)}, "do not fit the network"),
        ({"head.bias": np.array([np.nan], np.float32)}, "not finite"),
    ],
)
def test_wrong_weights_are_refused(tmp_path: Path, generator: Generator, changes: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_onnx(onnx_file(tmp_path / "a.onnx", generator, **changes))


@pytest.mark.parametrize(
    ("header", "what"), [("{", "damaged header"), ('{"format_version": 9}', "version 9"), ("[]", "damaged header")]
)
def test_wrong_header_is_refused(tmp_path: Path, generator: Generator, header: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_onnx(onnx_file(tmp_path / "a.onnx", generator, header))


def test_no_other_file_is_opened(tmp_path: Path, generator: Generator) -> None:
    """A tensor of a stranger's file may name any file of this computer."""
    path = onnx_file(tmp_path / "a.onnx", generator)
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="keeps its weights in another file"):
        read_onnx(path)


def test_numbers_that_are_missing_are_refused(tmp_path: Path, generator: Generator) -> None:
    path = onnx_file(tmp_path / "a.onnx", generator)
    model = onnx.load(path)
    model.graph.initializer[0].raw_data = b"\0"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="damaged weights"):
        read_onnx(path)


def test_missing_library_is_told_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r'package onnx.*pip install "napari-deep3d\[export\]"'):
        library("onnx")
