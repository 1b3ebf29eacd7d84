from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mnas.errors import ConfigError
from mnas.latency import choose, choose_next, transfer
from tests.latency.known_devices import FEATURES, NO_SOURCE, N, device, draw

Ints = NDArray[np.int64]


def test_chosen_networks_differ_repeat_and_lie_apart() -> None:
    source = device(1)[None]
    chosen = choose(source, FEATURES, 10, 0)
    assert len(np.unique(chosen)) == 10
    assert (choose(source, FEATURES, 10, 0) == chosen).all()
    assert (choose(source, FEATURES, 10, 1) != chosen).any()

    def closest(idx: Ints) -> float:
        apart = np.linalg.norm(FEATURES[idx][:, None] - FEATURES[idx], axis=2)
        return float(apart[~np.eye(len(idx), dtype=bool)].min())

    assert closest(chosen) > np.median([closest(draw(seed)) for seed in range(30)])


def test_twins_are_chosen_only_when_nothing_else_is_left() -> None:
    same = np.ones((6, 2))
    same[5] = 2
    chosen = choose(np.ones((1, 6)), same, 6, 0)
    assert sorted(chosen) == list(range(6))
    assert 5 in chosen[:2]


@pytest.mark.parametrize("budget", [1, N + 1])
def test_impossible_budgets_are_refused(budget: int) -> None:
    with pytest.raises(ConfigError, match="budget"):
        choose(device(1)[None], FEATURES, budget, 0)


def test_the_next_are_new_differ_and_repeat() -> None:
    source, target, first = device(1)[None], device(2), draw(0, 5)
    chosen = choose_next(source, FEATURES, first, target[first], 6, 0)
    assert len(np.unique([*first, *chosen])) == 11
    assert (choose_next(source, FEATURES, first, target[first], 6, 0) == chosen).all()
    assert (choose_next(source, FEATURES, first, target[first], 3, 0) == chosen[:3]).all()


def test_a_twin_of_a_measured_network_is_not_informative() -> None:
    few = np.vstack([FEATURES[:30], FEATURES[:5]])
    target = device(2)[np.r_[:30, :5]]
    first = np.arange(5)
    chosen = choose_next(np.empty((0, 35)), few, first, target[first], 10, 0)
    assert not set(chosen) & set(range(30, 35))


def test_the_next_lower_the_error_more_than_random_ones() -> None:
    informed: list[float] = []
    at_random: list[float] = []
    for seed in range(8):
        source, target, first = device(10 + seed)[None], device(50 + seed), draw(seed, 5)
        idx = np.concatenate([first, choose_next(source, FEATURES, first, target[first], 5, seed)])
        rest = np.setdiff1d(draw(100 + seed, 20), first)[:5]
        other = np.concatenate([first, rest])
        for errors, which in ((informed, idx), (at_random, other)):
            ms = transfer(source, FEATURES, which, target[which]).ms
            errors.append(float(np.abs(ms / target - 1).mean()))
    assert np.median(informed) < np.median(at_random)


def test_all_that_is_left_can_be_chosen_without_any_source() -> None:
    first = np.arange(33)
    chosen = choose_next(NO_SOURCE[:, :40], FEATURES[:40], first, device(2)[first], 7, 0)
    assert sorted(chosen) == list(range(33, 40))


@pytest.mark.parametrize("count", [0, N - 4])
def test_impossible_counts_are_refused(count: int) -> None:
    first = draw(0, 5)
    with pytest.raises(ConfigError, match=f"count {count}: choose from 1 to {N - 5}"):
        choose_next(device(1)[None], FEATURES, first, device(2)[first], count, 0)
