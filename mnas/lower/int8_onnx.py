"""ONNX files in 8 bits, by ONNX Runtime's quantizer: every tensor is quantised and dequantised again (QDQ).

The runtime fuses these pairs with the operators between them when it loads the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from mnas.lower.quantize import Range, Samples, kernel_scales, ranges
from mnas.lower.weights import Array

_INFERRED = "onnx.infer"
"""Metadata by which the quantizer knows that shapes are inferred; without it, it goes through a file."""


def quantize_onnx(model: bytes, samples: Samples, *, row: bool) -> bytes:
    """Turn a float32 file of ours into 8 bits, inputs and outputs too.

    Args:
        model: the file.
        samples: for the ranges.
        row: the file is a row of a table. ONNX Runtime keeps 8-bit maps between convolutions as (N, H, W, C) and
            transposes them at both ends of a file; those of a row with a convolution are such maps already, so that
            it is not charged for what a network does not do.
    """
    proto = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(model))
    found = ranges(_runs(proto, samples))
    _quantize_weights(proto, found)
    helper.set_model_props(proto, _properties(proto) | {_INFERRED: "onnxruntime.quant"})
    work = QDQQuantizer(
        proto,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, {name: _float32(seen) for name, seen in found.items()}),
        nodes_to_quantize=[],
        nodes_to_exclude=[],
        op_types_to_quantize=list({node.op_type for node in proto.graph.node} - {"DequantizeLinear"}),
        extra_options={"ForceQuantizeNoInputCheck": True},
    )
    for value in proto.graph.input:
        work.quantize_activation_tensor(value.name)
    quantized = work.quantize_model()
    work.model.topological_sort()
    properties = _properties(quantized)
    del properties[_INFERRED]
    ends = _Ends(quantized)
    properties |= ends.strip()
    if row and any(node.op_type == "Conv" for node in quantized.graph.node):
        ends.transpose()
    helper.set_model_props(quantized, dict(sorted(properties.items())))
    return bytes(quantized.SerializeToString(deterministic=True))


def _float32(seen: Range) -> tuple[np.float32, np.float32]:
    return np.float32(seen.low), np.float32(seen.high)


def _quantize_weights(proto: ModelProto, found: Mapping[str, Range]) -> None:
    """Quantise the kernels of convolutions and linear layers per output channel, as the library would one by one.

    Doing all channels at once takes a sixth of the time.
    """
    constants = {constant.name: constant for constant in proto.graph.initializer}
    for node in [node for node in proto.graph.node if node.op_type in ("Conv", "Gemm")]:
        x, name, bias = node.input
        weight = numpy_helper.to_array(constants[name])
        scale = kernel_scales(weight, numpy_helper.to_array(constants[bias]), found[x])
        per_channel = scale.reshape(-1, *[1] * (weight.ndim - 1))
        integers = np.clip(np.rint(weight / per_channel), -127, 127).astype(np.int8)
        proto.graph.initializer.remove(constants[name])
        numbers: dict[str, NDArray[Any]] = {
            f"{name}.int8": integers,
            f"{name}.scale": scale,
            f"{name}.zero_point": np.zeros(len(scale), np.int8),
        }
        proto.graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in numbers.items())
        proto.graph.node.insert(0, helper.make_node("DequantizeLinear", list(numbers), [name], axis=0))
        shown = helper.make_tensor_value_info(name, TensorProto.FLOAT, weight.shape)
        proto.graph.value_info.append(shown)


def _properties(proto: ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in proto.metadata_props}


def _runs(proto: ModelProto, samples: Samples) -> Iterator[dict[str, Array]]:
    """All activations of the model for one sample after the other."""
    watched = ModelProto()
    watched.CopyFrom(proto)
    known = {value.name for value in watched.graph.output}
    watched.graph.output.extend(value for value in watched.graph.value_info if value.name not in known)
    options = _options(ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
    session = ort.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs() if value.type == "tensor(float)"]
    for maps in zip(*samples, strict=True):
        feed = {name: value[None] for name, value in zip(inputs, maps, strict=True)}
        yield feed | dict(zip(outputs, session.run(outputs, feed), strict=True))


def _options(level: Any) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = level
    return options


class _Ends:
    """Where a quantised graph meets the world: it reads and gives float32 until these are stripped."""

    def __init__(self, proto: ModelProto) -> None:
        self.graph = proto.graph
        self.constants = {constant.name: constant for constant in self.graph.initializer}

    def strip(self) -> dict[str, str]:
        """Let inputs and outputs be the quantised tensors; give back their scales and zero points as metadata."""
        found: dict[str, str] = {}
        for value in self.graph.input:
            readers = [node for node in self.graph.node if value.name in node.input]
            for node in readers:
                if node.op_type == "QuantizeLinear":
                    found |= self._quantised(value, node)
                    self.graph.node.remove(node)
                    self._rename(node.output[0], value.name)
            value.type.tensor_type.elem_type = TensorProto.UINT8
        for value in self.graph.output:
            (node,) = (node for node in self.graph.node if value.name in node.output)
            found |= self._quantised(value, node)
            self.graph.node.remove(node)
            self._rename(node.input[0], value.name)
            value.type.tensor_type.elem_type = TensorProto.UINT8
        return found

    def transpose(self) -> None:
        """Let the maps among inputs and outputs be (N, H, W, C)."""
        for value in self.graph.input:
            if _to_channels_last(value):
                inner = f"{value.name}.chw"
                self._rename(value.name, inner)
                self.graph.node.insert(0, helper.make_node("Transpose", [value.name], [inner], perm=(0, 3, 1, 2)))
        for value in self.graph.output:
            if _to_channels_last(value):
                inner = f"{value.name}.chw"
                self._rename(value.name, inner)
                self.graph.node.append(helper.make_node("Transpose", [inner], [value.name], perm=(0, 2, 3, 1)))

    def _quantised(self, value: ValueInfoProto, node: NodeProto) -> dict[str, str]:
        scale, zero_point = (numpy_helper.to_array(self.constants[name]).item() for name in node.input[1:3])
        return {f"{value.name}.scale": f"{scale:.9g}", f"{value.name}.zero_point": str(zero_point)}

    def _rename(self, old: str, new: str) -> None:
        for node in self.graph.node:
            for names in (node.input, node.output):
                names[:] = [new if name == old else name for name in names]


def _to_channels_last(value: ValueInfoProto) -> bool:
    """Reorder the axes of a map; False for what is none."""
    sizes = value.type.tensor_type.shape.dim
    if len(sizes) != 4:
        return False
    sizes.append(sizes.pop(1))
    return True


def float_kinds(model: bytes) -> list[str]:
    """The operators that ONNX Runtime leaves in float32 when it loads a file on this host, conversions among them."""
    options = _options(ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    with TemporaryDirectory(prefix="mnas-optimised-") as folder:
        options.optimized_model_filepath = str(Path(folder) / "model.onnx")
        ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        graph = onnx.load(options.optimized_model_filepath).graph
    floats = {value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    found = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" or floats & set(node.input):
            found.append(node.op_type)
            floats.update(node.output if node.op_type != "QuantizeLinear" else ())
    return found
