"""Probabilities of decisions, the weights of candidates that follow from them, and weighted sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnas.spaces.relaxation import Relaxation

_SCALE = 1e-3
"""Standard deviation of the first logits."""


class Decisions(nn.Module):
    """Softmaxes over the options of all decisions of a relaxation, and the probabilities of its conditions.

    Logits are a tensor (decisions, options), padded where a decision has fewer options than another.
    """

    def __init__(self, relaxation: Relaxation) -> None:
        super().__init__()
        counts, conditions = [len(each.options) for each in relaxation.decisions], relaxation.conditions
        self.counts = tuple(counts)
        self.open = nn.Buffer(torch.arange(max(counts)) < torch.tensor(counts)[:, None], persistent=False)
        factors = max(map(len, conditions), default=0)
        rows = torch.full((factors, len(conditions)), len(counts))  # the row after the last one is certain
        picked = torch.zeros(factors, len(conditions), max(counts))
        picked[..., 0] = 1
        for c, condition in enumerate(conditions):
            for k, (decision, options) in enumerate(condition):
                rows[k, c] = decision
                picked[k, c] = torch.isin(torch.arange(max(counts)), torch.tensor(options))
        self.rows, self.picked = nn.Buffer(rows, persistent=False), nn.Buffer(picked, persistent=False)

    def logits(self, generator: torch.Generator) -> Tensor:
        """Logits that are nearly alike, (decisions, options)."""
        return _SCALE * torch.randn(self.open.shape, generator=generator)

    def probabilities(self, logits: Tensor) -> Tensor:
        """The softmax of every decision, (decisions, options); options that there are not have 0."""
        return torch.softmax(logits.masked_fill(~self.open, -torch.inf), 1)

    def weights(self, probabilities: Tensor) -> Tensor:
        """The probability that each of the relaxation's `conditions` holds, (conditions,)."""
        certain = torch.zeros_like(probabilities[:1])
        certain[0, 0] = 1
        every = torch.cat([probabilities, certain])
        weights = torch.ones_like(every[:1, 0].expand(self.rows.shape[1]))
        for rows, picked in zip(self.rows, self.picked, strict=True):
            weights = weights * (every[rows] * picked).sum(1)
        return weights

    def split(self, probabilities: Tensor) -> list[NDArray[np.float64]]:
        """The probabilities of every decision, (options,) each."""
        values = probabilities.detach().cpu().double().numpy()
        return [row[:n] for row, n in zip(values, self.counts, strict=True)]


class _Mix(torch.autograd.Function):
    """The sum in one pass a value, and nothing kept but the values; may be differentiated twice."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, *values: Tensor) -> Tensor:
        ctx.save_for_backward(weights, *values)
        first, *rest = weights.tolist()
        total: Tensor = values[0] * first
        for weight, value in zip(rest, values[1:], strict=True):
            total.add_(value, alpha=weight)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, *values = ctx.saved_tensors
        of_weights, *of_values = ctx.needs_input_grad
        dots = torch.stack([_dot(gradient, value) for value in values]) if of_weights else None
        scaled = [gradient * weight if of else None for weight, of in zip(weights, of_values, strict=True)]
        return dots, *scaled


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The sum of products of two maps; without a copy where both are channels last."""
    return torch.dot(a.permute(0, 2, 3, 1).reshape(-1), b.permute(0, 2, 3, 1).reshape(-1))


def mix(weights: Tensor, values: list[Tensor]) -> Tensor:
    """The sum of maps (n, c, h, w), weighted by `weights` (values,)."""
    mixed: Tensor = _Mix.apply(weights, *values)  # type: ignore[no-untyped-call]
    return mixed
