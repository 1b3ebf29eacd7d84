"""Gradients of decisions through the training of the weights (DARTS, arXiv:1806.09055, sec. 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

Loss = Callable[[Tensor], Tensor]
"""The loss of a batch as a function of the logits of the decisions, at the present weights."""
REACH = 0.01
"""Of a finite difference, times the norm of its direction: eps = 0.01 / norm."""


class Training(NamedTuple):
    """The loss of a training batch, and its gradient with respect to the weights."""

    loss: float
    gradients: tuple[Tensor, ...]

    @classmethod
    def at(cls, training: Loss, logits: Tensor, weights: Sequence[Tensor]) -> Training:
        """Evaluate `training` at the present weights and at `logits`."""
        loss = training(logits.detach())
        return cls(loss.item(), torch.autograd.grad(loss, weights))


class Gradient(NamedTuple):
    """The gradient of a validation loss with respect to the logits, and the loss where it was taken."""

    logits: Tensor
    loss: float


@dataclass(frozen=True, slots=True)
class Unrolled:
    """One step of the optimiser of the weights, stochastic gradient descent with momentum.

    Attributes:
        lr: learning rate, xi of the paper.
        momentum: 0..1.
        weight_decay: of all weights.
        buffers: the optimiser's momentum of every weight; none before its first step.
    """

    lr: float
    momentum: float
    weight_decay: float
    buffers: Sequence[Tensor] = ()

    @classmethod
    def of(cls, optimizer: torch.optim.SGD) -> Unrolled:
        """The step that an optimiser of one group takes next."""
        (group,) = optimizer.param_groups
        states = [optimizer.state.get(weight, {}).get("momentum_buffer") for weight in group["params"]]
        buffers = [state for state in states if state is not None]
        return cls(group["lr"], group["momentum"], group["weight_decay"], buffers)

    def take(self, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Move weights in place, and leave the buffers as they are."""
        steps = torch._foreach_add(list(gradients), list(weights), alpha=self.weight_decay)
        if self.buffers:
            torch._foreach_add_(steps, list(self.buffers), alpha=self.momentum)
        torch._foreach_add_(list(weights), steps, alpha=-self.lr)


def first_order(validation: Loss, logits: Tensor, weights: Sequence[Tensor]) -> Gradient:
    """The gradient at the present weights, as if they did not depend on the logits (xi = 0)."""
    at = logits.detach().requires_grad_()
    with _frozen(weights):
        loss = validation(at)
        (gradient,) = torch.autograd.grad(loss, at)
    return Gradient(gradient, loss.item())


def second_order(
    now: Training,
    training: Loss,
    validation: Loss,
    logits: Tensor,
    weights: Sequence[Tensor],
    step: Unrolled,
    *,
    reach: float = REACH,
) -> Gradient:
    """The gradient of the validation loss after one step of the weights (eq. 7).

    The second derivative times the gradient after the step is a central difference (eq. 8). The weights are as before
    when this returns.

    Args:
        now: of `training`, before the step.
        training: loss of a training batch.
        validation: loss of a validation batch.
        logits: of the decisions.
        weights: what `training` and `validation` read, and `step` moves.
        step: of the weights.
        reach: how far the weights are moved to either side, as a norm.
    """
    at = logits.detach().requires_grad_()
    with _restored(weights) as (present, before):
        step.take(present, now.gradients)
        loss = validation(at)
        direct, *direction = torch.autograd.grad(loss, (at, *weights))
        norm = torch.stack(torch._foreach_norm(direction)).norm().item()
        if not norm > 0:
            return Gradient(direct, loss.item())
        share = reach / norm
        ends = []
        for signed in (share, -share):
            torch._foreach_copy_(present, before)
            torch._foreach_add_(present, direction, alpha=signed)
            ends.append(first_order(training, at, weights).logits)
    return Gradient(direct - step.lr * (ends[0] - ends[1]) / (2 * share), loss.item())


@contextmanager
def _restored(weights: Sequence[Tensor]) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Weights that may be moved in place, and what they were; afterwards they are that again."""
    present = [weight.detach() for weight in weights]
    before = [weight.clone() for weight in present]
    try:
        yield present, before
    finally:
        torch._foreach_copy_(present, before)


@contextmanager
def _frozen(weights: Sequence[Tensor]) -> Iterator[None]:
    """Spare what only the gradient of the weights needs."""
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_()


def dominant_eigenvalue(validation: Loss, logits: Tensor, generator: torch.Generator, iterations: int = 10) -> float:
    """The eigenvalue of largest magnitude of the Hessian of the validation loss with respect to the logits.

    A search that is about to collapse makes it large (Zela et al., arXiv:1909.09656, sec. 4).

    Args:
        validation: loss of a batch; it may be differentiated twice.
        logits: where the Hessian is taken.
        generator: draws the first direction.
        iterations: of the power method.
    """
    at = logits.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(validation(at), at, create_graph=True)
    direction = torch.randn(at.shape, generator=generator).to(at)
    value = 0.0
    for _ in range(iterations):
        direction = direction / direction.norm()
        (product,) = torch.autograd.grad((gradient * direction).sum(), at, retain_graph=True)
        value = float((product * direction).sum())
        if not product.norm() > 0:
            break
        direction = product
    return value
