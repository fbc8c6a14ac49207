"""The plan of a training: told before it starts, from sizes alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.jobs.pairs import PairFacts
from napari_deep3d.jobs.train import plan as train_plan
from napari_deep3d.jobs.train.plan import MAX_STEPS, MIN_STEPS, TrainPlan, plan_training, voxels_at_once

PAIRS = [PairFacts(str(index), (48, 200, 200), (0.5, 0.2, 0.2)) for index in range(4)]


def settings(**changes: Any) -> TrainConfig:
    return TrainConfig.checked(**{"device": "cpu", "precision": "float32", "iterations": 100} | changes)


def memory(monkeypatch: pytest.MonkeyPatch, gigabytes: float) -> None:
    size = int(gigabytes * 1e9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=size, available=size))


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Plans on a processor of 10 GFLOP/s and 64 GB."""
    memory(monkeypatch, 64)
    monkeypatch.setattr(train_plan, "_rate", lambda *_: 1e10)

    def make(pairs: list[PairFacts] = PAIRS, minutes: float | None = None, **changes: Any) -> TrainPlan:
        return plan_training(pairs, settings(**changes), minutes=minutes)

    return make


def test_plan_tells_device_memory_and_time(plan: Any) -> None:
    made = plan()
    assert made.device_label == "CPU (float32)"
    assert made.free_bytes == 64e9
    assert 1e8 < made.memory_bytes < 64e9
    assert made.iterations == 100
    assert made.seconds_per_step > 0
    assert made.seconds == pytest.approx(100 * made.seconds_per_step)
    assert made.notices == ()


def test_more_work_takes_longer(plan: Any) -> None:
    usual = plan().seconds_per_step
    for more in ({"width": 32}, {"batch_size": 4}, {"vgg_share": 1.0}, {"discriminator_width": 1.0}):
        assert plan(**more).seconds_per_step > 1.05 * usual
    for less in ({"dimensions": 2}, {"weight_vgg": 0.0}, {"weight_gan": 0.0}, {"width": 8}):
        assert plan(**less).seconds_per_step < usual
    assert plan(batch_size=4).seconds_per_step == pytest.approx(2 * plan(batch_size=2).seconds_per_step)


def test_patches_larger_than_the_pairs_are_cut(plan: Any) -> None:
    small = [PairFacts("s", (12, 48, 96), None)] * 3
    assert plan(small, patch=(12, 96, 96)).seconds_per_step == pytest.approx(
        plan(patch=(12, 96, 96)).seconds_per_step / 2
    )


def test_time_gives_the_number_of_steps(plan: Any) -> None:
    made = plan(minutes=30)
    assert 0 <= 30 * 60 - made.seconds < made.seconds_per_step
    assert made.iterations == int(30 * 60 / made.seconds_per_step)
    assert plan(minutes=1e-6).iterations == MIN_STEPS
    assert plan(minutes=1e9).iterations == MAX_STEPS


def test_short_memory_leads_to_fewer_voxels_at_a_time_and_is_said(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    roomy = plan(batch_size=8)
    memory(monkeypatch, 1)
    tight = plan(batch_size=8)
    assert roomy.notices == ()
    assert any("do not fit into memory together" in notice for notice in tight.notices)
    assert tight.memory_bytes < roomy.memory_bytes
    assert tight.memory_bytes < 1e9


def test_voxels_at_a_time_follow_the_memory_that_is_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the memory that is free: a resumed training must sum in the same order."""
    found = []
    for free in (1e9, 8e9):
        told = SimpleNamespace(total=int(16e9), available=free)
        monkeypatch.setattr(psutil, "virtual_memory", lambda told=told: told)
        found.append(voxels_at_once(settings(), "cpu", "float32"))
    assert found[0] == found[1]
    memory(monkeypatch, 32)
    assert voxels_at_once(settings(), "cpu", "float32") == pytest.approx(2 * found[0], rel=0.01)
    assert voxels_at_once(settings(), "cpu", "bfloat16") > voxels_at_once(settings(), "cpu", "float32")
    memory(monkeypatch, 1e-9)
    assert voxels_at_once(settings(), "cpu", "float32") == 1
    assert voxels_at_once(settings(), "cuda", "float32") > 1e15


def test_few_pairs_are_said_to_hold_none_out(plan: Any) -> None:
    assert any("fewer than three pairs" in notice for notice in plan(PAIRS[:2]).notices)


def test_no_pair_is_an_error(plan: Any) -> None:
    with pytest.raises(InputError, match="no pair to train on"):
        plan([])


def test_device_that_is_not_there_is_an_error(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"'cuda'.*usable here: cpu"):
        plan(device="cuda")


def test_number_format_that_cannot_be_trained_in_is_an_error(plan: Any) -> None:
    with pytest.raises(InputError, match="float16"):
        plan(precision="float16")


def test_rate_of_the_processor_is_measured() -> None:
    made = plan_training(PAIRS, settings(patch=(8, 32, 32), width=2))
    assert 1e-6 < made.seconds_per_step < 60
