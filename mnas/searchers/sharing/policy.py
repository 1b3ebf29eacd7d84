"""The policy of TuNAS (arXiv:2008.06120, sec. 3.1): a factored one, by REINFORCE with a moving baseline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mnas.searchers.controller import Baseline, Controller
from mnas.searchers.policy import FactoredPolicy, Floats, Ints
from mnas.searchers.searcher import as_encodings
from mnas.spaces import Encoding, SearchSpace, pruned

_TRIED = 1000


class Likeliest(Controller):
    """A controller that in the end says which encoding it thinks best.

    Args:
        space: where to search.
        seed: see `Searcher`.
        lr: learning rate of Adam.
        entropy: weight of the policy's entropy in nats, averaged over the choices.
        decay: share of the moving average of rewards that one more reward keeps.
    """

    def __init__(self, space: SearchSpace, seed: int, *, lr: float, entropy: float, decay: float) -> None:
        self._factored = FactoredPolicy(space, lr)
        super().__init__(space, seed, self._factored)
        self._entropy_weight, self._baseline = entropy, Baseline(decay)

    def likeliest(self, within: Callable[[Encoding], bool]) -> Encoding:
        """The likeliest encoding, or else the likeliest of many draws that is `within`; the first if none is."""
        p = self._factored.probabilities()
        (best,) = as_encodings(pruned(self._space, p.argmax(1)[None]))
        if within(best):
            return best
        drawn = self._factored.sample(np.random.default_rng(self._seed), _TRIED)
        with np.errstate(divide="ignore"):
            likelihood = np.log(p)[np.arange(drawn.shape[1]), drawn].sum(1)
        ordered = as_encodings(drawn[np.argsort(-likelihood, kind="stable")])
        return next(filter(within, dict.fromkeys(ordered)), best)

    def _learn(self, encodings: Ints, rewards: Floats) -> None:
        advantages = self._baseline.advantages(rewards)
        self._factored.ascend(encodings, lambda _: advantages, self._entropy_weight)
