"""The nine words in ONNX: maps are (N, C, H, W), pads are asymmetric attributes, batch norms are folded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

from mnas.ir import Network, Shape
from mnas.ir.layers import Act, Conv, Linear, Norm, Pair, Pool, Window, Zero
from mnas.lower.fold import Step
from mnas.lower.graph import Graph, Value, scalar
from mnas.lower.padding import cropped, same
from mnas.lower.weights import Weights

OPSET = 20
_IR_VERSION = 9
_GLOBAL = {"avg": "GlobalAveragePool", "max": "GlobalMaxPool"}
_POOLS = {"avg": "AveragePool", "max": "MaxPool"}


def to_onnx(
    network: Network, weights: Weights, *, metadata: Mapping[str, str] | None = None, dynamic_batch: bool = False
) -> bytes:
    """Write a network as an ONNX file: inputs `image` (or `image0`, `image1`, ...), output `logits` (`logits0`, ...).

    Args:
        network: an architecture, a placement, or a bundle.
        weights: from `initial_weights`, or `mnas.lower.torch.weights_of` a trained network.
        metadata: strings that travel in the file.
        dynamic_batch: leave the batch open; else it is 1.

    Raises:
        ShapeError: the weights are not of this network.
    """
    graph = _OnnxGraph(network, weights, dynamic_batch=dynamic_batch)
    outputs = [graph.describe(value) for value in graph.write()]
    nodes = [
        helper.make_node(o.kind, o.inputs, [o.output.name], name=f"{o.output.name}/{o.kind}", **o.attributes)
        for o in graph.operators.values()
    ]
    constants = [numpy_helper.from_array(array, name) for name, array in graph.constants.items()]
    inputs = [graph.describe(value) for value in graph.inputs]
    body = helper.make_graph(nodes, "mnas", inputs, outputs, constants)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(body, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="mnas")
    if metadata:
        helper.set_model_props(model, dict(sorted(metadata.items())))
    return bytes(model.SerializeToString(deterministic=True))


@dataclass
class _OnnxGraph(Graph):
    joins = {"add": "Add", "mul": "Mul", "cat": "Concat"}  # noqa: RUF012 (ClassVar of the base)
    channel_axis = 1
    dynamic_batch: bool = False

    def describe(self, value: Value) -> ValueInfoProto:
        """Name, type and shape of an input or output."""
        batch = "batch" if self.dynamic_batch else 1
        sizes = value.shape[:1] if value.flat else value.shape
        return helper.make_tensor_value_info(value.name, TensorProto.FLOAT, [batch, *sizes])

    def step(self, step: Step, value: Value) -> Value:  # noqa: C901 (one case per word)
        name = f"n{step.path}"
        y = Value(name, step.y)
        match step.layer:
            case Conv(_, kernel, stride, dilation, groups):
                attributes = {"dilations": dilation, "group": groups} | _sliding(step.x, kernel, stride, dilation)
                numbers = self.numbers(name, step.weight, step.bias)
                return self.emit("Conv", [self.as_map(value).name, *numbers], y, attributes)
            case Norm():
                per_channel = (-1,) if value.flat else (-1, 1, 1)
                scale = self.constant(f"{name}.scale", step.weight.reshape(per_channel))
                shift = self.constant(f"{name}.shift", step.bias.reshape(per_channel))
                scaled = self.emit("Mul", [value.name, scale], Value(f"{name}.scaled", step.y, value.flat))
                return self.emit("Add", [scaled.name, shift], y._replace(flat=value.flat))
            case Act(kind):
                y = y._replace(flat=value.flat)
                match kind:
                    case "relu":
                        return self.emit("Relu", [value.name], y)
                    case "relu6":
                        limits = [self.constant("zero", scalar(0)), self.constant("six", scalar(6))]
                        return self.emit("Clip", [value.name, *limits], y)
                    case "hswish":
                        return self.emit("HardSwish", [value.name], y)
                    case "hsigmoid":
                        return self.emit("HardSigmoid", [value.name], y, {"alpha": 1 / 6, "beta": 0.5})
                    case "sigmoid":
                        return self.emit("Sigmoid", [value.name], y)
            case Pool(kind, None):
                return self.emit(_GLOBAL[kind], [self.as_map(value).name], y)
            case Pool(kind, (_, _) as kernel, stride):
                attributes = _sliding(step.x, kernel, stride, (1, 1))
                if kind == "avg":
                    attributes["count_include_pad"] = 0
                return self.emit(_POOLS[kind], [self.as_map(value).name], y, attributes)
            case Linear():
                numbers = self.numbers(name, step.weight, step.bias)
                return self.emit("Gemm", [self._flat(value).name, *numbers], y._replace(flat=True), {"transB": 1})
            case Window():
                return self._window(step.layer, self.as_map(value), name)
            case Zero():
                return self._zeros(y)
        raise AssertionError(step.layer)

    def finish(self, value: Value, name: str) -> Value:
        if value.shape[1:] == (1, 1):
            value = self._flat(value)
        if value.name not in self.operators:
            return self.emit("Identity", [value.name], value._replace(name=name))
        return self.rename_output(value, name)

    def _flat(self, value: Value) -> Value:
        flat = Value(f"{value.name}.flat", value.shape, flat=True)
        return value if value.flat else self.emit("Flatten", [value.name], flat)

    def as_map(self, value: Value) -> Value:
        if not value.flat:
            return value
        axes = self.constant("map_axes", np.array([2, 3], np.int64))
        return self.emit("Unsqueeze", [value.name, axes], Value(f"{value.name}.map", value.shape))

    def _window(self, window: Window, value: Value, name: str) -> Value:
        x, axes = value.shape, np.array([2, 3], np.int64)
        starts, ends, before, after = cropped(window, x)
        if (starts, ends) != ((0, 0), (x.h, x.w)):
            limits = {"starts": np.array(starts, np.int64), "ends": np.array(ends, np.int64), "axes": axes}
            names = [self.constant(f"{name}.{key}", array) for key, array in limits.items()]
            shape = Shape(x.c, ends[0] - starts[0], ends[1] - starts[1])
            value = self.emit("Slice", [value.name, *names], Value(f"{name}.crop", shape))
        if any((*before, *after)):
            pads = self.constant(f"{name}.pads", np.array([0, 0, *before, 0, 0, *after], np.int64))
            value = self.emit("Pad", [value.name, pads], Value(f"{name}.pad", window.out_shape(x)))
        return value

    def _zeros(self, y: Value) -> Value:
        if not self.dynamic_batch:
            return Value(self.constant(f"zeros.{y.shape}", np.zeros((1, *y.shape), np.float32)), y.shape)
        batch = self.emit("Shape", [self.inputs[0].name], Value(f"{y.name}.batch", y.shape), {"start": 0, "end": 1})
        rest = self.constant(f"shape.{y.shape}", np.array(y.shape, np.int64))
        whole = self.emit("Concat", [batch.name, rest], Value(f"{y.name}.shape", y.shape), {"axis": 0})
        return self.emit("ConstantOfShape", [whole.name], y)


def _sliding(x: Shape, kernel: Pair, stride: Pair, dilation: Pair) -> dict[str, object]:
    (top, bottom), (left, right) = same(x, kernel, stride, dilation)
    return {"kernel_shape": kernel, "strides": stride, "pads": (top, left, bottom, right)}
