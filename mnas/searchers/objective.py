"""What is known of an encoding before its network is trained: latency is exact and free."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnas.ir import Architecture, Placement
from mnas.latency import Estimate, LatencyModel
from mnas.latency.pricing import executed
from mnas.searchers.reward import Reward
from mnas.spaces import Encoding, SearchSpace

Floats = NDArray[np.float64]


class Prospect(NamedTuple):
    """One encoding before its network is trained.

    Attributes:
        latency_ms: predicted; 1 where nothing is priced.
        feasible: whether it would be trained.
        size: natural logarithm of 1 plus the MACs of what depends on the input.
    """

    latency_ms: float
    feasible: bool
    size: float


@dataclass(frozen=True)
class Objective:
    """How a search sees encodings: as which network, at which price, and worth what at some accuracy.

    Without a latency model every network is feasible, and without a reward the accuracy is the reward.

    Attributes:
        space: where to search.
        latency_model: prices networks.
        reward: of accuracy and latency.
        limit_ms: a network is trained if its upper latency bound is within this.
        spellings: whether to tell spellings of a network apart (see `mnas.evaluate.tells_spellings`).
    """

    space: SearchSpace
    latency_model: LatencyModel | None = None
    reward: Reward | None = None
    limit_ms: float = math.inf
    spellings: bool = False
    _known: dict[Encoding, Prospect] = field(default_factory=dict, init=False, repr=False, compare=False)

    def network(self, encoding: Encoding) -> Architecture:
        """The network that is priced and trained; equal ones are trained once."""
        network = self.space.decode(encoding)
        return network if self.spellings else network.canonical()

    def estimate(self, network: Architecture) -> Estimate:
        """Price a network; 1 ms where nothing is priced."""
        return self.latency_model.predict(network) if self.latency_model else Estimate(1.0, 1.0, 1.0)

    def prospects(self, encodings: Sequence[Encoding]) -> list[Prospect]:
        """Look at encodings; what was looked at once is remembered."""
        for encoding in encodings:
            if encoding not in self._known:
                network = self.network(encoding)
                latency = self.estimate(network)
                macs = sum(map(_macs, executed(network, folds_constants=True)))
                self._known[encoding] = Prospect(latency.ms, latency.high_ms <= self.limit_ms, math.log1p(macs))
        return [self._known[encoding] for encoding in encodings]

    def rewards(self, quality: Floats, latency_ms: Floats) -> Floats:
        """Rewards of networks of some quality, (n,), where a reward is 0 at quality 0 and 1 at 1 before latency counts.

        All rewards of mnas are linear in the quality, which is the accuracy or a power of it.
        """
        if self.reward is None:
            return quality
        worst, best = self._ends(latency_ms)
        return worst + quality * (best - worst)

    def quality(self, rewards: Floats, latency_ms: Floats) -> Floats:
        """The quality that gave `rewards` (n,): the inverse of `rewards`."""
        if self.reward is None:
            return rewards
        worst, best = self._ends(latency_ms)
        return (rewards - worst) / (best - worst)

    def _ends(self, latency_ms: Floats) -> tuple[Floats, Floats]:
        assert self.reward is not None
        return self.reward(np.zeros_like(latency_ms), latency_ms), self.reward(np.ones_like(latency_ms), latency_ms)


@lru_cache(maxsize=65536)
def _macs(placement: Placement) -> int:
    return placement.cost.macs
