"""What `benchmark_model --enable_op_profiling=true` tells of single ops, in its three forms.

The text has a row per op, with milliseconds to three places; the CSV (`--profiling_output_csv_file`, later
`--op_profiling_output_mode=csv`) six digits; the protobuf (`--op_profiling_output_mode=proto`) whole sums. The `avg ms`
of a row is of one call: with `times called` it gives the time of a run. Older versions have a column `start`. A name is
`[output tensor, ...]:node`, or `Delegate/OP:number` for an op within a delegate.
"""

from __future__ import annotations

import re
from math import inf, nan
from typing import NamedTuple

from mnas.errors import FormatError

_SECTION = "Operator-wise Profiling Info for Regular Benchmark Runs:"
_TITLE = re.compile(r"^(?:INFO: )?=+ (.*?) =+$")
_NUMBER = r"[-+]?(?:\d[\w.+-]*|nan|inf)"


def _pattern(gap: str, has_start: bool) -> re.Pattern[str]:
    """A row whose columns are separated by `gap`: the kind and the name may hold spaces and commas."""
    start = f"{_NUMBER}{gap}" if has_start else ""
    shares = f"{_NUMBER}%{gap}{_NUMBER}%{gap}{_NUMBER}"
    columns = f"{start}{_NUMBER}{gap}(?P<avg>{_NUMBER}){gap}{shares}{gap}(?P<calls>\\d+)"
    return re.compile(rf"^\s*(?P<kind>\S.*?){gap}{columns}{gap}(?P<name>\S.*)$")


_TEXT = {has_start: _pattern(r"\s+", has_start) for has_start in (False, True)}
_CSV = {has_start: _pattern(", ", has_start) for has_start in (False, True)}


class OpTime(NamedTuple):
    """One row of a profile.

    Attributes:
        kind: what the runtime calls the op.
        name: `[output tensor, ...]:node`, or `Delegate/OP:number`.
        us: microseconds of one call, averaged over the runs.
        calls: how often it is called in a run.
    """

    kind: str
    name: str
    us: float
    calls: int

    @property
    def inner(self) -> bool:
        """Whether it is an op within a delegate."""
        return self.name.startswith("Delegate/")


def from_text(text: str) -> list[OpTime]:
    """Read the table that is printed.

    Raises:
        FormatError: there is none, or a row is none.
    """
    return _rows(text, _TEXT, "[node type]", "[start]")


def from_csv(text: str) -> list[OpTime]:
    """Read the CSV; names and kinds may hold commas, which newer versions write as tabs within names.

    Raises:
        FormatError: as in `from_text`.
    """
    rows = _rows(text, _CSV, "node type", " start")
    return [row._replace(name=row.name.replace("\t", ",")) for row in rows]


def from_proto(data: bytes) -> list[OpTime]:
    """Read a `BenchmarkProfilingData` message.

    Raises:
        FormatError: it is damaged or tells of no op.
    """
    from ai_edge_litert.profiling_info_pb2 import BenchmarkProfilingData
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        graphs = BenchmarkProfilingData.FromString(data).runtime_profile.subgraph_profiles
    except DecodeError as error:
        raise FormatError(f"not a profile of benchmark_model ({len(data)} bytes): {error}") from error
    if not graphs or not graphs[0].per_op_profiles:
        raise FormatError(f"a profile of benchmark_model without ops ({len(data)} bytes)")
    rows = []
    for op in sorted(graphs[0].per_op_profiles, key=lambda op: op.run_order):
        stat = op.inference_microseconds
        if stat.count < 1 or stat.sum < 0 or op.times_called < 1:
            raise FormatError(f"a profile of benchmark_model with impossible times of {op.name!r}")
        rows.append(OpTime(op.node_type, op.name.replace("\t", ","), stat.sum / stat.count, op.times_called))
    return rows


def _rows(text: str, patterns: dict[bool, re.Pattern[str]], header: str, start: str) -> list[OpTime]:
    """The rows under the first title `Run Order` after the heading of timed runs."""
    columns, *lines = _run_order(text)
    if not columns.strip().startswith(header):
        raise FormatError(f"no table of ops in the output of benchmark_model: {columns!r}")
    pattern, rows = patterns[start in columns], []
    for line in lines:
        found = pattern.match(line)
        us = 1000 * _number(found["avg"]) if found else -1.0
        if not found or not 0 <= us < inf:
            raise FormatError(f"benchmark_model printed an op as {line!r}")
        rows.append(OpTime(found["kind"], found["name"].strip(), us, int(found["calls"])))
    if not rows:
        raise FormatError("no op in the profile of benchmark_model")
    return rows


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return nan


def _run_order(text: str) -> list[str]:
    """The lines of the table, its header first.

    Raises:
        FormatError: there is none, or it does not end at an empty line or the next title.
    """
    _, _, rest = text.partition(_SECTION)
    table: list[str] | None = None
    for line in rest.splitlines():
        title = _TITLE.match(line)
        if table and (title or not line):
            return table
        if table is not None:
            table.append(line)
        elif title and title[1] == "Run Order":
            table = []
    raise FormatError(f"no whole table of ops in the output of benchmark_model: {text[-80:]!r}")
