"""From what `benchmark_model` printed at every visit to raw samples."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mnas.errors import DeviceError, FormatError
from mnas.runtimes.benchmark import opprofile, output, script
from mnas.runtimes.benchmark.attribution import attribute, file_operators
from mnas.runtimes.benchmark.unit import Unit
from mnas.runtimes.nodes import NODE_COLUMNS
from mnas.runtimes.runtime import COLUMNS

_KILLED = 137
_HALF_US = 0.5
"""XNNPACK cuts the time of each run of an op to whole microseconds: on average half of one is missing."""


@dataclass(frozen=True)
class Reading:
    """What the results of a unit say.

    Attributes:
        unit: what was asked.
        delegate: where the models were to run.
        mode: the form of profiles.
        results: by number of the visit.
    """

    unit: Unit
    delegate: str
    mode: script.Mode
    results: Mapping[int, script.Result]

    def failed(self) -> dict[str, str]:
        """Why models gave no times.

        Raises:
            DeviceError: the results of a visit are missing, or the device killed its process.
        """
        failed: dict[str, str] = {}
        for number, (item, _) in enumerate(self.unit.visits):
            if (result := self.results.get(number)) is None:
                if item not in failed:
                    raise DeviceError(f"device {self.unit.device.name!r}: the results lack a visit of {item}")
                continue
            if result.code == _KILLED:
                raise DeviceError(
                    f"device {self.unit.device.name!r} killed benchmark_model, busy with {item}; if memory ran out, "
                    "close the apps on it, and run the same command again"
                )
            if reason := output.failure(result.code, result.text, self.delegate):
                failed.setdefault(item, reason)
        return failed

    def samples(self, failed: Collection[str]) -> pd.DataFrame:
        """One sample per visit, the average of its runs; the tool tells wall time only, which stands for CPU time, too.

        Raises:
            FormatError: what the tool printed is nonsense.
        """
        rows = []
        for number, (item, round_) in enumerate(self.unit.visits):
            if item in failed:
                continue
            told = output.summary(self.results[number].text)
            if told.runs > self.unit.plan.reps:
                raise FormatError(f"benchmark_model ran {told.runs} times where {self.unit.plan.reps} were asked for")
            ns = round(told.avg_us * 1000)
            rows.append((item, number, round_, 0, ns, ns, False))
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)

    def nodes(self, samples: pd.DataFrame) -> pd.DataFrame:
        """The rows of the profiles of those visits that have one, with `NODE_COLUMNS`.

        Raises:
            FormatError: a profile is missing or damaged.
            CheckError: the ops of a delegate cannot be told apart.
        """
        operators = {name: file_operators(self.unit.models[name].read_bytes()) for name in sorted(self.unit.profiled)}
        rows: list[tuple[object, ...]] = []
        for item, visit, round_ in samples[["item", "visit", "round"]].itertuples(index=False):
            if item in operators:
                found = attribute(self._profile(self.results[visit]), operators[item])
                rows += [
                    (item, visit, round_, 0, k, each.op.kind, each.tensor, _ns(each.op), False)
                    for k, each in enumerate(found)
                ]
        return pd.DataFrame(rows, columns=list(NODE_COLUMNS)).astype(NODE_COLUMNS)

    def _profile(self, result: script.Result) -> Sequence[opprofile.OpTime]:
        if self.mode == "text":
            return opprofile.from_text(result.text)
        if result.profile is None:
            raise FormatError("benchmark_model wrote no profile")
        if self.mode == "csv":
            return opprofile.from_csv(result.profile.decode(errors="replace"))
        return opprofile.from_proto(result.profile)


def _ns(op: opprofile.OpTime) -> int:
    """Nanoseconds of an op in one run."""
    return round(1000 * op.calls * (op.us + (_HALF_US if op.inner else 0.0)))
