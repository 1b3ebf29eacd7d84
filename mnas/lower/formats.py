"""Model files of both formats: write one, and read back what it says about itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from mnas.errors import FormatError
from mnas.ir import Network
from mnas.lower.weights import Weights

Format = Literal["onnx", "tflite"]


def lower(
    network: Network,
    weights: Weights,
    format: Format,  # noqa: A002 (the word users know)
    metadata: Mapping[str, str] | None = None,
    *,
    dynamic_batch: bool = False,
) -> bytes:
    """Write a network as a model file of `format`; see `to_onnx` and `to_tflite` for the rest.

    Batch 1, or with `dynamic_batch` any batch where the format can say so (ONNX); TFLite files are static.

    Raises:
        ShapeError: the weights are not of this network.
    """
    match format:
        case "onnx":
            from mnas.lower.onnx import to_onnx

            return to_onnx(network, weights, metadata=metadata, dynamic_batch=dynamic_batch)
        case "tflite":
            from mnas.lower.tflite import to_tflite

            return to_tflite(network, weights, metadata=metadata)


def operators(model: bytes, format: Format) -> dict[str, int]:  # noqa: A002
    """Count the operators of a model file by kind, the most frequent first.

    Raises:
        FormatError: not a complete file of `format`.
    """
    match format:
        case "onnx":
            kinds = [node.op_type for node in _onnx(model).graph.node]
        case "tflite":
            kinds = _tflite_kinds(_tflite(model))
    return dict(sorted(Counter(kinds).items(), key=lambda item: (-item[1], item[0])))


def read_metadata(model: bytes, format: Format) -> dict[str, str]:  # noqa: A002
    """The strings that were written into a model file; empty for a file that mnas did not write.

    Raises:
        FormatError: not a complete file of `format`.
    """
    match format:
        case "onnx":
            return {entry.key: entry.value for entry in _onnx(model).metadata_props}
        case "tflite":
            return _tflite_metadata(_tflite(model))


def _onnx(model: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        proto = onnx.load_model_from_string(model)
    except DecodeError as error:
        raise FormatError(f"not an ONNX file, or a truncated one ({len(model)} bytes): {error}") from None
    if not (proto.ir_version and proto.opset_import and proto.graph.output):
        raise FormatError(f"not an ONNX file, or a truncated one ({len(model)} bytes): no graph with an output in it")
    return proto


def _tflite(model: bytes) -> Any:
    """Unpack the tables, which touches every offset, and the ends of all buffers, which a truncated file lacks."""
    from ai_edge_litert import schema_py_generated as schema

    if model[4:8] != b"TFL3":
        raise FormatError(f"not a TFLite file ({len(model)} bytes): bytes 4 to 8 are {model[4:8]!r}, not b'TFL3'")
    try:
        unpacked = schema.ModelT.InitFromPackedBuf(model)
        if not unpacked.subgraphs or not unpacked.operatorCodes or _tflite_kinds(unpacked) == []:
            raise ValueError("it has no operators")
    except Exception as error:  # the bindings check nothing: any wrong offset ends in any error
        raise FormatError(f"a TFLite file that is truncated or damaged ({len(model)} bytes): {error}") from None
    return unpacked


def _tflite_kinds(model: Any) -> list[str]:
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    names = {number: name for name, number in vars(BuiltinOperator).items() if isinstance(number, int)}
    codes = []
    for code in model.operatorCodes:
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        codes.append(code.customCode.decode() if code.customCode else names[number])
    return [codes[operator.opcodeIndex] for graph in model.subgraphs for operator in graph.operators]


def _tflite_metadata(model: Any) -> dict[str, str]:
    from mnas.lower.flatbuffer import METADATA

    for entry in model.metadata or []:
        if entry.name == METADATA.encode():
            return dict(json.loads(bytes(model.buffers[entry.buffer].data)))
    return {}
