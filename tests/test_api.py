"""The Python functions."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from pydantic import BaseModel

import napari_deep3d
from napari_deep3d import InputError
from napari_deep3d.api import EvaluateSettings, PredictSettings, RegisterSettings, TrainSettings
from napari_deep3d.core.config import EvaluateConfig, PredictConfig, RegisterConfig, SimulateConfig, TrainConfig
from napari_deep3d.core.events import Event, Metrics, Progress, TileDone
from napari_deep3d.core.registration.result import Registration
from napari_deep3d.core.simulation.scene import SceneBounds
from napari_deep3d.io import open_stack, write_stack
from napari_deep3d.jobs.predict.file import FilePrediction
from napari_deep3d.jobs.predict.predict import Prediction
from napari_deep3d.jobs.register import RegisteredFolder, RegisteredPair
from napari_deep3d.jobs.train.plan import MIN_STEPS

SPACING_UM = (0.5, 0.2, 0.2)
ORIGIN_UM = (1.0, 2.0, 3.0)
CPU: dict[str, Any] = {"device": "cpu", "precision": "float32"}
TINY: dict[str, Any] = {"patch": (8, 32, 32), "width": 2, "discriminator_width": 0.02, "batch_size": 1, **CPU}


@pytest.fixture
def stack() -> NDArray[np.uint16]:
    data = np.random.default_rng(0).integers(100, 120, size=(8, 48, 96), dtype=np.uint16)
    data[2:5, 8:20, 10:60] += 1000
    return data


@pytest.fixture
def recording(tmp_path: Path, stack: NDArray[np.uint16]) -> Path:
    return write_stack(tmp_path / "cell.ome.tif", stack, SPACING_UM, ORIGIN_UM)


@pytest.fixture
def pairs(tmp_path: Path, stack: NDArray[np.uint16]) -> Path:
    for kind in ("widefield", "confocal"):
        (tmp_path / "pairs" / kind).mkdir(parents=True)
        write_stack(tmp_path / "pairs" / kind / "a.tif", stack, SPACING_UM)
    return tmp_path / "pairs"


def predict(*arguments: Any, **options: Any) -> Any:
    return napari_deep3d.predict(*arguments, **CPU, **options)


def test_an_array(stack: NDArray[np.uint16], tiny_model: Path) -> None:
    before = stack.copy()
    result = predict(stack, model=str(tiny_model), spacing_um=SPACING_UM)
    assert isinstance(result, Prediction)
    assert (result.data.shape, result.data.dtype) == (stack.shape, np.float32)
    assert np.isfinite(result.data).all()
    assert result.data.min() >= 0
    assert (result.spacing_um, result.model, result.device) == (SPACING_UM, "tiny", "cpu")
    assert (result.precision, result.complete) == ("float32", True)
    np.testing.assert_array_equal(stack, before)


def test_an_array_needs_its_voxel_size(stack: NDArray[np.uint16], tiny_model: Path) -> None:
    with pytest.raises(InputError, match="spacing_um="):
        predict(stack, model=str(tiny_model))


def test_a_path(recording: Path, stack: NDArray[np.uint16], tiny_model: Path) -> None:
    for path in (recording, str(recording)):
        result = predict(path, model=str(tiny_model))
        assert (result.spacing_um, result.origin_um) == (SPACING_UM, ORIGIN_UM)
    same = predict(stack, model=str(tiny_model), spacing_um=SPACING_UM)
    np.testing.assert_array_equal(result.data, same.data)


def test_uncertainty(stack: NDArray[np.uint16], recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    options = {"model": str(tiny_model), "uncertainty": True}
    made = predict(stack, tmp_path / "a.tif", spacing_um=SPACING_UM, **options)
    assert made.uncertainty.shape == stack.shape
    written = open_stack(tmp_path / "a-uncertainty.tif").volume().data[...]
    np.testing.assert_array_equal(written, made.uncertainty)
    done = predict(recording, tmp_path / "b.tif", **options)
    assert done.uncertainty == tmp_path / "b-uncertainty.tif"
    np.testing.assert_array_equal(open_stack(done.uncertainty).volume().data[...], made.uncertainty)
    (tmp_path / "a.tif").unlink()
    with pytest.raises(InputError, match=r"a-uncertainty\.tif exists"):
        predict(stack, tmp_path / "a.tif", spacing_um=SPACING_UM, **options)
    assert not (tmp_path / "a.tif").exists()


def test_an_array_and_an_output(stack: NDArray[np.uint16], tiny_model: Path, tmp_path: Path) -> None:
    options = {"model": str(tiny_model), "spacing_um": SPACING_UM}
    result = predict(stack, tmp_path / "out.ome.tif", **options)
    opened = open_stack(tmp_path / "out.ome.tif")
    assert opened.spacing_um == pytest.approx(SPACING_UM)
    np.testing.assert_array_equal(opened.volume().data[...], result.data)
    with pytest.raises(InputError, match="exists"):
        predict(stack, tmp_path / "out.ome.tif", **options)
    predict(stack, tmp_path / "out.ome.tif", overwrite=True, **options)


def test_a_path_and_an_output(recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = predict(recording, str(tmp_path / "out.zarr"), model=str(tiny_model))
    assert isinstance(result, FilePrediction)
    assert (result.output, result.shape) == (tmp_path / "out.zarr", (8, 48, 96))
    opened = open_stack(result.output)
    assert (opened.spacing_um, opened.origin_um) == (SPACING_UM, ORIGIN_UM)
    same = predict(recording, model=str(tiny_model))
    np.testing.assert_array_equal(opened.volume().data[...], same.data)


def test_a_channel_and_time_point(tiny_model: Path, tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 99, (2, 6, 3, 32, 32), dtype=np.uint16)
    metadata = {"axes": "TZCYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite(tmp_path / "series.tif", data, imagej=True, resolution=(5, 5), metadata=metadata)
    options = {"model": str(tiny_model)}
    one = predict(tmp_path / "series.tif", channel=2, time=1, **options)
    same = predict(data[1, :, 2], spacing_um=SPACING_UM, **options)
    np.testing.assert_array_equal(one.data, same.data)
    with pytest.raises(InputError, match="channel"):
        predict(tmp_path / "series.tif", time=1, **options)
    with pytest.raises(InputError, match="output"):
        predict(tmp_path / "series.tif", channel=1, time="all", **options)
    everything = predict(tmp_path / "series.tif", tmp_path / "all.tif", channel=1, time="all", **options)
    assert everything.shape == (2, 6, 32, 32)


def test_tiles_add_up_to_the_result(stack: NDArray[np.uint16], tiny_model: Path) -> None:
    events: list[Event] = []
    result = predict(stack, model=str(tiny_model), spacing_um=SPACING_UM, tile=(8, 32, 32), on_event=events.append)
    total = np.zeros(stack.shape, np.float32)
    for event in events:
        if isinstance(event, TileDone):
            total[event.region] += event.values
    np.testing.assert_allclose(total, result.data, atol=1e-6)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.fraction for event in progress] == sorted(event.fraction for event in progress)
    assert progress[-1].fraction == 1
    assert result.tile == (8, 32, 32)


def test_stop(stack: NDArray[np.uint16], tiny_model: Path) -> None:
    tiles: list[Event] = []

    def collect(event: Event) -> None:
        if isinstance(event, TileDone):
            tiles.append(event)

    options: dict[str, Any] = {"model": str(tiny_model), "spacing_um": SPACING_UM, "tile": (8, 32, 32)}
    result = predict(stack, on_event=collect, stop=lambda: len(tiles) > 1, **options)
    assert (len(tiles), result.complete) == (2, False)
    assert np.any(result.data[:, :20, :60])
    assert not np.any(result.data[:, 40:])


def test_stop_before_the_start(stack: NDArray[np.uint16], tiny_model: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": str(tiny_model), "spacing_um": SPACING_UM}
    result = predict(stack, tmp_path / "out.tif", stop=lambda: True, **options)
    assert not result.complete
    assert not np.any(result.data)
    assert not (tmp_path / "out.tif").exists()


def test_provenance_is_plain(stack: NDArray[np.uint16], tiny_model: Path) -> None:
    result = predict(stack, model=str(tiny_model), spacing_um=SPACING_UM)
    about = result.provenance()
    assert about.keys() >= {"model", "device", "precision", "tile", "halo", "tile_mismatch", "warnings"}


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (np.ones((8, 32)), "one plane"),
        (np.ones((2, 8, 32, 32)), "4 axes"),
        (np.ones((8, 32, 32), complex), "complex128"),
        (np.ones((8, 32, 32), bool), "bool"),
        (np.full((8, 32, 32), "x"), "voxels"),
        (np.ones((2, 32, 32)), "too small"),
        (np.ones((8, 32, 32)), "constant"),
        (np.full((8, 32, 32), np.nan), "NaN"),
        ("no.tif", "there is no file"),
    ],
)
def test_stacks_that_cannot_be_used(bad: Any, what: str, tiny_model: Path, tmp_path: Path) -> None:
    for output in (None, tmp_path / "out.tif"):
        with pytest.raises(InputError, match=what):
            predict(bad, output, model=str(tiny_model), spacing_um=SPACING_UM)
        assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"colour": "red"}, "unknown name 'colour'; known are: deepest, device"),
        ({"tile": (0, 32, 32)}, "tile"),
        ({"memory_bytes": 1}, "memory_bytes"),
        ({"spacing_um": (0, 0, 0)}, "between 0.001 and 100"),
        ({"device": "tpu"}, "device"),
        ({"model": "no-such-model"}, "there is no model"),
    ],
)
def test_settings_of_predict(stack: NDArray[np.uint16], settings: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        napari_deep3d.predict(stack, **{"spacing_um": SPACING_UM, **settings})


@pytest.mark.slow
def test_train(pairs: Path, tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    events: list[Event] = []
    result = napari_deep3d.train(pairs, tmp_path / "run", iterations=1, on_event=events.append, **TINY)
    assert (result.iterations, result.complete) == (1, True)
    assert any(isinstance(event, Metrics) for event in events)
    predicted = predict(stack, model=str(result.model), spacing_um=SPACING_UM)
    assert predicted.model == "run"


@pytest.mark.slow
def test_train_goes_on_from_a_model_for_a_time(pairs: Path, tmp_path: Path, tiny_model: Path) -> None:
    own = {name: value for name, value in TINY.items() if name != "width"}
    result = napari_deep3d.train(pairs, tmp_path / "run", start=str(tiny_model), minutes=1e-3, name="mine", **own)
    assert (result.name, result.complete) == ("mine", True)
    assert 1 <= result.iterations <= MIN_STEPS  # fewer where the computer is slow
    with pytest.raises(InputError, match="has width=2; width=4 was asked for"):
        napari_deep3d.train(pairs, tmp_path / "other", start=str(tiny_model), **own, width=4)


@pytest.mark.slow
def test_train_stops(pairs: Path, tmp_path: Path) -> None:
    result = napari_deep3d.train(pairs, str(tmp_path / "run"), iterations=50, stop=lambda: True, **TINY)
    assert (result.iterations, result.complete) == (0, False)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"epochs": 3}, "unknown name 'epochs'; known are: batch_size"),
        ({"iterations": 0}, "iterations"),
        ({"patch": (2, 8, 8)}, "at least 4 planes"),
        ({"preset": "huge"}, "laptop, paper"),
    ],
)
def test_settings_of_train(pairs: Path, tmp_path: Path, settings: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        napari_deep3d.train(pairs, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"pairs": 0}, "pairs"),
        ({"shape": (4, 32, 32)}, "at least 8 planes"),
        ({"shape": (8, 32)}, "shape"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_of_simulate(tmp_path: Path, settings: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        napari_deep3d.simulate(tmp_path / "pairs", **settings)
    assert not (tmp_path / "pairs").exists()


def test_simulate(tmp_path: Path) -> None:
    events: list[Event] = []
    made = napari_deep3d.simulate(tmp_path / "pairs", pairs=1, shape=(8, 32, 32), on_event=events.append)
    assert (made.pairs, made.shape, len(made.spacing_um)) == (1, (8, 32, 32), 1)
    assert any(isinstance(event, Progress) for event in events)
    assert open_stack(tmp_path / "pairs" / "confocal" / "pair_0000.ome.tif").spacing_um == pytest.approx(
        made.spacing_um[0]
    )


def test_an_unknown_option_of_simulate(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown name 'colour'; known are: .*photons"):
        napari_deep3d.simulate(tmp_path / "pairs", colour="red")
    assert not (tmp_path / "pairs").exists()


# The keywords are the settings of the configs


def field_types(config: type[BaseModel]) -> dict[str, Any]:
    """The fields of a config and of its sections, with their types, bounds aside."""
    types = get_type_hints(config)
    found: dict[str, Any] = {}
    for name in config.model_fields:
        is_section = isinstance(types[name], type) and issubclass(types[name], BaseModel)
        found |= field_types(types[name]) if is_section else {name: types[name]}
    return found


@pytest.mark.parametrize(
    ("function", "settings", "config"),
    [
        (napari_deep3d.predict, PredictSettings, PredictConfig),
        (napari_deep3d.register, RegisterSettings, RegisterConfig),
        (napari_deep3d.evaluate, EvaluateSettings, EvaluateConfig),
        (napari_deep3d.train, TrainSettings, TrainConfig),
    ],
)
def test_the_keywords_are_the_fields_of_the_config(function: Any, settings: Any, config: type[BaseModel]) -> None:
    keywords, fields = get_type_hints(settings), field_types(config)
    assert keywords.keys() == fields.keys()
    for name, kind in keywords.items():
        assert kind == fields[name] or fields[name] in get_args(kind), name  # a field may take what becomes its type
    assert not set(inspect.signature(function).parameters) & {*fields, *config.model_fields}


def test_the_keywords_of_simulate_are_the_fields_of_its_config() -> None:
    parameters, types = inspect.signature(napari_deep3d.simulate).parameters, get_type_hints(napari_deep3d.simulate)
    for name, kind in field_types(SimulateConfig).items():
        assert (types[name], parameters[name].default) == (kind, SimulateConfig.model_fields[name].default)


@pytest.mark.parametrize(
    ("function", "settings"),
    [
        (napari_deep3d.predict, PredictSettings),
        (napari_deep3d.register, RegisterSettings),
        (napari_deep3d.evaluate, EvaluateSettings),
    ],
)
def test_every_keyword_is_explained(function: Any, settings: Any) -> None:
    for name in get_type_hints(settings):
        assert f"    {name} : " in function.__doc__


def test_bounds_of_simulate_as_an_object(tmp_path: Path) -> None:
    """They say the same as single ones, which go before them."""
    small: dict[str, Any] = {"pairs": 1, "shape": (8, 32, 32)}
    bounds = SceneBounds(kinds={"beads": 1.0}, photons=(500, 500))
    napari_deep3d.simulate(tmp_path / "object", bounds=bounds, **small)
    napari_deep3d.simulate(tmp_path / "single", kinds={"beads": 1.0}, photons=(500, 500), **small)
    napari_deep3d.simulate(tmp_path / "other", bounds=bounds, photons=(900, 900), **small)
    found = [
        open_stack(tmp_path / folder / "widefield" / "pair_0000.ome.tif").volume().data[...]
        for folder in ("object", "single", "other")
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


# Registering


def test_register_arrays(pair_files: tuple[Path, Path]) -> None:
    confocal, widefield = (np.asarray(open_stack(path).volume().data) for path in pair_files)
    spacing: dict[str, Any] = {"confocal_spacing_um": (0.5, 0.2, 0.2), "widefield_spacing_um": (0.5, 0.2, 0.2)}
    found = napari_deep3d.register(confocal, widefield, **spacing)
    assert isinstance(found, Registration)
    assert found.shift_voxels == pytest.approx((2, -3, 4), abs=0.1)
    assert found.refusal == ""
    with pytest.raises(InputError, match="a pair is written from files alone"):
        napari_deep3d.register(confocal, widefield, "pairs", **spacing)
    with pytest.raises(InputError, match="no voxel size"):
        napari_deep3d.register(confocal, widefield)


def test_register_files(pair_files: tuple[Path, Path], tmp_path: Path) -> None:
    events: list[Event] = []
    found = napari_deep3d.register(*pair_files, on_event=events.append)
    assert isinstance(found, Registration)
    assert any(isinstance(event, Progress) for event in events)
    made = napari_deep3d.register(*pair_files, tmp_path / "pairs")
    assert isinstance(made, RegisteredPair)
    assert made.registration.transform == found.transform
    many = napari_deep3d.register(tmp_path / "pairs" / "confocal", tmp_path / "pairs" / "widefield", tmp_path / "again")
    assert isinstance(many, RegisteredFolder)
    assert [row.problem for row in many.rows] == [""]
    assert many.rows[0].registration is not None
    assert many.rows[0].registration.shift_voxels == pytest.approx((0, 0, 0), abs=0.1)


def test_register_refuses_unknown_settings(pair_files: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="unknown name 'window'"):
        napari_deep3d.register(*pair_files, window=3)


def test_evaluate_arrays_and_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    confocal = rng.random((8, 32, 32), dtype=np.float32)
    prediction = (confocal + 0.1 * rng.random(confocal.shape)).astype(np.float32)
    events: list[Event] = []
    report = tmp_path / "report.html"
    found = napari_deep3d.evaluate(prediction, confocal, report, spacing_um=(0.5, 0.2, 0.2), on_event=events.append)
    assert found.stacks["prediction"].figures["rmse_fit"] == pytest.approx(0.1 / 12**0.5, rel=0.1)
    assert any(isinstance(event, Progress) for event in events)
    assert report.exists()
    with pytest.raises(InputError, match="is not replaced"):
        napari_deep3d.evaluate(prediction, confocal, report, spacing_um=(0.5, 0.2, 0.2))
    files = [write_stack(tmp_path / f"{i}.tif", data, (0.5, 0.2, 0.2)) for i, data in enumerate((prediction, confocal))]
    from_files = napari_deep3d.evaluate(*files)
    assert from_files.evaluation.stacks["prediction"].figures == pytest.approx(
        found.stacks["prediction"].figures, nan_ok=True
    )
    alone = napari_deep3d.evaluate(files[0])
    assert "rmse" not in alone.evaluation.stacks["prediction"].figures


@pytest.mark.parametrize(
    ("options", "got"),
    [
        ({"confocal": "a.tif"}, "cannot be mixed"),
        ({"time": 1}, "choose by indexing"),
        ({}, "no voxel size"),
        ({"percentiles": (5.0, 1.0)}, "rising percentiles"),
        ({"confocal": np.ones((8, 32, 31)), "spacing_um": (1.0, 1.0, 1.0)}, "differ in size"),
    ],
)
def test_evaluate_refuses(stack: NDArray[np.uint16], options: dict[str, Any], got: str) -> None:
    with pytest.raises(InputError, match=got):
        napari_deep3d.evaluate(**({"prediction": stack, "confocal": stack} | options))
