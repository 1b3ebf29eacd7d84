"""Regularized (aging) evolution (Real et al., AAAI 2019, arXiv:1802.01548, algorithm 1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from mnas.errors import ConfigError
from mnas.searchers.searcher import as_encodings, check_count, check_told, generator, searchers
from mnas.spaces import Encoding, SearchSpace, mutate, sample, size


@searchers.register("evolution")
class Evolution:
    """The last `population` trials compete; the best of a random tournament is mutated once; the oldest dies.

    Asked for one at a time this is the published algorithm. In a batch, encoding i is a uniform draw while
    fewer than `population` trials come before it, then a child of the population told so far; tournaments draw with
    replacement, as in the paper.

    Args:
        space: where to search; it holds at least two encodings.
        seed: see `Searcher`.
        population: number of trials alive.
        tournament: number of draws per tournament.
    """

    def __init__(self, space: SearchSpace, seed: int, *, population: int = 20, tournament: int = 5) -> None:
        if population < 1 or tournament < 1:
            raise ConfigError(f"population and tournament must be at least 1, got {population} and {tournament}")
        if size(space) == 1:
            raise ConfigError(f"space {space.name} holds one network only: evolution has nothing to mutate")
        self._space, self._seed = space, seed
        self._tournament = tournament
        self._alive: deque[tuple[Encoding, float]] = deque(maxlen=population)
        self._population = population
        self._told = 0

    def ask(self, n: int) -> list[Encoding]:
        check_count(n)
        rng = generator(self._seed, self._told)
        fresh = min(n, max(0, self._population - self._told)) if self._alive else n
        drawn = as_encodings(sample(self._space, rng, fresh)) if fresh else []
        return drawn + [mutate(self._space, self._parent(rng), rng) for _ in range(n - fresh)]

    def _parent(self, rng: np.random.Generator) -> Encoding:
        drawn = rng.integers(len(self._alive), size=self._tournament)
        return max((self._alive[i] for i in drawn), key=lambda each: each[1])[0]

    def tell(self, encodings: Sequence[Encoding], rewards: Sequence[float]) -> None:
        told = check_told(self._space, encodings, rewards)
        self._alive.extend(zip(encodings, told.tolist(), strict=True))
        self._told += len(told)
