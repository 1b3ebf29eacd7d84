"""Measure model files, interleaved with the anchors of a table so that the two may be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from mnas.devices import Device
from mnas.devices import device as find_device
from mnas.errors import CheckError, ConfigError, DeviceError, FormatError, MissingLatencyError
from mnas.ir import Architecture
from mnas.latency.anchors import AnchorRatio, anchor_ratio
from mnas.latency.chunks import Repeats
from mnas.latency.filter import TimeColumn, estimate, filtered, visits
from mnas.latency.foreign import priced_as
from mnas.latency.models import write_models
from mnas.latency.noderows import whole_conditions
from mnas.latency.table import LatencyTable
from mnas.latency.thermal import thermometer
from mnas.lower import read_metadata
from mnas.progress import Progress, silent
from mnas.reading import read_model
from mnas.runtimes import (
    Conditions,
    Delegating,
    Plan,
    Runtime,
    find_runtime,
    runtimes,
    time_column,
    told_delegate,
    visit_start_s,
)

_REPEATS, _VISIT_REPEATS = Repeats(10, 5), Repeats(3, 50)


@dataclass(frozen=True)
class BenchResult:
    """What a model file takes.

    Attributes:
        file: the model.
        median_ms: filtered median at the speed the machine had in this measurement.
        p10_ms: tenth percentile of the raw runs.
        p90_ms: ninetieth percentile of the raw runs.
        n: timed runs.
        anchored_ms: the median at the speed of the table, divided by how much slower its anchors were now.
        predicted_ms: what the table says of the architecture that the file names, or of what it is made of.
        note: why either of the two is absent.
        anchors: how the anchors compared.
        conditions: what the times hold under.
        samples: the raw samples of this file.
    """

    file: Path
    median_ms: float
    p10_ms: float
    p90_ms: float
    n: int
    anchored_ms: float | None
    predicted_ms: float | None
    note: str
    anchors: AnchorRatio | None
    conditions: Conditions
    samples: pd.DataFrame = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """What scripts get (`mnas.bench/1`): everything but the raw samples."""
        return {
            "file": str(self.file),
            "median_ms": self.median_ms,
            "p10_ms": self.p10_ms,
            "p90_ms": self.p90_ms,
            "n": self.n,
            "anchored_ms": self.anchored_ms,
            "predicted_ms": self.predicted_ms,
            "note": self.note,
            "anchors": self.anchors._asdict() if self.anchors else None,
            "conditions": self.conditions.to_dict(),
        }


@dataclass(frozen=True)
class _Model:
    """A file to measure and what it says about itself."""

    file: Path
    metadata: Mapping[str, str]
    conditions: Conditions


def bench(
    files: Iterable[Path | str],
    *,
    device: str | Device = "local",
    against: LatencyTable | None = None,
    runtime: str | None = None,
    delegate: str | None = None,
    num_threads: int | None = None,
    loads: int = 3,
    passes: int | None = None,
    reps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[BenchResult]:
    """Measure model files in random rounds, in several processes.

    Args:
        files: models; the suffix tells the runtime.
        device: the device, or its name.
        against: a table: its anchors are measured too, and the files are compared with its predictions.
        runtime: name of the runtime; by default the table's, or the first that runs such files on the device.
        delegate: how a runtime that has several ways computes; by default as the table does.
        num_threads: threads of the runtime; by default the table's, or 1.
        loads: processes; loading a model again changes its time by about 3 %.
        passes: rounds of each process; 10 by default, 3 where every visit starts a process of its own.
        reps: timed runs per visit; 5 by default, 50 there.
        seed: of orders and inputs.
        progress: called with finished processes, all processes and what is done, before each process and at the end.

    Returns:
        One result per file, in order.

    Raises:
        ConfigError: no file, or a suffix that no runtime reads.
        FormatError: a file that is missing, damaged, or does not run.
        DeviceError: the device or its runtime is missing.
        CheckError: the anchors disagree by more than 10 %.
    """
    target = find_device(device) if isinstance(device, str) else device
    paths = [Path(file) for file in files]
    if loads < 1:
        raise ConfigError(f"loads must be at least 1, got {loads}")
    if not paths:
        raise ConfigError("no model file was given")
    if num_threads is None:
        num_threads = against.conditions.num_threads if against else 1
    results: dict[int, BenchResult] = {}
    suffixes = list(dict.fromkeys(path.suffix for path in paths))
    show, total = progress or silent, loads * len(suffixes)
    for k, suffix in enumerate(suffixes):
        chosen, conditions = _runtime(suffix, runtime, delegate, target, num_threads, against)
        often = _VISIT_REPEATS if visit_start_s(chosen) else _REPEATS
        plan = Plan(passes or often.passes, reps or often.reps, seed=seed, num_threads=num_threads)
        group = {i: _model(path, chosen, conditions) for i, path in enumerate(paths) if path.suffix == suffix}
        work = _Work(target, chosen, plan, loads, partial(_shown, show, k * loads, total))
        results.update(zip(group, work.results(list(group.values()), against), strict=True))
    show(total, total, "done")
    return [results[i] for i in range(len(paths))]


def _shown(show: Progress, before: int, total: int, unit: int, what: str) -> None:
    show(before + unit, total, what)


def _runtime(
    suffix: str, name: str | None, delegate: str | None, device: Device, num_threads: int, against: LatencyTable | None
) -> tuple[Runtime, Conditions]:
    """The runtime for files of a suffix: the one named, the table's, or the first that the device has."""
    fits = [known for known in runtimes if runtimes[known].suffix == suffix]
    if name is not None:
        fits = [known for known in fits if known == runtimes[name].name]
    if not fits:
        who = f"runtime {name} does not read" if name else "no runtime reads"
        readable = ", ".join(sorted({runtimes[known].suffix for known in runtimes}))
        raise ConfigError(f"{who} files that end in {suffix or 'nothing'}; known: {readable}")
    if against is not None and against.conditions.runtime in fits:
        fits = [against.conditions.runtime]
        delegate = delegate or told_delegate(against.conditions)
    if delegate is not None:
        fits = [known for known in fits if isinstance(runtimes[known], Delegating)] or fits
    absent: list[DeviceError] = []
    for known in fits:
        try:
            chosen = find_runtime(known, delegate)
            return chosen, chosen.conditions(device, Plan(num_threads=num_threads))
        except DeviceError as error:
            absent.append(error)
    raise absent[-1]


def _model(path: Path, runtime: Runtime, conditions: Conditions) -> _Model:
    try:
        metadata = read_metadata(path.read_bytes(), runtime.format)
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror}") from error
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    return _Model(path, metadata, replace(conditions, dtype=metadata.get("dtype", conditions.dtype)))


@dataclass(frozen=True)
class _Work:
    """The processes that measure the files of one runtime."""

    device: Device
    runtime: Runtime
    plan: Plan
    loads: int
    show: Callable[[int, str], None]

    def results(self, models: Sequence[_Model], against: LatencyTable | None) -> list[BenchResult]:
        """Measure models, with the anchors if any model fits the table."""
        files = {f"file-{i}": model.file for i, model in enumerate(models)}
        column = time_column(self.device, self.plan.num_threads)
        fits = against is not None and any(not _misfit(model, against) for model in models)
        anchors = dict(against.anchors) if against and fits else {}
        with TemporaryDirectory(prefix="mnas-bench-") as folder:
            networks = {text: Architecture.parse(text) for text in anchors}
            dtype = against.conditions.dtype if against else "float32"
            built = write_models(networks, Path(folder), self.runtime, 0, dtype)
            samples, failed = self._samples({**files, **built.files})
        for name, file in files.items():
            if name in failed:
                where = f"{self.runtime.name} on device {self.device.name!r}"
                raise FormatError(f"{file} does not run in {where}: {failed[name]}")
        medians = estimate(filtered(visits(samples, column)))["median_ms"].items()
        estimates = {str(name): float(ms) for name, ms in medians if name not in failed}
        ratio = anchor_ratio(estimates, anchors) if anchors else None
        return [
            _result(model, estimates[name], samples[samples["item"] == name], column, against, ratio)
            for name, model in zip(files, models, strict=True)
        ]

    def _samples(self, files: Mapping[str, Path]) -> tuple[pd.DataFrame, dict[str, str]]:
        frames, failed, watched = [], {}, thermometer(self.device)
        for unit in range(self.loads):
            plan = replace(self.plan, seed=self.plan.seed * 1000 + unit)
            measure = partial(self.runtime.measure, self.device, files, plan)
            measurement, _ = watched.measured(measure, partial(self._show, unit, len(files)))
            frames.append(measurement.samples.assign(unit=unit))
            failed.update(measurement.failed)
        return pd.concat(frames, ignore_index=True), failed

    def _show(self, unit: int, models: int, heat: str) -> None:
        self.show(unit, f"measuring {models} models{heat}")


def _misfit(model: _Model, table: LatencyTable) -> list[str]:
    return model.conditions.differences(whole_conditions(table.conditions))


def _result(
    model: _Model,
    median_ms: float,
    samples: pd.DataFrame,
    column: TimeColumn,
    against: LatencyTable | None,
    ratio: AnchorRatio | None,
) -> BenchResult:
    ms = samples[column] / 1e6
    anchored = predicted = None
    note = "no table to compare with"
    if against is not None:
        unlike = _misfit(model, against)
        note = f"table {against.name} holds under other conditions: {'; '.join(unlike)}" if unlike else ""
        if ratio is not None and not unlike:
            anchored = median_ms / ratio.ratio
            predicted, note = _predicted(model, against)
    return BenchResult(
        model.file, median_ms, float(ms.quantile(0.1)), float(ms.quantile(0.9)), len(ms), anchored, predicted,
        note, ratio if anchored is not None else None, model.conditions, samples.reset_index(drop=True),
    )  # fmt: skip


def _predicted(model: _Model, table: LatencyTable) -> tuple[float | None, str]:
    text = model.metadata.get("architecture")
    try:
        network = Architecture.parse(text) if text else priced_as(read_model(model.file), table)
        return table.predict(network).ms, ""
    except (MissingLatencyError, CheckError, FormatError, ConfigError) as error:
        return None, str(error)
