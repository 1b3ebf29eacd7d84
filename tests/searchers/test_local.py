from __future__ import annotations

import numpy as np
import pytest

from mnas.searchers.local import LocalSearch
from mnas.spaces import Encoding, SearchSpace, active, space
from tests.searchers.fakes import BranchingSpace, ToySpace, every_encoding

TOY = ToySpace((4, 3, 5), twins=False)
PEAK = (2, 1, 4)


def unimodal(encoding: Encoding) -> float:
    """Every choice counts by itself, so that only the peak has no better neighbour."""
    return -float(np.abs(np.subtract(encoding, PEAK)).sum())


def decisions_between(searched: SearchSpace, one: Encoding, other: Encoding) -> int:
    """Number of active choices in which two encodings differ; what one of them leaves inactive does not count."""
    both = active(searched, np.array([one, other])).all(0)
    return int((both & np.not_equal(one, other)).sum())


def start(searcher: LocalSearch, encoding: Encoding, reward: float = 0.0) -> None:
    searcher.tell([encoding], [reward])


@pytest.mark.parametrize("searched", [TOY, BranchingSpace((4, 3, 2, 2)), space("nasrl"), space("mnasnet-small")])
def test_neighbours_differ_in_one_active_decision(searched: SearchSpace) -> None:
    searcher = LocalSearch(searched, 3)
    (here,) = searcher.ask(1)
    start(searcher, here)
    counted = active(searched, np.array([here]))[0]
    expected = sum(len(choice.options) - 1 for choice, counts in zip(searched.choices, counted, strict=True) if counts)
    neighbours = searcher.ask(expected)
    assert len(set(neighbours)) == expected
    assert here not in neighbours
    assert {decisions_between(searched, here, each) for each in neighbours} == {1}


def test_all_neighbours_come_in_a_random_order_of_the_seed() -> None:
    orders = []
    for seed in (0, 0, 1):
        searcher = LocalSearch(TOY, seed)
        start(searcher, (0, 0, 0))
        orders.append(searcher.ask(9))
    assert orders[0] == orders[1] != orders[2]
    assert set(orders[0]) == set(orders[2])
    assert orders[0] != sorted(orders[0])


def test_it_moves_to_a_better_neighbour_and_only_then() -> None:
    searcher = LocalSearch(TOY, 0)
    start(searcher, (1, 1, 1), 0.5)
    first = searcher.ask(2)
    searcher.tell(first, [0.4, 0.5])
    assert not set(searcher.ask(7)) & set(first)  # an equal one is no better one, and none is tried twice
    assert all(decisions_between(TOY, (1, 1, 1), each) == 1 for each in searcher.ask(7))
    better = searcher.ask(2)
    searcher.tell(better, [0.6, 0.7])
    assert all(decisions_between(TOY, better[1], each) == 1 for each in searcher.ask(4))


def test_it_starts_again_where_no_neighbour_is_better() -> None:
    searcher = LocalSearch(TOY, 0)
    start(searcher, (0, 0, 0), 1.0)
    asked = searcher.ask(9)
    searcher.tell(asked, [0.1] * 9)
    drawn = searcher.ask(6)
    assert max(decisions_between(TOY, (0, 0, 0), each) for each in drawn) > 1
    searcher.tell(drawn, [0.2, 0.3, 0.9, 0.1, 0.2, 0.1])  # below the first optimum
    assert all(decisions_between(TOY, drawn[2], each) == 1 for each in searcher.ask(3))


def test_a_batch_that_is_larger_than_what_is_left_is_filled_with_draws() -> None:
    searcher = LocalSearch(TOY, 0)
    start(searcher, (0, 0, 0), 1.0)
    batch = searcher.ask(40)
    assert len(batch) == 40
    assert {decisions_between(TOY, (0, 0, 0), each) for each in batch[:9]} == {1}
    far = next(i for i, each in enumerate(batch) if i >= 9 and decisions_between(TOY, (0, 0, 0), each) > 1)
    searcher.tell(batch, [2.0 if i == far else 0.0 for i in range(40)])
    following = [each for each in searcher.ask(2) if decisions_between(TOY, batch[far], each) == 1]
    assert following


@pytest.mark.parametrize("batch", [1, 3])
def test_it_climbs_to_the_peak(batch: int) -> None:
    """In at most as many trials as there are neighbours on the way: one move a distance of at least 1."""
    for seed in range(10):
        searcher = LocalSearch(TOY, seed)
        told: list[Encoding] = []
        while PEAK not in told and len(told) < 60:
            encodings = searcher.ask(batch)
            searcher.tell(encodings, [unimodal(encoding) for encoding in encodings])
            told += encodings
        assert PEAK in told


def test_it_beats_chance_on_average() -> None:
    evaluations = []
    for seed in range(20):
        searcher, told = LocalSearch(TOY, seed), set[Encoding]()
        while PEAK not in told:
            encodings = searcher.ask(1)
            searcher.tell(encodings, [unimodal(encoding) for encoding in encodings])
            told |= set(encodings)
        evaluations.append(len(told))
    assert np.mean(evaluations) < 0.6 * (len(every_encoding(TOY)) + 1) / 2  # draws without replacement
