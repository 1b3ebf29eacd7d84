"""The network of a search by gradients as a run's one trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from mnas.errors import ConfigError
from mnas.latency import LatencyTable
from mnas.progress import Progress
from mnas.searchers.config import SearchConfig
from mnas.searchers.gradients.settings import DartsSettings
from mnas.searchers.options import check_options
from mnas.spaces import Encoding, SearchSpace

DARTS = "darts"
"""What a configuration names in place of a searcher."""


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


def search_of(
    config: SearchConfig, space: SearchSpace, table: LatencyTable | None, folder: Path, progress: Progress | None
) -> Callable[[], Encoding]:
    """Check the options of a search by gradients, and make what starts it.

    Raises:
        ConfigError: an unknown or ill-typed option (the known ones are listed), or no data.
    """
    options = check_options(f"searcher {DARTS!r}", DartsSettings, config.searcher_options, reserved=())
    settings, data = DartsSettings(**options), config.data
    if data is None:
        raise ConfigError(f"searcher {DARTS!r} needs data: name a data set (--data fashion-mnist)")

    def find() -> Encoding:
        from mnas.searchers.gradients.search import darts

        return darts(
            space,
            data,
            table=table,
            target_ms=config.target_ms,
            settings=settings,
            seed=config.seed,
            folder=folder,
            data_folder=config.data_folder,
            torch_device=config.torch_device,
            progress=progress,
        )

    return find
