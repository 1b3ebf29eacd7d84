"""Waiting for processes and other things to happen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


def ends(pid: int) -> bool:
    """Whether a process is gone, or a zombie, within ten seconds."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def until(happened: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something holds."""
    give_up = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.05)
