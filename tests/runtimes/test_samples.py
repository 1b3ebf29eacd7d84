from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import FormatError
from mnas.runtimes import Conditions
from mnas.runtimes.samples import join_options

HERE = Conditions("local", "litert", "2.3.0", "delegate=xnnpack;evict_kib=3072")


def test_differences_name_both_values() -> None:
    assert HERE.differences(HERE) == []
    there = replace(HERE, runtime="onnxruntime", num_threads=2)
    assert HERE.differences(there) == ["runtime: 'litert' against 'onnxruntime'", "num_threads: 1 against 2"]


@given(st.builds(Conditions))
def test_dict_reads_back(conditions: Conditions) -> None:
    assert Conditions.from_dict(conditions.to_dict()) == conditions


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_threads": "1"}, "num_threads must be int, got '1'"),
        ({"num_threads": True}, "num_threads must be int, got True"),
        ({"emulated": 0}, "emulated must be bool, got 0"),
        ({"device": 3}, "device must be str, got 3"),
        ({"colour": "red"}, "need exactly device, runtime, .*; got .*colour"),
    ],
)
def test_wrong_dicts_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        Conditions.from_dict({**HERE.to_dict(), **change})


def test_missing_fields_are_refused() -> None:
    with pytest.raises(FormatError, match="got nothing"):
        Conditions.from_dict({})


@given(st.permutations([("b", 1), ("a", "x"), ("c", 2)]))
def test_options_have_one_spelling(pairs: list[tuple[str, str | int]]) -> None:
    assert join_options(dict(pairs)) == "a=x;b=1;c=2"
