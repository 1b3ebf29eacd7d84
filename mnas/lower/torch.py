"""The nine words in torch: the network that is trained. Maps are (N, C, H, W); channels_last works and is faster."""

from __future__ import annotations

from math import prod
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own abbreviation)
from torch import Tensor, nn

from mnas.errors import ShapeError
from mnas.ir import Layer, Network, Shape
from mnas.ir.layers import (
    Act,
    Activation,
    Conv,
    Join,
    JoinKind,
    Linear,
    Norm,
    Pool,
    Seq,
    Window,
    Zero,
)
from mnas.lower.dilated import dilated_depthwise
from mnas.lower.padding import cropped, pixels, same
from mnas.lower.weights import EPSILON, Array, Weights, he_std

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU, "relu6": nn.ReLU6, "hswish": nn.Hardswish, "sigmoid": nn.Sigmoid, "hsigmoid": nn.Hardsigmoid,
}  # fmt: skip


def join_values(kind: JoinKind, values: list[Tensor]) -> Tensor:
    """Add, multiply or concatenate maps (N, C, H, W); 1x1 maps are broadcast in products."""
    if kind == "cat":
        return torch.cat(values, 1)
    total = values[0]
    for value in values[1:]:
        total = total + value if kind == "add" else total * value
    return total


class _Conv(nn.Conv2d):
    """Padding that is the same on both sides is left to the kernel, which is faster.

    A stride equal to the dilation means that other rows and columns are never read: the rest is convolved plainly.
    """

    def __init__(self, layer: Conv, x: Shape, generator: torch.Generator | None) -> None:
        (top, bottom), (left, right) = same(x, layer.kernel, layer.stride, layer.dilation)
        self.every = layer.stride if layer.stride == layer.dilation != (1, 1) else None
        symmetric = (top, left) == (bottom, right) and not self.every
        inner = (top, left) if symmetric else 0
        stride, dilation = ((1, 1), (1, 1)) if self.every else (layer.stride, layer.dilation)
        super().__init__(x.c, layer.out, layer.kernel, stride, inner, dilation, layer.groups, layer.bias)
        self.outer = None if symmetric else (left, right, top, bottom)
        depthwise = layer.groups == x.c == layer.out and not layer.bias and stride == (1, 1) and symmetric
        odd = all(k % 2 for k in layer.kernel)
        self.dilated = depthwise and odd and dilation[0] == dilation[1] > 1
        _initialise(self, he_std(layer, x), generator)

    def reset_parameters(self) -> None:
        """Leave the numbers to `_initialise`."""

    def forward(self, x: Tensor) -> Tensor:
        if self.dilated and torch.is_grad_enabled():
            return dilated_depthwise(x, self.weight, self.dilation[0])
        x = F.pad(x, self.outer) if self.outer else x
        return super().forward(x[:, :, :: self.every[0], :: self.every[1]] if self.every else x)


class _Linear(nn.Linear):
    def __init__(self, layer: Linear, x: Shape, generator: torch.Generator | None) -> None:
        super().__init__(x.c, layer.out)
        _initialise(self, he_std(layer, x), generator)

    def reset_parameters(self) -> None:
        """Leave the numbers to `_initialise`."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))[..., None, None]


def _initialise(module: _Conv | _Linear, std: float, generator: torch.Generator | None) -> None:
    nn.init.normal_(module.weight, 0, std, generator)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


class _GlobalPool(nn.Module):
    def __init__(self, layer: Pool) -> None:
        super().__init__()
        self.kind = layer.kind

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True) if self.kind == "avg" else x.amax((2, 3), keepdim=True)


class _Pool(nn.Module):
    """Max pools never choose the padding, average pools do not count it."""

    def __init__(self, layer: Pool, x: Shape) -> None:
        super().__init__()
        self.kernel, self.stride = layer.kernel or (x.h, x.w), layer.stride
        (top, bottom), (left, right) = same(x, self.kernel, self.stride)
        symmetric = (top, left) == (bottom, right)
        self.inner = (top, left) if symmetric else (0, 0)
        self.outer = None if symmetric else (left, right, top, bottom)
        self.maximum = layer.kind == "max"
        scale = None
        if self.outer and not self.maximum:
            scale = torch.from_numpy(prod(self.kernel) / pixels(x, self.kernel, self.stride))
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.outer:
            x = F.pad(x, self.outer, value=-torch.inf if self.maximum else 0)
        if self.maximum:
            return F.max_pool2d(x, self.kernel, self.stride, self.inner)
        y = F.avg_pool2d(x, self.kernel, self.stride, self.inner, count_include_pad=False)
        return y if self.scale is None else y * cast(Tensor, self.scale)


class _Window(nn.Module):
    def __init__(self, layer: Window, x: Shape) -> None:
        super().__init__()
        start, end, before, after = cropped(layer, x)
        self.rows, self.columns = map(slice, start, end)
        self.outer = (before[1], after[1], before[0], after[0])

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, self.rows, self.columns], self.outer)


class _Zero(nn.Module):
    def __init__(self, layer: Zero) -> None:
        super().__init__()
        self.stride = layer.stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, :, :: self.stride[0], :: self.stride[1]])


class _Join(nn.ModuleList):
    def __init__(self, kind: JoinKind, branches: list[nn.Module]) -> None:
        super().__init__(branches)
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        return join_values(self.kind, [branch(x) for branch in self])


def build_layer(layer: Layer, x: Shape, generator: torch.Generator | None = None) -> nn.Module:  # noqa: C901 (nine words)
    """Make the torch module of `layer`, which maps (N, *x) to (N, *layer.out_shape(x)).

    Args:
        layer: what to build.
        x: shape of the input; padding is fixed for it.
        generator: draws the initial weights (see `mnas.lower.initial_weights`); torch's global one by default.
    """
    match layer:
        case Conv():
            return _Conv(layer, x, generator)
        case Norm():
            return nn.BatchNorm2d(x.c, EPSILON)
        case Act(kind):
            return _ACTIVATIONS[kind]()
        case Pool(_, None):
            return _GlobalPool(layer)
        case Pool():
            return _Pool(layer, x)
        case Linear():
            return _Linear(layer, x, generator)
        case Window():
            return _Window(layer, x)
        case Zero():
            return _Zero(layer)
        case Join(kind, branches):
            return _Join(kind, [build_layer(branch, x, generator) for branch in branches])
        case Seq(parts):
            modules = []
            for part in parts:
                modules.append(build_layer(part, x, generator))
                x = part.out_shape(x)
            return nn.Sequential(*modules)


class TorchNetwork(nn.Module):
    """A network that runs: `nodes[i]` is the op of node i, and values that are spent are let go."""

    def __init__(self, network: Network, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.network = network
        self.nodes = nn.ModuleList(build_layer(p.op.layers(p.x), p.x, generator) for p in network.placements)
        self._flatten = network.placements[-1].y[1:] == (1, 1)
        self._spent = _last_readers(network)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map the inputs, each (N, C, H, W), to the output: (N, C) if its map is 1x1.

        Raises:
            ShapeError: an input of another shape than the network was built for.
        """
        expected = self.network.inputs
        if not torch.onnx.is_in_onnx_export() and [tuple(x.shape[1:]) for x in inputs] != list(expected):
            got = ", ".join("x".join(map(str, x.shape[1:])) for x in inputs)
            raise ShapeError(f"this network reads {', '.join(map(str, expected))} (C x H x W), got {got}")
        values = dict(enumerate(inputs))
        for i, module in enumerate(self.nodes):
            if i not in self._spent:
                continue
            node = self.network.nodes[i]
            values[len(inputs) + i] = module(join_values(node.join, [values[s] for s in node.sources]))
            for s in self._spent[i]:
                del values[s]
        output = values[len(inputs) + len(self.nodes) - 1]
        return output.flatten(1) if self._flatten else output


def _last_readers(network: Network) -> dict[int, tuple[int, ...]]:
    """The nodes that the output needs, and the values that nobody reads after each."""
    first, last = len(network.inputs), len(network.nodes) - 1
    seen, spent = {first + last}, {}
    for i in range(last, -1, -1):
        if first + i in seen:
            sources = set(network.nodes[i].sources)
            spent[i] = tuple(sorted(sources - seen))
            seen |= sources
    return spent


def build(network: Network, seed: int | None = None) -> TorchNetwork:
    """Make the torch network of an architecture or a placement, with initial weights.

    Args:
        network: what to build.
        seed: the same seed gives the same weights; without one they are drawn from torch's global generator.

    Raises:
        ShapeError: it has several outputs, as bundles do, which are only ever measured.
    """
    if len(network.outputs) != 1:
        raise ShapeError(f"torch runs networks of one output, this one has {len(network.outputs)}: lower it instead")
    return TorchNetwork(network, None if seed is None else torch.Generator().manual_seed(seed))


def weights_of(module: nn.Module) -> dict[str, Array]:
    """Copy the numbers of a `TorchNetwork` out, by the names that all lowerings use (see `mnas.lower.weights`)."""
    return {
        key: np.array(value.detach().cpu().float().numpy())
        for key, value in module.state_dict().items()
        if not key.endswith(".num_batches_tracked")
    }


def load_weights(module: nn.Module, weights: Weights) -> None:
    """Copy `weights` into a `TorchNetwork`.

    Raises:
        ShapeError: they are not of this network: a name is missing, unknown or of another shape.
    """
    state = {key: value for key, value in module.state_dict().items() if not key.endswith(".num_batches_tracked")}
    for key in state.keys() | weights.keys():
        expected = tuple(state[key].shape) if key in state else None
        got = weights[key].shape if key in weights else None
        if expected != got:
            raise ShapeError(f"weight {key!r}: the network has {expected or 'none'}, the weights have {got or 'none'}")
    with torch.no_grad():
        for key, value in state.items():
            value.copy_(torch.from_numpy(np.asarray(weights[key])))
