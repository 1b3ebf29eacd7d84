"""What the runner answers, checked and read as samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mnas.errors import FormatError
from mnas.runtimes import runner
from mnas.runtimes.runtime import COLUMNS


@dataclass(frozen=True)
class Response:
    """An answer of the runner, with models by name.

    Attributes:
        samples: as in `Measurement`, of the models that did not fail.
        failed: why a model gave no samples.
        checksums: of the outputs of each model that ran.
        runtime_version: of the wheel; empty if it is missing.
        missing: what could not be imported; empty if nothing.
        nodes: of the visits of profiled models, by number of the visit; those of models that failed are left out.
    """

    samples: pd.DataFrame
    failed: dict[str, str]
    checksums: dict[str, float]
    runtime_version: str = ""
    missing: str = ""
    nodes: dict[int, runner.Nodes] = field(default_factory=dict)


def parse(text: str, items: Sequence[str], reps: int) -> Response:
    """Read an answer to a request for `items` with `reps` timed runs per visit.

    Raises:
        FormatError: the text is cut short, no JSON, of another schema, or lacks numbers; or a run took no time.
    """
    try:
        data = json.loads(text)
        if data["schema"] != runner.SCHEMA:
            raise FormatError(f"schema {data['schema']!r} instead of {runner.SCHEMA}")
        if "missing" in data:
            return Response(_samples([], items, reps), {}, {}, missing=str(data["missing"]))
        named = {str(index): item for index, item in enumerate(items)}
        failed = {named[index]: str(reason) for index, reason in data["failed"].items()}
        checksums = {named[index]: float(total) for index, total in data["checksums"].items()}
        samples = _samples(data["visits"], items, reps)
        version = str(data["runtime_version"])
        nodes = {i: _nodes(visit[5], reps) for i, visit in enumerate(data["visits"]) if len(visit) > 5}
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise FormatError(f"not an answer of the runner ({type(error).__name__}: {error}): {text[:80]!r}") from error
    _check_clock(samples, nodes.values())
    samples = samples[~samples["item"].isin(list(failed))].reset_index(drop=True)
    kept = set(samples["visit"])
    nodes = {visit: each for visit, each in nodes.items() if visit in kept}
    return Response(samples, failed, checksums, runtime_version=version, nodes=nodes)


def _nodes(nodes: Sequence[Any], reps: int) -> runner.Nodes:
    """Check the nodes of one visit."""
    checked: runner.Nodes = []
    for name, kind, inputs, outputs, times in nodes:
        if len(times) != reps:
            raise ValueError(f"node {name} has {len(times)} times for {reps} runs")
        checked.append([str(name), str(kind), [*map(str, inputs)], [*map(str, outputs)], [*map(int, times)]])
    return checked


def _samples(visits: Sequence[Any], items: Sequence[str], reps: int) -> pd.DataFrame:
    """Lay out visits as one row per timed run."""
    n = len(visits)
    models = _integers([visit[0] for visit in visits])
    if n and not 0 <= models.min() <= models.max() < len(items):
        raise LookupError(f"model {models.min()} or {models.max()} of {len(items)}")
    times = _integers([visit[2:5] for visit in visits]).reshape(n, 3, reps)
    columns = {
        "item": np.array(items, object)[models].repeat(reps),
        "visit": np.arange(n).repeat(reps),
        "round": _integers([visit[1] for visit in visits]).repeat(reps),
        "rep": np.tile(np.arange(reps), n),
        "wall_ns": times[:, 0].ravel(),
        "cpu_ns": times[:, 1].ravel(),
        "preempted": times[:, 2].ravel(),
    }
    return pd.DataFrame(columns).astype(COLUMNS)


def _integers(numbers: Sequence[Any]) -> NDArray[np.int64]:
    """An array of what must be whole numbers."""
    array = np.array(numbers)
    if array.size and array.dtype.kind != "i":
        raise TypeError("numbers that are not whole")
    return array.astype(np.int64)


def _check_clock(samples: pd.DataFrame, nodes: Iterable[runner.Nodes]) -> None:
    """Refuse times that no clock gives which goes on."""
    shortest = min(samples["wall_ns"].min(), samples["cpu_ns"].min() + 1) if len(samples) else 1
    node_us = min((min(times, default=0) for visit in nodes for *_, times in visit), default=0)
    if shortest <= 0 or node_us < 0:
        raise FormatError(
            f"its clock stood still or ran backwards (a run took {min(shortest, 1000 * node_us)} ns): run the same "
            "command again"
        )
