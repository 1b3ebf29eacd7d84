"""Every placement of a bundle computes what it computes alone."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.errors import ShapeError
from mnas.ir import Bundle, Placement
from mnas.lower import Format, Weights, initial_weights, lower, node_of, operators
from mnas.lower.torch import build
from mnas.runtimes.benchmark.attribution import file_operators
from tests.lower.languages import Array, images, random_weights, run_onnx, run_tflite
from tests.strategies import joined_placements, placements

several = st.lists(st.one_of(placements, joined_placements()), min_size=2, max_size=5).map(tuple)
FORMATS: tuple[Format, ...] = get_args(Format)
MIXED = Bundle(
    tuple(
        map(
            Placement.parse,
            (
                "mbconv_c16_k5_s2_se0.25@8x9x9", "identity@4x6x6", "identity@4x6x6|8x6x6", "zero@4x6x6",
                "head_c16_n5@8x4x4", "mbconv_c16_k5_s2_se0.25@8x9x9", "pool_tavg@8x7x7", "identity@4x6x6*4x1x1",
            ),
        )
    )
)  # fmt: skip


def own(weights: Weights, i: int) -> dict[str, Array]:
    """The weights of one placement, as its own network names them."""
    start = f"nodes.{i}."
    return {f"nodes.0.{key.removeprefix(start)}": w for key, w in weights.items() if key.startswith(start)}


def all_outputs(model: bytes, format_: Format, inputs: list[Array]) -> list[Array]:
    """The outputs by number, (N, C, H, W) or (N, C)."""
    if format_ == "onnx":
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        names = [f"logits{i}" for i in range(len(session.get_outputs()))]
        feed = {value.name: x for value, x in zip(session.get_inputs(), inputs, strict=True)}
        return [np.asarray(y) for y in session.run(names, feed)]
    runner = Interpreter(model_content=model, num_threads=1).get_signature_runner("serving_default")
    found: dict[str, Any] = runner(**{f"image{i}": x.transpose(0, 2, 3, 1).copy() for i, x in enumerate(inputs)})
    outputs = [np.array(found[f"logits{i}"]) for i in range(len(found))]
    return [y if y.ndim == 2 else y.transpose(0, 3, 1, 2) for y in outputs]


def check(bundle: Bundle) -> None:
    weights, inputs = random_weights(bundle), images(bundle)
    for format_ in FORMATS:
        outputs = all_outputs(lower(bundle, weights, format_), format_, inputs)
        run = run_onnx if format_ == "onnx" else run_tflite
        for i, (placement, node, got) in enumerate(zip(bundle.placements, bundle.nodes, outputs, strict=True)):
            alone = run(lower(placement, own(weights, i), format_), [inputs[s] for s in node.sources])
            np.testing.assert_allclose(got, alone, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(alone).max())))


@settings(max_examples=40, deadline=None)
@given(several)
def test_every_placement_gives_what_it_gives_alone(rows: tuple[Placement, ...]) -> None:
    check(Bundle(rows))


def test_a_bundle_of_all_sorts() -> None:
    check(MIXED)


@settings(max_examples=20, deadline=None)
@given(several)
def test_operators_belong_to_their_placements(rows: tuple[Placement, ...]) -> None:
    """In order, and each has as many as alone."""
    bundle = Bundle(rows)
    nodes = [node_of(each.tensor, bundle) for each in file_operators(lower(bundle, initial_weights(bundle), "tflite"))]
    assert nodes == sorted(node if node is not None else -1 for node in nodes)
    alone = [operators(lower(row, initial_weights(row), "tflite"), "tflite") for row in rows]
    assert [nodes.count(i) for i in range(len(rows))] == [sum(each.values()) for each in alone]


@pytest.mark.parametrize("format_", FORMATS)
def test_int8(format_: Format) -> None:
    """All inputs and outputs are 8 bits, and every operator is told to be of a placement."""
    model = lower(MIXED, initial_weights(MIXED), format_, dtype="int8")
    if format_ == "onnx":
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        assert {value.type for value in (*session.get_inputs(), *session.get_outputs())} == {"tensor(uint8)"}
        return
    interpreter = Interpreter(model_content=model, num_threads=1)
    details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert {detail["dtype"] for detail in details} == {np.int8}
    nodes = [node_of(each.tensor, MIXED) for each in file_operators(model)]
    assert set(nodes) == set(range(len(MIXED.placements)))
    requantised = [each.tensor for each in file_operators(model) if each.kind == "QUANTIZE"]
    assert [node_of(tensor, MIXED) for tensor in requantised] == [2] * len(requantised) != []


def test_torch_refuses_several_outputs() -> None:
    with pytest.raises(ShapeError, match="networks of one output, this one has 8"):
        build(MIXED)


def test_names_of_outputs() -> None:
    assert [node_of(f"logits{i}", MIXED) for i in range(9)] == [*range(8), None]
    assert node_of("logits", MIXED) is None
    assert node_of("image3_quantized", MIXED) == 2
