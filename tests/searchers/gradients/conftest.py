from __future__ import annotations

from pathlib import Path

import pytest

from mnas.latency import LatencyTable
from mnas.runtimes import runtimes
from mnas.spaces import SearchSpace
from tests.latency.fakes import FakeRuntime, install, measure_tiny
from tests.searchers.gradients.spaces import CHAIN, DIGITS


def measured(space: SearchSpace, folder: Path) -> LatencyTable:
    """Prices of a space, by a runtime that invents its times."""
    list(runtimes)
    install(FakeRuntime())
    table = measure_tiny(folder / "t", space)
    del runtimes._entries["fake"]
    return table


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> LatencyTable:
    """Prices of `CHAIN`."""
    return measured(CHAIN, tmp_path_factory.mktemp("priced"))


@pytest.fixture(scope="session")
def digits_table(tmp_path_factory: pytest.TempPathFactory) -> LatencyTable:
    """Prices of `DIGITS`."""
    return measured(DIGITS, tmp_path_factory.mktemp("priced"))
