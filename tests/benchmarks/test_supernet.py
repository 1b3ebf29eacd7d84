"""The benchmark of shared weights."""

from __future__ import annotations

import pytest

from benchmarks import supernet as benchmark


@pytest.mark.slow
def test_both_numbers_of_threads_are_timed_after_the_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "WARM", 1)
    seconds = benchmark.seconds("mnasnet-small", 8, rounds=2, workers=3)
    assert set(seconds) == {1, 3}
    assert len(seconds) == 2
    assert (seconds > 0).all().all()
