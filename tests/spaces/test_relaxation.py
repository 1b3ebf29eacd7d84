"""What holds of every space that is searched by gradients; a new one is covered without a line here."""

from __future__ import annotations

import numpy as np
import pytest

from mnas.errors import ConfigError
from mnas.ir import Node, Shape
from mnas.ir.layers import joined
from mnas.spaces import Encoding, Relaxation, RelaxedSpace, sample, space, spaces, values
from mnas.spaces.relaxation import Condition, Mixture, options_of

ALL = [each for each in (space(name) for name in spaces if name != "primitives") if isinstance(each, RelaxedSpace)]
by_name = pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)


def probabilities(relaxation: Relaxation, seed: int) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    rng = np.random.default_rng(seed)
    return [rng.dirichlet(np.ones(len(each.options))) for each in relaxation.decisions]


def weight(condition: Condition, drawn: list[np.ndarray[tuple[int], np.dtype[np.float64]]]) -> float:
    return float(np.prod([sum(drawn[decision][option] for option in options) for decision, options in condition]))


def test_which_spaces() -> None:
    assert {each.name for each in ALL} >= {"darts", "darts-small", "mnasnet", "mnasnet-small", "nasbench201"}


@by_name
def test_values_fit_and_all_decisions_matter(each: RelaxedSpace) -> None:
    for relaxation in (each.priced, each.relax()):
        shapes = [relaxation.x]
        for i, node in enumerate(relaxation.nodes):
            if isinstance(node, Node):
                assert max(node.sources) <= i
                shapes.append(node.op.out_shape(joined(node.join, tuple(shapes[source] for source in node.sources))))
            else:
                given = {candidate.op.out_shape(shapes[candidate.source]) for candidate in node.candidates}
                assert len(given) == 1
                assert max(candidate.source for candidate in node.candidates) <= i
                shapes.append(given.pop())
        assert shapes[-1] == Shape(each.classes, 1, 1)
        assert relaxation.x == each.x
        assert relaxation.undecided == ()
    assert [choice.options for choice in each.priced.decisions] == [choice.options for choice in each.relax().decisions]


@by_name
def test_of_a_mixture_that_keeps_one_one_is_there(each: RelaxedSpace) -> None:
    """Conditions are exclusive, and one of them holds."""
    relaxation = each.relax()
    for seed in range(3):
        drawn = probabilities(relaxation, seed)
        for mixture in relaxation.mixtures:
            if mixture.kept == 1:
                assert sum(weight(candidate.when, drawn) for candidate in mixture.candidates) == pytest.approx(1)


@by_name
def test_probabilities_are_discretised_to_a_network(each: RelaxedSpace) -> None:
    seen: set[Encoding] = set()
    for seed in range(20):
        encoding = each.discretise(probabilities(each.relax(), seed))
        assert all(type(index) is int for index in encoding)
        values(each, encoding)
        assert 0 <= each.identity_share(encoding) <= 1
        seen.add(encoding)
    assert len(seen) == 20


@by_name
def test_shares_of_identities_differ(each: RelaxedSpace) -> None:
    encodings = sample(each, np.random.default_rng(0), 60).tolist()
    assert len({each.identity_share(tuple(encoding)) for encoding in encodings}) > 3


@by_name
def test_sizes(each: RelaxedSpace) -> None:
    if each.name.startswith("mnasnet"):
        with pytest.raises(ConfigError, match="no cells to stack"):
            each.relax(cells=3)
        return
    small, large = each.relax(cells=3, channels=4), each.relax(cells=4, channels=8)
    assert len(small.nodes) < len(large.nodes)
    for wrong in ({"cells": 0}, {"channels": 0}):
        with pytest.raises(ConfigError, match="at least"):
            each.relax(**wrong)


def test_chains_take_the_likeliest_options() -> None:
    each = space("mnasnet-small")
    assert isinstance(each, RelaxedSpace)
    drawn = [np.eye(len(choice.options))[i % len(choice.options)] for i, choice in enumerate(each.choices)]
    encoding = each.discretise(drawn)
    assert encoding == tuple(i % len(choice.options) for i, choice in enumerate(each.choices))
    layers = [mixture for mixture in each.relax().mixtures if isinstance(mixture, Mixture)]
    assert each.identity_share((0,) * len(each.choices)) == 1 - 5 / len(layers)


def test_options_of_a_product() -> None:
    assert options_of([(0, 1), (0, 2), (3, 1), (3, 2)]) == ((0, (0, 3)), (1, (1, 2)))
    with pytest.raises(ValueError, match="no product"):
        options_of([(0, 1), (3, 2)])
