"""How long work tells where it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with how much is done, how much it is in all (0 where unknown), and a note on what is done now."""


def silent(done: int, total: int, note: str) -> None:
    """Tell nobody."""
