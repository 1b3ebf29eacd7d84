from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from mnas.errors import ConfigError, UnknownNameError
from mnas.ir import Architecture, Shape
from mnas.latency import Estimate
from mnas.searchers.searcher import HasEntropy, make_searcher, searchers
from mnas.spaces import SearchSpace, sample_biased, space
from mnas.spaces.nasnet import NasNetSpace, Stack
from tests.contracts import check_searcher
from tests.searchers.fakes import (
    INSTALLED,
    SEARCHERS,
    MacsLatency,
    SproutingSpace,
    ToySpace,
    every_encoding,
    quick_searcher,
    toy_objective,
)

SPACES: dict[str, Callable[[], SearchSpace]] = {
    "a chain": partial(space, "mnasnet-small"),
    "layers": partial(space, "nasrl"),
    "small cells": lambda: NasNetSpace("cells", Shape(1, 8, 8), 10, Stack(4, 1, "strided"), blocks=2),
}


def check_on(name: str, searched: SearchSpace) -> None:
    """Check the contract for a target that about half of the networks meet."""
    macs = [MacsLatency().predict(searched.decode(tuple(row))).high_ms for row in typical(searched)]
    objective = toy_objective(searched, float(np.median(macs)), latency=MacsLatency())
    check_searcher(partial(quick_searcher, name, objective=objective), searched)


def typical(searched: SearchSpace) -> list[list[int]]:
    return sample_biased(searched, np.random.default_rng(0), 20).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("which", SPACES)
@pytest.mark.parametrize("name", SEARCHERS)
def test_every_searcher_keeps_its_contract(name: str, which: str) -> None:
    check_on(name, SPACES[which]())


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHERS)
def test_every_searcher_keeps_its_contract_on_the_cells_of_nasnet(name: str) -> None:
    check_on(name, space("nasnet-mobile"))


@pytest.mark.parametrize("name", SEARCHERS)
def test_a_space_of_one_choice_is_searched(name: str) -> None:
    toy = ToySpace((5,), twins=False)
    searcher = quick_searcher(name, toy)
    seen = set()
    for _ in range(40):
        encodings = searcher.ask(2)
        seen |= set(encodings)
        searcher.tell(encodings, [encoding[0] / 5 for encoding in encodings])
    assert (4,) in seen


@pytest.mark.parametrize("options", [(1,), (1, 1), ()])
@pytest.mark.parametrize("name", SEARCHERS)
def test_a_space_of_one_network_has_one_answer_or_is_refused(name: str, options: tuple[int, ...]) -> None:
    toy, (only,) = ToySpace(options, twins=False), [(0,) * len(options)]
    if name == "evolution":
        with pytest.raises(ConfigError, match="one network only"):
            quick_searcher(name, toy)
        return
    searcher = quick_searcher(name, toy, 0, toy_objective(toy, latency=Flat()))
    for n in (3, 1, 3):
        assert searcher.ask(n) == [only] * n
        searcher.tell([only] * n, np.linspace(0.1, 0.3, n).tolist())
    if isinstance(searcher, HasEntropy):
        assert searcher.entropy == 0


class Flat(MacsLatency):
    """Of networks that do nothing too."""

    def predict(self, architecture: Architecture) -> Estimate:
        return Estimate(0.5, 0.5, 0.5)


@pytest.mark.parametrize("name", SEARCHERS)
def test_a_choice_of_one_option_takes_it(name: str) -> None:
    searcher = quick_searcher(name, ToySpace((1, 4, 1), twins=False))
    for _ in range(8):
        asked = searcher.ask(3)
        assert {(a, c) for a, _, c in asked} == {(0, 0)}
        searcher.tell(asked, [b / 4 for _, b, _ in asked])


@pytest.mark.parametrize("name", SEARCHERS)
def test_more_is_asked_for_than_the_space_holds(name: str) -> None:
    toy = SproutingSpace()
    every = set(map(tuple, every_encoding(toy).tolist()))
    searcher = quick_searcher(name, toy)
    for _ in range(3):
        asked = searcher.ask(30)
        assert len(asked) == 30
        assert set(asked) <= every
        searcher.tell(asked, np.linspace(0, 1, 30).tolist())


@pytest.mark.parametrize("rewards", [[0.1] * 6, [0.0] * 6, [-1e9, 1e9, 0, 1e-300, -1e-300, 1]], ids=str)
@pytest.mark.parametrize("name", SEARCHERS)
def test_any_finite_rewards_leave_a_searcher_that_searches(name: str, rewards: list[float]) -> None:
    toy = ToySpace((3, 3, 3), twins=False)
    every = set(map(tuple, every_encoding(toy).tolist()))
    searcher = quick_searcher(name, toy)
    for _ in range(6):
        searcher.tell(searcher.ask(6), rewards)
        if isinstance(searcher, HasEntropy):
            assert 0 <= searcher.entropy <= np.log(27) + 1e-6
    asked = searcher.ask(40)
    assert set(asked) <= every
    assert len(set(asked)) > 1


def test_options_reach_the_searcher_and_unknown_ones_are_refused() -> None:
    toy = space("mnasnet-small")
    plain, wide = make_searcher("evolution", toy, 0), make_searcher("evolution", toy, 0, {"population": 2})
    for searcher in (plain, wide):
        searcher.tell(searcher.ask(2), [0.1, 0.2])
    assert plain.ask(3) != wide.ask(3)
    with pytest.raises(
        ConfigError, match=r"searcher 'evolution' has no option 'size'; known: population \(default 20\)"
    ):
        make_searcher("evolution", toy, 0, {"size": 3})
    with pytest.raises(ConfigError, match="has no option 'lr'; known: none"):
        make_searcher("random", toy, 0, {"lr": 0.1})
    with pytest.raises(ConfigError, match="lr must be a finite float"):
        make_searcher("reinforce", toy, 0, {"lr": "fast"})
    with pytest.raises(ConfigError, match="policy must be one of factored, lstm, got 'gru'"):
        make_searcher("ppo", toy, 0, {"policy": "gru"})


@pytest.mark.parametrize("name", INSTALLED)
def test_what_mnas_gives_is_no_option(name: str) -> None:
    for given in ("space", "seed", "objective"):
        with pytest.raises(ConfigError, match=f"has no option '{given}'"):
            make_searcher(name, ToySpace(), 0, {given: 1}, toy_objective())


def test_a_searcher_that_goes_by_latency_needs_an_objective() -> None:
    with pytest.raises(ConfigError, match="searcher 'surrogate' needs an objective"):
        make_searcher("surrogate", ToySpace(), 0)


def test_unknown_names_and_negative_seeds() -> None:
    with pytest.raises(UnknownNameError) as raised:
        make_searcher("annealing", ToySpace(), 0)
    assert str(raised.value) == f"unknown searcher 'annealing'; known: {', '.join(sorted(searchers))}"
    with pytest.raises(ConfigError, match="seed"):
        make_searcher("random", ToySpace(), -1)
