"""TFLite files in int8, by ai-edge-quantizer; tensor names and metadata stay."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_litert.schema_py_generated import ModelT, QuantizationParametersT, TensorType
from ai_edge_quantizer import quantizer, recipe

from mnas.lower.flatbuffer import repack
from mnas.lower.formats import tflite_kinds
from mnas.lower.quantize import Range, Samples, kernel_scales, ranges
from mnas.lower.weights import Array

_RECIPE = recipe.static_wi8_ai8()
_CHANNEL_AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}


def quantize_tflite(model: bytes, samples: Samples) -> bytes:
    """Turn a float32 file of ours into int8, inputs and outputs too."""
    unpacked = ModelT.InitFromPackedBuf(model)
    seen = ranges(_runs(model, unpacked, samples))
    limits = {name: (np.full((1, 1, 1, 1), low), np.full((1, 1, 1, 1), high)) for name, (low, high) in seen.items()}
    limits |= _kernels(unpacked, seen)
    found = {name: {"min": np.float32(low), "max": np.float32(high)} for name, (low, high) in limits.items()}
    with warnings.catch_warnings(), redirect_stderr(StringIO()):  # it draws progress bars for larger models
        warnings.filterwarnings("ignore", "Warning: Enabling `experimental_preserve_all_tensors`", UserWarning)
        work = quantizer.Quantizer(bytearray(model), _RECIPE)
        done = work.quantize(found, enable_progress_bar=False, enable_progress_report=False)
    data = bytes(done.quantized_model)
    quantised = ModelT.InitFromPackedBuf(data)
    _quantise_unread(quantised.subgraphs[0])
    return repack(quantised, data)


def _runs(model: bytes, unpacked: Any, samples: Samples) -> Iterator[dict[str, Array]]:
    """All tensors that the model computes, and its zeros, for one sample after the other."""
    interpreter = Interpreter(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    graph = unpacked.subgraphs[0]
    computed = {*graph.inputs, *(index for operator in graph.operators for index in operator.outputs)}
    names = [tensor.name.decode() for tensor in graph.tensors]
    watched = {name: i for i, name in enumerate(names) if i in computed or name.startswith("zeros.")}
    inputs = [detail["index"] for detail in interpreter.get_input_details()]
    for maps in zip(*(np.ascontiguousarray(array.transpose(0, 2, 3, 1)) for array in samples), strict=True):
        for index, value in zip(inputs, maps, strict=True):
            interpreter.set_tensor(index, value[None])
        interpreter.invoke()
        yield {name: interpreter.get_tensor(index) for name, index in watched.items()}


def _kernels(unpacked: Any, seen: Mapping[str, Range]) -> dict[str, tuple[Array, Array]]:
    """Symmetric limits for every output channel of the kernels, by name."""
    graph, found = unpacked.subgraphs[0], {}
    for operator, kind in zip(graph.operators, tflite_kinds(unpacked), strict=True):
        if kind in _CHANNEL_AXES:
            x, kernel, bias = (graph.tensors[index] for index in operator.inputs)
            numbers, shifts = (unpacked.buffers[tensor.buffer].data.view(np.float32) for tensor in (kernel, bias))
            by_channel = np.moveaxis(numbers.reshape(kernel.shape), _CHANNEL_AXES[kind], 0)
            shape = np.ones(len(kernel.shape), int)
            shape[_CHANNEL_AXES[kind]] = -1
            largest = 127 * kernel_scales(by_channel, shifts, seen[x.name.decode()]).reshape(shape)
            found[kernel.name.decode()] = (-largest, largest)
    return found


def _quantise_unread(graph: Any) -> None:
    """Make int8 of an input that nothing reads, such as that of a lone zero."""
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if tensor.type == TensorType.FLOAT32 and not any(index in operator.inputs for operator in graph.operators):
            tensor.type = TensorType.INT8
            tensor.quantization = QuantizationParametersT(scale=[1.0], zeroPoint=[0])


def float_kinds(model: Any) -> Iterator[str]:
    """The kinds of the operators of an unpacked file that read or give float32, conversions among them."""
    kinds = iter(tflite_kinds(model))
    for graph in model.subgraphs:
        floats = [tensor.type == TensorType.FLOAT32 for tensor in graph.tensors]
        for operator in graph.operators:
            kind = next(kinds)
            if any(floats[index] for index in (*operator.inputs, *operator.outputs) if index >= 0):
                yield kind
