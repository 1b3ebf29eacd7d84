"""What REINFORCE and PPO have in common, with either policy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.searchers.controller import Baseline, Controller
from mnas.searchers.policy import PolicyName
from mnas.searchers.searcher import HasEntropy, make_searcher
from mnas.spaces import Encoding, SearchSpace, arity, space
from tests.searchers.fakes import BranchingSpace, SproutingSpace, ToySpace

TOY = ToySpace((4,) * 5, twins=False)
BEST = (3, 1, 2, 0, 3)
CHANCE = 4**-5

controllers = pytest.mark.parametrize("name", ["reinforce", "ppo"])
policies = pytest.mark.parametrize("policy", ["factored", "lstm"])


def make(name: str, policy: PolicyName, searched: SearchSpace = TOY, seed: int = 0, **options: float) -> Controller:
    made = make_searcher(name, searched, seed, {"policy": policy, "units": 12, **options})
    assert isinstance(made, Controller)
    assert isinstance(made, HasEntropy)
    return made


def separable(encoding: Encoding) -> float:
    """The share of choices that are right."""
    return float(np.mean(np.equal(encoding, BEST)))


def share_of_best(searcher: Controller, batches: int) -> float:
    """How often the best encoding is drawn after learning."""
    for _ in range(batches):
        encodings = searcher.ask(8)
        searcher.tell(encodings, [separable(encoding) for encoding in encodings])
    return sum(encoding == BEST for encoding in searcher.ask(2000)) / 2000


@policies
@controllers
def test_it_learns_a_separable_objective(name: str, policy: PolicyName) -> None:
    for seed in range(2):
        assert share_of_best(make(name, policy, seed=seed, entropy=0.1), 50) > 0.6


@policies
@controllers
def test_by_its_defaults_it_learns_too(name: str, policy: PolicyName) -> None:
    assert share_of_best(make(name, policy), 50) > 8 * CHANCE


@policies
@controllers
def test_the_entropy_falls_as_it_learns_and_more_so_without_the_bonus(name: str, policy: PolicyName) -> None:
    searchers = [make(name, policy, entropy=weight) for weight in (0.0, 0.5)]
    start = searchers[0].entropy
    assert start == pytest.approx(np.log(arity(TOY)).sum())
    for searcher in searchers:
        share_of_best(searcher, 40)
    assert searchers[0].entropy < searchers[1].entropy < start


@policies
@controllers
def test_a_space_that_branches_is_learnt(name: str, policy: PolicyName) -> None:
    toy = BranchingSpace((3, 3, 4))
    searcher = make(name, policy, toy, entropy=0.1)
    for _ in range(50):
        encodings = searcher.ask(8)
        searcher.tell(encodings, [float(np.mean(np.equal(encoding, (2, 1, 3)))) for encoding in encodings])
    assert sum(encoding == (2, 1, 3) for encoding in searcher.ask(500)) > 300


@policies
@controllers
def test_only_open_options_are_drawn_while_a_space_grows(name: str, policy: PolicyName) -> None:
    toy = SproutingSpace((4, 2, 3))
    searcher = make(name, policy, toy)
    for told, options in ((0, 1), (9, 1), (10, 2), (25, 3), (60, 4)):
        if (more := told - searcher._told) > 0:
            encodings = searcher.ask(more)
            searcher.tell(encodings, [0.5] * more)
        assert toy.open_options(told)[0] == options
        assert {encoding[0] for encoding in searcher.ask(300)} == set(range(options))


@policies
@controllers
def test_the_layers_of_nas_rl_open_with_the_samples(name: str, policy: PolicyName) -> None:
    layers = space("nasrl")
    searcher = make(name, policy, layers)
    for _ in range(5):
        encodings = searcher.ask(10)
        deepest = max(encoding[0] for encoding in searcher.ask(200))
        assert deepest == layers.open_options(searcher._told)[0] - 1  # type: ignore[attr-defined]
        searcher.tell(encodings, np.linspace(0, 1, 10).tolist())
    assert searcher._told == 50
    assert deepest == 2


@policies
@controllers
def test_equal_rewards_teach_nothing(name: str, policy: PolicyName) -> None:
    for reward in (0.1, 1 / 3, -0.7, 1e-12, 1e12):
        searcher = make(name, policy, entropy=0.0)
        searcher.tell(searcher.ask(3), [0.1] * 3)  # whatever a first batch is
        for _ in range(5):
            searcher.tell(searcher.ask(3), [0.1] * 3)
        flat = make(name, policy, entropy=0.0)
        for _ in range(6):
            flat.tell(flat.ask(3), [reward] * 3)
        assert flat.ask(50) == searcher.ask(50) == make_untaught(name, policy, 18).ask(50)


def make_untaught(name: str, policy: PolicyName, told: int) -> Controller:
    searcher = make(name, policy, entropy=0.0)
    searcher._told = told
    return searcher


@policies
@controllers
def test_one_broken_network_does_not_decide(name: str, policy: PolicyName) -> None:
    searcher = make(name, policy)
    for i in range(20):
        encodings = searcher.ask(4)
        rewards = [separable(encoding) for encoding in encodings]
        searcher.tell(encodings, [-1e6, *rewards[1:]] if i == 10 else rewards)
    assert np.isfinite(searcher.entropy)
    assert len(set(searcher.ask(100))) > 20


finite = st.floats(-1e3, 1e3).map(lambda value: round(value, 6))
batches = st.lists(st.lists(finite, min_size=1, max_size=6), min_size=1, max_size=6)


@given(batches=batches, decay=st.floats(0, 0.999))
def test_the_baseline_is_the_moving_average_of_the_rewards_before(batches: list[list[float]], decay: float) -> None:
    """By explicit weights: the first batch stands for all that was before, then each reward fades by `decay`."""
    baseline = Baseline(decay)
    before: list[float] = []
    for batch in batches:
        got = baseline.advantages(np.array(batch))
        first, n = np.array(batches[0]), len(before)
        weights = np.array([decay**n, *((1 - decay) * decay ** (n - 1 - i) for i in range(n))])
        mean = float(weights @ [first.mean(), *before])
        square = float(weights @ [(first**2).mean(), *np.square(before)])
        deviation = max(0.0, square - mean**2) ** 0.5
        if deviation > 1e-4 * (1 + abs(mean)):
            np.testing.assert_allclose(got, np.clip((np.array(batch) - mean) / deviation, -3, 3), atol=1e-3)
        assert np.abs(got).max() <= 3
        before += batch


@given(reward=st.floats(-1e9, 1e9), sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_equal_rewards_are_all_at_the_baseline(reward: float, sizes: list[int]) -> None:
    baseline = Baseline(0.9)
    for size in sizes:
        got = baseline.advantages(np.full(size, reward))
        np.testing.assert_allclose(got, 0, atol=1e-9 * max(1, abs(reward)))


def test_rewards_enter_the_baseline_after_they_were_compared_with_it() -> None:
    baseline = Baseline(0.9)
    np.testing.assert_allclose(baseline.advantages(np.array([1.0, 3.0])), [-1, 1])
    mean, variance = 2.0, 1.0
    for reward in (1.0, 3.0):
        variance = 0.9 * (variance + 0.1 * (reward - mean) ** 2)
        mean = 0.9 * mean + 0.1 * reward
    np.testing.assert_allclose(baseline.advantages(np.array([2.5])), [(2.5 - mean) / variance**0.5])


def test_advantages_are_cut() -> None:
    baseline = Baseline(0.5)
    baseline.advantages(np.array([0.0, 1.0]))
    assert baseline.advantages(np.array([1e9, -1e9])).tolist() == [3.0, -3.0]
