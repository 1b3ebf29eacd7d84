from __future__ import annotations

from math import inf, log

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn

from mnas.errors import DataError, ShapeError, UnknownNameError
from mnas.evaluate import Minibatch, scores
from mnas.evaluate.untrained import agreements, grad_norm, macs, naswot, parameters, synflow
from mnas.ir import Architecture, Shape
from mnas.lower.torch import build
from mnas.spaces import space
from mnas.spaces.nasbench201 import NasBench201Space

CHAIN = Architecture.parse("input 1x8x8\nconv_c6_s2\nmbconv_c8_se0.25\nconv_c8_k5\nhead_c16_n10")
PLAIN = Architecture.parse("input 3x6x6\nconv_c4\nconv_c8\nhead_c16_n10")
CELLS = NasBench201Space("small cells", Shape(3, 8, 8), 10, c=4, cells=1)


def minibatch(x: Shape, n: int = 6, seed: int = 0) -> Minibatch:
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(n, *x, generator=rng).to(memory_format=torch.channels_last)
    return Minibatch(images, torch.randint(10, (n,), generator=rng))


def active_units(architecture: Architecture, seed: int, images: Tensor, kinds: tuple[type[nn.Module], ...]) -> Tensor:
    """Which units are active, (n, units), by what the non-linearities give rather than by what they read."""
    network, found = build(architecture, seed).train(), []
    for module in network.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda _m, _i, output: found.append((output > 0).flatten(1)))
    with torch.no_grad():
        network(images.contiguous())
    return torch.cat(found, 1).double()


@pytest.mark.parametrize("n", [2, 3, 16])
@pytest.mark.parametrize(
    "architecture", [CHAIN, CELLS.decode((3, 1, 2, 4, 0, 3)), CELLS.decode((2, 2, 2, 2, 2, 2))], ids=["chain", "a", "b"]
)
def test_naswot_is_what_was_published(architecture: Architecture, n: int) -> None:
    """The authors' formula: K_H = C C^T + (1 - C) (1 - C)^T, and the logarithm of its determinant."""
    batch = minibatch(architecture.x, n)
    codes = active_units(architecture, 3, batch.images, (nn.ReLU,))
    kernel = codes @ codes.T + (1 - codes) @ (1 - codes).T
    sign, expected = np.linalg.slogdet(kernel.numpy())
    assert sign == 1
    assert naswot(architecture, 3, batch) == pytest.approx(expected, abs=1e-6)


def test_two_images_have_a_determinant_that_can_be_done_by_hand() -> None:
    batch = minibatch(CHAIN.x, 2)
    one, other = active_units(CHAIN, 0, batch.images, (nn.ReLU,))
    n, distance = len(one), int((one != other).sum())
    assert 0 < distance < n
    assert naswot(CHAIN, 0, batch) == pytest.approx(log(n**2 - (n - distance) ** 2), abs=1e-9)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=4), st.integers(2, 5), st.data())
@settings(max_examples=60, deadline=None)
def test_agreements_count_both_kinds_of_units(widths: list[int], n: int, data: st.DataObject) -> None:
    codes = [data.draw(arrays(np.bool_, (n, width))) for width in widths]
    every = np.concatenate(codes, axis=1)
    packed = [np.packbits(code, axis=1) for code in codes]
    assert np.array_equal(agreements(packed, every.shape[1]), (every[:, None] == every[None]).sum(2))


def test_agreements_of_more_units_than_are_compared_at_once() -> None:
    code = np.random.default_rng(0).random((3, 200_003)) < 0.3
    packed = np.packbits(code, axis=1)
    assert np.array_equal(agreements([packed], code.shape[1]), (code[:, None] == code[None]).sum(2))


@pytest.mark.parametrize("kind", ["relu", "relu6", "hswish"])
def test_a_unit_is_active_where_its_input_is_positive_whatever_the_non_linearity(kind: str) -> None:
    """Whatever follows a first layer is a linear classifier: all units are in that layer, and see the same input."""
    text = "input 1x6x6\n{}\nclassifier"
    assert naswot(
        Architecture.parse(text.format(f"conv_c8_a{kind}" if kind != "relu" else "conv_c8")),
        1,
        minibatch(Shape(1, 6, 6)),
    ) == naswot(Architecture.parse(text.format("conv_c8")), 1, minibatch(Shape(1, 6, 6)))


def test_gates_are_no_units() -> None:
    """A squeeze-and-excite adds the units of its hidden layer only; the sigmoids are none."""
    batch = minibatch(CHAIN.x)
    with_gate = active_units(CHAIN, 0, batch.images, (nn.ReLU,))
    more = active_units(CHAIN, 0, batch.images, (nn.ReLU, nn.Sigmoid))
    assert more.shape[1] > with_gate.shape[1]
    kernel = with_gate.shape[1] - torch.cdist(with_gate, with_gate, p=1)
    assert naswot(CHAIN, 0, batch) == pytest.approx(float(kernel.logdet()), abs=1e-6)


def test_synflow_of_a_chain_is_its_flow_once_a_kernel() -> None:
    """Without skips every kernel carries all of the flow R (conservation, arXiv:2006.05467, sec. 4): the sum is 4 R."""
    state = build(PLAIN, 5).state_dict()
    kernels = [value.abs().double() for key, value in state.items() if key.endswith("weight") and value.ndim > 1]
    flow = torch.ones(1, *PLAIN.x, dtype=torch.float64)
    for kernel in kernels[:-1]:
        flow = F.conv2d(flow, kernel, padding=kernel.shape[-1] // 2)
    total = F.linear(flow.mean((2, 3)), kernels[-1]).sum()
    assert len(kernels) == 4
    assert synflow(PLAIN, 5, minibatch(PLAIN.x)) == pytest.approx(log(4 * float(total)), rel=1e-9)


def test_synflow_does_not_clip() -> None:
    clipped = Architecture.parse("input 3x6x6\nconv_c4_arelu6\nconv_c8_arelu6\nhead_c16_n10_arelu6")
    batch = minibatch(PLAIN.x)
    assert synflow(clipped, 5, batch) == synflow(PLAIN, 5, batch)
    assert synflow(PLAIN, 5, minibatch(PLAIN.x, seed=1)) == synflow(PLAIN, 5, batch)


def test_grad_norm_is_the_sum_of_the_norms_of_gradients() -> None:
    batch = minibatch(CHAIN.x)
    network = build(CHAIN, 2).train()
    kernels = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    loss = F.nll_loss(F.log_softmax(network(batch.images), 1), batch.labels)
    norms = [float(slope.square().sum().sqrt()) for slope in torch.autograd.grad(loss, kernels)]
    assert grad_norm(CHAIN, 2, batch) == pytest.approx(log(sum(norms)), rel=1e-5)


def test_sizes_are_scores_too() -> None:
    batch = minibatch(CHAIN.x)
    assert macs(CHAIN, 0, batch) == log(CHAIN.cost.macs)
    assert parameters(CHAIN, 1, batch) == log(CHAIN.cost.params)


@pytest.mark.parametrize("name", [*scores])
def test_a_score_is_decided_by_network_seed_and_minibatch(name: str) -> None:
    of, batch = scores[name].of, minibatch(CHAIN.x)
    torch.manual_seed(1)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    first = of(CHAIN, 7, batch)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    torch.manual_seed(2)
    with torch.no_grad():
        assert of(CHAIN, 7, batch) == first
    assert np.isfinite(first)
    if name not in ("macs", "parameters"):
        assert of(CHAIN, 8, batch) != first


@pytest.mark.parametrize("name", [*scores])
@pytest.mark.parametrize("known", ["mnasnet-small", "nasbench201", "nasnet"])
def test_every_score_scores_every_kind_of_space(name: str, known: str) -> None:
    searched = space(known, image_size=16)
    network = searched.decode(tuple(len(choice.options) - 1 for choice in searched.choices))
    score = scores[name].of(network, 0, minibatch(network.x, 4))
    assert np.isfinite(score)
    assert abs(score) < 1e3


def test_degenerate_networks_have_defined_scores() -> None:
    """Cells of nothing but zeros: all images look alike, nothing flows, but the classifier's bias has a gradient."""
    nothing, batch = CELLS.decode((0,) * 6), minibatch(CELLS.x)
    assert naswot(nothing, 0, batch) == -inf
    assert synflow(nothing, 0, batch) == -inf
    assert grad_norm(nothing, 0, batch) == -inf
    linear = Architecture.parse("input 1x8x8\nstem_c4\nclassifier_n10")
    assert naswot(linear, 0, minibatch(linear.x)) == -inf  # no unit at all
    assert np.isfinite(synflow(linear, 0, minibatch(linear.x)))
    bare = Architecture.parse("input 1x8x8\nidentity")
    assert macs(bare, 0, batch) == parameters(bare, 0, batch) == synflow(bare, 0, batch) == -inf


def test_equal_images_and_too_few_units_are_singular() -> None:
    batch = minibatch(CHAIN.x, 4)
    twice = Minibatch(torch.cat([batch.images, batch.images[:1]]), torch.zeros(5, dtype=torch.int64))
    assert naswot(CHAIN, 0, twice) == -inf
    narrow = Architecture.parse("input 1x2x2\nconv_c8_s2\nclassifier")
    assert naswot(narrow, 0, minibatch(narrow.x, 40)) == -inf


def test_minibatches_that_do_not_do_are_refused() -> None:
    images = torch.zeros(1, 1, 8, 8)
    with pytest.raises(DataError, match=r"at least 2 images .*, got 1 and 1"):
        Minibatch(images, torch.zeros(1, dtype=torch.int64))
    with pytest.raises(DataError, match="got 3 and 2"):
        Minibatch(images.repeat(3, 1, 1, 1), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ShapeError, match="reads 1x8x8"):
        naswot(CHAIN, 0, minibatch(Shape(1, 9, 9)))
    with pytest.raises(UnknownNameError, match="unknown score 'zen'; known: grad-norm, macs, naswot"):
        scores["zen"]
