from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from mnas.ir import Architecture, Placement, Shape
from mnas.ir.layers import Pool
from mnas.lower import initial_weights, read_metadata
from mnas.lower.tflite import to_tflite
from tests.lower.languages import TOLERANCE, agree, images, network_of, random_weights, run_torch

A = Architecture.parse(
    "input 3x33x32\nconv_c8_s2_ahswish\nsepconv_c8\nmbconv_c16_k5_s2_se0.25_ghsigmoid_arelu6\ndil_k3_s2\nhead_c32_n5"
)


def test_interface() -> None:
    interpreter = Interpreter(model_content=to_tflite(A, initial_weights(A)))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}
    (x,), (y,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (list(x["shape"]), list(y["shape"]), y["name"]) == ([1, 33, 32, 3], [1, 5], "logits")
    two = Interpreter(model_content=to_tflite(Placement.parse("identity@4x5x6*4x1x1"), {}))
    assert two.get_signature_list()["serving_default"]["inputs"] == ["image0", "image1"]
    assert list(two.get_output_details()[0]["shape"]) == [1, 5, 6, 4]


@pytest.mark.parametrize(
    "kernels", [OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, OpResolverType.BUILTIN_REF]
)
def test_every_set_of_kernels_agrees(kernels: OpResolverType) -> None:
    """XNNPACK, the built-in kernels and the reference kernels."""
    weights, inputs = random_weights(A), images(A)
    model = to_tflite(A, weights)
    interpreter = Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=kernels)
    got = interpreter.get_signature_runner()(image=np.ascontiguousarray(inputs[0].transpose(0, 2, 3, 1)))["logits"]
    expected = run_torch(A, weights, inputs)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.parametrize(
    ("size", "kernel", "kinds"),
    [(5, 7, {"DEPTHWISE_CONV_2D": 1, "MUL": 1}), (7, 7, {"AVERAGE_POOL_2D": 1}), (2, 3, {"AVERAGE_POOL_2D": 1})],
)
def test_averages_that_xnnpack_miscounts(size: int, kernel: int, kinds: dict[str, int]) -> None:
    """A large strided window that exceeds the map is summed and divided by hand."""
    network = network_of(Pool("avg", (kernel, kernel), (2, 2)), Shape(4, size, size))
    got = {kind: n for kind, n in agree(network)["tflite"].items() if kind != "RESHAPE"}
    assert got == kinds


def test_constants_are_aligned() -> None:
    """The schema asks for 16 bytes; kernels on phones rely on it when the file is mapped."""
    model = to_tflite(A, initial_weights(A))
    start = np.frombuffer(model, np.uint8).ctypes.data
    buffers = schema.ModelT.InitFromPackedBuf(model).buffers
    offsets = [buffer.data.ctypes.data - start for buffer in buffers if buffer.data is not None]
    assert len(offsets) > 20
    assert all(offset % 16 == 0 for offset in offsets)


def test_tensors_are_named_after_nodes() -> None:
    graph = schema.ModelT.InitFromPackedBuf(to_tflite(A, initial_weights(A))).subgraphs[0]
    outputs = [graph.tensors[operator.outputs[0]].name.decode() for operator in graph.operators]
    assert {name.split(".")[0] for name in outputs} == {"n0", "n1", "n2", "n3", "n4", "logits"}
    assert len({tensor.name for tensor in graph.tensors}) == len(graph.tensors)


def test_same_bytes_every_time() -> None:
    weights = initial_weights(A)
    one, two = (
        to_tflite(A, weights, metadata=m) for m in ({"a": "1", "b": "\N{SNOWMAN}"}, {"b": "\N{SNOWMAN}", "a": "1"})
    )
    assert one == two
    assert read_metadata(one, "tflite") == {"a": "1", "b": "\N{SNOWMAN}"}
