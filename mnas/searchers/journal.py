"""The trials of a run on disk: one line each, appended as soon as known, by one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from mnas.errors import ConfigError, FormatError
from mnas.searchers.trial import Trial


def read_trials(path: Path) -> tuple[Trial, ...]:
    """The trials of a journal; a last line without its end was cut off while being written and does not count.

    Raises:
        FormatError: a line is not a trial, or trials are missing or out of order; the line is named.
    """
    trials = []
    lines = path.read_bytes().split(b"\n")[:-1]
    for number, line in enumerate(lines, start=1):
        try:
            trial = Trial.from_json(line)
        except FormatError as error:
            remedy = "remove this line and all that follow to continue from there"
            raise FormatError(f"{path}, line {number}: {error}; {remedy}") from None
        if trial.index != number - 1:
            raise FormatError(f"{path}, line {number}: holds trial {trial.index}; trials are missing or were reordered")
        trials.append(trial)
    return tuple(trials)


class Journal:
    """A journal open for writing; a context manager.

    The file is locked (flock) while open; the system drops the lock with the process, however it ends.

    Args:
        path: the file; made, with its folder, if absent.

    Attributes:
        trials: what it held when opened.

    Raises:
        ConfigError: another process is writing it, or the folder cannot be written.
        FormatError: see `read_trials`.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
        except OSError as error:
            raise ConfigError(f"cannot write the run {path.parent}: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.trials = read_trials(path)
            self._file.truncate(path.read_bytes().rfind(b"\n") + 1)
        except BlockingIOError:
            self._file.close()
            raise ConfigError(f"another process is writing {path.parent}; wait for it, or choose another run") from None
        except BaseException:
            self._file.close()
            raise

    def append(self, trial: Trial) -> None:
        """Write a trial; an evaluation is on the disk when this returns, what is free may still be on its way."""
        self._file.write(trial.to_json().encode() + b"\n")
        self._file.flush()
        if trial.evaluated:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Make everything durable and let go of the lock."""
        os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
