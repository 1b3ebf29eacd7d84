"""Searching: rewards, searchers, the loop that runs them, and what they leave; what needs torch is loaded when used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mnas.searchers.api import make_evaluator as make_evaluator
from mnas.searchers.api import search as search
from mnas.searchers.api import search_run as search_run
from mnas.searchers.config import SearchConfig as SearchConfig
from mnas.searchers.config import load_config as load_config
from mnas.searchers.config import make_config as make_config
from mnas.searchers.gradients import DartsSettings as DartsSettings
from mnas.searchers.loop import SearchResult as SearchResult
from mnas.searchers.objective import Objective as Objective
from mnas.searchers.pareto import front as front
from mnas.searchers.pareto import hypervolume as hypervolume
from mnas.searchers.pareto import non_dominated as non_dominated
from mnas.searchers.reward import Reward as Reward
from mnas.searchers.reward import make_reward as make_reward
from mnas.searchers.reward import rewards as rewards
from mnas.searchers.run import Run as Run
from mnas.searchers.run import search_into as search_into
from mnas.searchers.searcher import Searcher as Searcher
from mnas.searchers.searcher import make_searcher as make_searcher
from mnas.searchers.searcher import searchers as searchers
from mnas.searchers.trial import Trial as Trial

if TYPE_CHECKING:
    from mnas.searchers.gradients.search import darts as darts
    from mnas.searchers.sharing.search import tunas as tunas
    from mnas.searchers.sharing.settings import TunasSettings as TunasSettings


def __getattr__(name: str) -> Any:
    if name == "darts":
        from mnas.searchers.gradients.search import darts

        return darts
    if name in ("tunas", "TunasSettings"):
        module = "search" if name == "tunas" else "settings"
        return getattr(import_module(f"mnas.searchers.sharing.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
