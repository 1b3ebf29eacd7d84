from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnas.ir import Shape, chain
from mnas.lower import initial_weights, lower
from mnas.ops.mobile import ConvBlock
from mnas.runtimes import runner, runtimes

REQUEST = {"seed": 0, "num_threads": 1, "evict_kib": 0, "passes": 2, "reps": 3, "warmups": 2}


class Memory:
    """An eviction buffer that notes when it is read."""

    def __init__(self, events: list[str]) -> None:
        self.events = events

    def sum(self) -> None:
        self.events.append("evict")


@pytest.fixture
def progress(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "progress", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def test_a_visit_warms_up_then_evicts_before_each_timed_run(progress: int) -> None:
    events: list[str] = []
    memory: Any = Memory(events)
    walls, cpus, preempted = runner.Runner(REQUEST, progress).visit(lambda: events.append("run"), memory)
    assert events == ["run"] * 2 + ["evict", "run"] * 3
    assert len(walls) == len(cpus) == len(preempted) == 3
    assert all(wall > 0 for wall in walls)


def test_cpu_time_is_less_the_cost_of_the_clock(progress: int) -> None:
    timing = runner.Runner(REQUEST, progress)
    memory = np.ones(0, np.int64)
    assert timing.cost_of_clock(memory) > 0
    timing.clock_ns = 10**12
    assert timing.visit(bool, memory)[1] == [0, 0, 0]


def test_progress_names_the_last_model(progress: int) -> None:
    timing = runner.Runner(REQUEST, progress)
    for index in (12, 3):
        timing.mark(index)
        assert int(os.pread(progress, 100, 0)) == index


@pytest.mark.parametrize("shape", [["batch", 3], [-1, 3], [None, 3], np.array([0, 3]), (1, 3)])
def test_unknown_sizes_are_one(shape: Any) -> None:
    assert runner.values(shape, "float32", 0).shape == (1, 3)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8", "int64"])
def test_values_are_seeded_and_fill_their_type(dtype: str) -> None:
    first = runner.values([1, 4000], dtype, 7)
    assert first.dtype == dtype
    assert (first == runner.values([1, 4000], dtype, 7)).all()
    assert (first != runner.values([1, 4000], dtype, 8)).any()
    if dtype == "int8":
        assert (first.min(), first.max()) == (-128, 127)


@pytest.mark.parametrize("name", list(runner.RUNTIMES))
def test_threads_are_as_asked(name: str, tmp_path: Path) -> None:
    network = chain(Shape(8, 32, 32), (ConvBlock(32),))
    path = tmp_path / f"model{runtimes[name].suffix}"
    path.write_bytes(lower(network, initial_weights(network), runtimes[name].format))
    counts = [_threads()]
    kept = []
    for num_threads in (1, 3):
        kept.append(runner.RUNTIMES[name](num_threads, 0)(str(path)))
        kept[-1].run()
        counts.append(_threads())
    assert counts[1] - counts[0] <= 1  # a runtime may keep one thread for itself
    assert counts[2] - counts[1] >= 2


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))
