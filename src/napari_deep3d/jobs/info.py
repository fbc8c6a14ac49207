"""What a bug report needs to know about the machine."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import psutil

from napari_deep3d.jobs.models.store import user_folder
from napari_deep3d.jobs.preferences import read_preferences

PACKAGES = (
    "napari-deep3d",
    "napari",
    "torch",
    "numpy",
    "scipy",
    "scikit-image",
    "tifffile",
    "zarr",
    "PyQt6",
    "PySide6",
)


def describe_machine() -> dict[str, object]:
    """Versions, devices, memory in GB, where models are, napari's preferences: plain values for a bug report."""
    import torch

    from napari_deep3d.nn.devices import choose_device, choose_precision, cpu_has_bfloat16, device_label, device_reason

    models_folder = user_folder()  # of this program, so before napari and its preferences are loaded
    device = choose_device("auto")
    packages = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": packages,
        "device": device_label(device, choose_precision(device, "auto")),
        "why_this_device": device_reason("auto", device),
        "cuda": torch.version.cuda or "not in this torch build",
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "memory_free_gb": round(psutil.virtual_memory().available / 1e9, 1),
        "cpu_bfloat16_in_hardware": cpu_has_bfloat16(),
        "models_folder": str(models_folder),
        "napari_preferences": read_preferences().model_dump(),
    }
