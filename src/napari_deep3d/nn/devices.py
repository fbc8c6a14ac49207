"""Which device and number format to compute with."""

from __future__ import annotations

import ctypes
import gc
import platform
import shutil

import numpy as np
import psutil
import torch

from napari_deep3d.core import FloatArray, InputError, TrainConfig

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Number formats by the names that users give them."""


def choose_device(name: str = "auto") -> torch.device:
    """The device to compute on: ``cpu``, ``cuda``, ``mps``, or ``auto``, a GPU where there is one.

    InputError if torch does not find the named device.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    if not available.get(name, False):
        usable = ", ".join(kind for kind, there in available.items() if there)
        raise InputError(
            f"device {name!r} was asked for, but torch {torch.__version__} finds none; usable here: {usable}. "
            "Choose auto, or install a torch build that supports the device (see pytorch.org)."
        )
    return torch.device("cuda", 0) if name == "cuda" else torch.device(name)


def device_reason(name: str, device: torch.device) -> str:
    """Why a device was taken: ``name`` is what was asked for; a sentence for the user."""
    if name != "auto":
        return f"{name} was asked for."
    if device.type != "cpu":
        return "A GPU was found, which is faster than the processor."
    if torch.version.cuda is None and shutil.which("nvidia-smi"):
        return (
            f"There is an NVIDIA GPU, but this torch ({torch.__version__}) was built without CUDA: install another "
            "build (see pytorch.org)."
        )
    return f"torch {torch.__version__} finds no GPU."


def to_device(values: torch.Tensor, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """A tensor brought to a device; to a CUDA one from pinned memory, which it copies faster and by itself."""
    if device.type != "cuda":
        return values.to(device, dtype)
    try:
        values = values.pin_memory()
    except RuntimeError:  # the system may lock no more memory: the copy takes longer, and is the same
        return values.to(device).to(dtype)
    return values.to(device, non_blocking=True).to(dtype)


def pinned(values: FloatArray, device: torch.device) -> FloatArray:
    """An array in pinned memory, which a CUDA device copies faster; as it is for others, or where none is left."""
    if device.type != "cuda":
        return values
    try:
        return torch.from_numpy(np.ascontiguousarray(values)).pin_memory().numpy()
    except RuntimeError:
        return values


def choose_precision(device: torch.device, name: str = "auto") -> torch.dtype:
    """The number format to compute in, by a name of :data:`DTYPES`.

    ``auto`` is bfloat16 where the hardware multiplies it, else float16 on a GPU and float32 on a processor.
    InputError for float16 on a processor, whose convolutions overflow in float16 and are no faster.
    """
    if name == "float16" and device.type == "cpu":
        raise InputError("float16 is for GPUs; this would run on the processor. Choose auto or bfloat16.")
    if name != "auto":
        return DTYPES[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "mps":
        return torch.float16
    return torch.bfloat16 if cpu_has_bfloat16() else torch.float32


def training_precision(device: torch.device, config: TrainConfig) -> torch.dtype:
    """Number format of a training: bfloat16 or float32; float16 would need its losses scaled."""
    dtype = choose_precision(device, config.runtime.precision)
    if dtype == torch.float16 and config.runtime.precision == "float16":
        raise InputError("training in float16 is not supported; choose auto, bfloat16 or float32.")
    return torch.float32 if dtype == torch.float16 else dtype


def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware; without that it is slower than float32."""
    has = torch.cpu.get_capabilities()
    return any(bool(has.get(name)) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def free_memory(device: torch.device) -> int:
    """Bytes that can be used now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def release_memory() -> None:
    """Give memory that is no longer used back to the operating system, for other programs."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if platform.libc_ver()[0] == "glibc":
        # Python's free only hands memory to glibc, which keeps hundreds of megabytes of it for later.
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def device_label(device: torch.device, dtype: torch.dtype) -> str:
    """Device and number format as shown to the user: ``CPU (bfloat16)`` or ``GPU: NVIDIA RTX A4000 (bfloat16)``."""
    number_format = str(dtype).removeprefix("torch.")
    if device.type == "cuda":
        return f"GPU: {torch.cuda.get_device_name(device)} ({number_format})"
    if device.type == "mps":
        return f"GPU: Apple {platform.machine()} ({number_format})"
    return f"CPU ({number_format})"
