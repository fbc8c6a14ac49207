"""The model file: what goes in comes out, and nothing that is not a model gets in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors import safe_open
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.evaluation.uncertainty import Calibration
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.model_file import FORMAT_VERSION, HEADER_KEY, ModelInfo, load_model, read_info, save_model
from tests.helpers.novelty import known


@pytest.fixture
def info() -> ModelInfo:
    return ModelInfo(
        name="mine",
        title="My model",
        description="nuclei, 40x µm",
        width=2,
        percentiles=(1.0, 99.0),
        spacing_um=(0.5, 0.2, 0.2),
        spacing_min_um=(0.3, 0.1, 0.1),
        spacing_max_um=(0.6, 0.25, 0.25),
        halo=(8, 48, 48),
        training={"pairs": 3, "config": {"iterations": 10}},
        scores={"validation_rmse": 0.05},
        uncertainty=Calibration(floor=0.004, per_spread=2.1, per_intensity=0.2, pairs=10),
    )


@pytest.fixture
def path(tmp_path: Path, generator: Generator, info: ModelInfo) -> Path:
    return save_model(tmp_path / "mine.safetensors", generator, info)


def test_model_survives_its_file(path: Path, generator: Generator, info: ModelInfo) -> None:
    loaded, header = load_model(path)
    assert header == read_info(path) == info
    assert not loaded.training
    expected = generator.state_dict()
    assert set(loaded.state_dict()) == set(expected)
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, expected[name].half().float(), rtol=0, atol=0)


def test_what_the_model_knows_survives_its_file(tmp_path: Path, generator: Generator, info: ModelInfo) -> None:
    path = save_model(tmp_path / "knows.safetensors", generator, info.model_copy(update={"novelty": known()}))
    assert read_info(path).novelty == known()
    assert info.novelty is None


def test_a_header_with_damaged_knowledge_is_refused(tmp_path: Path, generator: Generator, info: ModelInfo) -> None:
    damaged = known().model_copy(update={"quantiles": known().quantiles[1:]})
    path = save_model(tmp_path / "knows.safetensors", generator, info.model_copy(update={"novelty": damaged}))
    with pytest.raises(InputError, match="damaged header"):
        read_info(path)


def test_weights_are_stored_in_float16(path: Path, generator: Generator) -> None:
    assert {value.dtype for value in load_file(path).values()} == {torch.float16}
    assert path.stat().st_size < 2.1 * sum(p.numel() for p in generator.parameters()) + 30_000


def test_header_says_which_format_it_is(path: Path) -> None:
    with safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()[HEADER_KEY])["format_version"] == FORMAT_VERSION


def test_saving_again_replaces(path: Path, generator: Generator, info: ModelInfo) -> None:
    save_model(path, generator, info.model_copy(update={"title": "newer"}))
    assert read_info(path).title == "newer"
    assert list(path.parent.iterdir()) == [path]


def test_failed_save_leaves_nothing_new_and_the_old_one_whole(
    path: Path, generator: Generator, info: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def breaks(tensors: object, part: Path, metadata: object) -> None:
        Path(part).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", breaks)
    for target in (path, path.with_name("new.safetensors")):
        with pytest.raises(InputError, match=rf"cannot write {target}: No space left on device"):
            save_model(target, generator, info)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before


class Opened:
    """A pickle that tells when it is opened."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the pickle was run",))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_pickle_is_refused_and_never_run(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "model.pt"
    torch.save({"weights": Opened()}, path, _use_new_zipfile_serialization=zipped)
    for read in (read_info, load_model):
        with pytest.raises(InputError, match=r"model\.pt is a pickle .* is never loaded\. A \.safetensors file"):
            read(path)


def test_pickle_under_a_false_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.save({"weights": Opened()}, path)
    with pytest.raises(InputError, match="is a pickle"):
        load_model(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated_file_is_refused(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    for read in (read_info, load_model):
        with pytest.raises(InputError, match=r"truncated or not a safetensors file .*Get the model file again"):
            read(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    for missing in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(InputError, match=r"there is no model file .*models list"):
            read_info(missing)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_of_another_program_is_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "other.safetensors"
    save_arrays({"w": np.zeros(3, np.float32)}, path, metadata=metadata)
    for read in (read_info, load_model):
        with pytest.raises(InputError, match="safetensors file of another program"):
            read(path)


def rewrite(path: Path, header: str | None = None, **changes: Any) -> Path:
    """The model with another header or other weights."""
    with safe_open(path, framework="numpy") as file:
        header = file.metadata()[HEADER_KEY] if header is None else header
    save_file({**load_file(path), **changes}, path, metadata={HEADER_KEY: header})
    return path


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, None, "1"])
def test_other_format_version_is_refused(path: Path, info: ModelInfo, version: object) -> None:
    header = json.dumps(info.model_dump(mode="json") | {"format_version": version})
    with pytest.raises(InputError, match=rf"model format version {version}; this program reads versions 1, 2, 3"):
        read_info(rewrite(path, header))


def test_model_of_the_first_format_is_read_as_the_network_that_it_knew(
    path: Path, info: ModelInfo, generator: Generator
) -> None:
    header = info.model_dump(mode="json") | {"format_version": 1}
    for later in ("dimensions", "network_input", "z_step", "enlarging"):
        del header[later]
    loaded, old = load_model(rewrite(path, json.dumps(header)))
    assert (old.format_version, old.dimensions, old.network_input, old.z_step) == (1, 3, "stack", 1)
    _agrees_with_nearest(loaded, generator)


def test_model_of_the_second_format_enlarges_by_nearest_neighbours(
    path: Path, info: ModelInfo, generator: Generator
) -> None:
    header = info.model_dump(mode="json") | {"format_version": 2}
    del header["enlarging"]
    loaded, old = load_model(rewrite(path, json.dumps(header)))
    assert old.enlarging == "nearest"
    _agrees_with_nearest(loaded, generator)


def _agrees_with_nearest(loaded: Generator, generator: Generator) -> None:
    """Whether a network is the generator with its pooling grid showing, and not the one that interpolates."""
    as_it_was = Generator(2, enlarging="nearest")
    as_it_was.load_state_dict(generator.state_dict())
    x = torch.rand(1, 1, 8, 32, 32)
    with torch.no_grad():
        old, new = as_it_was.eval()(x), generator.eval()(x)
        assert float((old - new).abs().max()) > 0.1 * float(new.std())
        torch.testing.assert_close(loaded(x), old, rtol=0.01, atol=0.01)


@pytest.mark.parametrize(("dimensions", "seen", "channels"), [(2, "stack", 1), (2, "plane", 2)])
def test_kind_of_network_survives_its_file(
    tmp_path: Path, info: ModelInfo, dimensions: int, seen: str, channels: int
) -> None:
    network = Generator(2, dimensions, channels)
    kind = {"dimensions": dimensions, "network_input": seen, "z_step": 2}
    path = save_model(tmp_path / "kind.safetensors", network, info.model_copy(update=kind))
    loaded, header = load_model(path)
    assert (loaded.dimensions, loaded.channels_in, header.z_step) == (dimensions, channels, 2)
    wrong = info.model_copy(update={"dimensions": 3}).model_dump_json()
    with pytest.raises(InputError, match="do not fit the network its header describes"):
        load_model(rewrite(path, wrong))


@pytest.mark.parametrize("change", [{"dimensions": 4}, {"network_input": "pixel"}, {"z_step": 3}])
def test_kind_of_network_that_there_is_none_of_is_refused(path: Path, info: ModelInfo, change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="has a damaged header"):
        read_info(rewrite(path, json.dumps(info.model_dump(mode="json") | change)))


@pytest.mark.parametrize("header", ["{", "[1]", "5", '{"format_version": 1}', '{"format_version": 1, "width": "x"}'])
def test_damaged_header_is_refused(path: Path, header: str) -> None:
    with pytest.raises(InputError, match=r"has a damaged header\. Get the model file again"):
        read_info(rewrite(path, header))


def test_width_that_does_not_fit_the_weights_is_refused(path: Path, info: ModelInfo) -> None:
    header = info.model_copy(update={"width": 3}).model_dump_json()
    with pytest.raises(InputError, match=r"do not fit the network its header describes"):
        load_model(rewrite(path, header))


def test_weight_of_another_shape_is_refused(path: Path) -> None:
    with pytest.raises(InputError, match="do not fit the network"):
        load_model(rewrite(path, **{"head.bias": torch.zeros(2)}))


def test_unknown_weight_is_refused(path: Path) -> None:
    with pytest.raises(InputError, match="do not fit the network"):
        load_model(rewrite(path, stranger=torch.zeros(2)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(path: Path, value: float) -> None:
    with pytest.raises(InputError, match="not finite numbers"):
        load_model(rewrite(path, **{"head.bias": torch.tensor([value])}))


def test_reading_the_header_does_not_import_torch(path: Path) -> None:
    code = (
        "import sys; from napari_deep3d.nn.model_file import read_info; "
        f"assert read_info({str(path)!r}).name == 'mine'; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
