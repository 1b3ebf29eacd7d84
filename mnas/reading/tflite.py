"""TFLite files as drafts: maps are (1, H, W, C), non-linearities may be attributes of other operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mnas.errors import FormatError, MnasError
from mnas.ir import Shape
from mnas.ir.layers import PoolKind
from mnas.lower.formats import parse_tflite, tflite_kinds
from mnas.ops.cell import Identity
from mnas.ops.primitive import Conv2d, Crop, Fused, GlobalPool, LinearOp, Pad, Pool2d
from mnas.reading.file import SMALL, FileNode, Tensor
from mnas.reading.parts import Draft, Drafting, Pads, Part, Reader, Refusal

_TYPES = {number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
_NUMBERS = {"float32": "<f4", "int32": "<i4", "int64": "<i8", "int8": "<i1", "uint8": "<u1"}
"""How the numbers of small constants are stored."""
_FUSED: dict[int, Fused] = {
    schema.ActivationFunctionType.NONE: "none", schema.ActivationFunctionType.RELU: "relu",
    schema.ActivationFunctionType.RELU6: "relu6", schema.ActivationFunctionType.RELU_N1_TO_1: "relu6",
}  # fmt: skip
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def draft_tflite(model: bytes) -> Draft:
    """Read the first graph of a TFLite file.

    Raises:
        FormatError: not a complete file, weights in other files, sizes other than the batch left open, a larger
            batch, or tables that contradict each other.
    """
    unpacked = parse_tflite(model)
    try:
        return _Tflite().draft(unpacked)
    except MnasError:
        raise
    except Exception as error:  # the bindings check nothing: any wrong index ends in any error
        raise FormatError(f"a damaged TFLite file ({len(model)} bytes): {type(error).__name__}: {error}") from None


def _shape(sizes: tuple[int, ...]) -> Shape | None:
    match sizes:
        case (1, h, w, c) if min(c, h, w) > 0:
            return Shape(c, h, w)
        case (1, c) if c > 0:
            return Shape(c, 1, 1)
    return None


class _Tflite(Drafting):
    def draft(self, model: Any) -> Draft:
        graph = model.subgraphs[0]
        if any(buffer.offset for buffer in model.buffers) or model.externalBuffers:
            raise FormatError("the weights lie outside the model's tables: such files are not read")
        names = _names([_text(tensor.name) for tensor in graph.tensors])
        self._types = {name: _TYPES.get(t.type, "unknown") for name, t in zip(names, graph.tensors, strict=True)}
        for name, tensor in zip(names, graph.tensors, strict=True):
            self.tensors[name] = _tensor(tensor, model.buffers[tensor.buffer], self._types[name])
        inputs, outputs = (tuple(names[i] for i in ends) for ends in (graph.inputs, graph.outputs))
        for name, i in zip(inputs, graph.inputs, strict=True):
            _check_input(name, graph.tensors[i])
        nodes = [_node(each, kind, names) for each, kind in zip(graph.operators, tflite_kinds(model), strict=False)]
        parts: list[Part] = []
        idle: list[str] = []
        readers = self._readers()
        for node in nodes:
            if self.varying(node) and node.operator != "SHAPE":
                parts += self._activated(node, self.read(node, readers))
                continue
            idle.append(node.name)
            for name in node.outputs:
                self.tensors[name] = self.tensors[name]._replace(constant=True)
        return Draft(inputs, outputs, self.tensors, parts, tuple(idle), self._dtype(nodes, inputs), folds=False)

    def _readers(self) -> dict[str, Reader]:
        return {
            "CONV_2D": self._conv, "DEPTHWISE_CONV_2D": self._depthwise, "FULLY_CONNECTED": self._linear,
            "RELU": self.activation("relu"), "RELU6": self.activation("relu6"), "LOGISTIC": self.activation("sigmoid"),
            "RELU_N1_TO_1": self.activation("relu6"), "RELU_0_TO_1": self.activation("relu6"),
            "HARD_SWISH": self.activation("hswish"), "ADD": self.elementwise("add"), "SUB": self.elementwise("sub"),
            "MUL": self.elementwise("mul"), "DIV": self.elementwise("div"), "CONCATENATION": self._concat,
            "AVERAGE_POOL_2D": self._pool, "MAX_POOL_2D": self._pool, "MEAN": self._global, "REDUCE_MAX": self._global,
            "PAD": self._pad, "PADV2": self._pad, "SLICE": self._slice,
            **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE"), self.reshaped),
        }  # fmt: skip

    def _dtype(self, nodes: Iterable[FileNode], inputs: tuple[str, ...]) -> str:
        """The type of what weighted operators give, and of their weights where it is another."""
        weighted = [node for node in nodes if node.operator in _WEIGHTED]
        given = {self._types[node.outputs[0]] for node in weighted} or {self._types[name] for name in inputs}
        given = {"int8" if name == "uint8" else name for name in given}
        held = {"int8" if self._types[node.inputs[1]] == "uint8" else self._types[node.inputs[1]] for node in weighted}
        dtype = " and ".join(sorted(given))
        return f"{dtype} with weights of {' and '.join(sorted(held - given))}" if held - given else dtype

    def _activated(self, node: FileNode, part: Part) -> list[Part]:
        """A part and the non-linearity that is an attribute of its operator."""
        number = node.attributes.get("fusedActivationFunction", 0)
        if part.op is None or _FUSED.get(number) == "none":
            return [part]
        if number not in _FUSED:
            return [replace(part, op=None, reason="no op has the non-linearity that is fused into it")]
        before = f"{node.outputs[0]} before its non-linearity"
        self.tensors[before] = self.tensors[node.outputs[0]]
        after = self.activation(_FUSED[number])(replace(node, inputs=(before,)))
        return [replace(part, values=(before,)), replace(after, nodes=())]

    def _conv(self, node: FileNode) -> Part:
        x = self.shape(node.inputs[0])
        out, kh, kw, read = self._weights(node)
        return self.part(node, Conv2d(out, kh, kw, *_sliding(node), groups=x.c // read), pads=_pads(node))

    def _depthwise(self, node: FileNode) -> Part:
        x = self.shape(node.inputs[0])
        _, kh, kw, out = self._weights(node)
        return self.part(node, Conv2d(out, kh, kw, *_sliding(node), groups=x.c), pads=_pads(node))

    def _weights(self, node: FileNode) -> tuple[int, ...]:
        weight = self.tensors[node.inputs[1]]
        if not weight.constant or weight.sizes is None:
            raise Refusal("its weights are no constant")
        return weight.sizes

    def _linear(self, node: FileNode) -> Part:
        x, (out, read) = self.shape(node.inputs[0]), self._weights(node)
        if read == x.size:
            return self.part(node, LinearOp(out))
        if read == x.c:  # at every pixel
            return self.part(node, Conv2d(out))
        raise Refusal(f"it reads {read} numbers of {x}")

    def _concat(self, node: FileNode) -> Part:
        rank = len(self.tensors[node.outputs[0]].sizes or ())
        if node.attributes["axis"] not in (-1, rank - 1) or len(self.varying(node)) < len(node.inputs):
            raise Refusal("it concatenates other than values along their channels")
        return self.part(node, Identity(), join="cat")

    def _pool(self, node: FileNode) -> Part:
        x, kind, pads = self.shape(node.inputs[0]), _pool_kind(node), _pads(node)
        kernel = node.attributes["filterHeight"], node.attributes["filterWidth"]
        if pads and kernel == (x.h, x.w):
            return self.part(node, GlobalPool(kind))
        return self.part(node, Pool2d(kind, *kernel, *_sliding(node)[:2]), pads=pads)

    def _global(self, node: FileNode) -> Part:
        self.shape(node.inputs[0])
        rank = len(self.tensors[node.inputs[0]].sizes or ())
        if rank != len("NHWC") or sorted(axis % rank for axis in self.numbers(node, 1, "axes")) != [1, 2]:
            raise Refusal("it reduces other axes than height and width")
        return self.part(node, GlobalPool(_pool_kind(node)))

    def _pad(self, node: FileNode) -> Part:
        self.shape(node.inputs[0])
        match self.numbers(node, 1, "sizes"):
            case [0, 0, top, bottom, left, right, 0, 0]:
                return self.part(node, Pad(top, bottom, left, right))
            case sizes:
                raise Refusal(f"no op pads by {sizes}")

    def _slice(self, node: FileNode) -> Part:
        x, y = self.shape(node.inputs[0]), self.shape(node.outputs[0])
        match self.numbers(node, 1, "starts"):
            case [0, top, left, 0] if x.c == y.c:
                return self.part(node, Crop(top, x.h - y.h - top, left, x.w - y.w - left))
        raise Refusal("it slices other than a window of the map")


def _pool_kind(node: FileNode) -> PoolKind:
    return "max" if "MAX" in node.operator else "avg"


def _node(operator: Any, kind: str, names: list[str]) -> FileNode:
    inputs = tuple(names[i] if i >= 0 else "" for i in operator.inputs)
    outputs = tuple(names[i] for i in operator.outputs)
    return FileNode(outputs[0], kind, inputs, outputs, vars(operator.builtinOptions) if operator.builtinOptions else {})


def _names(given: list[str]) -> list[str]:
    """Names of tensors; those that are empty or not the only one are numbered."""
    times = Counter(given)
    return [name if name and times[name] == 1 else f"{name}#{i}" for i, name in enumerate(given)]


def _text(name: bytes | str | None) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name or ""


def _tensor(tensor: Any, buffer: Any, dtype: str) -> Tensor:
    sizes = tuple(int(size) for size in (tensor.shape if tensor.shape is not None else ()))
    if buffer.data is None or not len(buffer.data):
        return Tensor(sizes, _shape(sizes))
    array = None
    if dtype in _NUMBERS and len(buffer.data) <= SMALL * np.dtype(_NUMBERS[dtype]).itemsize:
        array = np.frombuffer(bytes(buffer.data), _NUMBERS[dtype])
        quantization = tensor.quantization
        if quantization is not None and quantization.scale is not None and len(quantization.scale) == 1:
            array = (array.astype(np.float64) - quantization.zeroPoint[0]) * quantization.scale[0]
    return Tensor(sizes, _shape(sizes), True, array)


def _check_input(name: str, tensor: Any) -> None:
    signature = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    sizes = [int(size) for size in (signature if signature is not None else ())]
    if any(size < 1 for size in sizes[1:]):
        raise FormatError(f"input {name!r} has the dynamic shape {sizes}: convert the model with fixed sizes")
    if sizes and sizes[0] > 1:
        raise FormatError(f"input {name!r} has batch {sizes[0]}: only batch 1 is priced")


def _sliding(node: FileNode) -> tuple[int, int, int, int]:
    """Stride and dilation."""
    a = node.attributes
    return a["strideH"], a["strideW"], a.get("dilationHFactor", 1), a.get("dilationWFactor", 1)


def _pads(node: FileNode) -> Pads | None:
    return None if node.attributes["padding"] == schema.Padding.SAME else (0, 0, 0, 0)
