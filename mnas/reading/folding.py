"""ONNX graphs with their small constants computed and the sizes of all values inferred.

Exporters write paddings and target shapes as arithmetic on constants and on the sizes of values.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from mnas.errors import FormatError
from mnas.reading.file import SMALL

_ARITHMETIC = frozenset({
    "Add", "Cast", "Ceil", "Concat", "ConstantOfShape", "Div", "Floor", "Gather", "Identity", "Mod", "Mul", "Neg",
    "Reshape", "Slice", "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Operators that are computed: on small constants, none gives a large one unless it says so in its inputs."""
_ROUNDS = 10
Array = NDArray[Any]


def settle(proto: ModelProto) -> tuple[ModelProto, list[str]]:
    """Check a model, compute its small constants and infer sizes, until nothing more is found.

    Returns:
        The model without the operators that were computed and without the numbers of large weights, and the names of
        those operators.

    Raises:
        FormatError: not a valid model.
    """
    gone: list[str] = []
    try:
        onnx.checker.check_model(proto)
        _drop_weights(proto.graph)
        for _ in range(_ROUNDS):
            proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
            computed = _computed(proto)
            gone += computed
            if not computed:
                break
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise FormatError(f"not a valid ONNX model: {' '.join(str(error).split())[:300]}") from None
    return proto, gone


def sizes_of(value: ValueInfoProto) -> tuple[int, ...] | None:
    """The axes of a value; nothing where one is open."""
    tensor = value.type.tensor_type
    fixed = tensor.HasField("shape") and all(size.HasField("dim_value") for size in tensor.shape.dim)
    return tuple(size.dim_value for size in tensor.shape.dim) if fixed else None


def small_array(tensor: TensorProto) -> Array | None:
    """The numbers of a small constant."""
    return numpy_helper.to_array(tensor) if prod(tensor.dims) <= SMALL else None


def node_name(node: NodeProto) -> str:
    """The name of a node, or that of what it gives."""
    return node.name or f"{node.op_type} of {', '.join(node.output)}"


def _drop_weights(graph: GraphProto) -> None:
    for tensor in graph.initializer:
        if prod(tensor.dims) > SMALL:
            kept = TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
            tensor.CopyFrom(kept)


def _computed(proto: ModelProto) -> list[str]:
    """Turn nodes whose inputs are small constants into constants; give back their names."""
    graph = proto.graph
    opsets = {entry.domain: entry.version for entry in proto.opset_import}
    known = {t.name: array for t in graph.initializer if (array := small_array(t)) is not None}
    sizes = {value.name: sizes_of(value) for value in (*graph.value_info, *graph.input)}
    rest: list[NodeProto] = []
    names: list[str] = []
    for node in graph.node:
        inputs = _inputs(node, known, sizes)
        outputs = _run(node, inputs, opsets) if inputs is not None else None
        if outputs is None:
            rest.append(node)
            continue
        names.append(node_name(node))
        for name, array in zip(node.output, outputs, strict=False):
            graph.initializer.append(_tensor(name, array))
            if array.size <= SMALL:
                known[name] = array
    if names:
        del graph.node[:]
        graph.node.extend(rest)
    return names


def _inputs(
    node: NodeProto, known: Mapping[str, Array], sizes: Mapping[str, tuple[int, ...] | None]
) -> dict[str, Array] | None:
    """What a node computes on, if that is small and constant."""
    if node.domain not in ("", "ai.onnx"):
        return None
    names = [name for name in node.input if name]
    match node.op_type:
        case "Constant":
            return {}
        case "Shape" | "Size":
            size = sizes.get(names[0]) if names else None
            return None if size is None else {names[0]: np.broadcast_to(np.float32(0), size)}
        case kind if kind not in _ARITHMETIC or not names or any(name not in known for name in names):
            return None
        case "ConstantOfShape":
            wanted = known[names[0]].tolist()
            return {names[0]: known[names[0]]} if min(wanted, default=1) >= 0 and prod(wanted) <= SMALL else None
        case _:
            return {name: known[name] for name in names}


def _run(node: NodeProto, inputs: dict[str, Array], opsets: Mapping[str, int]) -> list[Array] | None:
    try:
        outputs = ReferenceEvaluator(node, opsets=dict(opsets)).run(None, dict(inputs))
    except Exception:  # what cannot be computed stays as it is; the evaluator may raise anything
        return None
    return [np.asarray(array) for array in outputs]


def _tensor(name: str, array: Array) -> TensorProto:
    tensor = numpy_helper.from_array(array, name)
    if array.size > SMALL:
        tensor.ClearField("raw_data")
    return tensor
