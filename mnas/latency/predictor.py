"""What whoever asks for a latency gets, and who may answer."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mnas.ir import Architecture
from mnas.spaces import SearchSpace


class Estimate(NamedTuple):
    """A latency and the interval that holds the measured one in nine of ten cases, all in ms."""

    ms: float
    low_ms: float
    high_ms: float


class LatencyModel(Protocol):
    """Something that prices networks it has not seen."""

    def predict(self, architecture: Architecture) -> Estimate:
        """Price one network.

        Raises:
            MissingLatencyError: the model lacks what it needs for this network.
            SpanError: the network is far smaller or larger than those that the model was fitted to.
        """
        ...

    def predict_batch(self, space: SearchSpace, encodings: NDArray[np.int64]) -> NDArray[np.float64]:
        """Price encodings (n, choices) of `space`, (n,) in ms.

        Raises:
            MissingLatencyError: the model lacks what it needs for one of the networks.
            CheckError: a network is unlike those that the model was fitted to.
        """
        ...
