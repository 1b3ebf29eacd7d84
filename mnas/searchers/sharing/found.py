"""What starts TuNAS by a run's configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mnas.progress import Progress
from mnas.searchers.config import SearchConfig
from mnas.searchers.objective import Objective
from mnas.searchers.options import check_options
from mnas.spaces import Encoding


def search_of(
    config: SearchConfig, objective: Objective, folder: Path, progress: Progress | None
) -> Callable[[], Encoding]:
    """See `mnas.searchers.finding.Finder`.

    Raises:
        ConfigError: an unknown or ill-typed option (the known ones are listed), a space whose networks cannot share
            weights, or no data.
    """
    from mnas.evaluate.oneshot.chain import check_chain
    from mnas.searchers.sharing.search import tunas
    from mnas.searchers.sharing.settings import TunasSettings

    options = check_options("searcher 'tunas'", TunasSettings, config.searcher_options, reserved=())
    settings, data = TunasSettings(**options), config.data_for("searcher 'tunas'")
    check_chain(objective.space)
    return lambda: tunas(
        objective,
        data,
        settings=settings,
        seed=config.seed,
        folder=folder,
        data_folder=config.data_folder,
        torch_device=config.torch_device,
        workers=config.workers,
        progress=progress,
    )
