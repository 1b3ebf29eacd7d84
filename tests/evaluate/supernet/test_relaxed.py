"""Steps of a supernet: what moves, and what cannot go on."""

from __future__ import annotations

from copy import deepcopy
from typing import get_args

import pytest
import torch
from torch import nn

from mnas.errors import EvaluationError
from mnas.evaluate.supernet import Order, Rates, RelaxedNetwork
from mnas.evaluate.training import Batch
from mnas.ir import Shape
from mnas.spaces.mnasnet import MnasNetSpace
from mnas.spaces.mnasnet import Stage as Block

CHAIN = MnasNetSpace("chain", Shape(1, 8, 8), 3, (Block(8, 1, 1), Block(8, 1, 2)), 8, 8, ("identity",))
RATES = Rates(alpha_lr=0.01)


def batch(seed: int, n: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 1, 8, 8, generator=generator).to(memory_format=torch.channels_last)
    return Batch(images, torch.randint(0, 3, (n,), generator=generator))


@pytest.mark.parametrize("order", [None, *get_args(Order)])
def test_a_step_moves_weights_and_decisions(order: Order | None) -> None:
    model = RelaxedNetwork(CHAIN.relax(), RATES, seed=1)
    weights = [weight.detach().clone() for weight in model.network.parameters()]
    logits = model.logits.detach().clone()
    losses = model.step(batch(0), batch(1), lr=0.1, order=order)
    assert torch.equal(model.logits, logits) == (order is None)
    moved = [not torch.equal(a, b) for a, b in zip(weights, model.network.parameters(), strict=True)]
    assert sum(moved) > 0.8 * len(moved)  # biases of gates that are shut stay
    assert losses.training > 0
    assert (losses.validation > 0) == (order is not None)


@pytest.mark.slow
@pytest.mark.parametrize("order", get_args(Order))
def test_both_losses_fall(order: Order) -> None:
    model = RelaxedNetwork(CHAIN.relax(), RATES)
    training, validation = batch(0, 32), batch(0, 32)
    losses = [model.step(training, validation, lr=0.05, order=order) for _ in range(8)]
    assert losses[-1].training < losses[0].training - 0.05
    assert losses[-1].validation < losses[0].validation - 0.05


def test_orders_agree_but_for_what_the_weights_will_do() -> None:
    """At a rate of (almost) 0 of the weights, looking ahead changes nothing."""
    models = [RelaxedNetwork(CHAIN.relax(), RATES) for _ in get_args(Order)]
    for model, order in zip(models, get_args(Order), strict=True):
        model.step(batch(0), batch(1), lr=1e-12, order=order)
    torch.testing.assert_close(models[0].logits, models[1].logits)
    for model, order in zip(models, get_args(Order), strict=True):
        model.step(batch(2), batch(3), lr=0.3, order=order)
    assert not torch.allclose(models[0].logits, models[1].logits, atol=1e-5)


def test_latency_moves_the_decisions_by_its_weight() -> None:
    def cheap(probabilities: torch.Tensor) -> torch.Tensor:
        return 2 + probabilities[0, 1]

    model = RelaxedNetwork(CHAIN.relax(), RATES, expectation=cheap, target_ms=2.0)
    first = model.expected_ms
    assert first == pytest.approx(2.25, abs=0.01)
    plain = RelaxedNetwork(CHAIN.relax(), RATES).step(batch(0), batch(1), lr=0.1, order="first")
    losses = model.step(batch(0), batch(1), lr=0.1, order="first", latency_weight=1e3)
    assert losses.validation == pytest.approx(plain.validation, rel=1e-4)  # the latency's term is not in it
    for _ in range(10):
        model.step(batch(0), batch(1), lr=0.1, order="first", latency_weight=1e3)
    assert (model.expected_ms or 9) < 2.24
    assert model.probabilities[0].argmin() == 1


def test_entropy_is_largest_where_nothing_is_decided() -> None:
    model = RelaxedNetwork(CHAIN.relax(), RATES)
    assert model.entropy == pytest.approx(1, abs=1e-5)
    with torch.no_grad():
        model.logits[:, 0] += 50
    assert model.entropy == pytest.approx(0, abs=1e-5)
    assert model.expected_ms is None


def test_a_state_goes_on_to_the_same_numbers() -> None:
    def steps(model: RelaxedNetwork, n: int) -> None:
        for i in range(n):
            model.step(batch(i), batch(i + 1), lr=0.1, order="second")

    one = RelaxedNetwork(CHAIN.relax(), RATES)
    steps(one, 2)
    other = RelaxedNetwork(CHAIN.relax(), RATES, seed=5)
    other.load(deepcopy(one.state()))
    steps(one, 2)
    steps(other, 2)
    assert torch.equal(one.logits, other.logits)
    for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("order", get_args(Order))
def test_what_is_no_number_ends_the_search(order: Order) -> None:
    model = RelaxedNetwork(CHAIN.relax(), RATES)
    broken = Batch(batch(0).images * torch.nan, batch(0).labels)
    with pytest.raises(EvaluationError, match=r"diverged: the validation loss is nan.*may be too high"):
        model.step(batch(0), broken, lr=0.1, order=order)
    with pytest.raises(EvaluationError, match=r"diverged: the (training|validation) loss is nan"):
        model.step(broken, batch(0), lr=0.1, order=order)


def test_maps_are_channels_last() -> None:
    model = RelaxedNetwork(CHAIN.relax(), RATES)
    kept: list[bool] = []
    for module in model.network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda module, inputs, y: kept.append(y.is_contiguous(memory_format=torch.channels_last))
            )
    model.step(batch(0), batch(1), lr=0.1, order="first")
    assert kept
    assert all(kept)
