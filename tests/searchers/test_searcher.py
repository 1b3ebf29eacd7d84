from __future__ import annotations

from functools import partial

import pytest

from mnas.errors import ConfigError, UnknownNameError
from mnas.searchers.searcher import make_searcher, searchers
from mnas.spaces import space
from tests.contracts import check_searcher
from tests.searchers.fakes import ToySpace


@pytest.mark.parametrize("name", sorted(searchers))
def test_every_searcher_keeps_its_contract(name: str) -> None:
    check_searcher(partial(make_searcher, name))


@pytest.mark.parametrize("name", sorted(searchers))
def test_a_space_of_one_choice_is_searched(name: str) -> None:
    searcher = make_searcher(name, ToySpace((5,), twins=False), 0)
    seen = set()
    for _ in range(40):
        encodings = searcher.ask(2)
        seen |= set(encodings)
        searcher.tell(encodings, [encoding[0] / 5 for encoding in encodings])
    assert (4,) in seen


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


def test_unknown_names_and_negative_seeds() -> None:
    with pytest.raises(UnknownNameError, match="evolution, random, reinforce"):
        make_searcher("annealing", ToySpace(), 0)
    with pytest.raises(ConfigError, match="seed"):
        make_searcher("random", ToySpace(), -1)
