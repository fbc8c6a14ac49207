"""The bundled model as ONNX and as a package of bioimage.io: what other programs make of the real nucleus with it.

Usage: python -m benchmarks.prediction.exported [--model NAME_OR_FILE] [--package]

Needs ``pip install "napari-deep3d[export]"``. Scores as in nucleus.py: RMSE and SSIM of the aligned stack after the
best scale and offset. ``difference`` is the largest one from the program's own prediction, whose brightest structures
are about 1, and ``rms`` the root mean square of all, as a share of that prediction's standard deviation. With
``--package`` bioimage.io's own library predicts it, too, cut into blocks of several sizes (its size parameter n).
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
from napari_deep3d.core import FloatArray
from napari_deep3d.core.evaluation.metrics import score
from napari_deep3d.io import open_stack

STRIDE = (4, 16, 16)
BLOCKS = (10, 4)
"""The size parameter. For the bundled model 68 x 272 x 272 voxels (what bioimageio.core takes by itself, and more than
the nucleus: it is mirrored beyond its ends), and 44 x 176 x 176."""
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
    missing = [(0, -n % stride) for n, stride in zip(stack.shape, STRIDE, strict=True)]
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"widefield": np.pad(stack, missing, mode="edge")[None, None]})
    whole = tuple(slice(n) for n in stack.shape)
    return np.asarray(np.maximum(found[0, 0][whole], 0), dtype=np.float32)


def by_blocks(package: Path, widefield: FloatArray, n: int) -> FloatArray:
    """What bioimageio.core makes of a stack (Z, Y, X) in blocks of its size parameter ``n``."""
    from bioimageio.core import predict as predict_package

    found: Any = predict_package(model=package, inputs=widefield[None, None], blocksize_parameter=n)
    return np.asarray(found.members["confocal"].data, dtype=np.float32)[0, 0]


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
            for n in BLOCKS:
                begin = time.perf_counter()
                stack = by_blocks(package, widefield, n)
                add(f"bioimageio.core, n = {n}", stack, time.perf_counter() - begin)
    print(markdown(rows, COLUMNS))


if __name__ == "__main__":
    main()
