"""Searching: rewards, searchers, the loop that runs them, and what they leave."""

from __future__ import annotations

from mnas.searchers.api import make_evaluator as make_evaluator
from mnas.searchers.api import search as search
from mnas.searchers.api import search_run as search_run
from mnas.searchers.config import SearchConfig as SearchConfig
from mnas.searchers.config import load_config as load_config
from mnas.searchers.config import make_config as make_config
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
