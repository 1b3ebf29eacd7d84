from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mnas.errors import ShapeError
from mnas.ir import Architecture, Node, Placement, Shape, parse_op
from mnas.ir.layers import Conv, Pool
from mnas.lower.torch import build, build_layer
from mnas.spaces import space

A = Architecture.parse(
    "input 3x17x18\nconv_c8_s2\nmbconv_c16_k5_s2_skippool\npool_tavg_s2\nalign_c12_s2\nclassifier_n5"
)


@pytest.mark.parametrize(
    "network", [A, space("nasbench201", image_size=8).decode((0, 3, 4, 1, 4, 2))], ids=["mobile", "cell"]
)
def test_channels_last_stays(network: Architecture) -> None:
    """No convolution is handed a map whose layout it must change first."""
    module = build(network, 0).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    seen: list[bool] = []

    def look(_: nn.Module, args: tuple[Any, ...]) -> None:
        seen.append(args[0].is_contiguous(memory_format=torch.channels_last))

    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_pre_hook(look)
    module(torch.randn(2, *network.x).contiguous(memory_format=torch.channels_last))
    assert seen
    assert all(seen)


def test_every_parameter_learns() -> None:
    module = build(A, 0)
    module(torch.randn(4, *A.x)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types(dtype: torch.dtype) -> None:
    module = build(A, 0).to(dtype).eval()
    y = module(torch.randn(2, *A.x, dtype=dtype))
    assert (y.shape, y.dtype) == ((2, 5), dtype)


def test_another_shape_is_refused() -> None:
    """Padding is fixed for one shape: another would run, and be wrong."""
    with pytest.raises(ShapeError, match=r"reads 3x17x18.*got 3x16x18"):
        build(A)(torch.randn(1, 3, 16, 18))
    with pytest.raises(ShapeError, match="reads 4x5x5, 4x5x5"):
        build(Placement(parse_op("identity"), (Shape(4, 5, 5),) * 2))(torch.randn(1, 4, 5, 5))


def test_symmetric_padding_is_left_to_the_kernel() -> None:
    odd, even = (
        build_layer(Conv(4, (3, 3), (2, 2)), Shape(3, 9, 9)),
        build_layer(Conv(4, (3, 3), (2, 2)), Shape(3, 8, 8)),
    )
    assert isinstance(odd, nn.Conv2d)
    assert isinstance(even, nn.Conv2d)
    assert (odd.padding, even.padding) == ((1, 1), (0, 0))


def test_average_pool_has_no_state() -> None:
    assert not build_layer(Pool("avg", (3, 3), (2, 2)), Shape(3, 8, 8)).state_dict()


def test_spent_values_are_freed() -> None:
    """A chain holds one value at a time, a skip holds its own until it is read; what nobody reads is not computed."""
    conv, add = parse_op("stem_c3"), parse_op("identity")
    nodes = (Node(conv, (0,)), Node(conv, (1,)), Node(conv, (2,)), Node(conv, (1,)), Node(add, (1, 3)))
    module = build(Architecture(Shape(3, 4, 4), nodes), 0).eval()
    ran: list[int] = []
    for i, part in enumerate(module.nodes):
        part.register_forward_hook(lambda *_, i=i: ran.append(i))
    x: Tensor = torch.randn(1, 3, 4, 4)
    y = module(x)
    first = module.nodes[0](x)
    assert ran[:4] == [0, 1, 2, 4]
    assert torch.allclose(y, first + module.nodes[2](module.nodes[1](first)))
