"""Running an evaluator on many architectures: in this process, or in worker processes of this machine."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Protocol

from mnas.errors import ConfigError, DataError
from mnas.evaluate.evaluator import Evaluator, describe
from mnas.evaluate.process import WorkerProcess
from mnas.ir import Architecture

Job = tuple[Architecture, int]
"""An architecture and the seed to evaluate it with."""
ENDING = {"ConfigError": ConfigError, "DataError": DataError}
"""Errors, by name, that every other job would meet too: they end the work."""
_ATTEMPTS = 3


class Outcome(NamedTuple):
    """What came of a job: what the evaluator gave, or the type and message of what went wrong; and wall seconds."""

    value: float | None
    error: str | None
    seconds: float


class Executor(Protocol):
    """Evaluates jobs, some at once."""

    def map(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Start all jobs and yield their outcomes in the order of the jobs, each as soon as it is there.

        Raises:
            ConfigError, DataError: what the evaluator was told is wrong.
        """
        ...


def attempt(evaluator: Evaluator, job: Job) -> Outcome:
    """Evaluate a job; what it raises is the outcome's error, unless it is one of `ENDING`."""
    start = time.perf_counter()
    try:
        value = float(evaluator(*job))
    except tuple(ENDING.values()):
        raise
    except Exception as error:
        return Outcome(None, f"{type(error).__name__}: {error}", time.perf_counter() - start)
    return Outcome(value, None, time.perf_counter() - start)


class LocalExecutor:
    """Worker processes of one thread each; a context manager that ends them.

    A worker that is killed (by the kernel when memory runs out, say) is replaced, and its job is tried twice more. The
    workers end with this process, however it ends, and leave Ctrl-C to it. Outcomes do not depend on their number.
    A script that makes one needs no `if __name__ == "__main__"`.

    Args:
        evaluator: what to run; every worker makes its own (see `describe`).
        workers: number of processes; 0 evaluates in this one.

    Raises:
        ConfigError: fewer than 0 workers.
        EvaluationError: the evaluator cannot be sent; from `map`: a worker cannot load it.
    """

    def __init__(self, evaluator: Evaluator, workers: int = 2) -> None:
        if workers < 0:
            raise ConfigError(f"workers must be at least 0, got {workers}")
        self._evaluator = evaluator
        self._workers = [WorkerProcess(describe(evaluator)) for _ in range(workers)]
        self._idle: queue.SimpleQueue[WorkerProcess] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, "mnas-worker") if workers else None

    def map(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """See `Executor`."""
        if self._threads is None:
            return (attempt(self._evaluator, job) for job in jobs)
        return _in_order([self._threads.submit(self._run, job) for job in jobs])

    def close(self) -> None:
        """End the workers; what they work on is lost."""
        for worker in self._workers:
            worker.retire()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.stop()

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, job: Job) -> Outcome:
        start = time.perf_counter()
        worker = self._idle.get()
        try:
            for _ in range(_ATTEMPTS):
                try:
                    answer = worker.ask(json.dumps([str(job[0]), job[1]]))
                except (EOFError, OSError):
                    end = worker.stop()
                    continue
                if "ending" in answer:
                    raise ENDING[answer["ending"]](answer["error"])
                return Outcome(**answer)
            return Outcome(None, f"the worker process {end}, {_ATTEMPTS} times", time.perf_counter() - start)
        finally:
            self._idle.put(worker)


def _in_order(futures: list[Future[Outcome]]) -> Iterator[Outcome]:
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()
