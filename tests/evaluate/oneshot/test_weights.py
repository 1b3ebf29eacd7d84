from __future__ import annotations

import pytest
import torch

from mnas.errors import ShapeError
from mnas.evaluate.oneshot import Chain, Placed
from mnas.evaluate.oneshot.weights import SharedWeights, slices
from mnas.ir import Op, Shape, parse_op
from mnas.spaces import ChainSpace

X = Shape(16, 8, 8)


def placed(text: str, x: Shape = X) -> Placed:
    return Placed(1, 0, parse_op(text), x)


def shared(*texts: str) -> SharedWeights:
    return SharedWeights(map(placed, texts), seed=0)


def keys(op: str, x: Shape = X) -> dict[str, tuple[int, ...]]:
    return {part.key: part.shape for part in slices(placed(op, x))}


def test_a_smaller_kernel_is_the_centre_and_fewer_channels_are_the_first() -> None:
    weights = shared("conv_c24_k5", "conv_c16_k3")
    (tensor,) = [each for each in weights.tensors.values() if each.ndim == 4]
    assert tensor.shape == (24, 16, 5, 5)
    small = weights.of(placed("conv_c16_k3"))["0.weight"]
    assert torch.equal(small, tensor[:16, :, 1:4, 1:4])
    assert small.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr()
    narrow = SharedWeights([placed("conv_c24"), placed("conv_c24", Shape(8, 8, 8))], seed=0)
    part = narrow.of(placed("conv_c24", Shape(8, 8, 8)))["0.weight"]
    assert torch.equal(part, narrow.of(placed("conv_c24"))["0.weight"][:, :8])


def test_roles_do_not_depend_on_gates_and_skips() -> None:
    plain, gated = keys("mbconv_c24_e3"), keys("mbconv_c24_e3_se0.25")
    assert plain.items() < gated.items()
    assert len(gated) == len(plain) + 4
    assert keys("mbconv_c16_skipnone").keys() == keys("mbconv_c16").keys()
    pooled = keys("mbconv_c24_skippool")
    assert keys("mbconv_c24").items() < pooled.items()
    assert {key for key in pooled.keys() - keys("mbconv_c24").keys() if "branch0" not in key} == set()


def test_a_smaller_expansion_is_the_first_part() -> None:
    large, small = keys("mbconv_c24_e6_k5_se0.25"), keys("mbconv_c24_e3_se0.25")
    assert large.keys() == small.keys()
    assert all(all(n <= m for n, m in zip(small[key], large[key], strict=True)) for key in large)
    assert large != small


def test_places_and_kinds_share_nothing() -> None:
    one = placed("mbconv_c24")
    for other in (one._replace(segment=2), one._replace(ordinal=1), one._replace(op=parse_op("sepconv_c24"))):
        assert not {part.key for part in slices(one)} & {part.key for part in slices(other)}


def test_initial_values_are_those_of_the_largest_kernel() -> None:
    weights = shared("conv_c512_k5", "conv_c16_k3")
    kernel, scale, shift = (weights.of(placed("conv_c512_k5"))[name] for name in ("0.weight", "1.weight", "1.bias"))
    assert kernel.std().item() == pytest.approx((2 / (25 * 512)) ** 0.5, rel=0.02)
    assert torch.equal(scale, torch.ones(512))
    assert torch.equal(shift, torch.zeros(512))
    again, other = shared("conv_c512_k5", "conv_c16_k3"), SharedWeights([placed("conv_c512_k5")], seed=1)
    assert all(torch.equal(value, again.tensors[key]) for key, value in weights.tensors.items())
    assert not torch.equal(kernel, other.of(placed("conv_c512_k5"))["0.weight"])


def test_gradients_reach_the_shared_parameter() -> None:
    weights = shared("conv_c24_k5", "conv_c16_k3")
    (tensor,) = [each for each in weights.tensors.values() if each.ndim == 4]
    weights.of(placed("conv_c16_k3"))["0.weight"].sum().backward()  # type: ignore[no-untyped-call]
    expected = torch.zeros(24, 16, 5, 5)
    expected[:16, :, 1:4, 1:4] = 1
    assert tensor.grad is not None
    assert torch.equal(tensor.grad, expected)


def test_every_parameter_of_every_op_finds_its_slice(chain_space: ChainSpace) -> None:
    every = list(Chain(chain_space).everything())
    weights = SharedWeights(every, seed=0)
    used: set[str] = set()
    for each in every:
        views = weights.of(each)
        assert sum(view.numel() for view in views.values()) == each.op.cost(each.x).params
        assert [tuple(views[part.name].shape) for part in slices(each)] == [part.shape for part in slices(each)]
        used |= {part.key for part in slices(each)}
    assert used == set(weights.tensors)


def test_ops_without_weights_have_none() -> None:
    ops: list[Op] = [parse_op("identity"), parse_op("zero")]
    assert all(SharedWeights([placed(str(op))], seed=0).tensors == {} for op in ops)


def test_numbers_of_other_ops_are_refused() -> None:
    weights, other = shared("conv_c24_k5"), shared("conv_c16_k5")
    weights.load({key: value * 2 for key, value in shared("conv_c24_k5").tensors.items()})
    assert torch.equal(weights.of(placed("conv_c24_k5"))["1.weight"], torch.full((24,), 2.0))
    with pytest.raises(ShapeError, match=r"expected \(24.*, got \(16"):
        weights.load(other.tensors)
    with pytest.raises(ShapeError, match="got none"):
        weights.load({})
