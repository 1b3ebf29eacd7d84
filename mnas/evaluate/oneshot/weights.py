"""Weights that all paths of a space share: an op's are slices of the largest that can stand in its place.

Narrower ones are the first channels, of inputs and outputs, smaller kernels are the centre.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from mnas.errors import ShapeError
from mnas.evaluate.oneshot.chain import Placed
from mnas.ir import Layer, Shape
from mnas.ir.layers import Conv, Join, Linear, Norm, Seq
from mnas.lower.weights import he_std, parameters

_STATISTICS = ("running_mean", "running_var")


class Slice(NamedTuple):
    """A parameter of an op as a part of a shared one.

    Attributes:
        name: of the parameter, in the op's module.
        key: of the shared one.
        shape: of the parameter.
        deviation: standard deviation of its initial values, where they are random.
        constant: its initial value, where it is not.
    """

    name: str
    key: str
    shape: tuple[int, ...]
    deviation: float
    constant: float


def slices(placed: Placed) -> Iterator[Slice]:
    """What every parameter of an op is a part of.

    Ops of one kind share, at the same place. Their layers are told apart by role: the way to them in the tree, on which
    the last branch of a join (what a skip or a gate is added to) is no turn, so that a skip changes no role.
    """
    place = f"{placed.segment}.{placed.ordinal}.{placed.op.name}"
    for layer, x, path, role in _leaves(placed.op.layers(placed.x), placed.x, (), (place,)):
        for name, shape in parameters(layer, x).items():
            if name not in _STATISTICS:
                random = isinstance(layer, Conv | Linear) and name == "weight"
                deviation = he_std(layer, x) if random and isinstance(layer, Conv | Linear) else 0.0
                constant = float(isinstance(layer, Norm) and name == "weight")
                yield Slice(".".join((*path, name)), ".".join((*role, name)), shape, deviation, constant)


class SharedWeights:
    """The shared parameters, by key; each is as large as the largest of its slices.

    Args:
        everything: all ops that share them.
        seed: of the initial values.
        torch_device: where they are.
    """

    def __init__(self, everything: Iterable[Placed], seed: int, torch_device: str = "cpu") -> None:
        largest: dict[str, Slice] = {}
        for placed in everything:
            for part in slices(placed):
                known = largest.get(part.key, part)
                shape = tuple(map(max, part.shape, known.shape))
                largest[part.key] = part._replace(shape=shape, deviation=min(part.deviation, known.deviation))
        generator = torch.Generator().manual_seed(seed)
        self.tensors = {
            key: _channels_last(_initial(each, generator).to(torch_device)).requires_grad_()
            for key, each in sorted(largest.items())
        }
        self._parts: dict[Placed, list[tuple[str, str, tuple[slice, ...]]]] = {}

    def of(self, placed: Placed) -> dict[str, Tensor]:
        """The parameters of an op by name: views, through which gradients reach the shared ones."""
        if placed not in self._parts:
            self._parts[placed] = [
                (part.name, part.key, _within(self.tensors[part.key].shape, part.shape)) for part in slices(placed)
            ]
        return {name: self.tensors[key][part] for name, key, part in self._parts[placed]}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Copy numbers into the shared parameters.

        Raises:
            ShapeError: they are not of these ops: a key is missing, unknown or of another shape.
        """
        for key in self.tensors.keys() | weights.keys():
            expected = tuple(self.tensors[key].shape) if key in self.tensors else None
            got = tuple(weights[key].shape) if key in weights else None
            if expected != got:
                raise ShapeError(f"shared weight {key!r}: expected {expected or 'none'}, got {got or 'none'}")
        with torch.no_grad():
            for key, tensor in self.tensors.items():
                tensor.copy_(weights[key])


def _leaves(
    layer: Layer, x: Shape, path: tuple[str, ...], role: tuple[str, ...]
) -> Iterator[tuple[Layer, Shape, tuple[str, ...], tuple[str, ...]]]:
    match layer:
        case Seq(parts):
            for j, part in enumerate(parts):
                yield from _leaves(part, x, (*path, str(j)), (*role, str(j)))
                x = part.out_shape(x)
        case Join(_, branches):
            for j, branch in enumerate(branches):
                turned = role if j == len(branches) - 1 else (*role, f"branch{j}")
                yield from _leaves(branch, x, (*path, str(j)), turned)
        case _:
            yield layer, x, path, role


def _initial(part: Slice, generator: torch.Generator) -> Tensor:
    if part.deviation:
        return torch.randn(part.shape, generator=generator) * part.deviation
    return torch.full(part.shape, part.constant)


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def _within(whole: Iterable[int], part: tuple[int, ...]) -> tuple[slice, ...]:
    """The first channels of the first two axes, the centre of the others."""
    starts = [(most - n) // 2 if axis > 1 else 0 for axis, (most, n) in enumerate(zip(whole, part, strict=True))]
    return tuple(slice(start, start + n) for start, n in zip(starts, part, strict=True))
