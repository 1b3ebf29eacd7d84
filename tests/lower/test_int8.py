"""Int8 files compute what the float32 file computes, but for rounding, and hold no float32 that is not known of."""

from __future__ import annotations

from dataclasses import MISSING
from typing import Any, get_args

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from numpy.typing import NDArray

from mnas.errors import FormatError, ShapeError
from mnas.ir import Architecture, Network, Placement, Shape, known_ops, parse_op
from mnas.lower import Format, float_operators, initial_weights, lower, operators, read_metadata
from mnas.spaces import sample, space
from tests.lower.languages import calibrated, random_weights, run_onnx, run_tflite
from tests.strategies import joined_placements

Array = NDArray[np.float32]
FORMATS: tuple[Format, ...] = get_args(Format)
X = Shape(8, 13, 14)
LEAST_COSINE = 0.98
"""Of the float32 and the int8 outputs of one op, less their means."""
SMALL = Architecture.parse("input 3x17x16\nconv_c8_s2\nmbconv_c8_se0.25\nmbconv_c16_s2_k5\nhead_c16_n5")
SQUEEZED = "mbconv_c12_se0.25@12x9x10"

CONVERSIONS = {"DequantizeLinear": 1, "QuantizeLinear": 1}
LITE = {"DEQUANTIZE": 1, "QUANTIZE": 1}
KNOWN: dict[str, dict[str, dict[str, int]]] = {
    "onnx": {
        "headv3": {"DequantizeLinear": 2, "HardSigmoid": 2, "Mul": 2, "QuantizeLinear": 2},
        "reduceblock": CONVERSIONS,
        "zero": {"DequantizeLinear": 2, "QuantizeLinear": 1},
    },
    "tflite": {},
}
"""What runs in float32 in the ops of the catalogue, with their defaults; nothing in the others."""


def placement_of(name: str) -> Placement:
    """The op with all its defaults, and twelve of whatever else it asks for."""
    asked = [f"{tag.tag}12" for tag in known_ops()[name].tags if tag.default is MISSING]
    return Placement(parse_op("_".join([name, *asked])), (X,))


def inputs_of(network: Network, n: int = 4) -> list[Array]:
    rng = np.random.default_rng(3)
    return [rng.normal(-0.3, 1, (n, *x)).astype(np.float32) for x in network.inputs]


def run_float(model: bytes, format: Format, inputs: list[Array]) -> Array:  # noqa: A002
    run = run_onnx if format == "onnx" else run_tflite
    return np.concatenate([run(model, [x[i : i + 1] for x in inputs]) for i in range(len(inputs[0]))])


def run_int8(model: bytes, format: Format, inputs: list[Array]) -> Array:  # noqa: A002
    """Quantise (N, C, H, W) inputs, run, and scale the output back, which is given as (N, C, H, W) or (N, C)."""
    one = _onnx_run(model) if format == "onnx" else _tflite_run(model)
    return np.concatenate([one([x[i : i + 1] for x in inputs]) for i in range(len(inputs[0]))])


def _quantise(x: Array, by: tuple[float, int], kind: str) -> NDArray[Any]:
    limits = np.iinfo(kind)
    return np.asarray(np.clip(np.rint(x / by[0]) + by[1], limits.min, limits.max).astype(kind))


def _onnx_run(model: bytes) -> Any:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map

    def scale(name: str) -> tuple[float, int]:
        return float(said.get(f"{name}.scale", 1)), int(said.get(f"{name}.zero_point", 0))

    def run(inputs: list[Array]) -> Array:
        feed = {}
        for value, x in zip(session.get_inputs(), inputs, strict=True):
            assert value.type == "tensor(uint8)"
            fed = x if list(value.shape[1:]) == list(x.shape[1:]) else x.transpose(0, 2, 3, 1)
            feed[value.name] = _quantise(fed, scale(value.name), "uint8")
        (out,) = session.run(None, feed)
        assert out.dtype == np.uint8
        by, zero = scale("logits")
        values = np.asarray((out.astype(np.float32) - zero) * np.float32(by), np.float32)
        transposed = any(node.op_type == "Transpose" for node in onnx.load_model_from_string(model).graph.node)
        return values.transpose(0, 3, 1, 2) if values.ndim == 4 and transposed else values

    return run


def _tflite_run(model: bytes) -> Any:
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    (y,) = interpreter.get_output_details()

    def run(inputs: list[Array]) -> Array:
        for detail, x in zip(interpreter.get_input_details(), inputs, strict=True):
            fed = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
            interpreter.set_tensor(detail["index"], _quantise(fed, detail["quantization"], "int8"))
        interpreter.invoke()
        out = interpreter.get_tensor(y["index"])
        assert out.dtype == np.int8
        values: Array = (out.astype(np.float32) - y["quantization"][1]) * np.float32(y["quantization"][0])
        return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values

    return run


def cosine(a: Array, b: Array) -> float:
    a, b = (value.ravel() - value.mean() for value in (a, b))
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return 1.0 if size == 0 and np.allclose(a, b, atol=1e-6) else float(a @ b / size)


def quantised(
    network: Network,
    format: Format,  # noqa: A002
    weights: dict[str, Array] | None = None,
) -> tuple[bytes, float]:
    """An int8 file, and how near its outputs are to those of float32 on what it was calibrated on."""
    weights, inputs = random_weights(network) if weights is None else weights, inputs_of(network)
    model = lower(network, weights, format, dtype="int8", samples=inputs)
    plain = lower(network, weights, format)
    return model, cosine(run_float(plain, format, inputs), run_int8(model, format, inputs))


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", sorted(known_ops()))
def test_every_op(name: str, format_: Format) -> None:
    """Each registered op: nearly the same outputs, and no float32 but what is listed above."""
    model, near = quantised(placement_of(name), format_)
    assert near >= LEAST_COSINE
    assert float_operators(model, format_) == KNOWN[format_].get(name, {})


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (SQUEEZED, {"onnx": {}, "tflite": {}}),
        ("conv_c8_arelu6@8x9x10", {"onnx": {}, "tflite": {}}),
        ("conv_c8_ahswish@8x9x10", {"onnx": {**CONVERSIONS, "HardSigmoid": 1, "Mul": 1}, "tflite": {}}),
        ("activation_ahsigmoid@8x9x10", {"onnx": {**CONVERSIONS, "HardSigmoid": 1}, "tflite": {}}),
        ("activation_asigmoid@8x9x10", {"onnx": {}, "tflite": {}}),
        ("activation_arelu6@8x9x10", {"onnx": {}, "tflite": {**LITE, "RELU6": 1}}),
        ("globalpool_tmax@8x9x10", {"onnx": {**CONVERSIONS, "GlobalMaxPool": 1}, "tflite": {**LITE, "REDUCE_MAX": 1}}),
        ("align_c12_s2@8x9x10", {"onnx": {"DequantizeLinear": 2, "QuantizeLinear": 2, "Pad": 1}, "tflite": {}}),
        ("pool_tavg@8x9x10", {"onnx": {}, "tflite": {}}),
        ("classifier_bnorm@8x9x10", {"onnx": {}, "tflite": {}}),
        ("identity@8x9x10+8x9x10", {"onnx": {}, "tflite": {}}),
        ("identity@8x9x10*8x1x1", {"onnx": {}, "tflite": {}}),
        ("identity@8x9x10|4x9x10", {"onnx": {}, "tflite": {}}),
    ],
)
def test_what_stays_in_float32(text: str, left: dict[Format, dict[str, int]]) -> None:
    for format_ in FORMATS:
        model, near = quantised(Placement.parse(text), format_)
        assert near >= LEAST_COSINE
        assert float_operators(model, format_) == left[format_]


@settings(max_examples=20, deadline=None)
@given(joined_placements())
def test_joined_inputs(placement: Placement) -> None:
    for format_ in FORMATS:
        model = lower(placement, initial_weights(placement), format_, dtype="int8")
        assert run_int8(model, format_, inputs_of(placement, 1)).shape[1] == placement.y.c


@pytest.mark.slow
@pytest.mark.parametrize("format_", FORMATS)
def test_networks_of_a_space(format_: Format) -> None:
    """Whole networks, their norms fitted to the data as training would, are int8 throughout."""
    small = space("mnasnet-small", classes=10, image_size=28)
    for i, encoding in enumerate(sample(small, np.random.default_rng(0), 3)):
        network = small.decode(tuple(map(int, encoding)))
        model, near = quantised(network, format_, calibrated(network, random_weights(network, i), i))
        assert near >= LEAST_COSINE
        assert read_metadata(model, format_) | {"dtype": "int8"} == read_metadata(model, format_)
        assert float_operators(model, format_) == {}


@pytest.mark.parametrize("format_", FORMATS)
def test_interface(format_: Format) -> None:
    weights = random_weights(SMALL)
    model = lower(SMALL, weights, format_, {"architecture": str(SMALL)}, dtype="int8")
    said = read_metadata(model, format_)
    assert (said["architecture"], said["dtype"]) == (str(SMALL), "int8")
    assert model == lower(SMALL, weights, format_, {"architecture": str(SMALL)}, dtype="int8"), "same bytes"
    border = {"QUANTIZE", "DEQUANTIZE", "Transpose", "TRANSPOSE"}
    assert not border & operators(model, format_).keys()
    if format_ == "onnx":
        assert float(said["image.scale"]) > 0
        assert 0 <= int(said["logits.zero_point"]) <= 255
        onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)


def test_tensors_keep_their_names() -> None:
    weights = initial_weights(SMALL)
    graph = schema.ModelT.InitFromPackedBuf(lower(SMALL, weights, "tflite", dtype="int8")).subgraphs[0]
    lite = {graph.tensors[index].name.decode() for operator in graph.operators for index in operator.outputs}
    assert {name.split(".")[0] for name in lite} == {"n0", "n1", "n2", "n3", "logits"}
    proto = onnx.load_model_from_string(lower(SMALL, weights, "onnx", dtype="int8"))
    convs = [node.name for node in proto.graph.node if node.op_type in ("Conv", "Gemm")]
    assert {name.split(".")[0].split("/")[0] for name in convs} == {"n0", "n1", "n2", "n3", "logits"}


def test_rows_are_not_charged_for_transposes() -> None:
    """ONNX Runtime's own maps are (N, H, W, C): a row with a convolution reads and gives such maps."""
    for text, transposes in ((SQUEEZED, 2), ("pool@8x9x10", 0), ("head_c8_n3@8x9x10", 1)):
        row = Placement.parse(text)
        assert (
            operators(lower(row, initial_weights(row), "onnx", dtype="int8"), "onnx").get("Transpose", 0) == transposes
        )


@pytest.mark.parametrize("format_", FORMATS)
def test_dead_channels(format_: Format) -> None:
    """A tensor of zeros has no range: the runtimes refuse the scale that would follow from it."""
    row = Placement.parse(SQUEEZED)
    weights = random_weights(row)
    for key, value in weights.items():
        if value.shape == (3, 12, 1, 1):
            weights[key] = -np.abs(value)
            weights[key.replace("weight", "bias")] = np.full(3, -100, np.float32)
    assert quantised(row, format_, weights)[1] >= LEAST_COSINE


@pytest.mark.parametrize("format_", FORMATS)
def test_large_biases_of_small_kernels(format_: Format) -> None:
    """Biases are stored as multiples of the scales: they must not overflow where a kernel is tiny."""
    row = Placement.parse("conv2d_c4@8x5x6")
    weights = random_weights(row)
    key = next(key for key in weights if key.endswith("weight"))
    weights[key][1] *= 1e-9
    weights[key.replace("weight", "bias")][:] = (1, 50, -2, 3)
    assert quantised(row, format_, weights)[1] >= LEAST_COSINE


def test_dynamic_batch() -> None:
    network = space("nasbench201", image_size=8).decode((0, 3, 0, 1, 4, 0))
    model = lower(network, initial_weights(network), "onnx", dynamic_batch=True, dtype="int8")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert session.run(None, {"image": np.zeros((3, *network.x), np.uint8)})[0].shape == (3, 10)


@pytest.mark.parametrize("format_", FORMATS)
def test_quiet(format_: Format, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """The quantisers print reports and progress bars unless told otherwise."""
    network = space("nasbench201", image_size=8).decode((1, 2, 3, 4, 1, 2))
    lower(network, initial_weights(network), format_, dtype="int8")
    assert capsys.readouterr() == ("", "")
    assert not caplog.records


def test_constants_are_aligned() -> None:
    """The schema asks for 16 bytes; kernels on phones rely on it when the file is mapped."""
    model = lower(SMALL, initial_weights(SMALL), "tflite", dtype="int8")
    start = np.frombuffer(model, np.uint8).ctypes.data
    buffers = schema.ModelT.InitFromPackedBuf(model).buffers
    offsets = [buffer.data.ctypes.data - start for buffer in buffers if buffer.data is not None and len(buffer.data)]
    assert len(offsets) > 10
    assert all(offset % 16 == 0 for offset in offsets)


@pytest.mark.parametrize(
    "shapes", [[], [(0, 3, 17, 16)], [(2, 3, 16, 17)], [(1, 3, 17, 16), (1, 3, 17, 16)], [(3, 17)]]
)
def test_samples_that_do_not_fit(shapes: list[tuple[int, ...]]) -> None:
    samples = [np.zeros(shape, np.float32) for shape in shapes]
    with pytest.raises(ShapeError, match=r"samples must be \(n, 3, 17, 16\) with n of at least 1"):
        lower(SMALL, initial_weights(SMALL), "onnx", dtype="int8", samples=samples)


@pytest.mark.parametrize("format_", FORMATS)
def test_weights_that_are_not_numbers(format_: Format) -> None:
    weights = {key: value * np.nan for key, value in initial_weights(SMALL).items()}
    with pytest.raises(FormatError, match="cannot be quantised"):
        lower(SMALL, weights, format_, dtype="int8")
