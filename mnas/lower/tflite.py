"""The nine words in TFLite: maps are (1, H, W, C) end to end, batch norms and activations are fused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mnas.ir import Network, Shape
from mnas.ir.layers import Act, Activation, Conv, Linear, Norm, Pair, Pool, Window, Zero
from mnas.lower.flatbuffer import pack, sizes
from mnas.lower.fold import Step
from mnas.lower.graph import Graph, Operator, Value, scalar
from mnas.lower.padding import cropped, pixels
from mnas.lower.weights import Weights

_SAME = schema.Padding.SAME
_GLOBAL = {"avg": "MEAN", "max": "REDUCE_MAX"}
_POOLS = {"avg": "AVERAGE_POOL_2D", "max": "MAX_POOL_2D"}
_ACTIVATIONS: dict[Activation, str] = {"relu": "RELU", "relu6": "RELU6", "hswish": "HARD_SWISH", "sigmoid": "LOGISTIC"}
_FUSED = {"RELU": schema.ActivationFunctionType.RELU, "RELU6": schema.ActivationFunctionType.RELU6}
_FUSING = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MUL", "AVERAGE_POOL_2D", "MAX_POOL_2D"})


def to_tflite(network: Network, weights: Weights, *, metadata: Mapping[str, str] | None = None) -> bytes:
    """Write a network as a TFLite file of batch 1.

    Its signature `serving_default` has the inputs `image` (or `image0`, `image1`, ...) and the output `logits` (or
    `logits0`, `logits1`, ...).

    Args:
        network: an architecture, a placement, or a bundle.
        weights: from `initial_weights`, or `mnas.lower.torch.weights_of` a trained network.
        metadata: strings that travel in the file.

    Raises:
        ShapeError: the weights are not of this network.
    """
    graph = _TfliteGraph(network, weights)
    outputs = graph.write()
    graph.operators = _fuse(graph.operators)
    return pack(graph, outputs, metadata or {})


def _fuse(operators: dict[str, Operator]) -> dict[str, Operator]:
    """Move activations into the operators whose results they alone read."""
    readers = Counter(name for operator in operators.values() for name in operator.inputs)
    kept: dict[str, Operator] = {}
    for name, operator in operators.items():
        maker = kept.get(operator.inputs[0])
        fusable = maker and maker.kind in _FUSING and "fusedActivationFunction" not in maker.attributes
        if maker and fusable and operator.kind in _FUSED and readers[maker.output.name] == 1:
            fused = {"fusedActivationFunction": _FUSED[operator.kind]}
            kept.pop(maker.output.name)
            kept[name] = Operator(maker.kind, maker.inputs, operator.output, maker.attributes | fused)
        else:
            kept[name] = operator
    return kept


class _TfliteGraph(Graph):
    joins = {"add": "ADD", "mul": "MUL", "cat": "CONCATENATION"}  # noqa: RUF012 (ClassVar of the base)
    channel_axis = 3

    def step(self, step: Step, value: Value) -> Value:  # noqa: C901 (one case per word)
        name = f"n{step.path}"
        y = Value(name, step.y)
        match step.layer:
            case Conv(_, _, stride, dilation, groups):
                depthwise = 1 < groups == step.x.c
                kernel = step.weight.transpose(1, 2, 3, 0) if depthwise else step.weight.transpose(0, 2, 3, 1)
                attributes = _strided(stride) | {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
                if depthwise:
                    attributes["depthMultiplier"] = step.y.c // step.x.c
                numbers = self.numbers(name, kernel, step.bias)
                kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
                return self.emit(kind, [self.as_map(value).name, *numbers], y, attributes)
            case Norm():
                scale, shift = self.constant(f"{name}.scale", step.weight), self.constant(f"{name}.shift", step.bias)
                scaled = self.emit("MUL", [value.name, scale], Value(f"{name}.scaled", step.y, value.flat))
                return self.emit("ADD", [scaled.name, shift], y._replace(flat=value.flat))
            case Act("hsigmoid"):
                three, sixth = self.constant("three", scalar(3)), self.constant("sixth", scalar(1 / 6))
                moved = self.emit("ADD", [value.name, three], Value(f"{name}.plus3", step.y, value.flat))
                clipped = self.emit("RELU6", [moved.name], Value(f"{name}.relu6", step.y, value.flat))
                return self.emit("MUL", [clipped.name, sixth], y._replace(flat=value.flat))
            case Act(kind):
                return self.emit(_ACTIVATIONS[kind], [value.name], y._replace(flat=value.flat))
            case Pool(kind, None):
                axes = self.constant("map_axes", np.array([1, 2], np.int32))
                return self.emit(_GLOBAL[kind], [self.as_map(value).name, axes], y, {"keepDims": True})
            case Pool("avg", (_, _) as kernel, stride) if _miscounted(step.x, kernel, stride):
                ones = np.ones((step.x.c, 1, *kernel), np.float32)
                total = Conv(step.x.c, kernel, stride, groups=step.x.c)
                summed = self.step(Step(total, step.x, f"{step.path}.sum", ones, ones[:, 0, 0, 0] * 0), value)
                shares = 1 / pixels(step.x, kernel, stride)[None, :, :, None]
                return self.emit("MUL", [summed.name, self.constant(f"{name}.shares", shares)], y)
            case Pool(kind, (height, width), stride):
                attributes = _strided(stride) | {"filterHeight": height, "filterWidth": width}
                return self.emit(_POOLS[kind], [self.as_map(value).name], y, attributes)
            case Linear():
                numbers = self.numbers(name, step.weight, step.bias)
                return self.emit("FULLY_CONNECTED", [value.name, *numbers], y._replace(flat=True))
            case Window():
                return self._window(step.layer, self.as_map(value), name)
            case Zero():
                y = Value(f"zeros.{step.y}", step.y)
                self.constant(y.name, np.zeros(sizes(y), np.float32))
                return y
        raise AssertionError(step.layer)

    def finish(self, value: Value, name: str) -> Value:
        flat = value.shape[1:] == (1, 1)
        if flat != value.flat or value.name not in self.operators:
            return self._reshape(value, value._replace(name=name, flat=flat))
        return self.rename_output(value, name)

    def as_map(self, value: Value) -> Value:
        return self._reshape(value, Value(f"{value.name}.map", value.shape)) if value.flat else value

    def _reshape(self, value: Value, y: Value) -> Value:
        shape = np.array(sizes(y), np.int32)
        target = self.constant(f"shape.{'x'.join(map(str, shape))}", shape)
        return self.emit("RESHAPE", [value.name, target], y, {"newShape": shape})

    def _window(self, window: Window, value: Value, name: str) -> Value:
        x = value.shape
        start, end, before, after = cropped(window, x)
        if (start, end) != ((0, 0), (x.h, x.w)):
            crop = Value(f"{name}.crop", Shape(x.c, end[0] - start[0], end[1] - start[1]))
            begin = self.constant(f"{name}.begin", np.array([0, *start, 0], np.int32))
            size = self.constant(f"{name}.size", np.array(sizes(crop), np.int32))
            value = self.emit("SLICE", [value.name, begin, size], crop)
        if any((*before, *after)):
            pads = np.array([(0, 0), *zip(before, after, strict=True), (0, 0)], np.int32)
            y = Value(f"{name}.pad", window.out_shape(x))
            value = self.emit("PAD", [value.name, self.constant(f"{name}.pads", pads)], y)
        return value


def _miscounted(x: Shape, kernel: Pair, stride: Pair) -> bool:
    """Whether XNNPACK may divide an average by a wrong number: large strided windows that exceed the map.

    Seen in LiteRT 2.3, such as for 7x7 with stride 2 on a 5x5 map; never with kernels below 7.
    """
    return any(s > 1 and k > max(size, 6) for s, k, size in zip(stride, kernel, (x.h, x.w), strict=True))


def _strided(stride: Pair) -> dict[str, Any]:
    return {"padding": _SAME, "strideH": stride[0], "strideW": stride[1]}
