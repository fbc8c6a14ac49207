"""The same pass of the bundled network by several engines: PyTorch, slab by slab and at once, ONNX Runtime, OpenVINO.

Usage: pip install onnx onnxruntime onnxscript openvino
       python -m benchmarks.prediction.engines [--shape 48,256,256] [--repeats 3] [--table docs/data/engines.csv]

The norms are folded, as for a tile of a large stack, so that what is left are convolutions, pooling and nearest-voxel
interpolation, which all engines have. Each pass is a process of its own, the shortest of some repeats counts; memory is
its largest resident set. The difference is the root mean square of that from PyTorch in float32, as a share of the
deviation of its answer. int8 is ONNX Runtime's static quantisation of the convolutions, calibrated with the stack
itself. An engine that is not installed, or fails, is left out with the reason.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from benchmarks.prediction.large import peak_gb
from napari_deep3d.core import Box, FloatArray, finish
from napari_deep3d.data import THICK_WIDEFIELD
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.models.store import find_model
from napari_deep3d.nn import slabs
from napari_deep3d.nn.folded_network import FoldedNetwork, on_device
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.model_file import load_model

Pass = Callable[[FloatArray], FloatArray]
"""Maps what the network sees, axes (Z, Y, X), to its answer."""
COLUMNS = {
    "": "{engine}",
    "s": "{seconds:.2f}",
    "Mvoxel/s": "{mvoxel_per_second:.2f}",
    "memory, GB": "{peak_gb:.1f}",
    "difference": "{difference:.1%}",
    "ready after, s": "{ready_seconds:.0f}",
}
INPUT, OUTPUT = "widefield", "confocal"


def stack_of(shape: tuple[int, ...]) -> FloatArray:
    """The bundled sample on a scale from 0 to 1, mirrored until it fills a shape (Z, Y, X)."""
    voxels = np.asarray(open_stack(THICK_WIDEFIELD).volume().data[:, :, :], dtype=np.float32)
    low, high = np.percentile(voxels, (0.1, 99.9))
    missing = [(0, max(0, n - m)) for n, m in zip(shape, voxels.shape, strict=True)]
    whole = np.pad((voxels - np.float32(low)) / np.float32(high - low), missing, mode="symmetric")
    return np.ascontiguousarray(whole[tuple(slice(n) for n in shape)])


def folded(stack: FloatArray) -> Generator:
    """The bundled network with the norm statistics of a stack in it, float32."""
    generator = load_model(find_model("generalist"))[0].eval()
    return FoldedNetwork(generator, [stack], torch.device("cpu"), torch.float32).generator


def to_tensor(stack: FloatArray, dtype: torch.dtype) -> torch.Tensor:
    tensor = torch.from_numpy(stack)[None, None].to(dtype)
    return tensor.contiguous(memory_format=torch.channels_last_3d)


def by_slabs(generator: Generator, dtype: torch.dtype) -> Pass:
    ready = on_device(generator, torch.device("cpu"), dtype)

    def answer(stack: FloatArray) -> FloatArray:
        found = finish(slabs.run(ready, to_tensor(stack, dtype), Box.whole(stack.shape)))
        return np.asarray(found[0, 0].float().numpy())

    return answer


def at_once(generator: Generator, dtype: torch.dtype, *, compiled: bool = False) -> Pass:
    ready: Any = on_device(generator, torch.device("cpu"), dtype)
    if compiled:
        ready = torch.compile(ready)

    def answer(stack: FloatArray) -> FloatArray:
        with torch.inference_mode():
            return np.asarray(ready(to_tensor(stack, dtype))[0, 0].float().numpy())

    return answer


def exported(generator: Generator, stack: FloatArray, folder: Path) -> Path:
    """The folded network as an ONNX file for stacks of this shape."""
    file = folder / "folded.onnx"
    torch.onnx.export(
        generator,
        (torch.from_numpy(stack)[None, None],),
        file,
        dynamo=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
    )
    return file


def by_onnxruntime(file: Path) -> Pass:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda stack: np.asarray(session.run(None, {INPUT: stack[None, None]})[0][0, 0])


def quantised(file: Path, stack: FloatArray) -> Path:
    """The network with convolutions in int8, calibrated with the stack."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class OneStack(CalibrationDataReader):
        def __init__(self) -> None:
            self.left: list[dict[str, FloatArray]] = [{INPUT: stack[None, None]}]

        def get_next(self) -> dict[str, FloatArray] | None:
            return self.left.pop() if self.left else None

    made = file.with_name("int8.onnx")
    quantize_static(file, made, OneStack(), quant_format=QuantFormat.QDQ, op_types_to_quantize=["Conv"])
    return made


def by_openvino(file: Path, precision: str) -> Pass:
    import openvino

    core = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    model = core.compile_model(core.read_model(file), "CPU", hints)
    return lambda stack: np.array(model(stack[None, None])[0][0, 0])


Make = Callable[[Generator, FloatArray, Path], Pass]
ENGINES: Mapping[str, Make] = {
    "PyTorch, float32, at once": lambda g, _s, _f: at_once(g, torch.float32),
    "PyTorch, float32, slab by slab": lambda g, _s, _f: by_slabs(g, torch.float32),
    "PyTorch, bfloat16, at once": lambda g, _s, _f: at_once(g, torch.bfloat16),
    "PyTorch, bfloat16, slab by slab (this program)": lambda g, _s, _f: by_slabs(g, torch.bfloat16),
    "torch.compile, bfloat16": lambda g, _s, _f: at_once(g, torch.bfloat16, compiled=True),
    "ONNX Runtime, float32": lambda g, s, f: by_onnxruntime(exported(g, s, f)),
    "ONNX Runtime, int8": lambda g, s, f: by_onnxruntime(quantised(exported(g, s, f), s)),
    "OpenVINO, float32": lambda g, s, f: by_openvino(exported(g, s, f), "f32"),
    "OpenVINO, bfloat16": lambda g, s, f: by_openvino(exported(g, s, f), "bf16"),
}
REFERENCE = "PyTorch, float32, at once"


def measure(engine: str, shape: tuple[int, ...], repeats: int, answer_file: Path) -> dict[str, float]:
    """Make an engine's pass in this process and time it; its answer goes to a file."""
    stack = stack_of(shape)
    generator = folded(stack)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        answer = ENGINES[engine](generator, stack, Path(folder))
        found = answer(stack)
        ready = time.perf_counter() - start
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            answer(stack)
            times.append(time.perf_counter() - start)
    np.save(answer_file, found)
    return {"seconds": min(times), "ready_seconds": ready - min(times), "peak_gb": peak_gb()}


def measure_all(shape_text: str, repeats: int, folder: Path) -> list[Row]:
    """A row for each engine that there is."""
    voxels, rows = np.prod([int(n) for n in shape_text.split(",")]), list[Row]()
    answers = dict[str, FloatArray]()
    for engine in ENGINES:
        words = ["--shape", shape_text, "--repeats", str(repeats), "--step", engine, str(folder / "answer.npy")]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.prediction.engines", *words], capture_output=True, text=True
        )
        if done.returncode:
            print(f"{engine}: left out; {done.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        row = json.loads(done.stdout.strip().splitlines()[-1])
        answers[engine] = np.load(folder / "answer.npy")
        truth = answers[REFERENCE]
        difference = float(np.sqrt(np.mean((answers[engine] - truth) ** 2)) / truth.std())
        rows.append(
            {"engine": engine, "mvoxel_per_second": voxels / row["seconds"] / 1e6, "difference": difference, **row}
        )
        print(f"{engine}: {row['seconds']:.2f} s, {difference:.2%}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="48,256,256")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    add_table_option(parser)
    chosen = parser.parse_args()
    if chosen.step:
        shape = tuple(int(n) for n in chosen.shape.split(","))
        print(json.dumps(measure(chosen.step[0], shape, chosen.repeats, Path(chosen.step[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = measure_all(chosen.shape, chosen.repeats, Path(folder))
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
