from __future__ import annotations

import re

import pytest

from mnas.errors import CheckError
from mnas.ir import Architecture
from mnas.latency import Estimate
from mnas.searchers.feasibility import check_feasible
from tests.searchers.fakes import ToyLatency, ToySpace, toy_objective


class Counting(ToyLatency):
    def __init__(self) -> None:
        self.asked = 0

    def predict(self, architecture: Architecture) -> Estimate:
        self.asked += 1
        return super().predict(architecture)


class Backwards(Counting):
    """Wide layers are fast: the network of first options is the slowest of all."""

    def predict(self, architecture: Architecture) -> Estimate:
        ms = 1000 - 100 * super().predict(architecture).ms
        return Estimate(ms, ms, ms)


def test_a_target_that_the_smallest_network_meets_takes_one_look() -> None:
    model = Counting()
    check_feasible(toy_objective(target_ms=0.353, latency=model), seed=0)  # 4 layers of 8 channels, 0.32 ms and 10 %
    assert model.asked == 1


def test_a_target_below_the_fastest_names_it_and_a_target_that_works() -> None:
    with pytest.raises(CheckError, match=r"space toy .* target_ms = 0.1.* 0.352 ms; .*--target-ms ([\d.]+)") as error:
        check_feasible(toy_objective(target_ms=0.1), seed=0)
    proposed = re.search(r"--target-ms ([\d.]+)", str(error.value))
    assert proposed is not None
    assert 0.352 <= float(proposed[1]) <= 0.353
    check_feasible(toy_objective(target_ms=float(proposed[1])), seed=0)


def test_a_fastest_network_that_sampling_misses_is_found_by_descent() -> None:
    space = ToySpace((4,) * 30, twins=False)
    fastest_ms = 1000 - 100 * 0.01 * 32 * 30
    check_feasible(toy_objective(space, fastest_ms, latency=Backwards()), seed=0)
    model = Backwards()
    with pytest.raises(CheckError, match="upper bound of 40 ms"):
        check_feasible(toy_objective(space, fastest_ms - 1, latency=model), seed=0)
    assert model.asked < 2500
