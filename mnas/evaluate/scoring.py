"""Training-free scores in the role of an evaluator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch

from mnas.errors import ConfigError, EvaluationError
from mnas.evaluate.data import adapt, dataset
from mnas.evaluate.evaluator import evaluators
from mnas.evaluate.proxy import check_classes
from mnas.evaluate.training import Normalizer
from mnas.evaluate.untrained import Minibatch, scores
from mnas.ir import Architecture, Shape

LOWEST = -1e6
"""Told in place of minus infinity; no determinant that float64 can hold comes near it."""
_STEEPNESS = 4.0


@evaluators.register("naswot")
@dataclass(frozen=True)
class ScoreEvaluator:
    """Scores untrained networks; see `mnas.evaluate.untrained`.

    All networks see the same images, the first training images. Weights are drawn by the seed. Torch uses one thread,
    on the CPU, and its global generator is left alone.

    Attributes:
        data: name or path of a data set (see `dataset`).
        folder: where the files of a named data set are, if not in their usual places.
        score: name of the score: "naswot", "synflow", "grad-norm", "macs" or "parameters".
        images: size of the minibatch; at least 2.
    """

    data: str
    folder: str | None = None
    score: str = "naswot"
    images: int = 128

    def __post_init__(self) -> None:
        scores[self.score]  # says which names are known
        if self.images < 2:
            raise ConfigError(f"images must be at least 2, as batch norm needs, got {self.images}")

    def __call__(self, architecture: Architecture, seed: int) -> float:
        """The score, a finite number: minus infinity becomes `LOWEST`. Equal for all spellings of a network.

        Raises:
            ConfigError: the network does not give one number a class.
            EvaluationError: the score is not a number or above all bounds.
        """
        architecture = architecture.canonical()
        score = scores[self.score].of(architecture, seed, self.minibatch(architecture))
        if math.isnan(score) or score == math.inf:
            raise EvaluationError(f"{self.score} is {score}: the network's values overflow")
        return max(LOWEST, score)

    def squash(self, score: float) -> float:
        """What takes the place of the accuracy in a reward: (1 + u / (1 + |u|)) / 2, u = 4 (score / typical - 1).

        Strictly monotone in 0..1, so that networks within the target are ranked as by the score itself. It depends on
        nothing but the score (a rank would change with what else was met, and so would what a network was told). A
        typical network has 1/2, one that scores a tenth more 0.64, twice as much 0.9: about as far apart as
        accuracies, for rewards that weigh them against latency. There is no end at which large scores become one.
        """
        u = _STEEPNESS * (score / scores[self.score].typical - 1)
        return (1 + u / (1 + abs(u))) / 2

    def minibatch(self, architecture: Architecture) -> Minibatch:
        """The images that are shown to the network, in its input shape."""
        batch, classes, name = _loaded(self.data, self.folder, self.images, architecture.x)
        check_classes(architecture, classes, name)
        return batch


@lru_cache(maxsize=4)
def _loaded(data: str, folder: str | None, images: int, x: Shape) -> tuple[Minibatch, tuple[str, ...], str]:
    few = adapt(dataset(data, folder=folder).for_search().first(images), x)
    floats = Normalizer(few.mean, few.std)(few.train.images)
    return Minibatch(floats, torch.from_numpy(few.train.labels)), few.classes, few.name
