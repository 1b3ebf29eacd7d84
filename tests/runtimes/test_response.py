from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import FormatError
from mnas.runtimes.response import parse

GOOD: dict[str, Any] = {
    "schema": 1,
    "runtime_version": "1.2",
    "checksums": {"0": 1.5, "1": 2},
    "failed": {"1": "late"},
    "visits": [[1, 0, [5, 6], [3, 4], [0, 1]], [0, 0, [7, 8], [5, 6], [0, 1]], [0, 1, [9, 10], [1, 2], [1, 0]]],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_samples_of_failed_models_are_dropped() -> None:
    response = parse(json.dumps(GOOD), ["a", "b"], reps=2)
    assert response.samples.to_dict("list") == {
        "item": ["a"] * 4,
        "visit": [1, 1, 2, 2],
        "round": [0, 0, 1, 1],
        "rep": [0, 1, 0, 1],
        "wall_ns": [7, 8, 9, 10],
        "cpu_ns": [5, 6, 1, 2],
        "preempted": [False, True, True, False],
    }
    assert response.failed == {"b": "late"}
    assert response.checksums == {"a": 1.5, "b": 2.0}
    assert response.runtime_version == "1.2"


def test_missing_module_is_told() -> None:
    response = parse('{"schema": 1, "missing": "no numpy"}', ["a"], reps=2)
    assert response.missing == "no numpy"
    assert response.samples.empty


@pytest.mark.parametrize("key", list(GOOD))
def test_every_part_is_needed(key: str) -> None:
    with pytest.raises(FormatError, match="not an answer of the runner"):
        parse(json.dumps({name: value for name, value in GOOD.items() if name != key}), ["a", "b"], reps=2)


def test_short_visits_are_refused() -> None:
    with pytest.raises(FormatError, match="not an answer of the runner"):
        parse(json.dumps(GOOD), ["a", "b"], reps=3)
    with pytest.raises(FormatError, match="not an answer of the runner"):
        parse(json.dumps(GOOD), ["a"], reps=2)


@pytest.mark.parametrize("index", [-1, 2])
def test_models_that_were_not_asked_for_are_refused(index: int) -> None:
    for wrong in ({"visits": [[index, 0, [5, 6], [3, 4], [0, 1]]]}, {"failed": {str(index): "late"}}):
        with pytest.raises(FormatError, match="not an answer of the runner"):
            parse(json.dumps({**GOOD, **wrong}), ["a", "b"], reps=2)


@pytest.mark.parametrize(
    ("times", "took"), [([[5, -6], [3, 4], [0, 0]], -6), ([[5, 0], [3, 4], [0, 0]], 0), ([[5, 6], [3, -4], [0, 0]], -3)]
)
def test_a_clock_that_does_not_go_on_is_refused(times: list[list[int]], took: int) -> None:
    with pytest.raises(FormatError, match=rf"stood still or ran backwards \(a run took {took} ns\)"):
        parse(json.dumps({**GOOD, "visits": [[0, 0, *times]]}), ["a", "b"], reps=2)
    nodes = [["n", "Conv", ["x"], ["y"], [4, -1]]]
    with pytest.raises(FormatError, match=r"a run took -1000 ns"):
        parse(json.dumps({**GOOD, "visits": [[0, 0, [5, 6], [3, 4], [0, 0], nodes]]}), ["a", "b"], reps=2)


def test_times_that_are_not_whole_are_refused() -> None:
    with pytest.raises(FormatError, match="not whole"):
        parse(json.dumps({**GOOD, "visits": [[0, 0, [5.5, 6], [3, 4], [0, 0]]]}), ["a", "b"], reps=2)


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse(text, ["a"], reps=2)


@given(st.sampled_from(sorted(GOOD)), JSON)
def test_any_wrong_part_is_refused_or_read(key: str, value: object) -> None:
    with suppress(FormatError):
        assert set(parse(json.dumps({**GOOD, key: value}), ["a", "b"], reps=2).samples["item"]) <= {"a", "b"}


@given(st.integers(0, len(json.dumps(GOOD)) - 1))
def test_cut_answers_are_refused(n: int) -> None:
    with pytest.raises(FormatError):
        parse(json.dumps(GOOD)[:n], ["a", "b"], reps=2)
