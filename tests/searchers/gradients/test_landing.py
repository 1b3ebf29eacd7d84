"""The weight of the latency, on a made-up search that gets faster the more latency weighs."""

from __future__ import annotations

import pytest

from mnas.searchers.gradients import Landing


@pytest.mark.parametrize("start", [0.0, 0.1, 50.0])
@pytest.mark.parametrize("scale", [0.02, 1.0, 30.0])
def test_a_search_lands_on_its_target(start: float, scale: float) -> None:
    landing, seen, speed = Landing(1.0, 1000, start), list[float](), 0.0
    for step in range(1000):
        speed += 0.02 * (landing.weight / scale - speed)  # decisions follow slowly
        ms = 2 / (1 + speed)
        landing.update((step,), ms)
        seen.append(ms)
    assert max(seen[-200:]) < 1.3
    assert min(seen[-200:]) > 0.75
    assert landing.within is not None
    assert seen[landing.within[0]] <= 1


def test_what_is_fast_enough_is_left_alone() -> None:
    landing = Landing(1.0, 100, 10.0)
    for _ in range(100):
        landing.update((), 0.5)
    assert landing.weight == pytest.approx(1e-2)


def test_the_latest_network_within_the_target_is_kept() -> None:
    landing = Landing(1.0, 100, 1.0)
    for i, ms in enumerate((2.0, 0.9, 1.0, 1.1)):
        landing.update((i,), ms)
    assert landing.within == (2,)
    assert landing.weight > 1
