from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnas.errors import ConfigError, DataError, EvaluationError
from mnas.evaluate import LocalExecutor, ProxyEvaluator
from mnas.ir import Architecture
from tests.evaluate import fakes

SMALL = Architecture.parse("input 1x8x8\nconv_c8_s2\nhead_c16_n10")
WIDE = Architecture.parse("input 1x8x8\nconv_c16_s2\nhead_c16_n10")
JOBS = [(SMALL, 0), (WIDE, 0), (SMALL, 1)]


def gone(pid: int, seconds: float = 20) -> bool:
    """Whether a process ends within some time."""
    for _ in range(int(seconds / 0.05)):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def picky() -> Iterator[LocalExecutor]:
    with LocalExecutor(fakes.Picky(), 1) as executor:
        yield executor


@pytest.mark.slow
def test_outcomes_do_not_depend_on_workers() -> None:
    evaluator = ProxyEvaluator("digits", images=96, validation=100, epochs=1)
    found = []
    for workers in (0, 2):
        with LocalExecutor(evaluator, workers) as executor:
            outcomes = list(executor.map(JOBS))
        assert [outcome.error for outcome in outcomes] == [None] * 3
        assert all(outcome.seconds > 0 for outcome in outcomes)
        found.append([outcome.value for outcome in outcomes])
    assert found[0] == found[1]
    assert len(set(found[0])) > 1


@pytest.mark.slow
def test_outcomes_come_in_order_as_soon_as_they_are_there() -> None:
    with LocalExecutor(fakes.Slow(), 2) as executor:
        list(executor.map([(SMALL, 0), (SMALL, 0)]))  # both are up
        outcomes = executor.map([(SMALL, 0), (SMALL, 60)])
        assert next(outcomes).value == 0.0  # without waiting for the second, which close() ends
        outcomes.close()  # type: ignore[attr-defined]


def test_exceptions_are_outcomes(picky: LocalExecutor) -> None:
    for executor in (picky, LocalExecutor(fakes.Picky(), 0)):
        outcomes = list(executor.map([(SMALL, 1), (SMALL, 2)]))
        assert [(o.value, o.error) for o in outcomes] == [(None, "ZeroDivisionError: seed 1"), (0.5, None)]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_wrong_settings_and_data_end_the_work(workers: int) -> None:
    with LocalExecutor(fakes.Misled(), workers) as executor:
        outcomes = executor.map([(SMALL, 0), (SMALL, 1), (SMALL, 2)])
        assert next(outcomes).value == 0.5
        with pytest.raises(DataError, match=r"^no data for 1$"):
            next(outcomes)
        assert [outcome.value for outcome in executor.map([(SMALL, 2)])] == [0.5]
    wide = Architecture.parse("input 1x8x8\nhead_c16_n7")
    with (
        LocalExecutor(ProxyEvaluator("digits", images=96), workers) as executor,
        pytest.raises(ConfigError, match="digits has 10 classes"),
    ):
        list(executor.map([(wide, 0)]))


def test_an_executor_maps_again_and_again(picky: LocalExecutor) -> None:
    assert [len(list(picky.map([(SMALL, 2)] * n))) for n in (1, 0, 3)] == [1, 0, 3]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_printing_does_not_disturb(workers: int) -> None:
    with LocalExecutor(fakes.Parameters(), workers) as executor:
        assert [o.value for o in executor.map(JOBS)] == [(a.cost.params + s) / 1e6 for a, s in JOBS]


@pytest.mark.slow
@pytest.mark.parametrize("times", [2, 3])
def test_a_killed_worker_is_replaced(tmp_path: Path, times: int) -> None:
    with LocalExecutor(fakes.Killed(str(tmp_path), times), 1) as executor:
        before, killed, after = executor.map([(SMALL, 0), (SMALL, 1), (SMALL, 2)])
    assert (before.value, after.value) == (0.0, 0.2)
    assert len(list(tmp_path.iterdir())) == 3
    if times == 2:
        assert (killed.value, killed.error) == (0.1, None)
    else:
        assert killed.value is None
        assert killed.error == "the worker process was killed by signal 9 (out of memory?), 3 times"


@pytest.mark.slow
def test_a_worker_that_leaves_is_named() -> None:
    with LocalExecutor(fakes.Quitter(), 1) as executor:
        (outcome,) = executor.map([(SMALL, 0)])
    assert outcome.error == "the worker process ended with code 7, 3 times"


def test_architectures_keep_their_identity_between_processes() -> None:
    hash(SMALL.nodes[0].op)  # hashes of text differ between processes and must not travel
    with LocalExecutor(fakes.Lookup(str(SMALL)), 1) as executor:
        assert [o.value for o in executor.map([(SMALL, 0)])] == [1.0]


def test_workers_end_with_the_executor_even_at_work(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with LocalExecutor(fakes.Signed(str(path)), 1) as executor:
        executor.map([(SMALL, 0), (SMALL, 1)])
        for _ in range(600):
            if path.exists() and path.read_text():
                break
            time.sleep(0.05)
    assert gone(int(path.read_text()))


_SCRIPT = """
import sys
sys.path[:0] = {path!r}
from mnas.evaluate import LocalExecutor
from mnas.ir import Architecture
from tests.evaluate import fakes
list(LocalExecutor(fakes.Signed({pid!r}), 1).map([(Architecture.parse({text!r}), 0)]))
"""


def test_workers_die_with_their_parent_but_not_of_ctrl_c(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    script = tmp_path / "script.py"  # no 'if __name__ == "__main__"' is needed
    script.write_text(_SCRIPT.format(path=[e for e in sys.path if e], pid=str(path), text=str(SMALL)))
    parent = subprocess.Popen([sys.executable, str(script)])
    try:
        for _ in range(1200):
            if path.exists() and path.read_text():
                break
            time.sleep(0.05)
        worker = int(path.read_text())
        os.kill(worker, signal.SIGINT)
        assert not gone(worker, 0.3)
    finally:
        parent.kill()
        parent.wait()
    assert gone(worker)


def test_what_cannot_travel_is_refused() -> None:
    class Local:
        def __call__(self, architecture: Architecture, seed: int) -> float:
            return 0.25

    with pytest.raises(EvaluationError, match=r"cannot be sent to worker processes.*top level of a module"):
        LocalExecutor(Local(), 1)
    with LocalExecutor(Local(), 0) as executor:
        assert [o.value for o in executor.map([(SMALL, 0)])] == [0.25]
    with pytest.raises(EvaluationError, match="not JSON serializable"):
        LocalExecutor(fakes.Signed(path=Path()), 1)  # type: ignore[arg-type]
    with LocalExecutor(fakes.Elsewhere(os.getpid()), 1) as executor:
        outcomes = executor.map([(SMALL, 0)])
        with pytest.raises(EvaluationError, match="cannot load the evaluator: ValueError"):
            next(outcomes)
    with pytest.raises(ConfigError, match="at least 0"):
        LocalExecutor(Local(), -1)
