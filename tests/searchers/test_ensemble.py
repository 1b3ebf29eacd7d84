from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from mnas.searchers.ensemble import Ensemble
from mnas.searchers.policy import Floats, Ints
from tests.searchers.fakes import ToySpace, every_encoding

OPTIONS = 4
EVERY = every_encoding(ToySpace((OPTIONS,) * 4, twins=False))
SIZES = EVERY.sum(1) / 10
SEPARABLE = 0.5 + 0.03 * ((EVERY == 2) * [4, 3, 2, 1]).sum(1)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """As the surrogate uses it: two threads that wait for each other on a busy machine take many times as long."""
    with threadpool_limits(1):
        yield


def fitted(chosen: Ints, values: Floats = SEPARABLE) -> Ensemble:
    return Ensemble(EVERY[chosen], SIZES[chosen], values[chosen], OPTIONS)


def some(n: int, seed: int = 0) -> Ints:
    return np.random.default_rng(seed).permutation(len(EVERY))[:n]


def test_it_passes_through_what_it_was_told_without_noise() -> None:
    chosen = some(60)
    mean, deviation = fitted(chosen).predict(EVERY[chosen], SIZES[chosen])
    np.testing.assert_allclose(mean, SEPARABLE[chosen], atol=0.05 * SEPARABLE.std())
    assert deviation.max() < 0.1 * SEPARABLE.std()


def test_it_foretells_what_it_was_not_told() -> None:
    chosen = some(60)
    rest = np.setdiff1d(np.arange(len(EVERY)), chosen)
    mean, _ = fitted(chosen).predict(EVERY[rest], SIZES[rest])
    assert np.corrcoef(mean, SEPARABLE[rest])[0, 1] > 0.9
    assert np.abs(mean - SEPARABLE[rest]).mean() < 0.4 * SEPARABLE[rest].std()


def test_noise_is_not_taken_at_its_word() -> None:
    chosen, rng = some(100), np.random.default_rng(1)
    noisy = SEPARABLE + rng.normal(0, SEPARABLE.std(), len(EVERY))
    mean, _ = fitted(chosen, noisy).predict(EVERY[chosen], SIZES[chosen])
    assert np.abs(mean - SEPARABLE[chosen]).mean() < 0.8 * np.abs(noisy - SEPARABLE)[chosen].mean()


def test_it_is_less_sure_the_more_choices_differ() -> None:
    origin = np.zeros((1, 4), np.int64)
    near = np.flatnonzero((EVERY != 0).sum(1) <= 1)
    ensemble = Ensemble(EVERY[near], np.ones(len(near)), SEPARABLE[near], OPTIONS)
    deviations = []
    for differing in range(5):
        there = EVERY[(origin != EVERY).sum(1) == differing]
        deviations.append(ensemble.predict(there, np.ones(len(there)))[1].mean())
    assert deviations == sorted(deviations)
    assert deviations[4] > 2 * deviations[1]


def test_it_is_less_sure_the_more_sizes_differ() -> None:
    ensemble = fitted(some(40))
    deviations = [float(ensemble.predict(EVERY[:1], np.array([size]))[1][0]) for size in (0.6, 3.0, 9.0)]
    assert deviations == sorted(deviations)
    assert deviations[0] < deviations[2]


def test_more_data_makes_it_surer() -> None:
    rest = some(256)[100:]
    few, many = (fitted(some(256)[:n]).predict(EVERY[rest], SIZES[rest])[1].mean() for n in (10, 100))
    assert many < few


@pytest.mark.parametrize("value", [0.1, 0.0, -0.3, 1 / 3])
@pytest.mark.parametrize("n", [1, 2, 3, 30])
def test_equal_values_are_foretold_everywhere(n: int, value: float) -> None:
    mean, deviation = fitted(some(n), np.full(len(EVERY), value)).predict(EVERY, SIZES)
    np.testing.assert_allclose(mean, value, atol=1e-9)
    assert np.isfinite(deviation).all()


@pytest.mark.parametrize("size", [0.0, 0.1, 17.3])
def test_equal_sizes_leave_the_choices_to_tell(size: float) -> None:
    """And a network of another size is no stranger for it."""
    chosen, sizes = some(60), np.full(len(EVERY), size)
    ensemble = Ensemble(EVERY[chosen], sizes[chosen], SEPARABLE[chosen], OPTIONS)
    mean, deviation = ensemble.predict(EVERY, sizes)
    assert np.corrcoef(mean, SEPARABLE)[0, 1] > 0.9
    _, away = ensemble.predict(EVERY, sizes + 0.01)
    np.testing.assert_allclose(away, deviation, atol=0.2 * SEPARABLE.std())


def test_it_is_a_function_of_its_arguments() -> None:
    one, other = (fitted(some(50)).predict(EVERY, SIZES) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    alone = [fitted(some(50)).predict(EVERY[i : i + 1], SIZES[i : i + 1])[0][0] for i in range(5)]
    np.testing.assert_allclose(alone, one[0][:5], rtol=1e-9)


def test_a_few_broken_networks_do_not_decide_what_counts() -> None:
    chosen = some(80)
    broken = SEPARABLE.copy()
    broken[chosen[:5]] = -50.0
    mean, _ = fitted(chosen, broken).predict(EVERY, SIZES)
    rest = np.setdiff1d(np.arange(len(EVERY)), chosen)
    assert np.corrcoef(mean[rest], SEPARABLE[rest])[0, 1] > 0.7
    assert np.ptp(mean) < 3 * np.ptp(SEPARABLE)
    assert mean[chosen[:5]].max() < np.median(mean)


def test_a_thousand_networks_are_learnt_from_by_the_best_and_the_latest() -> None:
    rng = np.random.default_rng(0)
    encodings = rng.integers(0, OPTIONS, (1000, 12))
    values = (encodings == 2).mean(1)
    ensemble = Ensemble(encodings, encodings.sum(1) / 5, values, OPTIONS)
    mean, deviation = ensemble.predict(encodings, encodings.sum(1) / 5)
    assert np.isfinite(mean).all()
    best, latest = np.argsort(-values, kind="stable")[:50], np.arange(950, 1000)
    middle = np.setdiff1d(np.arange(100, 700), np.argsort(-values, kind="stable")[:300])
    for known in (best, latest):
        assert np.abs(mean - values)[known].mean() < np.abs(mean - values)[middle].mean()
        assert deviation[known].mean() < deviation[middle].mean()


accuracies = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(data=st.data(), n=st.integers(1, 12), choices=st.integers(0, 4), options=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_whatever_it_is_told_it_foretells_numbers(data: st.DataObject, n: int, choices: int, options: int) -> None:
    rows = st.lists(st.integers(0, options - 1), min_size=choices, max_size=choices)
    encodings = np.array(data.draw(st.lists(rows, min_size=n, max_size=n)), np.int64).reshape(n, choices)
    sizes = np.array(data.draw(st.lists(st.floats(0, 40), min_size=n, max_size=n)))
    values = np.array(data.draw(st.lists(accuracies, min_size=n, max_size=n)))
    mean, deviation = Ensemble(encodings, sizes, values, options).predict(encodings, sizes)
    assert mean.shape == deviation.shape == (n,)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()
    assert (deviation >= 0).all()
