from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mnas.ops
from mnas.errors import FormatError
from mnas.ir import Architecture, Placement
from mnas.lower import Format, initial_weights, lower, operators, read_metadata
from mnas.lower.onnx import to_onnx
from mnas.lower.tflite import to_tflite

assert mnas.ops
A = Architecture.parse("input 3x16x16\nconv_c8_s2\nmbconv_c8_se0.25\nhead_c16_n5")
FORMATS: tuple[Format, ...] = get_args(Format)
MODELS = {name: lower(A, initial_weights(A), name, {"architecture": str(A)}) for name in FORMATS}


def test_lower_writes_either_format() -> None:
    weights = initial_weights(A)
    assert lower(A, weights, "onnx") == to_onnx(A, weights)
    assert lower(A, weights, "tflite") == to_tflite(A, weights)


def test_operators_are_counted_from_the_file() -> None:
    assert operators(MODELS["tflite"], "tflite") == {
        "CONV_2D": 6, "MEAN": 2, "ADD": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "LOGISTIC": 1, "MUL": 1,
    }  # fmt: skip
    assert list(operators(MODELS["onnx"], "onnx").items())[:2] == [("Conv", 7), ("Relu", 5)]


@pytest.mark.parametrize("name", FORMATS)
def test_metadata_is_read_back(name: Format) -> None:
    assert read_metadata(MODELS[name], name) == {"architecture": str(A)}
    assert read_metadata(lower(Placement.parse("identity@3x5x5"), {}, name), name) == {}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("read", [operators, read_metadata])
def test_the_other_format_is_refused(name: Format, read: Callable[[bytes, Format], object]) -> None:
    other = MODELS["onnx" if name == "tflite" else "tflite"]
    with pytest.raises(FormatError, match=r"not an? .* file"):
        read(other, name)
    with pytest.raises(FormatError, match=r"\(0 bytes\)"):
        read(b"", name)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(FORMATS), st.binary(max_size=200), st.booleans())
def test_garbage_is_refused(name: Format, data: bytes, marked: bool) -> None:
    if marked:
        data = data[:4] + b"TFL3" + data[4:]
    with pytest.raises(FormatError, match="bytes"):
        operators(data, name)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None)
@given(st.floats(0, 0.98))
def test_truncated_files_are_refused(name: Format, share: float) -> None:
    model = MODELS[name]
    with pytest.raises(FormatError, match=r"truncated|not an? "):
        operators(model[: int(share * len(model))], name)


def test_importing_the_package_loads_no_framework() -> None:
    code = "import sys, mnas.lower; print(sorted({'torch', 'onnx', 'ai_edge_litert', 'pandas'} & sys.modules.keys()))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
