"""Landing on a latency target: the weight of the latency in a loss, which follows the network found so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mnas.spaces import Encoding

_LEAST, _MOST = 1e-2, 1e3
"""Of the weight."""
_GAIN = 10.0
"""A tenth of the target away, the weight changes at its full rate."""
_OVER = 0.5
"""Share of that rate at which it grows at least while the network is too slow, be it by little."""
_DECADES = 20
"""How many factors of ten the weight may change by in a whole search."""


@dataclass(slots=True)
class Landing:
    """A weight that grows while the network is too slow and shrinks while it is within the target.

    Attributes:
        target_ms: the latency target.
        steps: of the whole search.
        weight: of the latency relative to the target.
        within: the latest network within the target, once there was one.
    """

    target_ms: float
    steps: int
    weight: float
    within: Encoding | None = None

    def __post_init__(self) -> None:
        self.weight = min(_MOST, max(_LEAST, self.weight))

    def update(self, encoding: Encoding, high_ms: float) -> None:
        """Take note of the network that the logits stand for, and of the upper bound of its latency."""
        if high_ms <= self.target_ms:
            self.within = encoding
        excess = min(1.0, max(-1.0, _GAIN * (high_ms / self.target_ms - 1)))
        excess = max(_OVER, excess) if high_ms > self.target_ms else excess
        rate = math.log(10) * _DECADES / self.steps
        self.weight = min(_MOST, max(_LEAST, self.weight * math.exp(rate * excess)))
