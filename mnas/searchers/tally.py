"""How far a search is: what both the search itself and whoever reads its trials must agree on."""

from __future__ import annotations

from collections.abc import Iterable

from mnas.ir import Architecture
from mnas.searchers.trial import Trial

PATIENCE = 200
"""Batches in a row without a network to train after which a search gives up."""


def contenders(trials: Iterable[Trial], target_ms: float) -> list[Trial]:
    """The first trial of every network that was evaluated and is within the target, by falling reward."""
    evaluated = Tally(trials).evaluated.values()
    known = [trial for trial in evaluated if trial.value is not None and trial.latency.high_ms <= target_ms]
    return sorted(known, key=lambda trial: -trial.reward)


class Tally:
    """Counts trials as they come, in the order asked.

    Attributes:
        evaluated: the first trial of every network that was evaluated, failed ones included.
        idle: number of trials since the last of these.
    """

    def __init__(self, trials: Iterable[Trial] = ()) -> None:
        self.evaluated: dict[Architecture, Trial] = {}
        self.idle = 0
        for trial in trials:
            self.add(trial)

    def add(self, trial: Trial) -> None:
        """Count one more trial."""
        new = trial.evaluated and trial.architecture not in self.evaluated
        if new:
            self.evaluated[trial.architecture] = trial
        self.idle = 0 if new else self.idle + 1

    @property
    def evaluations(self) -> int:
        """Number of networks that were evaluated, failed ones included."""
        return len(self.evaluated)

    def exhausted(self, trials: int, batch: int) -> bool:
        """Whether a search for `trials` evaluations gives up: its searcher proposed nothing new for too long."""
        return self.evaluations < trials and self.idle >= PATIENCE * batch
