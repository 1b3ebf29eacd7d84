from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mnas.searchers.policy import Adam, FactoredPolicy

ARITY = np.array([3, 2, 1, 4])


def policy(seed: int = 0) -> FactoredPolicy:
    out = FactoredPolicy(ARITY)
    out.logits += np.random.default_rng(seed).normal(size=out.logits.shape)
    return out


def every_encoding() -> NDArray[np.int64]:
    return np.array(list(product(*(range(n) for n in ARITY))))


def log_likelihood(p: FactoredPolicy, encodings: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.log(p.probabilities()[np.arange(len(ARITY)), encodings]).sum(1)  # type: ignore[no-any-return]


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


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_the_gradient_is_that_of_the_objective(weight: float) -> None:
    p, rng = policy(), np.random.default_rng(1)
    drawn, advantages = p.sample(rng, 7), rng.normal(size=7)
    expected = numerical(lambda: np.mean(advantages * log_likelihood(p, drawn)) + weight * p.entropy, p)
    np.testing.assert_allclose(p.gradient(drawn, advantages, weight), expected, atol=1e-8)


def test_in_expectation_it_is_the_gradient_of_the_expected_reward() -> None:
    """Whatever the baseline (Williams, 1992, theorem 1)."""
    p, encodings = policy(), every_encoding()
    rewards = np.random.default_rng(2).normal(size=len(encodings))
    expected = numerical(lambda: np.exp(log_likelihood(p, encodings)) @ rewards, p)
    for baseline in (0.0, 0.7):
        likelihood = np.exp(log_likelihood(p, encodings))
        each = [p.gradient(e[None], np.array([r - baseline]), 0.0) for e, r in zip(encodings, rewards, strict=True)]
        np.testing.assert_allclose(np.tensordot(likelihood, each, 1), expected, atol=1e-8)


def test_it_is_the_gradient_of_torch() -> None:
    p, rng = policy(3), np.random.default_rng(4)
    drawn, advantages = p.sample(rng, 5), rng.normal(size=5)
    logits = torch.tensor(p.logits, requires_grad=True)
    absent = torch.arange(4) >= torch.tensor(ARITY)[:, None]
    log_probs = logits.masked_fill(absent, -torch.inf).log_softmax(1)
    chosen = log_probs[torch.arange(4), torch.tensor(drawn)].sum(1)
    entropy = -(log_probs.exp() * log_probs.masked_fill(absent, 0.0)).sum()
    ((torch.tensor(advantages) * chosen).mean() + 0.05 * entropy).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    np.testing.assert_allclose(p.gradient(drawn, advantages, 0.05), logits.grad.numpy(), atol=1e-12)


def test_probabilities_and_entropy() -> None:
    p = FactoredPolicy(ARITY)
    assert p.entropy == pytest.approx(np.log(3 * 2 * 1 * 4))
    np.testing.assert_allclose(p.probabilities().sum(1), 1)
    assert (p.probabilities()[2] == [1, 0, 0, 0]).all()
    assert np.exp(log_likelihood(p, every_encoding())).sum() == pytest.approx(1)


def test_samples_follow_the_probabilities() -> None:
    p = policy()
    drawn = p.sample(np.random.default_rng(0), 20000)
    for i, row in enumerate(p.probabilities()):
        np.testing.assert_allclose(np.bincount(drawn[:, i], minlength=4) / len(drawn), row, atol=0.015)


def test_extreme_logits_stay_finite() -> None:
    p = FactoredPolicy(ARITY)
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
