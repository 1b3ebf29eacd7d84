from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mnas.errors import ConfigError, FormatError
from mnas.latency import Estimate
from mnas.searchers.journal import Journal, read_trials
from mnas.searchers.trial import Trial
from tests.searchers.fakes import ToySpace


def trial(index: int) -> Trial:
    network = ToySpace().decode((0, 1, 2, 0))
    return Trial(index, (0, 1, 2, 0), network, index / 10, Estimate(1, 0.9, 1.1), 0.3, 5, "trained", 1.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "trials.jsonl"
    with Journal(path) as journal:
        for i in range(3):
            journal.append(trial(i))
    return path


def test_trials_are_there_when_opened_again(path: Path) -> None:
    with Journal(path) as journal:
        assert journal.trials == tuple(map(trial, range(3)))
        journal.append(trial(3))
        assert read_trials(path) == tuple(map(trial, range(4)))


def test_a_torn_last_line_is_dropped_wherever_it_is_cut(path: Path) -> None:
    whole = path.read_bytes()
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    for end in (*range(start, len(whole), 23), len(whole) - 1):
        path.write_bytes(whole[:end])
        assert read_trials(path) == (trial(0), trial(1))
        assert path.read_bytes() == whole[:end]
        with Journal(path) as journal:
            assert journal.trials == (trial(0), trial(1))
            journal.append(trial(2))
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", "line 2: not a trial.*remove this line"),
        (trial(2).to_json(), "line 2: holds trial 2; trials are missing"),
    ],
)
def test_a_damaged_line_is_named(path: Path, line: str, message: str) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, lines[2]]) + "\n")
    with pytest.raises(FormatError, match=message):
        read_trials(path)
    with pytest.raises(FormatError, match=message):
        Journal(path)


def test_two_writers_are_refused_and_a_dead_one_does_not_matter(path: Path) -> None:
    with Journal(path), pytest.raises(ConfigError, match=r"another process is writing .*run"):
        Journal(path)
    code = f"""
import os
from pathlib import Path
from mnas.searchers.journal import Journal
journal = Journal(Path({str(path)!r}))
print("locked", flush=True)
input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(ConfigError, match="another process"):
            Journal(path)
        other.kill()
    with Journal(path) as journal:
        assert len(journal.trials) == 3


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write the run .*file"):
        Journal(tmp_path / "file" / "trials.jsonl")
