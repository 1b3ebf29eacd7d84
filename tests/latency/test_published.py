"""Published YAML is a stranger's file: what could grow, recurse or lie is refused before it does."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnas.errors import FormatError
from mnas.latency.published import Timing, read_timings

ROW = "key-input:1x1x1:\n  count: 10\n  mean: 2.5\n  std: 0.5\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "table.yaml"


def test_rows_are_read(file: Path) -> None:
    file.write_text(f"{ROW}other:\n  var: 0.04\n  mean: 1e-1\n  count: 3\n")
    assert read_timings(file) == {"key-input:1x1x1": Timing(10, 2.5, 0.5), "other": Timing(3, 0.1, 0.2)}


BOMB = "\n".join(
    ["a0: &a0 {count: 1, mean: 1, std: 1}", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40))]
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "line 1: anchors and tags are refused"),
        ("a: {count: 1, mean: 1, std: *x}", "line 1: aliases are refused"),
        (f"{ROW}other: {{<<: *x}}", "line 5: aliases are refused"),
        ("[" * 100_000, "line 1: a list"),
        ("{a: " * 100_000, "line 1: nested deeper than 2 levels"),
        ("a: {b: {c: 1}}", "nested deeper than 2 levels"),
        ("? {a: 1}\n: {count: 1, mean: 1, std: 1}", "a key that is no text"),
        ("a: !!python/object/apply:os.system ['true']", "line 1: a list|anchors and tags are refused"),
        ("a: !!python/name:os.system {}", "anchors and tags are refused"),
        ("- count: 1", "a list"),
        ("just text", "the file is no mapping"),
        ("", "the file is no mapping"),
        ("{}", "holds no rows"),
        ("a: 3", "row 'a' is no mapping"),
        ("a: {count: 1, mean: 1, std: 1}\n---\nb: 1", "is no YAML: expected a single document"),
        ("a: {count: 1", "is no YAML"),
        ("a: \t- b: c: d", "is no YAML"),
        (ROW + ROW, "the file: 'key-input:1x1x1' occurs twice"),
        ("a: {count: 1, mean: 1, mean: 2, std: 1}", "row 'a': 'mean' occurs twice"),
        ("a: {count: 1, mean: 1}", r"row 'a' needs count, mean and std \(or var\), got count, mean"),
        ("a: {count: 1, mean: 1, std: 1, unit: us}", "got count, mean, std, unit"),
        ("a: {}", "got nothing"),
        ("a: {count: 1, mean: .nan, std: 1}", "row 'a': mean must be a number, finite and not negative, got .nan"),
        ("a: {count: 1, mean: nan, std: 1}", "row 'a': mean must be a number, finite and not negative, got nan"),
        ("a: {count: 1, mean: inf, std: 1}", "got inf"),
        ("a: {count: 1, mean: -2, std: 1}", "got -2"),
        ("a: {count: 1, mean: 0, std: 1}", "row 'a': mean must be a positive number of ms, got 0"),
        ("a: {count: 1, mean: 1, std: -1}", "row 'a': std must be a number"),
        ("a: {count: 1, mean: 1, var: -1}", "row 'a': var must be a number"),
        ("a: {count: 0, mean: 1, std: 1}", "row 'a': count must be a whole number of at least 1, got 0"),
        ("a: {count: 1.5, mean: 1, std: 1}", "row 'a': count must be a whole number"),
        ("a: {count: ten, mean: 1, std: 1}", "row 'a': count must be a number.*got ten"),
        ("a: {count: {}, mean: 1, std: 1}", "nested deeper"),
    ],
)
def test_others_are_refused_at_once(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    began = time.monotonic()
    with pytest.raises(FormatError, match=message) as caught:
        read_timings(file)
    assert str(file) in str(caught.value)
    assert time.monotonic() - began < 20


def test_huge_missing_and_binary_files_are_refused(file: Path) -> None:
    with pytest.raises(FormatError, match=r"cannot read .*: No such file"):
        read_timings(file)
    with pytest.raises(FormatError, match=r"cannot read .*: Is a directory"):
        read_timings(file.parent)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="is no text"):
        read_timings(file)
    file.write_bytes(b"a" * 2_000_001)
    with pytest.raises(FormatError, match="is larger than 2 MB"):
        read_timings(file)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), min_size=1, max_size=20),
        st.builds(Timing, st.integers(1, 10**6), st.floats(1e-6, 1e6), st.floats(0, 1e6)),
        min_size=1,
        max_size=5,
    )
)
def test_what_yaml_writes_is_read_back(file: Path, rows: dict[str, Timing]) -> None:
    named = {key: dict(zip(("count", "mean", "std"), timing, strict=True)) for key, timing in rows.items()}
    file.write_text(yaml.safe_dump(named))
    assert read_timings(file) == rows


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with contextlib.suppress(FormatError):
        assert all(timing.mean_ms > 0 for timing in read_timings(file).values())
