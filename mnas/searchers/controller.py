"""What the controllers share: a policy that is drawn from, and improved by every batch told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from mnas.searchers.policy import Floats, Ints, Policy, spread
from mnas.searchers.searcher import as_encodings, check_count, check_told, generator
from mnas.spaces import Encoding, GrowingSpace, SearchSpace

_FAR = 3.0
"""Advantages, in standard deviations, are cut here: one broken network must not decide a step."""


class Controller(ABC):
    """Draws from a policy; in a `GrowingSpace` from the options that are open after the encodings told so far.

    Args:
        space: where to search.
        seed: see `Searcher`.
        policy: of this space.
    """

    def __init__(self, space: SearchSpace, seed: int, policy: Policy) -> None:
        self._space, self._seed, self._policy = space, seed, policy
        self._growing = space if isinstance(space, GrowingSpace) else None
        self._told = 0
        self._grow()

    @property
    def entropy(self) -> float:
        """Entropy of the policy in nats, summed over choices."""
        return self._policy.entropy

    def ask(self, n: int) -> list[Encoding]:
        check_count(n)
        return as_encodings(self._policy.sample(generator(self._seed, self._told), n))

    def tell(self, encodings: Sequence[Encoding], rewards: Sequence[float]) -> None:
        told = check_told(self._space, encodings, rewards)
        if not len(told):
            return
        self._learn(np.array(encodings, np.int64).reshape(len(told), -1), told)
        self._told += len(told)
        self._grow()

    @abstractmethod
    def _learn(self, encodings: Ints, rewards: Floats) -> None:
        """Improve the policy by encodings (n, choices) drawn from it, and their rewards (n,)."""

    def _grow(self) -> None:
        if self._growing is not None:
            self._policy.open(self._growing.open_options(self._told))


class Baseline:
    """What rewards are compared with: the moving average of those before, in units of their standard deviation.

    In these units the weight of an entropy means the same whatever rewards differ by. The first batch is its own
    baseline.

    Args:
        decay: share of the averages that one more reward keeps.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._moments: tuple[float, float] | None = None

    def advantages(self, rewards: Floats) -> Floats:
        """How far rewards (n,) are above the average; only then do they enter it. Equal rewards are all at 0."""
        mean, variance = self._moments or (float(rewards.mean()), float(rewards.var()))
        advantages = (rewards - mean) / spread(mean, variance**0.5)
        for reward in rewards.tolist():
            deviation = reward - mean
            mean += (1 - self._decay) * deviation
            variance = self._decay * (variance + (1 - self._decay) * deviation**2)
        self._moments = mean, variance
        return np.clip(advantages, -_FAR, _FAR)
