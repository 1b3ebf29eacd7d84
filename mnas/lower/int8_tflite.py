"""TFLite files in int8, by ai-edge-quantizer; tensor names and metadata stay."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_litert.schema_py_generated import ModelT, TensorType
from ai_edge_quantizer import quantizer, recipe

from mnas.lower.formats import tflite_kinds
from mnas.lower.quantize import Samples, ranges
from mnas.lower.weights import Array

_RECIPE = recipe.static_wi8_ai8()


def quantize_tflite(model: bytes, samples: Samples) -> bytes:
    """Turn a float32 file of ours into int8, inputs and outputs too."""
    found = {
        name: {"min": np.full((1, 1, 1, 1), low, np.float32), "max": np.full((1, 1, 1, 1), high, np.float32)}
        for name, (low, high) in ranges(_runs(model, samples)).items()
    }
    with warnings.catch_warnings(), redirect_stderr(StringIO()):  # it draws progress bars for larger models
        warnings.filterwarnings("ignore", "Warning: Enabling `experimental_preserve_all_tensors`", UserWarning)
        work = quantizer.Quantizer(bytearray(model), _RECIPE)
        done = work.quantize(found, enable_progress_bar=False, enable_progress_report=False)
    return bytes(done.quantized_model)


def _runs(model: bytes, samples: Samples) -> Iterator[dict[str, Array]]:
    """All activations of the model for one sample after the other."""
    interpreter = Interpreter(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    graph = ModelT.InitFromPackedBuf(model).subgraphs[0]
    computed = [*graph.inputs, *(index for operator in graph.operators for index in operator.outputs)]
    tensors = {graph.tensors[index].name.decode(): int(index) for index in computed}
    inputs = [detail["index"] for detail in interpreter.get_input_details()]
    for maps in zip(*(np.ascontiguousarray(array.transpose(0, 2, 3, 1)) for array in samples), strict=True):
        for index, value in zip(inputs, maps, strict=True):
            interpreter.set_tensor(index, value[None])
        interpreter.invoke()
        yield {name: interpreter.get_tensor(index) for name, index in tensors.items()}


def float_kinds(model: Any) -> Iterator[str]:
    """The kinds of the operators of an unpacked file that read or give float32, conversions among them."""
    kinds = iter(tflite_kinds(model))
    for graph in model.subgraphs:
        floats = [tensor.type == TensorType.FLOAT32 for tensor in graph.tensors]
        for operator in graph.operators:
            kind = next(kinds)
            if any(floats[index] for index in (*operator.inputs, *operator.outputs) if index >= 0):
                yield kind
