from __future__ import annotations

from collections.abc import Iterator

import pytest

from mnas.evaluate.training import threads


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other on a busy machine take many times as long as one."""
    with threads(1):
        yield
