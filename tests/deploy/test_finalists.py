"""The answer of a run is what was measured within the target."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from mnas.deploy import finalists
from mnas.errors import CheckError
from mnas.ir import Architecture

NETWORKS = [Architecture.parse(f"input 1x8x8\nconv_c{8 * n}_s2\nhead_c16_n10") for n in range(1, 6)]


def _run(*rewards: float) -> Any:
    trials = [SimpleNamespace(architecture=NETWORKS[i], reward=reward) for i, reward in enumerate(rewards)]

    def best() -> None:
        raise CheckError("no trained network within 1 ms")

    return SimpleNamespace(feasible=tuple(trials), config=SimpleNamespace(target_ms=1.0), best=best)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[Architecture, float | None]:
    """What the bench will say of each network; files are told apart by the architecture they carry."""
    ms: dict[Architecture, float | None] = {}

    def bench(files: Iterable[Any], device: str, against: Any) -> list[Any]:
        from mnas.lower import read_metadata

        said = [Architecture.parse(read_metadata(file.read_bytes(), "tflite")["architecture"]) for file in files]
        assert len(said) <= finalists.AT_ONCE
        return [SimpleNamespace(anchored_ms=ms[network], median_ms=9.0) for network in said]

    monkeypatch.setattr(finalists, "bench", bench)
    return ms


TABLE: Any = SimpleNamespace(conditions=SimpleNamespace(runtime="litert", device="local", dtype="float32"))


def test_the_best_that_is_measured_within_the_target_wins(measured: dict[Architecture, float | None]) -> None:
    measured.update(zip(NETWORKS, [1.2, 0.9, 0.5, None, 0.8], strict=True))
    network, result = finalists.confirmed(_run(0.9, 0.7, 0.6, 0.95, 0.5), TABLE)
    assert network == NETWORKS[1]  # 3 has no anchored time, 0 is over
    assert result.anchored_ms == 0.9


def test_more_than_the_first_three_are_tried(measured: dict[Architecture, float | None]) -> None:
    measured.update(zip(NETWORKS, [1.1, 1.1, 1.1, 1.1, 1.0], strict=True))
    assert finalists.confirmed(_run(0.9, 0.8, 0.7, 0.6, 0.5), TABLE)[0] == NETWORKS[4]


def test_none_within_the_target(measured: dict[Architecture, float | None]) -> None:
    measured.update(dict.fromkeys(NETWORKS, 1.5))
    with pytest.raises(CheckError, match=r"none of 2 networks predicted within 1 ms.*fastest took 1.5 ms"):
        finalists.confirmed(_run(0.9, 0.8), TABLE)
    with pytest.raises(CheckError, match="no trained network"):
        finalists.confirmed(_run(), TABLE)
