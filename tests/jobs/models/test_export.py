"""Exported models: the network in onnxruntime, what it predicts of a real stack, the way back, and every refusal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common.nucleus_pair import CONFOCAL, INNER, WIDEFIELD, aligned
from benchmarks.common.real_files import NUCLEUS
from benchmarks.common.scores import scaled
from benchmarks.prediction.exported import as_the_card_says
from napari_deep3d import export_model, predict
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.evaluation.metrics import score
from napari_deep3d.core.events import StoppedError
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.models import export as job
from napari_deep3d.jobs.models.export import ExportedModel
from napari_deep3d.jobs.models.store import find_model, import_model, model_info
from napari_deep3d.nn.model_file import load_model

Make = Callable[..., Path]
NEEDED = 'needs pip install "napari-deep3d[export]"'


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportedModel:
    """The bundled model as ONNX; torch's exporter takes some seconds."""
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name, reason=NEEDED)
    return export_model("generalist", tmp_path_factory.mktemp("exported") / "model.onnx")


@pytest.mark.slow
def test_onnxruntime_computes_what_torch_does(exported: ExportedModel) -> None:
    assert exported.file_format == "onnx"
    assert exported.largest_difference is not None
    assert exported.largest_difference < 1e-4
    assert [path.name for path in exported.output.parent.iterdir()] == ["model.onnx"]


@pytest.mark.slow
def test_sizes_are_free_in_multiples(exported: ExportedModel) -> None:
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(exported.output)
    generator, _ = load_model(find_model("generalist"))
    rng = np.random.default_rng(0)
    for shape in ((1, 1, 4, 16, 16), (2, 1, 8, 48, 32)):
        stack = rng.random(shape, dtype=np.float32)
        (found,) = session.run(["confocal"], {"widefield": stack})
        with torch.no_grad():
            np.testing.assert_allclose(found, generator(torch.from_numpy(stack)).numpy(), atol=1e-4)
    with pytest.raises(Exception, match=r"16|shape|dimension|Concat|size"):
        session.run(None, {"widefield": np.zeros((1, 1, 8, 30, 32), np.float32)})


@pytest.mark.slow
def test_file_says_how_to_use_it_and_not_where_it_was_made(exported: ExportedModel) -> None:
    import onnx

    model = onnx.load(exported.output)
    z, y, x = model_info("generalist").halo
    for words in ("percentiles 0.1 and 99.9", "multiples of 4, 16, 16", f"{z} x {y} x {x} voxels"):
        assert words in model.doc_string
    written = exported.output.read_bytes()
    for folder in (Path.home(), Path(job.__file__).parent, Path(sys.prefix)):
        assert str(folder).encode() not in written


@pytest.mark.slow
def test_way_back_is_the_same_model(exported: ExportedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_DEEP3D_MODELS", str(tmp_path))
    entry = import_model(exported.output)
    assert (entry.name, entry.path) == ("generalist", tmp_path / "generalist.safetensors")
    (before, said), (after, says) = load_model(find_model("generalist")), load_model(entry.path)
    assert says == said
    weights = before.state_dict()
    assert all(bool((value == weights[name]).all()) for name, value in after.state_dict().items())
    with pytest.raises(InputError, match="exists already"):
        import_model(exported.output)


@pytest.mark.slow
@pytest.mark.skipif(not NUCLEUS.exists(), reason="needs ../shared/data")
def test_real_nucleus_has_the_same_score_in_onnxruntime(exported: ExportedModel) -> None:
    file = open_stack(NUCLEUS)
    confocal, widefield = (
        np.asarray(file.volume(channel).data[:, :, :], dtype=np.float32) for channel in (CONFOCAL, WIDEFIELD)
    )
    spacing = file.volume(WIDEFIELD).require_spacing_um()
    own = predict(widefield, spacing_um=spacing, device="cpu", precision="float32").data
    truth = scaled(confocal[INNER])
    first, second = (
        score(scaled(aligned(stack)), truth) for stack in (own, as_the_card_says(exported.output, widefield))
    )
    assert second.rmse_fit == pytest.approx(first.rmse_fit, abs=2e-4)
    assert second.ssim_fit == pytest.approx(first.ssim_fit, abs=1e-3)


def test_copy_is_made_without_any_library(make_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    model = make_model()
    done = export_model(str(model), tmp_path / "copy.safetensors")
    assert done == ExportedModel(tmp_path / "copy.safetensors", "safetensors")
    assert done.output.read_bytes() == model.read_bytes()


@pytest.mark.parametrize(
    ("output", "chosen", "what"),
    [
        ("a.pt", None, r"a\.pt does not end in \.safetensors \(safetensors\), \.onnx \(onnx\), \.zip \(bioimageio\)"),
        ("a.zip", "onnx", r"a\.zip does not end in \.onnx \(onnx\); exported models do"),
        ("a.onnx", "keras", r"there is no format 'keras'; safetensors, onnx, bioimageio are allowed"),
        ("none/a.onnx", None, "there is no folder"),
        ("there.onnx", None, r"there\.onnx exists already.*--overwrite"),
        ("folder.onnx", None, "is a folder"),
    ],
)
def test_file_that_cannot_be_written_is_refused_first(
    make_model: Make, tmp_path: Path, output: str, chosen: str, what: str
) -> None:
    (tmp_path / "there.onnx").write_text("mine")
    (tmp_path / "folder.onnx").mkdir()
    model = make_model()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=what):
        export_model(str(model), tmp_path / output, file_format=chosen)  # type: ignore[arg-type]
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.onnx").read_text() == "mine"


def test_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no model 'x'"):
        export_model("x", tmp_path / "a.onnx")


@pytest.mark.parametrize("name", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_extra_is_told(make_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for other in {"onnx", "onnxscript", "onnxruntime"} - {name}:
        pytest.importorskip(other, reason=NEEDED)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf'package {name},.*pip install "napari-deep3d\[export\]"'):
        export_model(str(make_model()), tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


@pytest.fixture
def no_libraries_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_check_libraries", lambda _chosen: None)


@pytest.mark.usefixtures("no_libraries_needed")
def test_model_that_sees_a_plane_is_not_for_other_programs(make_model: Make, tmp_path: Path) -> None:
    import torch

    from napari_deep3d.nn.generator import Generator
    from napari_deep3d.nn.model_file import read_info, save_model

    torch.manual_seed(0)
    info = read_info(make_model()).model_copy(update={"network_input": "plane", "dimensions": 2})
    model = save_model(tmp_path / "plane.safetensors", Generator(2, 2, 2), info)
    with pytest.raises(InputError, match=r"sees a plane and the distance from it.*--format safetensors"):
        export_model(str(model), tmp_path / "a.onnx")


@pytest.mark.usefixtures("no_libraries_needed")
def test_package_says_who_made_it(make_model: Make, tmp_path: Path) -> None:
    for authors in ((), ("", " ")):
        with pytest.raises(InputError, match="--author 'NAME'"):
            export_model(str(make_model()), tmp_path / "a.zip", authors=authors)


@pytest.mark.usefixtures("no_libraries_needed")
def test_stopped_or_failed_export_leaves_nothing(
    make_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_deep3d.nn import onnx_file

    def other_network(path: Path, *_arguments: object) -> None:
        path.write_bytes(b"network")

    monkeypatch.setattr(onnx_file, "write_onnx", other_network)
    monkeypatch.setattr(onnx_file, "run_onnx", lambda _path, stack: 0 * stack)
    model = make_model()
    before = sorted(tmp_path.iterdir())
    asked = iter((False, True))
    with pytest.raises(StoppedError):
        export_model(str(model), tmp_path / "a.onnx", stop=lambda: next(asked))
    with pytest.raises(InputError, match=r"differs from the model by .* nothing was written"):
        export_model(str(model), tmp_path / "a.onnx")
    assert sorted(tmp_path.iterdir()) == before


def test_tiles_of_a_network_that_forgets_its_norms_change_nothing(
    make_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The measure is of the norms' statistics alone: where every layer's gain is zero there is nothing to differ."""
    import torch

    from napari_deep3d.nn.generator import norms

    sample = job._bundled_stack()[:12, :64, 32:96]
    monkeypatch.setattr(job, "_bundled_stack", lambda: sample)
    generator, info = load_model(make_model())
    normed = job.measure_tiles(generator, info)
    assert 0 < normed.mean <= normed.worst
    assert (normed.shape, normed.of) == ((12, 32, 32), (12, 64, 64))
    for layer in norms(generator):
        torch.nn.init.zeros_(layer.weight)
    assert job.measure_tiles(generator, info).mean < 1e-4
