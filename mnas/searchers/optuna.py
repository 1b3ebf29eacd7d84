"""Samplers of Optuna (Akiba et al., KDD 2019) as searchers, to compare with; extra `mnas[optuna]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from mnas.errors import ConfigError
from mnas.searchers.searcher import as_encodings, check_count, check_told, generator, searchers
from mnas.spaces import Encoding, SearchSpace, pruned

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

Sampler = Literal["TPESampler", "GPSampler", "RandomSampler"]


@searchers.register("optuna")
class OptunaSearch:
    """Asks a sampler of Optuna, which sees every choice as a categorical parameter.

    Every `ask` starts a study of its own with the trials told so far, so that it depends on nothing else.

    Args:
        space: where to search.
        seed: see `Searcher`.
        sampler: a class of `optuna.samplers`. The evolutionary ones are not offered: they learn only from trials that
            they drew themselves in one study.
    """

    def __init__(self, space: SearchSpace, seed: int, *, sampler: Sampler = "TPESampler") -> None:
        try:
            import optuna
        except ImportError:
            raise ConfigError("searcher 'optuna' needs the package optuna: pip install 'mnas[optuna]'") from None
        self._space, self._seed, self._sampler = space, seed, getattr(optuna.samplers, sampler)
        self._distributions: dict[str, BaseDistribution] = {
            choice.name: optuna.distributions.CategoricalDistribution(range(len(choice.options)))
            for choice in space.choices
        }
        self._trials: list[FrozenTrial] = []

    def ask(self, n: int) -> list[Encoding]:
        import optuna

        check_count(n)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        seed = int(generator(self._seed, len(self._trials)).integers(2**31))
        study = optuna.create_study(sampler=self._sampler(seed=seed), direction="maximize")
        study.add_trials(self._trials)
        params = [study.ask(self._distributions).params for _ in range(n)]
        drawn = np.array([[each[name] for name in self._distributions] for each in params], np.int64)
        return as_encodings(pruned(self._space, drawn.reshape(n, -1)))

    def tell(self, encodings: Sequence[Encoding], rewards: Sequence[float]) -> None:
        from optuna.trial import create_trial

        told = check_told(self._space, encodings, rewards).tolist()
        self._trials += [
            create_trial(
                params=dict(zip(self._distributions, encoding, strict=True)),
                distributions=self._distributions,
                value=reward,
            )
            for encoding, reward in zip(encodings, told, strict=True)
        ]
