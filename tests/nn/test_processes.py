"""A process by itself; several of them are tested as trainings, in tests/jobs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.processes import Processes, joined


@given(st.integers(1, 5), st.integers(0, 12))
def test_work_is_shared_out_whole(count: int, items: int) -> None:
    shares = [Processes(rank, count).share(range(items)) for rank in range(count)]
    assert sorted(item for share in shares for item in share) == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_process_alone_averages_nothing_and_waits_for_nobody() -> None:
    alone = Processes()
    values = torch.tensor([1.0, 2.0])
    assert alone.mean(values) is values
    network = Generator(2)
    network.head.weight.grad = torch.ones_like(network.head.weight)
    alone.average_gradients(network)
    assert torch.equal(network.head.weight.grad, torch.ones_like(network.head.weight))
    alone.wait_for_all()
    assert [alone.agreed(lambda asked=asked: asked, torch.device("cpu")) for asked in (True, False)] == [True, False]


def test_first_process_writes() -> None:
    assert [Processes(rank, 3).is_first for rank in range(3)] == [True, False, False]


def test_each_process_has_a_gpu_of_its_own() -> None:
    second = Processes(rank=5, count=8, local_rank=1)
    assert second.place(torch.device("cuda", 0)) == torch.device("cuda", 1)
    assert second.place(torch.device("cpu")) == torch.device("cpu")


def test_nobody_is_joined_unless_torchrun_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (None, "1"):
        monkeypatch.delenv("WORLD_SIZE", raising=False)
        if size:
            monkeypatch.setenv("WORLD_SIZE", size)
        with joined(torch.device("cpu")) as processes:
            assert processes == Processes()
