"""Evaluators that misbehave, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mnas.errors import DataError
from mnas.ir import Architecture


@dataclass(frozen=True)
class Parameters:
    """Scores by size and seed, noisily."""

    def __call__(self, architecture: Architecture, seed: int) -> float:
        sys.stdout.write("an evaluator may print\n")
        sys.stdout.flush()
        return (architecture.cost.params + seed) / 1e6


@dataclass(frozen=True)
class Slow:
    """Sleeps as many seconds as the seed says, and gives it."""

    def __call__(self, architecture: Architecture, seed: int) -> float:
        time.sleep(seed)
        return float(seed)


@dataclass(frozen=True)
class Picky:
    """Refuses odd seeds."""

    def __call__(self, architecture: Architecture, seed: int) -> float:
        if seed % 2:
            raise ZeroDivisionError(f"seed {seed}")
        return 0.5


@dataclass(frozen=True)
class Misled:
    """Finds no data for odd seeds."""

    def __call__(self, architecture: Architecture, seed: int) -> float:
        if seed % 2:
            raise DataError(f"no data for {seed}")
        return 0.5


@dataclass(frozen=True)
class Killed:
    """Seed 1 kills its process as often as `times`; what happened is counted in `folder`."""

    folder: str
    times: int

    def __call__(self, architecture: Architecture, seed: int) -> float:
        if seed == 1:
            before = len(list(Path(self.folder).iterdir()))
            Path(self.folder, str(before)).touch()
            if before < self.times:
                os.kill(os.getpid(), signal.SIGKILL)
        return seed / 10


@dataclass(frozen=True)
class Quitter:
    """Leaves."""

    def __call__(self, architecture: Architecture, seed: int) -> float:
        os._exit(7)


@dataclass(frozen=True)
class Signed:
    """Writes its process number to `path`, then sleeps."""

    path: str

    def __call__(self, architecture: Architecture, seed: int) -> float:
        Path(self.path).write_text(str(os.getpid()))
        time.sleep(60)
        return 0.0


@dataclass(frozen=True)
class Elsewhere:
    """Cannot be made in another process than `pid`."""

    pid: int

    def __post_init__(self) -> None:
        if os.getpid() != self.pid:
            raise ValueError("another process")

    def __call__(self, architecture: Architecture, seed: int) -> float:
        return 0.0


@dataclass(frozen=True)
class Lookup:
    """1 if an architecture that came from elsewhere is found among equal ones made here."""

    text: str

    def __call__(self, architecture: Architecture, seed: int) -> float:
        here = Architecture.parse(self.text)
        return float(architecture in {here} and {node.op for node in here.nodes} == {n.op for n in architecture.nodes})
