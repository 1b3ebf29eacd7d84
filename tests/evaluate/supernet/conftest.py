from __future__ import annotations

from collections.abc import Callable

import pytest

from mnas.latency import LatencyTable
from mnas.runtimes import runtimes
from mnas.spaces import SearchSpace
from tests.latency.fakes import FakeRuntime, install, measure_tiny

Price = Callable[[SearchSpace], LatencyTable]


@pytest.fixture(scope="session")
def price(tmp_path_factory: pytest.TempPathFactory) -> Price:
    """Makes a table of a space, by a runtime that invents its times."""
    known: list[tuple[SearchSpace, LatencyTable]] = []

    def priced(space: SearchSpace) -> LatencyTable:
        for other, table in known:
            if other == space:
                return table
        list(runtimes)
        install(FakeRuntime())
        known.append((space, measure_tiny(tmp_path_factory.mktemp("priced") / "t", space)))
        del runtimes._entries["fake"]
        return known[-1][1]

    return priced
