from __future__ import annotations

import numpy as np
import pytest

from mnas.errors import ConfigError
from mnas.searchers.policy import Adam, FactoredPolicy, PolicyName
from mnas.searchers.random import RandomSearch
from mnas.searchers.reinforce import Reinforce
from mnas.searchers.searcher import Searcher, make_searcher
from mnas.spaces import Encoding, space
from tests.searchers.fakes import ToySpace

SMALL = space("mnasnet-small")


def separable(encoding: Encoding) -> float:
    """The share of choices that take their last option."""
    last = [len(choice.options) - 1 for choice in SMALL.choices]
    return float(np.mean([value == end for value, end in zip(encoding, last, strict=True)]))


def late_mean(searcher: Searcher, batch: int) -> float:
    """Mean reward of the last 50 of 400 trials."""
    told: list[float] = []
    while len(told) < 400:
        encodings = searcher.ask(batch)
        told += [separable(encoding) for encoding in encodings]
        searcher.tell(encodings, told[-batch:])
    return float(np.mean(told[-50:]))


@pytest.mark.parametrize("batch", [1, 8])
def test_it_learns_a_separable_objective_of_many_choices(batch: int) -> None:
    for seed in range(3):
        learnt = late_mean(Reinforce(SMALL, seed, policy="factored", entropy=0.1), batch)
        assert learnt > late_mean(RandomSearch(SMALL, seed), batch) + 0.3


def test_the_baseline_is_used_before_it_is_updated() -> None:
    searcher = Reinforce(SMALL, 0, policy="factored", lr=0.1, entropy=0.01, decay=0.9)
    policy, adam = FactoredPolicy(SMALL), Adam(0.1)
    rewards = np.array([0.5, 0.25])
    mean, variance = 0.375, 0.125**2
    for factor in (1.0, 3.0, 0.5):
        encodings, told = searcher.ask(2), factor * rewards
        searcher.tell(encodings, told.tolist())
        advantages = np.clip((told - mean) / variance**0.5, -3, 3)
        policy.logits += adam.step(policy.gradient(np.array(encodings), advantages, 0.01))
        for reward in told:
            variance = 0.9 * (variance + 0.1 * (reward - mean) ** 2)
            mean = 0.9 * mean + 0.1 * reward
        assert isinstance(searcher._policy, FactoredPolicy)
        np.testing.assert_allclose(searcher._policy.logits, policy.logits, rtol=1e-9)


def test_the_controllers_of_the_papers_can_be_made() -> None:
    """NAS-RL: two layers of 35 units, arXiv:1611.01578, sec. 4.1. TuNAS: no network at all."""
    toy = ToySpace((3, 3), twins=False)
    options: tuple[dict[str, object], ...] = ({"layers": 2, "units": 35, "lr": 6e-4}, {"policy": "factored"})
    for given in options:
        searcher = make_searcher("reinforce", toy, 0, given)
        searcher.tell(searcher.ask(4), [0.1, 0.2, 0.3, 0.4])
        assert len(searcher.ask(4)) == 4


@pytest.mark.parametrize("policy", ["factored", "lstm"])
@pytest.mark.parametrize(
    "options",
    [{"lr": 0.0}, {"entropy": -0.1}, {"decay": 1.0}, {"decay": -0.1}, {"units": 0}, {"layers": 0}, {"entropy": np.nan}],
    ids=str,
)
def test_settings_out_of_range(options: dict[str, float], policy: PolicyName) -> None:
    with pytest.raises(ConfigError):
        Reinforce(SMALL, 0, policy=policy, **options)  # type: ignore[arg-type]
