"""How good a network is: data, training, evaluators, and processes that run them.

Names that need torch are loaded when first used: data can be fetched, and workers started, without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mnas.evaluate.data import Dataset as Dataset
from mnas.evaluate.data import SearchData as SearchData
from mnas.evaluate.data import Source as Source
from mnas.evaluate.data import Split as Split
from mnas.evaluate.data import adapt as adapt
from mnas.evaluate.data import dataset as dataset
from mnas.evaluate.data import datasets as datasets
from mnas.evaluate.data import fetch as fetch
from mnas.evaluate.evaluator import Evaluator as Evaluator
from mnas.evaluate.evaluator import Preparing as Preparing
from mnas.evaluate.evaluator import Scorer as Scorer
from mnas.evaluate.evaluator import evaluators as evaluators
from mnas.evaluate.evaluator import tells_spellings as tells_spellings
from mnas.evaluate.evaluator import usual_reward as usual_reward
from mnas.evaluate.executors import Executor as Executor
from mnas.evaluate.executors import Job as Job
from mnas.evaluate.executors import LocalExecutor as LocalExecutor
from mnas.evaluate.executors import Outcome as Outcome
from mnas.evaluate.searching import search_data as search_data
from mnas.evaluate.tabular import TableEvaluator as TableEvaluator
from mnas.evaluate.tabular import read_results as read_results

if TYPE_CHECKING:
    from mnas.evaluate.checkpoints import TrainedNetwork as TrainedNetwork
    from mnas.evaluate.checkpoints import load_network as load_network
    from mnas.evaluate.final import train as train
    from mnas.evaluate.oneshot import SupernetEvaluator as SupernetEvaluator
    from mnas.evaluate.oneshot import SupernetSettings as SupernetSettings
    from mnas.evaluate.oneshot import train_supernet as train_supernet
    from mnas.evaluate.proxy import ProxyEvaluator as ProxyEvaluator
    from mnas.evaluate.scoring import ScoreEvaluator as ScoreEvaluator
    from mnas.evaluate.training import Recipe as Recipe
    from mnas.evaluate.training import normalised as normalised
    from mnas.evaluate.untrained import Minibatch as Minibatch
    from mnas.evaluate.untrained import Score as Score
    from mnas.evaluate.untrained import scores as scores

_WITH_TORCH = {
    "Minibatch": "untrained",
    "ProxyEvaluator": "proxy",
    "Recipe": "training",
    "Score": "untrained",
    "ScoreEvaluator": "scoring",
    "SupernetEvaluator": "oneshot",
    "SupernetSettings": "oneshot",
    "TrainedNetwork": "checkpoints",
    "load_network": "checkpoints",
    "normalised": "training",
    "scores": "untrained",
    "train": "final",
    "train_supernet": "oneshot",
}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
