"""Random search: the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from mnas.searchers.searcher import as_encodings, check_count, check_told, generator, searchers
from mnas.spaces import Encoding, SearchSpace, sample


@searchers.register("random")
class RandomSearch:
    """Uniform draws with replacement; nothing is learnt."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space, self._seed = space, seed
        self._told = 0

    def ask(self, n: int) -> list[Encoding]:
        check_count(n)
        return as_encodings(sample(self._space, generator(self._seed, self._told), n))

    def tell(self, encodings: Sequence[Encoding], rewards: Sequence[float]) -> None:
        self._told += len(check_told(self._space, encodings, rewards))
