"""Dilated depthwise convolutions in torch, whose backward pass is several times faster on CPU than torch's own.

Both derivatives are convolutions of a fast kind: of the gradient by the mirrored kernel, and of maps taken apart.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own abbreviation)
from torch import Tensor


class _DilatedDepthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, d: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.d = d
        return _convolve(x, weight, d)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, _ = ctx.needs_input_grad
        by_x = _convolve(gradient, weight.flip(2, 3), ctx.d) if of_x else None
        by_weight = _weight_gradient(_apart(x, ctx.d), _apart(gradient, ctx.d), weight) if of_weight else None
        return by_x, by_weight, None


def dilated_depthwise(x: Tensor, weight: Tensor, d: int) -> Tensor:
    """Convolve (n, c, h, w) with `weight` (c, 1, kh, kw), odd, at stride 1 and dilation `d`; the size stays."""
    y: Tensor = _DilatedDepthwise.apply(x, weight, d)  # type: ignore[no-untyped-call]
    return y


def _convolve(x: Tensor, weight: Tensor, d: int) -> Tensor:
    padding = [d * (k // 2) for k in weight.shape[2:]]
    return F.conv2d(x, weight, padding=padding, dilation=d, groups=x.shape[1])


def _weight_gradient(x: Tensor, gradient: Tensor, weight: Tensor) -> Tensor:
    """The gradient of a plain depthwise convolution's kernel."""
    half, c = [k // 2 for k in weight.shape[2:]], len(weight)
    mask = [False, True, False]
    found = torch.ops.aten.convolution_backward(gradient, x, weight, None, [1, 1], half, [1, 1], False, [0, 0], c, mask)
    by_weight: Tensor = found[1]
    return by_weight


def _apart(x: Tensor, d: int) -> Tensor:
    """Every d-th row and column as maps of their own, zeros where they are short: (d d n, c, h / d, w / d)."""
    n, c, h, w = x.shape
    rows, columns = -(-h // d), -(-w // d)
    last = F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, columns * d - w, 0, rows * d - h))
    parts = last.reshape(n, rows, d, columns, d, c).permute(2, 4, 0, 1, 3, 5)
    return parts.reshape(d * d * n, rows, columns, c).permute(0, 3, 1, 2)
