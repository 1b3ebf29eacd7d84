"""Searches that are no searchers: functions from images to one network, which they find without evaluations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mnas.progress import Progress
from mnas.searchers.config import SearchConfig
from mnas.searchers.gradients import found as darts
from mnas.searchers.objective import Objective
from mnas.searchers.sharing import found as tunas
from mnas.spaces import Encoding


class Finder(NamedTuple):
    """One of them.

    Attributes:
        start: checks the options of a configuration, and makes what searches; it may keep files in the run's folder.
        usual_reward: name of the reward that suits it best; None if it goes by no reward.
    """

    start: Callable[[SearchConfig, Objective, Path, Progress | None], Callable[[], Encoding]]
    usual_reward: str | None = None


FINDERS = {"darts": Finder(darts.search_of), "tunas": Finder(tunas.search_of, "absolute")}
"""By the names that a configuration has in place of a searcher's."""


class Found:
    """Lets the loop ask for the one encoding that a search found; the search starts when it is asked for."""

    def __init__(self, find: Callable[[], Encoding]) -> None:
        self._find = find

    @cached_property
    def _encoding(self) -> Encoding:
        return self._find()

    def ask(self, n: int) -> list[Encoding]:
        """See `Searcher`."""
        return [self._encoding] * n

    def tell(self, encodings: Sequence[Encoding], rewards: Sequence[float]) -> None:
        """There is nothing to learn from the one trial."""
