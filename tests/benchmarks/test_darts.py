"""The benchmark of searches by gradients."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks import darts as benchmark
from mnas.evaluate import ProxyEvaluator
from mnas.searchers import DartsSettings
from mnas.spaces import space

SETTINGS = DartsSettings(epochs=1, images=32, batch=16, cells=3, channels=2, land=False)
EVALUATOR = ProxyEvaluator("digits", images=64, epochs=1, validation=64)


@pytest.mark.slow
def test_networks_are_trained_alike_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = space("darts-small", image_size=8)
    monkeypatch.setattr(benchmark, "space", lambda name: small)
    out = tmp_path / "rows.csv"
    first = benchmark.compare(SETTINGS, EVALUATOR, 2, 0, out)
    assert first.network.tolist() == ["found", "random 0", "random 1"]
    assert (first.search_s > 0).tolist() == [True, False, False]
    for row in first.itertuples():
        network = small.decode(tuple(map(int, str(row.encoding).split())))
        assert row.accuracy == EVALUATOR(network, 0)
        assert row.parameters == network.cost.params
    monkeypatch.setattr(benchmark, "darts", None)  # nothing is searched again
    pd.testing.assert_frame_equal(benchmark.compare(SETTINGS, EVALUATOR, 2, 0, out), pd.read_csv(out))
    assert len(benchmark.compare(SETTINGS, EVALUATOR, 3, 0, out)) == 4


@pytest.mark.slow
def test_steps_of_both_orders_are_timed() -> None:
    seconds = benchmark.step_seconds("nasbench201", 1, 4, 4, rounds=2)
    assert list(seconds) == ["first", "second"]
    assert len(seconds) == 2
    assert (seconds > 0).all().all()
