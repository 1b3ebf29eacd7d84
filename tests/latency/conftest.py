from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import mnas.latency.models
from mnas.ir import Network
from mnas.latency import LatencyTable, load_table
from mnas.lower import Dtype, Format, Weights, lower
from mnas.runtimes import runtimes
from tests.latency.fakes import FakeRuntime, install, measure_tiny

_LOWERED: dict[tuple[str, str, str], bytes] = {}


def lower_once(
    network: Network,
    weights: Weights,
    format: Format,  # noqa: A002
    metadata: Mapping[str, str],
    *,
    dtype: Dtype = "float32",
) -> bytes:
    """Lower as ever, but the same network only once in all tests."""
    key = (format, dtype, metadata["architecture"])
    if key not in _LOWERED:
        _LOWERED[key] = lower(network, weights, format, metadata, dtype=dtype)
    return _LOWERED[key]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRuntime]:
    """A registered runtime with drift and noise."""
    list(runtimes)  # the built-in ones are registered first
    monkeypatch.setattr(mnas.latency.models, "lower", lower_once)
    yield install(FakeRuntime(swing=0.1, noise=0.01))
    del runtimes._entries["fake"]


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a finished table, which tests must not change."""
    prefix = tmp_path_factory.mktemp("kept") / "kept.v1"
    list(runtimes)
    install(FakeRuntime(swing=0.1, noise=0.01))
    measure_tiny(prefix)
    del runtimes._entries["fake"]
    return prefix


@pytest.fixture
def table(kept: Path) -> LatencyTable:
    """A finished table of the tiny space."""
    return load_table(kept)
