from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import ConfigError, SpanError
from mnas.ir import Architecture
from mnas.latency import Estimate
from mnas.searchers.loop import search
from mnas.searchers.objective import Objective
from mnas.searchers.reward import make_reward, rewards
from mnas.spaces import space
from tests.searchers.fakes import (
    MacsLatency,
    ToyExecutor,
    ToyLatency,
    ToySpace,
    every_encoding,
    quick_searcher,
    toy_objective,
)

CELLS = space("nasbench201")
TOY = ToySpace()


def every(searched: ToySpace) -> list[tuple[int, ...]]:
    return [tuple(row) for row in every_encoding(searched).tolist()]


@pytest.mark.parametrize("power", [1.0, 3.0, 0.5])
@pytest.mark.parametrize("name", sorted(rewards))
@given(points=st.lists(st.tuples(st.floats(0, 1), st.floats(1e-3, 1e3)), min_size=1, max_size=8))
def test_the_quality_is_the_accuracy_to_its_power(name: str, power: float, points: list[tuple[float, float]]) -> None:
    reward = make_reward(name, 3.5, accuracy_power=power)
    objective = Objective(TOY, ToyLatency(), reward, 3.5)
    accuracy, latency_ms = np.array(points).T
    told = reward(accuracy, latency_ms)
    np.testing.assert_allclose(objective.quality(told, latency_ms), accuracy**power, atol=1e-9)
    np.testing.assert_allclose(objective.rewards(accuracy**power, latency_ms), told, atol=1e-9)


@pytest.mark.parametrize("name", sorted(rewards))
@given(quality=st.floats(-2, 3), ms=st.floats(1e-3, 1e3))
def test_a_quality_outside_of_0_to_1_has_its_reward_too(name: str, quality: float, ms: float) -> None:
    objective = Objective(TOY, ToyLatency(), make_reward(name, 3.5), 3.5)
    latency_ms = np.array([ms])
    got = objective.rewards(np.array([quality]), latency_ms)
    np.testing.assert_allclose(objective.quality(got, latency_ms), [quality], atol=1e-8)
    better = objective.rewards(np.array([quality + 0.1]), latency_ms)
    assert better[0] > got[0]


def test_a_reward_that_does_not_tell_is_of_quality_0() -> None:
    objective = Objective(TOY, ToyLatency(), make_reward("hard", 1.0, beta=-400.0), 1.0)
    latency_ms = np.array([0.5, 1e3])
    told = objective.rewards(np.array([0.5, 0.5]), latency_ms)
    assert told[1] == 0
    np.testing.assert_allclose(objective.quality(told, latency_ms), [0.5, 0.0])


def test_prospects_are_what_the_model_predicts() -> None:
    objective = toy_objective()
    encodings = every(TOY)
    prospects = objective.prospects(encodings)
    for encoding, prospect in zip(encodings, prospects, strict=True):
        predicted = ToyLatency().predict(TOY.decode(encoding).canonical())
        assert prospect.latency_ms == predicted.ms
        assert prospect.feasible == (predicted.high_ms <= objective.target_ms) == objective.trains(predicted)
        assert prospect.size == pytest.approx(math.log1p(TOY.decode(encoding).cost.macs))
    assert 0 < sum(prospect.feasible for prospect in prospects) < len(prospects)


def test_what_was_looked_at_once_is_remembered() -> None:
    class Counting(ToyLatency):
        asked = 0

        def predict(self, architecture: Architecture) -> Estimate:
            self.asked += 1
            return super().predict(architecture)

    model = Counting()
    objective = toy_objective(latency=model)
    first = objective.prospects([(0, 1, 2, 0), (1, 1, 1, 1), (0, 1, 2, 0)])
    assert objective.prospects([(1, 1, 1, 1), (0, 1, 2, 0)]) == [first[1], first[0]]
    assert model.asked == 2
    assert objective.prospects([]) == []


def test_what_constants_feed_does_not_count_as_size() -> None:
    objective = toy_objective(CELLS, 1e3, latency=MacsLatency())
    none, fed, dead = objective.prospects([(0,) * 6, (0, 0, 3, 0, 3, 3), (3, 0, 0, 0, 0, 0)])
    assert none.size == fed.size  # convolutions of zeros
    assert none.size == pytest.approx(dead.size)  # a convolution that nobody reads
    (convolution,) = objective.prospects([(0, 0, 0, 3, 0, 0)])
    assert convolution.size > none.size


def test_a_model_that_was_not_fitted_to_such_sizes_is_believed_by_half() -> None:
    class Narrow(ToyLatency):
        def predict(self, architecture: Architecture) -> Estimate:
            estimate = super().predict(architecture)
            if estimate.ms > 0.4:
                raise SpanError("too large", estimate.ms)
            return estimate

    objective = toy_objective(target_ms=1.0, latency=Narrow())
    small, large = (objective.network((width, width, 0, 0)) for width in (0, 2))
    assert objective.price(small) == ToyLatency().predict(small)
    ms = ToyLatency().predict(large).ms
    assert objective.price(large) == Estimate(ms, ms / 2, 2 * ms)
    (prospect,) = objective.prospects([(2, 2, 0, 0)])
    assert (prospect.latency_ms, prospect.feasible) == (ms, False)
    result = search(objective, quick_searcher("random", TOY, 0, objective), ToyExecutor(), trials=3)
    wide = [trial for trial in result.trials if trial.latency.ms > 0.4]
    assert wide
    assert all(trial.latency.high_ms == 2 * trial.latency.ms for trial in wide)


def test_infeasible_networks_are_trained_where_asked_for() -> None:
    estimate = Estimate(0.6, 0.5, 0.7)
    assert not toy_objective(target_ms=0.65).trains(estimate)
    assert toy_objective(target_ms=0.7).trains(estimate)
    reproduced = toy_objective(target_ms=0.65, train_infeasible=True)
    assert reproduced.trains(estimate)
    assert all(prospect.feasible for prospect in reproduced.prospects(every(TOY)))


def test_spellings_are_kept_or_not() -> None:
    plain = toy_objective(CELLS, 1e3, latency=MacsLatency())
    spelled = Objective(CELLS, MacsLatency(), make_reward("hard", 1e3), 1e3, spellings=True)
    same = [(1, 0, 0, 0, 1, 4), (1, 0, 0, 1, 0, 4)]  # value 1 is value 0
    assert [spelled.network(encoding) for encoding in same] == [CELLS.decode(encoding) for encoding in same]
    assert spelled.network(same[0]) != spelled.network(same[1])
    assert plain.network(same[0]) == plain.network(same[1]) == CELLS.decode(same[0]).canonical()
    assert toy_objective().network((1, 1, 1, 0)) == toy_objective().network((1, 1, 1, 1))


@pytest.mark.parametrize("target_ms", [0.0, -1.0, math.nan, math.inf])
def test_a_target_is_a_positive_number(target_ms: float) -> None:
    with pytest.raises(ConfigError, match="target_ms"):
        Objective(TOY, ToyLatency(), make_reward("hard", 1.0), target_ms)


def test_objectives_of_the_same_settings_are_equal() -> None:
    model = ToyLatency()
    one, other = toy_objective(latency=model), toy_objective(latency=model)
    one.prospects([(0, 0, 0, 0)])
    assert one == other
