from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mnas.errors import ConfigError
from mnas.searchers.policy import Adam, FactoredPolicy
from mnas.searchers.random import RandomSearch
from mnas.searchers.reinforce import Reinforce
from mnas.searchers.searcher import Searcher
from mnas.spaces import Encoding, SearchSpace, arity, space
from tests.searchers.fakes import ToySpace

SMALL = space("mnasnet-small")


def separable(encoding: Encoding) -> float:
    """The share of choices that take their last option."""
    last = [len(choice.options) - 1 for choice in SMALL.choices]
    return float(np.mean([value == end for value, end in zip(encoding, last, strict=True)]))


def late_mean(make: Callable[[SearchSpace, int], Searcher], seed: int, batch: int) -> float:
    """Mean reward of the last 50 of 400 trials."""
    searcher = make(SMALL, seed)
    told: list[float] = []
    while len(told) < 400:
        encodings = searcher.ask(batch)
        told += [separable(encoding) for encoding in encodings]
        searcher.tell(encodings, told[-batch:])
    return float(np.mean(told[-50:]))


@pytest.mark.parametrize("batch", [1, 8])
def test_it_learns_a_separable_objective(batch: int) -> None:
    for seed in range(3):
        assert late_mean(Reinforce, seed, batch) > late_mean(RandomSearch, seed, batch) + 0.3


def test_the_baseline_is_used_before_it_is_updated() -> None:
    searcher, policy, adam = Reinforce(SMALL, 0, decay=0.9), FactoredPolicy(arity(SMALL)), Adam(0.1)
    baseline = None
    for reward in (0.3, 0.9, 0.1):
        encodings = searcher.ask(2)
        searcher.tell(encodings, [reward, reward / 2])
        used = 0.75 * reward if baseline is None else baseline
        advantages = np.array([reward, reward / 2]) - used
        policy.logits += adam.step(policy.gradient(np.array(encodings), advantages, 0.01))
        baseline = 0.9 * (0.9 * used + 0.1 * reward) + 0.1 * reward / 2
        np.testing.assert_allclose(searcher.probabilities(), policy.probabilities(), rtol=1e-12)


def test_entropy_falls_as_it_learns_and_more_so_without_the_bonus() -> None:
    searchers = [Reinforce(SMALL, 0, entropy=weight) for weight in (0.0, 0.05)]
    start = searchers[0].entropy
    assert start == pytest.approx(np.log(arity(SMALL)).sum())
    for searcher in searchers:
        for _ in range(100):
            encodings = searcher.ask(4)
            searcher.tell(encodings, [separable(encoding) for encoding in encodings])
    assert searchers[0].entropy < searchers[1].entropy < start


def test_a_space_of_one_network_has_one_answer() -> None:
    searcher = Reinforce(ToySpace((1, 1)), 0)
    searcher.tell(searcher.ask(3), [0.1, 0.2, 0.3])
    assert searcher.ask(2) == [(0, 0), (0, 0)]
    assert searcher.entropy == 0


@pytest.mark.parametrize("options", [{"lr": 0.0}, {"entropy": -0.1}, {"decay": 1.0}, {"decay": -0.1}])
def test_settings_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Reinforce(SMALL, 0, **options)
