"""The supernet against the networks it stands for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mnas.errors import ConfigError
from mnas.evaluate.supernet.mixing import mix
from mnas.evaluate.supernet.network import Mixed, Supernet
from mnas.ir import Architecture, Node, Shape
from mnas.lower.torch import TorchNetwork, build
from mnas.spaces import Choice, Encoding, RelaxedSpace, sample
from mnas.spaces.darts import DartsSpace
from mnas.spaces.genotype import NODES, OPS, Stack
from mnas.spaces.mnasnet import MnasNetSpace
from mnas.spaces.mnasnet import Stage as Block
from mnas.spaces.nasbench201 import NasBench201Space

CELLS = DartsSpace("cells", Shape(2, 9, 8), 3, Stack(4, 3), Stack(4, 3))
CHAIN = MnasNetSpace("chain", Shape(1, 8, 8), 3, (Block(8, 2, 1), Block(16, 2, 2)), 8, 8, ("identity",))
SKIPPING = MnasNetSpace("skipping", Shape(1, 8, 8), 3, (Block(8, 2, 2),), 8, 8, ("pool", "identity", "none"))
BENCH = NasBench201Space("bench", Shape(3, 8, 8), 3, c=4, cells=1)


def certain(network: Supernet, chosen: list[int]) -> Tensor:
    """Probabilities of decisions that are taken."""
    probabilities = torch.zeros_like(network.decisions.open, dtype=torch.float32)
    probabilities[torch.arange(len(chosen)), torch.tensor(chosen)] = 1
    return probabilities


def check_alike(network: Supernet, probabilities: Tensor, other: TorchNetwork, modules: list[nn.Module]) -> None:
    """Give `other` the weights of `modules`, node by node, and compare what the two compute."""
    for node, module in zip(other.nodes, modules, strict=True):
        given = dict(module.named_parameters())
        for name, weight in node.named_parameters():
            if name in given:
                weight.data.copy_(given[name])
    images = torch.randn(4, *other.network.inputs[0], generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(images, probabilities), other(images), rtol=1e-4, atol=1e-5)


def widest(space: MnasNetSpace, encoding: list[int]) -> Encoding:
    names = [choice.name for choice in space.choices]
    return tuple(2 if name.endswith("width") else option for name, option in zip(names, encoding, strict=True))


@pytest.mark.parametrize("space", [CHAIN, SKIPPING], ids=["chain", "skipping"])
def test_taken_decisions_of_a_chain_are_its_network(space: MnasNetSpace) -> None:
    network = Supernet(space.relax(), torch.Generator().manual_seed(1))
    for encoding in sample(space, np.random.default_rng(0), 12).tolist():
        chosen = widest(space, encoding)
        other = build(space.decode(chosen), seed=2).train()
        ops, modules = [placement.op for placement in other.network.placements], list[nn.Module]()
        for node, module in zip(network.relaxation.nodes, network.nodes, strict=True):
            if len(modules) == len(ops):
                break
            if isinstance(node, Node):
                modules.append(module)
                continue
            assert isinstance(module, Mixed)
            found = [
                mixed
                for candidate, mixed in zip(node.candidates, module.candidates, strict=True)
                if all(chosen[decision] in options for decision, options in candidate.when)
            ]
            (mixed,) = found
            modules += [mixed] if list(mixed.parameters()) else []
        check_alike(network, certain(network, list(chosen)), other, modules)


def test_narrow_widths_leave_the_last_channels_out() -> None:
    network = Supernet(CHAIN.relax(), torch.Generator().manual_seed(1))
    seen: list[Tensor] = []
    network.nodes[-1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    for width, channels in enumerate((16, 16, 24)):
        network(torch.randn(2, 1, 8, 8), certain(network, [2, 0, 0, 1, 1, 2, 0, 0, width, 1]))
        assert (seen[-1].abs().amax((0, 2, 3)) > 0).sum() <= channels < 25
        assert not seen[-1][:, channels:].any()


def test_taken_decisions_of_cells_are_their_network() -> None:
    """Pools have a batch norm in the supernet alone, and so are left out."""
    network = Supernet(CELLS.relax(), torch.Generator().manual_seed(1))
    rng = np.random.default_rng(0)
    for encoding in sample(CELLS, rng, 8).tolist():
        ops = [int(rng.integers(2, 7)) if i % 3 else index for i, index in enumerate(encoding)]
        genotype = CELLS.genotype(tuple(ops))
        chosen = [0] * len(network.relaxation.decisions)
        names = [decision.name for decision in network.relaxation.decisions]
        for cell, edges in genotype._asdict().items():
            for i, (op, value) in enumerate(edges):
                chosen[names.index(f"{cell}.{value}->{i // 2 + 2}")] = OPS.index(op)
        other = build(CELLS.decode(tuple(ops)), seed=2).train()
        check_alike(network, certain(network, chosen), other, cell_modules(network, other.network))


def cell_modules(network: Supernet, architecture: object) -> list[nn.Module]:
    """The supernet's module of every node of a network of cells."""
    assert isinstance(architecture, Architecture)
    out = [network.nodes[0]]
    position, value = 1, {0: 0, 1: 1}  # of the network's values, those of the supernet
    for start in range(1, len(network.nodes) - 1, 2 + NODES + 1):
        for i in range(2):
            value[position + 1] = start + i + 1
            out.append(network.nodes[start + i])
            position += 1
        for i in range(NODES):
            mixture, mixed = network.relaxation.nodes[start + 2 + i], network.nodes[start + 2 + i]
            assert not isinstance(mixture, Node) and isinstance(mixed, Mixed)  # noqa: PT018
            for node in architecture.nodes[position : position + 2]:
                found = [
                    module
                    for candidate, module in zip(mixture.candidates, mixed.candidates, strict=True)
                    if candidate.op == node.op and candidate.source == value[node.sources[0]]
                ]
                out.append(found[0])
            out.append(nn.Sequential())
            position += 3
            value[position] = start + 2 + i + 1
        out.append(nn.Sequential())
        position += 1
        value[position] = start + 2 + NODES + 1
    return [*out, network.nodes[-1]]


def test_taken_decisions_of_nasbench201_are_its_network() -> None:
    network = Supernet(BENCH.relax(), torch.Generator().manual_seed(1))
    for encoding in ((3, 2, 1, 0, 1, 3), (1, 0, 3, 3, 2, 2)):
        other = build(BENCH.decode(encoding), seed=2).train()
        modules: list[nn.Module] = []
        for node, module in zip(network.relaxation.nodes, network.nodes, strict=True):
            if isinstance(node, Node):
                modules.append(module)
            else:
                assert isinstance(module, Mixed)
                kept = [candidate for candidate in node.candidates if candidate.op.name != "zero"]
                (decision, _), *_ = kept[0].when
                option = encoding[decision]
                modules.append(module.candidates[option - 1] if option else nn.Sequential())
        check_alike(network, certain(network, list(encoding)), other, modules)


@pytest.mark.parametrize("space", [CELLS, CHAIN, BENCH], ids=lambda space: space.name)
def test_batch_norm_has_no_scale_and_reads_the_batch(space: RelaxedSpace) -> None:
    network = Supernet(space.relax()).eval()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(dict(norm.named_parameters()) or dict(norm.named_buffers()) for norm in norms)
    images = torch.randn(3, *space.x)
    probabilities = network.decisions.probabilities(network.decisions.logits(torch.Generator()))
    assert torch.equal(network(images, probabilities), network.train()(images, probabilities))


def test_pools_are_normalised_and_identities_are_not() -> None:
    network = Supernet(CELLS.relax())
    mixture, mixed = network.relaxation.nodes[3], network.nodes[3]
    assert not isinstance(mixture, Node) and isinstance(mixed, Mixed)  # noqa: PT018
    for candidate, module in zip(mixture.candidates, mixed.candidates, strict=True):
        norms = [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]
        assert bool(norms) == (candidate.op.name != "identity")


@pytest.mark.parametrize("cells", [1, 2])
def test_two_cells_are_both_reductions(cells: int) -> None:
    with pytest.raises(ConfigError, match=rf"of {cells} cells every one is a reduction.*at least 3 cells"):
        CELLS.relax(cells=cells)


def test_decisions_without_a_gradient_are_named() -> None:
    relaxation = CHAIN.relax()
    more = replace(relaxation, decisions=(*relaxation.decisions, Choice("idle", (0, 1)), Choice("fixed", (0,))))
    with pytest.raises(ConfigError, match=r"^1 decisions would get no gradient.*depends on them: idle, \.\.\.$"):
        Supernet(more)


def test_a_channel_is_weighted_once_however_deep_the_block() -> None:
    """Layers that a shallow block lacks hand the channels on as they are."""
    network = Supernet(CHAIN.relax(), torch.Generator().manual_seed(0))
    relaxation = network.relaxation
    probabilities = network.decisions.probabilities(torch.zeros(network.decisions.open.shape))
    checked = 0
    for i, (node, mixed) in enumerate(zip(relaxation.nodes, network.nodes, strict=True)):
        if isinstance(node, Node) or not isinstance(mixed, Mixed) or node.candidates[-1].op.name != "identity":
            continue
        weights = torch.zeros(len(relaxation.conditions))
        weights[mixed.numbers[-1]] = 1
        x = torch.randn(2, mixed.y.c, 4, 4)
        torch.testing.assert_close(mixed([x] * (i + 1), weights, probabilities), x)
        checked += 1
    assert checked == 4


def test_every_decision_gets_a_gradient() -> None:
    for space in (CELLS, CHAIN, SKIPPING, BENCH):
        network = Supernet(space.relax(), torch.Generator().manual_seed(0))
        logits = network.decisions.logits(torch.Generator().manual_seed(0)).requires_grad_()
        network(torch.randn(4, *space.x), network.decisions.probabilities(logits)).pow(2).sum().backward()
        assert logits.grad is not None
        assert logits.grad.abs().amax(1).min() > 0


def test_a_mix_is_a_weighted_sum_that_is_differentiated_twice() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(3, generator=generator, dtype=torch.float64, requires_grad=True)
    values = [torch.randn(2, 3, 2, 2, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    expected = sum(weight * value for weight, value in zip(weights, values, strict=True))
    assert torch.allclose(mix(weights, values), torch.as_tensor(expected))

    def mixed(weights: Tensor, *values: Tensor) -> Tensor:
        return mix(weights, list(values))

    assert torch.autograd.gradcheck(mixed, (weights, *values))
    assert torch.autograd.gradgradcheck(mixed, (weights, *values))
