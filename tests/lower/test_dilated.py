"""Dilated depthwise convolutions against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.ir import Shape
from mnas.ir.layers import Conv
from mnas.lower.dilated import dilated_depthwise
from mnas.lower.padding import same
from mnas.lower.torch import build_layer


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 5]), st.sampled_from([1, 3, 5]), st.integers(2, 3))
def test_values_and_both_derivatives(h: int, w: int, kh: int, kw: int, d: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, h, w, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 1, kh, kw, generator=generator, dtype=torch.float64, requires_grad=True)
    y = dilated_depthwise(x, weight, d)
    expected = F.conv2d(x, weight, padding=(d * (kh // 2), d * (kw // 2)), dilation=d, groups=3)
    torch.testing.assert_close(y, expected)
    seed = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    for one, other in zip(*(torch.autograd.grad(each, (x, weight), seed) for each in (y, expected)), strict=True):
        torch.testing.assert_close(one, other)


def test_second_derivatives() -> None:
    x = torch.randn(1, 2, 4, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x, weight: dilated_depthwise(x, weight, 2), (x, weight))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("size", [4, 7, 8])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_a_built_convolution_is_the_dilated_one(stride: int, groups: int, size: int, k: int) -> None:
    x, layer = Shape(4, size, size), Conv(4, (k, k), (stride, stride), (2, 2), groups=groups)
    module = build_layer(layer, x, torch.Generator().manual_seed(0))
    images = torch.randn(2, *x, generator=torch.Generator().manual_seed(1))
    (top, bottom), (left, right) = same(x, layer.kernel, layer.stride, layer.dilation)
    padded = F.pad(images, (left, right, top, bottom))
    (weight,) = module.parameters()
    expected = F.conv2d(padded, weight, stride=stride, dilation=2, groups=groups)
    torch.testing.assert_close(module(images), expected)
    with torch.no_grad():
        torch.testing.assert_close(module(images), expected)
