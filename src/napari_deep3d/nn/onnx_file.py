"""A model as an ONNX file, for programs that know no torch, and back again. Never a pickle.

The file holds the generator made of standard operators alone (Conv, InstanceNormalization, Relu, MaxPool, Resize,
Concat, Add), its weights under their own names, and the header of the model file, from which the model is read again.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (the name everybody uses)
from torch import nn

from napari_deep3d.core import FloatArray, InputError, Shape
from napari_deep3d.nn.generator import EPSILON, STRIDE, Generator, ResidualBlock, Up, enlarge_linear
from napari_deep3d.nn.model_file import HEADER_KEY, ModelInfo, parse_header, with_weights

INSTALL = 'pip install "napari-deep3d[export]"'
INPUT, OUTPUT = "widefield", "confocal"
"""Names of the network's input and output, axes (N, C, Z, Y, X)."""
OPSET = 18
"""Version of ONNX's operators: what torch's exporter writes by itself."""
MAX_BYTES = 2**31 - 1
"""Protobuf, in which ONNX is written, holds no more."""


def library(name: str) -> ModuleType:
    """Import a library that only exporting needs; InputError with the line that installs it if it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"exported models need the package {name.partition('.')[0]}, which cannot be imported here: {INSTALL}"
        ) from error


def write_onnx(path: Path, generator: Generator, info: ModelInfo, about: str) -> None:
    """Write a model as ONNX: float32 weights, sizes N, Z, Y, X free, Z, Y, X in multiples of ``STRIDE``.

    Parameters
    ----------
    path
        File to write.
    generator, info
        The network, and the header that is written into the file.
    about
        What to know in order to use it; a text within the file.

    Raises
    ------
    InputError
        If a library is missing, or the network is too large for the format.
    """
    onnx = library("onnx")
    library("onnxscript")
    if 4 * sum(weight.numel() for weight in generator.parameters()) > 0.9 * MAX_BYTES:
        raise InputError(
            f"the network of {info.name} is larger than an ONNX file can hold, 2 GB. Share the model file."
        )
    dims = [torch.export.Dim(axis, min=1) for axis in ("n", "z", "y", "x")]
    shapes = {0: dims[0], **{axis: n * dim for axis, n, dim in zip((2, 3, 4), STRIDE, dims[1:], strict=True)}}
    example = torch.zeros(2, generator.channels_in, *(2 * stride for stride in STRIDE))  # sizes of 1 count as fixed
    with _quiet():
        program = torch.onnx.export(
            standard_layers(generator),
            (example,),
            dynamo=True,
            dynamic_shapes=(shapes,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            optimize=False,  # it would leave out weights that are equal or zero, which reading back needs
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _forget_where_it_was_made(model)
    model.doc_string = about
    onnx.helper.set_model_props(model, {HEADER_KEY: info.model_dump_json(by_alias=True)})
    path.write_bytes(model.SerializeToString())


def standard_layers(generator: Generator) -> nn.Module:
    """A copy that computes the same by layers for which other programs have an operator of their own."""
    copied = copy.deepcopy(generator).float().eval()
    for module in copied.modules():
        if isinstance(module, ResidualBlock):
            weight = cast(torch.Tensor, module.norm.weight)
            norm = nn.InstanceNorm3d(len(weight), EPSILON, affine=True)
            norm.load_state_dict(module.norm.state_dict())
            module.norm = norm.eval()
        if isinstance(module, Up) and module.enlarge is enlarge_linear:
            module.enlarge = _resize
    return copied


def _resize(x: torch.Tensor, factor: Shape) -> torch.Tensor:
    return F.interpolate(x, scale_factor=tuple(float(f) for f in factor), mode="trilinear", align_corners=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporter says about itself."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _forget_where_it_was_made(model: Any) -> None:
    """Take the exporter's notes out: they tell the folders of this computer."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""


def run_onnx(path: Path, stack: FloatArray) -> FloatArray:
    """What onnxruntime makes, on the processor, of a normalised stack (Z, Y, X), its sizes multiples of ``STRIDE``."""
    runtime = library("onnxruntime")
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (result,) = session.run([OUTPUT], {INPUT: stack[None, None].astype(np.float32)})
    return cast(FloatArray, result[0, 0])


def read_onnx(file: Path, name: Path | None = None) -> tuple[Generator, ModelInfo]:
    """Read a model from the ONNX file that :func:`write_onnx` made of it: as :func:`load_model` reads a model file.

    Nothing in the file is executed, and no other file that it names is opened. InputError if it is no such file; it
    speaks of ``name``, if that is given.
    """
    onnx, path = library("onnx"), name or file
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} is larger than an ONNX file can be, 2 GB. Get the file again.")
    try:
        model = onnx.load_model_from_string(file.read_bytes())
    except Exception as error:  # protobuf's parsers have errors of their own
        raise InputError(f"{path} is truncated or no ONNX file ({_brief(error)}). Get the file again.") from None
    header = {entry.key: entry.value for entry in model.metadata_props}.get(HEADER_KEY)
    if header is None:
        raise InputError(
            f"{path} is an ONNX file of another program; one that napari-deep3d exported is needed, since only that "
            "says how the network is built."
        )
    info = parse_header(path, header)
    return with_weights(path, info, _weights(path, model.graph.initializer, onnx)), info


def _weights(path: Path, tensors: Any, onnx: ModuleType) -> dict[str, torch.Tensor]:
    """The weights, by name; what the exporter added for itself has no point in its name."""
    weights = {}
    for tensor in tensors:
        if "." not in tensor.name:
            continue
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise InputError(f"{path} keeps its weights in another file; one file with all is needed. Export it again.")
        try:
            weights[tensor.name] = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        except (ValueError, TypeError) as error:
            raise InputError(f"{path} has damaged weights ({_brief(error)}). Get the file again.") from None
    return weights


def _brief(error: Exception) -> str:
    return (str(error).partition("\n")[0] or type(error).__name__)[:160]
