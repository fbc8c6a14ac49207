"""What a prediction costs, by the plan: memory is kept, no tiles where one fits, and the time follows the work."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.resampling import ModelGrid
from napari_deep3d.core.tiling import TilePlan, plan_tiles
from napari_deep3d.core.volume import Volume
from napari_deep3d.jobs.models.store import model_info
from napari_deep3d.jobs.predict import plan as predict_plan
from napari_deep3d.jobs.predict.cost import Costs
from napari_deep3d.jobs.predict.plan import plan_prediction
from napari_deep3d.nn import speed

CPU = torch.device("cpu")
SPACING_UM = (0.4, 0.2, 0.2)
shapes = st.tuples(st.integers(4, 120), st.integers(16, 1500), st.integers(16, 1500))
halos = st.tuples(st.sampled_from([4, 8, 20]), *[st.sampled_from([16, 32, 80])] * 2)
zooms = st.sampled_from([(1.0, 1.0, 1.0), (1.7, 1.0, 1.0), (0.6, 1.3, 1.3)])
many = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Unread:
    """A stack that is planned, not read."""

    dtype = "uint16"

    def __init__(self, *shape: int) -> None:
        self.shape = shape


@pytest.fixture(autouse=True)
def a_known_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer that does 100 G of work a second."""
    monkeypatch.setattr(speed, "work_per_second", lambda *_: 1e11)


def costs_of(shape: Any, halo: Any, zoom: Any = (1.0, 1.0, 1.0), passes: int = 1, dtype: Any = torch.float32) -> Costs:
    info = replace_halo(halo)
    return Costs(info, ModelGrid(shape, zoom), CPU, dtype, passes)


def largest_tile(costs: Costs, layout: TilePlan) -> int:
    """The most voxels that the network sees for a tile."""
    return max(prod(seen.shape) for seen, _ in costs.tiles(layout))


def replace_halo(halo: Any) -> Any:
    return model_info("generalist").model_copy(update={"halo": halo})


@many
@given(shapes, halos, zooms, st.sampled_from([1, 4]), st.sampled_from([torch.float32, torch.bfloat16]), st.data())
def test_tiles_stay_within_the_memory(shape, halo, zoom, passes, dtype, data) -> None:
    costs = costs_of(shape, halo, zoom, passes, dtype)
    memory = data.draw(st.floats(2e8, 8e9))
    tile = costs.cheapest_tile(memory)
    assume(tile is not None)
    layout = plan_tiles(shape, tile)
    assert costs.tile_bytes(largest_tile(costs, layout)) <= memory


@many
@given(shapes, halos, st.sampled_from([1, 4]), st.floats(2e8, 3e10))
def test_the_choice_never_costs_much_more_than_one_tile_where_one_fits(shape, halo, passes, memory) -> None:
    costs = costs_of(shape, halo, passes=passes)
    whole = plan_tiles(shape, shape)
    assume(costs.tile_bytes(largest_tile(costs, whole)) <= memory)
    chosen = plan_tiles(shape, costs.cheapest_tile(memory))
    assert sum(costs.seconds(chosen)) <= 1.3 * sum(costs.seconds(whole))


def test_least_memory_is_said_and_is_enough() -> None:
    costs = costs_of((76, 512, 512), (20, 80, 80))
    assert costs.cheapest_tile(1.5e8) is None
    assert costs.cheapest_tile(costs.smallest_memory()) is not None


def test_too_little_memory_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_plan, "model_info", lambda _: replace_halo((32, 80, 80)))
    config = PredictConfig.checked(memory_bytes=130_000_000, device="cpu", precision="float32")
    volume = Volume(Unread(76, 512, 512), SPACING_UM)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"130 MB is too little for this stack and model; allow (\d+) MB") as told:
        plan_prediction(volume, config)
    enough = int(str(told.value).split("allow ")[1].split(" MB")[0]) * 1_000_000
    plan_prediction(volume, config.model_copy(update={"memory_bytes": enough}))


def test_time_counts_measuring_tiles_and_passes() -> None:
    small, large = (40, 200, 200), (76, 400, 400)
    one, several = costs_of(small, (20, 80, 80)), costs_of(small, (20, 80, 80), passes=4)
    measuring, predicting = one.seconds(plan_tiles(small, small))
    assert measuring > 0
    assert predicting == 0  # it was measured whole
    assert several.seconds(plan_tiles(small, small))[1] == pytest.approx(3 * measuring, rel=0.01)
    whole, tiled = (sum(costs_of(large, (20, 80, 80)).seconds(plan_tiles(large, t))) for t in (large, (40, 96, 96)))
    assert tiled > 3 * whole


def test_speed_is_measured_once_and_is_that_of_the_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    speed.work_per_second.cache_clear()
    rate = speed.work_per_second(CPU, torch.float32, 2, 3, "stack")
    assert 1e6 < rate < 1e14
    assert speed.work_per_second(CPU, torch.float32, 2, 3, "stack") == rate
    assert speed.work_per_second.cache_info().hits == 1


def test_plan_tells_the_time_of_the_work(make_model: Callable[..., Path]) -> None:
    config = PredictConfig.checked(model=str(make_model(halo=(4, 16, 16))), device="cpu", precision="float32")
    plans = [plan_prediction(Volume(Unread(32, n, n), SPACING_UM), config) for n in (64, 128, 256)]  # type: ignore[arg-type]
    assert [plan.seconds / plans[0].seconds for plan in plans] == pytest.approx([1, 4, 16], rel=0.05)
    assert all(0 < plan.measuring_share <= 1 for plan in plans)
