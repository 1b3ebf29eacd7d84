"""REINFORCE (Williams, 1992), as in NAS-RL (arXiv:1611.01578, sec. 3.2) and TuNAS (arXiv:2008.06120, sec. 3.1)."""

from __future__ import annotations

from mnas.errors import ConfigError
from mnas.searchers.controller import Baseline, Controller
from mnas.searchers.policy import Floats, Ints, PolicyName, make_policy
from mnas.searchers.searcher import searchers
from mnas.spaces import SearchSpace


@searchers.register("reinforce")
class Reinforce(Controller):
    """Ascend the expected reward by the score function, one Adam step per batch told.

    The advantage is the reward minus a moving average of the rewards told before this batch, in units of their
    standard deviation (see `Baseline`). Entropy is what keeps the policy from collapsing: with weight 0 it settles
    early on a poor network.

    NAS-RL's controller is policy "lstm" with layers = 2, units = 35 and lr = 6e-4; that of TuNAS is "factored".

    Args:
        space: where to search.
        seed: see `Searcher`.
        policy: "lstm" or "factored".
        lr: learning rate of Adam; the policy's own if not given (see `make_policy`).
        entropy: weight of the policy's entropy in nats, averaged over the choices.
        decay: share of the moving average that one more reward keeps.
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
        entropy: float = 4.0,
        decay: float = 0.95,
        layers: int = 1,
        units: int = 100,
    ) -> None:
        if not (entropy >= 0 and 0 <= decay < 1):
            raise ConfigError(f"entropy >= 0 and 0 <= decay < 1, got {entropy} and {decay}")
        super().__init__(space, seed, make_policy(policy, space, seed, lr=lr, layers=layers, units=units))
        self._entropy_weight, self._baseline = entropy, Baseline(decay)

    def _learn(self, encodings: Ints, rewards: Floats) -> None:
        advantages = self._baseline.advantages(rewards)
        self._policy.ascend(encodings, lambda _: advantages, self._entropy_weight)
