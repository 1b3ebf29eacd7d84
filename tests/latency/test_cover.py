from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.errors import ConfigError
from mnas.ir import Architecture, Placement
from mnas.latency import cover
from mnas.latency.cover import told
from mnas.ops.mobile import ConvBlock
from mnas.spaces import ChainSpace, SearchSpace, space
from tests.latency.fakes import tiny


class Unchained:
    """The same space, with its chain hidden."""

    def __init__(self, inner: SearchSpace) -> None:
        self.name, self.x, self.classes, self.choices = inner.name, inner.x, inner.classes, inner.choices
        self.decode, self.placements = inner.decode, inner.placements


def occurrences(networks: tuple[Architecture, ...]) -> Counter[Placement]:
    return sum((Counter(network.placements) for network in networks), Counter())


@pytest.mark.slow
@given(times=st.integers(1, 4), seed=st.integers(0, 99), stages=st.integers(1, 2), chained=st.booleans())
@settings(max_examples=12, deadline=None)
def test_every_row_occurs_so_often_and_a_seed_tells_the_networks(
    times: int, seed: int, stages: int, chained: bool
) -> None:
    each = tiny(stages=stages) if chained else Unchained(tiny(stages=stages))
    assert isinstance(each, ChainSpace) == chained
    rows = list(each.placements())
    networks = cover(each, rows, times=times, seed=seed)
    held = occurrences(networks)
    assert min(held[row] for row in rows) >= times
    assert networks == cover(each, rows, times=times, seed=seed)


def test_a_chain_needs_no_more_networks_than_its_widest_segment() -> None:
    """A layer that changes the shape is in a network once, and a stage of the small space has 108 such layers."""
    each = space("mnasnet-small")
    assert len(cover(each, list(each.placements()), times=1)) == 108


def test_only_rows_asked_for_are_covered() -> None:
    each = space("mnasnet-small")
    row = list(each.placements())[-7]
    networks = cover(each, [row], times=2)
    assert len(networks) <= 2
    assert occurrences(networks)[row] >= 2


def test_seeds_choose_other_neighbours() -> None:
    each = tiny(stages=2)
    rows = list(each.placements())
    assert cover(each, rows, seed=0) != cover(each, rows, seed=1)


def test_a_cell_space_is_covered_with_its_zeros_and_skips() -> None:
    each = space("nasbench201")
    rows = list(each.placements())
    held = sum(map(told, cover(each, rows, times=2)), Counter[Placement]())
    assert min(held[row] for row in rows) >= 2


def test_a_rare_row_is_approached_by_mutations() -> None:
    each = Unchained(space("mnasnet-small"))
    rows = [row for row in each.placements() if "mbconv_c120_k5_e3_se0.25" in str(row)][:3]
    held = occurrences(cover(each, rows, times=1))
    assert rows
    assert all(held[row] for row in rows)


@pytest.mark.parametrize("each", [tiny(), Unchained(tiny())])
def test_what_no_network_holds_is_passed_over(each: SearchSpace) -> None:
    foreign = Placement(ConvBlock(7), (each.x,))
    assert cover(each, [foreign], times=1) == ()
    assert cover(each, []) == ()


def test_not_even_once_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least once"):
        cover(tiny(), [], times=0)
