"""The real command, killed and interrupted, on a table of invented times."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnas.latency import profile
from mnas.runtimes import runtimes
from mnas.spaces import sample_biased, space
from tests.latency.fakes import FakeRuntime, install

pytestmark = pytest.mark.slow
TRIALS = 24
"""Far more than are trained before the last kill, so that none of them comes too late."""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """`mnas search` on small images with tiny trainings, without its run folder."""
    small = space("mnasnet-small", classes=10, image_size=16, channels=1)
    prefix = tmp_path_factory.mktemp("tables") / "invented"
    list(runtimes)
    install(FakeRuntime())
    table = profile(small, runtime="fake", out=prefix, passes=2, reps=2, networks=(8, 4, 6), max_memory_gb=0.5)
    del runtimes._entries["fake"]
    typical = table.predict_batch(small, sample_biased(small, np.random.default_rng(0), 50))
    target_ms = float(np.median(typical))
    options = [f"evaluator_options.{each}" for each in ("images=64", "validation=100", "epochs=1")]
    options += [f"searcher_options.{each}" for each in ("steps=4", "draws=16", "first=4")]
    settings = ["image_size=16", *options]
    return [
        sys.executable, "-m", "mnas", "search", "--space", "mnasnet-small", "--data", "digits", "--table", str(prefix),
        "--target-ms", f"{target_ms:.4f}", "--trials", str(TRIALS), "--workers", "2", "--quiet",
        *(word for setting in settings for word in ("--set", setting)),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The trials of a search that nothing disturbed."""
    return finished(command, tmp_path_factory.mktemp("whole") / "run")


def finished(command: list[str], run: Path) -> list[dict[str, Any]]:
    """The trials of the search, all fields but `seconds`, once it has ended."""
    done = subprocess.run([*command, "--run", str(run)], check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    trials = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    return [{key: value for key, value in trial.items() if key != "seconds"} for trial in trials]


def trained(run: Path) -> int:
    journal = run / "trials.jsonl"
    return journal.read_bytes().count(b'"trained"') if journal.exists() else 0


def started(command: list[str], run: Path, enough: int, rng: random.Random) -> tuple[subprocess.Popen[str], list[int]]:
    """The search at a random moment after `enough` trainings in all, and its worker processes."""
    process = subprocess.Popen([*command, "--run", str(run)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while trained(run) < enough or not children(process.pid):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.2))
    return process, children(process.pid)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def assert_gone(pids: list[int]) -> None:
    assert pids
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_killed_twice_it_ends_with_the_same_trials(
    command: list[str], whole: list[dict[str, Any]], tmp_path: Path
) -> None:
    rng, run = random.Random(os.getpid()), tmp_path / "run"
    assert sum(trial["status"] == "trained" for trial in whole) == TRIALS
    first = rng.randint(1, 4)
    for enough in (first, rng.randint(first + 1, 7)):
        process, workers = started(command, run, enough, rng)
        process.kill()
        process.communicate()
        assert_gone(workers)
        assert trained(run) < TRIALS
    assert finished(command, run) == whole


@pytest.mark.parametrize("group", [False, True], ids=["alone", "with its workers"])
def test_interrupted_it_stops_at_once_and_goes_on(
    command: list[str], whole: list[dict[str, Any]], tmp_path: Path, group: bool
) -> None:
    """As `kill -INT` does it, and as Ctrl-C in a terminal does it."""
    rng, run = random.Random(os.getpid()), tmp_path / "run"
    process, workers = started(command, run, rng.randint(1, 6), rng)
    for pid in [process.pid, *(workers if group else [])]:
        os.kill(pid, signal.SIGINT)
    _, shown = process.communicate(timeout=10)
    assert process.returncode == 130
    assert shown.startswith("mnas: interrupted; ")
    assert f"--run {run}" in shown  # in the command that goes on
    assert "Traceback" not in shown
    assert_gone(workers)
    assert finished(command, run) == whole
