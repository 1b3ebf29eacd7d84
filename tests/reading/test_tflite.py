"""TFLite files, ours without what they say and those of a converter's shape."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.errors import FormatError
from mnas.ir import Architecture
from mnas.reading import ForeignModel, read_model
from tests.reading.foreign import stripped

SMALL = Architecture.parse("""
input 3x16x16
conv2d_c8_kh3_kw3_sh2_sw2_arelu6
conv2d_c8_kh3_kw3_g8_ahsigmoid
norm_arelu
pad_t1
crop_t1_b1_l1
conv2d_c16_kh3_kw3_pvalid_ahswish
pool2d_tavg_sh2_sw2
linear_c10_arelu
linear_c4
""")
Changed = Callable[[Callable[[Any], None]], ForeignModel]


@pytest.fixture
def changed(tmp_path: Path) -> Changed:
    """Read a file of ours that something was done to."""

    def of(change: Callable[[Any], None]) -> ForeignModel:
        model = schema.ModelT.InitFromPackedBuf(stripped(SMALL, "tflite"))
        change(model)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        (tmp_path / "net.tflite").write_bytes(bytes(builder.Output()))
        return read_model(tmp_path / "net.tflite")

    return of


def test_every_word_is_read_back(changed: Changed) -> None:
    model = changed(lambda model: None)
    assert model.architecture.cost.macs == SMALL.cost.macs
    assert [str(placement.op) for placement in model.placements] == [
        "conv2d_c8_kh3_kw3_sh2_sw2_arelu6", "conv2d_c8_kh3_kw3_g8_ahsigmoid", "norm_arelu", "pad_t1", "crop_t1_b1_l1",
        "crop_t1_b1_l1_r1", "conv2d_c16_kh3_kw3_ahswish", "pool2d_tavg_sh2_sw2", "crop_t1_b1_l1_r1",
        "conv2d_c10_kh3_kw3_arelu", "linear_c4",
    ]  # fmt: skip
    assert (model.dtype, model.said) == ("float32", "")


def _type(number: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        for tensor in model.subgraphs[0].tensors:
            if tensor.type == schema.TensorType.FLOAT32:
                tensor.type = number

    return change


def _weights_int8(model: Any) -> None:
    graph = model.subgraphs[0]
    for operator in graph.operators:
        if operator.builtinOptionsType == schema.BuiltinOptions.Conv2DOptions:
            graph.tensors[operator.inputs[1]].type = schema.TensorType.INT8


@pytest.mark.parametrize(
    ("change", "dtype"),
    [
        (_type(schema.TensorType.INT8), "int8"), (_type(schema.TensorType.UINT8), "int8"),
        (_type(schema.TensorType.FLOAT16), "float16"), (_weights_int8, "float32 with weights of int8"),
    ],
)  # fmt: skip
def test_types_are_noted(changed: Changed, change: Callable[[Any], None], dtype: str) -> None:
    assert changed(change).dtype == dtype


def _first(model: Any, code: str) -> Any:
    codes = [each.builtinCode for each in model.operatorCodes]
    wanted = codes.index(getattr(schema.BuiltinOperator, code))
    return next(operator for operator in model.subgraphs[0].operators if operator.opcodeIndex == wanted)


def test_unknown_non_linearities_and_operators_are_named(changed: Changed) -> None:
    def tanh(model: Any) -> None:
        _first(model, "CONV_2D").builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.TANH

    def custom(model: Any) -> None:
        model.operatorCodes[_first(model, "HARD_SWISH").opcodeIndex] = schema.OperatorCodeT(
            deprecatedBuiltinCode=32, builtinCode=32, customCode=b"Mine", version=1
        )

    model = changed(tanh)
    assert [(each.operator, each.macs) for each in model.unknown] == [("CONV_2D", SMALL.placements[0].cost.macs)]
    assert "no op has the non-linearity" in model.refusal
    assert 0 < model.coverage().macs < 1
    assert [each.operator for each in changed(custom).unknown] == ["Mine"]


def test_sizes_must_be_fixed(changed: Changed) -> None:
    def open_height(model: Any) -> None:
        model.subgraphs[0].tensors[0].shapeSignature = [-1, -1, 16, 3]

    def batch(model: Any) -> None:
        model.subgraphs[0].tensors[0].shape = [2, 16, 16, 3]

    def open_batch(model: Any) -> None:
        model.subgraphs[0].tensors[0].shapeSignature = [-1, 16, 16, 3]

    with pytest.raises(FormatError, match=r"'image' has the dynamic shape \[-1, -1, 16, 3\]"):
        changed(open_height)
    with pytest.raises(FormatError, match="'image' has batch 2"):
        changed(batch)
    assert changed(open_batch).coverage() == (1, 1)


def test_contradicting_tables_are_refused(changed: Changed) -> None:
    def index(model: Any) -> None:
        model.subgraphs[0].operators[1].inputs = [999]

    def outside(model: Any) -> None:
        model.buffers[2].offset = 10**6

    def shapes(model: Any) -> None:
        model.subgraphs[0].tensors[1].shape = [1, 5, 8, 8]

    with pytest.raises(FormatError, match="damaged TFLite file"):
        changed(index)
    with pytest.raises(FormatError, match="outside the model's tables"):
        changed(outside)
    assert changed(shapes).unknown


MODEL = stripped(SMALL, "tflite")


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(MODEL) - 1), st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, at: int, byte: int) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.tflite"
    path.write_bytes(MODEL[:at] + bytes([byte]) + MODEL[at + 1 :])
    with suppress(FormatError):
        assert read_model(path).nodes
