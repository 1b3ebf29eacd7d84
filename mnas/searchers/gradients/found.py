"""What starts a search by gradients by a run's configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mnas.latency import LatencyTable
from mnas.progress import Progress
from mnas.searchers.config import SearchConfig
from mnas.searchers.gradients.settings import DartsSettings
from mnas.searchers.objective import Objective
from mnas.searchers.options import check_options
from mnas.spaces import Encoding


def search_of(
    config: SearchConfig, objective: Objective, folder: Path, progress: Progress | None
) -> Callable[[], Encoding]:
    """See `mnas.searchers.finding.Finder`.

    Raises:
        ConfigError: an unknown or ill-typed option (the known ones are listed), or no data.
    """
    options = check_options("searcher 'darts'", DartsSettings, config.searcher_options, reserved=())
    settings, data, model = DartsSettings(**options), config.data_for("searcher 'darts'"), objective.latency_model

    def find() -> Encoding:
        from mnas.searchers.gradients.search import darts

        return darts(
            objective.space,
            data,
            table=model if isinstance(model, LatencyTable) else None,
            target_ms=config.target_ms,
            settings=settings,
            seed=config.seed,
            folder=folder,
            data_folder=config.data_folder,
            torch_device=config.torch_device,
            progress=progress,
        )

    return find
