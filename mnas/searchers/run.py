"""A run on disk: a folder with `config.toml`, `env.json`, `trials.jsonl` and, if there are any, `finalists.jsonl`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import get_args

from mnas.errors import CheckError, ConfigError, FormatError
from mnas.evaluate import Executor
from mnas.files import write_text
from mnas.searchers.config import SearchConfig, differing_keys, load_config
from mnas.searchers.journal import Journal, read_trials
from mnas.searchers.loop import evaluate_finalists, search
from mnas.searchers.objective import Objective
from mnas.searchers.pareto import front
from mnas.searchers.searcher import Searcher
from mnas.searchers.tally import Tally, contenders
from mnas.searchers.trial import Status, Trial
from mnas.spaces import SearchSpace
from mnas.spaces import space as make_space

_CONFIG, _ENVIRONMENT, _TRIALS, _FINALISTS = "config.toml", "env.json", "trials.jsonl", "finalists.jsonl"


@dataclass(frozen=True)
class Run:
    """What a search found, as far as it got.

    Attributes:
        folder: where it is.
        config: its settings, with what the data decided filled in.
        trials: all trials, in the order asked.
        finalists: those of its networks that were evaluated again, more dearly. Where there are any, the answer is
            among the best of the trials, as many as the settings say.
    """

    folder: Path
    config: SearchConfig
    trials: tuple[Trial, ...]
    finalists: tuple[Trial, ...] = ()

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Read a run; it may be under way.

        Raises:
            ConfigError: the folder is not a run.
            FormatError: its journal is damaged.
        """
        folder = Path(folder)
        if not (folder / _CONFIG).is_file() or not (folder / _TRIALS).is_file():
            raise ConfigError(f"{folder} is not a run: it lacks {_CONFIG} or {_TRIALS}; mnas search --run makes one")
        finalists = read_trials(folder / _FINALISTS) if (folder / _FINALISTS).is_file() else ()
        return cls(folder, load_config(folder / _CONFIG), read_trials(folder / _TRIALS), finalists)

    @property
    def space(self) -> SearchSpace:
        """The search space, made by its registered name."""
        config = self.config
        return make_space(config.space, classes=config.classes, image_size=config.image_size, channels=config.channels)

    @property
    def evaluations(self) -> int:
        """Number of networks that were evaluated, failed ones included."""
        return self._tally.evaluations

    @property
    def exhausted(self) -> bool:
        """Whether the search gave up because its searcher proposed nothing new within the target."""
        return self._tally.exhausted(self.config.trials, self.config.batch)

    @cached_property
    def _tally(self) -> Tally:
        return Tally(self.trials)

    @property
    def feasible(self) -> tuple[Trial, ...]:
        """The finalists, or else the trials, that were evaluated and whose upper latency bound is within the target."""
        target_ms = self.config.target_ms
        return tuple(t for t in self._judged if t.value is not None and t.latency.high_ms <= target_ms)

    @property
    def value_name(self) -> str:
        """What the values of `feasible` and `front` are: "accuracy", or else the name of a score."""
        if not any(trial.status == "scored" for trial in self._judged):
            return "accuracy"
        known = self.config if self._judged is self.trials else self.config.for_finalists()
        return str(known.evaluator_options.get("score", known.evaluator))

    @property
    def _judged(self) -> tuple[Trial, ...]:
        chosen = self._chosen
        return chosen if any(trial.value is not None for trial in chosen) else self.trials

    @cached_property
    def _chosen(self) -> tuple[Trial, ...]:
        """The finalists that the trials and the settings ask for; others are of a time when there were fewer trials."""
        known = {trial.architecture.canonical(): trial for trial in self.finalists}
        asked = dict.fromkeys(t.architecture.canonical() for t in contenders(self.trials, self.config.target_ms))
        return tuple(known[network] for network in asked if network in known)[: self.config.finalists]

    def best(self) -> Trial:
        """The feasible trial of the highest reward; of equal ones the first.

        Raises:
            CheckError: there is none (yet).
        """
        feasible = self.feasible
        if not feasible:
            errors = [trial.error for trial in (*self._chosen, *self.trials) if trial.error]
            reason = f"; the first failure: {errors[0]}" if errors else ""
            raise CheckError(
                f"{self.folder} has no evaluated network within {self.config.target_ms:g} ms "
                f"among {len(self.trials)} trials{reason}"
            )
        return max(feasible, key=lambda trial: trial.reward)

    def front(self) -> tuple[Trial, ...]:
        """The finalists, or else the trials, that no other beats in value and latency at once, fastest first."""
        return front(self._judged)

    def counts(self) -> dict[str, int]:
        """Number of trials of every status."""
        return {status: sum(trial.status == status for trial in self.trials) for status in get_args(Status)}

    def summary(self) -> str:
        """One line: how many trials of each status, of how many evaluations, and whether the search gave up."""
        counted = ", ".join(f"{n} {status}" for status, n in self.counts().items() if n)
        end = "; the searcher found nothing new within the target and gave up" if self.exhausted else ""
        return f"{self.evaluations} of {self.config.trials} evaluations; trials: {counted}{end}{self._finals}"

    @property
    def _finals(self) -> str:
        errors = [trial.error for trial in self._chosen if trial.error]
        failed = f", {len(errors)} of them failed ({errors[0]})" if errors else ""
        return f"; {len(self._chosen)} finalists{failed}" if self._chosen else ""


def search_into(
    folder: str | Path,
    config: SearchConfig,
    *,
    objective: Objective,
    searcher: Searcher,
    executor: Executor,
    progress: Callable[[Trial], None] | None = None,
) -> Run:
    """Search into `folder`, or continue the search that is there (see `loop.search`).

    Args:
        folder: made if absent.
        config: the settings; what the other arguments stand for is recorded, not looked up.
        objective: where and for what to search.
        searcher: a new one.
        executor: evaluates networks.
        progress: called with every trial in order, also with those that are in the folder.

    Raises:
        ConfigError: the folder holds a search of other settings (the keys are named), or another process writes it.
    """
    with _writing(Path(folder), config) as journal:
        search(
            objective,
            searcher,
            executor,
            trials=config.trials,
            batch=config.batch,
            seed=config.seed,
            journal=journal,
            progress=progress,
        )
    return Run.open(folder)


def finalists_into(
    folder: str | Path,
    *,
    objective: Objective,
    executor: Executor,
    progress: Callable[[Trial], None] | None = None,
) -> Run:
    """Evaluate as many finalists of the run in `folder` as its settings say (see `loop.evaluate_finalists`).

    What was evaluated before, for fewer finalists or fewer trials, is kept and not evaluated again.

    Args:
        folder: a run that is over.
        objective: that of the search, but for the dearer evaluator's `squash`.
        executor: evaluates networks, dearly.
        progress: called with every finalist, best first.
    """
    run = Run.open(folder)
    with Journal(run.folder / _FINALISTS) as journal:
        evaluate_finalists(
            run.trials,
            objective,
            executor,
            finalists=run.config.finalists,
            seed=run.config.seed,
            journal=journal,
            progress=progress,
        )
    return Run.open(folder)


@contextmanager
def _writing(folder: Path, config: SearchConfig) -> Iterator[Journal]:
    """Lock the run, check that its trials, if there are any, are of `config`, and open its journal."""
    with Journal(folder / _TRIALS) as journal:
        path = folder / _CONFIG
        if not journal.trials:
            write_text(folder / _ENVIRONMENT, json.dumps(_environment(), indent=2) + "\n")
        elif path.exists():
            if differing := differing_keys(load_config(path), config):
                raise ConfigError(
                    f"{folder} holds a search of other settings: {', '.join(differing)}; use another folder"
                )
        else:
            raise FormatError(f"{folder} has trials but no {_CONFIG}: restore it, or use another folder")
        write_text(path, config.to_toml())
        yield journal


def _environment() -> dict[str, object]:
    """Where and when a run was started, and with which versions."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "packages": {name: _version(name) for name in ("mnas", "numpy", "torch")},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
