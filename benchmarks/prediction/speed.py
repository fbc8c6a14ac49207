"""Voxels per second of the prediction, against MONAI's sliding window with the same network on the same stack.

Usage: pip install 'napari-deep3d[benchmark]'; python -m benchmarks.prediction.speed [--shape 48,256,256]
           [--device cpu] [--table docs/data/prediction_speed.csv]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d import predict
from napari_deep3d.jobs.models.store import find_model
from napari_deep3d.nn.devices import choose_device
from napari_deep3d.nn.model_file import load_model

SPACING_UM = (0.4, 0.2, 0.2)
REPEATS = 2
COLUMNS = {
    "": "{method}",
    "Mvoxel/s": "{mvoxel_per_second:.3f}",
    "of MONAI's": "{times_monai:.1f}",
    "of the matrix product's rate": "{share_of_peak:.0%}",
    "which is, GFLOP/s": "{peak_gflops:.0f}",
}


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def peak_gflops(dtype: torch.dtype, device: torch.device) -> float:
    """Rate of torch's own matrix product, 2048 x 2048."""
    a = torch.randn(2048, 2048).to(device, dtype)
    return 2 * 2048**3 / seconds(lambda: (a @ a)[0, 0].item(), 4) / 1e9  # a value is there only when all is computed


def flops_per_voxel(generator: torch.nn.Module) -> float:
    """Multiplications and additions of the convolutions for one voxel."""
    total = 0.0

    def count(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, torch.nn.Conv3d)
        total += 2.0 * module.weight[0].numel() * output.numel()

    handles = [m.register_forward_hook(count) for m in generator.modules() if isinstance(m, torch.nn.Conv3d)]
    size = (16, 64, 64)
    with torch.no_grad():
        generator(torch.zeros(1, 1, *size))
    for handle in handles:
        handle.remove()
    return total / float(np.prod(size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="48,256,256")
    parser.add_argument("--model", default="generalist")
    parser.add_argument("--device", default="cpu")
    add_table_option(parser)
    chosen = parser.parse_args()

    from monai.inferers import sliding_window_inference

    shape = tuple(int(n) for n in chosen.shape.split(","))
    stack = np.random.default_rng(0).gamma(2, 100, shape).astype(np.float32)
    device = choose_device(chosen.device)
    generator = load_model(find_model(chosen.model))[0].to(device)
    tensor = torch.from_numpy(stack / stack.max())[None, None]

    def monai() -> object:
        with torch.no_grad():
            there = tensor.to(device)
            return sliding_window_inference(there, (12, 128, 128), 1, generator, overlap=0.25, mode="gaussian").cpu()

    voxels = float(np.prod(shape))
    monai()
    theirs = voxels / seconds(monai, REPEATS)
    work = flops_per_voxel(generator.cpu())
    peer = "MONAI sliding_window_inference, float32, 12 x 128 x 128, overlap 0.25, Gaussian"
    rows: list[Row] = [{"method": peer, "mvoxel_per_second": theirs / 1e6, "times_monai": 1.0}]
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        options = {"spacing_um": SPACING_UM, "model": chosen.model, "device": chosen.device, "precision": precision}
        predict(stack, **options)
        ours = voxels / min(predict(stack, **options).seconds for _ in range(REPEATS))
        peak = peak_gflops(dtype, device)
        speed = {"mvoxel_per_second": ours / 1e6, "times_monai": ours / theirs}
        rows.append(
            {"method": f"prediction, {precision}"}
            | speed
            | {"share_of_peak": ours * work / 1e9 / peak, "peak_gflops": peak}
        )
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)
    print(f"network: {work / 1e3:.0f} kFLOP per voxel; {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
