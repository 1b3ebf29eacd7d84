"""Proximal policy optimisation (arXiv:1707.06347, eq. 7), by which NASNet and MnasNet train their controllers."""

from __future__ import annotations

import numpy as np

from mnas.errors import ConfigError
from mnas.searchers.controller import Baseline, Controller
from mnas.searchers.policy import LR, Floats, Ints, PolicyName, make_policy
from mnas.searchers.searcher import searchers
from mnas.spaces import SearchSpace

_FAR = 50.0
"""Logarithm of a likelihood ratio that is cut, before it overflows."""


@searchers.register("ppo")
class PPO(Controller):
    """Several steps over every batch told, as long as the policy stays near the one that drew it.

    The advantage is that of `Reinforce`. A likelihood ratio that left the clipped range in the direction of its
    advantage gives no gradient.

    Args:
        space: where to search.
        seed: see `Searcher`.
        policy: "lstm" or "factored".
        lr: learning rate of Adam; if not given, the policy's own (see `make_policy`) by the number of epochs.
        entropy: weight of the policy's entropy in nats, averaged over the choices.
        decay: share of the moving average that one more reward keeps.
        epochs: steps over a batch.
        clip: how far the likelihood ratio of an encoding may go from 1 before it no longer counts.
        layers: depth of the LSTM.
        units: width of the LSTM.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        *,
        policy: PolicyName = "lstm",
        lr: float | None = None,
        entropy: float = 3.0,
        decay: float = 0.95,
        epochs: int = 3,
        clip: float = 0.2,
        layers: int = 1,
        units: int = 100,
    ) -> None:
        if not (entropy >= 0 and 0 <= decay < 1 and epochs >= 1 and clip > 0):
            raise ConfigError(
                f"entropy >= 0, 0 <= decay < 1, epochs >= 1 and clip > 0, got {entropy}, {decay}, {epochs} and {clip}"
            )
        lr = LR[policy] / epochs if lr is None else lr
        super().__init__(space, seed, make_policy(policy, space, seed, lr=lr, layers=layers, units=units))
        self._entropy_weight, self._baseline = entropy, Baseline(decay)
        self._epochs, self._clip = epochs, clip

    def _learn(self, encodings: Ints, rewards: Floats) -> None:
        advantages = self._baseline.advantages(rewards)
        before: list[Floats] = []

        def weigh(log_likelihood: Floats) -> Floats:
            if not before:
                before.append(log_likelihood)
            ratio = np.exp(np.clip(log_likelihood - before[0], -_FAR, _FAR))
            clipped = np.where(advantages > 0, ratio > 1 + self._clip, ratio < 1 - self._clip)
            return np.where(clipped, 0.0, ratio * advantages)

        for _ in range(self._epochs):
            self._policy.ascend(encodings, weigh, self._entropy_weight)
