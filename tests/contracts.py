"""What every plug-in of a role must do; a plug-in's tests call the function of its role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from mnas.devices import Device
from mnas.errors import ConfigError
from mnas.evaluate import Evaluator, Scorer, tells_spellings
from mnas.evaluate.evaluator import describe, restore
from mnas.ir import Architecture, Node, parse_op
from mnas.runtimes import COLUMNS, Measurement, Plan, Runtime
from mnas.searchers.searcher import Searcher
from mnas.spaces import SearchSpace, pruned, values


def check_runtime(
    runtime: Runtime, device: Device, models: Mapping[str, Path], broken: Path, per_visit: int = 2
) -> Measurement:
    """Measure at least five good `models` and a `broken` file by all rules of `Runtime`; give the samples back.

    Of two runs a visit gives `per_visit` samples: 1 where the runtime tells their average only.
    """
    plan = Plan(passes=3, reps=2, seed=3, evict_kib=64)
    got = runtime.measure(device, {**models, "broken": broken}, plan)
    samples = got.samples
    assert samples.dtypes.astype(str).to_dict() == COLUMNS
    assert list(got.failed) == ["broken"]
    assert got.failed["broken"]
    assert got.conditions == runtime.conditions(device, plan)
    assert got.conditions.runtime == runtime.name
    assert got.conditions.runtime_version
    assert samples["visit"].is_monotonic_increasing
    assert (samples[["wall_ns", "cpu_ns"]] >= 0).all(axis=None)
    assert (samples["wall_ns"] > 0).all()
    counts = samples.groupby(["item", "round"]).agg({"visit": "nunique", "rep": list})
    assert sorted(counts.index) == sorted((name, i) for name in models for i in range(plan.passes))
    assert (counts["visit"] == 1).all()
    assert all(reps == list(range(per_visit)) for reps in counts["rep"])
    orders = {tuple(round_["item"].drop_duplicates()) for _, round_ in samples.groupby("round")}
    assert len(orders) > 1
    again = runtime.measure(device, {**models, "broken": broken}, plan)
    assert list(again.samples["item"]) == list(samples["item"])
    assert again.checksums == got.checksums
    return got


def check_evaluator(evaluator: Evaluator, architectures: Sequence[Architecture]) -> None:
    """Check all rules of `Evaluator` on at least two networks, the first of which is no single op."""
    first = architectures[0]
    values = [evaluator(each, 3) for each in architectures]
    assert all(isinstance(evaluator, Scorer) or 0 <= value <= 1 for value in values)
    restored = restore(describe(evaluator))
    assert restored == evaluator
    assert [restored(each, 3) for each in reversed(architectures)] == values[::-1]
    if not tells_spellings(evaluator):
        *most, last = first.nodes
        tail = Node(last.op, (len(first.nodes),))
        spelled = Architecture(first.x, (*most, Node(parse_op("identity"), (len(most),)), tail))
        assert spelled != first
        assert evaluator(spelled, 3) == values[0]


def check_searcher(factory: Callable[[SearchSpace, int], Searcher], searched: SearchSpace) -> None:
    """Check all rules of `Searcher` on what `factory` makes of a large space `searched` and a seed."""
    rng = np.random.default_rng(0)
    searcher, other, replayed = (factory(searched, 7) for _ in range(3))
    for n in (3, 1, 8, 12, 2):
        asked = searcher.ask(n)
        assert len(asked) == n
        assert all(type(encoding) is tuple and all(type(index) is int for index in encoding) for encoding in asked)
        assert all(values(searched, encoding) for encoding in asked)
        assert np.array_equal(pruned(searched, np.array(asked)), asked)  # inactive choices are 0
        other.ask(n + 1)
        _check_refusals(searcher, asked)
        searcher.tell([], [])
        assert searcher.ask(n) == other.ask(n) == asked
        rewards = rng.uniform(size=n).tolist()
        for each in (searcher, other, replayed):
            each.tell(asked, rewards)
    assert searcher.ask(12) == other.ask(12) == replayed.ask(12)
    assert factory(searched, 8).ask(12) != factory(searched, 7).ask(12)
    for n in (0, -1):
        with pytest.raises(ConfigError, match="at least 1"):
            searcher.ask(n)


def _check_refusals(searcher: Searcher, asked: list[tuple[int, ...]]) -> None:
    n = len(asked)
    for bad in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(ConfigError, match="finite"):
            searcher.tell(asked, [0.5] * (n - 1) + [bad])
    with pytest.raises(ConfigError):
        searcher.tell(asked, [0.5] * (n + 1))
    for wrong in ((*asked[0], 0), asked[0][:-1], (*asked[0][:-1], 99), (-1, *asked[0][1:])):
        with pytest.raises(ConfigError):
            searcher.tell([*asked, wrong], [0.5] * (n + 1))
