"""The search: ask a batch, price it, evaluate what is feasible and new, tell the rewards.

Everything that decides is a function of the settings and of the trials so far, so a search that was cut off anywhere
continues from its journal to the trials it would have had.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from mnas.errors import ConfigError, FormatError
from mnas.evaluate import Executor, Outcome
from mnas.ir import Architecture
from mnas.latency import Estimate
from mnas.searchers.feasibility import check_feasible
from mnas.searchers.journal import Journal
from mnas.searchers.objective import Objective
from mnas.searchers.searcher import Searcher
from mnas.searchers.tally import Tally, contenders
from mnas.searchers.trial import Status, Trial
from mnas.spaces import Encoding


class SearchResult(NamedTuple):
    """What a search leaves.

    Attributes:
        trials: all of them, in the order asked.
        exhausted: it gave up before its number of evaluations, because the searcher proposed nothing new within
            the target for too long (see `Tally`).
    """

    trials: tuple[Trial, ...]
    exhausted: bool


def search(
    objective: Objective,
    searcher: Searcher,
    executor: Executor,
    *,
    trials: int,
    batch: int = 8,
    seed: int = 0,
    journal: Journal | None = None,
    progress: Callable[[Trial], None] | None = None,
) -> SearchResult:
    """Search until `trials` networks were evaluated.

    A network whose upper latency bound exceeds the target is not trained: its reward is that of the baseline accuracy
    (mean of the accuracies trained so far; chance level before the first) at its latency. So is the reward of
    an evaluation that failed. A network evaluated before is not evaluated again. Where networks are scored instead of
    trained, squashed scores take the place of accuracies in all of this.

    Args:
        objective: where and for what to search.
        searcher: a new one; what the journal holds is told to it again.
        executor: evaluates networks.
        trials: number of evaluations, failed ones included; repeats and infeasible networks are free.
        batch: encodings asked at once. Another size is another search.
        seed: of the evaluations.
        journal: where trials are kept, and from where the search continues; a longer search continues a shorter one.
        progress: called with every trial in order, also with those of the journal.

    Raises:
        CheckError: no network within the target was found (see `check_feasible`).
        ConfigError, DataError: a setting out of range, or the journal's latencies are not those of this latency model;
            or what the executor raises.
        FormatError: the journal is of another search.
        MissingLatencyError: the latency model lacks rows.
    """
    if trials < 1 or batch < 1:
        raise ConfigError(f"trials and batch must be at least 1, got {trials} and {batch}")
    check_feasible(objective, seed)
    past = journal.trials if journal else ()
    state = _State(objective)
    tally = state.tally
    while tally.evaluations < trials and not tally.exhausted(trials, batch):
        asked = [_price(objective, encoding, seed) for encoding in searcher.ask(batch)]
        start = len(state.trials)
        asked = state.affordable(asked, trials)
        replayed = past[start : start + len(asked)]
        for candidate, trial in zip(asked, replayed, strict=False):
            _check_replay(candidate, trial)
            state.keep(trial)
            if progress:
                progress(trial)
        for trial in state.evaluate(asked[len(replayed) :], executor):
            if journal:
                journal.append(trial)
            if progress:
                progress(trial)
        told = state.trials[start:]
        searcher.tell([trial.encoding for trial in told], [trial.reward for trial in told])
    return SearchResult(tuple(state.trials), tally.exhausted(trials, batch))


def evaluate_finalists(
    trials: Iterable[Trial],
    objective: Objective,
    executor: Executor,
    *,
    finalists: int,
    seed: int = 0,
    journal: Journal | None = None,
    progress: Callable[[Trial], None] | None = None,
) -> tuple[Trial, ...]:
    """Evaluate the best networks of a search again, by a dearer evaluator: score many, train few.

    Args:
        trials: of the search.
        objective: that of the search; its `squash` is that of the dearer evaluator.
        executor: evaluates networks, dearly.
        finalists: number of networks: those of the highest rewards among the feasible ones, or all if there are fewer;
            spellings that are one network to the dearer evaluator count once.
        seed: of the evaluations.
        journal: where finalists are kept; a network that it holds is not evaluated again.
        progress: called with every finalist, best first, also with those of the journal.

    Returns:
        The finalists, those first that the search thought best.

    Raises:
        ConfigError: the journal's latencies are not those of this latency model.
    """
    asked: dict[Architecture, _Candidate] = {}
    for trial in contenders(trials, objective.target_ms):
        candidate = _price(objective, trial.encoding, seed)
        asked.setdefault(candidate.architecture, candidate)
        if len(asked) == finalists:
            break
    state = _State(objective)
    for trial in journal.trials if journal else ():
        state.keep(trial)
    before = state.tally.evaluated.copy()
    for architecture in asked.keys() & before.keys():
        _check_price(asked[architecture], before[architecture])
    new = state.evaluate([asked[architecture] for architecture in asked if architecture not in before], executor)
    out = []
    for architecture in asked:
        if architecture in before:
            out.append(before[architecture])
        else:
            out.append(next(new))
            if journal:
                journal.append(out[-1])
        if progress:
            progress(out[-1])
    return tuple(out)


def evaluation_seed(seed: int, architecture: str) -> int:
    """The seed of one evaluation, 0..2**32 - 1: of the search's seed and the network, whenever it is evaluated."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{architecture}".encode()).digest()[:4], "big")


class _Candidate(NamedTuple):
    """An encoding that was asked, and what is known of it before it is trained."""

    encoding: Encoding
    architecture: Architecture
    latency: Estimate
    seed: int


def _price(objective: Objective, encoding: Encoding, seed: int) -> _Candidate:
    architecture = objective.network(encoding)
    latency, own = objective.price(architecture), evaluation_seed(seed, str(architecture))
    return _Candidate(encoding, architecture, latency, own)


def _check_replay(candidate: _Candidate, trial: Trial) -> None:
    """Check that a trial of the journal is what this search would have tried in its place."""
    if (candidate.encoding, candidate.architecture, candidate.seed) != (trial.encoding, trial.architecture, trial.seed):
        raise FormatError(
            f"trial {trial.index} of the journal is {trial.encoding} with seed {trial.seed}, but this search asks "
            f"{candidate.encoding} with seed {candidate.seed}: settings or version differ; start a new run"
        )
    _check_price(candidate, trial)


def _check_price(candidate: _Candidate, trial: Trial) -> None:
    """Check that a network costs what it did when it was tried."""
    if not all(math.isclose(*pair, rel_tol=1e-6) for pair in zip(candidate.latency, trial.latency, strict=True)):
        raise ConfigError(
            f"trial {trial.index} of the journal was priced {trial.latency.ms:.4g} ms, the latency model now says "
            f"{candidate.latency.ms:.4g} ms: the table has changed; start a new run"
        )


class _State:
    """The trials so far, and what follows from them."""

    def __init__(self, objective: Objective) -> None:
        self.trials: list[Trial] = []
        self.tally = Tally()
        self._objective = objective
        self._qualities = 0.0
        self._evaluated = 0

    def keep(self, trial: Trial) -> None:
        self.trials.append(trial)
        self.tally.add(trial)
        if trial.evaluated and trial.value is not None:
            self._qualities += self._quality(trial.value)
            self._evaluated += 1

    def affordable(self, asked: list[_Candidate], limit: int) -> list[_Candidate]:
        """The first of `asked`, up to the one that would exceed `limit` evaluations."""
        new: set[Architecture] = set()
        for i, candidate in enumerate(asked):
            if self._is_new(candidate):
                new.add(candidate.architecture)
            if len(new) + self.tally.evaluations > limit:
                return asked[:i]
        return asked

    def evaluate(self, asked: Sequence[_Candidate], executor: Executor) -> Iterator[Trial]:
        """Evaluate what is feasible and new; yield and keep the trials in the order asked."""
        jobs = {c.architecture: c.seed for c in asked if self._is_new(c)}
        outcomes = iter(executor.map(list(jobs.items()))) if jobs else iter(())
        for candidate in asked:
            trial = self._evaluated_now(candidate, next(outcomes)) if self._is_new(candidate) else self._free(candidate)
            self.keep(trial)
            yield trial

    def _is_new(self, candidate: _Candidate) -> bool:
        return self._trains(candidate) and candidate.architecture not in self.tally.evaluated

    def _trains(self, candidate: _Candidate) -> bool:
        return self._objective.trains(candidate.latency)

    def _quality(self, value: float) -> float:
        squash = self._objective.squash
        return squash(value) if squash else value

    def _evaluated_now(self, candidate: _Candidate, outcome: Outcome) -> Trial:
        value, error, scored = outcome.value, outcome.error, self._objective.squash is not None
        if value is None or not (math.isfinite(value) if scored else 0 <= value <= 1):
            error = error or f"the evaluator gave {value}, not {'a finite score' if scored else 'an accuracy in 0..1'}"
            return self._trial(candidate, "failed", None, outcome.seconds, error)
        return self._trial(candidate, "scored" if scored else "trained", value, outcome.seconds)

    def _free(self, candidate: _Candidate) -> Trial:
        if not self._trains(candidate):
            return self._trial(candidate, "infeasible", None)
        before = self.tally.evaluated[candidate.architecture]
        status: Status = "failed" if before.value is None else "cached"
        return self._trial(candidate, status, before.value, error=before.error)

    def _trial(
        self,
        candidate: _Candidate,
        status: Status,
        value: float | None,
        seconds: float = 0.0,
        error: str | None = None,
    ) -> Trial:
        baseline = self._qualities / self._evaluated if self._evaluated else 1 / self._objective.space.classes
        told = self._objective.reward(baseline if value is None else self._quality(value), candidate.latency.ms)
        accuracy, score = (None, value) if self._objective.squash else (value, None)
        return Trial(
            len(self.trials), candidate.encoding, candidate.architecture, accuracy, candidate.latency, told,
            candidate.seed, status, seconds, error, score,
        )  # fmt: skip
