"""Choice of device and number format."""

from __future__ import annotations

import weakref

import pytest
import torch

from napari_deep3d.core.errors import InputError
from napari_deep3d.nn import devices
from napari_deep3d.nn.devices import choose_device, choose_precision, device_label, device_reason, to_device

CPU = torch.device("cpu")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_processor_is_taken_where_there_is_no_gpu() -> None:
    assert choose_device("auto") == choose_device("cpu") == CPU


def test_gpu_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("mps")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("name", ["cuda", "mps", "tpu"])
def test_device_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(InputError, match=rf"device '{name}' was asked for.*usable here: cpu\. Choose auto"):
        choose_device(name)


@pytest.mark.parametrize(("hardware", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_processor_computes_in_bfloat16_only_where_that_is_fast(
    monkeypatch: pytest.MonkeyPatch, hardware: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: hardware)
    assert choose_precision(CPU) == dtype
    assert choose_precision(CPU, "float32") == torch.float32
    assert choose_precision(CPU, "bfloat16") == torch.bfloat16


def test_float16_on_the_processor_is_refused() -> None:
    with pytest.raises(InputError, match=r"float16 is for GPUs.*Choose auto or bfloat16"):
        choose_precision(CPU, "float16")


@pytest.mark.parametrize(
    ("flags", "has"),
    [
        ({"amx_bf16": True}, True),
        ({"avx512_bf16": True}, True),
        ({"avx2": True, "avx512_bf16": False}, False),
        ({}, False),
    ],
)
def test_bfloat16_hardware_is_told_from_the_processors_flags(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, bool], has: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    assert devices.cpu_has_bfloat16() is has


def test_device_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_label(CPU, torch.bfloat16) == "CPU (bfloat16)"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA X")
    assert device_label(torch.device("cuda", 0), torch.float16) == "GPU: NVIDIA X (float16)"


@pytest.mark.usefixtures("no_gpu")
def test_why_a_device_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.shutil, "which", lambda _: None)
    assert device_reason("cpu", CPU) == "cpu was asked for."
    assert "finds no GPU" in device_reason("auto", CPU)
    assert "A GPU was found" in device_reason("auto", torch.device("cuda", 0))
    monkeypatch.setattr(devices.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "There is an NVIDIA GPU, but this torch" in device_reason("auto", CPU)


class FakeTensor:
    """Notes what is done with it."""

    def __init__(self, *done: str, can_pin: bool = True) -> None:
        self.done, self._can_pin = done, can_pin

    def pin_memory(self) -> FakeTensor:
        if not self._can_pin:
            raise RuntimeError("CUDA error: out of memory")
        return FakeTensor(*self.done, "pinned")

    def to(self, *where: object, non_blocking: bool = False) -> FakeTensor:
        return FakeTensor(*self.done, *map(str, where), *(["not waited for"] if non_blocking else []))


@pytest.mark.parametrize(
    ("device", "can_pin", "done"),
    [
        ("cuda:0", True, ("pinned", "cuda:0", "not waited for", "torch.float16")),
        ("cuda:0", False, ("cuda:0", "torch.float16")),
        ("mps", True, ("mps", "torch.float16")),
        ("cpu", True, ("cpu", "torch.float16")),
    ],
)
def test_only_a_cuda_gpu_gets_pinned_memory(device: str, can_pin: bool, done: tuple[str, ...]) -> None:
    tensor: object = FakeTensor(can_pin=can_pin)
    assert to_device(tensor, torch.device(device), torch.float16).done == done  # type: ignore[arg-type, attr-defined]


def test_memory_that_nothing_uses_is_given_back() -> None:
    class Large:
        """Holds itself, so that only a search finds that nobody needs it."""

        def __init__(self) -> None:
            self.itself = self

    gone = weakref.ref(Large())
    devices.release_memory()
    assert gone() is None
