from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import ConfigError, UnknownNameError
from mnas.searchers.reward import make_reward, rewards


@pytest.mark.parametrize(
    ("name", "within", "beyond"),
    [
        ("soft", 0.75 * 0.5**-0.07, 0.75 * 2**-0.07),
        ("hard", 0.75, 0.375),
        ("asymmetric", 0.75, 0.75 * 2**-0.3),
        ("absolute", 0.75 - 0.07 * 0.5, 0.75 - 0.07),
    ],
)
def test_values_at_half_and_twice_the_target(name: str, within: float, beyond: float) -> None:
    reward = make_reward(name, 80)
    assert reward(0.75, 40.0) == pytest.approx(within, rel=1e-12)
    assert reward(0.75, 160.0) == pytest.approx(beyond, rel=1e-12)
    assert reward(0.75, 80.0) == pytest.approx(0.75, rel=1e-12)


def test_soft_trades_twice_the_latency_for_five_percent() -> None:
    """The statement from which the paper derives -0.07 (sec. 3.1): LAT l, ACC a is worth as much as 2l, a (1 + 5 %)."""
    reward = make_reward("soft", 75)
    assert reward(0.5 * 1.05, 120.0) == pytest.approx(reward(0.5, 60.0), rel=0.002)


@pytest.mark.parametrize("name", sorted(rewards))
@given(data=st.data())
def test_arrays_give_the_values_of_floats(name: str, data: st.DataObject) -> None:
    points = data.draw(st.lists(st.tuples(st.floats(0, 1), st.floats(1e-3, 1e4)), min_size=1))
    reward = make_reward(name, 3.5)
    accuracy, latency_ms = np.array(points).T
    each = [reward(a, ms) for a, ms in points]
    np.testing.assert_allclose(reward(accuracy, latency_ms), each, rtol=1e-13)


@pytest.mark.parametrize("name", sorted(rewards))
@given(st.floats(0.01, 1), st.floats(0.01, 100), st.floats(1.01, 3))
def test_more_accuracy_is_better_and_beyond_the_target_slower_is_worse(
    name: str, accuracy: float, ms: float, factor: float
) -> None:
    reward = make_reward(name, 2.0)
    assert reward(accuracy, ms) > reward(accuracy / factor, ms)
    assert reward(accuracy, 2.0 + ms) > reward(accuracy, 2.0 + factor * ms)


def test_exponents_can_be_given() -> None:
    assert make_reward("asymmetric", 10, beta=-1.0)(0.5, 20.0) == make_reward("hard", 10)(0.5, 20.0)
    assert make_reward("hard", 10, alpha=-0.07, beta=-0.07) == make_reward("soft", 10)
    assert make_reward("absolute", 10, beta=-0.2)(0.5, 15.0) == pytest.approx(0.4)


@pytest.mark.parametrize("name", sorted(rewards))
def test_the_accuracy_counts_to_a_power(name: str) -> None:
    plain, cubed = make_reward(name, 10, beta=-0.2), make_reward(name, 10, beta=-0.2, accuracy_power=3)
    assert cubed(0.5, 20.0) == pytest.approx(plain(0.125, 20.0))
    assert cubed(np.array([0.5, 0.9]), np.array([5.0, 10.0])) == pytest.approx([cubed(0.5, 5.0), cubed(0.9, 10.0)])
    for power in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match="accuracy_power"):
            make_reward(name, 10, accuracy_power=power)


@pytest.mark.parametrize("target_ms", [0.0, -1.0, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", sorted(rewards))
def test_a_target_is_a_positive_number(name: str, target_ms: float) -> None:
    with pytest.raises(ConfigError, match="target_ms"):
        make_reward(name, target_ms)


@pytest.mark.parametrize("latency_ms", [0.0, -1.0, math.nan])
def test_a_latency_is_positive(latency_ms: float) -> None:
    with pytest.raises(ConfigError, match="latency"):
        make_reward("soft", 1.0)(0.5, latency_ms)
    with pytest.raises(ConfigError, match="latency"):
        make_reward("absolute", 1.0)(np.array([0.5, 0.5]), np.array([1.0, latency_ms]))


def test_bad_exponents_and_names() -> None:
    for exponent in (0.1, math.nan, -math.inf):
        with pytest.raises(ConfigError):
            make_reward("soft", 1.0, beta=exponent)
    with pytest.raises(ConfigError, match=r"'absolute' has no option 'alpha'; known: beta \(default -0.07\)"):
        make_reward("absolute", 1.0, alpha=-0.1)
    with pytest.raises(UnknownNameError, match="asymmetric"):
        make_reward("fast", 1.0)
