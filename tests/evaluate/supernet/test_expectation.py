"""Expected latencies against sums over all networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from mnas.errors import ConfigError, MissingLatencyError
from mnas.evaluate.supernet import expectation
from mnas.evaluate.supernet.expectation import ChainExpectation, MixtureExpectation, expect
from mnas.evaluate.supernet.mixing import Decisions
from mnas.ir import Shape
from mnas.latency import LatencyTable, load_table
from mnas.spaces import RelaxedSpace, SearchSpace, sample, space
from mnas.spaces.darts import DartsSpace
from mnas.spaces.genotype import NODES, OPS, Stack
from mnas.spaces.mnasnet import MnasNetSpace
from mnas.spaces.mnasnet import Stage as Block
from mnas.spaces.nasbench201 import NasBench201Space

CELLS = DartsSpace("cells", Shape(1, 16, 16), 3, Stack(4, 3), Stack(4, 3))
CHAIN = MnasNetSpace("chain", Shape(1, 8, 8), 3, (Block(8, 1, 1), Block(16, 1, 2)), 8, 8, ("identity",))
Price = Callable[[SearchSpace], LatencyTable]


def drawn(searched: RelaxedSpace, seed: int, scale: float = 1.0) -> tuple[Decisions, Tensor]:
    decisions = Decisions(searched.priced)
    logits = scale * 1000 * decisions.logits(torch.Generator().manual_seed(seed)).double()
    return decisions, decisions.probabilities(logits)


@pytest.mark.slow
def test_of_a_chain_it_is_the_mean_over_all_networks(price: Price) -> None:
    """Narrow stages make the rows of the next one cheaper: shapes depend on choices."""
    table, rng = price(CHAIN), np.random.default_rng(0)
    found = expect(CHAIN, table)
    assert isinstance(found, ChainExpectation)
    options = [range(len(choice.options)) for choice in CHAIN.choices]
    every = np.array(list(product(*options[:5])))
    for seed in range(2):
        decisions, probabilities = drawn(CHAIN, seed)
        split = decisions.split(probabilities)
        total = 0.0
        second = np.array(list(product(*options[5:])))
        for first in every[rng.permutation(len(every))]:
            weight = np.prod([split[i][option] for i, option in enumerate(first)])
            rows = np.concatenate([np.tile(first, (len(second), 1)), second], axis=1)
            weights = np.prod([split[5 + i][second[:, i]] for i in range(5)], axis=0)
            total += weight * float(weights @ table.predict_batch(CHAIN, rows))
        assert found(probabilities).item() == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("name", ["mnasnet-small"])
def test_of_a_large_chain_it_is_the_mean_of_samples(name: str) -> None:
    searched, table = space(name), load_table("mnasnet-small-amd-epyc-litert-float32")
    assert isinstance(searched, RelaxedSpace)
    decisions, probabilities = drawn(searched, 3)
    rng = np.random.default_rng(0)
    columns = [rng.choice(len(p), 20000, p=p / p.sum()) for p in decisions.split(probabilities)]
    sampled = table.predict_batch(searched, np.stack(columns, axis=1)).mean()
    assert expect(searched, table)(probabilities).item() == pytest.approx(float(sampled), rel=0.01)


@pytest.mark.slow
def test_of_taken_decisions_it_is_the_networks_price(price: Price) -> None:
    for searched in (CHAIN, CELLS):
        table = price(searched)
        found, decisions = expect(searched, table), searched.priced.decisions
        for encoding in map(tuple, sample(searched, np.random.default_rng(1), 10).tolist()):
            probabilities = torch.zeros(len(decisions), max(len(each.options) for each in decisions)).double()
            chosen = list(encoding) if searched == CHAIN else edges(encoding, [each.name for each in decisions])
            probabilities[torch.arange(len(decisions)), torch.tensor(chosen)] = 1
            expected = table.predict(searched.decode(encoding)).ms
            assert found(probabilities).item() == pytest.approx(expected, rel=1e-6)


def edges(encoding: tuple[int, ...], names: list[str]) -> list[int]:
    """What every edge of the cells is, `none` where it is left out."""
    chosen = [0] * len(names)
    for cell, ends in CELLS.genotype(encoding)._asdict().items():
        for i, (op, value) in enumerate(ends):
            chosen[names.index(f"{cell}.{value}->{i // 2 + 2}")] = OPS.index(op)
    return chosen


@pytest.mark.slow
def test_of_a_cell_it_is_the_mean_over_ops_where_edges_are_taken(price: Price) -> None:
    """Nodes that read their first two values in any case: what is left are independent ops."""
    table = price(CELLS)
    found, names = expect(CELLS, table), [each.name for each in CELLS.priced.decisions]
    assert isinstance(found, MixtureExpectation)
    rng = np.random.default_rng(0)
    ops = {name: rng.dirichlet(np.ones(7)) for name in names if name.split(".")[1][0] in "01"}
    probabilities = np.zeros((len(names), len(OPS)))
    probabilities[:, 0] = 1
    for name, p in ops.items():
        probabilities[names.index(name)] = [0, *p]
    encodings = []
    for _ in range(1500):
        encoding = []
        for cell in ("normal", "reduce"):
            for node in range(NODES):
                encoding += [0, *(int(rng.choice(7, p=ops[f"{cell}.{value}->{node + 2}"])) for value in (0, 1))]
        encodings.append(encoding)
    sampled = table.predict_batch(CELLS, np.array(encodings))
    error = sampled.std() / np.sqrt(len(sampled))
    assert found(torch.tensor(probabilities)).item() == pytest.approx(float(sampled.mean()), abs=4 * error)


@pytest.mark.slow
def test_zeros_cost_nothing(price: Price) -> None:
    bench = NasBench201Space("bench", Shape(3, 8, 8), 3, c=4, cells=1)
    table = price(bench)
    found = expect(bench, table)
    for encoding in ((3, 3, 3, 3, 3, 3), (2, 1, 3, 4, 4, 1)):
        probabilities = torch.zeros(6, 5).double()
        probabilities[torch.arange(6), torch.tensor(encoding)] = 1
        assert found(probabilities).item() == pytest.approx(table.predict(bench.decode(encoding)).ms, rel=1e-6)
    with_zero = torch.zeros(6, 5).double()
    with_zero[torch.arange(6), torch.tensor([0, 1, 3, 4, 4, 1])] = 1
    assert found(with_zero).item() < found(probabilities).item()


@pytest.mark.slow
@pytest.mark.parametrize("searched", [CHAIN, CELLS], ids=["chain", "cells"])
def test_it_is_differentiable(searched: RelaxedSpace, price: Price) -> None:
    found = expect(searched, price(searched))
    decisions = Decisions(searched.priced)
    logits = (1000 * decisions.logits(torch.Generator().manual_seed(0))).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda at: found(decisions.probabilities(at)), logits)
    (gradient,) = torch.autograd.grad(found(decisions.probabilities(logits)), logits)
    lower = (logits - 0.01 * gradient / gradient.norm()).detach()
    assert found(decisions.probabilities(lower)) < found(decisions.probabilities(logits))


def test_rows_that_are_missing(price: Price) -> None:
    for searched in (CHAIN, CELLS):
        table = price(searched)
        lacking = replace(table, rows=dict(list(table.rows.items())[1:]))
        with pytest.raises(MissingLatencyError):
            expect(searched, lacking)


def test_widths_of_a_space_that_is_no_known_chain(price: Price, monkeypatch: pytest.MonkeyPatch) -> None:
    table = price(CHAIN)
    monkeypatch.setattr(expectation, "compile_chain", lambda space, known: None)
    with pytest.raises(ConfigError, match="decides on widths"):
        expect(CHAIN, table)
