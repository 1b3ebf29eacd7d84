from __future__ import annotations

import numpy as np
import pytest

from mnas.errors import ConfigError
from mnas.latency.networks import draw_networks, roles
from mnas.latency.pricing import is_constant
from mnas.spaces import sample_biased, space
from tests.latency.fakes import tiny


@pytest.mark.parametrize("name", ["mnasnet-small", "nasbench201"])
def test_sets_are_disjoint_and_of_the_size_asked_for(name: str) -> None:
    drawn = draw_networks(space(name), 21, 19, 18, seed=3)
    assert tuple(map(len, drawn)) == (21, 19, 18)
    assert len({network.canonical() for each in drawn for network in each}) == 58


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnasnet-small", "nasbench201"])
def test_calibration_spans_what_a_search_may_meet(name: str) -> None:
    searched = space(name)
    macs = [network.cost.macs for network in draw_networks(searched, 8, 0, 4, seed=0).calibration]
    assert macs[:2] == [min(macs), max(macs)]
    for encoding in sample_biased(searched, np.random.default_rng(1), 300).tolist():
        network = searched.decode(tuple(encoding))
        assert is_constant(network) or min(macs) / 2 < network.cost.macs < 2 * max(macs)


def test_the_biased_half_spans_more_than_the_uniform_half() -> None:
    drawn = draw_networks(space("mnasnet-small"), 42, 40, 40, seed=0)
    for networks in (drawn.calibration[2:], drawn.interval, drawn.test):
        macs = np.log([network.cost.macs for network in networks])
        assert macs[:20].std() > 1.15 * macs[20:].std()


def test_seeds_decide() -> None:
    first, again, other = (draw_networks(space("mnasnet-small"), 5, 4, 5, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_a_small_space_is_shared_out() -> None:
    drawn = draw_networks(tiny(), 100, 50, 50, seed=0)
    assert len(drawn.calibration) == pytest.approx(2 * len(drawn.test), rel=0.2)
    assert abs(len(drawn.interval) - len(drawn.test)) <= 2
    assert 30 < len({network.canonical() for each in drawn for network in each}) < 60


def test_sets_may_be_empty() -> None:
    assert tuple(map(len, draw_networks(tiny(), 5, 0, 0, seed=0))) == (5, 0, 0)


def test_too_few_networks_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 3 networks; 2 were asked for and space tiny gave 2"):
        draw_networks(tiny(), 2, 9, 20, seed=0)


def test_anchors_span_the_calibration_networks() -> None:
    drawn = draw_networks(space("mnasnet-small"), 20, 19, 20, seed=0)
    named = roles(drawn)
    assert [network for network, _ in named] == [*drawn.calibration, *drawn.interval, *drawn.test]
    assert [role for _, role in named[20:]] == ["interval"] * 19 + ["test"] * 20
    macs = sorted(network.cost.macs for network in drawn.calibration)
    anchors = sorted(network.cost.macs for network, role in named if role == "anchor")
    assert len(anchors) == 8
    assert (anchors[0], anchors[-1]) == (macs[0], macs[-1])


def test_few_calibration_networks_are_all_anchors() -> None:
    assert [role for _, role in roles(draw_networks(tiny(), 5, 0, 5, seed=0))] == ["anchor"] * 5 + ["test"] * 5
