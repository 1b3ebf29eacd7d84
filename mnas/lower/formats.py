"""Model files of both formats: write one, and read back what it says about itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from mnas.errors import FormatError
from mnas.ir import Network, Placement
from mnas.lower.quantize import Dtype, Samples, check_samples, noise
from mnas.lower.weights import Weights

Format = Literal["onnx", "tflite"]


def lower(
    network: Network,
    weights: Weights,
    format: Format,  # noqa: A002 (the word users know)
    metadata: Mapping[str, str] | None = None,
    *,
    dynamic_batch: bool = False,
    dtype: Dtype = "float32",
    samples: Samples | None = None,
) -> bytes:
    """Write a network as a model file of `format`; see `to_onnx` and `to_tflite` for the rest.

    Args:
        network: an architecture, a placement, or a bundle.
        weights: of this network.
        format: of the file.
        metadata: strings that travel in the file; an int8 file says its `dtype` too.
        dynamic_batch: leave the batch open where the format can say so (ONNX); else it is 1.
        dtype: numbers inside the file; see `mnas.lower.quantize`.
        samples: inputs that int8 learns its ranges from; seeded noise, good for timing only, if not given.

    Raises:
        ShapeError: the weights or the samples are not of this network.
        FormatError: the network cannot be quantised.
    """
    if dtype == "float32":
        return _float32(network, weights, format, metadata, dynamic_batch)
    samples = noise(network) if samples is None else samples
    check_samples(network, samples)
    model = _float32(network, weights, format, {**(metadata or {}), "dtype": dtype}, dynamic_batch)
    try:
        match format:
            case "onnx":
                from mnas.lower.int8_onnx import quantize_onnx

                return quantize_onnx(model, samples, row=isinstance(network, Placement))
            case "tflite":
                from mnas.lower.int8_tflite import quantize_tflite

                return quantize_tflite(model, samples)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise FormatError(f"this network cannot be quantised for {format}: {error}") from error


def _float32(
    network: Network,
    weights: Weights,
    format: Format,  # noqa: A002
    metadata: Mapping[str, str] | None,
    dynamic_batch: bool,
) -> bytes:
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
            return _counted(node.op_type for node in parse_onnx(model).graph.node)
        case "tflite":
            return _counted(tflite_kinds(parse_tflite(model)))


def float_operators(model: bytes, format: Format) -> dict[str, int]:  # noqa: A002
    """Count what runs in float32, conversions from and to float32 among it; nothing in a file that is int8 throughout.

    TFLite files say so themselves; ONNX files are loaded by ONNX Runtime here, which fuses what it can.

    Raises:
        FormatError: not a complete file of `format`.
    """
    match format:
        case "onnx":
            from mnas.lower.int8_onnx import float_kinds

            parse_onnx(model)
            return _counted(float_kinds(model))
        case "tflite":
            from mnas.lower.int8_tflite import float_kinds as float_kinds_tflite

            return _counted(float_kinds_tflite(parse_tflite(model)))


def read_metadata(model: bytes, format: Format) -> dict[str, str]:  # noqa: A002
    """The strings that were written into a model file; empty for a file that mnas did not write.

    Raises:
        FormatError: not a complete file of `format`.
    """
    match format:
        case "onnx":
            return {entry.key: entry.value for entry in parse_onnx(model).metadata_props}
        case "tflite":
            return _tflite_metadata(parse_tflite(model))


def _counted(kinds: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(kinds).items(), key=lambda item: (-item[1], item[0])))


def parse_onnx(model: bytes) -> Any:
    """Parse an ONNX file into its protobuf; names of other files in it are not followed.

    Raises:
        FormatError: not a complete file.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        proto = onnx.load_model_from_string(model)
    except DecodeError as error:
        raise FormatError(f"not an ONNX file, or a truncated one ({len(model)} bytes): {error}") from None
    if not (proto.ir_version and proto.opset_import and proto.graph.output):
        raise FormatError(f"not an ONNX file, or a truncated one ({len(model)} bytes): no graph with an output in it")
    return proto


def parse_tflite(model: bytes) -> Any:
    """Unpack the tables of a TFLite file, which touches every offset and the ends of all buffers.

    Raises:
        FormatError: not a complete file.
    """
    from ai_edge_litert import schema_py_generated as schema

    if model[4:8] != b"TFL3":
        raise FormatError(f"not a TFLite file ({len(model)} bytes): bytes 4 to 8 are {model[4:8]!r}, not b'TFL3'")
    try:
        unpacked = schema.ModelT.InitFromPackedBuf(model)
        if not unpacked.subgraphs or not unpacked.operatorCodes or tflite_kinds(unpacked) == []:
            raise ValueError("it has no operators")
    except Exception as error:  # the bindings check nothing: any wrong offset ends in any error
        raise FormatError(f"a TFLite file that is truncated or damaged ({len(model)} bytes): {error}") from None
    return unpacked


def tflite_kinds(model: Any) -> list[str]:
    """The kinds of all operators of an unpacked TFLite file, in order."""
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
            try:
                said = json.loads(bytes(model.buffers[entry.buffer].data))
                return {str(key): str(value) for key, value in said.items()}
            except (LookupError, ValueError, TypeError, AttributeError) as error:
                raise FormatError(f"a TFLite file whose metadata of mnas is damaged: {error}") from None
    return {}
