"""The bundled model as ONNX and as a package of bioimage.io: what other programs make of the real nucleus with it.

Usage: python -m benchmarks.prediction.exported [--model NAME_OR_FILE] [--package]

Needs ``pip install "napari-deep3d[export]"``. Scores as in nucleus.py: RMSE and SSIM of the aligned stack after the
best scale and offset. ``difference`` is the largest one from the program's own prediction, whose brightest structures
are about 1, and ``rms`` the root mean square of all, as a share of that prediction's standard deviation. With
``--package`` bioimage.io's own library predicts it, too, whole and in blocks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.nucleus_pair import CONFOCAL, INNER, WIDEFIELD, aligned
from benchmarks.common.real_files import NUCLEUS
from benchmarks.common.scores import scaled
from benchmarks.common.tables import Row, markdown
from napari_deep3d import export_model, predict
from napari_deep3d.core import FloatArray, Shape
from napari_deep3d.core.evaluation.metrics import score
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.models.bioimageio_package import least_size
from napari_deep3d.jobs.models.store import model_info

STRIDE = (4, 16, 16)
BLOCK = (52, 144, 144)
"""Voxels, halo included: the largest that bioimageio.core cuts from the nucleus, padded to as many planes."""
COLUMNS = {
    "by": "{by}",
    "RMSE": "{rmse:.4f}",
    "SSIM": "{ssim:.4f}",
    "difference": "{difference:.2g}",
    "rms": "{rms:.2%}",
    "s": "{seconds:.1f}",
}


def as_the_card_says(onnx: Path, widefield: FloatArray, percentiles: tuple[float, float] = (0.1, 99.9)) -> FloatArray:
    """What somebody makes of a stack (Z, Y, X) who has the ONNX file and its card alone: numpy and onnxruntime."""
    import onnxruntime

    low, high = np.percentile(widefield, percentiles)
    stack = ((widefield - low) / (high - low)).astype(np.float32)
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"widefield": padded(stack)[None, None]})
    whole = tuple(slice(n) for n in stack.shape)
    return np.asarray(np.maximum(found[0, 0][whole], 0), dtype=np.float32)


def padded(stack: FloatArray, least: Shape = STRIDE) -> FloatArray:
    """A stack (Z, Y, X) whose last voxels are repeated until its sizes are multiples of :data:`STRIDE`, and enough."""
    wanted = [max(n + -n % stride, few) for n, stride, few in zip(stack.shape, STRIDE, least, strict=True)]
    return np.pad(stack, [(0, size - n) for size, n in zip(wanted, stack.shape, strict=True)], mode="edge")


def by_package(package: Path, widefield: FloatArray, least: Shape, block: Shape | None = None) -> FloatArray:
    """What bioimageio.core makes of a stack (Z, Y, X): whole, or in blocks of so many voxels, halo included.

    ``least`` is the smallest stack that the package takes.
    """
    from bioimageio.core import predict as predict_package

    shape = None if block is None else {"widefield": {"batch": 1, "channel": 1, **dict(zip("zyx", block, strict=True))}}
    stack = padded(widefield, least)[None, None]
    found: Any = predict_package(model=package, inputs=stack, input_block_shape=shape)
    whole = tuple(slice(n) for n in widefield.shape)
    result: FloatArray = np.asarray(found.members["confocal"].data, dtype=np.float32)[0, 0][whole]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="generalist")
    parser.add_argument("--package", action="store_true")
    chosen = parser.parse_args()
    file = open_stack(NUCLEUS)
    confocal, widefield = (
        np.asarray(file.volume(channel).data[:, :, :], dtype=np.float32) for channel in (CONFOCAL, WIDEFIELD)
    )
    truth = scaled(confocal[INNER])
    rows: list[Row] = []

    def add(by: str, stack: FloatArray, seconds: float) -> None:
        found = score(scaled(aligned(stack)), truth)
        apart = stack - own
        rms = float(np.sqrt(np.mean(apart**2)) / own.std())
        scores = {"rmse": found.rmse_fit, "ssim": found.ssim_fit, "difference": float(np.abs(apart).max()), "rms": rms}
        rows.append({"by": by, **scores, "seconds": seconds})

    spacing = file.volume(WIDEFIELD).require_spacing_um()
    begin = time.perf_counter()
    own = predict(widefield, spacing_um=spacing, model=chosen.model, device="cpu", precision="float32").data
    add("napari-deep3d", own, time.perf_counter() - begin)
    with tempfile.TemporaryDirectory() as folder:
        onnx = Path(folder) / "model.onnx"
        print(export_model(chosen.model, onnx))
        begin = time.perf_counter()
        stack = as_the_card_says(onnx, widefield)
        add("onnxruntime, whole", stack, time.perf_counter() - begin)
        if chosen.package:
            package = Path(folder) / "model.zip"
            print(export_model(chosen.model, package))
            least = least_size(model_info(chosen.model).halo, STRIDE)
            for by, block in (("whole, mirrored by the halo", None), ("in blocks", BLOCK)):
                begin = time.perf_counter()
                stack = by_package(package, widefield, least, block)
                add(f"bioimageio.core, {by}", stack, time.perf_counter() - begin)
    print(markdown(rows, COLUMNS))


if __name__ == "__main__":
    main()
