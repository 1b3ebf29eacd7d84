from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mnas.searchers.lstm import LSTMPolicy
from mnas.searchers.policy import Floats, Ints
from mnas.spaces import SearchSpace, active, arity
from tests.searchers.fakes import BranchingSpace, ToySpace, every_encoding

PLAIN = ToySpace((3, 2, 4), twins=False)
both_spaces = pytest.mark.parametrize("space", [PLAIN, BranchingSpace()], ids=["plain", "branching"])


def policy(space: SearchSpace, layers: int = 1, span: float = 1.0) -> LSTMPolicy:
    """In double precision, with weights that make a difference."""
    made = LSTMPolicy(space, 0, lr=0.01, layers=layers, units=4).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.uniform_(-span, span, generator=generator)
    return made


def conditional_entropy(p: LSTMPolicy, space: SearchSpace, encodings: Ints) -> float:
    """Mean over encodings of the summed entropies of active choices given those before, from likelihoods alone."""
    every = every_encoding(space)
    likelihood = np.exp(p.log_likelihood(every))
    total = 0.0
    for encoding in encodings:
        for i in np.flatnonzero(active(space, encoding[None])[0]):
            alike = (every[:, :i] == encoding[:i]).all(1)
            shares = np.bincount(every[alike, i], likelihood[alike]) / likelihood[alike].sum()
            total -= float(shares[shares > 0] @ np.log(shares[shares > 0]))
    return total / len(encodings)


@pytest.mark.parametrize("layers", [1, 2])
@both_spaces
def test_the_gradient_is_that_of_the_objective(space: SearchSpace, layers: int) -> None:
    p, rng = policy(space, layers), np.random.default_rng(2)
    drawn, bonus = p.sample(rng, 6), 0.3
    weights = np.array([0.5, -1.0, 2.0, -0.25, 1.5, -2.0])

    def objective() -> float:
        entropy = conditional_entropy(p, space, drawn) / len(space.choices)
        return float((weights * p.log_likelihood(drawn)).mean()) + bonus * entropy

    flat = [(parameter, at) for parameter in p.parameters() for at in np.ndindex(*parameter.shape)]
    looked_at = [flat[i] for i in rng.permutation(len(flat))[:60]]
    expected = [slope(objective, parameter, at) for parameter, at in looked_at]
    p.ascend(drawn, lambda _: weights, bonus)
    got = [float(gradient(parameter)[at]) for parameter, at in looked_at]
    np.testing.assert_allclose(got, expected, atol=1e-7)
    assert np.abs(expected).max() > 0.01


def slope(objective: object, parameter: torch.nn.Parameter, at: tuple[int, ...], step: float = 1e-5) -> float:
    assert callable(objective)
    ends = []
    with torch.no_grad():
        value = float(parameter[at])
        for there in (value + step, value - step):
            parameter[at] = there
            ends.append(objective())
        parameter[at] = value
    return float((ends[0] - ends[1]) / (2 * step))


def gradient(parameter: torch.nn.Parameter) -> torch.Tensor:
    assert parameter.grad is not None
    return parameter.grad


@both_spaces
def test_the_entropy_is_that_of_the_batch_learnt_last(space: SearchSpace) -> None:
    p = policy(space)
    assert p.entropy == pytest.approx(np.log(arity(space)).sum())
    drawn = p.sample(np.random.default_rng(0), 7)
    expected = conditional_entropy(p, space, drawn)
    p.ascend(drawn, np.zeros_like, 0.0)
    assert p.entropy == pytest.approx(expected, abs=1e-12)


def test_a_choice_depends_on_those_before() -> None:
    """Which no product of independent choices can say: the two agree, and both options are as likely."""
    space, rng = ToySpace((2, 2), twins=False), np.random.default_rng(0)
    p = LSTMPolicy(space, 0, lr=0.03, layers=1, units=16)
    for _ in range(150):
        drawn = p.sample(rng, 32)
        agree = (drawn[:, 0] == drawn[:, 1]).astype(np.float64)
        p.ascend(drawn, lambda _, agree=agree: agree - 0.5, 0.3)  # type: ignore[misc]
    shares = np.exp(p.log_likelihood(np.array([[0, 0], [1, 1]])))
    assert shares.min() > 0.25
    assert shares.sum() > 0.85


def test_first_weights_are_near_0_and_of_the_seed() -> None:
    one, same, other = (LSTMPolicy(PLAIN, seed, lr=0.01, layers=2, units=5) for seed in (0, 0, 1))
    for name, parameter in one.named_parameters():
        assert float(parameter.detach().abs().max()) <= 0.08, name
        assert torch.equal(parameter, dict(same.named_parameters())[name])
        assert not torch.equal(parameter, dict(other.named_parameters())[name])


def test_the_random_numbers_of_torch_are_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.random.get_rng_state()
    p = LSTMPolicy(PLAIN, 0, lr=0.01, layers=1, units=5)
    drawn = p.sample(np.random.default_rng(0), 4)
    p.ascend(drawn, np.ones_like, 0.1)
    assert torch.equal(torch.random.get_rng_state(), expected)
    torch.manual_seed(4)
    again = LSTMPolicy(PLAIN, 0, lr=0.01, layers=1, units=5)
    np.testing.assert_array_equal(again.sample(np.random.default_rng(0), 4), drawn)


@dataclass(frozen=True)
class Counting(BranchingSpace):
    """Notes how many threads torch may use while it is asked what is active."""

    seen: list[int] = field(default_factory=list, compare=False)

    def active(self, encodings: NDArray[np.int64]) -> NDArray[np.bool_]:
        self.seen.append(torch.get_num_threads())
        return super().active(encodings)


def test_one_thread_draws_and_learns() -> None:
    space, before = Counting(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        p = LSTMPolicy(space, 0, lr=0.01, layers=1, units=5)
        drawn = p.sample(np.random.default_rng(0), 4)
        drawing = len(space.seen)

        def weigh(each: Floats) -> Floats:
            space.seen.append(torch.get_num_threads())
            return each

        p.ascend(drawn, weigh, 0.0)
        assert len(space.seen) > drawing + 1
        assert set(space.seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
