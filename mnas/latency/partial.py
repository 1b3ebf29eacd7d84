"""What a measurement has done so far, on disk, so that the same command goes on after any interruption.

`NAME.partial/` holds `plan.json` with everything that defines the measurement, and for every finished unit its raw
samples and its failures. When rows are added to a finished table, a copy of that table is in it too, as `base`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mnas.errors import ConfigError, MnasError
from mnas.files import write_bytes, write_text
from mnas.latency.rawfile import read_samples, write_samples
from mnas.latency.storage import PLAN, SUFFIXES, check_whole, load_table, table_file, unfinished
from mnas.latency.table import LatencyTable

_FINISH = "run its own command to finish it, or delete the folder to begin this one"


class Unit(NamedTuple):
    """What one measuring process gave.

    Attributes:
        samples: raw samples with the column unit.
        failed: why items gave none, by name.
        seconds: wall time with the building of the models.
        starts: processes that the runtime started for it.
    """

    samples: pd.DataFrame
    failed: dict[str, str]
    seconds: float
    starts: int


class Partial:
    """The folder of an unfinished measurement.

    Args:
        prefix: path of the table that is being made, without suffix.
    """

    def __init__(self, prefix: Path) -> None:
        self.folder = table_file(prefix, ".partial")
        self._prefix = prefix
        self._plan = self.folder / PLAN

    def base(self) -> LatencyTable | None:
        """The table that rows are added to: as it was when the measurement began, or as it is now.

        Raises:
            FormatError: it is damaged, or a part of it lies there alone.
        """
        check_whole(self._prefix)
        prefix = self.folder / "base" if unfinished(self._prefix) else self._prefix
        return load_table(prefix) if table_file(prefix, ".toml").exists() else None

    def begin(self, plan: Mapping[str, Any], base: LatencyTable | None) -> None:
        """Record the plan, or find the same one recorded.

        Raises:
            ConfigError: another measurement is unfinished here; the differences are named.
            OSError: the disk is full.
        """
        text = json.dumps(plan, indent=1, sort_keys=True)
        if self._plan.exists():
            recorded = self._plan.read_text(encoding="utf-8")
            if recorded != text:
                raise self._other(json.loads(recorded), json.loads(text))
            return
        self.remove()
        if base is not None:
            for suffix in SUFFIXES:
                write_bytes(self.folder / f"base{suffix}", table_file(self._prefix, suffix).read_bytes())
        write_text(self._plan, text)

    def _other(self, recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> ConfigError:
        keys = [key for key in sorted({*recorded, *asked}) if recorded.get(key) != asked.get(key)]
        unlike = "; ".join(f"{key}: {_short(recorded.get(key))} there, {_short(asked.get(key))} asked" for key in keys)
        return ConfigError(f"{self.folder} holds another unfinished measurement ({unlike}): {_FINISH}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from measuring into the same table; the system drops the lock with this process.

        Raises:
            ConfigError: another process does so.
            OSError: the folder cannot be written.
        """
        path = table_file(self._prefix, ".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.fstat(file.fileno()).st_nlink:  # its owner ended, and unlinked it, after it was opened here
                    raise BlockingIOError
            except BlockingIOError:
                raise ConfigError(
                    f"another process measures rows into {self._prefix}: wait for it, or measure into another table"
                ) from None
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    @contextmanager
    def models(self) -> Iterator[Path]:
        """A folder for the models of one chunk: removed afterwards, or by the next run if this one is killed."""
        folder = self.folder / "models"
        try:
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def finished(self, unit: int) -> Unit | None:
        """What a unit gave, if it is finished."""
        file = self.folder / f"unit-{unit:03d}.csv.gz"
        if not file.exists():
            return None
        notes = json.loads(file.with_name(f"unit-{unit:03d}.json").read_text(encoding="utf-8"))
        return Unit(read_samples(file.read_bytes()), notes["failed"], notes["seconds"], notes["starts"])

    def finish(self, unit: int, result: Unit) -> None:
        """Keep what a unit gave; its samples are written last and make it finished.

        Raises:
            OSError: the disk is full.
        """
        notes = {"failed": result.failed, "seconds": result.seconds, "starts": result.starts}
        write_text(self.folder / f"unit-{unit:03d}.json", json.dumps(notes, indent=1))
        write_bytes(self.folder / f"unit-{unit:03d}.csv.gz", write_samples(result.samples))

    def tidy(self) -> None:
        """Delete what is left of a measurement that ended.

        Raises:
            ConfigError: it did not end.
        """
        if unfinished(self._prefix):
            raise ConfigError(f"{self.folder} holds an unfinished measurement of more rows: {_FINISH}")
        self.remove()

    def remove(self) -> None:
        """Delete the folder, the plan first: without it the rest counts for nothing."""
        self._plan.unlink(missing_ok=True)
        if self.folder.exists():
            shutil.rmtree(self.folder)


@contextmanager
def disk(prefix: Path) -> Iterator[None]:
    """A full disk, or a folder that cannot be written, ends cleanly."""
    try:
        yield
    except OSError as error:
        raise MnasError(
            f"{error.filename or prefix}: {error.strerror}; what was measured is kept: mend that and run the same "
            "command again"
        ) from error


def failures(units: Iterable[Unit]) -> dict[str, str]:
    """Why items failed in any unit."""
    return {name: reason for unit in units for name, reason in unit.failed.items()}


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
