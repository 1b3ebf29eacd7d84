"""Gradients of decisions against exact ones, in float64."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.func import functional_call

from mnas.evaluate.supernet.bilevel import Loss, Training, Unrolled, dominant_eigenvalue, first_order, second_order
from mnas.evaluate.supernet.network import Supernet
from mnas.ir import Shape
from mnas.spaces import RelaxedSpace
from mnas.spaces.darts import DartsSpace
from mnas.spaces.genotype import Stack
from mnas.spaces.mnasnet import MnasNetSpace
from mnas.spaces.mnasnet import Stage as Block

CELLS = DartsSpace("cells", Shape(1, 8, 8), 3, Stack(2, 3), Stack(2, 3))
CHAIN = MnasNetSpace("chain", Shape(1, 8, 8), 3, (Block(8, 1, 1), Block(8, 1, 2)), 8, 8, ("identity",))
both = pytest.mark.parametrize("space", [CELLS, CHAIN], ids=["cells", "chain"])
LR, MOMENTUM, DECAY = 0.05, 0.9, 3e-3


class Problem:
    """A supernet in float64, two batches, and an optimiser that has taken a step."""

    def __init__(self, space: RelaxedSpace) -> None:
        generator = torch.Generator().manual_seed(0)
        relaxation = space.relax()
        self.network = Supernet(relaxation, generator).double()
        self.logits = 300 * self.network.decisions.logits(generator).double()
        self.weights = list(self.network.parameters())
        shape = (2, 8, *relaxation.x)
        self.images = torch.randn(shape, generator=generator, dtype=torch.float64)
        self.labels = torch.randint(0, 3, shape[:2], generator=generator)
        self.optimizer = torch.optim.SGD(self.weights, LR, MOMENTUM, weight_decay=DECAY)
        self.loss(0)(self.logits).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()

    def loss(self, batch: int) -> Loss:
        def loss(logits: Tensor) -> Tensor:
            probabilities = self.network.decisions.probabilities(logits)
            return F.cross_entropy(self.network(self.images[batch], probabilities), self.labels[batch])

        return loss

    def unrolled(self, momentum: float, decay: float) -> Tensor:
        """The exact gradient of the validation loss through one step, by automatic differentiation of the step."""
        at = self.logits.clone().requires_grad_()
        named = dict(self.network.named_parameters())
        buffers = [self.optimizer.state[weight]["momentum_buffer"] for weight in named.values()]

        def loss(weights: Mapping[str, Tensor], batch: int) -> Tensor:
            probabilities = self.network.decisions.probabilities(at)
            logits = functional_call(self.network, dict(weights), (self.images[batch], probabilities))
            return F.cross_entropy(logits, self.labels[batch])

        gradients = torch.autograd.grad(loss(named, 0), list(named.values()), create_graph=True)
        moved = {
            name: weight - LR * (momentum * buffer + gradient + decay * weight)
            for (name, weight), gradient, buffer in zip(named.items(), gradients, buffers, strict=True)
        }
        return torch.autograd.grad(loss(moved, 1), at)[0]

    def approximated(self, reach: float) -> Tensor:
        now, step = Training.at(self.loss(0), self.logits, self.weights), Unrolled.of(self.optimizer)
        found = second_order(now, self.loss(0), self.loss(1), self.logits, self.weights, step, reach=reach)
        return found.logits


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.slow
@both
def test_second_order_is_the_gradient_through_a_step_with_momentum_and_decay(space: RelaxedSpace) -> None:
    """ReLUs have kinks, so that only a short reach is exact; a smooth problem has its own test."""
    problem = Problem(space)
    exact = problem.unrolled(MOMENTUM, DECAY)
    before = [weight.detach().clone() for weight in problem.weights]
    assert relative(problem.approximated(1e-8), exact) < 1e-6
    assert all(torch.equal(weight, saved) for weight, saved in zip(problem.weights, before, strict=True))
    assert all(weight.requires_grad and weight.grad is None for weight in problem.weights)
    direct = first_order(problem.loss(1), problem.logits, problem.weights).logits
    for other in (direct, problem.unrolled(0, DECAY), problem.unrolled(MOMENTUM, 0)):
        assert relative(other, exact) > 1e-3


@both
def test_first_order_is_the_gradient_of_the_validation_loss(space: RelaxedSpace) -> None:
    problem = Problem(space)
    at = problem.logits.clone().requires_grad_()
    loss = problem.loss(1)(at)
    found = first_order(problem.loss(1), problem.logits, problem.weights)
    assert found.loss == pytest.approx(loss.item())
    assert torch.allclose(found.logits, torch.autograd.grad(loss, at)[0])
    assert all(weight.requires_grad and weight.grad is None for weight in problem.weights)


def test_the_published_reach_is_close_where_the_loss_is_smooth() -> None:
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(4, 4, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    logits = torch.randn(3, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)

    def mixed(at: Tensor, batch: int, by: list[Tensor]) -> Tensor:
        shares = torch.softmax(at, 0)
        return (
            sum((share * torch.tanh(x[batch] @ w) for share, w in zip(shares, by, strict=True)), x[batch]).pow(2).mean()
        )

    def loss(batch: int) -> Loss:
        return lambda at: mixed(at, batch, weights)

    step = Unrolled(0.5, 0.0, 0.0)
    found = second_order(Training.at(loss(0), logits, weights), loss(0), loss(1), logits, weights, step).logits
    at = logits.clone().requires_grad_()
    gradients = torch.autograd.grad(mixed(at, 0, weights), weights, create_graph=True)
    moved = [weight - 0.5 * gradient for weight, gradient in zip(weights, gradients, strict=True)]
    (exact,) = torch.autograd.grad(mixed(at, 1, moved), at)
    assert 0 < relative(found, exact) < 1e-4
    assert relative(first_order(loss(1), logits, weights).logits, exact) > 0.01


def test_the_step_looked_ahead_to_is_the_optimisers() -> None:
    weights = [torch.randn(3, 2, requires_grad=True), torch.randn(2, requires_grad=True)]
    optimizer = torch.optim.SGD(weights, 0.1, 0.9, weight_decay=0.01)
    for _ in range(3):
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        expected = [weight.detach().clone() for weight in weights]
        Unrolled.of(optimizer).take(expected, [weight.grad for weight in weights if weight.grad is not None])
        optimizer.step()
        for weight, other in zip(weights, expected, strict=True):
            torch.testing.assert_close(weight.detach(), other)


def test_dominant_eigenvalue() -> None:
    half = torch.randn(6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    matrix = half + half.T
    values = torch.linalg.eigvalsh(matrix)
    found = dominant_eigenvalue(
        lambda at: at.flatten() @ matrix @ at.flatten() / 2,
        torch.zeros(2, 3).double(),
        torch.Generator(),
        iterations=200,
    )
    assert found == pytest.approx(values[values.abs().argmax()].item(), rel=1e-6)


def test_a_supernet_has_curvature() -> None:
    problem = Problem(CELLS)
    assert abs(dominant_eigenvalue(problem.loss(1), problem.logits, torch.Generator(), iterations=2)) > 0


def test_a_flat_loss_has_no_curvature() -> None:
    assert dominant_eigenvalue(lambda at: (0 * at).sum() ** 2, torch.zeros(2, 2), torch.Generator()) == 0
    weight = torch.ones(1, requires_grad=True)
    flat: Loss = lambda at: at.pow(2).sum() + 0 * weight.sum()  # noqa: E731
    now = Training.at(flat, torch.ones(2), [weight])
    found = second_order(now, flat, flat, torch.ones(2), [weight], Unrolled(0.1, 0.9, 0.0))
    assert found.logits.tolist() == [2, 2]
