"""A toy space, a latency model and executors that need no device and no training."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from mnas.errors import DataError
from mnas.evaluate.executors import Outcome
from mnas.ir import Architecture, Placement, Shape, chain
from mnas.latency.predictor import Estimate, LatencyModel
from mnas.ops.cell import Classifier
from mnas.ops.mobile import ConvBlock
from mnas.searchers.objective import Objective
from mnas.searchers.reward import make_reward
from mnas.searchers.searcher import Searcher, make_searcher, searchers
from mnas.spaces import Choice, Encoding, SearchSpace, arity, pruned, values

QUICK: Mapping[str, Mapping[str, object]] = {
    "evolution": {"population": 6, "tournament": 2},
    "ppo": {"units": 8},
    "reinforce": {"units": 8},
    "surrogate": {"steps": 4, "draws": 16, "elites": 4, "first": 6},
}
"""Options by which a searcher is quick on a toy."""
INSTALLED = [name for name in searchers if name != "optuna" or find_spec("optuna")]
SEARCHERS = [
    pytest.param(name, marks=pytest.mark.skipif(name not in INSTALLED, reason=f"needs the extra mnas[{name}]"))
    for name in searchers
]
"""Every registered searcher, for `parametrize`."""
TARGET_MS = 0.66


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


@dataclass(frozen=True)
class BranchingSpace(ToySpace):
    """Choice i matters where the first choice is at least i."""

    arity: tuple[int, ...] = (3, 2, 3)
    twins: bool = False

    def active(self, encodings: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.arange(encodings.shape[1]) <= encodings[:, :1]

    def decode(self, encoding: Encoding) -> Architecture:
        chosen = [int(value) for value in values(self, encoding)]
        widths = chosen[: chosen[0] + 1]
        return chain(self.x, (*[ConvBlock(8 * (1 + width), 1) for width in widths], Classifier(self.classes)))


@dataclass(frozen=True)
class SproutingSpace(BranchingSpace):
    """One more option of the first choice opens every ten encodings."""

    def open_options(self, samples: int) -> NDArray[np.int64]:
        counts = arity(self)
        counts[0] = min(int(counts[0]), 1 + samples // 10)
        return counts


def every_encoding(space: SearchSpace) -> NDArray[np.int64]:
    """All encodings of a small space, (n, choices); inactive choices are 0."""
    rows = list(product(*(range(len(choice.options)) for choice in space.choices)))
    return np.unique(pruned(space, np.array(rows, np.int64)), axis=0)


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


def toy_objective(
    space: SearchSpace | None = None,
    target_ms: float = TARGET_MS,
    *,
    latency: LatencyModel | None = None,
    reward: str = "asymmetric",
    train_infeasible: bool = False,
) -> Objective:
    """For searches of a toy space."""
    made = make_reward(reward, target_ms)
    return Objective(space or ToySpace(), latency or ToyLatency(), made, target_ms, train_infeasible)


def quick_searcher(name: str, space: SearchSpace, seed: int = 0, objective: Objective | None = None) -> Searcher:
    """A registered searcher by options that make it quick; its objective is a toy if none is given."""
    return make_searcher(name, space, seed, QUICK.get(name), objective or toy_objective(space))
