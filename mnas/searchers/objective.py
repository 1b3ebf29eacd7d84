"""What a search wants, and what it knows of an encoding before its network is trained: latency is exact and free."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mnas.errors import SpanError
from mnas.ir import Architecture, Placement
from mnas.latency import Estimate, LatencyModel, executed
from mnas.searchers.policy import Floats
from mnas.searchers.reward import Reward, check_target
from mnas.spaces import Encoding, SearchSpace


class Prospect(NamedTuple):
    """One encoding before its network is trained.

    Attributes:
        latency_ms: predicted.
        feasible: whether its network would be trained.
        size: natural logarithm of 1 plus the MACs of what depends on the input.
    """

    latency_ms: float
    feasible: bool
    size: float


@dataclass(frozen=True)
class Objective:
    """How a search sees encodings: as which network, at which price, and worth what at some accuracy.

    Attributes:
        space: where to search.
        latency_model: prices networks.
        reward: of accuracy and latency.
        target_ms: the latency target.
        train_infeasible: train networks over the target too, as the papers do.
        spellings: whether to tell spellings of a network apart (see `mnas.evaluate.tells_spellings`).

    Raises:
        ConfigError: a target that is not a positive finite number.
    """

    space: SearchSpace
    latency_model: LatencyModel
    reward: Reward
    target_ms: float
    train_infeasible: bool = False
    spellings: bool = False
    _known: dict[Encoding, Prospect] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_target(self.target_ms)

    def network(self, encoding: Encoding) -> Architecture:
        """The network that is priced and trained; equal ones are trained once."""
        network = self.space.decode(encoding)
        return network if self.spellings else network.canonical()

    def price(self, network: Architecture) -> Estimate:
        """Price a network; where the model was not fitted to such sizes, half to twice what it says is believed."""
        try:
            return self.latency_model.predict(network)
        except SpanError as error:
            return Estimate(error.ms, error.ms / 2, 2 * error.ms)

    def trains(self, latency: Estimate) -> bool:
        """Whether a network of this latency is trained: its upper bound is within the target."""
        return self.train_infeasible or latency.high_ms <= self.target_ms

    def prospects(self, encodings: Sequence[Encoding]) -> list[Prospect]:
        """Look at encodings; what was looked at once is remembered."""
        for encoding in encodings:
            if encoding not in self._known:
                network = self.network(encoding)
                latency = self.price(network)
                size = math.log1p(sum(map(_macs, executed(network, folds_constants=True))))
                self._known[encoding] = Prospect(latency.ms, self.trains(latency), size)
        return [self._known[encoding] for encoding in encodings]

    def rewards(self, quality: Floats, latency_ms: Floats) -> Floats:
        """Rewards of networks of some quality, (n,): 0 stands for the reward of accuracy 0, 1 for that of accuracy 1.

        All rewards of mnas are linear in the quality, which is the accuracy or a power of it. It may be outside 0..1.
        """
        worst, best = self._ends(latency_ms)
        return worst + quality * (best - worst)

    def quality(self, rewards: Floats, latency_ms: Floats) -> Floats:
        """The quality that gave `rewards`, (n,): the inverse of `rewards`; 0 where a reward does not tell."""
        worst, best = self._ends(latency_ms)
        span = best - worst
        return np.divide(rewards - worst, span, out=np.zeros_like(span), where=span > 0)

    def _ends(self, latency_ms: Floats) -> tuple[Floats, Floats]:
        return self.reward(np.zeros_like(latency_ms), latency_ms), self.reward(np.ones_like(latency_ms), latency_ms)


@lru_cache(maxsize=65536)
def _macs(placement: Placement) -> int:
    return placement.cost.macs
