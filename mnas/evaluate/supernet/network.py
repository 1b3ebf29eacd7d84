"""The network of a relaxation: every candidate is computed, and weighted by the probability that it is there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnas.errors import ConfigError
from mnas.evaluate.supernet.mixing import Decisions, mix
from mnas.ir import Layer, Node, Shape
from mnas.ir.layers import Join, Norm, Seq, Zero, joined
from mnas.lower.torch import build_layer, join_values
from mnas.spaces.relaxation import Condition, Mixture, Relaxation


class Supernet(nn.Module):
    """Maps images and probabilities of the decisions to logits; weights are trained, logits of decisions are not here.

    Batch norm has no scale and no shift, which would stand in for the probabilities, and always normalises by the
    batch. A candidate without batch norm of its own, a pool, is given one (arXiv:1806.09055, appendix A.1.1).

    Args:
        relaxation: what to build.
        generator: draws the initial weights.

    Raises:
        ConfigError: a decision that nothing in the network depends on.
    """

    def __init__(self, relaxation: Relaxation, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if relaxation.undecided:
            names = ", ".join(each.name for each in relaxation.undecided[:3])
            raise ConfigError(
                f"{len(relaxation.undecided)} decisions would get no gradient, as nothing in this network depends on "
                f"them: {names}, ..."
            )
        self.relaxation = relaxation
        self.decisions = Decisions(relaxation)
        number = {condition: i for i, condition in enumerate(relaxation.conditions)}
        shapes, modules = [relaxation.x], list[nn.Module]()
        for node in relaxation.nodes:
            if isinstance(node, Mixture):
                mixed = Mixed(node, shapes, number, generator)
                modules.append(mixed)
                shapes.append(mixed.y)
            else:
                x = joined(node.join, tuple(shapes[source] for source in node.sources))
                modules.append(_built(node.op.layers(x), x, generator))
                shapes.append(node.op.out_shape(x))
        self.nodes = nn.ModuleList(modules)

    def forward(self, images: Tensor, probabilities: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, c, h, w) under `probabilities` (decisions, options)."""
        weights = self.decisions.weights(probabilities)
        values = [images]
        for node, module in zip(self.relaxation.nodes, self.nodes, strict=True):
            if isinstance(node, Node):
                values.append(module(join_values(node.join, [values[source] for source in node.sources])))
            else:
                values.append(module(values, weights, probabilities))
        return values[-1].flatten(1)


class Mixed(nn.Module):
    """A mixture: the weighted sum of what its `candidates` give, of which those that are zeros are left out."""

    def __init__(
        self,
        mixture: Mixture,
        shapes: list[Shape],
        number: dict[Condition, int],
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        kept, modules = [], []
        for candidate in mixture.candidates:
            x = shapes[candidate.source]
            layer = candidate.op.layers(x)
            self.y = candidate.op.out_shape(x)
            if not isinstance(layer, Zero):
                kept.append(candidate)
                modules.append(_normalised(layer, x, generator))
        self.candidates = nn.ModuleList(modules)
        self.sources = tuple(candidate.source for candidate in kept)
        self.numbers = nn.Buffer(torch.tensor([number[each.when] for each in kept]), persistent=False)
        self.widths = mixture.widths
        channels = torch.tensor(mixture.widths.channels if mixture.widths else ())
        self.counted = nn.Buffer((torch.arange(self.y.c) < channels[:, None]).float(), persistent=False)

    def forward(self, values: list[Tensor], weights: Tensor, probabilities: Tensor) -> Tensor:
        """Mix earlier values of the network by `weights` of its conditions and, of channels, by `probabilities`."""
        terms = [module(values[source]) for module, source in zip(self.candidates, self.sources, strict=True)]
        y = mix(weights[self.numbers], terms)
        if self.widths:
            options = probabilities[self.widths.decision, : len(self.widths.channels)]
            share = (options @ self.counted.to(options.dtype))[:, None, None]
            # what was weighted before, and is handed on by identities and residuals, is not weighted again
            y = torch.lerp(values[self.sources[0]], y, share) if self.widths.read else y * share
        return y


def _normalised(layer: Layer, x: Shape, generator: torch.Generator | None) -> nn.Module:
    module = _built(layer, x, generator)
    if layer == Seq() or _has_norm(layer):
        return module
    return nn.Sequential(module, _built(Norm(), layer.out_shape(x), generator))


def _has_norm(layer: Layer) -> bool:
    match layer:
        case Norm():
            return True
        case Seq(parts) | Join(_, parts):
            return any(map(_has_norm, parts))
        case _:
            return False


def _built(layer: Layer, x: Shape, generator: torch.Generator | None) -> nn.Module:
    """The module of a layer, its batch norms without scale, shift and running statistics."""
    root = nn.Sequential(build_layer(layer, x, generator))
    for parent in list(root.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                plain = nn.BatchNorm2d(child.num_features, child.eps, affine=False, track_running_stats=False)
                setattr(parent, name, plain)
    return root[0]
