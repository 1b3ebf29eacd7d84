"""REINFORCE with a factored policy (Williams, 1992; factored as in TuNAS, arXiv:2008.06120, sec. 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnas.errors import ConfigError
from mnas.searchers.policy import Adam, FactoredPolicy, Floats
from mnas.searchers.searcher import as_encodings, check_count, check_told, generator, searchers
from mnas.spaces import Encoding, SearchSpace, arity


@searchers.register("reinforce")
class Reinforce:
    """Ascend the expected reward by the score function, one Adam step per batch told.

    The advantage is the reward minus a moving average of the rewards told before this batch (the mean of the batch, for
    the first); only then does the batch enter the average. Entropy is what keeps it from collapsing: with weight 0 it
    settles early on a poor network.

    Args:
        space: where to search.
        seed: see `Searcher`.
        lr: learning rate of Adam.
        entropy: weight of the policy's entropy in nats, summed over choices.
        decay: share of the moving average that one more reward keeps.
    """

    def __init__(
        self, space: SearchSpace, seed: int, *, lr: float = 0.1, entropy: float = 0.01, decay: float = 0.95
    ) -> None:
        if not (lr > 0 and entropy >= 0 and 0 <= decay < 1):
            raise ConfigError(f"lr > 0, entropy >= 0 and 0 <= decay < 1, got {lr}, {entropy} and {decay}")
        self._space, self._seed = space, seed
        self._policy = FactoredPolicy(arity(space))
        self._adam = Adam(lr)
        self._entropy_weight, self._decay = entropy, decay
        self._baseline: float | None = None
        self._told = 0

    @property
    def entropy(self) -> float:
        """Entropy of the policy in nats, summed over choices."""
        return self._policy.entropy

    def probabilities(self) -> Floats:
        """Probability of every option of every choice, (choices, options); 0 where a choice has fewer options."""
        return self._policy.probabilities()

    def ask(self, n: int) -> list[Encoding]:
        check_count(n)
        return as_encodings(self._policy.sample(generator(self._seed, self._told), n))

    def tell(self, encodings: Sequence[Encoding], rewards: Sequence[float]) -> None:
        told = check_told(self._space, encodings, rewards)
        if not len(told):
            return
        baseline = float(told.mean()) if self._baseline is None else self._baseline
        batch = np.array(encodings, np.int64).reshape(len(told), -1)
        gradient = self._policy.gradient(batch, told - baseline, self._entropy_weight)
        self._policy.logits += self._adam.step(gradient)
        for reward in told.tolist():
            baseline = self._decay * baseline + (1 - self._decay) * reward
        self._baseline = baseline
        self._told += len(told)
