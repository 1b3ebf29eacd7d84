"""How long work tells where it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with the number of finished processes, of all processes, and what is done now."""


def silent(done: int, total: int, what: str) -> None:
    """Tell nobody."""
