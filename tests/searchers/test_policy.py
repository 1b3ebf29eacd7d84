from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mnas.errors import ConfigError
from mnas.searchers.policy import Adam, FactoredPolicy, Floats, Ints, Policy, PolicyName, make_policy
from mnas.spaces import SearchSpace, active, arity
from tests.searchers.fakes import BranchingSpace, ToySpace, every_encoding

PLAIN = ToySpace((3, 2, 1, 4), twins=False)
BRANCHING = BranchingSpace()
ARITY = arity(PLAIN)
POLICIES: list[PolicyName] = ["factored", "lstm"]
both_policies = pytest.mark.parametrize("name", POLICIES)
both_spaces = pytest.mark.parametrize("space", [PLAIN, BRANCHING], ids=["plain", "branching"])


def log_likelihood(policy: Policy, encodings: Ints) -> Floats:
    """As the policy tells it to whoever weighs."""
    told: list[Floats] = []

    def weigh(each: Floats) -> Floats:
        told.append(each)
        return np.zeros_like(each)

    deepcopy(policy).ascend(encodings, weigh, 0.0)
    return told[0]


def taught(name: PolicyName, space: SearchSpace, seed: int = 0) -> Policy:
    """A policy that is far from uniform."""
    policy = make_policy(name, space, seed, lr=0.5 if name == "factored" else 0.05, units=6)
    rng = np.random.default_rng(seed)
    for _ in range(6):
        weights = rng.normal(size=9)
        policy.ascend(policy.sample(rng, 9), lambda _, weights=weights: weights, 0.0)  # type: ignore[misc]
    return policy


def shifted(space: SearchSpace = PLAIN, seed: int = 0) -> FactoredPolicy:
    out = FactoredPolicy(space)
    out.logits += np.random.default_rng(seed).normal(size=out.logits.shape)
    return out


@both_spaces
@both_policies
def test_likelihoods_of_all_networks_sum_to_1(name: PolicyName, space: SearchSpace) -> None:
    policy = taught(name, space)
    each = np.exp(log_likelihood(policy, every_encoding(space)))
    assert each.sum() == pytest.approx(1, abs=1e-6)
    assert each.max() > 2 * each.min()


@both_spaces
@both_policies
def test_draws_follow_the_likelihoods(name: PolicyName, space: SearchSpace) -> None:
    policy, every = taught(name, space), every_encoding(space)
    drawn = policy.sample(np.random.default_rng(0), 20000)
    assert drawn.dtype == np.int64
    share = (drawn[:, None] == every).all(2).mean(0)
    assert share.sum() == pytest.approx(1)  # inactive choices are 0
    np.testing.assert_allclose(share, np.exp(log_likelihood(policy, every)), atol=0.015)


@both_spaces
@both_policies
def test_a_likelihood_does_not_depend_on_the_rest_of_the_batch(name: PolicyName, space: SearchSpace) -> None:
    policy, every = taught(name, space), every_encoding(space)
    alone = [log_likelihood(policy, encoding[None])[0] for encoding in every]
    np.testing.assert_allclose(log_likelihood(policy, every), alone, atol=1e-6)


@both_policies
def test_closed_options_are_never_drawn_and_open_ones_are(name: PolicyName) -> None:
    policy = taught(name, PLAIN)
    for counts in ([1, 1, 1, 1], [2, 1, 1, 3], [3, 2, 1, 4]):
        policy.open(np.array(counts))
        drawn = policy.sample(np.random.default_rng(0), 3000)
        assert (drawn.max(0) + 1).tolist() == counts
        every = every_encoding(PLAIN)
        each = log_likelihood(policy, every[(every < counts).all(1)])
        assert np.exp(each).sum() == pytest.approx(1, abs=1e-6)


@both_policies
def test_learning_while_options_are_closed_stays_finite(name: PolicyName) -> None:
    policy, rng = make_policy(name, PLAIN, 0, units=6), np.random.default_rng(0)
    for counts in ([1, 1, 1, 1], [2, 1, 1, 3], [3, 2, 1, 4]):
        policy.open(np.array(counts))
        for _ in range(3):
            policy.ascend(policy.sample(rng, 5), lambda _: np.linspace(-1, 1, 5), 0.5)
    each = np.exp(log_likelihood(policy, every_encoding(PLAIN)))
    assert each.sum() == pytest.approx(1, abs=1e-6)
    assert np.isfinite(policy.entropy)


@both_policies
def test_the_same_seed_gives_the_same_policy_and_draws(name: PolicyName) -> None:
    one, other = (taught(name, BRANCHING, 3) for _ in range(2))
    drawn = one.sample(np.random.default_rng(5), 50)
    np.testing.assert_array_equal(other.sample(np.random.default_rng(5), 50), drawn)
    assert (one.sample(np.random.default_rng(6), 50) != drawn).any()


@both_policies
def test_a_uniform_policy_has_the_entropy_of_its_space(name: PolicyName) -> None:
    policy = make_policy(name, PLAIN, 0)
    assert policy.entropy == pytest.approx(np.log(3 * 2 * 1 * 4))


@both_spaces
@both_policies
def test_rewarded_encodings_become_likely_and_the_bonus_brings_the_others_back(
    name: PolicyName, space: SearchSpace
) -> None:
    policy, target = make_policy(name, space, 0, lr=0.05, units=6), every_encoding(space)[-1:]
    chance = np.exp(log_likelihood(policy, target))[0]
    for _ in range(60):
        policy.ascend(target, np.ones_like, 0.0)
    likely = np.exp(log_likelihood(policy, target))[0]
    assert likely > max(0.7, 3 * chance)
    rng = np.random.default_rng(0)
    for _ in range(200):
        policy.ascend(policy.sample(rng, 20), np.zeros_like, 4.0)
    assert np.exp(log_likelihood(policy, target))[0] < likely / 2


@both_policies
@pytest.mark.parametrize("options", [{"lr": 0.0}, {"lr": -1.0}, {"layers": 0}, {"units": 0}], ids=str)
def test_settings_out_of_range(name: PolicyName, options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="lr > 0, layers >= 1 and units >= 1"):
        make_policy(name, PLAIN, 0, **options)  # type: ignore[arg-type]


def factored_objective(p: FactoredPolicy, space: SearchSpace, encodings: Ints, weights: Floats, bonus: float) -> float:
    """What `gradient` differentiates: how often a choice counts is a constant of the entropy."""
    counted = active(space, encodings)
    probabilities = p.probabilities()
    chosen = np.log(probabilities)[np.arange(len(probabilities)), encodings]
    entropies = -np.array([row[row > 0] @ np.log(row[row > 0]) for row in probabilities])
    return float((weights * (chosen * counted).sum(1)).mean() + bonus * (entropies * counted.mean(0)).mean())


def numerical(function: object, at: FactoredPolicy, step: float = 1e-6) -> NDArray[np.float64]:
    assert callable(function)
    out = np.zeros_like(at.logits)
    for index in np.ndindex(at.logits.shape):
        value = at.logits[index]
        at.logits[index] = value + step
        above = function()
        at.logits[index] = value - step
        out[index] = (above - function()) / (2 * step)
        at.logits[index] = value
    return out


@pytest.mark.filterwarnings("ignore:divide by zero")  # of the padding
@pytest.mark.parametrize("bonus", [0.0, 0.3])
@both_spaces
def test_the_gradient_is_that_of_the_objective(space: SearchSpace, bonus: float) -> None:
    p, rng = shifted(space), np.random.default_rng(1)
    drawn, weights = p.sample(rng, 7), rng.normal(size=7)
    expected = numerical(lambda: factored_objective(p, space, drawn, weights, bonus), p)
    np.testing.assert_allclose(p.gradient(drawn, weights, bonus), expected, atol=1e-8)


@both_spaces
def test_a_step_is_adam_on_the_gradient_at_the_weights_of_the_likelihoods(space: SearchSpace) -> None:
    p, adam, rng = FactoredPolicy(space, 0.3), Adam(0.3), np.random.default_rng(1)
    expected = p.logits.copy()
    for _ in range(4):
        drawn = p.sample(rng, 5)
        weights = np.exp(log_likelihood_of(p, space, drawn)) - 0.2
        expected += adam.step(p.gradient(drawn, weights, 0.1))
        p.ascend(drawn, lambda each: np.exp(each) - 0.2, 0.1)
        np.testing.assert_allclose(p.logits, expected, rtol=1e-12)


def log_likelihood_of(p: FactoredPolicy, space: SearchSpace, encodings: Ints) -> Floats:
    chosen = np.log(p.probabilities()[np.arange(encodings.shape[1]), encodings])
    return np.asarray((chosen * active(space, encodings)).sum(1))


def test_in_expectation_it_is_the_gradient_of_the_expected_reward() -> None:
    """Whatever the baseline (Williams, 1992, theorem 1)."""
    for space in (PLAIN, BRANCHING):
        p, encodings = shifted(space), every_encoding(space)
        rewards = np.random.default_rng(2).normal(size=len(encodings))

        def expected_reward(p: FactoredPolicy = p, space: SearchSpace = space, rewards: Floats = rewards) -> float:
            return float(np.exp(log_likelihood_of(p, space, every_encoding(space))) @ rewards)

        expected = numerical(expected_reward, p)
        for baseline in (0.0, 0.7):
            likelihood = np.exp(log_likelihood_of(p, space, encodings))
            each = [p.gradient(e[None], np.array([r - baseline]), 0.0) for e, r in zip(encodings, rewards, strict=True)]
            np.testing.assert_allclose(np.tensordot(likelihood, each, 1), expected, atol=1e-8)


def test_it_is_the_gradient_of_torch() -> None:
    p, rng = shifted(seed=3), np.random.default_rng(4)
    drawn, advantages = p.sample(rng, 5), rng.normal(size=5)
    logits = torch.tensor(p.logits, requires_grad=True)
    absent = torch.arange(4) >= torch.tensor(ARITY)[:, None]
    log_probs = logits.masked_fill(absent, -torch.inf).log_softmax(1)
    chosen = log_probs[torch.arange(4), torch.tensor(drawn)].sum(1)
    entropy = -(log_probs.exp() * log_probs.masked_fill(absent, 0.0)).sum(1).mean()
    ((torch.tensor(advantages) * chosen).mean() + 0.05 * entropy).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    np.testing.assert_allclose(p.gradient(drawn, advantages, 0.05), logits.grad.numpy(), atol=1e-12)


def test_probabilities_of_the_padding_are_0() -> None:
    p = FactoredPolicy(PLAIN)
    np.testing.assert_allclose(p.probabilities().sum(1), 1)
    assert (p.probabilities()[2] == [1, 0, 0, 0]).all()


def test_extreme_logits_stay_finite() -> None:
    p = FactoredPolicy(PLAIN)
    p.logits[:, 0] = 1e4
    assert p.entropy == pytest.approx(0)
    assert not p.sample(np.random.default_rng(0), 100).any()
    assert np.isfinite(p.gradient(p.sample(np.random.default_rng(0), 3), np.ones(3), 0.1)).all()


def test_adam_is_the_one_of_torch() -> None:
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=(4, 3))
    theirs = torch.tensor(parameters, requires_grad=True)
    optimizer = torch.optim.Adam([theirs], lr=0.1, maximize=True)
    ours, adam = parameters.copy(), Adam(0.1)
    for _ in range(20):
        gradient = rng.normal(size=ours.shape)
        ours += adam.step(gradient)
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10)
