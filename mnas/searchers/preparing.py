"""Evaluators with work to do before all evaluations: it is done when the first network is to be evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from mnas.evaluate import Evaluator, Executor, Job, LocalExecutor, Outcome, Preparing
from mnas.progress import Progress


def executor_of(
    evaluator: Evaluator, workers: int, folder: Path, progress: Progress | None
) -> LocalExecutor | Prepared:
    """Make the executor of a search, which is still to be entered.

    Args:
        evaluator: what to run.
        workers: number of processes (see `LocalExecutor`), and what may be busy before.
        folder: where an evaluator that is `Preparing` keeps its files.
        progress: told how far its work is.
    """
    if isinstance(evaluator, Preparing):
        return Prepared(evaluator, workers, folder, progress)
    return LocalExecutor(evaluator, workers)


class Prepared:
    """Prepares an evaluator before the first job, and then runs it by a `LocalExecutor`.

    By then the settings are known to be those of the run in the folder, no other process writes it, and some network is
    within the target. A run that is over prepares nothing.
    """

    def __init__(self, evaluator: Preparing, workers: int, folder: Path, progress: Progress | None) -> None:
        self._evaluator, self._workers, self._folder, self._progress = evaluator, workers, folder, progress
        self._stack = ExitStack()
        self._executor: Executor | None = None

    def map(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """See `Executor`."""
        if self._executor is None:
            evaluator = self._evaluator.prepare(self._folder, self._progress, workers=self._workers)
            self._executor = self._stack.enter_context(LocalExecutor(evaluator, self._workers))
        return self._executor.map(jobs)

    def __enter__(self) -> Prepared:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
