"""What `benchmark_model` prints about whole runs, from TensorFlow 2.4 to LiteRT 2, and why it failed.

Lines begin with `INFO: ` in newer versions. `count=50 first=.. curr=.. min=.. max=.. avg=.. std=..` sums up runs in
microseconds, `count=1 curr=..` a single one, and `count=50 curr=..(all same)` runs that took the same time; averages
may read `2.95034e+06`. The first such line is of the warm-up, the last of the timed runs.
"""

from __future__ import annotations

import re
import signal
from math import isfinite
from typing import NamedTuple

from mnas.errors import FormatError

_COUNT = re.compile(r"^(?:INFO: )?count=(\d+)((?: \w+=[-+.\w]+)*)(\(all same\))?", re.MULTILINE)
_END = re.compile(r"^(?:INFO: )?Inference timings in us: ", re.MULTILINE)
_COMPILED_MODEL = "benchmark_litert_model"
_FAILED = "Benchmarking failed."
_REFUSED = re.compile(r"(\w+) delegate is explicitly applied, the model graph will not be")
_APPLIED = re.compile(r"(?:Explicitly a|A)pplied (\w+) delegate, and the model graph will be (?:completely|partially)")
_ROUNDING = 1e-5
"""Averages are printed to six digits."""


class Summary(NamedTuple):
    """Timed runs of one model in one process, in microseconds of wall time.

    Attributes:
        runs: how many.
        avg_us: their average.
        min_us: the shortest.
        max_us: the longest.
    """

    runs: int
    avg_us: float
    min_us: float
    max_us: float


def summary(text: str) -> Summary:
    """Read the timed runs from what the tool printed.

    Raises:
        FormatError: the text is cut short, is of another tool, or its numbers are impossible.
    """
    if _COMPILED_MODEL in text:
        raise FormatError("this is the output of LiteRT's CompiledModel benchmark, not of the classic benchmark_model")
    end = _END.search(text)
    lines = list(_COUNT.finditer(text, 0, end.start())) if end else []
    if not lines:
        raise FormatError(f"not a whole output of benchmark_model: {text[-80:]!r}")
    count, values = int(lines[-1][1]), dict(pair.split("=", 1) for pair in lines[-1][2].split())
    try:
        one = values["curr"] if set(values) == {"curr"} else ""
        avg, low, high = (float(one or values[key]) for key in ("avg", "min", "max"))
    except (KeyError, ValueError) as error:
        raise FormatError(f"benchmark_model summed up its runs as {lines[-1][0]!r}") from error
    sound = isfinite(avg) and isfinite(high) and low >= 0 and avg > 0
    if count < 1 or not sound or not low * (1 - _ROUNDING) <= avg <= high * (1 + _ROUNDING):
        raise FormatError(f"benchmark_model tells impossible times, {lines[-1][0]!r}: did the clock go backwards?")
    return Summary(count, avg, low, high)


def failure(code: int, text: str, delegate: str) -> str:
    """Say why a process of the tool gave no time for its model; empty if it did.

    Args:
        code: return code of the process as a shell tells it: 128 and the number of the signal that ended it.
        text: everything it printed.
        delegate: "cpu", "xnnpack" or "gpu": where it was to run; a model that silently ran elsewhere failed.
    """
    number = code - 128
    if number in set(signal.Signals):
        return f"the runtime died of {signal.Signals(number).name}"
    if code != 0 or _FAILED in text:
        return _reason(text) or f"benchmark_model ended with code {code}"
    refused = [name.lower() for name in _REFUSED.findall(text)]
    applied = [name.lower() for name in _APPLIED.findall(text)]
    if delegate in refused or (delegate == "gpu" and "gpu" not in applied):
        return f"the {delegate} delegate takes no part of this model"
    return ""


def _reason(text: str) -> str:
    """The first error, from which the others follow; else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and _FAILED not in line]
    errors = [line for line in lines if line.startswith(("ERROR: ", "FATAL: "))]
    return (errors[:1] or lines[-1:] or [""])[0]
