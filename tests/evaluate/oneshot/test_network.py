from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.evaluate.oneshot import SharedNetwork
from mnas.evaluate.oneshot.weights import slices
from mnas.ir import Architecture
from mnas.spaces import ChainSpace, SearchSpace, space
from tests.searchers.gradients.spaces import CHAIN
from tests.strategies import architectures

SMALL = space("mnasnet-small", classes=5, image_size=8)
LARGE = space("mnasnet", classes=5, image_size=32)
SHARED = {each.name: SharedNetwork(each, seed=3) for each in (SMALL, LARGE)}


def images(space: SearchSpace, n: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, *space.x, generator=generator).contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
@given(st.data())
@settings(deadline=None, max_examples=15)
@pytest.mark.parametrize("searched", [SMALL, LARGE], ids=["mnasnet-small", "mnasnet"])
def test_a_path_computes_what_its_network_does_with_the_same_weights(
    searched: SearchSpace, data: st.DataObject
) -> None:
    architecture: Architecture = data.draw(architectures(searched))
    shared = SHARED[searched.name]
    path = shared.chain.recognise(architecture)
    network = shared.network(path).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    assert network.network == architecture
    with torch.no_grad():
        x = images(searched)
        got = shared(path, x)
        assert got.shape == (4, 5)
        torch.testing.assert_close(got, network(x), rtol=1e-3, atol=1e-3)


def test_a_copy_is_a_copy() -> None:
    shared = SharedNetwork(CHAIN, seed=0)
    path = shared.chain.path((0,) * len(CHAIN.choices))
    network = shared.network(path)
    before = shared(path, images(CHAIN))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert torch.equal(shared(path, images(CHAIN)), before)


def test_a_path_touches_its_own_slices_only(chain_space: ChainSpace) -> None:
    shared = SharedNetwork(chain_space, seed=0)
    path = shared.chain.path((0,) * len(chain_space.choices))
    shared(path, images(chain_space)).sum().backward()  # type: ignore[no-untyped-call]
    touched = {key for key, tensor in shared.weights.tensors.items() if tensor.grad is not None}
    assert touched == {part.key for placed in path for part in slices(placed)}


def test_every_op_of_a_layer_is_trained_at_once() -> None:
    """The largest convolution, separable convolution and MBConv hold the weights of all others."""
    shared = SharedNetwork(CHAIN, seed=0)
    path = shared.chain.path((0,) * len(CHAIN.choices))
    one = shared(path, images(CHAIN))
    assert not torch.equal(shared(path, images(CHAIN), every=True), one)
    (shared(path, images(CHAIN), every=True) ** 2).sum().backward()  # type: ignore[no-untyped-call]
    shallow = [key for key in shared.weights.tensors if key.split(".")[1] == "0" or key.startswith("0.1.conv")]
    assert {key.split(".")[2] for key in shallow} == {"conv", "sepconv", "mbconv", "head"}
    assert all(shared.weights.tensors[key].grad is not None for key in shallow)


def test_the_mean_of_all_ops_is_that_of_their_networks() -> None:
    shared = SharedNetwork(CHAIN, seed=0)
    path = shared.chain.path((0,) * len(CHAIN.choices))
    with torch.no_grad():
        values = images(CHAIN)
        for i, rivals in enumerate(shared.chain.rivals(path)):
            whole = [rival for rival in rivals if i in (0, len(path) - 1) or "k5" in str(rival.op)]
            whole = [r for r in whole if r.op.name != "mbconv" or ("e3" not in str(r.op) and "se0.25" in str(r.op))]
            values = torch.stack([shared((rival,), values).view(4, *rival.op.out_shape(rival.x)) for rival in whole])
            values = values.mean(0).contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(shared(path, images(CHAIN), every=True), values.flatten(1), rtol=1e-3, atol=1e-3)
