"""Policies: distributions over encodings, which a controller draws from and improves.

The factored policy stands here: one independent categorical distribution per choice, in numpy. A step costs tens of
microseconds; the same in torch costs five times as much at batch 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mnas.errors import ConfigError
from mnas.spaces import ConditionalSpace, SearchSpace, active, arity, pruned

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PolicyName = Literal["factored", "lstm"]
Weigh = Callable[[Floats], Floats]
"""From the log-likelihoods of encodings, (n,), to the weights of their scores, (n,)."""
LR: dict[PolicyName, float] = {"factored": 0.2, "lstm": 0.03}
"""Learning rate of Adam where none is given, for one step a batch."""
_ROUNDING = 1e-9
"""Numbers whose standard deviation is a smaller share of their mean are equal."""


class Policy(Protocol):
    """A distribution over the encodings of a space; choices that are inactive in an encoding count for nothing."""

    @property
    def entropy(self) -> float:
        """Entropy in nats, summed over choices: the logarithm of how many encodings are still in play."""

    def open(self, options: Ints) -> None:
        """Draw only from the first so many options of every choice, (choices,), until told otherwise."""

    def sample(self, rng: np.random.Generator, n: int) -> Ints:
        """Draw `n` encodings, (n, choices)."""

    def ascend(self, encodings: Ints, weigh: Weigh, entropy_weight: float) -> None:
        """Take one step of Adam along the gradient of mean(weight * log-likelihood) + entropy_weight * mean entropy.

        The entropy is averaged over the choices: the more there are, the less a single one decides of a reward.

        Args:
            encodings: what was drawn, (n, choices).
            weigh: gives the weights, which are constants of the gradient. Of REINFORCE they are the advantages.
            entropy_weight: weight of the bonus that keeps the policy exploring.
        """


def make_policy(
    name: PolicyName, space: SearchSpace, seed: int, *, lr: float | None = None, layers: int = 1, units: int = 100
) -> Policy:
    """Make a policy.

    Args:
        name: "factored", or "lstm" (which loads torch).
        space: what it draws from.
        seed: of the first weights of an LSTM; a factored policy starts uniform.
        lr: learning rate of Adam; 0.2 (factored) or 0.03 (lstm) if not given.
        layers: depth of the LSTM.
        units: width of the LSTM.

    Raises:
        ConfigError: a number out of range.
    """
    lr = LR[name] if lr is None else lr
    if lr <= 0 or layers < 1 or units < 1:
        raise ConfigError(f"lr > 0, layers >= 1 and units >= 1, got {lr}, {layers} and {units}")
    if name == "factored":
        return FactoredPolicy(space, lr)
    from mnas.searchers.lstm import LSTMPolicy

    return LSTMPolicy(space, seed, lr=lr, layers=layers, units=units)


class FactoredPolicy:
    """Logits of all choices in one matrix (choices, options), padded; options that are not open have probability 0.

    Args:
        space: what it draws from.
        lr: learning rate of Adam.
    """

    def __init__(self, space: SearchSpace, lr: float = 0.1) -> None:
        self._space = space
        self._conditional = isinstance(space, ConditionalSpace)
        self._adam = Adam(lr)
        self.open(arity(space))
        self.logits: Floats = np.zeros(self._exists.shape)

    def open(self, options: Ints) -> None:
        self._last = options - 1
        self._exists = np.arange(int(arity(self._space).max(initial=1))) < options[:, None]

    def probabilities(self) -> Floats:
        """Probability of every option of every choice, (choices, options); 0 in the padding."""
        logits = np.where(self._exists, self.logits, -np.inf)
        weights = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(weights / weights.sum(1, keepdims=True))

    @property
    def entropy(self) -> float:
        p = self.probabilities()
        return float(-(p * _log(p)).sum())

    def sample(self, rng: np.random.Generator, n: int) -> Ints:
        ends = self.probabilities().cumsum(1)
        drawn = np.minimum((rng.random((n, len(ends), 1)) >= ends).sum(2), self._last)
        return pruned(self._space, drawn) if self._conditional else drawn

    def ascend(self, encodings: Ints, weigh: Weigh, entropy_weight: float) -> None:
        log = _log(self.probabilities())[np.arange(encodings.shape[1]), encodings]
        likelihood = (log * active(self._space, encodings) if self._conditional else log).sum(1)
        self.logits += self._adam.step(self.gradient(encodings, weigh(likelihood), entropy_weight))

    def gradient(self, encodings: Ints, weights: Floats, entropy_weight: float) -> Floats:
        """Gradient by the logits (see `ascend`), (choices, options)."""
        p = self.probabilities()
        n = len(encodings)
        counted = np.ones(encodings.shape)
        if self._conditional:
            counted[~active(self._space, encodings)] = 0.0
        weighted = counted * weights[:, None] / n
        score = -p * weighted.sum(0)[:, None]
        np.add.at(score, (np.arange(len(p)), encodings), weighted)
        log = _log(p)
        slope = p * (log - (p * log).sum(1, keepdims=True))
        return np.asarray(score - entropy_weight / max(1, len(p)) * slope * counted.mean(0)[:, None])


class Adam:
    """Adam (Kingma & Ba, ICLR 2015, arXiv:1412.6980, algorithm 1); gives the step that ascends."""

    def __init__(self, lr: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        self._lr, self._beta1, self._beta2, self._epsilon = lr, beta1, beta2, epsilon
        self._mean: Floats | float = 0.0
        self._square: Floats | float = 0.0
        self._steps = 0

    def step(self, gradient: Floats) -> Floats:
        """What to add to the parameters, given the gradient of the objective."""
        self._steps += 1
        self._mean = self._beta1 * self._mean + (1 - self._beta1) * gradient
        self._square = self._beta2 * self._square + (1 - self._beta2) * gradient**2
        mean = self._mean / (1 - self._beta1**self._steps)
        square = self._square / (1 - self._beta2**self._steps)
        return np.asarray(self._lr * mean / (np.sqrt(square) + self._epsilon))


def spread(mean: float, deviation: float) -> float:
    """A standard deviation to divide by: 1 where numbers of this mean are equal up to rounding."""
    return deviation if deviation > _ROUNDING * abs(mean) else 1.0


def _log(p: Floats) -> Floats:
    """Logarithm where p > 0, else 0."""
    return np.log(p, out=np.zeros_like(p), where=p > 0)
