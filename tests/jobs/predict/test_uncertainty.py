"""The uncertainty beside a prediction: the same whatever the tiles, in its place, kept when stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.evaluation.uncertainty import Calibration
from napari_deep3d.core.events import Event, Notice, TileDone, drain
from napari_deep3d.core.volume import Volume
from napari_deep3d.io import open_stack, write_stack
from napari_deep3d.jobs.predict.file import predict_file, uncertainty_path
from napari_deep3d.jobs.predict.plan import plan_prediction
from napari_deep3d.jobs.predict.predict import Prediction, predict_volume
from napari_deep3d.nn.folded_network import FoldedNetwork
from napari_deep3d.nn.tta import AUGMENTATIONS

SPACING_UM = (0.5, 0.2, 0.2)
CALIBRATION = Calibration(floor=0.01, per_spread=2, per_intensity=0.2)


@pytest.fixture
def model(make_model: Callable[..., Path]) -> Path:
    return make_model(uncertainty=CALIBRATION)


def settings(path: Path, **changes: Any) -> PredictConfig:
    chosen = {"model": str(path), "device": "cpu", "precision": "float32", "uncertainty": True}
    return PredictConfig.checked(**(chosen | changes))


def predict(data: Any, config: PredictConfig, spacing: Any = SPACING_UM, **more: Any) -> Prediction:
    return drain(predict_volume(Volume(data, spacing, name="mine"), config, **more))


def test_every_voxel_gets_an_expected_error(smooth: np.ndarray, model: Path) -> None:
    result = predict(smooth[:, :50, :41], settings(model))
    assert (result.uncertainty.shape, result.uncertainty.dtype) == ((16, 50, 41), np.float32)
    assert result.uncertainty.min() >= CALIBRATION.floor * 0.999
    assert result.uncertainty.std() > 0
    assert result.mean_uncertainty == pytest.approx(result.uncertainty.mean(), rel=1e-4)
    about = json.loads(json.dumps(result.provenance()))
    assert about["mean_uncertainty"] == pytest.approx(result.mean_uncertainty, abs=1e-5)
    assert about["uncertainty_is_calibrated"] is True
    assert result.notices == ()


def test_without_being_asked_there_is_none(smooth: np.ndarray, model: Path) -> None:
    result = predict(smooth, settings(model, uncertainty=False))
    assert result.uncertainty is None
    assert result.mean_uncertainty is None
    assert "mean_uncertainty" not in result.provenance()


@pytest.mark.parametrize("spacing", [SPACING_UM, (0.6, 0.25, 0.25)])
def test_it_does_not_depend_on_the_tiles(smooth: np.ndarray, model: Path, spacing: Any) -> None:
    whole = predict(smooth, settings(model, tile=(16, 64, 64)), spacing)
    tiled = predict(smooth, settings(model, tile=(8, 32, 32)), spacing)
    np.testing.assert_allclose(tiled.data, whole.data, atol=1e-3 * whole.data.std())
    np.testing.assert_allclose(tiled.uncertainty, whole.uncertainty, atol=0.01 * whole.uncertainty.std())
    assert tiled.mean_uncertainty == pytest.approx(whole.mean_uncertainty, rel=1e-3)


def test_lack_of_memory_is_survived(
    smooth: np.ndarray, make_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(make_model(uncertainty=CALIBRATION, halo=(4, 16, 16)))
    steps = FoldedNetwork.steps

    def small_boxes_only(self: Any, stack: Any, wanted: Any) -> Any:
        if stack.size == smooth.size:
            raise MemoryError
        return (yield from steps(self, stack, wanted))

    monkeypatch.setattr(FoldedNetwork, "steps", small_boxes_only)
    result = predict(smooth, config)
    assert "smaller tiles" in result.notices[0]
    assert result.complete
    assert result.uncertainty.min() >= CALIBRATION.floor * 0.999


def test_stopped_prediction_keeps_both_parts(smooth: np.ndarray, model: Path) -> None:
    events: list[Event] = []
    volume, config = Volume(smooth, SPACING_UM), settings(model, tile=(16, 16, 64))
    stop = lambda: any(isinstance(event, TileDone) for event in events)  # noqa: E731
    result = drain(predict_volume(volume, config, stop=stop), events.append)
    assert not result.complete
    for part in (result.data, result.uncertainty):
        assert part[:, :8].all()
        assert not part[:, 24:].any()


def test_stop_is_heeded_within_a_tile(smooth: np.ndarray, model: Path) -> None:
    """The stop is asked between the layers of every prediction, not only after the last."""
    asked: list[None] = []

    def counted(limit: int) -> Callable[[], bool]:
        asked.clear()
        return lambda: asked.append(None) is None and len(asked) > limit  # type: ignore[func-returns-value]

    predict(smooth, settings(model, uncertainty=False), stop=counted(10**9))
    once = len(asked)
    predict(smooth, settings(model), stop=counted(10**9))
    often = len(asked)
    assert often > once
    result = predict(smooth, settings(model), stop=counted((once + often) // 2))
    assert not result.complete
    assert not result.data.any()


def test_a_model_without_calibration_gives_the_spread_and_says_so(
    smooth: np.ndarray, make_model: Callable[..., Path]
) -> None:
    events: list[Event] = []
    config = settings(make_model())
    result = drain(predict_volume(Volume(smooth, SPACING_UM), config), events.append)
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert any("not calibrated" in notice for notice in notices)
    assert result.uncertainty.std() > 0
    assert not result.is_calibrated
    assert result.provenance()["uncertainty_is_calibrated"] is False


def test_the_plan_knows_what_it_costs_and_that_it_is_no_more_than_the_best_quality(
    smooth: np.ndarray, model: Path
) -> None:
    volume = Volume(smooth, SPACING_UM)
    choices = ({"uncertainty": False}, {"uncertainty": False, "quality": "best"}, {"uncertainty": True})
    fast, best, uncertain = (plan_prediction(volume, settings(model, **choice)) for choice in choices)
    assert best.seconds == pytest.approx(len(AUGMENTATIONS) * fast.seconds)
    assert (uncertain.seconds, uncertain.tile) == (best.seconds, best.tile)
    assert uncertain.notices == best.notices == fast.notices
    assert [plan.quality for plan in (fast, best, uncertain)] == ["fast", "best", "best"]


def test_best_quality_is_the_same_prediction_without_the_uncertainty(
    smooth: np.ndarray, make_model: Callable[..., Path]
) -> None:
    model, stack = make_model(), smooth[:8, :32, :48]
    fast, best = (
        predict(stack, settings(model, uncertainty=False, quality=quality, tile=(8, 32, 24)))
        for quality in ("fast", "best")
    )
    uncertain = predict(stack, settings(model, tile=(8, 32, 24)))
    np.testing.assert_allclose(best.data, uncertain.data, atol=1e-5)
    assert np.abs(best.data - fast.data).max() > 0.01
    assert (best.uncertainty, best.mean_uncertainty, best.notices) == (None, None, fast.notices)
    assert [made.provenance()["quality"] for made in (fast, best, uncertain)] == ["fast", "best", "best"]


@pytest.fixture
def stack(tmp_path: Path, smooth: np.ndarray) -> Path:
    return write_stack(tmp_path / "stack.tif", smooth[:8, :32, :40], SPACING_UM, (1.0, 2.0, 3.0))


@pytest.mark.parametrize("name", ["out.ome.tif", "out.zarr"])
def test_file_of_its_own(stack: Path, model: Path, tmp_path: Path, name: str) -> None:
    done = drain(predict_file(stack, tmp_path / name, settings(model)))
    assert done.uncertainty == tmp_path / name.replace("out", "out-uncertainty")
    expected = predict(np.asarray(open_stack(stack).volume().data[...]), settings(model))
    for path, data in ((done.output, expected.data), (done.uncertainty, expected.uncertainty)):
        written = open_stack(path)
        np.testing.assert_array_equal(np.asarray(written.volume().data[...]), data)
        assert written.spacing_um == pytest.approx(SPACING_UM)
        assert written.origin_um == pytest.approx((1.0, 2.0, 3.0))
    assert (done.prediction.data, done.prediction.uncertainty) == (None, None)


def test_stopped_files_lie_beside_with_names_that_say_so(stack: Path, model: Path, tmp_path: Path) -> None:
    events: list[Any] = []
    config = settings(model, tile=(8, 16, 40))
    stop = lambda: any(isinstance(event, TileDone) for event in events)  # noqa: E731
    done = drain(predict_file(stack, tmp_path / "out.ome.tif", config, stop=stop), events.append)
    assert done.output == tmp_path / "out-incomplete.ome.tif"
    assert done.uncertainty == tmp_path / "out-uncertainty-incomplete.ome.tif"
    assert {path.name for path in tmp_path.glob("out*")} == {done.output.name, done.uncertainty.name}
    for path in (done.output, done.uncertainty):
        kept = np.asarray(open_stack(path).volume().data[...])
        assert kept[:, :8].all()
        assert not kept[:, 28:].any()


def test_a_series_has_one_for_every_time_point(smooth: np.ndarray, model: Path, tmp_path: Path) -> None:
    frames = np.stack([smooth[:8, :32, :40], smooth[8:, 16:48, 20:60]])
    series = write_stack(tmp_path / "series.ome.tif", frames, SPACING_UM)
    done = drain(predict_file(series, tmp_path / "out.ome.tif", settings(model), time="all"))
    assert done.uncertainty is not None
    written = open_stack(done.uncertainty)
    expected = [predict(frame, settings(model)) for frame in frames]
    for time in range(2):
        np.testing.assert_array_equal(np.asarray(written.volume(time=time).data[...]), expected[time].uncertainty)
    mean = np.mean([part.mean_uncertainty for part in expected])
    assert done.prediction.mean_uncertainty == pytest.approx(mean)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tif", "a-uncertainty.tif"),
        ("a.ome.tif", "a-uncertainty.ome.tif"),
        ("a.b.zarr", "a.b-uncertainty.zarr"),
        ("A.TIFF", "A-uncertainty.TIFF"),
    ],
)
def test_name_of_the_file(name: str, expected: str) -> None:
    assert uncertainty_path(Path("folder") / name) == Path("folder") / expected
