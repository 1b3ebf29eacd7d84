from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mnas.errors import ConfigError
from mnas.latency import Estimates, transfer
from tests.latency.known_devices import FEATURES, NO_SOURCE, N, device, draw

Floats = NDArray[np.float64]


def rank_correlation(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


def mape(found: Estimates, ms: Floats) -> float:
    return float(np.abs(found.ms / ms - 1).mean())


@pytest.mark.parametrize(("scale", "power"), [(0.3, 1.0), (7.0, 1.0), (2.0, 0.8)])
def test_the_same_device_at_another_speed_is_recovered(scale: float, power: float) -> None:
    source = device(1)
    target = scale * source**power
    found = transfer(source[None], FEATURES, draw(2), target[draw(2)])
    assert mape(found, target) < 0.02
    assert rank_correlation(found.ms, target) > 0.99


def test_a_constant_overhead_is_learned() -> None:
    source = device(1)
    target = source + 3.0
    found = transfer(source[None], FEATURES, draw(2, 20), target[draw(2, 20)])
    assert mape(found, target) < 0.05


def test_the_unit_of_latencies_does_not_matter() -> None:
    source, target, idx = device(1), device(2), draw(0)
    found = transfer(source[None], FEATURES, idx, target[idx])
    scaled = transfer(source[None] * 1e3, FEATURES, idx, target[idx] * 1e3)
    assert scaled.ms == pytest.approx(1e3 * found.ms, rel=1e-3)


def test_sources_and_features_both_help() -> None:
    with_both, without_source, source_alone = [], [], []
    for seed in range(8):
        source, target, idx = device(10 + seed), device(50 + seed), draw(seed)
        with_both.append(rank_correlation(transfer(source[None], FEATURES, idx, target[idx]).ms, target))
        without_source.append(rank_correlation(transfer(NO_SOURCE, FEATURES, idx, target[idx]).ms, target))
        source_alone.append(rank_correlation(source, target))
    assert np.median(with_both) > np.median(without_source) + 0.1
    assert np.median(with_both) > np.median(source_alone)


@pytest.mark.slow
def test_intervals_cover_unseen_networks() -> None:
    covered = []
    for seed in range(24):
        sources, target, idx = np.stack([device(3 * seed), device(3 * seed + 1)]), device(3 * seed + 2), draw(seed)
        found = transfer(sources, FEATURES, idx, target[idx])
        assert (found.low_ms <= found.ms).all()
        assert (found.ms <= found.high_ms).all()
        unseen = np.delete((found.low_ms <= target) & (target <= found.high_ms), idx)
        covered.append(unseen.mean())
    assert 0.85 < np.mean(covered) < 0.99


def test_the_method_says_what_was_used_and_what_the_intervals_hold() -> None:
    target = device(2)
    assert "2 source device(s)" in transfer(np.stack([target, target]), FEATURES, draw(0), target[draw(0)]).method
    alone = transfer(NO_SOURCE, FEATURES, draw(0, 3), target[draw(0, 3)]).method
    assert "features only: no source device" in alone
    assert "75%" in alone


def test_features_alone_learn_from_many_networks() -> None:
    target, idx = device(2), draw(0, 80)
    assert rank_correlation(transfer(NO_SOURCE, FEATURES, idx, target[idx]).ms, target) > 0.95


def test_sources_alone_need_no_features() -> None:
    target, idx = device(2), draw(0)
    assert mape(transfer(target[None] * 2, np.empty((N, 0)), idx, target[idx]), target) < 0.02


def test_unrelated_sources_are_found_out() -> None:
    unrelated = np.exp(np.random.default_rng(5).normal(0, 1, (3, N)))
    worse, covered = [], []
    for seed in range(10):
        target, idx = device(50 + seed), draw(seed, 40)
        found = transfer(unrelated, FEATURES, idx, target[idx])
        worse.append(rank_correlation(found.ms, target))
        covered.append(np.delete((found.low_ms <= target) & (target <= found.high_ms), idx).mean())
    assert np.median(worse) > 0.6
    assert np.mean(covered) > 0.8


def test_many_sources_in_whole_ms_are_no_worse_than_one() -> None:
    one, many, covered = [], [], []
    for seed in range(8):
        target, idx = np.maximum(device(50 + seed).round(), 1), draw(seed)
        sources = np.maximum(np.stack([device(100 + 20 * seed + i) for i in range(12)]).round(), 1)
        found = transfer(sources, FEATURES, idx, target[idx])
        many.append(rank_correlation(found.ms, target))
        one.append(rank_correlation(transfer(sources[:1], FEATURES, idx, target[idx]).ms, target))
        covered.append(np.delete((found.low_ms <= target) & (target <= found.high_ms), idx).mean())
    assert np.median(many) >= np.median(one)
    assert np.mean(covered) > 0.85


@pytest.mark.parametrize("k", [2, 3])
def test_few_networks_and_constant_sources_give_finite_answers(k: int) -> None:
    target = device(2)
    found = transfer(np.ones((1, N)), FEATURES, draw(0, k), target[draw(0, k)])
    assert np.isfinite(np.stack([found.ms, found.low_ms, found.high_ms])).all()
    assert (found.low_ms > 0).all()


@pytest.mark.parametrize(
    ("idx", "ms", "message"),
    [
        ([1], [1.0], "at least 2"),
        ([1, 2], [1.0], "as many latencies"),
        ([1, 1], [1.0, 2.0], "network 1 was measured more than once"),
        ([1, N], [1.0, 2.0], f"network {N}: there are"),
        ([-1, 2], [1.0, 2.0], "network -1"),
        ([1.5, 2.5], [1.0, 2.0], "whole indices"),
        ([1, 2], [1.0, float("nan")], "network 2 is nan"),
        ([1, 2], [0.0, 1.0], "network 1 is 0 ms"),
        ([1, 2], [1.0, -3.0], "network 2 is -3 ms"),
    ],
)
def test_bad_measurements_are_refused(idx: list[int], ms: list[float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        transfer(device(1)[None], FEATURES, np.array(idx), np.array(ms))


def test_bad_networks_are_refused() -> None:
    idx, ms = np.array([1, 2]), np.array([1.0, 2.0])
    source, holed = device(1)[None].copy(), FEATURES.copy()
    with pytest.raises(ConfigError, match=r"\(devices, 500\)"):
        transfer(source[:, 1:], FEATURES, idx, ms)
    with pytest.raises(ConfigError, match=r"\(networks, d\)"):
        transfer(source, FEATURES[:, 0], idx, ms)
    with pytest.raises(ConfigError, match="neither"):
        transfer(NO_SOURCE, FEATURES[:, :0], idx, ms)
    holed[7, 3] = np.inf
    with pytest.raises(ConfigError, match="network 7"):
        transfer(source, holed, idx, ms)
    source[0, 9] = 0
    with pytest.raises(ConfigError, match="source device 0 of network 9"):
        transfer(source, FEATURES, idx, ms)
