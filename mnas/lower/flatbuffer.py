"""A TFLite graph as bytes (flatbuffer schema version 3)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from mnas.lower.graph import Graph, Operator, Value

METADATA = "mnas"
"""Name of the metadata entry; its buffer holds JSON, keys sorted."""
_ALIGNMENT = 16
_OPTIONS = {
    "CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions", "FULLY_CONNECTED": "FullyConnectedOptions", "ADD": "AddOptions",
    "MUL": "MulOptions", "CONCATENATION": "ConcatenationOptions", "MEAN": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions", "RESHAPE": "ReshapeOptions", "SLICE": "SliceOptions", "PAD": "PadOptions",
    "HARD_SWISH": "HardSwishOptions",
}  # fmt: skip
_TYPES = {np.dtype(np.float32): schema.TensorType.FLOAT32, np.dtype(np.int32): schema.TensorType.INT32}


class _Buffer:
    """Bytes aligned as the schema demands; the bindings' own `BufferT` aligns to 4."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def Pack(self, builder: Any) -> Any:  # noqa: N802 (the role's name)
        data = None
        if self.data:
            builder.StartVector(1, len(self.data), _ALIGNMENT)
            builder.head -= len(self.data)
            builder.Bytes[builder.head : builder.head + len(self.data)] = self.data
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


class _Tables:
    """Tensors, buffers and operator codes, numbered as they come."""

    def __init__(self) -> None:
        self.buffers = [_Buffer()]  # buffer 0 is empty by convention
        self.tensors: list[Any] = []
        self.index: dict[str, int] = {}
        self.codes: dict[tuple[str, int], int] = {}

    def tensor(self, name: str, sizes: tuple[int, ...], data: NDArray[Any] | None = None) -> None:
        tensor = schema.TensorT(shape=np.array(sizes, np.int32), name=name, hasRank=True)
        if data is not None:
            tensor.type = _TYPES[data.dtype]
            tensor.buffer = self.buffer(data.tobytes())
        self.index[name] = len(self.tensors)
        self.tensors.append(tensor)

    def buffer(self, data: bytes) -> int:
        self.buffers.append(_Buffer(data))
        return len(self.buffers) - 1

    def operator(self, operator: Operator) -> Any:
        dilated = max(operator.attributes.get("dilationHFactor", 1), operator.attributes.get("dilationWFactor", 1)) > 1
        version = 2 if operator.kind == "DEPTHWISE_CONV_2D" and dilated else 1
        out = schema.OperatorT(opcodeIndex=self.codes.setdefault((operator.kind, version), len(self.codes)))
        out.inputs = self.indices(*operator.inputs)
        out.outputs = self.indices(operator.output.name)
        if options := _OPTIONS.get(operator.kind):
            out.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            out.builtinOptions = getattr(schema, f"{options}T")(**operator.attributes)
        return out

    def indices(self, *names: str) -> NDArray[np.int32]:
        return np.array([self.index[name] for name in names], np.int32)


def _code(kind: str, version: int) -> Any:
    number = getattr(schema.BuiltinOperator, kind)
    old = min(number, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    return schema.OperatorCodeT(deprecatedBuiltinCode=old, builtinCode=number, version=version)


def pack(graph: Graph, outputs: Sequence[Value], metadata: Mapping[str, str]) -> bytes:
    """Write the operators and constants of `graph` as a TFLite file; the same graph gives the same bytes."""
    tables = _Tables()
    for value in (*graph.inputs, *(operator.output for operator in graph.operators.values())):
        tables.tensor(value.name, sizes(value))
    for name, array in graph.constants.items():
        tables.tensor(name, array.shape, array)
    subgraph = schema.SubGraphT(tensors=tables.tensors, name="main")
    subgraph.operators = [tables.operator(operator) for operator in graph.operators.values()]
    subgraph.inputs = tables.indices(*(value.name for value in graph.inputs))
    subgraph.outputs = tables.indices(*(value.name for value in outputs))
    signature = schema.SignatureDefT(signatureKey="serving_default")
    signature.inputs = [schema.TensorMapT(value.name, tables.index[value.name]) for value in graph.inputs]
    signature.outputs = [schema.TensorMapT(value.name, tables.index[value.name]) for value in outputs]
    text = json.dumps(dict(metadata), sort_keys=True).encode()
    entry = schema.MetadataT(METADATA, tables.buffer(text))
    model = schema.ModelT(
        version=3, description="mnas", subgraphs=[subgraph], buffers=tables.buffers,
        operatorCodes=[_code(*code) for code in tables.codes], metadata=[entry], signatureDefs=[signature],
    )  # fmt: skip
    return _packed(model)


def repack(model: Any, data: bytes) -> bytes:
    """Write an unpacked file of another writer as `pack` would, with all constants aligned and inside the tables.

    Args:
        model: the unpacked tables.
        data: the file they come from; constants may lie behind the tables, where older readers find none.
    """
    model.buffers = [_Buffer(_content(buffer, data)) for buffer in model.buffers]
    return _packed(model)


def _content(buffer: Any, data: bytes) -> bytes:
    if buffer.offset > 1:
        return data[buffer.offset : buffer.offset + buffer.size]
    return b"" if buffer.data is None else bytes(buffer.data)


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(sum(len(buffer.data) + 64 for buffer in model.buffers) + (1 << 16))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def sizes(value: Value) -> tuple[int, ...]:
    """The axes of a value as TFLite stores it."""
    c, h, w = value.shape
    return (1, c) if value.flat else (1, h, w, c)
