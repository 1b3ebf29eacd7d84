"""A toy space, a latency model and executors that need no device and no training."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mnas.errors import DataError
from mnas.evaluate.executors import Outcome
from mnas.ir import Architecture, Placement, Shape, chain
from mnas.latency.predictor import Estimate
from mnas.ops.cell import Classifier
from mnas.ops.mobile import ConvBlock
from mnas.spaces import Choice, Encoding, SearchSpace, values


@dataclass(frozen=True)
class ToySpace:
    """A 1x1 convolution of 8, 16, ... channels per choice; with `twins` the last choice decides nothing."""

    arity: tuple[int, ...] = (3, 3, 3, 2)
    twins: bool = True
    name: str = "toy"
    x: Shape = Shape(1, 4, 4)
    classes: int = 10

    @property
    def choices(self) -> tuple[Choice, ...]:
        return tuple(Choice(f"c{i}", tuple(range(n))) for i, n in enumerate(self.arity))

    def decode(self, encoding: Encoding) -> Architecture:
        chosen = [int(value) for value in values(self, encoding)]
        widths = [*chosen[:-1], 0] if self.twins and chosen else chosen
        return chain(self.x, (*[ConvBlock(8 * (1 + width), 1) for width in widths], Classifier(self.classes)))

    def placements(self) -> Iterator[Placement]:
        yield from ()


class ToyLatency:
    """0.01 ms a channel, +-10 %."""

    def predict(self, architecture: Architecture) -> Estimate:
        ms = 0.01 * sum(placement.y.c for placement in architecture.placements[:-1])
        return Estimate(ms, 0.9 * ms, 1.1 * ms)

    def predict_batch(self, space: SearchSpace, encodings: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.array([self.predict(space.decode(tuple(row))).ms for row in encodings.tolist()])


def toy_accuracy(architecture: Architecture, seed: int) -> float:
    """A number in 0.2..0.9 that network and seed decide."""
    digest = hashlib.sha256(f"{architecture} {seed}".encode()).digest()
    return 0.2 + 0.7 * int.from_bytes(digest[:4], "big") / 2**32


class MacsLatency:
    """A millisecond a million MACs, +-10 %."""

    def predict(self, architecture: Architecture) -> Estimate:
        ms = architecture.cost.macs / 1e6
        return Estimate(ms, 0.9 * ms, 1.1 * ms)

    def predict_batch(self, space: SearchSpace, encodings: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.array([self.predict(space.decode(tuple(row))).ms for row in encodings.tolist()])


@dataclass(frozen=True)
class ToyEvaluator:
    """`toy_accuracy` plus a bonus, on the named data."""

    data: str
    bonus: float = 0.0

    def __call__(self, architecture: Architecture, seed: int) -> float:
        return toy_accuracy(architecture, seed) + self.bonus


@dataclass(frozen=True)
class Misled:
    """Finds no data."""

    def __call__(self, architecture: Architecture, seed: int) -> float:
        raise DataError("no data")


@dataclass
class ToyExecutor:
    """Evaluates in this process, and remembers what it was sent."""

    accuracy: Callable[[Architecture, int], float | None] = toy_accuracy
    pause: float = 0.0
    jobs: list[tuple[Architecture, int]] = field(default_factory=list)

    def map(self, jobs: Sequence[tuple[Architecture, int]]) -> Iterator[Outcome]:
        for architecture, seed in jobs:
            self.jobs.append((architecture, seed))
            time.sleep(self.pause)
            accuracy = self.accuracy(architecture, seed)
            yield Outcome(accuracy, "RuntimeError: out of luck" if accuracy is None else None, 0.25)

    def __enter__(self) -> ToyExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        pass
