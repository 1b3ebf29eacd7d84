"""Local search (White et al., UAI 2021, arXiv:2005.02960, algorithm 1): go to a better neighbour while there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from mnas.searchers.searcher import as_encodings, check_count, check_told, generator, searchers
from mnas.spaces import Encoding, SearchSpace, active, arity, pruned, sample


@searchers.register("local")
class LocalSearch:
    """Neighbours of the current network differ in one decision; once one of them is better, it is the current one.

    This is the variant of the paper that does not wait for all neighbours. Where all of them were tried and none was
    better, the search starts again from a uniform draw.

    Args:
        space: where to search.
        seed: see `Searcher`.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space, self._seed = space, seed
        self._current: tuple[Encoding, float] | None = None
        self._known: set[Encoding] = set()
        self._moved = 0
        self._told = 0

    def ask(self, n: int) -> list[Encoding]:
        check_count(n)
        new = list(islice(self._neighbours(), n))
        return new + as_encodings(sample(self._space, generator(self._seed, self._told), n - len(new)))

    def tell(self, encodings: Sequence[Encoding], rewards: Sequence[float]) -> None:
        told = check_told(self._space, encodings, rewards)
        if not len(told):
            return
        start_again = self._current is None or next(self._neighbours(), None) is None
        self._known.update(encodings)
        self._told += len(told)
        best = int(np.argmax(told))
        if start_again or self._current is None or told[best] > self._current[1]:
            self._current, self._moved = (encodings[best], float(told[best])), self._told

    def _neighbours(self) -> Iterator[Encoding]:
        """Those of the current network that were never told, in a random order that is its own."""
        if self._current is None:
            return
        here = np.array([self._current[0]], np.int64)
        counted = np.where(active(self._space, here)[0], arity(self._space), 0)
        free = [(i, option) for i, n in enumerate(counted) for option in range(n)]
        for at in generator(self._seed, self._moved).permutation(len(free)):
            i, option = free[at]
            there = here.copy()
            there[0, i] = option
            encoding = as_encodings(pruned(self._space, there))[0]
            if encoding not in self._known:
                yield encoding
